"""What git has staged for a file whose content another tool keeps."""

import functools
import os
from pathlib import Path

from gitprov.capture.data.pointers.kind import Question
from gitprov.store.git import Git

_ATTRIBUTES = ".gitattributes"
_MAX_ATTRIBUTES_BYTES = 1 << 20


def staged_pointer(question: Question, tool: str, limit: int) -> bytes | None:
    """Return what the index has for an input; None where that is larger than `limit`, or nothing.

    Git is asked only where `tool` keeps content in the repository, and attributes name its filter.
    """
    top = question.top
    if top is None:
        return None
    git_dir, common = _git_dirs(top)
    if not (common / tool).is_dir():
        return None
    place = question.place
    if not place or "\n" in place or not _is_filtered(top, question.path, common, tool):
        return None
    process = Git(git_dir, top).open("cat-file", "--batch")
    assert process.stdin is not None  # noqa: S101 -- opened with pipes
    assert process.stdout is not None  # noqa: S101
    try:
        process.stdin.write(b":0:%s\n" % os.fsencode(place))
        process.stdin.close()
        words = process.stdout.readline().split()
        if len(words) != 3 or words[1] != b"blob" or int(words[2]) >= limit:  # noqa: PLR2004
            return None
        return process.stdout.read(int(words[2]))
    finally:
        process.kill()  # it may be about to write what is too large
        process.stdout.close()
        process.wait()


@functools.lru_cache(8)  # it is asked for once for each input
def _git_dirs(top: Path) -> tuple[Path, Path]:
    """Return the git directory of a work tree, and the one that all its work trees share."""
    git_dir = top / ".git"
    if git_dir.is_file():
        line = git_dir.read_bytes()[: os.pathconf(top, "PC_PATH_MAX")]
        git_dir = top / os.fsdecode(line.removeprefix(b"gitdir: ").strip())
    try:
        common = git_dir / os.fsdecode((git_dir / "commondir").read_bytes().strip())
    except FileNotFoundError:
        common = git_dir
    return git_dir, common


def _is_filtered(top: Path, path: Path, common: Path, tool: str) -> bool:
    """Say whether there is an attribute that may have git call the tool for a file."""
    around = [folder for folder in path.parents if folder.is_relative_to(top)]
    files = [common / "info" / "attributes", *(folder / _ATTRIBUTES for folder in around)]
    return any(b"filter=%s" % tool.encode() in _attributes(file) for file in files)


def _attributes(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(_MAX_ATTRIBUTES_BYTES)
    except OSError:
        return b""
