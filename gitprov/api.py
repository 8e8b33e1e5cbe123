"""The Python interface: runs started, added to and searched from a program.

Inside `git prov run`, the first run that a program starts *is* the outer run: what is logged goes
there. A run that is started while another is active, and a tracked function, is a run of its own,
linked to the outer one as `part_of`.

Mistakes in arguments raise TypeError or ValueError. A fault of gitprov or of the repository does
not: it warns (`GitprovWarning`), and the program goes on.
"""

import atexit
import functools
import inspect
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, overload

from gitprov.capture.data.options import DataOptions
from gitprov.capture.own_reads import paused
from gitprov.capture.reported import flatten, scalar
from gitprov.capture.secrets.wording import kept_out
from gitprov.errors import GitprovError, RunStateError
from gitprov.index.history import History
from gitprov.model.run import Run, Status
from gitprov.model.wording import plural
from gitprov.recorder.active import ActiveRun, Request
from gitprov.recorder.assembly import Ending
from gitprov.recorder.background import BackgroundDrain
from gitprov.recorder.contribution import Contribution, StrPath
from gitprov.recorder.jobs import take_place
from gitprov.recorder.joined import announce, outer_run, outer_run_id, retract
from gitprov.recorder.observed import OwnObservation
from gitprov.recorder.recovery import catch_up
from gitprov.store.store import Store

P = ParamSpec("P")
R = TypeVar("R")


class GitprovWarning(UserWarning):
    """Something could not be recorded; the program goes on."""


# What a kind of contribution is called in a manifest, where that differs.
_FIELDS = {"parameters": "params", "the error": "error"}

_drains = BackgroundDrain()
_active: ContextVar["LiveRun | None"] = ContextVar("gitprov_active_run", default=None)


