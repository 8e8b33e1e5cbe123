"""`git prov env diff`: what the environments of two runs differ in."""

from typing import Annotated

import typer

from gitprov.cli.catching_up import current_store
from gitprov.cli.env.arguments import Environments
from gitprov.cli.terminal import Json, paged, style_for
from gitprov.environments.comparison import compare
from gitprov.model.ids import short
from gitprov.views.environment_changes import change_document, count_text, difference_lines
from gitprov.views.environments import summary
from gitprov.views.json import json_line


def register(app: typer.Typer) -> None:
    """Add the verb to its group."""
    app.command(epilog="Exit status: 0 where they are the same, 1 where something differs.")(diff)


def diff(
    before: Annotated[
        str, typer.Argument(metavar="[BEFORE]", help="A run; the one before the last by default.")
    ] = "last~1",
    after: Annotated[
        str, typer.Argument(metavar="[AFTER]", help="The other; the last one by default.")
    ] = "last",
    as_json: Json = False,
) -> None:
    """Show what the environments of two runs differ in: what was upgraded, what is gone.

    From what is installed down to the machine, and the environment variables that are recorded.
    """
    with current_store() as store:
        environments = Environments(store)
        one, two = environments.named(before), environments.named(after)
        variables = (one.run.command.env, two.run.command.env)
        found = compare(one.environment, two.environment, variables=variables)
        if as_json:
            for change in found.changes:
                print(json_line(change_document(change)))
        else:
            style = style_for(store.repository)
            with paged(store.repository):
                for mark, side in ((style.bad("-"), one), (style.good("+"), two)):
                    print(f"{mark} {short(side.run.id)}  {summary(side.environment)}")
                for line in difference_lines(found, style):
                    print(line)
                print(count_text(found.changes))
    if found:
        raise typer.Exit(1)
