"""A new work tree, linked to the repository, with the source of a run: commit and changes.

What cannot be brought back as a whole is not begun: nothing is left of it.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from gitprov.capture.origin import Origin, tree_of
from gitprov.capture.restoration import CONFIG, Restoration, Restored, restore
from gitprov.errors import InTheWay
from gitprov.store.repository import Repository


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
        new = Restoration(repository, origin.tree, Path(private) / "index", paths)
        files = new.all_files()
    if dry_run:
        return files
    options = ["--detach", "--no-checkout", *(["--force"] if force else [])]
    repository.git.run("worktree", "add", *options, "--", str(folder), origin.commit,
                       config=CONFIG)  # fmt: skip
    try:
        made = _linked(repository, folder)
        made.git.run("read-tree", "HEAD", config=CONFIG)
        if paths:
            restore(made, tree_of(repository, origin.commit))
        done = restore(made, origin.tree, paths=paths)
        lines = (b"160000 %s\t%s\0" % (oid.encode(), path) for path, oid in done.submodules)
        made.git.run("update-index", "-z", "--index-info", stdin=b"".join(lines), config=CONFIG)
        # So that git need not read all files again; that some differ is no failure.
        made.git.run("update-index", "-q", "--refresh", config=CONFIG, good=(0, 1))
    except BaseException:
        repository.git.call("worktree", "remove", "--force", "--force", str(folder))
        raise
    return done


def _linked(repository: Repository, folder: Path) -> Repository:
    """Return a linked work tree of a repository; what the environment says is about another."""
    pointer = os.fsdecode((folder / ".git").read_bytes())
    git_dir = folder / pointer.removeprefix("gitdir: ").removesuffix("\n")
    return Repository(git_dir, repository.common_dir, folder)


def _is_listed(repository: Repository, folder: Path) -> bool:
    listing = repository.git.run("worktree", "list", "--porcelain", "-z")
    return b"worktree " + os.fsencode(os.path.realpath(folder)) in listing.split(b"\0")
