"""Which files a Python process reads and writes, by its audit hook.

Seen are the files that Python code opens, the modules that it imports (the source, also where its
compiled form is read), and links on the way to them. Not seen is what compiled code opens by
itself, and what other processes read: where that may have happened, `Observer.gap` says so, and
nothing can be claimed.

This file stands alone, for Python 3.8 and newer: it is loaded, without gitprov, into the programs
under `git prov run --trace=audit`, too. Whatever fails in a hook must not fail in the program, and
what signal handlers of the program raise meanwhile must: it is the program's.
"""

from __future__ import annotations

import os
import sys
import time
from _thread import get_ident

if "real" not in globals():  # who loads this file without gitprov gives it the module
    from gitprov.capture import real_paths as real

# Bound now: programs, tests most of all, put functions of their own in the place of these.
_isabs, _join, _split, _fsdecode = os.path.isabs, os.path.join, os.path.split, os.fsdecode
_getframe, _now = sys._getframe, time.monotonic_ns  # noqa: SLF001

# Programs that are observed must not pay for the import of typing, nor of pathlib.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType
    from typing import Any

MAX_PATHS = 10_000

# Packages, and modules of packages, whose compiled parts open no files but through Python.
_QUIET = frozenset(
    """
    _yaml aiohttp bottleneck charset_normalizer contourpy frozenlist greenlet kiwisolver lz4
    markupsafe matplotlib msgpack multidict numexpr numpy orjson pandas propcache pydantic_core
    regex rpds scipy simplejson sklearn ujson wrapt xxhash yaml yarl zstandard PIL._imaging
    PIL._imagingmath
    """.split()
)
# Modules of Python's own that open files in C.
_LOUD = frozenset({"_dbm", "_gdbm", "_tkinter"})
# Libraries that are loaded by name and read no files of a work tree.
_SYSTEM_LIBRARIES = (
    "libc.", "libc-", "libm.", "libdl.", "libpthread.", "libgomp", "libomp", "libiomp",
    "libopenblas", "libscipy_openblas", "libmkl", "libblis", "libflexiblas",
)  # fmt: skip
_EXTENSIONS = (".so", ".pyd", ".dylib")
_NO_FOLDER = -1
_MAX_GAPS = 20
# Events by which a program of which gitprov is a part says that what follows is gitprov's own.
PAUSE, RESUME = "gitprov.pause", "gitprov.resume"


