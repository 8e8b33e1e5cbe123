"""pylock.toml (PEP 751), for `uv pip install -r pylock.toml` and `pip install -r pylock.toml`.

A recorded pylock.toml is handed out as it is, if it says exactly what was installed. Else one is
made: each package with the files that a lock names for its version. The format needs to know where
these are, so locks without URLs (poetry's) do not do; an index can be asked for them. What came
from a repository, an archive or a folder is named by that.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import unquote, urlsplit

from gitprov.capture.environments.locks.lock import Lock, LockedFile
from gitprov.capture.environments.python.distributions import normalised
from gitprov.capture.environments.versions import normal_form
from gitprov.errors import InputError
from gitprov.exchange.environments import words
from gitprov.exchange.environments.exported import Exported
from gitprov.exchange.environments.pins import Pin, sorted_out
from gitprov.exchange.environments.recorded_locks import RecordedLocks
from gitprov.exchange.environments.requirements import local_notes
from gitprov.exchange.environments.resolving import resolved
from gitprov.exchange.environments.toml_text import Value, table_text
from gitprov.model.environment import Environment
from gitprov.version import __version__

FILE_NAME = "pylock.toml"

_SEEDS = frozenset({"pip", "setuptools", "wheel"})
_RELEASE = re.compile(r"[0-9]+\.[0-9]+")
_WHEEL_PARTS = (5, 6)


def export(environment: Environment, /, *, resolve: bool) -> Exported:
    """Return the packages of the environment's own Python."""
    if environment.python is None:
        raise InputError("no Python was recorded with this run; see `git prov env show`")
    found, left_out = sorted_out(environment)
    if not left_out and (recorded := _recorded(environment, found)) is not None:
        return Exported(text=recorded, file_name=FILE_NAME, notes=tuple(local_notes(found)))
    if resolve:
        found = resolved(found, environment.python.interpreter)
    notes = [f"left out: {words.names(left_out)}"] if left_out else []
    tables: list[Mapping[str, Value]] = []
    nowhere: list[Pin] = []
    seeds: list[Pin] = []
    for pin in found:
        table = _table(pin)
        if table is not None:
            tables.append(table)
        elif pin.name in _SEEDS:
            seeds.append(pin)
        else:
            nowhere.append(pin)
    if nowhere:
        named = words.names([f"{pin.name} {pin.version}" for pin in nowhere])
        raise InputError(
            f"no lock says where the files of {named} are, with hashes; ask the index with "
            "--resolve, or use --format requirements"
        )
    if seeds:
        named = words.names([f"{pin.name} {pin.version}" for pin in seeds])
        notes.append(f"left out, as no lock names {named}: new environments bring their own")
    notes += [*words.broken(environment.python), *local_notes(found)]
    return Exported(text=_text(environment, tables), file_name=FILE_NAME, notes=tuple(notes))


def _text(environment: Environment, tables: Iterable[Mapping[str, Value]]) -> str:
    head: dict[str, Value] = {"lock-version": "1.0", "created-by": f"gitprov {__version__}"}
    version = environment.python.interpreter.version if environment.python else ""
    if release := _RELEASE.match(version):
        head = {**head, "requires-python": f"=={release[0]}.*"}
    body = "".join(f"\n[[packages]]\n{table_text(table)}" for table in tables)
    return f"# {words.python_of(environment)}\n{table_text(head)}" + (body or "packages = []\n")


def _recorded(environment: Environment, found: Sequence[Pin]) -> str | None:
    """Return a recorded pylock.toml that says what was installed, no more and no less."""
    for lock in RecordedLocks.of(environment).locks:
        if lock.kind == "pylock" and _is_exact(lock, found):
            return environment.locks[lock.path].decode()
    return None


def _is_exact(lock: Lock, found: Sequence[Pin]) -> bool:
    locked = {package.name: package for package in lock.packages}
    installed = {pin.name: pin for pin in found}
    if len(locked) != len(lock.packages) or set(locked) - set(installed):
        return False
    if set(installed) - set(locked) - _SEEDS or not locked:
        return False
    for name, package in locked.items():
        pin, place, was = installed[name], package.origin, installed[name].origin
        if package.version and normal_form(package.version) != normal_form(pin.version):
            return False
        if (place is None) != (was is None) or (not package.version and place is None):
            return False
        if place is not None and was is not None and place.commit != was.commit:
            return False
    return True


def _table(pin: Pin) -> Mapping[str, Value] | None:
    """Return the entry of a package; None where there is no way to say where it is."""
    if pin.origin is not None or pin.editable:
        direct = _direct(pin)
        return None if direct is None else {"name": pin.name, "version": pin.version, **direct}
    files = [file for file in pin.files if file.url in pin.urls and _is_of(file, pin)]
    wheels = [table for file in files if file.kind == "wheel" and (table := _file(file))]
    sdists = [table for file in files if file.kind == "sdist" and (table := _file(file))]
    if not wheels and not sdists:
        return None
    entry: dict[str, Value] = {"name": pin.name, "version": pin.version}
    if pin.index:
        entry["index"] = pin.index
    if sdists:
        entry["sdist"] = sdists[0]
    if wheels:
        entry["wheels"] = wheels
    return entry


def _file(file: LockedFile) -> Mapping[str, Value] | None:
    if file.url is None or not file.hashes:
        return None
    size: dict[str, Value] = {} if file.size is None else {"size": file.size}
    return {"name": file.name, "url": file.url, **size, "hashes": dict(file.hashes)}


def _is_of(file: LockedFile, pin: Pin) -> bool:
    """Whether a file's name is one that the format allows for this package and version."""
    if file.kind == "wheel":
        parts = file.name.removesuffix(".whl").split("-")
        fits = len(parts) in _WHEEL_PARTS
        name, version = (parts[0], parts[1]) if fits else ("", "")
    else:
        stem = file.name.removesuffix(".tar.gz").removesuffix(".zip")
        name, _, version = stem.rpartition("-") if stem != file.name else ("", "", "")
    return normalised(name) == pin.name and normal_form(version) == normal_form(pin.version)


def _direct(pin: Pin) -> Mapping[str, Value] | None:
    origin = pin.origin
    if origin is None:
        return None
    folder: dict[str, Value] = {}
    if origin.subdirectory:
        folder["subdirectory"] = origin.subdirectory
    if origin.vcs is not None:
        revision: dict[str, Value] = {}
        if origin.revision and origin.revision.isprintable():
            revision["requested-revision"] = origin.revision
        said = {"type": origin.vcs, "url": origin.url, **revision}
        return {"vcs": {**said, "commit-id": origin.commit or "", **folder}}
    if pin.editable or origin.is_directory:
        path = unquote(urlsplit(origin.url).path)
        editable: dict[str, Value] = {"editable": True} if pin.editable else {}
        return {"directory": {"path": path, **editable, **folder}}
    if not origin.hashes:
        return None
    return {"archive": {"url": origin.url, "hashes": dict(origin.hashes), **folder}}
