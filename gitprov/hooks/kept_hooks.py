"""Hooks of others: kept in a folder beside that of the hooks, for ours to call them first.

They go by their names there, and by where they are: links lead to what else stands where they
stood, and what they look for above them is as far away. A hook that is kept already is never
overwritten: it moves on to a numbered name.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

_ENDING = ".before-gitprov"


def keep(script: Path, name: str) -> Iterator[str]:
    """Move a script away, to be kept as the hook `name`; yield what was done, in words."""
    kept = _folder_for(script.parent) / name
    kept.parent.mkdir(exist_ok=True)
    if os.path.lexists(kept):
        older = free_name(kept)
        kept.rename(older)
        where = f"{kept.parent.name}/{older.name}"
        yield f"hook {name}: an earlier one is kept as {where} and not called"
    script.rename(kept)
    yield f"hook {script.name}: yours is kept and called first"


def put_back(script: Path, name: str) -> bool:
    """Make what is kept as the hook `name` the script that it was, unless one is there; say so."""
    kept = _folder_for(script.parent) / name
    if os.path.lexists(script) or not os.path.lexists(kept):
        return False
    kept.rename(script)
    return True


def link_neighbours(folder: Path, ours: Iterable[str]) -> None:
    """Let kept hooks find beside them what else there is, but for `ours`: they would go round."""
    kept = _folder_for(folder)
    if not kept.is_dir():
        return
    passed_over = set(ours)
    for path in folder.iterdir():
        if path.name not in passed_over and path.suffix != ".sample" and path.name[0] != ".":
            with suppress(OSError):  # it is there, or there are no links here
                (kept / path.name).symlink_to(_neighbour(path))


def clear(folder: Path) -> None:
    """Remove the folder of kept hooks, unless there are some."""
    kept = _folder_for(folder)
    with suppress(OSError):
        paths = list(kept.iterdir())
        if all(path.is_symlink() and path.readlink() == _neighbour(folder / path.name)
               for path in paths):  # fmt: skip
            for path in paths:
                path.unlink()
            kept.rmdir()


def free_name(script: Path) -> Path:
    """Return a name beside a script that nothing has."""
    names = (script.with_name(f"{script.name}.{number}") for number in count(1))
    return next(name for name in names if not os.path.lexists(name))


def _folder_for(hooks: Path) -> Path:
    return hooks.with_name(hooks.name + _ENDING)


def _neighbour(path: Path) -> Path:
    return Path("..", path.parent.name, path.name)
