"""`git prov run`: a command, recorded."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from gitprov.capture.process import CommandUnstartable
from gitprov.capture.reported import parse_scalar
from gitprov.cli.terminal import say, verb
from gitprov.model.ids import short
from gitprov.model.run import Run, Scalar, Source
from gitprov.model.wording import duration_text, printable, size_text, status_text
from gitprov.recorder.command import CommandOptions, CommandRun

app = verb()
_MAX_WARNINGS = 2


@app.command(
    context_settings={"ignore_unknown_options": False, "allow_interspersed_args": False},
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
    )
    recorded = CommandRun(options, Path.cwd())
    recorded.begin()
    if not quiet and recorded.run is not None:
        say(f"gitprov: run {short(recorded.run.id)} ({recorded.run.name}) started")
    _say_warnings(recorded)
    try:
        outcome = recorded.execute()
    except CommandUnstartable as fault:
        recorded.abandon(str(fault), fault.shell_status)
        say(f"gitprov: {fault}")
        raise typer.Exit(fault.shell_status) from None
    recorded.finish(outcome)
    if not quiet and recorded.recorded is not None:
        for line in _summary(recorded.recorded):
            say(f"gitprov: {line}")
    _say_warnings(recorded)
    raise typer.Exit(outcome.shell_status)


def _params(words: list[str]) -> dict[str, Scalar]:
    params = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not name or not equals:
            raise typer.BadParameter(f"{word!r} is not NAME=VALUE", param_hint="-p")
        params[name] = parse_scalar(value)
    return params


def _say_warnings(run: CommandRun) -> None:
    """Say the warnings so far, a few in full, and forget them."""
    for warning in run.warnings[:_MAX_WARNINGS]:
        say(f"gitprov: warning: {printable(warning)}")
    if (rest := len(run.warnings) - _MAX_WARNINGS) > 0:
        say(f"gitprov: and {rest} more warnings; the record has them: git prov show")
    run.warnings.clear()


def _summary(run: Run) -> list[str]:
    """Return at most four lines on a finished run."""
    lines = [f"run {short(run.id)} {status_text(run)} in {duration_text(run.duration_ns)}"]
    where = _code(run.source)
    python = run.environment.python if run.environment else None
    lines.append(f"code {where}; environment {printable(python or 'without Python')}")
    if run.inputs or run.outputs:
        known = sum(item.size or 0 for item in (*run.inputs, *run.outputs))
        counts = f"{len(run.inputs)} inputs, {len(run.outputs)} outputs"
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
        text += f", {len(source.omitted)} paths left out"
    return text
