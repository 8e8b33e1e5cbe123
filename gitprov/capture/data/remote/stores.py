"""What is asked of a store, whichever driver of fsspec speaks to it.

A driver that has no module of its own here is asked in the common words of fsspec: it may change an
object while it is read, so who reads looks at it before and after.
"""

from collections.abc import Iterator
from typing import Any

from gitprov.capture.data.remote.said import Said, said
from gitprov.capture.data.remote.schemes import Opened

_CHUNK_BYTES = 1 << 20
# So many objects are read at once, where the driver is made for it: the network is what takes time.
_THREADS = 16
_MAGIC = frozenset("*?[")


class ChangedMeanwhile(Exception):
    """The object is not the one that was asked for any more."""


class Store:
    """A store, through its driver. Methods raise whatever the driver raises."""

    # Whether what `chunks` yields is of one version of the object, and of the one asked for.
    is_pinned = False
    # Whether objects may be opened to learn what the store says of them.
    may_read = True

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self._fs: Any = opened.fs

    @property
    def path(self) -> str:
        """The path that the URI stands for."""
        return self._opened.path

    @property
    def threads(self) -> int:
        """How many objects may be read at once."""
        return _THREADS if self._fs.async_impl else 1

    def uri(self, path: str) -> str:
        """Return the URI of a path."""
        return self._opened.uri(path)

    def stat(self, path: str) -> Said | None:
        """Return what the store says of a path now; None where there is nothing."""
        try:
            return said(path, self._fs.info(path))
        except FileNotFoundError:
            return None

    def version(self, path: str, version: str) -> Said | None:
        """Return what the store says of a version; None where it does not have it any more."""
        found = self.stat(path)
        return found if found and found.remote.get("version_id") == version else None

    def glob(self) -> list[str]:
        """Return the paths that the URI matches, as a pattern."""
        if _MAGIC.isdisjoint(self.path):
            return []
        return sorted(self._fs.glob(self.path))

    def below(self, top: str) -> Iterator[Said]:
        """Yield what is below a folder, in any order: objects, and folders, which may be empty."""
        waiting = [top]
        while waiting:
            folder = waiting.pop()
            for info in self._fs.ls(folder, detail=True):
                path = info["name"].rstrip("/")
                if path.strip("/") == folder.strip("/"):
                    continue
                found = said(path, info)
                if found.is_folder:
                    waiting.append(path)
                elif info.get("type") != "file":
                    found = self._followed(found)
                yield found

    def chunks(self, of: Said) -> Iterator[bytes]:
        """Yield the bytes of an object; raise ChangedMeanwhile where that is seen."""
        with self._fs.open(of.path, "rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                yield chunk

    def _followed(self, link: Said) -> Said:
        """Return what a link leads to where that is a file, else the link, without a size."""
        info = self._fs.info(link.path)
        return said(link.path, info) if info.get("type") == "file" else Said(link.path)
