"""Captures of remote data without a repository, and of the same data as a local folder."""

import hashlib
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from gitprov.capture.data.folders import FolderCapture
from gitprov.capture.data.options import Captured, DataOptions
from gitprov.capture.data.remote import capture_remote
from gitprov.capture.data.stat_cache import StatCache
from gitprov.capture.hashing.pool import Pool
from gitprov.store.objects import decode_tree

# Empty files, odd names, folders in folders, and a name between a folder and what it holds.
FILES = {
    "a.csv": b"1,2\n",
    "a/b.csv": b"3,4\n",
    "a/b/c d é.bin": b"\0" * 70_000,
    "empty": b"",
    "odd + name & #1?.txt": b"odd",
    "z/y/x/deep": b"deep",
}


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


class Captures:
    """Captures with one cache, whose git objects are kept here."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.objects: dict[str, tuple[str, bytes]] = {}

    def add(self, kind: str, data: bytes) -> str:
        """Take a git object."""
        oid = hashlib.sha1(  # noqa: S324 -- git's
            b"%s %d\0" % (kind.encode(), len(data)) + data
        ).hexdigest()
        self.objects[oid] = (kind, data)
        return oid

    def new_listing(self) -> "Captures":
        """Return what takes the objects of a listing."""
        return self

    def keep(self, sha256_of_node: bytes, tree: str) -> None:
        """Compare the topmost node with its digest, where it is stored."""
        kind, data = self.objects[tree]
        assert kind == "tree"
        [node] = [entry.oid for entry in decode_tree(data) if entry.name == b"node"]
        assert sha256(self.objects[node][1]) == sha256_of_node

    def discard(self) -> None:
        """Forget nothing."""

    def all(self, uri: str, **options: Any) -> list[Captured]:
        """Capture what a URI stands for."""
        found = capture_remote(
            uri,
            options=DataOptions(**options),
            seen="declared",
            listings=self,
            prov_dir=self.folder,
            cwd=self.folder,
        )
        return list(found)

    def one(self, uri: str, **options: Any) -> Captured:
        """Capture one artifact."""
        [captured] = self.all(uri, **options)
        return captured

    def root(self, uri: str, **options: Any) -> bytes:
        """Return the root of a prefix of which everything could be read."""
        captured = self.one(uri, **options)
        assert captured.left_out == {}
        assert captured.artifact.kind == "tree"
        assert captured.tree in self.objects
        return captured.artifact.digest["sha256"]

    def local_root(self, folder: Path, files: Mapping[str, bytes] = FILES) -> bytes:
        """Return the root of a local folder with these files."""
        write(folder, files)
        cache = StatCache(folder.parent / "stat-cache.sqlite", ["sha256"])
        with closing(Pool(1)) as pool, closing(cache):
            capture = FolderCapture(cache, pool, self.add, lambda _: ())
            found = capture.capture(bytes(folder))
        assert found.left_out == {}
        return found.folder.sha256


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files below a folder."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
