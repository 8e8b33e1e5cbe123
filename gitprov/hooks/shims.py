"""Hook scripts in a repository: installed beside what is there, and taken out again.

A hook that somebody else has put there is kept under `<name>.before-gitprov`, and ours calls it
first. Hooks outside the git directory (`core.hooksPath`: husky, a company's) are not touched.
"""

import os
import shutil
from pathlib import Path

from gitprov.errors import StoreDamaged
from gitprov.store.repository import Repository

NAMES = ("pre-push",)
_MARK = "Removed by: git prov init --uninstall"
_CHAINED = ".before-gitprov"


def install_shims(repository: Repository) -> list[str]:
    """Put the hooks in place; return what was changed, or why it was not, in words."""
    folder = _hooks_folder(repository)
    if not folder.is_relative_to(repository.common_dir):
        lines = ", ".join(f'git prov hook {name} "$@"' for name in NAMES)
        return [f"hooks live in {folder} (core.hooksPath) and were not touched; add: {lines}"]
    folder.mkdir(exist_ok=True)
    changes = []
    for name in NAMES:
        ours, script = (shims_folder() / name).read_bytes(), folder / name
        if script.exists() and not _is_ours(script):
            script.rename(folder / (name + _CHAINED))
            changes.append(f"hook {name}: yours is kept and called first")
        if not script.exists() or script.read_bytes() != ours:
            script.write_bytes(ours)
            script.chmod(0o755)
            changes.append(f"hook {name}: installed")
    return changes


def remove_shims(repository: Repository) -> list[str]:
    """Take the hooks out and put back what was there before."""
    folder = _hooks_folder(repository)
    changes = []
    for name in NAMES:
        script, chained = folder / name, folder / (name + _CHAINED)
        if script.exists() and _is_ours(script):
            script.unlink()
            changes.append(f"hook {name}: removed")
        if chained.exists() and not script.exists():
            chained.rename(script)
            changes.append(f"hook {name}: yours is back in place")
    return changes


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


def _hooks_folder(repository: Repository) -> Path:
    path = repository.git.run("rev-parse", "--path-format=absolute", "--git-path", "hooks")
    return Path(os.fsdecode(path).rstrip("\n"))


def _is_ours(script: Path) -> bool:
    return _MARK.encode() in script.read_bytes()
