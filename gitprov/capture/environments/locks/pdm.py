"""pdm.lock, of lock versions 3 and 4: file names or URLs, and hashes.

Up to 4.2 the files of all packages stand in one table, `[metadata.files]`, under `name version`.
"""

from typing import Any

from gitprov.capture.environments.locks import origins
from gitprov.capture.environments.locks.lock import Lock, LockedFile, LockedPackage
from gitprov.capture.environments.locks.reading import (
    damaged,
    file_of,
    hashes_of,
    map_of,
    maps_of,
    python_name,
    text_of,
    texts_of,
    toml,
    version_of,
)
from gitprov.model.environment import Origin


def read(path: str, data: bytes) -> Lock:
    """Return what a pdm.lock says; raise InputError where it is none that is known."""
    document = toml(path, data)
    metadata = map_of(document, "metadata")
    if (text_of(metadata, "lock_version") or "").partition(".")[0] not in ("3", "4"):
        raise damaged(path, "is of no known version of pdm.lock")
    files = map_of(metadata, "files")
    packages = (_package(item, files) for item in maps_of(document, "package"))
    return Lock(path=path, kind="pdm", packages=tuple(item for item in packages if item))


def _package(item: dict[str, Any], files: dict[str, Any]) -> LockedPackage | None:
    written, version = text_of(item, "name"), text_of(item, "version")
    name = python_name(written)
    if name is None:
        return None
    found = item if "files" in item else {"files": files.get(f"{written} {version}")}
    return LockedPackage(
        ecosystem="pypi",
        name=name,
        version=version_of(version),
        files=tuple(_files(found)),
        origin=_origin(item),
        editable=item.get("editable") is True,
        marker=text_of(item, "marker"),
        groups=texts_of(item, "groups"),
    )


def _files(item: dict[str, Any]) -> list[LockedFile]:
    files = (
        file_of(
            name=text_of(file, "file"),
            url=text_of(file, "url"),
            hashes=hashes_of(text_of(file, "hash")),
        )
        for file in maps_of(item, "files")
    )
    return [file for file in files if file]


def _origin(item: dict[str, Any]) -> Origin | None:
    if url := text_of(item, "git"):
        return origins.repository(
            "git",
            url,
            text_of(item, "revision"),
            revision=text_of(item, "ref"),
            subdirectory=text_of(item, "subdirectory"),
        )
    if url := text_of(item, "url"):
        return origins.archive(url, *(text_of(file, "hash") for file in maps_of(item, "files")))
    path = text_of(item, "path")
    if path and path.endswith((".whl", ".tar.gz", ".zip")):
        return origins.archive(path)
    return origins.directory(path)
