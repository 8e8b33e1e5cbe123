"""What the processes of a command have written down of what they read and write.

What was read is all only if every process was a Python that could be observed, from its beginning
to its end, and each is known to have been started by another, without a program in between.
"""

import ast
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from gitprov.capture.argument_marks import WIDTH, mark
from gitprov.capture.environments.commands.shebang import HEAD_BYTES, python_of
from gitprov.capture.tracing.touched import Touched, Write

MAX_PROCESSES = 10_000
# In the folder of the reports: the folders outside the work tree that count, each ended by NUL.
ROOTS = "roots"
_MAX_GAPS = 20
_PLAIN = re.compile(r"\('(read)', '([^'\\]*)', (\d+)\)")
# What is told of processes that multiprocessing spawns, whatever their arguments are.
_SPAWNED = ["python"]


class ReportedPython(NamedTuple):
    """An interpreter that ran, as it names itself; `path` is the PYTHONPATH that it was given."""

    executable: str
    prefix: str
    base_prefix: str
    version: str
    options: str
    path: str


@dataclass(slots=True)
class Reported:
    """What was touched, by how many processes, and what may have been touched unseen.

    `reads` are the files of the work tree that were read, as each process sees it; `gap` says why
    these may not be all. `pythons` are the interpreters that ran, each once, in the order of their
    first start.
    """

    touched: Touched = field(default_factory=Touched)
    reads: set[str] = field(default_factory=set)
    processes: int = 0
    gap: str | None = None
    unseen: list[str] = field(default_factory=list)
    pythons: list[ReportedPython] = field(default_factory=list)


@dataclass(slots=True)
class _Process:
    """What one process has written down."""

    pid: int
    parent: int
    argv: list[str]
    executable: str
    forked: bool = False
    ended: bool = False
    waited: bool = False
    forks: int = 0
    gaps: list[str] = field(default_factory=list)
    reads: set[str] = field(default_factory=set)
    starts: list[list[str]] = field(default_factory=list)
    pythons: list[ReportedPython] = field(default_factory=list)


def reported(folder: Path, command: list[str], pid: int) -> Reported:
    """Return what the processes of a command have written down.

    `pid` is the process that has started the command.
    """
    files = sorted((file for file in folder.iterdir() if file.name != ROOTS), key=_start)
    if len(files) > MAX_PROCESSES:
        return _unknown(f"there were more than {MAX_PROCESSES} processes", len(files))
    found = Reported(processes=len(files))
    try:
        processes = [_process(file, found.touched) for file in files]
    except (ValueError, SyntaxError, IndexError, TypeError):
        return _unknown("what a process wrote down is damaged", len(files))
    found.reads = set().union(*[process.reads for process in processes])
    pythons = [python for process in processes for python in process.pythons]
    found.pythons = list(dict.fromkeys(pythons))
    inside = [gap for process in processes for gap in process.gaps]
    ended = all(process.ended for process in processes if not process.forked)
    cut_short = [] if ended else ["a program was cut short"]
    between = list(_unseen_processes(processes, command, pid))
    found.gap = next(iter([*inside, *cut_short, *between]), None)
    # What a program that was cut short has touched, it has told before.
    found.unseen = list(dict.fromkeys([*inside, *between]))[:_MAX_GAPS]
    return found


def _start(file: Path) -> tuple[int, str]:
    """Return when the process of a file has begun it, which is in its name."""
    time = file.name.rpartition("-")[2]
    return (int(time) if time.isdecimal() else 0), file.name


def _unknown(reason: str, processes: int) -> Reported:
    return Reported(processes=processes, gap=reason, unseen=[reason])


def _process(file: Path, touched: Touched) -> _Process:
    lines = [_words(line) for line in file.read_text("ascii").splitlines()]
    (kind, pid, parent, *more), *rest = lines
    process = _Process(pid, parent, [], "", forked=True)
    if kind == "program":
        process = _Process(pid, parent, *more)
    for word, *values in rest:
        match word, values:
            case "gap", [str(reason)]:
                process.gaps.append(reason)
            case "start", [str(program), list(argv)]:
                process.starts.append([program, *argv[1:]])
            case "forks", []:
                process.forks += 1
            case "python", [str(), str(), str(), str(), str(), str()]:
                process.pythons.append(ReportedPython(*values))
            case "end", [bool(waited)]:
                process.ended, process.waited = True, waited
            case "read", [str(path), *_] if not os.path.isabs(path):  # noqa: PTH117 -- thousands
                process.reads.add(path)
        _take(touched, word, values)
    return process


def _words(line: str) -> tuple[Any, ...]:
    """Return the tuple of a line; by far the most are plain, and there may be very many."""
    plain = _PLAIN.fullmatch(line)
    found = (plain[1], plain[2], int(plain[3])) if plain else ast.literal_eval(line)
    if not isinstance(found, tuple):
        raise TypeError(line)
    return found


def _take(touched: Touched, word: str, values: list[Any]) -> None:
    match word, values:
        case "read", [str(path), int(when)]:
            touched.read(path, when)
        case "wrote", [str(path), int(when), int() | None as before]:
            touched.write(path, Write(when, before, known=True))
        case "wrote below", [str(path), int(when)]:
            touched.folders.setdefault(path, when)
        case "read uri", [str(uri), int(when)]:
            touched.uris_read.setdefault(uri, when)
        case "wrote uri", [str(uri), int(when)]:
            touched.uris_written.setdefault(uri, when)


def _unseen_processes(processes: list[_Process], command: list[str], pid: int) -> Iterator[str]:
    """Say which processes have written down nothing."""
    programs = [process for process in processes if not process.forked]
    # Of each process, the programs that it has started.
    expected = [(pid, [_absolute(command[0]), *map(mark, command[1:])])]
    expected += [(process.pid, start) for process in processes for start in process.starts]
    for parent, words in expected:
        found = next((one for one in programs if one.parent == parent and _is(one, words)), None)
        if found is None and words == _SPAWNED and any(one.parent == parent for one in programs):
            yield "multiprocessing has started processes that need not have said all"
        elif found is None:
            yield f"{Path(words[0]).name} is not a Python program that could be observed"
        else:
            programs.remove(found)
    forked = Counter(process.parent for process in processes if process.forked)
    if any(forked[process.pid] < process.forks for process in processes):
        yield "a forked process has written down nothing"
    parents = {process.parent for process in processes} | {parent for parent, _ in expected}
    if programs or any(process.waited and process.pid not in parents for process in processes):
        yield "a process was started in a way that is not seen"


def _absolute(program: str) -> str:
    """Return a program that is given as a path as one that means the same everywhere."""
    return str(Path(program).absolute()) if os.sep in program else program


def _is(process: _Process, words: list[str]) -> bool:
    """Say whether a process is that of a command line, and not something that this has started.

    Of both, there are but marks of the arguments.
    """
    program = shutil.which(words[0])
    if program is None or (os.sep in words[0] and not Path(words[0]).is_absolute()):
        return False
    if os.path.realpath(program) == process.executable:
        return process.argv[1:] == words[1:]
    try:
        with Path(program).open("rb") as script:
            is_script = bool(python_of(script.read(HEAD_BYTES), Path(program)))
    except OSError:
        return False
    rest = process.argv[len(process.argv) - len(words) :]
    is_same = rest[0][WIDTH:] == mark(program)[WIDTH:]  # by the name, wherever it lies
    return is_script and rest[1:] == words[1:] and is_same
