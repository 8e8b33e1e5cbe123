"""conda-lock.yml, of version 1: for several platforms, with packages of pip's beside conda's."""

from typing import Any

from gitprov.capture.environments.locks import origins
from gitprov.capture.environments.locks.conda_files import package_of
from gitprov.capture.environments.locks.lock import Lock, LockedPackage
from gitprov.capture.environments.locks.reading import (
    damaged,
    digests_of,
    file_of,
    map_of,
    maps_of,
    python_name,
    text_of,
    version_of,
    yaml_map,
)

_VERSION = "1"


def read(path: str, data: bytes) -> Lock:
    """Return what a conda-lock.yml says; raise InputError where it is none that is known."""
    document = yaml_map(path, data)
    if text_of(document, "version") != _VERSION:
        raise damaged(path, f"is of a version of conda-lock.yml other than {_VERSION}")
    packages = (_package(item) for item in maps_of(document, "package"))
    return Lock(path=path, kind="conda-lock", packages=tuple(item for item in packages if item))


def _package(item: dict[str, Any]) -> LockedPackage | None:
    hashes = digests_of(map_of(item, "hash"))
    category, platform = text_of(item, "category"), text_of(item, "platform")
    groups = (category,) if category else ()
    optional = text_of(item, "optional") == "true"
    url = text_of(item, "url")
    if text_of(item, "manager") == "conda":
        digests = tuple(f"{name}:{value}" for name, value in hashes.items())
        return package_of(url, digests, platform=platform, groups=groups, optional=optional)
    name = python_name(text_of(item, "name"))
    if text_of(item, "manager") != "pip" or name is None:
        return None
    source = map_of(item, "source")
    origin = origins.archive(url) if text_of(source, "type") == "url" else None
    file = file_of(url=url, hashes=hashes)
    return LockedPackage(
        ecosystem="pypi",
        name=name,
        version=version_of(text_of(item, "version")),
        files=(file,) if file else (),
        origin=origin,
        groups=groups,
        optional=optional,
        platform=platform,
    )
