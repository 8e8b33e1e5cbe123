"""A conda package by the URL of its file, which says name, version, build and platform."""

from collections.abc import Iterable
from dataclasses import replace

from gitprov.capture.environments.locks.lock import LockedPackage
from gitprov.capture.environments.locks.reading import (
    conda_file,
    conda_name,
    file_of,
    hashes_of,
    url_of,
    version_of,
)

_NO_PLATFORM = "noarch"


def package_of(
    url: str | None,
    digests: Iterable[str | None],
    *,
    platform: str | None = None,
    groups: tuple[str, ...] = (),
    optional: bool = False,
) -> LockedPackage | None:
    """Return the package; None where the URL is no conda package's.

    `platform` is what it was locked for, where that is known; else the folder in its URL says it.
    """
    url = url_of(url)
    file = file_of(url=url, hashes=hashes_of(*digests)) if url else None
    parts = conda_file(file.name) if file else None
    if url is None or file is None or parts is None:
        return None
    name, version = conda_name(parts[0]), version_of(parts[1])
    if name is None or version is None:
        return None
    channel, _, folder = url.rpartition("/")[0].rpartition("/")
    if platform is None and folder != _NO_PLATFORM:
        platform = folder
    return LockedPackage(
        ecosystem="conda",
        name=name,
        version=version,
        files=(replace(file, kind="conda"),),
        groups=groups,
        optional=optional,
        index=channel,
        platform=platform,
        build=parts[2],
    )
