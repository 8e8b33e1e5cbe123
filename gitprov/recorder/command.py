"""A command line under a run: what `git prov run` does, without its terminal.

The command comes first. Whatever gitprov cannot do becomes a warning, the command runs all the
same, and its exit status is what the caller gets.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from gitprov.capture.data.options import DataOptions, with_digests
from gitprov.capture.output import OutputSpool
from gitprov.capture.process import Outcome, run_command
from gitprov.capture.reported import Point, read_metrics_file, read_params_file
from gitprov.capture.secrets.wording import kept_out
from gitprov.errors import GitprovError, InputError
from gitprov.model.ids import short
from gitprov.model.run import Run, Scalar
from gitprov.recorder.active import ActiveRun, Request
from gitprov.recorder.assembly import Ending
from gitprov.recorder.command_trace import CommandTrace, Traced, method_for
from gitprov.recorder.contribution import Contribution
from gitprov.recorder.environment_at_end import OTHERS_FIELD, AtEnd, environment_at_end
from gitprov.recorder.jobs import take_place
from gitprov.recorder.joined import outer_run_id, variables_for
from gitprov.recorder.lock_warning import lock_warning
from gitprov.recorder.ranks import RANKS_VARIABLE
from gitprov.recorder.recovery import catch_up
from gitprov.store.payload import OUTPUT_LOG, OUTPUT_TAIL, PLAIN_TEXT_BYTES
from gitprov.store.store import Store

if TYPE_CHECKING:
    from gitprov.store.transfer import Watch

METRICS_VARIABLE = "GITPROV_METRICS"
DEFAULT_MAX_LOG_BYTES = 64 << 20

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandOptions:
    """What the user asked for besides the command."""

    argv: Sequence[str]
    name: str | None = None
    message: str | None = None
    tags: Sequence[str] = ()
    params: Mapping[str, Scalar] = field(default_factory=dict)
    params_files: Sequence[str] = ()
    metrics_files: Sequence[str] = ()
    inputs: Sequence[str] = ()
    outputs: Sequence[str] = ()
    data: DataOptions = field(default_factory=DataOptions)
    trace: str | None = None


class CommandRun:
    """One command, from the capture of its surroundings to the acknowledged record.

    Call `begin`, `execute` and `finish`, in this order. `warnings` collects, in words, what was
    not recorded; `run` is None where nothing is, and where this is a rank of a distributed job
    that contributes to the run of rank 0.
    """

    def __init__(self, options: CommandOptions, cwd: Path) -> None:
        self.options = options
        self.cwd = cwd
        self.run: ActiveRun | None = None
        # Is told how far the hashing of data is.
        self.watch: Watch | None = None
        self._contribution: Contribution | None = None
        self.recorded: Run | None = None
        self.warnings: list[str] = []
        self._told: set[str] = set()
        self._spool: OutputSpool | None = None
        self._before: dict[str, int | None] = {}
        self._trace: CommandTrace | None = None
        self._untraced: str | None = None
        self._in_job = False

    def begin(self) -> None:
        """Capture what is there before the command runs."""
        self._before = {name: _modified(self.cwd / name) for name in self.options.metrics_files}
        self.run = self._guarded("not recorded", self._start)
        if (to := self._contribution) is not None:
            self.warnings += to.redactor.problems
            self._tell_what_is_kept_out(to)

    def execute(self) -> Outcome:
        """Run the command; raise CommandUnstartable where there is nothing to run."""
        env = dict(os.environ)
        if (to := self._contribution) is not None:
            env |= variables_for(to)
            env[METRICS_VARIABLE] = str(to.metrics_lines)
        if (run := self.run) is not None:
            if not run.store.repository.config.flag("prov.ranks", default=True):
                env[RANKS_VARIABLE] = "off"
            self._spool = self._guarded("the output is not kept", lambda: _spool_for(run))
            self._start_trace(run)
        argv = self.options.argv
        if (trace := self._trace) is not None:
            env |= trace.variables(env)
            argv = trace.command()
        return run_command(argv, env=env, spool=self._spool)

    def finish(self, outcome: Outcome) -> None:
        """Add what the command has left, acknowledge the run, and write it to the ledger."""
        ended_ns = time.time_ns()
        run = self.run
        if run is None:
            self._contribute(outcome)
            return
        missing = {} if run.contribution.journal.is_over else self._collect(run)
        traced = self._take_trace()
        if traced is not None:
            missing = {**traced.missing, **traced.reads.missing, **missing}
        elif self._untraced is not None:
            missing["trace"] = self._untraced
        at_end = self._environment_at_end(run, traced)
        missing |= at_end.missing
        ending = Ending(
            status="completed" if outcome.exit_code == 0 else "failed",
            ended_ns=ended_ns,
            exit_code=outcome.exit_code,
            signal=outcome.signal,
            usage=outcome.usage,
            trace=traced.trace if traced else None,
            reads=traced.reads.paths if traced else (),
            missing=missing,
            environment=at_end.environment,
            settled=at_end.settled,
        )
        self._end(run, ending)

    def abandon(self, error: str, exit_code: int) -> None:
        """Record a command that could not be started."""
        if self.run is not None:
            if self._spool is not None:
                self._spool.close()
            ending = Ending(
                status="failed", ended_ns=time.time_ns(), exit_code=exit_code, error=error
            )
            self._end(self.run, ending)
        elif (to := self._contribution) is not None:
            self._guarded("the error is not recorded", lambda: to.add_error(error))

    @property
    def _data(self) -> DataOptions:
        return replace(self.options.data, watch=self.watch)

    def _start(self) -> ActiveRun | None:
        options = self.options
        store = Store.open(self.cwd)
        place = take_place(store)
        self._in_job = place is not None
        if place is not None and place.rank > 0:
            top = store.repository.work_tree
            self._contribution = Contribution(place.journal, top, rank=place.rank)
            return None
        params: dict[str, Scalar] = {}
        missing: dict[str, str] = {}
        for name in options.params_files:
            try:
                params |= read_params_file(self.cwd / name)
            except InputError as error:
                missing[f"params.{name}"] = str(error)
                self.warnings.append(str(error))
        request = Request(
            argv=options.argv,
            name=options.name,
            message=options.message,
            tags=options.tags,
            params={**params, **options.params},
            inputs=options.inputs,
            data=self._data,
            entrypoint="git prov run",
            part_of=outer_run_id(),
            missing=missing,
        )
        run = ActiveRun.start(store, request, self.cwd, place.journal if place else None)
        self._contribution = run.contribution
        self._warn_of_missing(run.started["manifest"].get("missing", {}), "inputs.")
        if warning := lock_warning(run.environment.files):
            self.warnings.append(warning)
        return run

    def _contribute(self, outcome: Outcome) -> None:
        """Add, as one rank of several, what this rank's command has left."""
        to = self._contribution
        if to is None:
            return
        self._guarded("metrics not recorded", lambda: self._add_reported_lines(to))
        if outcome.exit_code != 0:
            how = f"exited with {outcome.exit_code}"
            if outcome.signal is not None:
                how = f"was ended by signal {outcome.signal}"
            self._guarded(
                "the failure is not recorded", lambda: to.add_error(f"rank {to.rank} {how}")
            )
        self._tell_what_is_kept_out(to)

    def _end(self, run: ActiveRun, ending: Ending) -> None:
        journal = run.contribution.journal
        what = f"not recorded; what is known stays in {journal.path}"
        if journal.is_over:
            what = f"the end of run {short(run.id)} is not recorded"
        self.recorded = self._guarded(what, lambda: run.finish(ending))
        self._tell_what_is_kept_out(run.contribution)
        if self.recorded is not None:
            # Acknowledged. What follows only makes it visible sooner.
            self.warnings += catch_up(run.store).problems
        run.store.close()

    def _start_trace(self, run: ActiveRun) -> None:
        """Have the command watched, where that is wanted and can be done."""
        options = self.options

        def start() -> CommandTrace | None:
            method = method_for(options.trace, run, options.argv)
            declared = [*options.inputs, *options.outputs]
            alone = not self._in_job
            return method and CommandTrace(run, method, options.argv, declared, alone=alone)

        count = len(self.warnings)
        self._trace = self._guarded("not traced", start)
        if len(self.warnings) > count:
            self._untraced = self.warnings[-1]

    def _take_trace(self) -> Traced | None:
        """Add what was seen of the command, and return the rest of it."""
        trace = self._trace
        if trace is None or self.run is None or self.run.contribution.journal.is_over:
            return None
        found = self._guarded("what was read and written is not recorded", trace.taken)
        if found is None:
            self._untraced = self.warnings[-1]
        return found

    def _environment_at_end(self, run: ActiveRun, traced: Traced | None) -> AtEnd:
        """Return what is known by now of the Pythons of the command."""
        if run.contribution.journal.is_over:
            return AtEnd()
        pythons = traced.pythons if traced else ()
        found = self._guarded(
            "the Pythons that ran are not recorded",
            lambda: environment_at_end(run, self.options.argv, self.cwd, pythons),
        )
        return found or AtEnd(missing={OTHERS_FIELD: self.warnings[-1]})

    def _collect(self, run: ActiveRun) -> dict[str, str]:
        """Add outputs, reported metrics and the output log; return what is not known of them."""
        missing: dict[str, str] = {}
        if (spool := self._spool) is not None:
            what = "the end of the output is not kept"
            missing |= self._guarded(what, lambda: self._close_spool(run, spool)) or {}
        found = self._guarded(
            "outputs not recorded",
            lambda: run.contribution.add_data(
                "outputs",
                self.options.outputs,
                cwd=self.cwd,
                options=with_digests(self._data, run.store.repository.config),
            ),
        )
        if found is not None:
            missing |= found.missing
            self._warn_of_missing(found.missing, "outputs.")
        else:
            missing["outputs"] = self.warnings[-1]
        if not self._guarded("metrics not recorded", lambda: self._add_metrics(run, missing)):
            missing["metrics"] = self.warnings[-1]
        return missing

    def _close_spool(self, run: ActiveRun, spool: OutputSpool) -> dict[str, str]:
        spool.close(fsync=run.store.fsync)
        if spool.size == 0 and not spool.fault:
            run.contribution.journal.payload(OUTPUT_LOG).unlink(missing_ok=True)
        elif spool.size > PLAIN_TEXT_BYTES:
            run.contribution.journal.payload(OUTPUT_TAIL).write_bytes(spool.tail)
        if spool.fault:
            self.warnings.append(f"the output was not kept: {spool.fault}")
            return {f"byproducts.{OUTPUT_LOG}": spool.fault}
        if spool.dropped:
            reason = f"{spool.dropped} bytes beyond prov.log.maxSize were not kept"
            return {f"byproducts.{OUTPUT_LOG}": reason}
        return {}

    def _add_metrics(self, run: ActiveRun, missing: dict[str, str]) -> bool:
        points: list[Point] = []
        self._add_reported_lines(run.contribution)
        for name in self.options.metrics_files:
            modified = _modified(self.cwd / name)
            try:
                if modified is not None and modified == self._before[name]:
                    raise InputError(f"{name} was there before and was not written by this run")
                points += read_metrics_file(self.cwd / name)
            except InputError as error:
                missing[f"metrics.{name}"] = str(error)
                self.warnings.append(str(error))
        run.contribution.add_points(points)
        return True

    def _add_reported_lines(self, to: Contribution) -> None:
        for line in to.take_reported_lines():
            self.warnings.append(f"not a metric, as in name=0.5 step=3: {line!r}")

    def _tell_what_is_kept_out(self, to: Contribution) -> None:
        """Warn of secrets that were found since the last time."""
        found = to.redactor.found_besides(self._told)
        self._told |= found.keys()
        if found:
            self.warnings.insert(0, kept_out(found))  # the last may be cut off

    def _warn_of_missing(self, missing: Mapping[str, str], prefix: str) -> None:
        for name, reason in missing.items():
            if name.startswith(prefix):
                kind = prefix.removesuffix("s.")
                self.warnings.append(f"{kind} {name.removeprefix(prefix)}: {reason}")

    def _guarded(self, what: str, action: Callable[[], T]) -> T | None:
        """Return what `action` returns; a fault becomes a warning and None."""
        try:
            return action()
        except (GitprovError, OSError) as error:
            self.warnings.append(f"{what}: {error}")
        except Exception as error:  # a mistake of ours must not stop the command
            if os.environ.get("GITPROV_DEBUG") == "1":
                raise
            fault = f"{type(error).__name__}: {error}"
            self.warnings.append(f"{what}: a fault in gitprov, please report it: {fault}")
        return None


def _spool_for(run: ActiveRun) -> OutputSpool:
    limit = run.store.repository.config.size("prov.log.maxsize", DEFAULT_MAX_LOG_BYTES)
    log, redactor = run.contribution.journal.payload(OUTPUT_LOG), run.contribution.redactor
    return OutputSpool(log, limit=limit, redactor=redactor)


def _modified(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None