class Observer:
    """The files below `top`, and below `roots`, that this process reads and writes from `start` on.

    `tell` gets each thing that is found, once: ("read", path, time), ("wrote", path, time, change
    time before; None where there was no file), ("wrote below", folder, time), ("read uri" or
    "wrote uri", uri, time), ("gap", reason), and ("start", program, argv) for each process that is
    started; where `alone`, that is a gap. Paths below `top` are relative to it; times are those of
    one clock for all processes.
    """

    def __init__(
        self,
        top: str,
        tell: Callable[..., None] | None = None,
        *,
        alone: bool = True,
        roots: Sequence[str] = (),
    ) -> None:
        self.top = os.path.realpath(top)
        self.gap: str | None = None
        self._inside = self.top + os.sep
        self._tell = tell
        self._alone = alone
        self._roots = tuple(os.path.realpath(root).rstrip(os.sep) + os.sep for root in roots)
        self._gaps: set[str] = set()
        # What was told of besides reads below the top.
        self._told: set[tuple[str, str]] = set()
        # How often something was made before a path was read first; -1: it was not made here.
        self._reads: dict[str, int] = {}
        # How often something was made before a path was, and when it was modified before that.
        self._made: dict[str, tuple[int, int | None]] = {}
        self._count = 0
        self._folders: dict[str, tuple[str, list[str]]] = {}
        # Paths of which there is no more to say; most files are opened again and again.
        self._settled: set[str] = set()
        self._busy: set[int] = set()
        self._pauses: dict[int, int] = {}
        # Why something may not have been told, and whether there is nobody left to tell.
        self._owed: str | None = None
        self._is_over = False
        # Whether gitprov has started processes in this one.
        self.has_started_own = False
        prefixes = {os.path.realpath(path) for path in (sys.prefix, sys.base_prefix)}
        # Python's own folders, if they are below the top.
        self.prefixes = tuple(
            path[len(self._inside) :] + os.sep for path in prefixes if path.startswith(self._inside)
        )
        self._pythons_own = tuple(path + os.sep for path in prefixes)
        self._handlers: dict[str, Callable[..., None]] = {
            "open": self._on_open,
            "import": self._on_import,
            "cpython.run_file": self._on_run_file,
            "ctypes.dlopen": self._on_dlopen,
            "sqlite3.connect": self._on_database,
            "os.chdir": self._on_chdir,
            "os.rename": self._on_rename,
            "os.link": self._on_link,
            "os.truncate": self._on_truncate,
            "os.symlink": self._forget_links,
            "os.rmdir": self._forget_links,
            "os.remove": self._on_remove,
            "subprocess.Popen": self._on_process,
            "os.posix_spawn": self._on_spawn,
            "os.exec": self._on_exec,
            "os.system": self._on_system,
            "os.fork": self._on_fork,
            "os.forkpty": self._on_fork,
            PAUSE: self._on_pause,
            RESUME: self._on_pause,
        }

    def start(self) -> None:
        """Watch from now on; what is imported already counts."""
        sys.addaudithook(self._hear)
        with self.paused():
            for name, module in list(sys.modules.items()):
                file = getattr(module, "__file__", None)
                if not isinstance(file, str):
                    continue
                if file.endswith(_EXTENSIONS):
                    self._on_import(name, file)
                elif self._read(file) and name not in ("__main__", __name__):
                    self.miss(f"{name} was imported before")

    def paused(self) -> _Paused:
        """Return a context in which what this thread does is not the program's."""
        return _Paused(self._busy)

    def now(self) -> int:
        """Return what `reads` takes: what is made from now on is the run's own."""
        return self._count

    def reads(self, since: int = 0) -> list[str]:
        """Return the files that were read, without those that were made since and read after."""
        return [path for path, made in self._reads.items() if made < since]

    def listen(self, event: str, handler: Callable[..., None]) -> None:
        """Have a handler hear of an event; it may raise what it likes."""
        self._handlers[event] = handler

    def miss(self, reason: str) -> None:
        """Say why not all can be known; the first reason stands, and some are told."""
        if self.gap is None:
            self.gap = reason
        if reason not in self._gaps and len(self._gaps) < _MAX_GAPS:
            self._gaps.add(reason)
            self._say("gap", reason)

    def tell(self, *words: object) -> None:
        """Tell something, before what could not be told; where the run has ended, be quiet."""
        try:
            if self._tell is not None and not self._is_over:
                self._tell(*words)
        except BaseException as error:  # noqa: BLE001
            self._is_over = isinstance(error, FileNotFoundError) and real.is_ours(error)
            self.failed(error)

    def end(self, *, has_waited: bool) -> None:
        """Tell that the program has ended; `has_waited`: for processes that it has started."""
        self._say("end", has_waited)

    def failed(self, error: BaseException, reason: str | None = None) -> None:
        """Take note of what a fault may have hidden; raise it again where it is the program's."""
        self._owed = reason or f"a fault while observing: {type(error).__name__}"
        self.gap = self.gap or self._owed
        if not real.is_ours(error):
            raise error

    def note_read(self, path: str) -> None:
        """Note that a file was read, or all that is in a folder."""
        if not real.is_folder(path):
            self._read(path)
            return
        waiting = [path]
        while waiting:
            above = waiting.pop()
            for name in real.listdir(above):
                place = _join(above, name)
                if not real.is_folder(place):
                    self._read(place)
                elif not real.is_link(place):
                    waiting.append(place)

    def note_written(self, path: str) -> None:
        """Note that a file is written anew."""
        self._make(path)

    def note_written_below(self, path: str) -> None:
        """Note that files are written in a folder."""
        place, _ = self._resolved(path)
        name = self._name_of(place + os.sep)
        if name is not None and self._is_news("wrote below", name):
            self._say("wrote below", name, _now())

    def note_uri(self, what: str, uri: str) -> None:
        """Note that what a URI names was "read" or "wrote"."""
        if self._is_news(what, uri):
            self._say(f"{what} uri", uri, _now())

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        handler = self._handlers.get(event)
        if handler is None or self._is_over:
            return
        thread = get_ident()
        if event in (PAUSE, RESUME):
            self._pause(thread, 1 if event == PAUSE else -1)
            return
        if thread in self._busy:
            if event == "subprocess.Popen" and thread in self._pauses:
                self.has_started_own = True
            return
        try:
            self._busy.add(thread)
            handler(*arguments)
        except BaseException as error:  # noqa: BLE001
            self.failed(error)
        finally:
            self._busy.discard(thread)

    def _on_pause(self, *_: object) -> None:
        pass  # is heard also while others are not

    def _pause(self, thread: int, more: int) -> None:
        """Take what this thread does for gitprov's own, until it says otherwise as often."""
        self._pauses[thread] = left = self._pauses.get(thread, 0) + more
        if left > 0:
            self._busy.add(thread)
        else:
            self._busy.discard(thread)
            del self._pauses[thread]

    def _on_open(self, path: Any, mode: str | None, flags: int) -> None:
        if isinstance(path, int):  # open already
            return
        if path in self._settled and flags & os.O_ACCMODE == os.O_RDONLY and mode == "r":
            return
        name = _fsdecode(path)
        if mode is None and not _isabs(name) and not flags & os.O_WRONLY:
            self._on_open_relative()
        mode = mode or ""
        new = flags & os.O_TRUNC or (flags & os.O_CREAT and flags & os.O_EXCL)
        if new or mode.startswith(("w", "x")):
            self._make(name)
        elif "+" in mode or (flags & os.O_ACCMODE != os.O_WRONLY and "a" not in mode):
            self._read(real.source_of(name))
            if flags & os.O_ACCMODE != os.O_RDONLY:
                self._write(name)
            elif mode == "r" and name == path and len(self._settled) < MAX_PATHS:
                self._settled.add(name)
        else:
            self._write(name)

    def _on_open_relative(self) -> None:
        """Take note of what may only look like a path, but for folders that are walked through."""
        if _getframe(3).f_globals.get("__name__") not in ("shutil", "os"):
            self.miss("a file was opened by os.open, maybe relative to another folder")

    def _on_chdir(self, _path: object) -> None:
        self._settled.clear()  # some are relative

    def _forget_links(self, *_: object) -> None:
        """Look anew where paths lead, as links may change."""
        self._settled.clear()
        self._folders.clear()

    def _on_remove(self, path: Any, folder: int = _NO_FOLDER) -> None:
        if folder != _NO_FOLDER or real.is_link(path):
            self._forget_links()

    def _on_run_file(self, path: Any) -> None:
        self._read(_fsdecode(path))

    def _on_import(self, name: str, file: str | None, *_: object) -> None:
        if ".popen_" in name and not name.endswith(".popen_fork"):
            # multiprocessing, and those like it, start processes that no event tells of.
            self._on_process("python", [name])
        if not file or not file.endswith(_EXTENSIONS):
            return
        package = name.partition(".")[0]
        own = _split(_split(file)[0])[1] == "lib-dynload"
        quiet = {package, name} & _QUIET or name.endswith("__mypyc")
        if (package in _LOUD) if own else not quiet:
            self.miss(f"the compiled code of {package} may read files by itself")

    def _on_dlopen(self, name: Any) -> None:
        library = _split(_fsdecode(name))[1] if name else ""
        if library and not library.startswith(_SYSTEM_LIBRARIES):
            self.miss(f"the compiled code of {library} may read files by itself")

    def _on_database(self, name: Any) -> None:
        path = _fsdecode(name)
        self.miss("SQLite may have opened further databases")  # by ATTACH, or by a URI
        if path and path != ":memory:" and not path.startswith("file:"):
            if real.kind(path):
                self._read(path)
            self._write(path)

    def _on_rename(self, old: Any, new: Any, *folders: int) -> None:
        self._on_link(old, new, *folders)
        self._make(_fsdecode(new), certainly=True)

    def _on_link(self, old: Any, new: Any, *folders: int) -> None:
        """Take what was at the old place for read: it can be, at the new one."""
        if any(folder != _NO_FOLDER for folder in folders):
            self.miss("a file was moved relative to another folder")
            return
        self._write(_fsdecode(new))
        is_below = self._read(_fsdecode(old))
        if real.is_folder(old):
            self._forget_links()
            if is_below:
                self.miss("a folder was moved")
                self.note_written_below(_fsdecode(new))
        elif real.is_link(old) or real.is_link(new):
            self._forget_links()

    def _on_truncate(self, path: Any, _length: int) -> None:
        if not isinstance(path, int):
            self._write(_fsdecode(path))

    def _on_system(self, command: Any) -> None:
        self._on_process("/bin/sh", ["sh", "-c", command])

    def _on_exec(self, *_: object) -> None:
        self.miss("the program has put another in its place")

    def _on_fork(self) -> None:
        if self._alone:
            self.miss("the process was forked")
        else:
            self._say("forks")

    def _on_spawn(self, program: Any, argv: Any, _env: object) -> None:
        if _getframe(2).f_globals.get("__name__") != "subprocess":
            self._on_process(program, argv)

    def _on_process(self, program: Any, argv: Any, *_: object) -> None:
        if _is_gitprovs(_getframe(2)):
            self.has_started_own = True  # gits of ours, in whichever thread
            return
        words = [argv] if isinstance(argv, (str, bytes, os.PathLike)) else list(argv)
        named = _fsdecode(program or words[0])
        if self._alone:
            self.miss(f"another process was started: {_split(named)[1]}")
        else:
            self._say("start", named, [_fsdecode(word) for word in words])

    def _read(self, path: str) -> bool:
        """Note that a path was read, and the links on the way; say whether it is below the top."""
        place, links = self._resolved(path)
        for found in (*links, place):
            if found.startswith(self._inside):
                self._note(found[len(self._inside) :])
        if self._roots and not place.startswith(self._inside):
            name = self._name_of(place)
            if name is not None and self._is_news("read", name):
                self._say("read", name, _now())
        return place.startswith(self._inside) and not self._is_pythons_own(place)

    def _note(self, path: str) -> None:
        if self._is_apart(path):
            return
        made = -1
        if path in self._made:
            count, before = self._made[path]
            if self._modified(path) != before:  # else it could not be written
                made = count
        known = self._reads.get(path)
        if known is not None and known <= made:
            return
        if known is None and len(self._reads) >= MAX_PATHS:
            self.miss(f"there are more than {MAX_PATHS} files")
            return
        self._reads[path] = made
        if made < 0:
            self._say("read", path, _now())

    def _make(self, path: str, *, certainly: bool = False) -> None:
        """Note that a path is written anew, so that what is read there next is the program's."""
        place, _ = self._resolved(path)
        if place.startswith(self._inside) and len(self._made) < MAX_PATHS:
            inside = place[len(self._inside) :]
            before = -1 if certainly else self._modified(inside)
            self._made[inside] = self._count, before
            self._count += 1
        self._write(path)

    def _write(self, path: str) -> None:
        """Tell that a path is opened to be written, or has another file from now on."""
        if self._tell is None:
            return
        place, _ = self._resolved(path)
        name = self._name_of(place)
        if name is not None and self._is_news("wrote", name):
            try:
                before = real.stat(place).st_ctime_ns
            except OSError as error:
                real.raise_if_signal(error)
                before = None
            self._say("wrote", name, _now(), before)

    def _name_of(self, place: str) -> str | None:
        """Return what a file is called: by its path below the top, or in full below the roots."""
        if place.startswith(self._inside):
            inside = place[len(self._inside) :]
            return None if self._is_apart(inside) else inside
        if self._roots and place.startswith(self._roots):
            return None if place.startswith(self._pythons_own) else place
        return None

    def _is_apart(self, path: str) -> bool:
        """Say whether a path below the top is git's or Python's own."""
        return path.startswith((".git/", *self.prefixes)) or path == ".git"

    def _is_news(self, what: str, name: str) -> bool:
        if (what, name) in self._told:
            return False
        if len(self._told) >= 2 * MAX_PATHS:
            self.miss(f"there are more than {MAX_PATHS} files")
            return False
        self._told.add((what, name))
        return True

    def _modified(self, path: str) -> int | None:
        try:
            return real.stat(self._inside + path).st_mtime_ns
        except OSError as error:
            real.raise_if_signal(error)
            return None

    def _resolved(self, path: str) -> tuple[str, list[str]]:
        """Return where a path leads, and the links on the way."""
        if not _isabs(path):
            path = _join(real.getcwd(), path)
        above, name = _split(path)
        if name in ("", ".", ".."):
            return real.resolved(path)
        known = self._folders.get(above)
        if known is None:
            if len(self._folders) >= MAX_PATHS:
                self._folders.clear()
            known = self._folders[above] = real.resolved(above)
        folder, links = known
        place = folder.rstrip(os.sep) + os.sep + name
        if not real.is_link(place):
            return place, links
        place, more = real.resolved(place)
        return place, [*links, *more]

    def _is_pythons_own(self, place: str) -> bool:
        return bool(self.prefixes) and place[len(self._inside) :].startswith(self.prefixes)

    def _say(self, *words: object) -> None:
        if (reason := self._owed) is not None:
            self._owed = None
            self.tell("gap", reason)
        self.tell(*words)


class _Paused:
    """Events of this thread are not heard; contexts may stand within each other."""

    def __init__(self, busy: set[int]) -> None:
        self._busy = busy
        self._thread: int | None = None

    def __enter__(self) -> None:
        if get_ident() not in self._busy:
            self._thread = get_ident()
            self._busy.add(self._thread)

    def __exit__(self, *_: object) -> None:
        if self._thread is not None:
            self._busy.discard(self._thread)


def _is_gitprovs(frame: FrameType) -> bool:
    """Say whether gitprov starts the process that an event tells of."""
    while frame.f_back and frame.f_globals.get("__name__") in ("subprocess", __name__):
        frame = frame.f_back
    return str(frame.f_globals.get("__name__")).startswith("gitprov.")
