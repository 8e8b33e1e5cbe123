"""The exact source: commit, branch and, where the work tree is dirty, a snapshot of it.

What git can say is recorded, whatever else fails: without a snapshot there is still the commit,
that the tree was dirty, and the reason in `missing`. Nothing is claimed of a tree that was not
read.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from gitprov.capture.patch_ids import PatchIds
from gitprov.capture.round_trip import Losses
from gitprov.capture.secrets.redaction import Redactor, redactor_for
from gitprov.capture.snapshot import take_snapshot
from gitprov.capture.url_credentials import without_credentials
from gitprov.capture.worktree import Status, read_head, read_status
from gitprov.errors import GitprovError
from gitprov.model.run import Agent, Source
from gitprov.model.wording import plural
from gitprov.store.dirty_commits import mark_dirty
from gitprov.store.objects import Commit, decode_commit
from gitprov.store.repository import EMPTY_TREE, Config, Repository

_TIME = re.compile(rb"> (\d+) [+-]\d+\Z")


@dataclass(frozen=True, slots=True)
class CapturedSource:
    """The source, or None with the reason in `missing`."""

    source: Source | None
    missing: Mapping[str, str] = field(default_factory=dict)


def capture_source(
    repository: Repository, workspace: Path, redactor: Redactor | None = None
) -> CapturedSource:
    """Return the source of the work tree; a snapshot's objects go to `workspace`/snapshot.

    Files with secrets are left out of the snapshot; `redactor` says what is one, and is told.

    Raises GitprovError or OSError only where not even HEAD can be read.
    """
    if repository.work_tree is None:
        reason = "the repository is bare" if repository.is_bare else "a git directory has no files"
        return CapturedSource(None, {"source": reason})
    redactor = redactor or redactor_for(repository, os.environ)
    with PatchIds(repository) as patch_ids:
        captured = _without_patch_ids(repository, workspace, patch_ids, redactor)
        assert captured.source is not None  # noqa: S101 -- there is a work tree
        patches = patch_ids.collect(captured.source.commit)
    source = replace(captured.source, patch_id=patches.patch_id, series=patches.series)
    return CapturedSource(source, {**captured.missing, **patches.missing})


def _without_patch_ids(
    repository: Repository, workspace: Path, patch_ids: PatchIds, redactor: Redactor
) -> CapturedSource:
    index = workspace / "index"
    status = None
    try:
        status = read_status(repository, index)
        return _captured(repository, workspace, status, patch_ids, redactor)
    except (GitprovError, OSError) as error:
        # What a snapshot that failed has left belongs to nothing.
        (workspace / "snapshot").unlink(missing_ok=True)
        source, missing = _described(repository, status or read_head(repository))
        if status is None:
            source = replace(source, dirty=True)  # as far as anybody knows
        missing["source.tree"] = f"could not be captured: {error}"
        return CapturedSource(source, missing)
    finally:
        for name in ("index", "partial-index"):
            (workspace / name).unlink(missing_ok=True)


def _captured(
    repository: Repository,
    workspace: Path,
    status: Status,
    patch_ids: PatchIds,
    redactor: Redactor,
) -> CapturedSource:
    source, missing = _described(repository, status)
    tree, time = None, 0
    if status.commit is not None:
        commit = patch_ids.commit_at(status.commit) or _read_commit(repository, status.commit)
        tree, time = commit.tree, _time(commit)
    if not status.dirty:
        return CapturedSource(replace(source, tree=tree), missing)
    taken = take_snapshot(repository, workspace, status, tree or EMPTY_TREE, time, redactor)
    if taken.unnamed:
        missing["source.omitted"] = f"{taken.unnamed} more paths are left out than are named"
    if lost := list(_lost(taken.losses)):
        reasons = [missing[key] for key in ("source.tree",) if key in missing]
        missing["source.tree"] = "; ".join([*reasons, *lost])
    mark_dirty(repository, status.commit)
    source = replace(source, tree=taken.tree, snapshot=taken.commit, omitted=taken.omitted)
    return CapturedSource(source, missing)


def _lost(losses: Losses) -> Iterator[str]:
    """Yield which files do not come back as they were, in words."""
    for paths, why in (
        (losses.altered, "line ends or filters keep git from bringing back as it was"),
        (losses.elsewhere, "git-lfs or its like keeps the content, the snapshot a pointer"),
    ):
        if paths:
            more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
            yield f"{why}: {min(paths).decode(errors='replace')}{more}"


def _described(repository: Repository, status: Status) -> tuple[Source, dict[str, str]]:
    """Return what is known of the source but for its tree."""
    missing = {}
    if status.commit is None:
        missing["source.commit"] = "the branch has no commit yet"
    if status.branch is None:
        missing["source.ref"] = "HEAD is detached"
    reasons = []
    if status.sparse:
        files = plural(status.sparse, "file")
        reasons.append(f"{files} of it not checked out, by a sparse checkout")
    if status.unread:
        more = f" and {len(status.unread) - 1} more" if len(status.unread) > 1 else ""
        reasons.append(f"not all could be looked at for changes: {status.unread[0]}{more}")
    if reasons:
        missing["source.tree"] = "; ".join(reasons)
    source = Source(
        repo_uri=repository_uri(repository.config),
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


def _read_commit(repository: Repository, commit: str) -> Commit:
    # As it is: `git log` would recode what it prints.
    return decode_commit(repository.git.run("cat-file", "commit", commit))


def _time(commit: Commit) -> int:
    time = _TIME.search(commit.committer)
    return int(time[1]) if time else 0


def repository_uri(config: Config) -> str | None:
    """Return the URL of origin, or of the only remote, without passwords."""
    url = config.get(f"remote.{config.main_remote()}.url")
    return without_credentials(url) if url else None
