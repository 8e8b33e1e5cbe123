"""Patch ids: what a commit changes, whatever it stands on.

A commit that was rebased or cherry-picked keeps its patch id, as long as what it changes and the
lines around are the same; a squash merge has that of the whole series. They are made by
`git patch-id --stable` from a diff that no setting of the user and no attribute changes, so that
two clones agree. Commits that change nothing, and merges, have none. Nothing is fetched for them.
"""

import os
from collections.abc import Iterable

from gitprov.store.git import Git

# Of plain `git diff-tree -p`, and against what diff.*, attributes and drivers would change.
DIFF_OPTIONS = (
    "-p",
    "-r",
    "--full-index",  # of binary files, the names of the blobs are what counts
    "--unified=3",
    "--inter-hunk-context=0",
    "--diff-algorithm=myers",
    "--no-renames",
    "--no-ext-diff",
    "--no-textconv",
    "--no-color",
    "--indent-heuristic",
    "--no-relative",
    "--src-prefix=a/",
    "--dst-prefix=b/",
    "--submodule=short",
    "--ignore-submodules=none",
)
COMMIT_DIFF = ("diff-tree", "--root", *DIFF_OPTIONS)
PATCH_ID = ("patch-id", "--stable")
# What has no option.
_SETTINGS = (
    "core.quotePath=true",
    "core.bigFileThreshold=512m",
    "diff.suppressBlankEmpty=false",
    f"core.attributesFile={os.devnull}",
)


def diffing(git: Git) -> Git:
    """Return a git whose diffs are the same in every clone; it fetches nothing that is missing.

    Without work tree and index there are no attributes.
    """
    env = {
        "GIT_INDEX_FILE": str(git.git_dir / "no-index"),
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_DIFF_OPTS": "",
        # The first is enough where git knows it, since 2.45.
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_ALLOW_PROTOCOL": "none",
    }
    return Git(git.git_dir, settings=_SETTINGS, env=env)


def patch_ids(git: Git, commits: Iterable[str]) -> dict[str, str]:
    """Return the patch ids of commits, of those that have one.

    Raises GitFailed where an object is not here.
    """
    names = "".join(f"{oid}\n" for oid in commits)
    if not names:
        return {}
    output = diffing(git).piped((*COMMIT_DIFF, "--stdin"), PATCH_ID, names.encode())
    pairs = (line.split() for line in output.decode("ascii", "replace").splitlines())
    return {oid: patch_id for patch_id, oid in pairs}


def series_patch_id(git: Git, base: str, tip: str) -> str | None:
    """Return the patch id of all that `tip` has beyond `base`; None where that is nothing.

    Raises GitFailed where an object is not here.
    """
    output = diffing(git).piped(("diff-tree", *DIFF_OPTIONS, base, tip), PATCH_ID)
    return output.split()[0].decode("ascii") if output else None
