"""The snapshot of a dirty work tree: a commit that holds it as `git add --all` would.

It is made with a private copy of the index and a private object store, so the user's index, work
tree and objects are not touched. Author and date are fixed by what it snapshots: the same dirty
tree twice is the same commit. What it does not hold is not in its tree and is named, with its
hash: files above `prov.snapshot.maxFileSize`, the largest of those that together are above
`prov.snapshot.maxTotal`, and files that git cannot add. These two limits also bound the memory
that a drain needs for a snapshot.
"""

import os
import stat
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from gitprov.capture.files import hash_file, raw_text
from gitprov.capture.obstacles import is_gone
from gitprov.capture.worktree import Status, copy_index
from gitprov.errors import GitFailed, InputError
from gitprov.model.run import Omission
from gitprov.store.durable import write_durably
from gitprov.store.git import syncing
from gitprov.store.objects import GitObjects
from gitprov.store.repository import EMPTY_TREE, Repository

DEFAULT_MAX_FILE_BYTES = 1 << 20
DEFAULT_MAX_TOTAL_BYTES = 64 << 20
# How often git is asked to find the paths that it cannot add, among those that it was given.
_MAX_TRIES = 100
# How many omissions a record has room for, beside all else.
_MAX_NAMED = 1000
# The user's settings that would refuse files, sign or recode commits, write elsewhere, or call
# hooks for an index that is not the user's.
_CONFIG = (
    "core.splitIndex=false",
    "core.fsmonitor=false",
    "core.ignoreStat=false",
    "core.safecrlf=false",
    "i18n.commitEncoding=UTF-8",
    f"core.hooksPath={os.devnull}",
)


class Snapshot(NamedTuple):
    """A snapshot's commit and tree, what is not in it, and how much of that is not named."""

    commit: str
    tree: str
    omitted: tuple[Omission, ...]
    unnamed: int


def take_snapshot(
    repository: Repository, workspace: Path, index: Path, status: Status, time: int
) -> Snapshot:
    """Return a snapshot of what `status` lists; its objects go to `workspace`/objects.

    Raises GitFailed or OSError where none can be made at all.
    """
    return _Snapshot(repository, workspace, index, status).take(time)


