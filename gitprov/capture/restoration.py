"""Bringing a captured source back: the inverse of capture.

Git checks the tree out, through a private copy of the index, so names, links, modes and filters
are treated as `git checkout` treats them. A tree with a name that leads out of the work tree or
into a git directory, as any system may spell it, is refused as a whole before anything is
written. So is one that would overwrite uncommitted work, unless forced, or a repository inside
the work tree, always. The user's index is not touched, and no hook runs.
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
from gitprov.errors import (
    GitFailed,
    IntegrityError,
    InTheWay,
    SourceMissing,
    UnknownPath,
    UnsafeTree,
)
from gitprov.model.run import Run
from gitprov.model.wording import printable
from gitprov.store.objects import decode_commit
from gitprov.store.repository import Repository

_CONFIG = (
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


class Origin(NamedTuple):
    """What a run was made from: the commit to stand at, and the tree of its files."""

    commit: str
    tree: str


class Restored(NamedTuple):
    """What was done, or would be: paths from the top, and the commits of submodules."""

    written: tuple[bytes, ...] = ()
    deleted: tuple[bytes, ...] = ()
    unchanged: int = 0
    submodules: tuple[tuple[bytes, str], ...] = ()


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
    tree = _tree(repository, oid)
    if source.tree not in (None, tree):
        raise IntegrityError(
            f"{oid} does not have the tree that the record names; check with: git prov verify"
        )
    if source.commit is None:  # the branch had no commit yet: a snapshot alone can be stood at
        return Origin(oid, tree)
    _tree(repository, source.commit)
    return Origin(source.commit, tree)


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
    it; untracked ones that are not in the way stay. Raises UnknownPath, InTheWay, UnsafeTree.
    """
    with TemporaryDirectory(prefix="gitprov-") as folder:
        restoration = _Restoration(repository, tree, Path(folder) / "index", tuple(paths))
        done = restoration.plan(left_out)
        restoration.require_way((*done.written, *done.deleted), force=force)
        if not dry_run:
            restoration.carry_out(done)
        return done


def restore_worktree(
    repository: Repository,
    origin: Origin,
    folder: Path,
    *,
    paths: Iterable[bytes] = (),
    force: bool = False,
    dry_run: bool = False,
) -> Restored:
    """Make a work tree at the commit, with what `origin` has besides as uncommitted changes.

    With `paths`, all other files are as committed. `force` takes the place of a work tree that
    git has on its list and that is gone. Raises UnknownPath, InTheWay, UnsafeTree.
    """
    paths = tuple(paths)
    if os.path.lexists(folder) and not (folder.is_dir() and not any(folder.iterdir())):
        raise InTheWay(
            f"{folder} is there already; name a folder that is not, or restore into a work tree "
            "from within it, without --worktree"
        )
    if not force and _is_listed(repository, folder):
        raise InTheWay(f"git has a work tree on its list that was in {folder}; replace it: --force")
    with TemporaryDirectory(prefix="gitprov-") as private:
        # Refused before there is a work tree, not in the middle of one.
        new = _Restoration(repository, origin.tree, Path(private) / "index", paths)
        files = new.all_files()
    if dry_run:
        return files
    options = ["--detach", "--no-checkout", *(["--force"] if force else [])]
    repository.git.run("worktree", "add", *options, "--", str(folder), origin.commit,
                       config=_CONFIG)  # fmt: skip
    try:
        made = _linked(repository, folder)
        made.git.run("read-tree", "HEAD", config=_CONFIG)
        if paths:
            restore(made, _tree(repository, origin.commit))
        done = restore(made, origin.tree, paths=paths)
        lines = (b"160000 %s\t%s\0" % (oid.encode(), path) for path, oid in done.submodules)
        made.git.run("update-index", "-z", "--index-info", stdin=b"".join(lines), config=_CONFIG)
        # So that git need not read all files again; that some differ is no failure.
        made.git.run("update-index", "-q", "--refresh", config=_CONFIG, good=(0, 1))
    except BaseException:
        repository.git.call("worktree", "remove", "--force", "--force", str(folder))
        raise
    return done


class _Restoration:
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
        # A refresh reads what may differ, as `git status` does; that some differ is no failure.
        self._git("update-index", "-q", "--refresh", good=(0, 1))
        changed = self._git("diff-files", "-z", "--name-only", "--no-renames").split(b"\0")[:-1]
        wanted = set(selected)
        written = [path for path in changed if path in wanted and not self._is_submodule(path)]
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
        """Do what was planned."""
        for path in plan.deleted:
            self._delete(path)
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
            *arguments, stdin=stdin, env=self._env, config=_CONFIG, good=good
        )


def _linked(repository: Repository, folder: Path) -> Repository:
    """Return a linked work tree of a repository; what the environment says is about another."""
    pointer = os.fsdecode((folder / ".git").read_bytes())
    git_dir = folder / pointer.removeprefix("gitdir: ").removesuffix("\n")
    return Repository(git_dir, repository.common_dir, folder)


def _is_listed(repository: Repository, folder: Path) -> bool:
    listing = repository.git.run("worktree", "list", "--porcelain", "-z")
    return b"worktree " + os.fsencode(os.path.realpath(folder)) in listing.split(b"\0")


def _tree(repository: Repository, commit: str) -> str:
    """Return the tree of a commit; raise SourceMissing where either is not here."""
    found = repository.git.call("cat-file", "commit", commit)
    if found.returncode == 0:
        tree = decode_commit(found.stdout).tree
        if repository.git.call("cat-file", "-e", tree).returncode == 0:
            return tree
    raise SourceMissing(f"{commit} is not in this clone; fetch it with: git prov pull")


def _is_within(name: bytes, path: bytes) -> bool:
    return name == path or name.startswith(path + b"/")


def _below(top: bytes, path: bytes) -> bytes:
    return os.path.join(top, path)  # noqa: PTH118 -- bytes


def _shown(paths: Sequence[bytes]) -> str:
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return ", ".join(printable(path) for path in paths[:_SHOWN]) + more
