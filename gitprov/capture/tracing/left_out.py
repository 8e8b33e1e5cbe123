"""Files that programs read and write, and that are no data: caches, and installed packages."""

import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from gitprov.capture.data.names import is_remote, local_path

# Folders that tools make for themselves.
_CACHES = frozenset(
    "__pycache__ .cache .git .hypothesis .ipynb_checkpoints .mypy_cache .nox .pytest_cache"
    " .ruff_cache .tox __pypackages__ node_modules site-packages dist-packages".split()
)
_COMPILED = (".pyc", ".pyo")
# What a folder of installed packages has at its top.
_MARKS = ("pyvenv.cfg", "conda-meta")
_MAGIC = "*?["


class LeftOut:
    """Says which files are no data. `top` is the work tree, which names may be relative to."""

    def __init__(self, top: str) -> None:
        self._top = top
        self._known: dict[str, bool] = {"": False, os.sep: False}

    def has(self, name: str) -> bool:
        """Say whether a file is a cache, or part of an environment."""
        return name.endswith(_COMPILED) or self._is_apart(os.path.dirname(name))

    def _is_apart(self, folder: str) -> bool:
        known = self._known.get(folder)
        if known is None:
            above, name = os.path.split(folder)
            place = os.path.join(self._top, folder)
            known = (
                name in _CACHES
                or self._is_apart(above)
                or any(os.path.exists(os.path.join(place, mark)) for mark in _MARKS)
            )
            self._known[folder] = known
        return known


def data_roots(
    configured: Iterable[str], declared: Iterable[str], cwd: Path, top: Path
) -> list[str]:
    """Return the folders outside the work tree that have data of a run.

    They are those of the configuration, relative to the top, and those of what was declared, if
    these are no folders that hold everything: the home folder, that of temporary files, and what
    is above the work tree.
    """
    wide = {Path(os.path.realpath(path)) for path in (os.sep, tempfile.gettempdir())}
    with suppress(RuntimeError):  # some users have none
        wide.add(Path(os.path.realpath(Path.home())))
    real_top = Path(os.path.realpath(top))
    roots = [Path(os.path.realpath(top / os.path.expanduser(name))) for name in configured]
    for name in declared:
        if is_remote(name):
            continue
        path = _without_pattern(cwd / local_path(name))
        folder = Path(os.path.realpath(path if path.is_dir() else path.parent))
        if folder not in wide and not real_top.is_relative_to(folder):
            roots.append(folder)
    outside = [root for root in roots if not root.is_relative_to(real_top)]
    return [str(root) for root in dict.fromkeys(outside)]


def _without_pattern(path: Path) -> Path:
    """Return the folder in which a pattern begins."""
    if os.path.lexists(path):
        return path
    parts = path.parts
    plain = next((n for n, part in enumerate(parts) if set(part) & set(_MAGIC)), len(parts))
    return Path(*parts[:plain])
