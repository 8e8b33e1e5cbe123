"""environment.yml of conda: the specifications that pin a version, and those of pip below them.

`numpy=1.26` allows all versions that begin so, as `numpy=1.26.*` does; `==` allows the one.
"""

import re

from gitprov.capture.environments.locks.lock import Lock, LockedPackage
from gitprov.capture.environments.locks.reading import (
    conda_name,
    texts_of,
    version_of,
    yaml_map,
)
from gitprov.capture.environments.locks.requirements import requirement

_SPEC = re.compile(
    r"(?:(?P<channel>[A-Za-z0-9._/-]+)::)?(?P<name>[A-Za-z0-9_][A-Za-z0-9._-]*)\s*"
    r"(?P<sign>==?)\s*(?P<version>[^=\s,|<>!]+)(?:=(?P<build>[^=\s]+))?"
)


def read(path: str, data: bytes) -> Lock:
    """Return what an environment.yml pins; raise InputError where it cannot be read."""
    document = yaml_map(path, data)
    packages = [_conda(text) for text in texts_of(document, "dependencies")]
    items = document.get("dependencies")
    for item in items if isinstance(items, list) else ():
        packages += [requirement(text.strip()) for text in texts_of(item, "pip")]
    named = tuple(package for package in packages if package)
    return Lock(path=path, kind="environment.yml", packages=named)


def _conda(text: str) -> LockedPackage | None:
    found = _SPEC.fullmatch(text.strip())
    name = conda_name(found["name"]) if found else None
    if found is None or name is None:
        return None
    said, build = found["version"], found["build"]
    if found["sign"] == "=" and not build:
        said = said.removesuffix("*").removesuffix(".") + ".*"
    version = version_of(said)
    if version is None:
        return None
    return LockedPackage(
        ecosystem="conda",
        name=name,
        version=version,
        index=found["channel"],
        build=build if build and "*" not in build else None,
    )