class _Snapshot:
    """The making of one snapshot."""

    def __init__(
        self, repository: Repository, workspace: Path, index: Path, status: Status
    ) -> None:
        self._repository = repository
        self._work_tree = repository.require_work_tree()
        self._objects = workspace / "objects"
        self._index = index
        self._status = status
        self._env = {
            "GIT_INDEX_FILE": str(index),
            "GIT_OBJECT_DIRECTORY": str(self._objects),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": _quoted(repository.common_dir / "objects"),
        }
        config = repository.config
        self._fsync = config.flag("prov.fsync", default=True)
        self._max_file = config.size("prov.snapshot.maxfilesize", DEFAULT_MAX_FILE_BYTES)
        self._max_total = config.size("prov.snapshot.maxtotal", DEFAULT_MAX_TOTAL_BYTES)
        self._omitted: dict[bytes, Omission] = {}
        top = os.fsencode(self._work_tree)
        self._gone = frozenset(path for path in status.changed if is_gone(top, path))

    def take(self, time: int) -> Snapshot:
        self._objects.mkdir()
        copy_index(self._repository, self._index)
        self._leave_out_repositories()
        self._leave_out_large()
        if self._gone:
            self._update_index(sorted(self._gone), "--force-remove")
        # A submodule's commit is taken, whatever else is in its folder.
        submodules = set(self._status.submodules)
        self._add([
            path for path in self._present() if path not in self._omitted or path in submodules
        ])  # fmt: skip
        stale = self._omitted.keys() & set(self._status.changed) - submodules
        if stale:
            # Their content is not the index's: a tree with that in it would tell a falsehood.
            self._update_index(sorted(stale), "--force-remove")
        tree = self._git("write-tree").decode().strip()
        self._complete(tree)
        parents = ["-p", self._status.commit] if self._status.commit else []
        person = {"NAME": "gitprov", "EMAIL": "unknown", "DATE": f"@{time} +0000"}
        self._env |= {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER")
                      for key, value in person.items()}  # fmt: skip
        commit = self._git("commit-tree", tree, *parents, stdin=b"Snapshot of a dirty work tree\n")
        named = tuple(self._omitted.values())[:_MAX_NAMED]
        return Snapshot(commit.decode().strip(), tree, named, len(self._omitted) - len(named))

    def _present(self) -> list[bytes]:
        both = (*self._status.changed, *self._status.untracked)
        return [path for path in both if path not in self._gone]

    def _complete(self, tree: str) -> None:
        """Copy what the tree has beyond the commit's and the user's store holds for the index only.

        Such content (`git add`, not committed) is out of gc's reach only until the index changes.
        """
        base = f"{self._status.commit}^{{tree}}" if self._status.commit else EMPTY_TREE
        changes = self._git("diff-tree", "-r", "-t", "-z", "--raw", "--no-renames", base, tree)
        # Modes, ids, a letter; a path. A mode of 16xxxx is a submodule: its commit is not ours.
        fields = [field.split(b" ") for field in changes.split(b"\0")[::2] if field]
        added = {words[3].decode() for words in fields if not words[1].startswith((b"16", b"00"))}
        added.add(tree)
        absent = [oid for oid in sorted(added) if not self._loose(oid).exists()]
        reader = GitObjects(self._repository.git, self._env)
        try:
            for oid, found in zip(absent, reader.read_many(absent), strict=True):
                if found is None:
                    raise GitFailed(f"object {oid} of the index is missing; see: git fsck")
                path = self._loose(oid)
                path.parent.mkdir(exist_ok=True)
                header = f"{found.type} {len(found.data)}\0".encode()
                write_durably(path, zlib.compress(header + found.data), fsync=self._fsync)
        finally:
            reader.close()

    def _loose(self, oid: str) -> Path:
        return self._objects / oid[:2] / oid[2:]

    def _leave_out_repositories(self) -> None:
        for raw in self._status.untracked:
            if raw.endswith(b"/"):
                self._name(raw, "a git repository of its own")
        for raw in self._status.submodules:
            self._name(raw, "a submodule: its commit is captured, changes inside it are not")

    def _leave_out_large(self) -> None:
        """Leave out files above the one limit; then the largest, until the other is kept."""
        sizes = {}
        for raw in self._present():
            if raw in self._omitted:
                continue
            size = self._size(raw)
            if size > self._max_file:
                self._leave_out(raw, f"larger than prov.snapshot.maxFileSize ({self._max_file})")
            else:
                sizes[raw] = size
        total = sum(sizes.values())
        for raw in sorted(sizes, key=lambda raw: (-sizes[raw], raw)):
            if total <= self._max_total:
                return
            total -= sizes[raw]
            self._leave_out(
                raw, f"all together are larger than prov.snapshot.maxTotal ({self._max_total})"
            )

    def _size(self, raw: bytes) -> int:
        """Return how much content a path brings; what is gone or no file brings none."""
        try:
            found = self._file(raw).lstat()
        except OSError:
            return 0  # whatever it is, git says so when it is to be added
        return found.st_size if stat.S_ISREG(found.st_mode) else 0

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
                # Paths come from status itself, NUL-separated: no pathspec magic, no second scan.
                self._update_index(batch, "--add", "--remove", "--replace")
            except GitFailed as error:
                half = len(batch) // 2
                if half and tries + len(waiting) < _MAX_TRIES:
                    waiting += [batch[half:], batch[:half]]
                    continue
                for raw in batch:
                    what = "it" if half == 0 else f"it, or one of {len(batch)} given along with it"
                    self._leave_out(raw, f"git cannot add {what}: {error}")

    def _leave_out(self, raw: bytes, reason: str) -> None:
        """Name a file that is not in the snapshot, with its hash where it can be read."""
        file = self._file(raw)
        try:
            if not stat.S_ISREG(file.lstat().st_mode):
                self._name(raw, reason)
                return
            hashed = hash_file(file)
        except (OSError, InputError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            self._name(raw, f"{reason}; unreadable: {why}")
            return
        self._omitted[raw] = Omission(
            path=raw_text(os.fsdecode(raw)),
            reason=reason,
            size=hashed.size,
            digest={"sha256": hashed.sha256},
        )

    def _name(self, raw: bytes, reason: str) -> None:
        self._omitted[raw] = Omission(path=raw_text(os.fsdecode(raw)), reason=reason)

    def _file(self, raw: bytes) -> Path:
        return self._work_tree / os.fsdecode(raw)

    def _update_index(self, paths: Iterable[bytes], *options: str) -> None:
        stdin = b"".join(path + b"\0" for path in paths)
        self._git("update-index", *options, "-z", "--stdin", stdin=stdin)

    def _git(self, *arguments: str, stdin: bytes | None = None) -> bytes:
        config = [*_CONFIG, *syncing(fsync=self._fsync)]
        return self._repository.git.run(*arguments, env=self._env, stdin=stdin, config=config)


def _quoted(path: Path) -> str:
    """Return a path as GIT_ALTERNATE_OBJECT_DIRECTORIES wants it where it holds a separator."""
    text = str(path)
    if os.pathsep not in text and not text.startswith('"'):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
