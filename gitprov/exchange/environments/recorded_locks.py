"""What the lock files of a recorded environment say of the versions that were installed."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from gitprov.capture.environments.locks import read_lock
from gitprov.capture.environments.locks.lock import Lock, LockedPackage
from gitprov.capture.environments.versions import normal_form
from gitprov.errors import GitprovError
from gitprov.model.environment import Environment


@dataclass(frozen=True, slots=True)
class RecordedLocks:
    """The locks that could be read, and Python's packages in them by name; `unread` says why."""

    locks: tuple[Lock, ...]
    unread: tuple[str, ...]
    by_name: Mapping[str, tuple[LockedPackage, ...]]

    @classmethod
    def of(cls, environment: Environment) -> "RecordedLocks":
        """Read the locks of an environment."""
        locks: list[Lock] = []
        unread: list[str] = []
        by_name: dict[str, list[LockedPackage]] = defaultdict(list)
        for path in sorted(environment.locks):
            try:
                lock = read_lock(path, environment.locks[path])
            except GitprovError as error:
                unread.append(str(error))
                continue
            if lock is None:
                continue
            locks.append(lock)
            for package in lock.packages:
                if package.ecosystem == "pypi":
                    by_name[package.name].append(package)
        return cls(tuple(locks), tuple(unread), {name: tuple(by_name[name]) for name in by_name})

    def for_version(self, name: str, version: str) -> LockedPackage | None:
        """Return what says most of the files of a package of an index, at this very version."""
        wanted = normal_form(version)
        found = [
            package
            for package in self.by_name.get(name, ())
            if package.version and package.origin is None and normal_form(package.version) == wanted
        ]
        return max(found, key=_told, default=None)

    def hashes_of_url(self, name: str, url: str) -> Mapping[str, str]:
        """Return the digests that a lock has for what a package is installed from."""
        for package in self.by_name.get(name, ()):
            if package.origin is not None and package.origin.url == url:
                if package.origin.hashes:
                    return package.origin.hashes
                for file in package.files:
                    if file.hashes and file.url in (None, url):
                        return file.hashes
        return {}


def _told(package: LockedPackage) -> tuple[int, int]:
    files = [file for file in package.files if file.hashes]
    return sum(1 for file in files if file.url), len(files)
