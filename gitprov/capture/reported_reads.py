"""What the processes of a command have written down of what they read.

It is all only if every process was a Python that could be observed, from its beginning to its end,
and each is known to have been started by another, without a program in between.
"""

import ast
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from gitprov.capture.environment.shebang import HEAD_BYTES, python_of

MAX_PROCESSES = 10_000


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
    gap: str | None = None
    reads: set[str] = field(default_factory=set)
    starts: list[list[str]] = field(default_factory=list)


def reported_reads(folder: Path, command: list[str], pid: int) -> tuple[set[str], str | None]:
    """Return what was read by the processes of a command, and why that may not be all.

    `pid` is the process that has started the command.
    """
    files = sorted(folder.iterdir())
    if len(files) > MAX_PROCESSES:
        return set(), f"there were more than {MAX_PROCESSES} processes"
    try:
        processes = [_process(file) for file in files]
    except (ValueError, SyntaxError, IndexError, TypeError):
        return set(), "what a process wrote down is damaged"
    reads = set().union(*[process.reads for process in processes])
    return reads, _gap(processes, command, pid)


def _process(file: Path) -> _Process:
    lines = [ast.literal_eval(line) for line in file.read_text("ascii").splitlines()]
    (kind, pid, parent, *more), *rest = lines
    process = _Process(pid, parent, [], "", forked=True)
    if kind == "program":
        process = _Process(pid, parent, *more)
    for word, *values in rest:
        match word, values:
            case "read", [str(path)]:
                process.reads.add(path)
            case "gap", [str(reason)]:
                process.gap = process.gap or reason
            case "start", [str(program), list(argv)]:
                process.starts.append([program, *argv[1:]])
            case "end", [bool(waited)]:
                process.ended, process.waited = True, waited
    return process


def _gap(processes: list[_Process], command: list[str], pid: int) -> str | None:
    """Return why not all that was read is known."""
    for process in processes:
        if process.gap is not None:
            return process.gap
    programs = [process for process in processes if not process.forked]
    if not all(program.ended for program in programs):
        return "a program was cut short"
    # Of each process, the programs that it has started.
    expected = [(pid, [_absolute(command[0]), *command[1:]])]
    expected += [(process.pid, start) for process in processes for start in process.starts]
    for parent, words in expected:
        found = next((one for one in programs if one.parent == parent and _is(one, words)), None)
        if found is None:
            return f"{Path(words[0]).name} is not a Python program that could be observed"
        programs.remove(found)
    parents = {process.parent for process in processes} | {parent for parent, _ in expected}
    if programs or any(process.waited and process.pid not in parents for process in processes):
        return "a process was started in a way that is not seen"
    return None


def _absolute(program: str) -> str:
    """Return a program that is given as a path as one that means the same everywhere."""
    return str(Path(program).absolute()) if os.sep in program else program


def _is(process: _Process, words: list[str]) -> bool:
    """Say whether a process is that of a command line, and not something that this has started."""
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
    return is_script and rest[1:] == words[1:] and Path(rest[0]).name == Path(program).name
