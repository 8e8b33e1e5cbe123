"""uv.lock: universal, with the URLs of all files. Format version 1, in all of its revisions."""

from typing import Any

from gitprov.capture.environments.locks import origins
from gitprov.capture.environments.locks.lock import Lock, LockedFile, LockedPackage
from gitprov.capture.environments.locks.reading import (
    damaged,
    file_of,
    hashes_of,
    map_of,
    maps_of,
    name_in,
    python_name,
    text_of,
    texts_of,
    toml,
    version_of,
)
from gitprov.model.environment import Origin

_VERSION = 1


def read(path: str, data: bytes) -> Lock:
    """Return what a uv.lock says; raise InputError where it is none that is known."""
    document = toml(path, data)
    if document.get("version") != _VERSION:
        raise damaged(path, f"is of a version of uv.lock other than {_VERSION}")
    packages = (_package(item) for item in maps_of(document, "package"))
    return Lock(path=path, kind="uv", packages=tuple(item for item in packages if item))


def _package(item: dict[str, Any]) -> LockedPackage | None:
    name = python_name(text_of(item, "name"))
    if name is None:
        return None
    source = map_of(item, "source")
    markers = texts_of(item, "resolution-markers")
    return LockedPackage(
        ecosystem="pypi",
        name=name,
        version=version_of(text_of(item, "version")),
        files=tuple(_files(item)),
        origin=_origin(source, item),
        editable="editable" in source,
        marker=" or ".join(f"({marker})" for marker in markers) or None,
        index=text_of(source, "registry"),
    )


def _files(item: dict[str, Any]) -> list[LockedFile]:
    found = [map_of(item, "sdist"), *maps_of(item, "wheels")]
    files = (
        file_of(
            name=text_of(file, "filename") or name_in(text_of(file, "path") or "") or None,
            url=text_of(file, "url"),
            hashes=hashes_of(text_of(file, "hash")),
            size=file.get("size"),
        )
        for file in found
    )
    return [file for file in files if file]


def _origin(source: dict[str, Any], item: dict[str, Any]) -> Origin | None:
    """Return the source: a repository as `URL?rev=main&subdirectory=x#COMMIT`."""
    if git := text_of(source, "git"):
        url, _, commit = git.partition("#")
        url, _, query = url.partition("?")
        said = dict(part.partition("=")[::2] for part in query.split("&"))
        revision = said.get("rev") or said.get("tag") or said.get("branch")
        return origins.repository(
            "git", url, commit, revision=revision, subdirectory=said.get("subdirectory")
        )
    if archive := text_of(source, "url"):
        digests = [map_of(item, "sdist"), *maps_of(item, "wheels")]
        return origins.archive(
            archive,
            *(text_of(file, "hash") for file in digests),
            subdirectory=text_of(source, "subdirectory"),
        )
    for kind in ("editable", "virtual", "directory"):
        if folder := text_of(source, kind):
            return origins.directory(folder)
    if path := text_of(source, "path"):
        return origins.archive(path)
    return None
