"""The snapshot of a dirty work tree: a commit that holds it as `git add --all` would.

It is made with a private index of what differs and a private object store, so the user's index,
work tree and objects are not touched. Author and date are fixed by what it snapshots: the same
dirty tree twice is the same commit. What it does not hold is not in its tree and is named, with its
hash: what `gitprov.capture.selection` leaves out, and files that git cannot add. The limits there
also bound the memory that a drain needs for a snapshot.

No object is made of a file before it was looked at for secrets. What git makes of it is compared
with what was looked at; where it differs, since a filter or somebody else has changed it meanwhile,
or since it stands in the index only, the object itself is looked at, and taken out again where it
holds a secret.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from gitprov.capture.partial_index import PartialIndex
from gitprov.capture.round_trip import Losses, losses
from gitprov.capture.secrets.files import FileCheck
from gitprov.capture.secrets.redaction import Redactor
from gitprov.capture.selection import Selection
from gitprov.capture.worktree import Status
from gitprov.errors import GitFailed
from gitprov.model.run import Omission
from gitprov.store.changed_tree import ChangedTree, changed_tree
from gitprov.store.object_file import write_objects
from gitprov.store.objects import Commit, GitObjects, Object, TreeEntry, encode_commit, object_id
from gitprov.store.repository import Repository

# How often git is asked to find the paths that it cannot add, among those that it was given.
_MAX_TRIES = 100
# How many omissions a record has room for, beside all else.
_MAX_NAMED = 1000
_SUBMODULE = 0o160000


class Snapshot(NamedTuple):
    """A snapshot's commit and tree, what is not in it, and how much of that is not named.

    `losses` are files that do not come back as they were, though they are in it.
    """

    commit: str
    tree: str
    omitted: tuple[Omission, ...]
    unnamed: int
    losses: Losses


def take_snapshot(
    repository: Repository,
    workspace: Path,
    status: Status,
    base: str,
    time: int,
    redactor: Redactor,
) -> Snapshot:
    """Return a snapshot of what `status` lists; its objects go to `workspace`/snapshot.

    `base` and `time` are the commit's tree and date. What is wrong with settings is added to the
    problems of `redactor`.
    Raises GitFailed or OSError where none can be made at all.
    """
    with FileCheck(repository.git, status.commit, redactor, repository.prov_dir) as check:
        making = _Snapshot(repository, workspace, status, check)
        redactor.problems += making.problems
        return making.take(base, time)


class _Snapshot:
    """The making of one snapshot."""

    def __init__(
        self,
        repository: Repository,
        workspace: Path,
        status: Status,
        check: FileCheck,
    ) -> None:
        self._config = repository.config
        self._objects = workspace / "objects"
        self._status = status
        self._check = check
        self._files = Selection(repository, status, check)
        env = repository.objects_environment(self._objects)
        self._fsync = self._config.flag("prov.fsync", default=True)
        self._file = workspace / "snapshot"
        self._index = PartialIndex(repository, workspace / "partial-index", env)
        self._reader = GitObjects(repository.git, env)

    @property
    def problems(self) -> list[str]:
        """What was wrong with the settings, in words."""
        return self._files.problems

    def take(self, base: str, time: int) -> Snapshot:
        self._objects.mkdir()
        try:
            self._index.begin(self._status, self._files.taken)
            self._add(self._files.taken)
            tree = self._tree_without_secrets(base)
            person = f"gitprov <unknown> {time} +0000".encode()
            parents = (self._status.commit,) if self._status.commit else ()
            commit = encode_commit(
                Commit(tree.oid, parents, person, person, b"Snapshot of a dirty work tree\n")
            )
            write_objects(self._file, self._all(tree, commit), fsync=self._fsync)
            lost = self._losses(tree)
        finally:
            self._reader.close()
            shutil.rmtree(self._objects, ignore_errors=True)
        oid = object_id("commit", commit)
        omitted = tuple(self._files.omitted.values())
        named = omitted[:_MAX_NAMED]
        return Snapshot(oid, tree.oid, named, len(omitted) - len(named), lost)

    def _losses(self, tree: ChangedTree) -> Losses:
        folder = self._objects.with_name("checked-out")
        return losses(
            tree.files, self._files.looked_at, self._index, self._reader, self._config, folder
        )

    def _add(self, paths: Sequence[bytes]) -> None:
        """Take paths into the index, and leave out those that git cannot add.

        Git takes all or none and need not say which it was: halves are tried, down to single
        paths. Where too many fail, what was given along with them is left out as well.
        """
        waiting = [paths] if paths else []
        tries = 0
        while waiting:
            batch = waiting.pop()
            tries += 1
            try:
                self._index.add(batch)
            except GitFailed as error:
                half = len(batch) // 2
                if half and tries + len(waiting) < _MAX_TRIES:
                    waiting += [batch[half:], batch[:half]]
                    continue
                for raw in batch:
                    what = "it" if half == 0 else f"it, or one of {len(batch)} given along with it"
                    self._files.leave_out(raw, f"git cannot add {what}: {error}")

    def _tree_without_secrets(self, base: str) -> ChangedTree:
        """Return the tree, without the files in which secrets are found only now."""
        tree = self._tree(base)
        seen = set(self._files.looked_at.values())
        unseen = {
            path: entry
            for path, entry in tree.files.items()
            if entry.oid not in seen and entry.mode != _SUBMODULE
        }
        removed = False
        for path, data in self._read(unseen):
            if found := self._check.in_content(path, data):
                self._files.leave_out_secret(path, found, data)
                removed = True
        return self._tree(base) if removed else tree

    def _tree(self, base: str) -> ChangedTree:
        # Attributes of what is not checked out are in the index, too.
        taken = set(self._files.taken)
        files = {path: entry for path, entry in self._index.entries() if path in taken}
        return changed_tree(self._reader, base, files, self._status.changed)

    def _all(self, tree: ChangedTree, commit: bytes) -> Iterator[Object]:
        """Yield what the snapshot has and its commit has not.

        Files that the user's store has for the index only, too (`git add`, not committed): they are
        out of gc's reach only until the index changes.
        """
        yield Object("commit", commit)
        for data in tree.trees.values():
            yield Object("tree", data)
        files = {entry.oid: (path, entry) for path, entry in tree.files.items()}
        kept = dict(item for item in files.values() if item[1].mode != _SUBMODULE)
        for _, data in self._read(kept):
            yield Object("blob", data)

    def _read(self, files: Mapping[bytes, TreeEntry]) -> Iterator[tuple[bytes, bytes]]:
        found = self._reader.read_many([entry.oid for entry in files.values()])
        for (path, entry), read in zip(files.items(), found, strict=True):
            if read is None:
                raise GitFailed(f"object {entry.oid} of the index is missing; see: git fsck")
            yield path, read.data
