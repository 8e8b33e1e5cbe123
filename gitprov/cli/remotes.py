"""What push, pull and sync have in common: which remote, and saying what happened."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from gitprov.cli.terminal import say
from gitprov.errors import RemoteFailed
from gitprov.model.wording import plural, printable, size_text
from gitprov.store.acceptance import Accepted
from gitprov.store.home import home_of, remote_called
from gitprov.store.publishing import Pushed
from gitprov.store.repository import Repository

Remote = Annotated[
    str | None, typer.Argument(help="The remote; by default that of the branch, or origin.")
]


def chosen_remote(repository: Repository, name: str | None, *, to_push: bool = False) -> str:
    """Return the remote that is meant, or the one that has the runs in its place.

    A URL means the remote that has it. By default it is the one that git would take, `to_push` or
    to fetch. Raises RemoteFailed where there is none.
    """
    config = repository.config
    if name is None:
        remote = _default_remote(repository, to_push=to_push)
    else:
        remote = remote_called(config, name)
        if remote not in config.remotes():
            raise RemoteFailed(f"{name} is no remote; add it: git remote add NAME URL")
    return home_of(config, remote).remote


def _default_remote(repository: Repository, *, to_push: bool) -> str:
    config, remotes = repository.config, repository.config.remotes()
    head = repository.git.call("symbolic-ref", "--quiet", "--short", "HEAD").stdout.decode().strip()
    for_pushes = [f"branch.{head}.pushremote", "remote.pushdefault"] if to_push else []
    for setting in [*for_pushes, f"branch.{head}.remote"]:
        configured = config.get(setting)
        if configured is None or configured == ".":  # this clone itself
            continue
        remote = remote_called(config, configured)
        if remote in remotes:
            return remote
        if setting in for_pushes:  # nothing is to go elsewhere
            raise RemoteFailed(f"which remote? {setting} is {configured}, which is none; name one")
    if "origin" in remotes or len(remotes) == 1:
        return "origin" if "origin" in remotes else remotes[0]
    if remotes:
        raise RemoteFailed(f"which remote? name one of {', '.join(remotes)}")
    raise RemoteFailed("there is no remote; add one with: git remote add origin URL")


def pushed_text(done: Pushed, remote: str, verb: str = "sent") -> str:
    """Return what was sent, in words."""
    if not done.refs and done.refused:
        return f"nothing was sent to {remote}"
    if not done.refs:
        return f"{remote} has everything already"
    parts = [plural(done.runs, "run")] if done.runs else []
    if done.snapshots:
        parts.append(f"{plural(done.snapshots, 'snapshot')} of uncommitted work")
    if done.commits:
        were = "was" if done.commits == 1 else "were"
        parts.append(f"{plural(done.commits, 'commit')} that {were} not pushed before")
    size = f" ({size_text(done.size)})" if done.size else ""
    return f"{verb} {', '.join(parts) or 'what belongs to runs'}{size} to {remote}"


def accepted_text(done: Accepted, remote: str) -> str:
    """Return what was taken in, in words."""
    return f"{plural(done.runs, 'new run')} from {remote}"


def pushed_document(done: Pushed, remote: str) -> dict[str, Any]:
    """Return what was sent, for JSON."""
    return {
        "remote": remote,
        "sent": {
            "runs": done.runs,
            "snapshots": done.snapshots,
            "commits": done.commits,
            "refs": done.refs,
        },
        **({"size": done.size} if done.size else {}),
        "refused": done.refused,
        "words": done.words,
        **({"advice": done.advice} if done.advice else {}),
    }


def accepted_document(done: Accepted, remote: str) -> dict[str, Any]:
    """Return what was taken in, for JSON."""
    return {
        "remote": remote,
        "received": {"runs": done.runs},
        "not_taken_in": list(done.refused.values()),
    }


def refusals(done: Pushed, remote: str) -> list[str]:
    """Return what was refused, and what to do about it, in words."""
    lines = [f"{remote} refuses {ref}: {reason}" for ref, reason in done.refused.items()]
    lines += [f"{remote} says: {word}" for word in done.words]
    return [*lines, done.advice] if done.advice else lines


def fail_on(problems: Sequence[str], summary: str) -> None:
    """Say each problem and raise RemoteFailed, if there is any."""
    for problem in problems:
        say(f"gitprov: {printable(problem)}")
    if problems:
        raise RemoteFailed(summary)
