"""Paths that are given on the command line, from the top of the work tree."""

import os
from collections.abc import Sequence
from pathlib import Path

from gitprov.errors import UnknownPath
from gitprov.store.repository import Repository


def from_top(repository: Repository, path: str) -> bytes:
    """Return a path that was given from the current folder, from the top of the work tree.

    The top itself is empty. Raises UnknownPath for what is not in the work tree.
    """
    here = Path.cwd()
    top = repository.work_tree or here
    full = os.path.normpath(here / path)
    if not Path(full).is_relative_to(top):  # perhaps it was given by way of a link
        full = os.path.join(os.path.realpath(os.path.dirname(full)), os.path.basename(full))  # noqa: PTH118, PTH119, PTH120
    if not Path(full).is_relative_to(top):
        raise UnknownPath(f"{path} is not in the work tree {top}")
    relative = os.path.relpath(full, top)
    return b"" if relative == "." else os.fsencode(relative)


def is_selected(path: bytes, selected: Sequence[bytes]) -> bool:
    """Say whether a path is one of those selected or below one; all are where none is."""
    if not selected or b"" in selected:
        return True
    return any((path + b"/").startswith(one + b"/") for one in selected)
