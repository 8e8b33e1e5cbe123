"""Pipfile.lock of pipenv: JSON, with hashes of files that it does not name."""

from typing import Any

from gitprov.capture.environments.locks import origins
from gitprov.capture.environments.locks.lock import Lock, LockedPackage
from gitprov.capture.environments.locks.reading import (
    damaged,
    json_map,
    map_of,
    maps_of,
    python_name,
    text_of,
    texts_of,
    version_of,
)
from gitprov.capture.environments.locks.requirements import unnamed_files
from gitprov.model.environment import Origin


def read(path: str, data: bytes) -> Lock:
    """Return what a Pipfile.lock says; raise InputError where it is none."""
    document = json_map(path, data)
    meta = map_of(document, "_meta")
    if not meta:
        raise damaged(path, "has no _meta, as a Pipfile.lock has")
    indexes = {text_of(item, "name"): text_of(item, "url") for item in maps_of(meta, "sources")}
    packages = [
        package
        for group in document
        if group != "_meta"
        for written in map_of(document, group)
        if (package := _package(written, map_of(document[group], written), group, indexes))
    ]
    return Lock(path=path, kind="pipfile", packages=tuple(packages))


def _package(
    written: str, item: dict[str, Any], group: str, indexes: dict[str | None, str | None]
) -> LockedPackage | None:
    name = python_name(written)
    if name is None:
        return None
    return LockedPackage(
        ecosystem="pypi",
        name=name,
        version=version_of((text_of(item, "version") or "").removeprefix("==")),
        files=unnamed_files(texts_of(item, "hashes")),
        origin=_origin(item),
        editable=item.get("editable") is True,
        marker=text_of(item, "markers"),
        groups=(group,),
        index=indexes.get(text_of(item, "index")),
    )


def _origin(item: dict[str, Any]) -> Origin | None:
    if url := text_of(item, "git"):
        return origins.repository(
            "git", url, text_of(item, "ref"), subdirectory=text_of(item, "subdirectory")
        )
    if url := text_of(item, "file"):
        return origins.archive(url)
    return origins.directory(text_of(item, "path"))
