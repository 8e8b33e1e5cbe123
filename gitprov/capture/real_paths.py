"""Where paths lead, asked in the midst of a program that must not notice it.

This file stands alone, as `reads.py` does: tests of programs put functions of their own in the
place of those of `os`, and count how often they are called; signals may come at any time.
"""

from __future__ import annotations

import os
import sys
from stat import S_IFDIR, S_IFLNK, S_IFMT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

getcwd, listdir, stat = os.getcwd, os.listdir, os.stat
_lstat, _readlink, _split = os.lstat, os.readlink, os.path.split
_MAX_LINKS = 40
_VARARGS, _VARKEYWORDS = 4, 8  # as `inspect` has them


def kind(path: Any, look: Any = _lstat) -> int:
    """Return what stands at a path, by the bits of its mode; 0: nothing that can be seen."""
    try:
        return S_IFMT(look(path).st_mode)
    except (OSError, ValueError) as error:
        raise_if_signal(error)
        return 0


def is_link(path: Any) -> bool:
    """Say whether a link stands at a path."""
    return kind(path) == S_IFLNK


def is_folder(path: Any) -> bool:
    """Say whether a path leads to a folder."""
    return kind(path, stat) == S_IFDIR


def resolved(path: str) -> tuple[str, list[str]]:
    """Return where an absolute path leads, and the links on the way, by their own real paths."""
    place = ""
    links: list[str] = []
    waiting = path.split(os.sep)[::-1]
    while waiting:
        name = waiting.pop()
        if name in ("", "."):
            continue
        if name == "..":
            place = _split(place)[0].rstrip(os.sep)
            continue
        there = place + os.sep + name
        try:
            target = _readlink(there)
        except OSError as error:
            raise_if_signal(error)
            place = there
            continue
        links.append(there)
        if len(links) > _MAX_LINKS:
            break
        if target.startswith(os.sep):
            place = ""
        waiting += target.split(os.sep)[::-1]
    return place or os.sep, links


def source_of(path: str) -> str:
    """Return the source that a compiled module was made of, or any other path as it is."""
    if not path.endswith(".pyc"):
        return path
    try:
        source: str = sys.modules["_frozen_importlib_external"].source_from_cache(path)
    except (KeyError, ValueError, NotImplementedError):
        return path
    return source


def raise_if_signal(error: BaseException) -> None:
    """Raise an error again that a signal handler of the program has raised."""
    if not is_ours(error):
        raise error


def is_ours(error: BaseException) -> bool:
    """Say whether an error is a fault of ours, and was not raised by a signal handler.

    These are called with the frame that they interrupt.
    """
    if not isinstance(error, Exception):
        return False
    trace = error.__traceback__
    while trace is not None:
        code, values = trace.tb_frame.f_code, trace.tb_frame.f_locals
        stars = bool(code.co_flags & _VARARGS) + bool(code.co_flags & _VARKEYWORDS)
        count = code.co_argcount + code.co_kwonlyargcount + stars
        for value in map(values.get, code.co_varnames[:count]):
            given = value if type(value) is tuple else (value,)
            if any(type(each) is type(trace.tb_frame) for each in given):
                return False
        trace = trace.tb_next
    return True
