"""A private index that has only the paths in which the work tree differs from its commit.

Git makes blobs of files by it as `git add` would: with the filters, modes and line ends that the
user's index and attributes ask for. It takes no longer where the repository has more files.
"""

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from gitprov.capture.worktree import Status
from gitprov.errors import GitFailed
from gitprov.store.git import syncing
from gitprov.store.objects import TreeEntry, object_id
from gitprov.store.repository import Repository

# The user's settings that would refuse files, write elsewhere, or call hooks for an index that is
# not the user's.
_CONFIG = (
    "core.splitIndex=false",
    "core.fsmonitor=false",
    "core.ignoreStat=false",
    "core.safecrlf=false",
    f"core.hooksPath={os.devnull}",
    # Index and objects are read back at once, and kept elsewhere.
    "core.looseCompression=0",
    *syncing(fsync=False),
)
# After so many files that filters do not write, those that are left are taken for the like.
_MAX_FAILURES = 20
# Git takes from the index what is not checked out of these.
_ATTRIBUTES = ":(top,glob)**/.gitattributes"


class PartialIndex:
    """An index in the file `index`, which goes as the caller's folder goes.

    `env` says where objects are written. All methods raise GitFailed.
    """

    def __init__(self, repository: Repository, index: Path, env: Mapping[str, str]) -> None:
        self._repository = repository
        self._env = {**env, "GIT_INDEX_FILE": str(index)}

    def begin(self, status: Status, paths: Iterable[bytes]) -> None:
        """Have for `paths` what the user's index has, as `git status` saw it."""
        wanted = set(paths)
        entries = [entry for path, entry in status.entries if path in wanted]
        if status.sparse:
            listed = self._repository.git.run("ls-files", "-s", "-z", "--", _ATTRIBUTES)
            entries += listed.split(b"\0")[:-1]
        if entries:
            self._update(entries, "--index-info")

    def add(self, paths: Iterable[bytes]) -> None:
        """Take in what stands at these paths in the work tree, all or nothing."""
        # Paths come from status itself, NUL-separated: no pathspec magic, no second scan.
        self._update(paths, "--add", "--remove", "--replace", "--stdin")

    def entries(self) -> Iterator[tuple[bytes, TreeEntry]]:
        """Yield the paths, and what is at them."""
        listed = self._git("ls-files", "-s", "-z")
        for item in listed.split(b"\0")[:-1]:
            about, _, path = item.partition(b"\t")
            mode, oid, _ = about.split(b" ")
            yield path, TreeEntry(int(mode, 8), path.rpartition(b"/")[2], oid.decode())

    def attributes(
        self, paths: Sequence[bytes], names: Iterable[str]
    ) -> Iterator[tuple[bytes, str, bytes]]:
        """Yield the paths, the names of these attributes, and what they are there."""
        if paths:
            said = self._git("check-attr", "-z", "--stdin", *names, stdin=_listed(paths))
            words = iter(said.split(b"\0")[:-1])
            for path, name, value in zip(words, words, words, strict=True):
                yield path, name.decode(), value

    def checked_out(
        self, paths: Sequence[bytes], folder: Path
    ) -> Iterator[tuple[bytes, str | None]]:
        """Yield paths, and the blobs of what git would write there; None where it cannot.

        `folder` is made for it, and removed.
        """
        files = {path: folder / os.fsdecode(path) for path in paths}
        try:
            folder.mkdir()
            waiting = list(paths)
            for _ in range(_MAX_FAILURES):
                with suppress(GitFailed):
                    to = f"--prefix={folder}/"
                    self._git("checkout-index", to, "-z", "--stdin", stdin=_listed(waiting))
                    break
                # It stops at the first that it cannot write.
                waiting = [path for path in waiting if not files[path].exists()][1:]
            for path, file in files.items():
                yield path, object_id("blob", file.read_bytes()) if file.is_file() else None
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _update(self, items: Iterable[bytes], *options: str) -> None:
        self._git("update-index", "-z", *options, stdin=_listed(items))

    def _git(self, *arguments: str, stdin: bytes | None = None) -> bytes:
        return self._repository.git.run(*arguments, env=self._env, stdin=stdin, config=_CONFIG)


def _listed(items: Iterable[bytes]) -> bytes:
    return b"".join(item + b"\0" for item in items)
