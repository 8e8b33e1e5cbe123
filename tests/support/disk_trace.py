"""What a command and all that it starts do to the files below a folder, in order, by strace.

The trace holds every byte written. A call that changes files in a way that is not understood here
raises Untraceable, and whoever replays a trace compares its end with the disk.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

_SECONDS = 120
_LONGEST_STRING = 100_000_000
_CALLS = """
    openat open creat write pwrite64 writev pwritev pwritev2 sendfile copy_file_range lseek mmap
    rename renameat renameat2 link linkat symlink symlinkat unlink unlinkat mkdir mkdirat rmdir
    truncate ftruncate fallocate chmod fchmod fchmodat fsync fdatasync sync syncfs
""".split()
_RELATIVE = frozenset("openat renameat renameat2 linkat unlinkat mkdirat fchmodat".split())
_LINE = re.compile(r"(?P<pid>\d+) +(?P<time>\d+\.\d+) (?P<text>.*)")
_CALL = re.compile(
    r"(?P<name>\w+)\((?P<arguments>.*)\) += (?P<result>0x[0-9a-f]+|\d+)(?:<.*)?\Z", re.DOTALL
)
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>")
_UNFINISHED = " <unfinished ...>"
_TEXT = r'"((?:\\x[0-9a-f]{2})*)"'
_BEHIND = r"<((?:\\x[0-9a-f]{2})*)>(\(deleted\))?"
_FILE = rf"(?:AT_FDCWD|-?\d+){_BEHIND}"


class Untraceable(Exception):
    """A change of files that a trace cannot hold."""


class Opened(NamedTuple):
    """A file was opened for writing: made where it was not there, emptied where asked."""

    path: str
    create: bool
    empty: bool
    mode: int


class Written(NamedTuple):
    """Bytes were written, at an offset or (None) behind the last."""

    path: str
    offset: int | None
    data: bytes


class Copied(NamedTuple):
    """Bytes were copied from another file, to behind the last."""

    path: str
    source: str
    offset: int
    size: int


class Resized(NamedTuple):
    """A file was cut or made longer."""

    path: str
    size: int


class Permitted(NamedTuple):
    """A file's permissions were set."""

    path: str
    mode: int


class Renamed(NamedTuple):
    """A file or folder got another name, in place of what had it."""

    path: str
    new: str


class Linked(NamedTuple):
    """A file got a second name."""

    path: str
    new: str


class Removed(NamedTuple):
    """The name of a file or an empty folder went."""

    path: str


class MadeFolder(NamedTuple):
    """A folder was made."""

    path: str


class Synced(NamedTuple):
    """A file or folder is durable now; with no path, everything is."""

    path: str | None


class Marked(NamedTuple):
    """The command made a file in the folder of marks: it told somebody something."""

    name: str


Change = (
    Opened | Written | Copied | Resized | Permitted | Renamed | Linked | Removed | MadeFolder
    | Synced | Marked
)  # fmt: skip


class Step(NamedTuple):
    """One change, and when it was."""

    time: float
    change: Change


def record(
    command: Sequence[str], top: Path, *, cwd: Path, env: Mapping[str, str], marks: Path
) -> list[Step]:
    """Run a command to its end and return what it changed below `top`, paths relative to it.

    A file that it makes in the folder `marks` is a mark in the trace. A recorded command may exit
    3; any other failure is an AssertionError.
    """
    output = top.parent / "trace"
    done = subprocess.run(
        ["strace", "-f", "-ttt", "-y", "-xx", "-s", str(_LONGEST_STRING), "--seccomp-bpf",
         "-e", "signal=none", "-e", f"trace={','.join(_CALLS)}", "-o", str(output), *command],
        cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        timeout=_SECONDS,
    )  # fmt: skip
    assert done.returncode in {0, 3}, f"{command} exited {done.returncode}\n{done.stderr}"
    reader = _Reader(os.path.realpath(top), os.path.realpath(marks))
    with output.open() as lines:
        steps = list(reader.steps(lines))
    output.unlink()
    return steps


