"""`git prov env show`: what was installed for a run, on what, locked by what."""

from typing import Annotated

import typer

from gitprov.cli.catching_up import current_store, warn
from gitprov.cli.env.arguments import Environments, RunName
from gitprov.cli.terminal import Json, paged, style_for
from gitprov.codec.documents import to_document
from gitprov.index.history import LAST
from gitprov.views.data import table
from gitprov.views.environments import environment_document, environment_page, package_rows
from gitprov.views.json import json_line


def register(app: typer.Typer) -> None:
    """Add the verb to its group."""
    app.command()(show)


def show(
    run: RunName = LAST,
    everything: Annotated[
        bool,
        typer.Option(
            "--all", "-a", help="List the packages of the system and of other interpreters, too."
        ),
    ] = False,
    packages: Annotated[
        bool, typer.Option("--packages", help="List the Python packages, and nothing else.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show the environment of a run: interpreter, packages, lock files, system, machine.

    Where a lock file says something else than was installed, it says of which packages.
    """
    with current_store() as store:
        found = Environments(store).read(run)
        if as_json:
            if packages:
                warn(found.problems)
                python = found.environment.python
                for package in python.packages if python else ():
                    print(json_line(to_document(package)))
            else:
                print(json_line(environment_document(*found)))
            return
        style = style_for(store.repository)
        with paged(store.repository):
            if packages:
                warn(found.problems)
                lines = table(package_rows(found.environment))
            else:
                lines = environment_page(
                    found.run,
                    found.environment,
                    style,
                    problems=found.problems,
                    everything=everything,
                )
            for line in lines:
                print(line)
