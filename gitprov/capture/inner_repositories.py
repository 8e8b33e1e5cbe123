"""Repositories inside the work tree: what tells one state of them from another.

A snapshot holds at most the commit of one. In a submodule git looks for changes anyhow, and so is
looked here. In another repository, which may have come with data, nothing is asked but its HEAD:
to look for changes is to run what its configuration says.
"""

import os
import stat
from pathlib import Path
from tempfile import TemporaryDirectory

from gitprov.capture.files import hash_file
from gitprov.capture.worktree import read_status
from gitprov.store.git import Git
from gitprov.store.repository import Repository


def checked_out(folder: Path) -> str | None:
    """Return the commit that a repository is at; None where that is none, or cannot be told."""
    found = Git(folder / ".git", folder).call("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    return found.stdout.decode().strip() or None


def changes_inside(folder: Path) -> bytes:
    """Return a text on how a submodule differs from its commit: equal for equal changes.

    Raises GitFailed, InputError or OSError where that cannot be told.
    """
    git_dir = Git(folder / ".git", folder).run("rev-parse", "--absolute-git-dir")
    submodule = Path(os.fsdecode(git_dir.removesuffix(b"\n")))
    repository = Repository(submodule, submodule, folder)
    with TemporaryDirectory(prefix="gitprov-") as private:
        status = read_status(repository, Path(private) / "index", remember=False)
    paths = sorted({*status.changed, *status.untracked})
    return b"".join(b"%s %s\0" % (_content(folder / os.fsdecode(path)), path) for path in paths)


def _content(path: Path) -> bytes:
    """Return what stands for what is at a path."""
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return b"gone"
    if stat.S_ISLNK(mode):
        return b"link " + os.fsencode(path.readlink())
    if stat.S_ISDIR(mode):
        return b"commit " + (checked_out(path) or "none").encode()
    if not stat.S_ISREG(mode):
        return b"no file"
    kind = b"program " if mode & stat.S_IXUSR else b"file "
    return kind + hash_file(path).sha256.hex().encode()
