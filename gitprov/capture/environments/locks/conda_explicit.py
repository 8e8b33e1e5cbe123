"""Explicit lists of conda packages: one URL a line after `@EXPLICIT`, with a digest."""

import re

from gitprov.capture.environments.locks.conda_files import package_of
from gitprov.capture.environments.locks.lock import Lock
from gitprov.capture.environments.locks.reading import damaged, decoded

_EXPLICIT = re.compile(rb"^@EXPLICIT[ \t]*\r?$", re.MULTILINE)
_PLATFORM = re.compile(r"^# *platform: *([a-z0-9-]+) *$", re.MULTILINE)
_MD5_LENGTH = 32


def is_explicit(data: bytes) -> bool:
    """Whether a file is such a list."""
    return _EXPLICIT.search(data) is not None


def read(path: str, data: bytes) -> Lock:
    """Return what the list names; raise InputError where it is none."""
    if not is_explicit(data):
        raise damaged(path, "has no line @EXPLICIT")
    text = decoded(path, data)
    platform = _PLATFORM.search(text)
    packages = []
    for line in text.splitlines():
        url, _, digest = line.strip().partition("#")
        if ":" not in digest:
            digest = f"{'md5' if len(digest) == _MD5_LENGTH else 'sha256'}:{digest}"
        package = package_of(url, (digest,), platform=platform[1] if platform else None)
        if package:
            packages.append(package)
    return Lock(path=path, kind="conda-explicit", packages=tuple(packages))
