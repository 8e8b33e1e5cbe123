"""Hook scripts in a repository: installed beside what is there, and taken out again.

A hook that somebody else has put there is kept under `<name>.before-gitprov`, and ours calls it
first. One that is kept already is never overwritten: it moves on to a numbered name. Hooks outside
the git directory (`core.hooksPath`: husky, a company's) are not touched.
"""

import os
import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from gitprov.errors import StoreDamaged
from gitprov.store.durable import write_durably
from gitprov.store.repository import Repository

NAMES = ("pre-push",)
_MARK = "Removed by: git prov init --uninstall"
_CHAINED = ".before-gitprov"


def install_shims(repository: Repository) -> list[str]:
    """Put the hooks in place; return what was changed, or why it was not, in words."""
    folder = _hooks_folder(repository)
    if not _is_inside(folder, repository):
        lines = ", ".join(f'git prov hook {name} "$@"' for name in NAMES)
        return [f"hooks live in {folder} (core.hooksPath) and were not touched; add: {lines}"]
    folder.mkdir(exist_ok=True)
    changes: list[str] = []
    for name in NAMES:
        ours, script = (shims_folder() / name).read_bytes(), folder / name
        if _is_ours(script) and script.read_bytes() == ours:
            continue
        # Made beside it: nothing is written through a link, and none is without a hook for long.
        fresh = folder / f".{name}.gitprov"
        fresh.unlink(missing_ok=True)
        write_durably(fresh, ours)  # half a hook would stop every push of the user
        fresh.chmod(0o755)
        if os.path.lexists(script) and not _is_ours(script):
            changes += _move_aside(script)
        fresh.replace(script)
        changes.append(f"hook {name}: installed")
    return changes


def missing_shims(repository: Repository) -> dict[str, str]:
    """Return the hooks that do not run, and why, in words."""
    folder, missing = _hooks_folder(repository), {}
    for name in NAMES:
        script = folder / name
        if not script.is_file():
            missing[name] = "is not there"
        elif f"prov hook {name}" not in script.read_text(errors="replace") and not _is_ours(script):
            missing[name] = f"in {folder} is not ours and does not call it"
        elif not os.access(script, os.X_OK):
            missing[name] = "is not executable"
    return missing


def remove_shims(repository: Repository) -> list[str]:
    """Take the hooks out and put back what was there before.

    Also from where hooks are by default: `core.hooksPath` may have been set since.
    """
    folders = dict.fromkeys((_hooks_folder(repository), repository.common_dir / "hooks"))
    return [
        change
        for folder in folders
        if _is_inside(folder, repository)
        for name in NAMES
        for change in _removed(folder, name)
    ]


def program() -> str | None:
    """Return the absolute path of `git-prov`, for hooks that start with a bare PATH."""
    found = shutil.which("git-prov")
    return os.path.abspath(found) if found else None  # noqa: PTH100 -- a venv's link is kept


def shims_folder() -> Path:
    """Return where the scripts are: in the package, or beside it in a source tree."""
    here = Path(__file__).parent
    for folder in (here / "shims", here.parent.parent / "hooks"):
        if (folder / NAMES[0]).is_file():
            return folder
    raise StoreDamaged("the hook scripts are missing from this installation; install gitprov again")


def _move_aside(script: Path) -> Iterator[str]:
    """Keep a hook for ours to call, and the one that was kept before under a free name."""
    chained = script.with_name(script.name + _CHAINED)
    if os.path.lexists(chained):
        names = (chained.with_name(f"{chained.name}.{number}") for number in count(1))
        older = next(name for name in names if not os.path.lexists(name))
        chained.rename(older)
        yield f"hook {script.name}: an earlier one is kept as {older.name} and not called"
    script.rename(chained)
    yield f"hook {script.name}: yours is kept and called first"


def _removed(folder: Path, name: str) -> Iterator[str]:
    script, chained = folder / name, folder / (name + _CHAINED)
    if _is_ours(script):
        script.unlink()
        yield f"hook {name}: removed"
    if os.path.lexists(chained) and not os.path.lexists(script):
        chained.rename(script)
        yield f"hook {name}: yours is back in place"


def _hooks_folder(repository: Repository) -> Path:
    path = repository.git.run("rev-parse", "--path-format=absolute", "--git-path", "hooks")
    return Path(os.fsdecode(path).removesuffix("\n"))


def _is_inside(folder: Path, repository: Repository) -> bool:
    """Say whether a folder is the repository's own; one that is a link may be anybody's."""
    return folder.resolve().is_relative_to(repository.common_dir.resolve())


def _is_ours(script: Path) -> bool:
    """Say whether a hook is a script of ours; a link is whoever's it is that made it."""
    return script.is_file() and not script.is_symlink() and _MARK.encode() in script.read_bytes()
