"""`git prov env check`: whether this machine matches the environment of a run."""

import os
from pathlib import Path
from typing import Annotated

import typer

from gitprov.cli.catching_up import current_store
from gitprov.cli.env.arguments import Environments, RunName
from gitprov.cli.terminal import Json, paged, style_for
from gitprov.environments.checking import Checked
from gitprov.environments.checking import check as compared
from gitprov.environments.present import present_environment
from gitprov.index.history import LAST
from gitprov.model.environment_changes import Difference
from gitprov.model.environment_wording import word
from gitprov.model.ids import short
from gitprov.model.run import Run
from gitprov.views.environment_changes import change_document, count_text, difference_lines
from gitprov.views.environments import summary
from gitprov.views.json import json_line
from gitprov.views.style import Style

_SIDES = ("recorded", "here")


def register(app: typer.Typer) -> None:
    """Add the verb to its group."""
    app.command(epilog="Exit status: 0 where it matches, 1 where something differs that decides.")(
        check
    )


def check(
    run: RunName = LAST,
    python: Annotated[
        str | None,
        typer.Option(
            "--python", metavar="PATH", help="Look at this interpreter, not the command's."
        ),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict", help="Let system, hardware and environment variables decide as well."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Compare the environment of a run with the one that its command would have here and now.

    In this shell, and in this work tree. It matches where the interpreter has the same version,
    the same packages are installed, and lock files are the same; what else differs is said.
    Nothing is recorded.
    """
    with current_store() as store:
        found = Environments(store).named(run)
        present = present_environment(
            store.repository,
            found.run,
            Path.cwd(),
            python=Path(os.path.abspath(python)) if python else None,  # noqa: PTH100 -- links are kept
            system_packages=found.environment.system_packages is not None,
        )
        checked = compared(found.run, found.environment, present, strict=strict)
        if as_json:
            print(json_line(_document(found.run, checked)))
        else:
            style = style_for(store.repository)
            with paged(store.repository):
                print(f"- recorded  {summary(found.environment)}")
                print(f"+ here      {summary(present.environment)}")
                for line in _lines(found.run, checked, style):
                    print(line)
    if not checked.matches:
        raise typer.Exit(1)


def _lines(run: Run, checked: Checked, style: Style) -> list[str]:
    lines = list(difference_lines(Difference(changes=checked.deciding), style, _SIDES))
    if checked.other:
        plain = Style(colour=False)
        lines.append(style.dim("Besides, and not deciding:"))
        besides = difference_lines(Difference(changes=checked.other), plain, _SIDES)
        lines += [style.dim(f"  {line}") for line in besides]
    lines += [style.dim(f"not compared: {word(text)}") for text in checked.unknown]
    if checked.matches:
        lines.append(style.good(f"this matches the environment of run {short(run.id)}"))
    else:
        lines.append(f"{style.bad('this differs:')} {count_text(checked.deciding, _SIDES)}")
    return lines


def _document(run: Run, checked: Checked) -> dict[str, object]:
    return {
        "run": run.id,
        "matches": checked.matches,
        "differences": [change_document(change) for change in checked.deciding],
        "besides": [change_document(change) for change in checked.other],
        "not_compared": list(checked.unknown),
    }
