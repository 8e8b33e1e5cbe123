"""What stands in a record for a secret: a commitment under a key that never leaves the clone.

HMAC-SHA256 of the secret under the clone's own key, cut to 128 bits. Equal secrets of a clone have
equal commitments; who has key and secret can prove which secret it was; without the key nobody can
try values. Specification: section 5.15.
"""

import hashlib
import hmac
import os
import re
from contextlib import suppress
from pathlib import Path

from gitprov.errors import StoreDamaged
from gitprov.store.durable import sync_folders

SALT_BYTES = 32
COMMITMENT = re.compile(r"\{secret:[0-9a-f]{32}\}")

_DIGITS = 32


def commitment(salt: bytes, value: str) -> str:
    """Return what stands for a secret. The UTF-8 of the value counts."""
    digest = hmac.digest(salt, value.encode("utf-8", "surrogateescape"), hashlib.sha256)
    return f"{{secret:{digest.hex()[:_DIGITS]}}}"


def load_salt(prov_dir: Path) -> bytes:
    """Return the clone's key, made when it is first needed; only its owner may read it.

    Raises StoreDamaged where the file holds something else, OSError where none can be made.
    """
    path = prov_dir / "salt"
    try:
        salt = path.read_bytes()
    except FileNotFoundError:
        _make_salt(path)
        salt = path.read_bytes()
    if len(salt) != SALT_BYTES:
        raise StoreDamaged(
            f"{path} is damaged; move it away to get a new key, under which commitments differ"
        )
    return salt


def _make_salt(path: Path) -> None:
    """Write a new key whole, and only if no other process was quicker."""
    temporary = path.with_name(f".salt.{os.getpid()}.{os.urandom(4).hex()}.tmp")
    path.parent.mkdir(exist_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        try:
            os.write(descriptor, os.urandom(SALT_BYTES))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folders([path.parent])
