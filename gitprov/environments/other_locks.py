"""Lock files of other ecosystems than Python's: put where their own tools can restore from them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_COMMANDS = {
    "Cargo.lock": "cargo fetch --locked",
    "Manifest.toml": "julia --project=. -e 'using Pkg; Pkg.instantiate()'",
    "flake.lock": "nix develop",
    "go.sum": "go mod download",
    "package-lock.json": "npm ci",
    "renv.lock": "Rscript -e 'renv::restore()'",
}
# What stands beside a lock file that its tool needs, and is kept with it.
_BESIDE = frozenset({"Project.toml"})
_NO_PARTS = frozenset({"", ".", ".."})


@dataclass(frozen=True, slots=True)
class OtherLock:
    """A lock file by its path in the repository, and the command that restores from it."""

    path: str
    command: str


def other_locks(locks: Mapping[str, bytes]) -> tuple[OtherLock, ...]:
    """Return the lock files that some other tool restores from."""
    names = {path: PurePosixPath(path).name for path in sorted(locks) if _is_safe(path)}
    return tuple(
        OtherLock(path, _COMMANDS[name]) for path, name in names.items() if name in _COMMANDS
    )


def write_locks(locks: Mapping[str, bytes], folder: Path) -> None:
    """Write the lock files of other tools below a new folder, byte for byte.

    Raises FileExistsError where something has this name: it may be a link that a package brought.
    """
    folder.mkdir()
    for path, data in locks.items():
        if _is_safe(path) and PurePosixPath(path).name in _COMMANDS.keys() | _BESIDE:
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)


def _is_safe(path: str) -> bool:
    return "\0" not in path and not _NO_PARTS.intersection(path.split("/"))
