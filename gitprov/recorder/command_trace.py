"""A command that is watched: by which means, and what these have seen.

Python's own audit hooks (`gitprov.capture.observer`) see what Python does; strace sees the calls
of any program, on Linux. Each says what it cannot see.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from gitprov.capture import reads as reads_module
from gitprov.capture.environments.commands.interpreter import find_interpreter
from gitprov.capture.reads import MAX_PATHS
from gitprov.capture.reported_reads import ROOTS, ReportedPython, reported
from gitprov.capture.tracing.left_out import data_roots
from gitprov.capture.tracing.touched import Touched
from gitprov.errors import GitprovError, InputError
from gitprov.model.run import Trace, TraceMethod
from gitprov.recorder.active import ActiveRun
from gitprov.recorder.observed import READS, SEVERAL, Reads, SourceFiles
from gitprov.recorder.traced_data import add_touched

METHODS = ("auto", "audit", "strace", "off")
_FOLDERS: Mapping[TraceMethod, str] = {"audit": "reads", "strace": "trace"}
_OBSERVER = Path(reads_module.__file__).with_name("observer")
_TOO_MANY = f"there are more than {MAX_PATHS} files"
# Options of Python.
_ISOLATING = frozenset({"-I", "-E", "-S"})
# What the methods never see.
_UNSEEN: Mapping[TraceMethod, str] = {
    "audit": "remote data that is not read through fsspec or pyarrow",
    "strace": "remote data",
}


class Traced(NamedTuple):
    """What came of it: for the record, why other fields are not known, and which Pythons ran."""

    trace: Trace
    reads: Reads
    missing: Mapping[str, str]
    pythons: Sequence[ReportedPython] = ()


class _Sighting(NamedTuple):
    """What a method has seen; `gap` says why `reads` may not be all."""

    touched: Touched
    reads: set[str]
    gap: str | None
    processes: int
    unseen: list[str]
    pythons: Sequence[ReportedPython] = ()


def method_for(wanted: str | None, run: ActiveRun, argv: Sequence[str]) -> TraceMethod | None:
    """Return how a command is to be watched; None: not at all.

    What was not said is said by `prov.trace`; `auto` watches Python, also behind programs that
    start it. Raises InputError for what is no method.
    """
    wanted = wanted or run.store.repository.config.get("prov.trace", "auto")
    if wanted == "auto":
        return "audit" if _is_observable(argv) else None
    if wanted in _FOLDERS:
        return wanted  # type: ignore[return-value]
    if wanted != "off":
        raise InputError(f"{wanted!r} is no way to trace; there are {', '.join(METHODS)}")
    return None


def _is_observable(argv: Sequence[str]) -> bool:
    """Say whether a command is Python, and loads what would observe it."""
    found = find_interpreter(argv, cwd=Path.cwd(), env=os.environ)
    if found is None or not found.of_python or not _ISOLATING.isdisjoint(found.options):
        return False
    # A program in between may give it a path of its own.
    return found.env is None or found.env.get("PYTHONPATH") == os.environ.get("PYTHONPATH")


class CommandTrace:
    """One command, watched. `alone` says that no other commands have a part in the run.

    Raises InputError where that cannot be done, and OSError.
    """

    def __init__(
        self,
        run: ActiveRun,
        method: TraceMethod,
        argv: Sequence[str],
        declared: Sequence[str],
        *,
        alone: bool,
    ) -> None:
        repository = run.store.repository
        if repository.work_tree is None:
            raise InputError("there is no work tree to look at")
        self._run = run
        self._method = method
        self._argv = list(argv)
        self._alone = alone
        self._top = repository.work_tree
        self._folder = run.contribution.journal.path / _FOLDERS[method]
        self._folder.mkdir()
        configured = repository.config.all("prov.data.root")
        roots = data_roots(configured, declared, Path.cwd(), self._top)
        if method == "audit":
            (self._folder / ROOTS).write_bytes(
                b"".join(os.fsencode(root) + b"\0" for root in roots)
            )
        else:
            # Late: runs that are not traced so need none of it.
            from gitprov.capture.tracing.strace import Strace  # noqa: PLC0415

            top = os.path.realpath(self._top)
            self._strace = Strace(argv, os.environ, self._folder, top, roots)

    def variables(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return the environment variables with which the command is watched."""
        if self._method != "audit":
            return {}
        before = environ.get("PYTHONPATH")
        return {"PYTHONPATH": os.pathsep.join([str(_OBSERVER), *([before] if before else [])])}

    def command(self) -> list[str]:
        """Return what is to be executed in place of the command."""
        return self._argv if self._method == "audit" else self._strace.command(self._argv)

    def taken(self) -> Traced:
        """Add what was seen to the run, once the command has ended.

        Raises InputError where nothing is known of it.
        """
        seen = self._reported() if self._method == "audit" else self._straced()
        source = SourceFiles(self._run)
        reads = self._reads(seen, source)
        missing = add_touched(
            self._run, self._top, seen.touched, source, success_is_seen=self._method == "strace"
        )
        if _TOO_MANY in seen.unseen:
            missing["inputs.rest"] = f"{_TOO_MANY}; of the others none was noted"
        unseen = [*seen.unseen, _UNSEEN[self._method]]
        if not self._alone:
            unseen.insert(0, "the other processes of the job")
        redactor = self._run.contribution.redactor
        trace = Trace(
            method=self._method,
            processes=seen.processes,
            unseen=tuple(redactor.text(words, "trace.unseen") for words in unseen),
        )
        return Traced(trace, reads, missing, seen.pythons)

    def _reads(self, seen: _Sighting, source: SourceFiles) -> Reads:
        gap = seen.gap if self._alone else SEVERAL
        if gap is not None:
            return Reads(missing={READS: gap})
        try:
            return source.reads(seen.reads, ())
        except (GitprovError, OSError) as error:
            return Reads(missing={READS: f"not found out: {error}"})

    def _reported(self) -> _Sighting:
        found = reported(self._folder, self._argv, os.getpid())
        return _Sighting(
            found.touched, found.reads, found.gap, found.processes, found.unseen, found.pythons
        )

    def _straced(self) -> _Sighting:
        found = self._strace.findings()
        gaps = list(found.gaps)
        if found.living:
            gaps.append("a process went on after the command's end")
        reads = {name for name in found.touched.reads if not os.path.isabs(name)}
        gap = gaps[0] if gaps else None
        if gap is None and found.touched.doubtful:
            gap = "a file was opened to be read and written, and may have been there before"
        return _Sighting(found.touched, reads, gap, found.processes, gaps)
