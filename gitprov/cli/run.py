"""`git prov run`: a command, recorded."""

import os
import shlex
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from gitprov.capture.data.options import DataOptions
from gitprov.capture.process import CommandUnstartable
from gitprov.capture.reported import parse_scalar
from gitprov.cli.progress import data_bar
from gitprov.cli.terminal import say, verb
from gitprov.model.ids import short
from gitprov.model.run import Run, Scalar, Source
from gitprov.model.wording import duration_text, plural, printable, size_text, status_text
from gitprov.recorder.command import CommandOptions, CommandRun
from gitprov.recorder.command_trace import METHODS

app = verb()
_MAX_LINES = 6
_LATE_SECONDS = 1.0
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@app.command(
    context_settings={
        "allow_interspersed_args": False,
        "help_option_names": ["-h", "--help"],
        "ignore_unknown_options": False,
    },
    epilog="The command's output, signals and exit status are its own.",
)
def run(
    command: Annotated[list[str], typer.Argument(help="The command, after --.")],
    message: Annotated[str | None, typer.Option("--message", "-m", help="Why it is run.")] = None,
    name: Annotated[str | None, typer.Option("--name", "-n", help="A name for the run.")] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option("--input", "-i", help="A file, folder, glob or URI that it reads."),
    ] = None,
    outputs: Annotated[
        list[str] | None,
        typer.Option("--output", "-o", help="A file, folder, glob or URI that it writes."),
    ] = None,
    params: Annotated[
        list[str] | None, typer.Option("--param", "-p", help="A parameter, as in lr=0.1.")
    ] = None,
    params_files: Annotated[
        list[str] | None,
        typer.Option("--params", help="A JSON, YAML or TOML file of parameters."),
    ] = None,
    metrics_files: Annotated[
        list[str] | None,
        typer.Option("--metrics", help="A JSON, YAML or TOML file of metrics that it writes."),
    ] = None,
    tags: Annotated[list[str] | None, typer.Option("--tag", "-t", help="A tag.")] = None,
    trace: Annotated[
        str | None,
        typer.Option(
            metavar="[auto|audit|strace|off]",
            help="See what it reads and writes: audit sees what Python does (auto: where it is "
            "Python), strace any program on Linux (prov.trace).",
            show_default=False,
        ),
    ] = None,
    follow_links: Annotated[
        bool,
        typer.Option("--follow-links", help="In folders, record what links lead to."),
    ] = False,
    hint_only: Annotated[
        bool,
        typer.Option(
            "--hint-only", help="Do not read remote data: record what its store says, no digest."
        ),
    ] = False,
    engine: Annotated[
        str | None,
        typer.Option("--engine", metavar="URI", help="Hash data on a cluster: dask://HOST:PORT."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say only what went wrong.")] = False,
) -> None:
    """Run a command and record it: source, data, environment, parameters, results."""
    options = CommandOptions(
        argv=command,
        name=name,
        message=message,
        tags=tags or (),
        params=_params(params or []),
        params_files=params_files or (),
        metrics_files=metrics_files or (),
        inputs=inputs or (),
        outputs=outputs or (),
        data=DataOptions(follow_links=follow_links, hint_only=hint_only, engine=engine),
        trace=_method(trace),
    )
    recorded = CommandRun(options, _current_folder())
    with data_bar() as recorded.watch:
        recorded.begin()
    _say_start(recorded, quiet=quiet)
    with _unhurried() as command_ended:
        try:
            outcome = recorded.execute()
        except CommandUnstartable as fault:
            recorded.abandon(str(fault), fault.shell_status)
            _say_end([printable(str(fault))], recorded.warnings)
            raise typer.Exit(fault.shell_status) from None
        command_ended()
        with data_bar() as recorded.watch:
            recorded.finish(outcome)
        done = recorded.recorded
        _say_end([] if quiet or done is None else _summary(done), recorded.warnings)
    raise typer.Exit(outcome.shell_status)


def _current_folder() -> Path:
    """Return the current folder; the command runs even where that has been removed."""
    try:
        return Path.cwd()
    except OSError:
        return Path(os.environ.get("PWD") or "/")


@contextmanager
def _unhurried() -> Iterator[Callable[[], None]]:
    """Keep signals that are meant for the command from ending us before the run is recorded.

    In place before the command starts and until the last word is said, so that there is no gap;
    while it runs, signals are passed on to it. A Ctrl-C reaches us once by the terminal and once
    through git, and may come late. One that is typed a second after the command has ended (the
    block calls what it is given, to say so) is meant for us: hashing outputs takes its time.
    """
    ended: list[float] = []

    def hold(number: int, _frame: object) -> None:
        if number == signal.SIGINT and ended and time.monotonic() - ended[0] > _LATE_SECONDS:
            raise KeyboardInterrupt

    found = {number: signal.getsignal(number) for number in _ENDING}
    before = {number: handler for number, handler in found.items() if handler is not None}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, hold)
    try:
        yield lambda: ended.append(time.monotonic())
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _method(word: str | None) -> str | None:
    if word is not None and word not in METHODS:
        raise typer.BadParameter(f"{word!r} is none of {', '.join(METHODS)}", param_hint="--trace")
    return word


def _params(words: list[str]) -> dict[str, Scalar]:
    params = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not name or not equals:
            raise typer.BadParameter(f"{word!r} is not NAME=VALUE", param_hint="-p")
        params[name] = parse_scalar(value)
    return params


def _say_start(recorded: CommandRun, *, quiet: bool) -> None:
    """Say in one line that the run begins, with the first thing that is wrong already."""
    parts = []
    if recorded.run is not None and not quiet:
        parts.append(f"run {short(recorded.run.id)} ({recorded.run.name}) started")
    if recorded.warnings:
        parts.append(f"warning: {printable(recorded.warnings.pop(0))}")
    if parts:
        say(f"gitprov: {'; '.join(parts)}")


def _say_end(lines: list[str], warnings: list[str]) -> None:
    """Say how it ended, and as many warnings as there is room for."""
    for line in lines:
        say(f"gitprov: {line}")
    room = _MAX_LINES - len(lines)
    if len(warnings) > room:
        room -= 1
    for warning in warnings[:room]:
        say(f"gitprov: warning: {printable(warning)}")
    if rest := warnings[room:]:
        say(f"gitprov: and {plural(len(rest), 'more warning')}; what is missing: git prov show")


def _summary(run: Run) -> list[str]:
    """Return at most four lines on a finished run."""
    lines = [f"run {short(run.id)} {status_text(run)} in {duration_text(run.duration_ns)}"]
    where = _code(run.source)
    python = run.environment.python if run.environment else None
    lines.append(f"code {where}; environment {printable(python or 'without Python')}")
    if run.inputs or run.outputs:
        known = sum(item.size or 0 for item in (*run.inputs, *run.outputs))
        counts = f"{plural(len(run.inputs), 'input')}, {plural(len(run.outputs), 'output')}"
        lines.append(f"{counts}, {size_text(known)} hashed")
    lines.append(f"next: git prov show {shlex.quote(short(run.id))}")
    return lines


def _code(source: Source | None) -> str:
    if source is None:
        return "unknown"
    text = source.commit[:9] if source.commit else "without a commit"
    if source.snapshot:
        text += f" with uncommitted changes (snapshot {source.snapshot[:9]})"
    elif source.dirty:
        text += " with uncommitted changes that could not be captured"
    if source.omitted:
        text += f", {plural(len(source.omitted), 'path')} left out"
    return text
