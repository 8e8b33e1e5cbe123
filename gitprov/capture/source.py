"""The exact source: commit, branch and, where the work tree is dirty, a snapshot of it.

What git can say is recorded, whatever else fails: without a snapshot there is still the commit,
that the tree was dirty, and the reason in `missing`. Nothing is claimed of a tree that was not
read.
"""

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from gitprov.capture.snapshot import take_snapshot
from gitprov.capture.url_credentials import without_credentials
from gitprov.capture.worktree import Status, read_head, read_status
from gitprov.errors import GitprovError
from gitprov.model.run import Agent, Source
from gitprov.model.wording import plural
from gitprov.store.objects import decode_commit
from gitprov.store.repository import Config, Repository

_TIME = re.compile(rb"> (\d+) [+-]\d+\Z")


@dataclass(frozen=True, slots=True)
class CapturedSource:
    """The source, or None with the reason in `missing`."""

    source: Source | None
    missing: Mapping[str, str] = field(default_factory=dict)


def capture_source(repository: Repository, workspace: Path) -> CapturedSource:
    """Return the source of the work tree; a snapshot's objects go to `workspace`/objects.

    Raises GitprovError or OSError only where not even HEAD can be read.
    """
    if repository.work_tree is None:
        return CapturedSource(None, {"source": "the repository is bare: there is no work tree"})
    index = workspace / "index"
    status = None
    try:
        status = read_status(repository, index)
        return _captured(repository, workspace, index, status)
    except (GitprovError, OSError) as error:
        # What a snapshot that failed has left belongs to nothing.
        shutil.rmtree(workspace / "objects", ignore_errors=True)
        source, missing = _described(repository, status or read_head(repository))
        if status is None:
            source = replace(source, dirty=True)  # as far as anybody knows
        missing["source.tree"] = f"could not be captured: {error}"
        return CapturedSource(source, missing)
    finally:
        index.unlink(missing_ok=True)


def _captured(
    repository: Repository, workspace: Path, index: Path, status: Status
) -> CapturedSource:
    source, missing = _described(repository, status)
    tree, time = None, 0
    if status.commit is not None:
        tree, time = _tree_and_time(repository, status.commit)
    if not status.dirty:
        return CapturedSource(replace(source, tree=tree), missing)
    taken = take_snapshot(repository, workspace, index, status, time)
    if taken.unnamed:
        missing["source.omitted"] = f"{taken.unnamed} more paths are left out than are named"
    source = replace(source, tree=taken.tree, snapshot=taken.commit, omitted=taken.omitted)
    return CapturedSource(source, missing)


def _described(repository: Repository, status: Status) -> tuple[Source, dict[str, str]]:
    """Return what is known of the source but for its tree."""
    missing = {}
    if status.commit is None:
        missing["source.commit"] = "the branch has no commit yet"
    if status.branch is None:
        missing["source.ref"] = "HEAD is detached"
    if status.sparse:
        files = plural(status.sparse, "file")
        missing["source.tree"] = f"{files} of it not checked out, by a sparse checkout"
    source = Source(
        repo_uri=_repository_uri(repository.config),
        commit=status.commit,
        ref=f"refs/heads/{status.branch}" if status.branch else None,
        dirty=status.dirty,
    )
    return source, missing


def capture_agent(config: Config, environ: Mapping[str, str]) -> tuple[Agent, dict[str, str]]:
    """Return who runs, by git's rules for an author, and what is not known of them."""
    name = environ.get("GIT_AUTHOR_NAME") or config.get("user.name")
    email = environ.get("GIT_AUTHOR_EMAIL") or config.get("user.email")
    missing = {}
    if name is None and email is None:
        missing["agent.name"] = "git knows no user; set one with: git config user.name NAME"
    automatic = environ.get("CI", "").lower() in ("true", "1")
    return Agent(type="software" if automatic else "person", name=name, email=email), missing


def _tree_and_time(repository: Repository, commit: str) -> tuple[str, int]:
    # As the commit has them: `git log` would recode what it prints.
    found = decode_commit(repository.git.run("cat-file", "commit", commit))
    time = _TIME.search(found.committer)
    return found.tree, int(time[1]) if time else 0


def _repository_uri(config: Config) -> str | None:
    """Return the URL of origin, or of the only remote, without passwords."""
    remotes = config.remotes()
    name = "origin" if "origin" in remotes or len(remotes) != 1 else remotes[0]
    url = config.get(f"remote.{name}.url")
    return without_credentials(url) if url else None
