"""The digest of an environment: one value for the files that stand beside the manifest.

It covers names and contents, so two runs have the same digest exactly when their environment
locks are byte for byte the same.
"""

import hashlib
from collections.abc import Mapping

from gitprov.codec.canonical import encode


def environment_digest(files: Mapping[str, bytes]) -> bytes:
    """Return sha256 over the canonical map from each path to the raw sha256 of its file.

    Raises MalformedRecord for a path that is not valid Unicode.
    """
    return digest_of({path: hashlib.sha256(data).digest() for path, data in files.items()})


def digest_of(files: Mapping[str, bytes]) -> bytes:
    """Return the same, of files that are given by the sha256 of their contents."""
    return hashlib.sha256(encode(files)).digest()
