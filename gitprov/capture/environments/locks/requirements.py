"""requirements.txt: the lines that pin a version, or name a URL; other lines state nothing.

Files that it includes (`-r`) are lock files of their own. Hashes stand there without names of
files: a wheel's or a source archive's, nobody says.
"""

import re
from collections.abc import Iterable, Iterator

from gitprov.capture.environments.locks import conda_explicit, origins
from gitprov.capture.environments.locks.lock import Lock, LockedFile, LockedPackage
from gitprov.capture.environments.locks.reading import (
    decoded,
    hashes_of,
    python_name,
    url_of,
    version_of,
)

_COMMENT = re.compile(r"(?:^|\s)#.*$")
_HASH_OPTION = re.compile(r"\s--hash[=\s]\s*([a-z0-9]+:[0-9a-fA-F]+)")
_OPTIONS = re.compile(r"\s--?[a-z].*$")
_PIN = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*\(?\s*"
    r"(?:===?\s*(?P<version>[^\s,;()]+)|@\s*(?P<url>[^\s;]+))\s*\)?\s*(?:;\s*(?P<marker>.+))?"
)
_EDITABLE = re.compile(r"(?:-e|--editable)[=\s]\s*(?P<what>\S+)")
_EGG = re.compile(r"[#&]egg=(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)")
_INDEX = re.compile(r"(?:-i|--index-url)[=\s]\s*(?P<url>\S+)")
_MAX_LINE = 1 << 16


def read(path: str, data: bytes) -> Lock:
    """Return what a file of requirements pins; conda's explicit files have such names, too."""
    if conda_explicit.is_explicit(data):
        return conda_explicit.read(path, data)
    packages: list[LockedPackage] = []
    index: str | None = None
    for line in _lines(decoded(path, data)):
        if found := _INDEX.match(line):
            index = url_of(found["url"])
        elif package := requirement(line, index):
            packages.append(package)
    return Lock(path=path, kind="requirements", packages=tuple(packages))


def requirement(line: str, index: str | None = None) -> LockedPackage | None:
    """Return what one line pins; None where it pins nothing."""
    line = " ".join(line.split())  # long gaps would take expressions very long
    if found := _EDITABLE.match(line):
        return _editable(found["what"])
    hashes = _HASH_OPTION.findall(line)
    found = _PIN.fullmatch(_OPTIONS.sub("", line).strip())
    name = python_name(found["name"]) if found else None
    if found is None or name is None:
        return None
    marker = found["marker"].strip() if found["marker"] else None
    if found["url"]:
        origin = origins.from_requirement(found["url"])
        if origin is None:
            return None
        return LockedPackage(
            ecosystem="pypi",
            name=name,
            files=unnamed_files(hashes),
            origin=origin,
            marker=marker,
        )
    version = version_of(found["version"])
    if version is None:
        return None
    return LockedPackage(
        ecosystem="pypi",
        name=name,
        version=version,
        files=unnamed_files(hashes),
        marker=marker,
        index=index,
    )


def unnamed_files(hashes: Iterable[str]) -> tuple[LockedFile, ...]:
    """Return files of which a lock says the hashes, and no more."""
    each = (hashes_of(text) for text in hashes)
    return tuple(LockedFile(name="", kind=None, hashes=found) for found in each if found)


def _editable(what: str) -> LockedPackage | None:
    """Return an editable installation; only its URL can name it."""
    egg = _EGG.search(what)
    name = python_name(egg["name"]) if egg else None
    origin = origins.from_requirement(what)
    if name is None or origin is None:
        return None
    return LockedPackage(ecosystem="pypi", name=name, origin=origin, editable=True)


def _lines(text: str) -> Iterator[str]:
    """Yield the logical lines without comments, as pip does; overlong ones are no requirements."""
    parts: list[str] = []
    size = 0
    for line in text.splitlines():
        continued = line.endswith("\\") and not line.lstrip().startswith("#")
        part = line[:-1] if continued else line
        parts.append(part)
        size += len(part)
        if continued:
            continue
        if size <= _MAX_LINE and (whole := _COMMENT.sub("", " ".join(parts)).strip()):
            yield whole
        parts, size = [], 0
    if parts and size <= _MAX_LINE and (whole := _COMMENT.sub("", " ".join(parts)).strip()):
        yield whole
