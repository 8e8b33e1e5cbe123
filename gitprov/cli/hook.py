"""`git prov hook`: what the installed hooks call, and hook managers in their place.

Imports are late: a hook pays for what it does alone.
"""

import os
import sys
from typing import Annotated

import typer

from gitprov.cli.terminal import verb
from gitprov.errors import GitprovError

# The pre-commit framework passes in variables what git passes as arguments.
_Remote = Annotated[str, typer.Argument(envvar="PRE_COMMIT_REMOTE_NAME")]
_Old = Annotated[str, typer.Argument(envvar="PRE_COMMIT_FROM_REF")]
_New = Annotated[str, typer.Argument(envvar="PRE_COMMIT_TO_REF")]
_Kind = Annotated[str, typer.Argument(envvar="PRE_COMMIT_CHECKOUT_TYPE")]
_How = Annotated[str, typer.Argument(envvar="PRE_COMMIT_REWRITE_COMMAND")]
_Ignored = Annotated[str, typer.Argument()]

app = verb()


@app.callback()
def hook() -> None:
    """Do what a git hook asks for. Called by the hooks that git prov init installs."""


@app.command("pre-push")
def pre_push(remote: _Remote = "", url: _Ignored = "") -> None:  # noqa: ARG001 -- as git calls it
    """Send the ledger to the remote that is being pushed to."""
    from gitprov.hooks.pre_push import send_ledger  # noqa: PLC0415

    if remote and os.environ.get("GITPROV_HOOKS") != "0" and not os.environ.get("GITPROV_PUSHING"):
        send_ledger(remote)


@app.command("pre-receive")
def pre_receive() -> None:
    """On a host: check what is pushed below refs/prov/, as git says on stdin."""
    from gitprov.hooks.pre_receive import may_be_taken  # noqa: PLC0415

    if not may_be_taken(os.fsdecode(line) for line in sys.stdin.buffer):
        raise typer.Exit(1)


@app.command("post-commit")
def post_commit() -> None:
    """Link runs of uncommitted files to the commit that was made of them."""
    _call("post-commit")


@app.command("post-merge")
def post_merge(squash: _Ignored = "0") -> None:
    """Take in the runs that came with a fetch."""
    _call("post-merge", squash)


@app.command("post-checkout")
def post_checkout(old: _Old = "", new: _New = "", kind: _Kind = "1") -> None:
    """Take in the runs that came with a fetch."""
    _call("post-checkout", old, new, kind)


@app.command("post-rewrite")
def post_rewrite(how: _How = "amend") -> None:
    """Keep which commits were rewritten into which: from stdin, or else from git."""
    from gitprov.hooks.managers import rewritten_pairs  # noqa: PLC0415
    from gitprov.store.repository import Repository  # noqa: PLC0415

    pairs = b""
    if sys.stdin is not None and not sys.stdin.isatty():
        pairs = sys.stdin.buffer.read()
    try:
        pairs = pairs or rewritten_pairs(Repository.discover(), how)
    except GitprovError:
        return
    if pairs:
        _call("post-rewrite", how, stdin=pairs)


@app.command("catch-up")
def catch_up() -> None:
    """Bring the ledger up to date, quietly. The hooks start it in the background."""
    from gitprov.hooks.catching_up import catch_up_quietly  # noqa: PLC0415

    catch_up_quietly()


def _call(name: str, *arguments: str, stdin: bytes = b"") -> None:
    from gitprov.hooks.managers import call_hook  # noqa: PLC0415

    call_hook(name, arguments, stdin)
