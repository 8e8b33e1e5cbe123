"""poetry.lock, of lock versions 1.0 to 2.1: file names and hashes, no URLs.

Version 1 has the files of all packages in one table, `[metadata.files]`, and before 1.1 their
hashes alone. Version 2.1 added groups and markers.
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
    """Return what a poetry.lock says; raise InputError where it is none that is known."""
    document = toml(path, data)
    metadata = map_of(document, "metadata")
    version = text_of(metadata, "lock-version") or "1.0"
    if not metadata or version.partition(".")[0] not in ("1", "2"):
        raise damaged(path, "is of no known version of poetry.lock")
    files = map_of(metadata, "files")
    packages = (_package(item, files) for item in maps_of(document, "package"))
    return Lock(path=path, kind="poetry", packages=tuple(item for item in packages if item))


def _package(item: dict[str, Any], files: dict[str, Any]) -> LockedPackage | None:
    name = python_name(text_of(item, "name"))
    if name is None:
        return None
    found = item if "files" in item else {"files": files.get(text_of(item, "name") or "")}
    source = map_of(item, "source")
    category = text_of(item, "category")
    return LockedPackage(
        ecosystem="pypi",
        name=name,
        version=version_of(text_of(item, "version")),
        files=tuple(_files(found)),
        origin=_origin(source),
        editable=item.get("develop") is True,
        marker=_marker(item.get("markers")),
        groups=texts_of(item, "groups") or ((category,) if category else ()),
        optional=item.get("optional") is True,
        index=text_of(source, "url") if text_of(source, "type") == "legacy" else None,
    )


def _files(item: dict[str, Any]) -> list[LockedFile]:
    files = (
        file_of(
            name=text_of(file, "file"),
            url=text_of(file, "url"),
            hashes=hashes_of(text_of(file, "hash")),
            size=file.get("size"),
        )
        for file in maps_of(item, "files")
    )
    return [file for file in files if file]


def _marker(markers: Any) -> str | None:
    """Return the marker; where each group has its own, all of them."""
    if isinstance(markers, str):
        return markers or None
    if isinstance(markers, dict):
        each = [marker for marker in markers.values() if isinstance(marker, str)]
        return " or ".join(f"({marker})" for marker in each) or None
    return None


def _origin(source: dict[str, Any]) -> Origin | None:
    kind, url = text_of(source, "type"), text_of(source, "url")
    if kind == "git":
        return origins.repository(
            "git",
            url,
            text_of(source, "resolved_reference"),
            revision=text_of(source, "reference"),
            subdirectory=text_of(source, "subdirectory"),
        )
    if kind in ("url", "file"):
        return origins.archive(url, subdirectory=text_of(source, "subdirectory"))
    return origins.directory(url) if kind == "directory" else None
