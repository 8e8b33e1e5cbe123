"""Our hooks, called by a hook manager instead of git: what git would have passed is found.

husky and lefthook pass on what git gives. The pre-commit framework puts the arguments into its
environment and keeps the pairs of `post-rewrite` to itself; git has them still.
"""

import os
import subprocess
from collections.abc import Sequence
from contextlib import suppress

from gitprov.hooks.shims import shim
from gitprov.store.repository import Repository

# Where git keeps the pairs while it rebases, and while it calls the hook.
_OF_REBASE = ("rebase-merge/rewritten-list", "rebase-apply/rewritten")


def call_hook(name: str, arguments: Sequence[str], stdin: bytes = b"") -> None:
    """Do what the hook does; whatever goes wrong stays here."""
    with suppress(OSError):
        script = os.fsdecode(shim(name, os.devnull))
        subprocess.run(["/bin/sh", "-c", script, name, *arguments], input=stdin, check=False)


def rewritten_pairs(repository: Repository, how: str) -> bytes:
    """Return the lines `<old> <new>` that git has for a rewrite that it has just done."""
    if how == "amend":
        said = repository.git.run("log", "-g", "-2", "--no-show-signature", "--format=%H|%P")
        commits = [line.split(b"|") for line in said.splitlines()]
        if len(commits) == 2 and commits[0][1] == commits[1][1]:  # noqa: PLR2004
            return b"%b %b\n" % (commits[1][0], commits[0][0])
        return b""
    for name in _OF_REBASE:
        with suppress(OSError):
            return (repository.git_dir / name).read_bytes()
    return b""
