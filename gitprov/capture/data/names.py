"""What a name stands for that a user gives to data: a path, a pattern, a file URI, another URI."""

import glob
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

from gitprov.capture.files import raw_text
from gitprov.errors import InputError

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_CHAINED = "::"
_FILE_URI = "file://"


def is_remote(name: str) -> bool:
    """Say whether a name is a URI of something that is not a local file."""
    found = _SCHEME.match(name)
    if found is None:
        # As in zip://member::archive.zip, where the scheme may stand behind the first part.
        return False
    return not name.startswith(_FILE_URI) or _CHAINED in name


def local_path(name: str) -> str:
    """Return the path that a file URI or a plain path stands for."""
    if not name.startswith(_FILE_URI):
        return name
    return os.fsdecode(unquote_to_bytes(os.fsencode(name.removeprefix(_FILE_URI))))


def local_names(name: str, cwd: Path) -> Iterator[str]:
    """Yield the paths that a name stands for; raise InputError for a pattern that none matches."""
    path = local_path(name)
    if os.path.lexists(cwd / path) or not glob.has_magic(path):
        yield path
        return
    matches = sorted(glob.glob(path, root_dir=cwd, recursive=True))
    if not matches:
        raise InputError("no file matches")
    yield from matches


def place(path: Path, top: Path | None) -> dict[str, Any]:
    """Return where something lies: a path below the work tree, or a file URI outside it."""
    absolute = Path(os.path.abspath(path))
    if top is not None and absolute.is_relative_to(top):
        return {"path": raw_text(absolute.relative_to(top))}
    return {"uri": absolute.as_uri()}
