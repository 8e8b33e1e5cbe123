"""Bringing a captured source back into a work tree: the inverse of capture.

Git checks the tree out, through a private copy of the index, so names, links, modes and filters
are treated as `git checkout` treats them. A tree with a name that leads out of the work tree or
into a git directory, as any system may spell it, is refused as a whole before anything is
written. So is one that would overwrite uncommitted work, unless forced, or a repository inside
the work tree, always. Where git fails half-way, what is not done is named. The user's index is not
touched, and no hook runs.
"""

import os
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from gitprov.capture.obstacles import find_obstacles, is_there
from gitprov.capture.worktree import copy_index, read_status
from gitprov.errors import GitFailed, InTheWay, UnknownPath, UnsafeTree
from gitprov.model.wording import plural, printable
from gitprov.store.repository import Repository

CONFIG = (
    "core.protectHFS=true",
    "core.protectNTFS=true",
    f"core.hooksPath={os.devnull}",
    "core.splitIndex=false",
    "core.fsmonitor=false",
    "core.ignoreStat=false",
    "submodule.recurse=false",
)
_SUBMODULE = b"160000"
_SHOWN = 5


class Restored(NamedTuple):
    """What was done, or would be: paths from the top, and the commits of submodules."""

    written: tuple[bytes, ...] = ()
    deleted: tuple[bytes, ...] = ()
    unchanged: int = 0
    submodules: tuple[tuple[bytes, str], ...] = ()


def restore(
    repository: Repository,
    tree: str,
    *,
    paths: Iterable[bytes] = (),
    left_out: AbstractSet[bytes] = frozenset(),
    force: bool = False,
    dry_run: bool = False,
) -> Restored:
    """Make the files of the work tree those of `tree`: all, or those at and below `paths`.

    Tracked files that the tree does not have are removed, but for those that were `left_out` of
    it; untracked ones that are not in the way stay. Raises UnknownPath, InTheWay, UnsafeTree, and
    GitFailed where only a part could be done.
    """
    with TemporaryDirectory(prefix="gitprov-") as folder:
        restoration = Restoration(repository, tree, Path(folder) / "index", tuple(paths))
        done = restoration.plan(left_out)
        restoration.require_way((*done.written, *done.deleted), force=force)
        if not dry_run:
            restoration.carry_out(done)
        return done


