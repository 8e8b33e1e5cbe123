"""Whether lock files agree with what is installed: the rules of `agreement.json`.

To be right when it says something counts for more than to say everything, so:
- A version, or a commit, or the build of a conda package, that is installed and that the lock does
  not have is a disagreement. A universal lock has a package at several versions, for other
  platforms or Pythons: it agrees if any of these is installed.
- Markers are not evaluated. A lock of a whole environment (all but requirements.txt and
  environment.yml) has every version that it would ever install, so markers do not matter there.
  In the other two, lines with a marker state nothing.
- A package that is locked and not installed is a disagreement where it has to be there: it stands
  without a marker, for this platform and for no group or extra, in a requirements.txt, pylock.toml,
  conda-lock.yml or explicit list. From uv.lock, poetry.lock, pdm.lock, Pipfile.lock and pixi.lock
  it cannot be told what was asked for. And it counts only where most of what has to be there is
  there: else the lock is another environment's.
- What is installed and not locked is never one: nobody says that a lock lists all.
- Nor is the version of what is installed from a folder: its source has it, and the run's source is
  recorded.

Conda's packages are compared with conda.json, Python's with packages.json.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gitprov.capture.environments.locks import read_lock
from gitprov.capture.environments.locks.lock import Lock, LockedPackage
from gitprov.capture.environments.python.distributions import normalised
from gitprov.capture.environments.versions import same_conda, same_python
from gitprov.codec.environment_text import CONDA, PACKAGES, text
from gitprov.errors import GitprovError

_PARTIAL = frozenset({"requirements", "environment.yml"})
# Locks that say what has to be installed; of Python's, those of no special purpose.
_DEMANDING = frozenset({"requirements.txt", "pylock.toml"})
_DEMANDING_KINDS = frozenset({"conda-lock", "conda-explicit"})
_MAIN = "main"
_SHORT_COMMIT = 9
_MAX_BYTES = 4 << 20  # ten times what large projects have; a second or more to read
# In arrays with one table a line, as tools write them: files, which take most of the time to read.
_FILE_LINE = re.compile(
    rb"^[ \t]+\{ ?(?:url|file|path|name|filename) ?=.*\},?[ \t]*\r?\n", re.MULTILINE
)

Row = dict[str, Any]
Installed = Mapping[str, Row]


def compared(locks: Mapping[str, bytes], sides: Mapping[str, bytes]) -> dict[str, Any]:
    """Return the text of agreement.json (`text`), and which locks could not be read (`missing`).

    `sides` are packages.json and conda.json, as far as there are any.
    """
    environment = _Sides.of(sides)
    compared: list[str] = []
    rows: list[dict[str, str]] = []
    missing: dict[str, str] = {}
    for path in sorted(locks):
        data = _without_files(path, locks[path])
        if len(data) > _MAX_BYTES:
            reason = f"not compared: without files it is larger than {_MAX_BYTES >> 20} MiB"
            missing[f"environment.agreement.{path}"] = reason
            continue
        try:
            lock = read_lock(path, data)
        except GitprovError as error:
            missing[f"environment.agreement.{path}"] = str(error)
            continue
        if lock is not None and (found := environment.comparable(lock)):
            compared.append(path)
            rows += _disagreements(lock, found, environment)
    document = {"compared": compared, "disagreements": rows}
    whole = text("agreement.1", document).decode() if compared else ""
    return {"text": whole, "missing": missing}


def _without_files(path: str, data: bytes) -> bytes:
    return _FILE_LINE.sub(b"", data) if path.endswith((".lock", ".toml")) else data


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sides:
    """What is installed, by ecosystem and name."""

    installed: Mapping[str, Installed]
    platform: str | None

    @classmethod
    def of(cls, sides: Mapping[str, bytes]) -> "_Sides":
        installed: dict[str, Installed] = {}
        platform = None
        if PACKAGES in sides:
            rows = json.loads(sides[PACKAGES]).get("packages", ())
            installed["pypi"] = {normalised(row["name"]): row for row in rows}
        if CONDA in sides:
            document = json.loads(sides[CONDA])
            installed["conda"] = {row["name"]: row for row in document.get("packages", ())}
            platform = document.get("platform")
        return cls(installed=installed, platform=platform)

    def comparable(self, lock: Lock) -> list[LockedPackage]:
        """Return those packages of a lock that are for this platform, and could be seen here."""
        return [
            package
            for package in lock.packages
            if package.ecosystem in self.installed
            and not (package.platform and self.platform and package.platform != self.platform)
            and not (package.marker and lock.kind in _PARTIAL)
            and (package.version or (package.origin and package.origin.commit))
        ]

    def row(self, package: LockedPackage) -> Row | None:
        return self.installed[package.ecosystem].get(package.name)


def _disagreements(
    lock: Lock, packages: Sequence[LockedPackage], environment: _Sides
) -> Iterator[dict[str, str]]:
    by_name: dict[tuple[str, str], list[LockedPackage]] = defaultdict(list)
    for package in packages:
        by_name[package.name, package.ecosystem].append(package)
    absent = _absent(lock, packages, environment)
    for key, locked in sorted(by_name.items()):
        row = environment.row(locked[0])
        if row is None:
            if key in absent:
                yield {"lock": lock.path, "name": locked[0].name, "locked": _said(locked)}
        elif not any(_agrees(package, row) for package in locked):
            said, found = _said(locked, row), _found(locked, row)
            yield {"lock": lock.path, "name": row["name"], "locked": said, "installed": found}


def _absent(
    lock: Lock, packages: Iterable[LockedPackage], environment: _Sides
) -> set[tuple[str, str]]:
    """Return the packages that have to be there and are not, if the lock is of this environment.

    None are packages of a conda lock that is compared with a Python without conda.
    """
    file_name = lock.path.rpartition("/")[2]
    if file_name not in _DEMANDING and lock.kind not in _DEMANDING_KINDS:
        return set()
    needed: dict[tuple[str, str], bool] = {
        (package.name, package.ecosystem): environment.row(package) is not None
        for package in packages
        if not package.marker
        and not package.optional
        and set(package.groups) <= {_MAIN}
        and not (package.platform and environment.platform is None)
    }
    absent = {key for key, is_there in needed.items() if not is_there}
    return absent if 2 * len(absent) < len(needed) else set()


def _agrees(package: LockedPackage, row: Row) -> bool:
    """Whether a package is installed as an entry of the lock says."""
    if package.ecosystem == "conda":
        fits = same_conda(package.version or "", row["version"])
        return fits and package.build in (None, row.get("build"))
    if package.editable or row.get("editable") or (package.origin and package.origin.is_directory):
        return True
    if package.version and not same_python(package.version, row["version"]):
        return False
    locked, installed = package.origin and package.origin.commit, _commit(row)
    return not (locked and installed) or locked.lower() == installed.lower()


def _commit(row: Row) -> str | None:
    vcs = (row.get("direct_url") or {}).get("vcs_info")
    commit = vcs.get("commit_id") if isinstance(vcs, dict) else None
    return commit if isinstance(commit, str) else None


def _said(packages: Iterable[LockedPackage], row: Row | None = None) -> str:
    """Return what a lock says: the version; the build or commit where that is what differs."""
    return " or ".join(dict.fromkeys(_said_of(package, row) for package in packages))


def _said_of(package: LockedPackage, row: Row | None) -> str:
    version = package.version or ""
    if row is not None and package.ecosystem == "conda":
        differs = package.build and same_conda(version, row["version"])
        return f"{version} {package.build}" if differs else version
    commit = package.origin.commit if package.origin else None
    differs = commit and (
        row is None or not version or (_commit(row) and same_python(version, row["version"]))
    )
    return f"{version} at {commit[:_SHORT_COMMIT]}".strip() if differs and commit else version


def _found(packages: Iterable[LockedPackage], row: Row) -> str:
    """Return what is installed, in the same words."""
    version = str(row["version"])
    first = next(iter(packages))
    if first.ecosystem == "conda":
        named = any(item.build and same_conda(item.version or "", version) for item in packages)
        return f"{version} {row.get('build', '')}".strip() if named else version
    commit = _commit(row)
    named = any(
        item.origin
        and item.origin.commit
        and (not item.version or same_python(item.version, version))
        for item in packages
    )
    return f"{version} at {commit[:_SHORT_COMMIT]}" if commit and named else version
