"""`git prov hook`: what the installed hook scripts call."""

from typing import Annotated

import typer

from gitprov.cli.terminal import verb
from gitprov.hooks.pre_push import send_ledger

app = verb()


@app.callback()
def hook() -> None:
    """Do what a git hook asks for. Called by the hooks that git prov init installs."""


@app.command("pre-push")
def pre_push(
    remote: Annotated[str, typer.Argument()],
    url: Annotated[str, typer.Argument()] = "",  # noqa: ARG001 -- git passes it to hooks
) -> None:
    """Send the ledger to the remote that is being pushed to."""
    send_ledger(remote)