class Restoration:
    """A tree in a private index, beside a work tree. Nothing is changed before `carry_out`."""

    def __init__(
        self, repository: Repository, tree: str, index: Path, paths: tuple[bytes, ...]
    ) -> None:
        self._repository = repository
        self._tree = tree
        self._index = index
        self._paths = () if b"" in paths else paths
        self._env = {"GIT_INDEX_FILE": str(index)}
        self._committed: AbstractSet[bytes] = frozenset()
        listing = self._git("ls-tree", "-r", "-z", "--full-tree", tree)
        self._entries: dict[bytes, tuple[bytes, str]] = {}
        for line in listing.split(b"\0")[:-1]:
            what, _, path = line.partition(b"\t")
            mode, _, oid = what.split(b" ")
            self._entries[path] = (mode, oid.decode())

    def all_files(self) -> Restored:
        """Return what an empty work tree would get."""
        self._read_tree()
        self._require_known(self._entries)
        written = [path for path in self._selected(self._entries) if not self._is_submodule(path)]
        return Restored(tuple(written), submodules=self._submodules())

    def plan(self, left_out: AbstractSet[bytes]) -> Restored:
        """Return what differs between work tree and tree."""
        status = read_status(self._repository, self._index)
        copy_index(self._repository, self._index)
        tracked = set(self._git("ls-files", "-z").split(b"\0")[:-1])
        self._require_known({*tracked, *self._entries, *left_out})
        if status.commit is not None:
            names = self._git("ls-tree", "-r", "-z", "--full-tree", "--name-only", status.commit)
            self._committed = frozenset(names.split(b"\0")) - {*status.changed}
        self._read_tree()
        selected = self._selected(self._entries)
        if self._paths:  # who names files wants them, in a sparse checkout too
            self._mark("--no-skip-worktree", selected)
        differing = self._differing()
        written = [path for path in selected if path in differing and not self._is_submodule(path)]
        deleted = [
            path
            for path in self._selected(sorted(tracked - self._entries.keys() - left_out))
            if is_there(self._top, path)
        ]
        files = len(selected) - len(self._submodules())
        return Restored(tuple(written), tuple(deleted), files - len(written), self._submodules())

    def require_way(self, paths: Iterable[bytes], *, force: bool) -> None:
        """Raise InTheWay where something would be lost."""
        found = find_obstacles(self._top, paths, self._committed)
        if found.repositories:
            raise InTheWay(
                f"a repository of its own is in the way: {_shown(found.repositories)}; move it "
                "away, or restore into a new folder with: --worktree DIR"
            )
        if found.uncommitted and not force:
            raise InTheWay(
                f"not committed, and would be overwritten: {_shown(found.uncommitted)}; commit or "
                "stash it, restore into a new folder with --worktree DIR, or overwrite it with "
                "--force"
            )

    def carry_out(self, plan: Restored) -> None:
        """Do what was planned; raise GitFailed, with what is not done, where git fails."""
        for path in plan.deleted:
            self._delete(path)
        try:
            self._write(plan)
        except GitFailed as error:
            self._mark("--no-skip-worktree", self._entries)
            left = sorted(self._differing().intersection(plan.written))
            raise GitFailed(
                f"{error}; {len(left)} of {plural(len(plan.written), 'file')} could not be "
                f"written: {_shown(left)}; mend that, and restore again"
            ) from error

    def _write(self, plan: Restored) -> None:
        absent = [
            path for path, _ in plan.submodules if not os.path.lexists(_below(self._top, path))
        ]  # git makes their folders
        batch = {*plan.written, *absent}
        # Before all others, as they decide how those are written.
        attributes = {path for path in batch if os.path.basename(path) == b".gitattributes"}  # noqa: PTH119 -- bytes
        for part in (attributes, batch - attributes):
            if part:
                # With --stdin, git would not tell a failure by its exit status.
                self._mark("--skip-worktree", self._entries.keys() - part)
                self._mark("--no-skip-worktree", part)
                self._git("checkout-index", "--all", "--force")

    def _differing(self) -> set[bytes]:
        """Return what stands otherwise, or not at all, in the work tree."""
        # A refresh reads what may differ, as `git status` does; that some differ is no failure.
        self._git("update-index", "-q", "--refresh", good=(0, 1))
        listed = self._git("diff-files", "-z", "--name-only", "--no-renames")
        return set(listed.split(b"\0")[:-1])

    def _read_tree(self) -> None:
        # On top of what the index knows of the files, so that they need not all be read.
        options = ["--reset"] if self._index.exists() else []
        try:
            self._git("read-tree", *options, self._tree)
        except GitFailed as error:
            # All of its trees are here, as `ls-tree` has read them: git refuses what they say.
            raise UnsafeTree(f"nothing was written, as git refuses the tree: {error}") from error
        if set(self._git("ls-files", "-z").split(b"\0")[:-1]) != self._entries.keys():
            raise UnsafeTree("nothing was written, as the tree has a name twice; see: git fsck")

    def _require_known(self, known: Iterable[bytes]) -> None:
        names = tuple(known)
        for path in self._paths:
            if not any(_is_within(name, path) for name in names):
                raise UnknownPath(
                    f"the source of the run has no file and no folder {printable(path)}"
                )

    def _selected(self, names: Iterable[bytes]) -> list[bytes]:
        return [
            name
            for name in names
            if not self._paths or any(_is_within(name, path) for path in self._paths)
        ]

    def _submodules(self) -> tuple[tuple[bytes, str], ...]:
        selected = self._selected(self._entries)
        return tuple(
            (path, self._entries[path][1]) for path in selected if self._is_submodule(path)
        )

    def _is_submodule(self, path: bytes) -> bool:
        return self._entries[path][0] == _SUBMODULE

    def _mark(self, option: str, paths: Iterable[bytes]) -> None:
        stdin = b"".join(path + b"\0" for path in paths)
        self._git("update-index", option, "-z", "--stdin", stdin=stdin)

    def _delete(self, path: bytes) -> None:
        """Remove a file, and the folders that are empty then, but not the one we stand in."""
        os.unlink(_below(self._top, path))  # noqa: PTH108 -- bytes
        folder = os.path.dirname(path)  # noqa: PTH120 -- bytes
        with suppress(OSError):
            while folder and _below(self._top, folder) != os.fsencode(Path.cwd()):
                os.rmdir(_below(self._top, folder))  # noqa: PTH106 -- bytes
                folder = os.path.dirname(folder)  # noqa: PTH120 -- bytes

    @property
    def _top(self) -> bytes:
        return os.fsencode(self._repository.require_work_tree())

    def _git(
        self, *arguments: str, stdin: bytes | None = None, good: tuple[int, ...] = (0,)
    ) -> bytes:
        return self._repository.git.run(
            *arguments, stdin=stdin, env=self._env, config=CONFIG, good=good
        )


def _is_within(name: bytes, path: bytes) -> bool:
    return name == path or name.startswith(path + b"/")


def _below(top: bytes, path: bytes) -> bytes:
    return os.path.join(top, path)  # noqa: PTH118 -- bytes


def _shown(paths: Sequence[bytes]) -> str:
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return ", ".join(printable(path) for path in paths[:_SHOWN]) + more
