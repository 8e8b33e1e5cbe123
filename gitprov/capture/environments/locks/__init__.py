"""Lock files, read: which packages they name, at which versions, from which files.

A kind of lock is one module with a function `read(path, data)`, and one line in `READERS`. Lock
files are written by strangers: a reader takes what it understands, and raises InputError, which
names the file, where nothing can be made of it.
"""

import re
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:  # for most runs, names alone are looked at
    from gitprov.capture.environments.locks.lock import Lock

# By the names of files; the modules are loaded when there is such a file.
READERS: Mapping[str, str] = {
    r"Pipfile\.lock": "pipfile",
    r"conda-lock\.ya?ml|.+\.conda-lock\.ya?ml": "conda_lock",
    r"conda-explicit\.txt|conda-(linux|osx|win)-[a-z0-9]+\.lock": "conda_explicit",
    r"environment\.ya?ml": "environment_yml",
    r"pdm\.lock": "pdm",
    r"pixi\.lock": "pixi",
    r"poetry\.lock": "poetry",
    r"pylock(\.[^.]+)?\.toml": "pylock",
    r"requirements.*\.txt": "requirements",
    r"uv\.lock": "uv",
}


def read_lock(path: str, data: bytes) -> "Lock | None":
    """Return what a lock file says; None where it is none of Python or conda packages.

    Raises InputError, which names the file, where it is damaged.
    """
    module = _module(path)
    if module is None:
        return None
    loaded = import_module(f"{__name__}.{module}")
    return cast("Callable[[str, bytes], Lock]", loaded.read)(path, data)


def has_reader(path: str) -> bool:
    """Whether a file of this name is a lock of Python or conda packages."""
    return _module(path) is not None


def _module(path: str) -> str | None:
    name = path.rpartition("/")[2]
    found = (module for names, module in READERS.items() if re.fullmatch(names, name, re.DOTALL))
    return next(found, None)
