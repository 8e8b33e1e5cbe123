"""The real store, of which one call to the world fails: the so manyth write to disk or git command.

Calls are counted that change something below the git directory, and every git command. A call
fails before it has done anything or, `late`, after it has done all, as when a disk reports an error
or a process dies at the very end.
"""

import errno
import io
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gitprov.store.git import Git

ERRORS = (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS)
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
# Which argument names what is changed.
_BY_PATH = {"replace": 1, "rename": 1, "link": 1, "unlink": 0, "mkdir": 0, "rmdir": 0}
_BY_DESCRIPTOR = ("write", "fsync")


@dataclass(kw_only=True)
class Fault:
    """Call number `at` fails; so do all that come after it, if it `lasts`."""

    at: int
    late: bool = False
    lasts: bool = False
    calls: list[str] = field(default_factory=list)
    hit: str | None = None

    def strikes(self, call: str) -> bool:
        """Count a call, and say whether it is to fail."""
        self.calls.append(call)
        number = len(self.calls)
        if number == self.at or (self.lasts and number > self.at):
            self.hit = self.hit or call
            return True
        return False

    @property
    def error(self) -> int:
        """The error of the operating system: one after the other as calls go on."""
        return ERRORS[self.at % len(ERRORS)]


@contextmanager
def failing(git_dir: Path, fault: Fault) -> Iterator[None]:
    """Let a call fail while the block runs, in this process."""
    with pytest.MonkeyPatch.context() as patch:

        def wrap(name: str, changed: Callable[..., str | None]) -> None:
            module = io if name == "io.open" else os
            attribute = name.rpartition(".")[2]
            original = getattr(module, attribute)

            def call(*arguments: Any, **options: Any) -> Any:
                path = changed(*arguments, **options)
                below = path is not None and f"{path}/".startswith(f"{git_dir}/")
                if not below or not fault.strikes(f"{attribute} {path}"):
                    return original(*arguments, **options)
                if fault.late:
                    result = original(*arguments, **options)
                    if attribute == "open":
                        os.close(result) if isinstance(result, int) else result.close()
                raise OSError(fault.error, os.strerror(fault.error), path)

            patch.setattr(module, attribute, call)

        for name, position in _BY_PATH.items():
            wrap(name, _path_at(position))
        for name in _BY_DESCRIPTOR:
            wrap(name, _path_of_descriptor)
        wrap("open", _opened_by_os)
        wrap("io.open", _opened_by_io)
        patch.setattr(Git, "call", _failing_call(fault, Git.call))
        patch.setattr(Git, "open", _failing_open(fault, Git.open))
        yield


def _path_at(position: int) -> Callable[..., str | None]:
    def changed(*arguments: Any, dir_fd: int | None = None, **_: Any) -> str:
        path = os.fsdecode(arguments[position])
        return path if dir_fd is None else f"{_path_of_descriptor(dir_fd)}/{path}"

    return changed


def _path_of_descriptor(descriptor: int, *_: Any) -> str:
    return str(Path(f"/proc/self/fd/{descriptor}").readlink())


def _opened_by_os(path: Any, flags: int, *_: Any, **__: Any) -> str | None:
    return os.fsdecode(path) if flags & _WRITES else None


def _opened_by_io(file: Any, mode: str = "r", *_: Any, **__: Any) -> str | None:
    return os.fsdecode(file) if set(mode) & set("wax+") and not isinstance(file, int) else None


def _failing_call(fault: Fault, original: Callable[..., Any]) -> Callable[..., Any]:
    def call(git: Git, *arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
        if not fault.strikes(f"git {arguments[0]}"):
            result: subprocess.CompletedProcess[bytes] = original(git, *arguments, **options)
            return result
        if fault.late:
            original(git, *arguments, **options)
        said = f"fatal: unable to write: {os.strerror(fault.error)}\n".encode()
        # Failed, or killed: by turns.
        return subprocess.CompletedProcess([], 128 if fault.at % 2 else -9, b"", said)

    return call


def _failing_open(fault: Fault, original: Callable[..., Any]) -> Callable[..., Any]:
    def open_(git: Git, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        process: subprocess.Popen[bytes] = original(git, *arguments, **options)
        if fault.strikes(f"git {arguments[0]}"):
            process.kill()
        return process

    return open_
