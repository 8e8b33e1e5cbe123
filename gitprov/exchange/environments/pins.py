"""What has to be installed to have the packages of a recorded environment again, one by one.

A lock counts for a package where it names the very version that was installed; its files and their
hashes are then those of the pin. What was installed from elsewhere than an index has no others than
that place has.

A record may be a stranger's, and installers take what they read for more than names: options,
variables to be filled in, other lines. So each part of a pin has a form that can mean one thing
only; packages for which that cannot be had are refused, with a reason.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from gitprov.capture.environments.locks.lock import LockedFile
from gitprov.capture.environments.python.distributions import normalised
from gitprov.capture.url_credentials import without_credentials
from gitprov.exchange.environments.recorded_locks import RecordedLocks
from gitprov.model.environment import Editable, Environment, Origin, Package, PythonEnvironment
from gitprov.model.wording import printable

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,213}[A-Za-z0-9])?")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_-]{0,127}")
# No blanks, quotes, fragments or `$`: pip fills variables of the environment into URLs.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[A-Za-z0-9._~:/?\[\]@!&()*+,;=%-]+")
_COMMIT = re.compile(r"[0-9a-fA-F]{40}|[0-9a-fA-F]{64}")
_FOLDER = re.compile(r"(?!.*\.\.)[A-Za-z0-9_.][A-Za-z0-9_./+-]*")
_SYSTEMS = frozenset({"bzr", "git", "hg", "svn"})
_HASHES = {"sha256": 64, "sha384": 96, "sha512": 128}  # what installers take
_HEX = re.compile("[0-9a-f]+")
_CONDA = "conda"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """A package and its version; `name` is in the form of PEP 503.

    `hashes` are `sha256:…` of the files that a lock has for this version, or of the archive that it
    was installed from; `urls` are where these files are. Both are empty where no lock names them.
    `files` are the same in full, and `index` is where the lock has looked for them. `origin` is set
    where it came from no index: a version control system, an archive, a directory. `commit` is that
    of the work tree that an editable installation lies in, and `dirty` says that this was changed.
    """

    name: str
    version: str
    hashes: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    files: tuple[LockedFile, ...] = ()
    index: str | None = None
    origin: Origin | None = None
    editable: bool = False
    commit: str | None = None
    dirty: bool | None = None
    installer: str | None = None

    @property
    def is_local(self) -> bool:
        """Whether it was installed from a folder or file of the machine."""
        origin = self.origin
        local = origin is not None and (origin.is_directory or origin.url.startswith("file:"))
        return self.editable or (local and (origin is None or origin.vcs is None))


class _RefusedError(Exception):
    """A package that cannot be pinned safely; the message says why."""


def pins(environment: Environment, python: PythonEnvironment | None = None) -> tuple[Pin, ...]:
    """Return a pin for each package of `python` (by default the environment's own), by name."""
    return sorted_out(environment, python)[0]


def sorted_out(
    environment: Environment, python: PythonEnvironment | None = None
) -> tuple[tuple[Pin, ...], tuple[str, ...]]:
    """Return the pins, and in words which packages have none, and why."""
    python = python or environment.python
    if python is None:
        return (), ()
    locks = RecordedLocks.of(environment)
    editables = {normalised(item.name): item for item in environment.editables}
    found: list[Pin] = []
    refused: list[str] = []
    for package in python.packages:
        try:
            found.append(_pin(package, locks, editables))
        except _RefusedError as error:
            refused.append(f"{printable(package.name)} {printable(package.version)} {error}")
    return tuple(sorted(found, key=lambda pin: pin.name)), tuple(refused)


def with_files(pin: Pin, files: tuple[LockedFile, ...]) -> Pin:
    """Return a pin that these files are known of."""
    files = tuple(replace(file, url=file.url and without_credentials(file.url)) for file in files)
    hashes = (
        f"{name}:{value}"
        for file in files
        for name, value in file.hashes.items()
        if _is_hash(name, value)
    )
    urls = (file.url for file in files if file.url and _URL.fullmatch(file.url))
    return replace(
        pin, files=files, hashes=tuple(sorted(set(hashes))), urls=tuple(dict.fromkeys(urls))
    )


def _pin(package: Package, locks: RecordedLocks, editables: Mapping[str, Editable]) -> Pin:
    if not _NAME.fullmatch(package.name) or not _VERSION.fullmatch(package.version):
        raise _RefusedError("has a name or version that no package can have")
    name = normalised(package.name)
    origin = None if package.installer == _CONDA else package.origin
    editable = editables.get(name) if package.editable else None
    pin = Pin(
        name=name,
        version=package.version,
        origin=_checked(origin, locks.hashes_of_url(name, origin.url)) if origin else None,
        editable=package.editable,
        commit=editable.commit if editable and _COMMIT.fullmatch(editable.commit or "") else None,
        dirty=editable.dirty if editable else None,
        installer=package.installer,
    )
    if pin.origin is not None or pin.editable:
        said = pin.origin.hashes if pin.origin else {}
        return replace(pin, hashes=tuple(f"{key}:{said[key]}" for key in sorted(said)))
    locked = locks.for_version(name, package.version)
    if locked is None:
        return pin
    index = without_credentials(locked.index or "")
    index = index if _URL.fullmatch(index) else ""
    return with_files(replace(pin, index=index or None), locked.files)


def _checked(origin: Origin, locked: Mapping[str, str]) -> Origin:
    """Return an origin of which every part can be handed on; raise _RefusedError."""
    url = without_credentials(origin.url)
    if not _URL.fullmatch(url):
        raise _RefusedError("was installed from a place that cannot be written down safely")
    if origin.vcs is not None and (
        origin.vcs not in _SYSTEMS or not origin.commit or not _COMMIT.fullmatch(origin.commit)
    ):
        raise _RefusedError("was installed from a repository, at an unknown commit")
    if origin.subdirectory is not None and not _FOLDER.fullmatch(origin.subdirectory):
        raise _RefusedError("was installed from a folder that cannot be written down safely")
    hashes = {**locked, **origin.hashes}
    return Origin(
        url=url,
        vcs=origin.vcs,
        commit=origin.commit,
        revision=origin.revision,
        hashes={name: value for name, value in hashes.items() if _is_hash(name, value)},
        subdirectory=origin.subdirectory,
        is_directory=origin.is_directory,
    )


def _is_hash(name: str, value: str) -> bool:
    return _HASHES.get(name) == len(value) and _HEX.fullmatch(value) is not None
