"""Listings: what a folder held, file by file (specification, section 6).

A listing is a sequence of canonical documents, one a file, in the order of the paths' bytes; so
it may be as long as the folder, where one document is limited.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from gitprov.codec import canonical


def encode_listing(files: Iterable[Mapping[str, Any]]) -> bytes:
    """Return the bytes of a listing; each item has `path` and `mode`, and what goes with it."""
    return b"".join(canonical.encode(file) for file in sorted(files, key=_path_bytes))


def _path_bytes(file: Mapping[str, Any]) -> bytes:
    path: str | bytes = file["path"]
    return path if isinstance(path, bytes) else path.encode()
