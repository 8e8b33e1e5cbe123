"""Observes what a program under `git prov run --trace=audit` reads and writes, as it goes.

Python imports this before the program, since PYTHONPATH has this folder first. It gets out of the
way: the folder leaves `sys.path` and the program's view of its environment, which the processes
that it starts inherit all the same, and a sitecustomize that stands behind this one is run in its
place. Nothing of gitprov is needed but a few files in the folder above: `reads.py`,
`real_paths.py`, `argument_marks.py` and `libraries.py`.

Each process has a file of its own in `<journal>/reads/`, of one tuple a line, as Python writes it:
("program", pid, parent, marks of argv, executable) or ("fork", pid, parent) first; after the former
("python", its own name for its executable, prefix, base prefix, version, options that change its
path, PYTHONPATH); then what `reads.Observer` tells; ("end", whether it waited for processes) where
it came to its end. The file `roots` beside them names the folders outside the work tree that have
data of the run.
"""

import _frozen_importlib_external as importing
import atexit
import os
import sys
import time

# Also Pythons that are too old to be observed (3.6, 3.7) find this file, and must read it.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Bound now: programs, tests most of all, put functions of their own in the place of these.
_open, _write, _close, _getpid, _getppid = os.open, os.write, os.close, os.getpid, os.getppid
_time_ns = time.time_ns
_FOLDER = os.path.dirname(os.path.abspath(__file__))
# Files of libraries that read by themselves; `libraries.py` knows more of them.
_LIBRARIES = tuple(
    name.replace("/", os.sep)
    for name in (
        "/fsspec/spec.py", "/pyarrow/parquet/core.py", "/pyarrow/dataset.py", "/pyarrow/feather.py",
    )
)  # fmt: skip


class _Report:
    """The file of one process. Written at once: a program may be killed."""

    def __init__(self, folder: str) -> None:
        self._file = os.path.join(folder, f"{_getpid()}-{_time_ns()}")

    def tell(self, *words: object) -> None:
        # Not kept open: a program may close all descriptors, and get this one for its own file.
        descriptor = _open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            line = (ascii(words) + "\n").encode()
            if _write(descriptor, line) < len(line):
                raise OSError("no space is left")
        finally:
            _close(descriptor)


def _observe(journal: str, top: str) -> None:
    """Start the observation, where the run wants it and still takes it."""
    folder = os.path.join(journal, "reads")
    if not os.path.isdir(folder) or not hasattr(sys, "addaudithook"):
        return
    reports = [_Report(folder)]

    mark = _part("argument_marks").mark

    def tell(*words: "Any") -> None:
        if words[0] == "start":
            words = (*words[:2], [mark(word) for word in words[2]])
        reports[-1].tell(*words)

    def forked() -> None:
        with observer.paused():
            reports.append(_Report(folder))
            observer.tell("fork", _getpid(), _getppid())

    def ended() -> None:
        with observer.paused():
            observer.end(has_waited=not observer.has_started_own and _has_waited())

    def executed(code: "Any") -> None:
        file = getattr(code, "co_filename", "")
        if file.endswith(_LIBRARIES) and code.co_name == "<module>":
            with observer.paused():
                if not libraries:
                    libraries.append(_part("libraries").Libraries(observer))
                libraries[0].loading(file)

    libraries = []  # type: list[Any]
    with open(os.path.join(folder, "roots"), "rb") as listed:
        roots = [os.fsdecode(root) for root in listed.read().split(b"\0") if root]
    observer = _part("reads", real=_part("real_paths")).Observer(
        top, tell, alone=False, roots=roots
    )
    observer.listen("exec", executed)
    executable = os.path.realpath("/proc/self/exe")
    if not os.path.exists(executable):
        executable = os.path.realpath(sys.executable)
    argv = [mark(word) for word in getattr(sys, "orig_argv", [])]
    tell("program", _getpid(), _getppid(), argv, executable)
    tell("python", *_interpreter())
    os.register_at_fork(after_in_child=forked)
    atexit.register(ended)
    observer.start()


def _interpreter() -> "tuple[str, str, str, str, str, str]":
    """Return what tells this interpreter, and where it looks for packages, from others.

    Of the options, only `-s` leaves the observation in place.
    """
    version = ".".join(map(str, sys.version_info[:3]))
    options = "-s" if sys.flags.no_user_site and "PYTHONNOUSERSITE" not in os.environ else ""
    path = os.environ.get("PYTHONPATH", "")
    return sys.executable or "", sys.prefix, sys.base_prefix, version, options, path


def _has_waited() -> bool:
    """Say whether processes of this one have ended, however they were started."""
    try:
        # Late: no program needs to wait for it.
        import resource  # noqa: PLC0415

        return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss > 0
    except Exception:  # noqa: BLE001 -- the program may have put something in its place
        return True


def _part(name: str, **given: "Any") -> "Any":
    """Return a module of the folder above, which the program does not see."""
    path = os.path.join(os.path.dirname(_FOLDER), f"{name}.py")
    name = f"_gitprov_{name}"
    loader = importing.SourceFileLoader(name, path)
    module = type(sys)(name)
    module.__file__ = path
    vars(module).update(given)
    loader.exec_module(module)
    return module


def _leave_no_trace() -> None:
    """Take this folder out of sys.path and of what the program sees of its environment."""
    sys.path[:] = [folder for folder in sys.path if folder != _FOLDER]
    seen = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part != _FOLDER]
    # Not through the mapping's own methods: they would change the environment that is inherited.
    data = os.environ._data  # type: ignore[attr-defined]  # noqa: SLF001
    key = os.environ.encodekey("PYTHONPATH")
    if seen and seen != [""]:
        data[key] = os.environ.encodevalue(os.pathsep.join(seen))
    else:
        data.pop(key, None)


def _run_the_one_behind() -> None:
    """Run the sitecustomize that would have been found without this one."""
    spec = importing.PathFinder.find_spec("sitecustomize", sys.path)
    if spec is not None and spec.loader is not None and spec.origin:
        sys.modules["sitecustomize"] = module = type(sys)("sitecustomize")
        module.__file__, module.__spec__, module.__loader__ = spec.origin, spec, spec.loader
        spec.loader.exec_module(module)
    else:  # Python goes on as if there were none at all
        raise ImportError("No module named 'sitecustomize'", name="sitecustomize")


_leave_no_trace()
try:  # noqa: SIM105 -- with less to import
    _observe(os.environ["GITPROV_JOURNAL"], os.environ["GITPROV_WORK_TREE"])
except Exception:  # noqa: BLE001, S110 -- the program runs; what is not told is not claimed
    pass
_run_the_one_behind()
