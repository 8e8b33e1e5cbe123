"""The source of a run in a folder of its own, with its commit and its uncommitted changes.

The folder is a repository that borrows its objects from ours, in which nothing changes: not even a
work tree is put on its list.
"""

from pathlib import Path

from gitprov.capture.origin import Origin
from gitprov.capture.restoration import CONFIG, restore
from gitprov.store.git import Git
from gitprov.store.repository import Repository


def check_out(repository: Repository, origin: Origin, folder: Path) -> None:
    """Make `folder`, with what `origin` has. Raises GitFailed, UnsafeTree."""
    made = Repository(folder / ".git", folder / ".git", folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir()  # new: a package may have brought a link of this name
    made.git_dir.mkdir()
    # Without the work tree, whose path would go into the configuration.
    git = Git(made.git_dir)
    git.run("init", "--quiet", "--template=", "--object-format=sha1")
    git.run("config", "core.bare", "false")
    objects = repository.common_dir / "objects"
    (made.git_dir / "objects" / "info").mkdir(exist_ok=True)
    (made.git_dir / "objects" / "info" / "alternates").write_text(f"{objects}\n", "utf-8")
    if cut := repository.cut_commits():
        (made.git_dir / "shallow").write_text("".join(f"{oid}\n" for oid in sorted(cut)), "ascii")
    made.git.run("update-ref", "--no-deref", "HEAD", origin.commit, config=CONFIG)
    made.git.run("read-tree", "HEAD", config=CONFIG)
    restore(made, origin.tree)