class LiveRun:
    """A run that is under way. Use it as a context manager, or call `finish`."""

    def __init__(
        self,
        contribution: Contribution | None,
        owned: ActiveRun | None,
        observation: OwnObservation | None = None,
    ) -> None:
        self._contribution = contribution
        self._owned = owned
        self._observation = observation or OwnObservation()
        self._finished = False
        self._lost: dict[str, str] = {}
        self._told: set[str] = set()
        self._process = os.getpid()
        self._outer: LiveRun | None = None
        if owned is not None:
            atexit.register(self._left_unfinished)

    @property
    def id(self) -> str | None:
        """The run's id; None where nothing is being recorded."""
        return self._contribution.journal.id if self._contribution else None

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Record parameters; nested maps get dotted names."""
        flat = dict(params)
        self._add("parameters", lambda to: to.add_params(flat))

    def log_metrics(self, values: Mapping[str, Any], step: int | None = None) -> None:
        """Record a value of each metric; every value is kept, the last one is the final one."""
        self._add("metrics", lambda to: to.add_metrics(values, step))

    def log_input(
        self,
        path: StrPath,
        name: str | None = None,
        *,
        follow_links: bool = False,
        hint_only: bool = False,
    ) -> None:
        """Record a file, folder, glob or URI that the run reads, with its hash as of now.

        `name` is what the run calls it, as in "train". Links in folders are recorded as links, or
        followed. With `hint_only`, a remote object is not read: what its store says is recorded.
        """
        asked = DataOptions(name=name, follow_links=follow_links, hint_only=hint_only)
        self._log_data("inputs", path, asked)

    def log_output(
        self,
        path: StrPath,
        name: str | None = None,
        *,
        follow_links: bool = False,
        hint_only: bool = False,
    ) -> None:
        """Record the same of what the run has written."""
        asked = DataOptions(name=name, follow_links=follow_links, hint_only=hint_only)
        self._log_data("outputs", path, asked)

    def log_tags(self, *tags: str) -> None:
        """Record tags."""
        self._add("tags", lambda to: to.add_tags(tags))

    def finish(self, status: Status = "completed", error: str | None = None) -> None:
        """End the run; on return it is recorded for good. More than once does no harm.

        It is durable then (specification, section 9.2); a thread brings it into the ledger.
        A run that belongs to an outer `git prov run` ends with that command, and a forked child
        ends no run of its parent's.
        """
        if self._finished or os.getpid() != self._process:
            return
        self._finished = True
        atexit.unregister(self._left_unfinished)
        if _active.get() is self:
            _active.set(self._outer)
        if self.id is not None:
            retract(self.id)
        if self._owned is None:
            if error:
                self._contribute("the error", lambda to: to.add_error(error))
            return
        owned = self._owned
        ended_ns = time.time_ns()
        try:
            with paused():
                found = self._observation.taken()
                missing = {**found.missing, **self._lost}
                ending = Ending(
                    status=status,
                    ended_ns=ended_ns,
                    error=error,
                    reads=found.paths,
                    missing=missing,
                )
                owned.finish(ending)
        except RunStateError as fault:
            _warn(f"the end of run {owned.id} is not recorded: {fault}")
        except (GitprovError, OSError) as fault:
            _warn(f"run {owned.id} is not recorded: {fault}")
        _drains.take(owned.store)
        _warn_of_drains()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None or (kind is SystemExit and not getattr(error, "code", None)):
            self.finish()
        elif issubclass(kind, KeyboardInterrupt):
            self.finish("aborted", "KeyboardInterrupt")
        else:
            self.finish("failed", f"{kind.__name__}: {error}")

    def _log_data(self, role: str, path: StrPath, asked: DataOptions) -> None:
        def add(to: Contribution) -> None:
            options = replace(asked, algorithms=to.data.algorithms)
            found = to.add_data(role, [path], cwd=Path.cwd(), seen="observed", options=options)
            for name, reason in found.missing.items():
                _warn(f"{name}: {reason}")

        self._add(role, add)

    def _add(self, what: str, action: Callable[[Contribution], None]) -> None:
        if self._finished:
            raise RunStateError(f"run {self.id} is finished; {what} can no longer be added")
        self._contribute(what, action)

    def _contribute(self, what: str, action: Callable[[Contribution], None]) -> None:
        if self._contribution is None:
            return
        try:
            with paused():
                action(self._contribution)
        except (GitprovError, OSError) as fault:
            self._lost[_FIELDS.get(what, what)] = f"not recorded: {fault}"
            _warn(f"{what} not recorded: {fault}")
        self._tell_what_is_kept_out(self._contribution)

    def _tell_what_is_kept_out(self, to: Contribution) -> None:
        """Warn of secrets that were found since the last time."""
        found = to.redactor.found_besides(self._told)
        self._told |= found.keys()
        if found:
            _warn(kept_out(found))

    def _left_unfinished(self) -> None:
        self.finish("aborted", "the program ended without finishing the run")


def start_run(
    name: str | None = None,
    *,
    params: Mapping[str, Any] | None = None,
    message: str | None = None,
    tags: Iterable[str] = (),
    inputs: Iterable[StrPath] = (),
) -> LiveRun:
    """Start a run, or join the one that `git prov run` has started around this program.

    In the run that is joined, name and message stay those of the outer command. The ranks of a
    distributed job have one run, which rank 0 owns. Outside a git repository, a warning says that
    nothing is recorded, and the run accepts everything.
    """
    request = Request(
        argv=sys.orig_argv,
        interpreter_of=[sys.executable],
        name=name,
        message=message,
        tags=list(tags),
        params=_flat(params or {}),
        inputs=[os.fspath(path) for path in inputs],
        entrypoint="gitprov.start_run",
        part_of=_part_of(),
    )
    if _active.get() is not None:
        return _activate(_begin(request))
    joined = outer_run()
    return _activate(_begin(request, in_job=True) if joined is None else _joined(joined, request))


def search_runs(query: str | None = None, *, path: StrPath | None = None) -> Iterator[Run]:
    """Yield the runs that a query picks, the newest first; all of them without a query.

    `path` is any place in the repository, the current folder by default. Raises QueryError,
    NotARepository.
    """
    with paused():
        store = Store.open(Path(path) if path is not None else None)
        problems = catch_up(store).problems
    for problem in problems:
        _warn(problem)
    try:
        with paused():
            history = History(store)
            bad = history.unreadable()
            found = iter(history.runs(where=query))
        if bad:
            _warn(f"{plural(bad, 'record')} cannot be read; see: git prov verify")
        while True:
            with paused():
                decoded = next(found, None)
            if decoded is None:
                return
            yield decoded.record
    finally:
        store.close()


@overload
def track(function: Callable[P, R]) -> Callable[P, R]: ...
@overload
def track(
    *, name: str | None = None, tags: Iterable[str] = ()
) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def track(
    function: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    tags: Iterable[str] = (),
) -> Any:
    """Make each call of a function a run.

    Arguments become parameters (numbers and text as they are, anything else by its type). A
    returned mapping of numbers becomes metrics. Coroutine functions are awaited inside the run.
    """
    if function is None:
        return functools.partial(track, name=name, tags=tuple(tags))
    signature = inspect.signature(function)

    def start(args: tuple[Any, ...], kwargs: dict[str, Any]) -> LiveRun:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        request = Request(
            argv=sys.orig_argv,
            interpreter_of=[sys.executable],
            name=name or function.__name__,
            tags=tuple(tags),
            params={key: _argument(value) for key, value in bound.arguments.items()},
            entrypoint=f"{function.__module__}:{function.__qualname__}",
            part_of=_part_of(),
        )
        return _activate(_begin(request))

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def tracked_coroutine(*args: Any, **kwargs: Any) -> Any:
            with start(args, kwargs) as run:
                result = await function(*args, **kwargs)
                _log_result(run, result)
                return result

        return tracked_coroutine

    @functools.wraps(function)
    def tracked(*args: Any, **kwargs: Any) -> Any:
        with start(args, kwargs) as run:
            result = function(*args, **kwargs)
            _log_result(run, result)
            return result

    return tracked


def _warn_of_drains() -> None:
    """Say what went wrong behind the program's back since the last time."""
    for problem in _drains.problems():
        _warn(problem)


