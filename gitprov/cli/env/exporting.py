"""`git prov env export`: the environment of a run as a file of another tool's."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from gitprov.cli.catching_up import current_store
from gitprov.cli.env.arguments import Environments, RunName
from gitprov.cli.terminal import say
from gitprov.errors import InputError
from gitprov.exchange.environments import FORMATS
from gitprov.exchange.environments import export as exported
from gitprov.index.history import LAST
from gitprov.model.wording import printable


def register(app: typer.Typer) -> None:
    """Add the verb to its group."""
    app.command()(export)


def export(
    run: RunName = LAST,
    form: Annotated[
        str,
        typer.Option(
            "--format",
            "-f",
            metavar="FORMAT",
            help=f"One of {', '.join(FORMATS)}.",
            show_default=False,
        ),
    ] = "",
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE", help="Write to a file.")
    ] = None,
    resolve: Annotated[
        bool,
        typer.Option("--resolve", help="Ask an index for what no lock file names, as hashes."),
    ] = False,
) -> None:
    """Print the environment of a run as another tool's file: to install from, build from, audit.

    In what the file is not exact is said beside it, on standard error.
    """
    if form not in FORMATS:
        raise typer.BadParameter(_unknown(form), param_hint="--format")
    with current_store() as store:
        found = Environments(store).named(run)
        made = exported(found.environment, form, resolve=resolve)
    if output is None:
        sys.stdout.write(made.text)
    else:
        try:
            Path(output).write_text(made.text, "utf-8")
        except OSError as error:
            raise InputError(f"{output} cannot be written: {error.strerror}") from error
    for note in made.notes:
        say(f"gitprov: note: {printable(note)}")


def _unknown(form: str) -> str:
    known = ", ".join(FORMATS)
    if not form:
        return f"name one: {known}"
    # Late: only a mistake needs it.
    from difflib import get_close_matches  # noqa: PLC0415

    near = get_close_matches(form, FORMATS, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {known}"
    return f"{printable(form)} is no format ({hint})"
