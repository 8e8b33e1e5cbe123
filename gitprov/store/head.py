"""Where HEAD is, as quickly as can be told."""

import os
from contextlib import suppress

from gitprov.store.repository import Repository

# More than the last line of a log takes.
_END = 4096


def head_is(repository: Repository, commit: str | None) -> bool:
    """Say whether HEAD leads to a commit; None is that of a branch without one."""
    # Git is asked where its log does not say so: most often it does, and costs nothing to read.
    if commit is not None and _logged(repository) == commit:
        return True
    found = repository.git.call("rev-parse", "--quiet", "--verify", "HEAD")
    return (found.stdout.decode("ascii", "replace").strip() or None) == commit


def _logged(repository: Repository) -> str | None:
    """Return where HEAD was led to last by the log that git keeps of it, if it keeps one."""
    with suppress(OSError), (repository.git_dir / "logs/HEAD").open("rb") as log:
        log.seek(max(0, os.fstat(log.fileno()).st_size - _END))
        words = log.read().rstrip(b"\n").rpartition(b"\n")[2].split(b" ", 2)
        return words[1].decode("ascii", "replace") if len(words) > 1 else None
    return None
