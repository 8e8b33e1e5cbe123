"""What push, pull and sync have in common: which remote, and saying what happened."""

from typing import Annotated

import typer

from gitprov.errors import RemoteFailed
from gitprov.store.acceptance import Accepted
from gitprov.store.repository import Repository
from gitprov.store.sync import Pushed

Remote = Annotated[
    str | None, typer.Argument(help="The remote; by default that of the branch, or origin.")
]


def chosen_remote(repository: Repository, name: str | None) -> str:
    """Return the remote that is meant; raise RemoteFailed where there is none."""
    if name is not None:
        return name
    config, remotes = repository.config, repository.config.remotes()
    head = repository.git.call("symbolic-ref", "--quiet", "--short", "HEAD").stdout.decode().strip()
    configured = config.get(f"branch.{head}.remote") if head else None
    if configured in remotes:
        return str(configured)
    if "origin" in remotes or len(remotes) == 1:
        return "origin" if "origin" in remotes else remotes[0]
    if remotes:
        raise RemoteFailed(f"which remote? name one of {', '.join(remotes)}")
    raise RemoteFailed("there is no remote; add one with: git remote add origin URL")


def plural(count: int, word: str) -> str:
    """Return `1 run`, `2 runs`."""
    return f"{count} {word}{'' if count == 1 else 's'}"


def pushed_text(done: Pushed, remote: str, verb: str = "sent") -> str:
    """Return what was sent, in words."""
    if not done.refs:
        return f"{remote} has everything already"
    parts = [plural(done.runs, "run")]
    if done.snapshots:
        parts.append(f"{plural(done.snapshots, 'snapshot')} of uncommitted work")
    if done.commits:
        parts.append(f"{plural(done.commits, 'commit')} that were not pushed before")
    return f"{verb} {', '.join(parts)} to {remote}"


def accepted_text(done: Accepted, remote: str) -> str:
    """Return what was taken in, in words."""
    return f"{plural(done.runs, 'new run')} from {remote}"
