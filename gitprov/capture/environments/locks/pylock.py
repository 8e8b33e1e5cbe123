"""pylock.toml and pylock.NAME.toml (PEP 751), of lock-version 1."""

from typing import Any

from gitprov.capture.environments.locks import origins
from gitprov.capture.environments.locks.lock import Lock, LockedFile, LockedPackage
from gitprov.capture.environments.locks.reading import (
    damaged,
    digests_of,
    file_of,
    map_of,
    maps_of,
    name_in,
    python_name,
    text_of,
    toml,
    version_of,
)
from gitprov.model.environment import Origin


def read(path: str, data: bytes) -> Lock:
    """Return what a pylock.toml says; raise InputError where it is none that is known."""
    document = toml(path, data)
    version = text_of(document, "lock-version") or ""
    if version.partition(".")[0] != "1":
        raise damaged(path, "has no lock-version 1")
    packages = (_package(item) for item in maps_of(document, "packages"))
    return Lock(path=path, kind="pylock", packages=tuple(item for item in packages if item))


def _package(item: dict[str, Any]) -> LockedPackage | None:
    name = python_name(text_of(item, "name"))
    if name is None:
        return None
    return LockedPackage(
        ecosystem="pypi",
        name=name,
        version=version_of(text_of(item, "version")),
        files=tuple(_files(item)),
        origin=_origin(item),
        editable=map_of(item, "directory").get("editable") is True,
        marker=text_of(item, "marker"),
        index=text_of(item, "index"),
    )


def _files(item: dict[str, Any]) -> list[LockedFile]:
    found = [map_of(item, "sdist"), *maps_of(item, "wheels")]
    files = (
        file_of(
            name=text_of(file, "name") or name_in(text_of(file, "path") or "") or None,
            url=text_of(file, "url"),
            hashes=digests_of(file.get("hashes")),
            size=file.get("size"),
        )
        for file in found
    )
    return [file for file in files if file]


def _origin(item: dict[str, Any]) -> Origin | None:
    if vcs := map_of(item, "vcs"):
        return origins.repository(
            text_of(vcs, "type") or "git",
            text_of(vcs, "url") or text_of(vcs, "path"),
            text_of(vcs, "commit-id"),
            revision=text_of(vcs, "requested-revision"),
            subdirectory=text_of(vcs, "subdirectory"),
        )
    if archive := map_of(item, "archive"):
        return origins.archive(
            text_of(archive, "url") or text_of(archive, "path"),
            *(f"{name}:{value}" for name, value in digests_of(archive.get("hashes")).items()),
            subdirectory=text_of(archive, "subdirectory"),
        )
    folder = map_of(item, "directory")
    return origins.directory(text_of(folder, "path"), text_of(folder, "subdirectory"))
