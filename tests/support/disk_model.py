"""A filesystem that keeps nothing but what it was told to sync.

A file's bytes are durable once the file was synced, a name once its folder was. What was not synced
is pending: after a power loss, any part of it may be there, a new name without its content
included. The one promise beyond POSIX is that of every filesystem with a journal: a rename within
a folder happens as a whole, and one between folders never loses the file.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from tests.support.disk_trace import (
    Copied,
    Linked,
    MadeFolder,
    Marked,
    Opened,
    Permitted,
    Removed,
    Renamed,
    Resized,
    Step,
    Synced,
    Written,
)


class Node(NamedTuple):
    """A file's content, or a folder (None)."""

    data: bytes | None
    mode: int = 0o755
    time: float = 0.0


# Everything below the top, by path.
Tree = dict[str, Node]


class Names:
    """A change of a folder's names that was not synced."""

    def __init__(self, folder: "_Folder", about: str, changes: "dict[str, _Inode | None]") -> None:
        self.folder = folder
        self.about = about
        self.changes = changes
        self.synced = False
        self.needs: Names | None = None


class Data:
    """A change of a file's bytes that was not synced."""

    def __init__(
        self, path: str, about: str, offset: int, data: bytes, size: int | None, mode: int
    ) -> None:
        self.path = path
        self.about = f"{about} of {path}"
        self.offset = offset
        self.data = data
        self.size = size
        self.mode = mode


Pending = Names | Data
# How much of a pending change is on the disk, from 0 to 1.
Survival = Callable[[Pending], float]


class _File:
    def __init__(self, data: bytes, mode: int, time: float) -> None:
        self.durable = Node(data, mode, time)
        self.current = self.durable
        self.pending: list[Data] = []

    def change(self, change: Data, time: float) -> None:
        self.pending.append(change)
        self.current = _changed(self.current, change, 1.0)._replace(time=time)

    def sync(self) -> None:
        self.durable, self.pending = self.current, []

    def surviving(self, survival: Survival) -> Node:
        node = self.durable
        for change in self.pending:
            node = _changed(node, change, survival(change))
        return node._replace(time=self.current.time)


class _Folder:
    def __init__(self, time: float) -> None:
        self.durable: dict[str, _Inode] = {}
        self.current: dict[str, _Inode] = {}
        self.pending: list[Names] = []
        self.time = time

    def change(self, change: Names, time: float) -> Names:
        self.pending.append(change)
        _rename(self.current, change)
        self.time = time
        return change

    def sync(self) -> None:
        for change in self.pending:
            change.synced = True
        while self.pending and _is_settled(self.pending[0]):
            _rename(self.durable, self.pending.pop(0))

    def surviving(self, survival: Survival) -> "dict[str, _Inode]":
        names = dict(self.durable)
        for change in self.pending:
            if _survives(change, survival):
                _rename(names, change)
        return names


_Inode = _File | _Folder


