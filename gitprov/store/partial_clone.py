"""Partial clones: git leaves objects with the remote until somebody asks for them, one by one.

Chains are read as a whole, and so they are fetched as a whole: asked for one by one, a thousand
runs would be thousands of connections.
"""

from collections.abc import Sequence

from gitprov.errors import ObjectMissing
from gitprov.store.git import Git, last_line
from gitprov.store.repository import Config
from gitprov.store.transfer import FETCH

EVERYTHING = "--no-filter"


def promisor(config: Config) -> str | None:
    """Return the remote that objects were left with; None in a clone that is whole."""
    asked = (
        name for name in config.remotes() if config.flag(f"remote.{name}.promisor", default=False)
    )
    return next(asked, None)


def bring(git: Git, remote: str, commits: Sequence[str]) -> None:
    """Bring what commits hold and is not here, in one go; raise ObjectMissing where that fails."""
    if not commits:
        return
    listed = git.call(
        *("rev-list", "--objects", "--no-walk", "--missing=print", "--no-object-names", "--stdin"),
        stdin="".join(f"{oid}\n" for oid in commits).encode(),
    )
    missing = [line[1:] for line in listed.stdout.splitlines() if line.startswith(b"?")]
    if not missing:
        return
    fetched = git.call(
        *FETCH,
        EVERYTHING,
        "--stdin",
        remote,
        stdin=b"".join(oid + b"\n" for oid in missing),
        config=["fetch.negotiationAlgorithm=noop", "fetch.unpackLimit=1"],
    )
    if fetched.returncode != 0:
        raise ObjectMissing(
            f"git has left {len(missing)} of its objects with {remote}, and cannot get them: "
            f"{last_line(fetched.stderr)}"
        )
