"""What git says of the work tree: HEAD's commit, the branch, and the paths that differ from it.

Git does not look at files that are marked skip-worktree or assume-unchanged. Those that are there
are looked at all the same: with a private copy of the index that has the marks cleared, so that
nothing that differs from the commit passes for clean.
"""

import errno
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gitprov.capture.word_cache import WordCache
from gitprov.errors import GitFailed
from gitprov.store.git import last_line
from gitprov.store.repository import Repository

# Tags of `git ls-files -v`: lower case for assume-unchanged, S or s for skip-worktree.
_MARKED = re.compile(rb"\0([a-zS]) ([^\0]+)")
_UNMARKED = b"\0H "
_HIDES_NOTHING = "unmarked"
# Untracked folders that one command line names.
_MAX_FOLDERS = 100
_NOTHING = b"000000"
# How git ends a line about what it could not look into.
_SYSTEM_ERRORS = frozenset(os.strerror(number).encode() for number in errno.errorcode)


@dataclass(frozen=True, slots=True)
class Status:
    """HEAD's commit, its branch, and the paths that differ from it.

    `submodules` are those of `changed` whose own files differ from the commit that they are at;
    `sparse` counts the tracked files that a sparse checkout has left out. `entries` are what
    the index has of changed paths: the path, and all as `git update-index --index-info` takes it.
    `unread` is what git says of files and folders that it could not look into: what stands there
    passes for unchanged, or for absent.
    """

    commit: str | None
    branch: str | None
    changed: tuple[bytes, ...] = ()
    untracked: tuple[bytes, ...] = ()
    submodules: tuple[bytes, ...] = ()
    sparse: int = 0
    entries: tuple[tuple[bytes, bytes], ...] = ()
    unread: tuple[str, ...] = ()

    @property
    def dirty(self) -> bool:
        """Whether anything differs."""
        return bool(self.changed or self.untracked or self.submodules)


def read_status(repository: Repository, index: Path, *, remember: bool = True) -> Status:
    """Return the status of the work tree; raise GitFailed where git cannot read it.

    Where files are hidden from git, `index` is there afterwards: a copy that hides none. With
    `remember`, that the user's index hides nothing is kept until it changes.
    """
    known = WordCache(repository.prov_dir / "cache" / "indexes")
    version = _version(repository)
    if known.get(version) == _HIDES_NOTHING:
        return _status(repository)
    # Beside `git status`, so that it takes no time of its own.
    with repository.git.open("ls-files", "-v", "-z") as listing:
        status = _status(repository)
        marks, _ = listing.communicate()
    if listing.returncode != 0:
        raise GitFailed("git ls-files failed; see what it says in the work tree")
    marked = _marked(marks)
    if remember and not marked and _version(repository) == version:
        known.put(version, _HIDES_NOTHING)
    absent = _left_out(marked, repository.require_work_tree())
    if hidden := [(tag, path) for tag, path in marked if path not in absent]:
        _clear_marks(repository, index, hidden)
        status = _status(repository, {"GIT_INDEX_FILE": str(index)})
    return replace(status, sparse=len(absent))