class Disk:
    """The files below a folder: as processes see them, and as a power loss may leave them."""

    def __init__(self, top: Path) -> None:
        """Take what is there for durable."""
        self._top = _Folder(top.stat().st_mtime)
        for path in sorted(top.rglob("*")):
            found = path.lstat()
            assert path.is_dir() or path.is_file(), f"{path} is neither a file nor a folder"
            inode = (
                _Folder(found.st_mtime)
                if path.is_dir()
                else _File(path.read_bytes(), found.st_mode & 0o777, found.st_mtime)
            )
            folder, name = self._place(path.relative_to(top).as_posix())
            folder.durable[name] = folder.current[name] = inode

    def apply(self, step: Step) -> None:
        """Do what a process did."""
        change, time = step.change, step.time
        match change:
            case Opened():
                self._open(change, time)
            case Written() | Copied() | Resized() | Permitted():
                file = self._find(change.path)
                assert isinstance(file, _File), change.path
                file.change(self._data(file, change), time)
            case Renamed() | Linked() | Removed() | MadeFolder():
                self._rename(change, time)
            case Synced(path):
                for inode in [self._find(path)] if path is not None else list(self._inodes()):
                    inode.sync()
            case Marked():
                pass

    def pending(self) -> list[Pending]:
        """Return what would be lost with the power, in no order that matters."""
        return [change for inode in self._inodes() for change in inode.pending]

    def kept(self) -> Tree:
        """Return what processes see: what is there after a process was killed."""
        return self.tree(lambda _: 1.0)

    def tree(self, survival: Survival) -> Tree:
        """Return what is there after a power loss of which pending changes survived that much."""
        found: Tree = {}
        waiting: list[tuple[str, _Inode]] = [("", self._top)]
        while waiting:
            path, inode = waiting.pop()
            if isinstance(inode, _Folder):
                found[path] = Node(None, time=inode.time)
                for name, below in inode.surviving(survival).items():
                    waiting.append((f"{path}/{name}" if path else name, below))
            else:
                found[path] = inode.surviving(survival)
        return found

    def _open(self, change: Opened, time: float) -> None:
        folder, name = self._place(change.path)
        inode = folder.current.get(name)
        if inode is None:
            assert change.create, f"{change.path} is not there to be opened"
            made = _File(b"", change.mode, time)
            folder.change(Names(folder, f"name {change.path}", {name: made}), time)
        elif change.empty:
            assert isinstance(inode, _File), change.path
            inode.change(Data(change.path, "emptying", 0, b"", 0, inode.current.mode), time)

    def _data(self, file: _File, change: Written | Copied | Resized | Permitted) -> Data:
        path, content, mode = change.path, file.current.data or b"", file.current.mode
        if isinstance(change, Resized):
            return Data(path, "size", 0, b"", change.size, mode)
        if isinstance(change, Permitted):
            return Data(path, "permissions", 0, b"", None, change.mode)
        if isinstance(change, Copied):
            source = self._find(change.source)
            assert isinstance(source, _File), change.source
            data = (source.current.data or b"")[change.offset :][: change.size]
            return Data(path, "copied bytes", len(content), data, None, mode)
        offset = len(content) if change.offset is None else change.offset
        about = f"bytes {offset} to {offset + len(change.data)}"
        return Data(path, about, offset, change.data, None, mode)

    def _rename(self, change: Renamed | Linked | Removed | MadeFolder, time: float) -> None:
        folder, name = self._place(change.path)
        about = f"{type(change).__name__} {change.path}"
        if isinstance(change, MadeFolder):
            folder.change(Names(folder, about, {name: _Folder(time)}), time)
            return
        if isinstance(change, Removed):
            folder.change(Names(folder, about, {name: None}), time)
            return
        inode = folder.current[name]
        target, new = self._place(change.new)
        about += f" {change.new}"
        if isinstance(change, Linked):
            target.change(Names(target, about, {new: inode}), time)
        elif target.current.get(new) is inode:
            pass  # two names of one file: rename(2) does nothing
        elif target is folder:
            folder.change(Names(folder, about, {name: None, new: inode}), time)
        else:
            added = target.change(Names(target, about, {new: inode}), time)
            folder.change(Names(folder, f"{about} (old name)", {name: None}), time).needs = added

    def _place(self, path: str) -> tuple[_Folder, str]:
        parent, _, name = path.rpartition("/")
        folder = self._find(parent)
        assert isinstance(folder, _Folder), path
        return folder, name

    def _find(self, path: str) -> _Inode:
        inode: _Inode = self._top
        for name in path.split("/") if path else ():
            assert isinstance(inode, _Folder), path
            inode = inode.current[name]
        return inode

    def _inodes(self) -> Iterator[_Inode]:
        """Yield all that is reachable, durably or not."""
        seen: set[int] = set()
        waiting: list[_Inode] = [self._top]
        while waiting:
            inode = waiting.pop()
            if id(inode) in seen:
                continue
            seen.add(id(inode))
            yield inode
            if isinstance(inode, _Folder):
                waiting += [*inode.durable.values(), *inode.current.values()]
                waiting += [
                    below
                    for change in inode.pending
                    for below in change.changes.values()
                    if below is not None
                ]


def _rename(names: dict[str, _Inode], change: Names) -> None:
    for name, inode in change.changes.items():
        if inode is None:
            names.pop(name, None)
        else:
            names[name] = inode


def _is_settled(change: Names) -> bool:
    return change.synced and (change.needs is None or _is_settled(change.needs))


def _survives(change: Names, survival: Survival) -> bool:
    if change.needs is not None and not _survives(change.needs, survival):
        return False
    return change.synced or survival(change) > 0


def _changed(node: Node, change: Data, part: float) -> Node:
    """Return a file's content with as much of a change as survived."""
    content = node.data or b""
    if part <= 0:
        return node
    if change.size is not None:
        content = content[: change.size].ljust(change.size, b"\0")
    elif change.data:
        data = change.data[: max(1, int(len(change.data) * part))]
        content = content.ljust(change.offset, b"\0")
        content = content[: change.offset] + data + content[change.offset + len(data) :]
    return Node(content, change.mode, node.time)


def on_disk(top: Path) -> dict[str, bytes | None]:
    """Return what is below a folder, to be compared with a tree."""
    return {
        path.relative_to(top).as_posix(): path.read_bytes() if path.is_file() else None
        for path in top.rglob("*")
    }


def materialise(tree: Tree, top: Path, *, time_shift: float = 0.0) -> None:
    """Make the empty folder `top` hold a tree, its times shifted."""
    for path in sorted(tree):
        data, mode, _ = tree[path]
        place = os.path.join(top, path)  # noqa: PTH118 -- thousands of times
        if data is None:
            if path:
                os.mkdir(place)  # noqa: PTH102
        else:
            descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            try:
                os.write(descriptor, data)
            finally:
                os.close(descriptor)
    for path, node in tree.items():  # last: a folder's time is that of its latest name
        moment = node.time + time_shift
        os.utime(os.path.join(top, path), (moment, moment))  # noqa: PTH118
