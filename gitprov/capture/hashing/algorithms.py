"""The digests that a file may have, by name."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Protocol

from gitprov.errors import InputError, MissingDependency

# Bytes of each one's digests.
SIZES = {"sha256": 32, "blake3": 32, "md5": 16}


class Hash(Protocol):
    """A digest under way, as hashlib has it."""

    def update(self, data: "bytes | memoryview", /) -> object:
        """Take the next bytes."""

    def digest(self) -> bytes:
        """Return the digest of all bytes so far."""


def width(algorithms: Sequence[str]) -> int:
    """Return the bytes of the digests of one file, one after the other."""
    return sum(SIZES[name] for name in algorithms)


def split(algorithms: Sequence[str], digests: bytes) -> dict[str, bytes]:
    """Return the digests of one file by algorithm."""
    found, start = {}, 0
    for name in algorithms:
        found[name] = digests[start : start + SIZES[name]]
        start += SIZES[name]
    return found


def hashes(algorithms: Sequence[str]) -> list[Callable[[], Hash]]:
    """Return what begins the digests; raise InputError, MissingDependency."""
    return [_hash(name) for name in algorithms]


def _hash(name: str) -> Callable[[], Hash]:
    match name:
        case "sha256":
            return hashlib.sha256
        case "md5":  # only to speak with those who name files by it
            return _md5
        case "blake3":
            try:
                # Late: an extra, for those who ask for it.
                from blake3 import blake3  # noqa: PLC0415
            except ImportError as error:
                raise MissingDependency(
                    "blake3 digests need a package: pip install 'gitprov[blake3]'"
                ) from error
            new: Callable[[], Hash] = blake3
            return new
        case _:
            known = ", ".join(name for name in SIZES if name != "md5")
            raise InputError(f"there is no digest {name!r} here; prov.data.digest takes {known}")


def _md5() -> Hash:
    return hashlib.md5(usedforsecurity=False)