def read_head(repository: Repository) -> Status:
    """Return commit and branch alone, for where the work tree cannot be read."""
    commit = repository.git.call("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    branch = repository.git.call("symbolic-ref", "--quiet", "HEAD")
    return Status(
        commit.stdout.decode().strip() or None,
        os.fsdecode(branch.stdout).rstrip("\n").removeprefix("refs/heads/") or None,
    )


def copy_index(repository: Repository, index: Path) -> None:
    """Make `index` a copy of the user's index, unless it is one already.

    With its time: by that git knows which entries may have changed since without showing it.
    """
    theirs = repository.git_dir / "index"
    if theirs.exists() and not index.exists():
        shutil.copy2(theirs, index)


def _version(repository: Repository) -> str:
    """Return what changes whenever git writes the index, which it does by renaming a new file."""
    try:
        found = (repository.git_dir / "index").stat()
    except OSError:
        return "none"
    return f"{found.st_dev} {found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"


def _marked(listing: bytes) -> list[tuple[bytes, bytes]]:
    """Return the tags of marked files, and the files."""
    listing = b"\0" + listing
    # Counting is quicker than looking for a tag among a hundred thousand files; most have none.
    if listing.count(_UNMARKED) == listing.count(b"\0") - 1:
        return []
    return _MARKED.findall(listing)


def _status(repository: Repository, env: Mapping[str, str] | None = None) -> Status:
    # Where the user has git cache what is untracked, it does so without what is in folders.
    config = repository.config
    cached = config.flag("core.untrackedcache", default=False)
    by_folder = cached or config.flag("feature.manyfiles", default=False)
    said = repository.git.call(
        "status",
        "--porcelain=v2",
        "--branch",
        "-z",
        f"--untracked-files={'normal' if by_folder else 'all'}",
        "--no-renames",
        "--ignore-submodules=none",
        env=env,
    )
    if said.returncode != 0:
        raise GitFailed(f"git status failed: {last_line(said.stderr)}")
    status = replace(_parsed(said.stdout), unread=tuple(_unread(said.stderr)))
    return _with_files_in_folders(repository, status, env) if by_folder else status


def _with_files_in_folders(
    repository: Repository, status: Status, env: Mapping[str, str] | None
) -> Status:
    """Return the status with all untracked files in place of the folders that they are in."""
    top = os.fsencode(repository.require_work_tree())
    folders = [path for path in status.untracked if path.endswith(b"/")]
    # A folder in place of a file is not named.
    folders += [path + b"/" for path in status.changed if _is_folder(top, path)]
    if not folders:
        return status
    few = [os.fsdecode(folder) for folder in folders] if len(folders) <= _MAX_FOLDERS else []
    listed = repository.git.run(
        "--literal-pathspecs", "ls-files", "--others", "--exclude-standard", "-z", "--", *few,
        env=env,
    )  # fmt: skip
    untracked = {path for path in status.untracked if not path.endswith(b"/")}
    untracked.update(listed.split(b"\0")[:-1])
    return replace(status, untracked=tuple(sorted(untracked)))


def _unread(warnings: bytes) -> Iterator[str]:
    """Yield what git could not look into, and why; it goes on all the same."""
    for line in dict.fromkeys(warnings.splitlines()):
        if line.rpartition(b": ")[2] in _SYSTEM_ERRORS:
            yield line.removeprefix(b"warning: ").decode(errors="replace")


def _is_folder(top: bytes, path: bytes) -> bool:
    whole = os.path.join(top, path)  # noqa: PTH118 -- bytes
    return os.path.isdir(whole) and not os.path.islink(whole)  # noqa: PTH112, PTH114 -- bytes


def _parsed(output: bytes) -> Status:
    commit = branch = None
    changed, untracked, submodules = [], [], []
    entries: list[tuple[bytes, bytes]] = []
    for line in output.split(b"\0"):
        kind, _, rest = line.partition(b" ")
        if line.startswith(b"# branch.oid ") and not line.endswith(b"(initial)"):
            commit = line.split(b" ")[2].decode()
        elif line.startswith(b"# branch.head ") and not line.endswith(b"(detached)"):
            branch = os.fsdecode(line.split(b" ", 2)[2])
        elif kind == b"1":
            fields = rest.split(b" ", 7)
            changed.append(fields[7])
            entries += _entries(fields[3:4], fields[6:7], [0], fields[7])
            # S, then C, M and U: its commit differs, its files do, it has untracked ones.
            if fields[1].startswith(b"S") and fields[1][2:] != b"..":
                submodules.append(fields[7])
        elif kind == b"u":
            fields = rest.split(b" ", 9)
            changed.append(fields[9])
            entries += _entries(fields[2:5], fields[6:9], [1, 2, 3], fields[9])
        elif kind == b"?":
            untracked.append(rest)
    return Status(
        commit,
        branch,
        tuple(changed),
        tuple(untracked),
        tuple(submodules),
        entries=tuple(entries),
    )


def _entries(
    modes: Sequence[bytes], oids: Sequence[bytes], stages: Sequence[int], path: bytes
) -> Iterator[tuple[bytes, bytes]]:
    """Yield what the index has of a path, as Status has it."""
    for mode, oid, stage in zip(modes, oids, stages, strict=True):
        if mode != _NOTHING:
            yield path, b"%s %s %d\t%s" % (mode, oid, stage, path)


def _clear_marks(
    repository: Repository, index: Path, marked: Sequence[tuple[bytes, bytes]]
) -> None:
    """Make an index that hides none of these."""
    copy_index(repository, index)
    for option, tags in (("--no-assume-unchanged", b"abcdefghijklmnopqrstuvwxyz"),
                         ("--no-skip-worktree", b"Ss")):  # fmt: skip
        paths = [path for tag, path in marked if tag in tags]
        if paths:
            _update_index(repository, index, option, paths)


def _left_out(marked: Sequence[tuple[bytes, bytes]], work_tree: Path) -> frozenset[bytes]:
    """Return what a sparse checkout leaves out: absent skip-worktree files.

    They stay as the index has them. All other marks hide something: an absent assume-unchanged file
    was deleted.
    """
    top = os.fsencode(work_tree)
    return frozenset(
        path
        for tag, path in marked
        if tag in b"Ss" and not os.path.lexists(os.path.join(top, path))  # noqa: PTH118 -- bytes
    )


def _update_index(repository: Repository, index: Path, option: str, paths: Sequence[bytes]) -> None:
    repository.git.run(
        "update-index", option, "-z", "--stdin",
        stdin=b"".join(path + b"\0" for path in paths),
        env={"GIT_INDEX_FILE": str(index)},
        config=[
            "core.splitIndex=false", "core.fsmonitor=false", "core.ignoreStat=false",
            f"core.hooksPath={os.devnull}",
        ],
    )  # fmt: skip
