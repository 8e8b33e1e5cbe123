"""Writing objects: one pack a batch, protected until something refers to it.

Loose objects beside `git gc --prune=now` are not safe until a ref reaches them. A pack that
arrives through `git index-pack --keep` is: gc leaves packs with a `.keep` file alone. So a batch
is added, a ref is moved, and only then the protection goes (`Written.release`).
"""

import hashlib
import tempfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, NamedTuple

from gitprov.errors import GitFailed
from gitprov.store.consolidation import remember_pack, remembered_packs
from gitprov.store.durable import sync_folders
from gitprov.store.git import Git, syncing
from gitprov.store.objects import (
    MODE_FILE,
    MODE_TREE,
    Commit,
    TreeEntry,
    encode_commit,
    encode_tree,
    object_id,
)

_TYPES = {"commit": 1, "tree": 2, "blob": 3}
# Above this, records get no smaller, and it takes longer.
_LEVEL = 4
# The tree of one record: it is mostly hashes, and compressing it saves nothing.
_TINY = 128
_ATTEMPTS = 4
_KEEP_MESSAGE = "gitprov: being linked"
# So much is held in memory; more goes to a file.
_HELD_BYTES = 16 << 20
_CHUNK_BYTES = 1 << 20
_HEADER_BYTES = 12

# A folder's content by name: a blob's bytes, a sub-folder, or the id of an object that is there.
Files = Mapping[str, "bytes | Files | Existing"]


class Existing(NamedTuple):
    """An object that is already reachable from a ref of ours."""

    mode: int
    oid: str


class Written(NamedTuple):
    """A pack in the object store, and the file that keeps gc from it."""

    common_dir: Path
    name: str | None

    def release(self) -> None:
        """Let gc treat the pack as any other; call it once a ref reaches its objects."""
        if self.name is not None:
            _keep_file(self.common_dir, self.name).unlink(missing_ok=True)


class PackBuilder:
    """Objects to be written together. Adding one twice costs nothing."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._file: IO[bytes] | None = None

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, oid: str) -> bool:
        return oid in self._names

    def add(self, kind: str, data: bytes) -> str:
        """Add an object and return its name."""
        oid = object_id(kind, data)
        if oid not in self._names:
            self._names.add(oid)
            level = _LEVEL if len(data) > _TINY else 0
            entry = _entry_header(_TYPES[kind], len(data)) + zlib.compress(data, level)
            self._held.append(entry)
            self._held_bytes += len(entry)
            if self._held_bytes > _HELD_BYTES:
                self._put_down()
        return oid

    def add_commit(self, commit: Commit) -> str:
        """Add a commit and return its name."""
        return self.add("commit", encode_commit(commit))

    def add_tree(self, files: Files) -> str:
        """Add a folder with all that is in it and return the tree's name."""
        entries = []
        for name, content in files.items():
            if isinstance(content, bytes):
                entries.append(TreeEntry(MODE_FILE, name.encode(), self.add("blob", content)))
            elif isinstance(content, Existing):
                entries.append(TreeEntry(content.mode, name.encode(), content.oid))
            else:
                entries.append(TreeEntry(MODE_TREE, name.encode(), self.add_tree(content)))
        return self.add("tree", encode_tree(entries))

    def write(
        self, git: Git, common_dir: Path, *, fsync: bool = True, strict: bool = True
    ) -> Written:
        """Store all objects as one pack, synced and kept from gc.

        With `strict`, git checks their form and that what they refer to is there. Raises GitFailed
        where git does not take them; nothing is stored then.
        """
        if not self._names:
            return Written(common_dir, None)
        pack, name = self._packed()
        # Before git makes its `.keep` file, which tells nothing where git dies at it.
        remember_pack(common_dir, name, fsync=fsync)
        _index(git, pack, strict=strict, fsync=fsync)
        if fsync:
            sync_folders([common_dir / "objects" / "pack"])
        return Written(common_dir, name)

    def _put_down(self) -> None:
        """Write what is held to a file that nobody else sees."""
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 -- it is gone with the builder
            self._file.write(self._header())  # has its number once all are there
        self._file.writelines(self._held)
        self._held, self._held_bytes = [], 0

    def _packed(self) -> tuple[bytes | IO[bytes], str]:
        """Return the pack and the checksum at its end."""
        checksum = hashlib.sha1(self._header(), usedforsecurity=False)
        if self._file is None:
            for entry in self._held:
                checksum.update(entry)
            pack = b"".join([self._header(), *self._held, checksum.digest()])
            return pack, checksum.hexdigest()
        self._put_down()
        self._file.seek(0)
        self._file.write(self._header())
        self._file.seek(_HEADER_BYTES)
        while chunk := self._file.read(_CHUNK_BYTES):
            checksum.update(chunk)
        self._file.write(checksum.digest())
        return self._file, checksum.hexdigest()

    def _header(self) -> bytes:
        return b"PACK" + (2).to_bytes(4, "big") + len(self._names).to_bytes(4, "big")


def _keep_file(common_dir: Path, name: str) -> Path:
    return common_dir / "objects" / "pack" / f"pack-{name}.keep"


def _index(git: Git, pack: bytes | IO[bytes], *, strict: bool, fsync: bool) -> None:
    """Let git take a pack in."""
    arguments = ["--stdin", f"--keep={_KEEP_MESSAGE}", *(["--strict"] if strict else [])]
    config = syncing(fsync=fsync)
    for _ in range(_ATTEMPTS - 1):
        # `git gc --prune=now` removes temporary files that are in use, index-pack's too.
        with suppress(GitFailed):
            git.run("index-pack", *arguments, stdin=pack, config=config)
            return
    git.run("index-pack", *arguments, stdin=pack, config=config)


def release_leftovers(common_dir: Path) -> None:
    """Let go of packs whose writer died before it could; only for who holds the lock."""
    for path in leftovers(common_dir):
        path.unlink(missing_ok=True)


def leftovers(common_dir: Path) -> list[Path]:
    """Return the files that keep packs of ours from gc; under the lock, their makers are dead."""
    ours = remembered_packs(common_dir)
    found = []
    for path in (common_dir / "objects" / "pack").glob("pack-*.keep"):
        text = path.read_text(errors="replace").strip("\0\n")
        # Power loss takes any part of what was not synced.
        cut = path.stem.removeprefix("pack-") in ours and text in _KEEP_MESSAGE
        if cut or text == _KEEP_MESSAGE:
            found.append(path)
    return found


def _entry_header(kind: int, size: int) -> bytes:
    """Return the type and size of a pack entry: 4 bits of size, then 7 bits a byte."""
    byte, size = (kind << 4) | (size & 0x0F), size >> 4
    header = bytearray()
    while size:
        header.append(byte | 0x80)
        byte, size = size & 0x7F, size >> 7
    header.append(byte)
    return bytes(header)
