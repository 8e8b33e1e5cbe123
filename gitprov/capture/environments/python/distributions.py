"""Installed Python distributions, read from their metadata folders as an import would find them.

Rules:
- the first folder of sys.path that holds a distribution wins;
- names compare in normalised form (PEP 503), so `Foo.Bar` and `foo-bar` are one;
- a distribution that cannot be identified is listed as broken, with the reason.

`importlib.metadata` is not used: it would answer for our own interpreter, and costs 25 ms.
"""

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote

from gitprov.capture.environments.python.wheel_contents import content_sha256
from gitprov.capture.url_credentials import without_credentials

_METADATA_SUFFIXES = (".dist-info", ".egg-info")
_EGG = "EGG-INFO"  # inside a folder *.egg that itself stands on sys.path
_EGG_LINK = ".egg-link"
_SUFFIXES = (*_METADATA_SUFFIXES, _EGG_LINK, ".pth")
_FIELDS = (b"name", b"version")
_HEADER_BYTES, _FIRST_BYTES = 16 << 10, 512
# What these install has a RECORD; what Debian's packages bring, for one, has none.
_RECORDING = ("pip", "uv", "pdm", "poetry")
_MAX_BYTES = 32 << 20
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")

Package = dict[str, Any]
Broken = dict[str, str]


class Entry(NamedTuple):
    """A name in a folder of sys.path that says something about what is installed."""

    folder: str
    name: str
    mtime_ns: int
    inode: int
    size: int
    # Why the folder itself could not be listed; the name is empty then.
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Installed:
    """What was there when it was looked at: the folders, a fingerprint, and how long that took."""

    folders: tuple[str, ...]
    fingerprint: str
    scan_ns: int

    def has_changed(self) -> bool:
        """Say whether something was installed or removed since."""
        return fingerprint(scan(self.folders)) != self.fingerprint


class _BrokenError(Exception):
    """A distribution that cannot be identified; the message says why."""


def scan(folders: Iterable[str]) -> list[Entry]:
    """Return the telling entries of the folders: in the folders' order, sorted within each.

    As long as they are equal, so is what is installed, as far as `read` reports it.
    """
    return [entry for folder in dict.fromkeys(folders) for entry in sorted(_entries(folder))]


def fingerprint(entries: Iterable[Entry]) -> str:
    """Return what differs where something was installed, removed or replaced."""
    return hashlib.sha256(repr([tuple(entry) for entry in entries]).encode()).hexdigest()


def read(entries: Iterable[Entry]) -> tuple[list[Package], list[Broken]]:
    """Return the distributions that `entries` name, sorted, and the broken ones."""
    entries = list(entries)
    linked = {normalised(e.name[: -len(_EGG_LINK)]) for e in entries if e.name.endswith(_EGG_LINK)}
    found: dict[str, tuple[str, Package]] = {}
    broken: set[tuple[str, str]] = set()
    for entry in entries:
        if entry.fault:
            broken.add((entry.folder, f"the folder cannot be read: {entry.fault}"))
        if not _is_metadata(entry.name):
            continue
        try:
            name, version = _identity(entry)
        except _BrokenError as error:
            broken.add((entry.name, str(error)))
            continue
        key = normalised(name)
        if key not in found:
            package = _package(entry, name, version, broken)
            if key in linked and entry.name.endswith(".egg-info"):
                package["editable"] = True
            found[key] = entry.folder, package
        elif found[key][0] == entry.folder and found[key][1]["version"] != version:
            broken.add((entry.name, f"{key} {found[key][1]['version']} stands in the same folder"))
    packages = [found[key][1] for key in sorted(found)]
    return packages, [{"entry": name, "reason": reason} for name, reason in sorted(broken)]