@atexit.register
def _end_drains() -> None:
    _drains.join()
    _warn_of_drains()


def _warn(message: str) -> None:
    """Warn at the line of the program that called us, however deep we are."""
    depth, frame = 1, inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__") == __name__:
        depth, frame = depth + 1, frame.f_back
    warnings.warn(message, GitprovWarning, stacklevel=depth)


def _part_of() -> str | None:
    """Return the run within which one that is started now would stand."""
    active = _active.get()
    return outer_run_id() if active is None else active.id


def _joined(to: Contribution, request: Request) -> LiveRun:
    run = LiveRun(to, None)
    run.log_params(request.params)
    if request.tags:
        run.log_tags(*request.tags)
    for path in request.inputs:
        run.log_input(path)
    return run


def _begin(request: Request, *, in_job: bool = False) -> LiveRun:
    """Begin a run; as one of the ranks of a job (`in_job`), contribute to that of rank 0."""
    observation = OwnObservation()
    try:
        with paused():
            store = Store.open()
            place = take_place(store) if in_job else None
            if place is not None and place.rank > 0:
                top = store.repository.work_tree
                return _joined(Contribution(place.journal, top, rank=place.rank), request)
            owned = ActiveRun.start(store, request, Path.cwd(), place.journal if place else None)
            observation.begin(owned, alone=place is None)
    except (GitprovError, OSError) as fault:
        _warn(f"the run is not recorded: {fault}")
        return LiveRun(None, None)
    missing = owned.started["manifest"].get("missing", {})
    for key in (key for key in missing if key.startswith("inputs.")):
        _warn(f"{key}: {missing[key]}")
    for problem in owned.contribution.redactor.problems:
        _warn(problem)
    run = LiveRun(owned.contribution, owned, observation)
    run._tell_what_is_kept_out(owned.contribution)  # noqa: SLF001 -- one module, one idea
    return run


def _activate(run: LiveRun) -> LiveRun:
    run._outer = _active.get()  # noqa: SLF001 -- one module, one idea
    _active.set(run)
    if run.id is not None:
        announce(run.id)
    return run


def _flat(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: scalar(value) for name, value in flatten(params).items()}


def _argument(value: Any) -> Any:
    """Return an argument as a parameter; large objects by their type, not by their text."""
    is_number = hasattr(value, "item") and getattr(value, "ndim", None) == 0
    if is_number or isinstance(value, bool | int | float | str):
        return scalar(value)
    return str(value) if isinstance(value, os.PathLike) else f"<{type(value).__qualname__}>"


def _log_result(run: LiveRun, result: Any) -> None:
    if isinstance(result, Mapping) and all(_is_number(value) for value in result.values()):
        run.log_metrics({str(key): value for key, value in result.items()})


def _is_number(value: Any) -> bool:
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        value = value.item()  # a NumPy or PyTorch scalar
    return isinstance(value, int | float) and not isinstance(value, bool)
