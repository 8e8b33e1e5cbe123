"""What a run was made from, as far as this clone has it: a commit to stand at, and a tree."""

from typing import NamedTuple

from gitprov.errors import IntegrityError, SourceMissing
from gitprov.model.run import Run
from gitprov.store.objects import decode_commit
from gitprov.store.repository import Repository


class Origin(NamedTuple):
    """What a run was made from: the commit to stand at, and the tree of its files."""

    commit: str
    tree: str


def find_origin(repository: Repository, run: Run) -> Origin:
    """Return what a run was made from; raise SourceMissing where this clone cannot tell."""
    source = run.source
    if source is None:
        why = run.missing.get("source", "it was recorded without")
        raise SourceMissing(f"the run has no source: {why}")
    oid = source.snapshot or source.commit
    if oid is None or (source.dirty and source.snapshot is None):
        why = run.missing.get("source.tree", "no reason was given")
        at = f"; its commit is {source.commit}" if source.commit else ""
        raise SourceMissing(f"the uncommitted changes of the run were not captured: {why}{at}")
    tree = tree_of(repository, oid)
    if source.tree not in (None, tree):
        raise IntegrityError(
            f"{oid} does not have the tree that the record names; check with: git prov verify"
        )
    if source.commit is None:  # the branch had no commit yet: a snapshot alone can be stood at
        return Origin(oid, tree)
    tree_of(repository, source.commit)
    return Origin(source.commit, tree)


def tree_of(repository: Repository, commit: str) -> str:
    """Return the tree of a commit; raise SourceMissing where either is not here."""
    found = repository.git.call("cat-file", "commit", commit)
    if found.returncode == 0:
        tree = decode_commit(found.stdout).tree
        if repository.git.call("cat-file", "-e", tree).returncode == 0:
            return tree
    raise SourceMissing(f"{commit} is not in this clone; fetch it with: git prov pull")