def normalised(name: str) -> str:
    """Return the name in the one form in which names are compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _is_metadata(name: str) -> bool:
    return name.endswith(_METADATA_SUFFIXES) or name == _EGG


def _entries(folder: str) -> list[Entry]:
    entries = []
    try:
        with os.scandir(folder) as names:
            for item in names:
                if item.name.endswith(_SUFFIXES) or item.name == _EGG:
                    try:
                        status = item.stat(follow_symlinks=False)
                    except FileNotFoundError:  # removed meanwhile
                        continue
                    stamp = status.st_mtime_ns, status.st_ino, status.st_size
                    entries.append(Entry(folder, item.name, *stamp))
    except (FileNotFoundError, NotADirectoryError):  # absent, or a zip file
        return entries
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        fault = getattr(error, "strerror", None) or str(error)
        entries.append(Entry(folder, "", 0, 0, 0, fault))
    return entries


def _identity(entry: Entry) -> tuple[str, str]:
    """Return name and version from the metadata, or raise _BrokenError."""
    if entry.name.startswith("~"):
        raise _BrokenError("left over from an interrupted installation")
    file = _metadata_file(entry)
    shown = file.rpartition("/")[2]
    try:
        fields = _header(file)
    except OSError as error:
        raise _BrokenError(f"{shown} cannot be read: {error.strerror}") from error
    for name in ("name", "version"):
        if not fields.get(name):
            raise _BrokenError(f"{shown} has no {name}")
    if not _NAME.fullmatch(fields["name"]):
        raise _BrokenError(f"{shown} has a name that no distribution can have")
    return fields["name"], fields["version"]


def _metadata_file(entry: Entry) -> str:
    # Paths are texts here, as there are several for each of hundreds of distributions.
    path = f"{entry.folder}/{entry.name}"
    if entry.name.endswith(".dist-info"):
        return f"{path}/METADATA"
    return f"{path}/PKG-INFO" if os.path.isdir(path) else path  # noqa: PTH112


def _header(file: str) -> dict[str, str]:
    """Return the name and version fields of a metadata file, which stand before its first gap."""
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK)  # a pipe must not hold up the run
    try:
        head = os.read(descriptor, _HEADER_BYTES)
    finally:
        os.close(descriptor)
    # Nearly always both stand in the first lines, of very many.
    fields = _fields(head[:_FIRST_BYTES].rpartition(b"\n")[0])
    return fields if len(fields) == len(_FIELDS) else _fields(head)


def _fields(head: bytes) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in head.splitlines():
        if not line.strip():
            break
        name, _, value = line.partition(b":")
        if (key := name.lower()) in _FIELDS:
            fields.setdefault(key.decode(), value.strip().decode("utf-8", "replace"))
            if len(fields) == len(_FIELDS):
                break
    return fields


def _package(entry: Entry, name: str, version: str, broken: set[tuple[str, str]]) -> Package:
    folder = f"{entry.folder}/{entry.name}"
    package: Package = {
        "name": name,
        "version": version,
        "purl": f"pkg:pypi/{normalised(name)}@{quote(version, safe='')}",
    }
    if (installer := _bytes(f"{folder}/INSTALLER")) is not None:
        package["installer"] = installer.decode("utf-8", "replace").strip()
    if (record := _bytes(f"{folder}/RECORD")) is not None:
        package["record_sha256"] = hashlib.sha256(record).hexdigest()
        if (content := content_sha256(record, entry.name)) is not None:
            package["content_sha256"] = content
    elif package.get("installer", "").lower().startswith(_RECORDING):
        broken.add((entry.name, f"{package['installer']} has installed it, but it has no RECORD"))
    if (origin := _bytes(f"{folder}/direct_url.json")) is not None:
        try:
            direct_url = _direct_url(origin)
        except (ValueError, TypeError, KeyError, RecursionError):
            broken.add((entry.name, "direct_url.json is not what PEP 610 says"))
        else:
            package["direct_url"] = direct_url
            directory = direct_url.get("dir_info")
            if isinstance(directory, dict) and directory.get("editable") is True:
                package["editable"] = True
    return package


def _direct_url(data: bytes) -> dict[str, Any]:
    document = json.loads(data)
    return {**document, "url": without_credentials(document["url"])}


def _bytes(file: str) -> bytes | None:
    """Return what a file holds; None where it is not there, no file, or very large."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MAX_BYTES:
            return None
        return os.read(descriptor, status.st_size)
    except OSError:
        return None
    finally:
        os.close(descriptor)
