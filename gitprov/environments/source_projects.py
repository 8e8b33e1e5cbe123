"""Which folder of a run's source a distribution was installed from.

Records have where it lay on the machine of the run, not where the repository began there. So the
end of that path is looked for in the source: the longest one that leads to the project of this
name, else to a project whose name stands nowhere.
"""

import tomllib
from collections.abc import Iterator
from pathlib import PurePosixPath

from gitprov.environments.packages import normalised
from gitprov.store.repository import Repository

_MAX_DEPTH = 16
_MAX_BYTES = 1 << 20


def find_project(repository: Repository, tree: str, path: str, name: str) -> str | None:
    """Return the folder in `tree` that `path` was on another machine: empty for the top."""
    unnamed: list[str] = []
    for folder in _ends(path):
        title = _project_name(repository, tree, folder)
        if title is not None and normalised(title) == normalised(name):
            return folder
        if title == "":
            unnamed.append(folder)
    return unnamed[0] if unnamed else None


def _ends(path: str) -> Iterator[str]:
    """Yield what a path may be called from the top of a repository: the longest first."""
    parts = [part for part in PurePosixPath(path).parts if part not in ("/", ".")]
    if ".." in parts or any("\0" in part or "\n" in part for part in parts):
        parts = []
    last = parts[-_MAX_DEPTH:]
    yield from ("/".join(last[start:]) for start in range(len(last) + 1))


def _project_name(repository: Repository, tree: str, folder: str) -> str | None:
    """Return the name of the project in a folder; empty where it is not written down in plain."""
    prefix = f"{tree}:{folder}/" if folder else f"{tree}:"
    found = repository.git.call("cat-file", "blob", f"{prefix}pyproject.toml")
    if found.returncode == 0 and len(found.stdout) <= _MAX_BYTES:
        return _written_name(found.stdout)
    is_old = repository.git.call("cat-file", "-e", f"{prefix}setup.py").returncode == 0
    return "" if is_old else None


def _written_name(data: bytes) -> str:
    try:
        document = tomllib.loads(data.decode())
        tool = document.get("tool", {})
        for table in (document.get("project"), tool.get("poetry")):
            if isinstance(table, dict) and isinstance(table.get("name"), str):
                return str(table["name"])
    except (ValueError, AttributeError, RecursionError):
        pass
    return ""
