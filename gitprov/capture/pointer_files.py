"""What stands in a repository for content that is kept elsewhere: git-lfs, git-annex, git-fat."""

import re
from typing import NamedTuple

LFS = b"version https://git-lfs.github.com/spec/"
ANNEX = b"/annex/objects/"
GIT_FAT = b"#$# git-fat "
POINTERS = (LFS, ANNEX, GIT_FAT)
# Neither tool takes a larger file for a pointer.
MAX_LFS_BYTES = 1024
MAX_ANNEX_BYTES = 32 << 10

_OID = re.compile(rb"^oid (sha256:[0-9a-f]{64})$", re.MULTILINE)
_SIZE = re.compile(rb"^size ([0-9]{1,19})$", re.MULTILINE)
_KEY = re.compile(r"(?P<backend>[A-Z0-9_]+)(?P<fields>(-[a-zA-Z][0-9]+)*)--(?P<name>.+)")


class LfsPointer(NamedTuple):
    """The content that a git-lfs pointer stands for: `sha256:<hex>`, and size in bytes."""

    oid: str
    size: int


class AnnexKey(NamedTuple):
    """The name that git-annex gives to content; in most backends, a digest is in `name`."""

    key: str
    backend: str
    name: str


def lfs_pointer(data: bytes) -> LfsPointer | None:
    """Return what a file of git-lfs says; None where `data` is none."""
    if not data.startswith(LFS) or len(data) >= MAX_LFS_BYTES:
        return None
    oid, size = _OID.search(data), _SIZE.search(data)
    return LfsPointer(oid[1].decode(), int(size[1])) if oid and size else None


def annex_pointer(data: bytes) -> AnnexKey | None:
    """Return the key that an unlocked file of git-annex stands for; None where `data` is none."""
    if not data.startswith(ANNEX) or len(data) >= MAX_ANNEX_BYTES:
        return None
    line = data.removeprefix(ANNEX).partition(b"\n")[0]
    return annex_key(line.decode("utf-8", "replace"))


def annex_key(text: str) -> AnnexKey | None:
    """Return a key in its parts; None where `text` is none."""
    match = _KEY.fullmatch(text)
    return AnnexKey(text, match["backend"], match["name"]) if match else None