def reason_not_to_record() -> str | None:
    """Return why commands cannot be traced here; None where they can."""
    if shutil.which("strace") is None:
        return "needs strace"
    tried = subprocess.run(
        ["strace", "-f", "--seccomp-bpf", "-o", os.devnull, "true"],
        check=False,
        capture_output=True,
    )
    return None if tried.returncode == 0 else "processes cannot be traced here"


class _Reader:
    """Reads the lines of strace: joins calls that were interrupted, and knows where writes go."""

    def __init__(self, top: str, marks: str) -> None:
        self._top = top
        self._marks = marks
        self._begun: dict[str, str] = {}
        self._folders: dict[str, str] = {}
        # A descriptor that was inherited has no position here: its writes go behind the last.
        self._positions: dict[tuple[str, str, str], int] = {}

    def steps(self, lines: Iterator[str]) -> Iterator[Step]:
        for line in lines:
            found = _LINE.match(line)
            if found is None:
                continue
            pid, text = found["pid"], found["text"]
            if text.endswith(_UNFINISHED):
                self._begun[pid] = text.removesuffix(_UNFINISHED)
                continue
            if resumed := _RESUMED.match(text):
                text = self._begun.pop(pid, "") + text[resumed.end() :]
            if call := _CALL.match(text):
                changes = self._changes(
                    pid, call["name"], call["arguments"], int(call["result"], 0)
                )
                yield from (Step(float(found["time"]), change) for change in changes)

    def _changes(self, pid: str, name: str, arguments: str, result: int) -> Iterator[Change]:
        match name:
            case "write" | "pwrite64" | "writev" | "pwritev" | "pwritev2":
                yield from self._written(pid, name, arguments, result)
            case "openat" | "open" | "creat":
                yield from self._opened(pid, name, arguments, result)
            case "sendfile" | "copy_file_range":
                yield from self._copied(name, arguments, result)
            case "sync" | "syncfs":
                yield Synced(None)
            case "mmap":
                self._refuse_shared_memory(arguments)
            case "lseek" | "fsync" | "fdatasync" | "ftruncate" | "fchmod" | "fallocate":
                if (path := self._file(arguments)) is not None:
                    if name == "lseek":
                        self._positions[pid, arguments.partition("<")[0], path] = result
                    else:
                        yield _of_descriptor(name, path, arguments)
            case _:
                yield from self._named(pid, name, arguments)

    def _refuse_shared_memory(self, arguments: str) -> None:
        if "PROT_WRITE" in arguments and "MAP_SHARED" in arguments:
            path = self._file(arguments.split(", ", 4)[4])
            if path is not None and not path.endswith("-shm"):  # sqlite's, made anew when lost
                raise Untraceable(f"{path} is written through memory")

    def _written(self, pid: str, name: str, arguments: str, size: int) -> Iterator[Change]:
        path = self._file(arguments)
        if path is None:
            return
        data = b"".join(_bytes(text) for text in re.findall(_TEXT, arguments))[:size]
        if len(data) < size:
            raise Untraceable(f"{name} to {path} is cut short in the trace")
        key = (pid, arguments.partition("<")[0], path)
        if name == "pwrite64":
            yield Written(path, int(arguments.rpartition(", ")[2]), data)
        elif name in {"write", "writev"}:
            position = self._positions.get(key)
            if position is not None:
                self._positions[key] = position + size
            yield Written(path, position, data)
        else:
            raise Untraceable(f"{name} to {path}")

    def _opened(self, pid: str, name: str, arguments: str, descriptor: int) -> Iterator[Change]:
        if name == "openat" and (folder := re.match(f"AT_FDCWD{_BEHIND}", arguments)):
            self._folders[pid] = os.fsdecode(_bytes(folder[1]))
        if name != "creat" and not re.search(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC", arguments):
            return
        (path,) = self._paths(pid, name, arguments)
        if path.startswith(self._marks + "/") and "O_CREAT" in arguments:
            yield Marked(path[len(self._marks) + 1 :])
        if (inside := self._inside(path)) is None:
            return
        if "O_TMPFILE" in arguments:
            raise Untraceable(f"{inside} is a file without a name")
        self._positions.pop((pid, str(descriptor), inside), None)
        if "O_APPEND" not in arguments:
            self._positions[pid, str(descriptor), inside] = 0
        mode = re.search(r", (0[0-7]*)\Z", arguments)
        yield Opened(
            inside,
            create=name == "creat" or "O_CREAT" in arguments,
            empty=name == "creat" or "O_TRUNC" in arguments,
            mode=int(mode[1], 8) & ~0o022 if mode else 0o644,
        )

    def _copied(self, name: str, arguments: str, size: int) -> Iterator[Change]:
        files = re.findall(_FILE, arguments)
        target, source = files if name == "sendfile" else reversed(files)
        path = self._inside(os.fsdecode(_bytes(target[0])))
        if path is None or not size:
            return
        origin = self._inside(os.fsdecode(_bytes(source[0])))
        offset = re.search(r", \[(\d+)\]", arguments)
        if name != "sendfile" or origin is None or offset is None:
            raise Untraceable(f"{name} to {path}")
        yield Copied(path, origin, int(offset[1]), size)

    def _named(self, pid: str, name: str, arguments: str) -> Iterator[Change]:
        paths = [self._inside(path) for path in self._paths(pid, name, arguments)]
        if all(path is None for path in paths):
            return
        if None in paths or name.startswith("symlink") or "RENAME_EXCHANGE" in arguments:
            raise Untraceable(f"{name} of {paths}")
        first, *others = (path for path in paths if path is not None)
        if name.startswith("rename"):
            yield Renamed(first, others[0])
        elif name.startswith("link"):
            yield Linked(first, others[0])
        elif name.startswith(("unlink", "rmdir")):
            yield Removed(first)
        elif name.startswith("mkdir"):
            yield MadeFolder(first)
        elif name == "truncate":
            yield Resized(first, int(arguments.rpartition(", ")[2]))
        elif name.startswith("chmod") or name == "fchmodat":
            yield Permitted(first, _mode(arguments))
        else:
            raise Untraceable(name)

    def _paths(self, pid: str, name: str, arguments: str) -> list[str]:
        """Return the paths that a call names, made absolute."""
        if name in _RELATIVE:
            pairs = re.findall(f"{_FILE}, {_TEXT}", arguments)
            pairs = [(folder, text) for folder, _, text in pairs]
        else:
            here = "".join(f"\\x{byte:02x}" for byte in os.fsencode(self._folders.get(pid, "")))
            pairs = [(here, text) for text in re.findall(_TEXT, arguments)]
        found = [Path(*(os.fsdecode(_bytes(part)) for part in pair)) for pair in pairs]
        if not found or not all(path.is_absolute() for path in found):
            raise Untraceable(f"{name}: nobody knows where {found} is")
        return [os.path.normpath(path) for path in found]

    def _file(self, arguments: str) -> str | None:
        """Return the path below the top behind the descriptor that comes first."""
        found = re.match(_FILE, arguments)
        if found is None or found[2]:
            return None
        path = os.fsdecode(_bytes(found[1]))
        return None if path.endswith(" (deleted)") else self._inside(path)

    def _inside(self, path: str) -> str | None:
        if path == self._top:
            return ""
        return path[len(self._top) + 1 :] if path.startswith(self._top + "/") else None


def _of_descriptor(name: str, path: str, arguments: str) -> Change:
    if name in {"fsync", "fdatasync"}:
        return Synced(path)
    if name == "ftruncate":
        return Resized(path, int(arguments.rpartition(", ")[2]))
    if name == "fchmod":
        return Permitted(path, _mode(arguments))
    raise Untraceable(f"{name} of {path}")


def _mode(arguments: str) -> int:
    found = re.search(r", (0[0-7]*)\b", arguments)
    if found is None:
        raise Untraceable(f"no permissions in {arguments}")
    return int(found[1], 8)


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))
