"""The lines of strace, one process's call a line, with process ids and decoded descriptors.

As `strace -f -y -z` writes them, for the calls of `CALLS`. Calls that were interrupted by those of
others stand on two lines, which are joined. A line that is none of these is not understood, and
that is told: nothing may be taken for complete then. Pure functions, but for `Joined`.
"""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

_Found = tuple[bytes | None, ...]
_THREAD = "CLONE_THREAD"
_STRING = rb'"((?:[^"\\]|\\.)*)"'
_FOLDER = rb"(AT_FDCWD|-?\d+)(?:<([^<>]*)>)?(?:\(deleted\))?"
_FLAGS = rb"([A-Z0-9_x|]+)"
_OPENED = rb"\) += \d+<([^<>]*)>"
_DONE = rb"\) += 0"
_TO_OPEN = _STRING + rb", " + _FLAGS + rb"(?:, [0-7]+)?" + _OPENED
_TWO = _STRING + rb", " + _STRING + _DONE
_TWO_AT = (
    _FOLDER + rb", " + _STRING + rb", " + _FOLDER + rb", " + _STRING + rb"(?:, [^)]*)?" + _DONE
)
_NEW_PROCESS = rb"(.*)\) += (\d+)"
_ANYTHING = rb".*\) += "

_PATTERNS = {
    name: re.compile(pattern, re.DOTALL)
    for name, pattern in {
        b"open": _TO_OPEN,
        b"openat": _FOLDER + rb", " + _TO_OPEN,
        b"openat2": _FOLDER + rb", " + _STRING + rb", \{flags=" + _FLAGS + rb".*" + _OPENED,
        b"open_by_handle_at": rb".*, " + _FLAGS + _OPENED,
        b"creat": _STRING + rb", [0-7]+" + _OPENED,
        b"truncate": _STRING + rb", \d+" + _DONE,
        b"rename": _TWO,
        b"link": _TWO,
        b"renameat": _TWO_AT,
        b"renameat2": _TWO_AT,
        b"linkat": _TWO_AT,
        b"execve": _STRING + rb", .*" + _DONE,
        b"execveat": _FOLDER + rb", " + _STRING + rb", .*" + _DONE,
        b"chdir": _STRING + _DONE,
        b"fchdir": _FOLDER + _DONE,
        b"clone": _NEW_PROCESS,
        b"clone3": _NEW_PROCESS,
        b"fork": _NEW_PROCESS,
        b"vfork": _NEW_PROCESS,
        b"io_uring_setup": _ANYTHING,
        b"chroot": _ANYTHING,
        b"pivot_root": _ANYTHING,
        b"mount": _ANYTHING,
        b"move_mount": _ANYTHING,
    }.items()
}
CALLS = tuple(name.decode() for name in _PATTERNS)
_LINE = re.compile(rb"(\d+) +(.*)", re.DOTALL)
_UNFINISHED = b" <unfinished ...>"
# How the rest of a call begins: that of clone with an id's place, that of clone3 with what it made.
_RESTS = (b")", b", ", b" => ")
_RESUMED = re.compile(rb"<\.\.\. (\w+) resumed>(.*)", re.DOTALL)
_ENDED = re.compile(rb"\+\+\+ (?:exited with|killed by) ")
_SUPERSEDED = re.compile(rb"\+\+\+ superseded by execve in pid (\d+) \+\+\+")
_NOT_DONE = re.compile(rb"\) += (?:-1 |\?)")
_ESCAPE = re.compile(rb"\\(?:([0-7]{1,3})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_LETTERS = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"v": b"\v", b"f": b"\f"}


class Folder(NamedTuple):
    """What a path is relative to: a folder that was open, or the working folder."""

    is_current: bool
    path: bytes | None


class Call(NamedTuple):
    """A call that has succeeded.

    `paths` are the strings that it names, `folders` what they are relative to where the call says
    so. `opened` is the file that an open has led to; `process` what a fork has made.
    """

    pid: int
    name: str
    paths: tuple[bytes, ...] = ()
    folders: tuple[Folder, ...] = ()
    flags: frozenset[str] = frozenset()
    opened: bytes | None = None
    process: int | None = None


class Ended(NamedTuple):
    """A process has ended."""

    pid: int


class NotUnderstood(ValueError):
    """A line is none that is known."""


class Joined:
    """The lines, with the halves of interrupted calls put together."""

    def __init__(self) -> None:
        self._begun: dict[tuple[int, bytes], bytes] = {}
        self._last: tuple[int, bytes] | None = None

    def take(self, line: bytes) -> Call | Ended | None:
        """Return what a line says; None where that is nothing, or not all yet.

        Raises NotUnderstood.
        """
        line = line.rstrip(b"\n")
        match = _LINE.fullmatch(line)
        if match is None:
            return self._rest(line)
        pid, text = int(match[1]), match[2]
        if text.endswith(_UNFINISHED):
            name, _, _ = text.partition(b"(")
            self._last = pid, name
            self._begun[self._last] = text.removesuffix(_UNFINISHED)
            return None
        if resumed := _RESUMED.fullmatch(text):
            text = self._begun.pop((pid, resumed[1]), b"") + resumed[2]
        return parsed(pid, text)

    def _rest(self, line: bytes) -> Call | Ended | None:
        """Take the end of a call that strace has begun right before, and says without a process."""
        if self._last not in self._begun or not line.startswith(_RESTS):
            raise NotUnderstood(repr(line))
        return parsed(self._last[0], self._begun.pop(self._last) + line)


def parsed(pid: int, text: bytes) -> Call | Ended | None:
    """Return what the text behind a process id says; None where that is nothing that counts.

    Raises NotUnderstood.
    """
    if _ENDED.match(text) or _SUPERSEDED.match(text):
        return Ended(pid)
    if text.startswith(b"--- "):  # a signal
        return None
    name, parenthesis, rest = text.partition(b"(")
    pattern = _PATTERNS.get(name)
    match = pattern.match(rest) if pattern is not None and parenthesis else None
    if match is None:
        if pattern is not None and _NOT_DONE.search(rest):
            return None
        raise NotUnderstood(repr(text))
    return _call(pid, name.decode(), match.groups())


def unescaped(text: bytes) -> bytes:
    """Return what strace has escaped, as C does."""
    return _ESCAPE.sub(_meant, text) if b"\\" in text else text


def _meant(match: re.Match[bytes]) -> bytes:
    octal, hexadecimal, letter = match.groups()
    if octal:
        return bytes([int(octal, 8) & 0xFF])
    if hexadecimal:
        return bytes([int(hexadecimal, 16)])
    return _LETTERS.get(letter, letter)


def _call(pid: int, name: str, found: _Found) -> Call:
    make = _MAKERS.get(name)
    return make(pid, name, found) if make is not None else Call(pid, name)


def _open(
    pid: int,
    name: str,
    words: tuple[bytes | None, bytes | None, bytes | None],
    folders: tuple[Folder, ...] = (),
) -> Call:
    path, flags, opened = (word or b"" for word in words)
    named = frozenset(flags.decode().split("|"))
    return Call(pid, name, (unescaped(path),), folders, named, unescaped(opened))


def _plain_open(pid: int, name: str, found: _Found) -> Call:
    return _open(pid, name, (found[0], found[1], found[2]))


def _open_at(pid: int, name: str, found: _Found) -> Call:
    return _open(pid, name, (found[2], found[3], found[4]), (_folder(*found[:2]),))


def _open_by_handle(pid: int, name: str, found: _Found) -> Call:
    return _open(pid, name, (b"", found[0], found[1]))


def _create(pid: int, name: str, found: _Found) -> Call:
    return _open(pid, name, (found[0], b"O_WRONLY|O_CREAT|O_TRUNC", found[1]))


def _named(pid: int, name: str, found: _Found) -> Call:
    return Call(pid, name, tuple(unescaped(word or b"") for word in found))


def _named_at(pid: int, name: str, found: _Found) -> Call:
    """Return a call of folders and paths in turn: three words for each pair."""
    starts = range(0, len(found), 3)
    paths = tuple(unescaped(found[start + 2] or b"") for start in starts)
    return Call(pid, name, paths, tuple(_folder(*found[start : start + 2]) for start in starts))


def _enter(pid: int, name: str, found: _Found) -> Call:
    return Call(pid, name, (), (_folder(*found),))


def _fork(pid: int, name: str, found: _Found) -> Call:
    flags = frozenset({_THREAD} if _THREAD.encode() in (found[0] or b"") else ())
    return Call(pid, name, flags=flags, process=int(found[1] or b"0"))


_MAKERS: Mapping[str, Callable[[int, str, _Found], Call]] = {
    "open": _plain_open,
    "openat": _open_at,
    "openat2": _open_at,
    "open_by_handle_at": _open_by_handle,
    "creat": _create,
    **dict.fromkeys(("rename", "link", "truncate", "execve", "chdir"), _named),
    **dict.fromkeys(("renameat", "renameat2", "linkat", "execveat"), _named_at),
    "fchdir": _enter,
    **dict.fromkeys(("clone", "clone3", "fork", "vfork"), _fork),
}


def _folder(descriptor: bytes | None, path: bytes | None) -> Folder:
    where = None if path is None else unescaped(path)
    return Folder(descriptor == b"AT_FDCWD", where)
