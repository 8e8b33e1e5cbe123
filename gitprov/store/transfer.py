"""One push or fetch of the git program: how far it is, and what the remote has said.

Git tells how far it is on its standard error, in lines that overwrite each other, between those
that say what went wrong, and those that the remote says.
"""

import re
import subprocess
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from gitprov.store.git import Git, last_line

# As in `remote: Compressing objects:  45% (450/1000)`, which git says of its own work. What a hook
# of the remote says may look like it.
_STEPS = "(?:Counting|Compressing|Receiving|Unpacking|Writing) objects|Resolving deltas"
_STEP = re.compile(rf"(?:remote: )?({_STEPS}): +\d{{1,3}}% \((\d+)/(\d+)\)")
# What it says besides, of all of it.
_WORK = re.compile(
    r"(?:remote: )?(?:Enumerating objects: \d+|Total \d+ \(delta |Delta compression using )"
)
_REMOTE = "remote: "
# How our own hook on a host goes on, behind `gitprov: `, where it refuses a ref.
REFUSED = "refused: "
# A fetch that touches nothing but what it is asked for.
FETCH = (
    "fetch",
    "--quiet",
    "--no-tags",
    "--no-write-fetch-head",
    "--recurse-submodules=no",
    "--no-auto-maintenance",
)
_MOST_LINES = 20


class Watch(Protocol):
    """Whoever wants to know how far something is."""

    def __call__(self, step: str, done: int, total: int) -> None:
        """Take note that so many parts of a step are done."""


class Transfer(NamedTuple):
    """A push or fetch that has ended: git's output, and the words of git and of the remote."""

    returncode: int
    output: str
    errors: bytes
    words: tuple[str, ...]

    @property
    def reason(self) -> str:
        """The line that says what went wrong."""
        return last_line(self.errors)


def transfer(
    git: Git,
    *arguments: str,
    watch: Watch | None = None,
    env: Mapping[str, str] | None = None,
    config: Sequence[str] = (),
) -> Transfer:
    """Run `git push …` or `git fetch …`, and tell `watch` how far it is."""
    command, *others = arguments
    how = "--no-progress" if watch is None else "--progress"
    done = git.watched(command, how, *others, heard=Heard(watch), env=env, config=config)
    return Transfer(
        done.returncode, done.stdout.decode(errors="replace"), done.stderr, _words(done)
    )


class Heard:
    """Takes the lines that say how far git is."""

    def __init__(self, watch: Watch | None) -> None:
        self._watch = watch

    def __call__(self, line: bytes) -> bool:
        """Take a line; say whether it was about git's own work."""
        """Say whether a line tells how far git is, and nothing else."""
        text = line.decode(errors="replace")
        if step := _STEP.match(text):
            if self._watch is not None:
                self._watch(step[1], int(step[2]), int(step[3]))
            return True
        return bool(_WORK.match(text))


def _words(done: subprocess.CompletedProcess[bytes]) -> tuple[str, ...]:
    """Return what the remote has said, the first lines of it."""
    lines = (line.rstrip() for line in done.stderr.decode(errors="replace").splitlines())
    said = [line.removeprefix(_REMOTE) for line in lines if line.startswith(_REMOTE)]
    return tuple(said[:_MOST_LINES])
