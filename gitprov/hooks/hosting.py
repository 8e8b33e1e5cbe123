"""What `git prov init --server` sets up in a repository that others push to: one hook.

The hook belongs to the repository itself. Where `core.hooksPath` leads elsewhere, many repositories
share what is there, and who keeps the host calls gitprov from it.
"""

from collections.abc import Iterator
from pathlib import Path

from gitprov.errors import HooksElsewhere
from gitprov.hooks.hooks_path import read_hooks_path
from gitprov.hooks.setup import PROGRAM_SETTING, configuring, is_inside
from gitprov.hooks.shims import HOST_NAMES, install_shims, missing_shims, program, remove_shims
from gitprov.store.repository import Repository


def start_checking(repository: Repository) -> list[str]:
    """Check pushes from now on; return what was changed, in words."""
    repository.require_writable()
    folder = _hooks_folder(repository)
    changes = []
    with configuring(repository) as configure:
        path = program()
        if path and repository.config.get(PROGRAM_SETTING) != path:
            configure(PROGRAM_SETTING, path)
            changes.append(f"{PROGRAM_SETTING} = {path} (hooks find gitprov)")
        return changes + install_shims(folder, HOST_NAMES)


def stop_checking(repository: Repository) -> list[str]:
    """Let pushes pass unchecked; return what was changed, in words."""
    repository.require_writable()
    return remove_shims(_hooks_folder(repository), HOST_NAMES)


def missing_host_hooks(repository: Repository) -> Iterator[str]:
    """Yield why pushes are not checked, in words."""
    for name, reason in missing_shims(read_hooks_path(repository).folder, HOST_NAMES).items():
        yield f"hook {name} {reason}"


def _hooks_folder(repository: Repository) -> Path:
    folder = read_hooks_path(repository).folder
    if not is_inside(folder, repository):
        raise HooksElsewhere(
            f"git takes the hooks of this repository from {folder}; let a pre-receive there call: "
            "git prov hook pre-receive"
        )
    return folder
