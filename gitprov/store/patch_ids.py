"""Patch ids: what a commit changes, whatever it stands on.

A commit that was rebased or cherry-picked keeps its patch id, as long as what it changes and the
lines around are the same; a squash merge has that of the whole series. They are made by
`git patch-id --stable` from a diff that no setting of the user and no attribute changes, so that
two clones agree. Commits that change nothing, and merges, have none. Nothing is fetched for them.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

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
_FILE_MODES = frozenset({"100644", "100755", "120000"})
# What has no option.
_SETTINGS = (
    "core.quotePath=true",
    "core.bigFileThreshold=512m",
    "diff.suppressBlankEmpty=false",
    f"core.attributesFile={os.devnull}",
)


class FileChange(NamedTuple):
    """A path as git quotes it, and the mode and object there, before and after."""

    path: bytes
    before: tuple[str, str]
    after: tuple[str, str]


def diffing(git: Git) -> Git:
    """Return a git whose diffs are the same in every clone; it fetches nothing that is missing.

    Without work tree and index there are no attributes but those of `info/attributes`.
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
    return _made(git, COMMIT_DIFF, commits)


def series_patch_ids(git: Git, pairs: Iterable[str]) -> dict[str, str]:
    """Return, for `<tree> <base>`, by tree, the patch id of all that it has beyond its base.

    Raises GitFailed where an object is not here.
    """
    # Git names each difference by the first tree, so it is asked for the reverse of the reverse.
    reverse = ("-R", "--src-prefix=b/", "--dst-prefix=a/")
    return _made(git, ("diff-tree", *DIFF_OPTIONS, *reverse), pairs)


def _made(git: Git, diff: tuple[str, ...], names: Iterable[str]) -> dict[str, str]:
    asked = _lines(names)
    if not asked:
        return {}
    output = diffing(git).piped((*diff, "--stdin"), PATCH_ID, asked)
    pairs = (line.split() for line in output.decode("ascii", "replace").splitlines())
    return {name: patch_id for patch_id, name in pairs}


def file_changes(git: Git, names: Iterable[str]) -> dict[str, list[FileChange]]:
    """Return the files that commits change, or in which pairs of trees `<tree> <base>` differ.

    Merges change none. Raises GitFailed where a folder is not here.
    """
    found: dict[str, list[FileChange]] = {name: [] for name in names}
    options = ("--root", "-r", "--raw", "--no-abbrev", "--no-renames", "--stdin")
    changes: list[FileChange] = []
    for line in diffing(git).run("diff-tree", *options, stdin=_lines(found)).splitlines():
        if line.startswith(b":"):
            about, path = line[1:].split(b"\t", 1)
            mode, new_mode, old, new, _ = about.decode("ascii").split()
            changes.append(FileChange(path, (mode, old), (new_mode, new)))
        else:
            changes = found[line.decode("ascii")]
    return found


def content_sizes(git: Git, changes: Mapping[str, Sequence[FileChange]]) -> dict[str, int | None]:
    """Return how many bytes changed files have, before and after; None where some are not here."""
    files = {
        name: [oid for change in each for mode, oid in change[1:] if mode in _FILE_MODES]
        for name, each in changes.items()
    }
    known = _sizes(diffing(git), {oid for found in files.values() for oid in found})
    sizes = {name: [known.get(oid) for oid in found] for name, found in files.items()}
    return {
        name: None if None in found else sum(filter(None, found)) for name, found in sizes.items()
    }


def _sizes(git: Git, blobs: set[str]) -> dict[str, int]:
    """Return the sizes of those blobs that are here."""
    if git.call("config", "--get-regexp", r"^remote\..*\.promisor$").returncode == 0:
        # Git would try to fetch each that is asked for and not here.
        names = "--batch-check=%(objectname)", "--batch-all-objects", "--unordered"
        blobs &= set(git.run("cat-file", *names).decode("ascii").split())
    options = "--batch-check=%(objectname) %(objectsize)"
    answers = git.run("cat-file", options, stdin=_lines(blobs))
    lines = (line.split() for line in answers.decode("ascii", "replace").splitlines())
    return {oid: int(size) for oid, size in lines if size != "missing"}


def _lines(names: Iterable[str]) -> bytes:
    return "".join(f"{name}\n" for name in names).encode("ascii")
