"""DVC's names of content, as DVC 3 makes them: the md5 of a file, and of a folder's listing."""

import fnmatch
import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from gitprov.capture.data.pointers.kind import BrokenPointer, Hasher
from gitprov.capture.data.pointers.reading import read

_BUFFER_BYTES = 1 << 20
_IGNORE_FILE = ".dvcignore"
_MAX_IGNORE_BYTES = 64 << 10
# Each name is compared with all of them.
_MAX_PATTERNS = 256
_DVC = ".dvc"
_GIT, _HG = ".git", ".hg"
# What makes a pattern one that depends on more than a name.
_NOT_SIMPLE = ("!", "\\", "[", "**")

Ignores = Callable[[str, bool], bool]


class CannotTell(Exception):
    """DVC's name of a folder cannot be made; says why."""


def md5_of_file(path: bytes) -> str:
    """Return the md5 of a file's bytes in hex."""
    digest = hashlib.md5(usedforsecurity=False)
    buffer = bytearray(_BUFFER_BYTES)
    view = memoryview(buffer)
    with open(path, "rb", buffering=0) as stream:
        while count := stream.readinto(buffer):
            digest.update(view[:count])
    return digest.hexdigest()


def md5_of_listing(items: Iterable[tuple[str, str]]) -> str:
    """Return `<md5>.dir` of paths and md5s of files, sorted by path: DVC's listing as JSON."""
    digest = hashlib.md5(b"[", usedforsecurity=False)
    for number, (path, md5) in enumerate(items):
        text = json.dumps({"md5": md5, "relpath": path})
        digest.update((f", {text}" if number else text).encode())
    digest.update(b"]")
    return f"{digest.hexdigest()}.dir"


def md5_of_folder(folder: Path, md5: Hasher = md5_of_file, ignored: Ignores | None = None) -> str:
    """Return `<md5>.dir` of a folder as it is now; memory does not grow with it.

    Raises CannotTell for what DVC refuses, too, OSError for what cannot be read.
    """
    files = _files(os.fspath(folder), ignored or (lambda _name, _is_folder: False))
    return md5_of_listing((path, md5(os.fsencode(folder / path))) for path in files)


def ignores(root: Path, folder: Path) -> Ignores:
    """Return what the files `.dvcignore` from `root` down to `folder` have DVC leave out below it.

    Raises CannotTell where they have patterns that are more than the name of a file or folder, or
    very many.
    """
    patterns: list[tuple[str, bool]] = []
    for parent in (root, *reversed([p for p in folder.parents if p.is_relative_to(root)])):
        try:
            lines = read(parent / _IGNORE_FILE, _MAX_IGNORE_BYTES).decode().splitlines()
        except FileNotFoundError:
            continue
        except BrokenPointer as error:
            raise CannotTell(str(error)) from error
        except UnicodeError as error:
            raise CannotTell("a .dvcignore is not UTF-8") from error
        stripped = map(str.strip, lines)
        patterns += [_pattern(line) for line in stripped if line and not line.startswith("#")]
        if len(patterns) > _MAX_PATTERNS:
            raise CannotTell(f"there are more than {_MAX_PATTERNS} patterns in .dvcignore")

    def is_ignored(name: str, is_folder: bool) -> bool:  # noqa: FBT001
        return any(
            fnmatch.fnmatchcase(name, pattern) and (is_folder or not folders_only)
            for pattern, folders_only in patterns
        )

    return is_ignored


def _pattern(line: str) -> tuple[str, bool]:
    """Return the glob of a line, and whether it is for folders only."""
    pattern = line.removesuffix("/")
    if "/" in pattern or any(sign in pattern for sign in _NOT_SIMPLE):
        raise CannotTell("a .dvcignore has patterns that are more than a name")
    return pattern, pattern != line


def _files(folder: str, ignored: Ignores) -> Iterator[str]:
    """Yield the paths below a folder that DVC would list, sorted as whole paths.

    As DVC does, it follows links to files, not to folders, and leaves repositories of DVC out.
    """
    waiting = [(True, "")]
    while waiting:
        is_folder, path = waiting.pop()
        if is_folder:
            waiting += reversed(_entries(folder, path, ignored))
        else:
            yield path


def _entries(top: str, path: str, ignored: Ignores) -> list[tuple[bool, str]]:
    """Return what is in a folder, in the order in which whole paths below it are sorted."""
    found: list[tuple[str, bool, str]] = []
    with os.scandir(os.path.join(top, path)) as entries:
        for entry in entries:
            name = entry.name
            if name == _DVC and entry.is_dir():
                return []
            is_folder = entry.is_dir()
            if name == _GIT or (name == _HG and is_folder) or ignored(name, is_folder):
                continue
            if not _is_text(name):
                raise CannotTell("DVC takes no names that are not UTF-8")
            if name == _IGNORE_FILE:
                raise CannotTell("DVC takes no folder with a .dvcignore in it")
            below = f"{path}/{name}" if path else name
            if not is_folder:
                if not stat.S_ISREG(entry.stat().st_mode):
                    raise CannotTell("there is something that is neither a file nor a folder")
                found.append((name, False, below))
            elif not entry.is_symlink():
                found.append((f"{name}/", True, below))
    return [(is_folder, below) for _, is_folder, below in sorted(found)]


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
