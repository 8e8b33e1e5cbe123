"""pixi.lock, of versions 4 to 7: conda's and PyPI's packages by their URLs, for each platform.

Which environments and platforms a package is for stands apart from the packages. Up to version 5 a
package says its `kind` and its `url`; from 6 on, it is named by them.
"""

import re
from collections import defaultdict
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
    url_of,
    version_of,
    yaml_map,
)

_VERSIONS = ("4", "5", "6", "7")
_KINDS = ("conda", "pypi")
_URL = re.compile(r"(?:git\+)?[a-z][a-z0-9+.-]+://.*")

Uses = dict[tuple[str, str], list[tuple[str, str]]]


def read(path: str, data: bytes) -> Lock:
    """Return what a pixi.lock says; raise InputError where it is none that is known."""
    document = yaml_map(path, data)
    if text_of(document, "version") not in _VERSIONS:
        raise damaged(path, "is of no known version of pixi.lock")
    uses = _uses(document)
    packages: list[LockedPackage] = []
    for item in maps_of(document, "packages"):
        kind = text_of(item, "kind") or next((key for key in _KINDS if key in item), "")
        url = text_of(item, kind) or text_of(item, "url") or text_of(item, "path") or ""
        digests = digests_of({key: item.get(key) for key in ("sha256", "md5")})
        by_platform: dict[str, list[str]] = defaultdict(list)
        for platform, environment in uses.get((kind, url), ()):
            by_platform[platform].append(environment)
        for platform, environments in by_platform.items():
            groups = tuple(dict.fromkeys(environments))
            if kind == "conda":
                texts = tuple(f"{name}:{value}" for name, value in digests.items())
                package = package_of(url, texts, platform=platform, groups=groups)
            else:
                package = _python_package(item, url, digests, platform, groups)
            if package:
                packages.append(package)
    return Lock(path=path, kind="pixi", packages=tuple(packages))


def _uses(document: dict[str, Any]) -> Uses:
    """Return for which platforms and environments each package is, by its kind and URL."""
    uses: Uses = defaultdict(list)
    for environment, said in map_of(document, "environments").items():
        platforms = map_of(said, "packages")
        for platform in platforms:
            for item in maps_of(platforms, platform):
                for kind in _KINDS:
                    if url := text_of(item, kind):
                        uses[kind, url].append((platform, environment))
    return uses


def _python_package(
    item: dict[str, Any],
    url: str,
    digests: dict[str, str],
    platform: str,
    groups: tuple[str, ...],
) -> LockedPackage | None:
    name = python_name(text_of(item, "name"))
    if name is None:
        return None
    file = file_of(url=url_of(url), hashes=digests) if _URL.fullmatch(url) else None
    origin = None
    if file is None or url.startswith("git+"):
        origin = origins.from_requirement(url)
    return LockedPackage(
        ecosystem="pypi",
        name=name,
        version=version_of(text_of(item, "version")),
        files=(file,) if file and origin is None else (),
        origin=origin,
        editable=text_of(item, "editable") == "true",
        groups=groups,
        platform=platform,
    )
