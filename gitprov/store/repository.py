"""Finding the repository, its folders and its configuration."""

import os
import subprocess
from collections import defaultdict
from functools import cached_property
from pathlib import Path

from gitprov.errors import (
    GitFailed,
    NotARepository,
    NoWorkTree,
    RepositoryReadOnly,
    UnsupportedRepository,
)
from gitprov.store.durable import sync_folders
from gitprov.store.git import Git, git_environment, last_line

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


class Repository:
    """A git repository that gitprov can work in.

    `git_dir` is the worktree's own git directory, `common_dir` the one that all worktrees share,
    `work_tree` the top of the checked-out files, None in a bare repository.
    """

    def __init__(self, git_dir: Path, common_dir: Path, work_tree: Path | None) -> None:
        self.git_dir = git_dir
        self.common_dir = common_dir
        self.work_tree = work_tree
        self.git = Git(git_dir, work_tree)

    @classmethod
    def discover(cls, start: Path | None = None) -> "Repository":
        """Return the repository that `start` (the current folder) is in.

        Honours GIT_DIR and GIT_WORK_TREE as git does. Raises NotARepository,
        UnsupportedRepository (sha256, unknown extensions, somebody else's files).
        """
        start = start or Path.cwd()
        asked = _rev_parse(start)
        if not asked.paths:  # git stopped before it had found the repository
            raise _why_not(start, asked.error)
        if asked.object_format != "sha1":
            raise UnsupportedRepository(
                f"this repository names objects by {asked.object_format}, which gitprov cannot "
                "write; use a sha1 repository"
            )
        if len(asked.paths) != 3:  # noqa: PLR2004
            raise UnsupportedRepository(
                f"the path of the repository around {start} has a line that is just "
                f"{asked.object_format}; rename that folder"
            )
        git_dir, common_dir, work_tree = map(Path, asked.paths)
        return cls(git_dir, common_dir, work_tree if asked.paths[2] else None)

    @property
    def prov_dir(self) -> Path:
        """The folder of gitprov's own files: journal, writer, index, caches."""
        return self.common_dir / "prov"

    @property
    def lock_path(self) -> Path:
        """The file whose lock guards the refs."""
        return self.prov_dir / "lock"

    def cut_commits(self) -> frozenset[str]:
        """Return what git takes for the first commits in a shallow clone; none in others."""
        try:
            listed = (self.common_dir / "shallow").read_bytes()
        except FileNotFoundError:
            return frozenset()
        return frozenset(listed.decode("ascii", "replace").split())

    def require_work_tree(self) -> Path:
        """Return the work tree; raise NoWorkTree in a bare repository, and in a git directory."""
        if self.work_tree is not None:
            return self.work_tree
        if self.is_bare:
            raise NoWorkTree("this repository is bare; run this in a clone with a work tree")
        raise NoWorkTree(f"{self.git_dir} is a git directory; run this in its work tree")

    @property
    def is_bare(self) -> bool:
        """Whether nobody works in the repository itself."""
        return self.work_tree is None and self.config.flag("core.bare", default=True)

    def require_writable(self) -> None:
        """Raise RepositoryReadOnly unless files can be made in the git directory."""
        try:
            if not self.prov_dir.is_dir():
                self.prov_dir.mkdir(exist_ok=True)
                sync_folders([self.common_dir])  # what stands in it leans on its name
        except OSError as error:
            raise RepositoryReadOnly(
                f"cannot write to {self.common_dir} ({error.strerror}); "
                "check its permissions and free space"
            ) from error
        if not os.access(self.prov_dir, os.W_OK):
            raise RepositoryReadOnly(f"cannot write to {self.prov_dir}; check its permissions")

    def objects_environment(self, folder: Path) -> dict[str, str]:
        """Return the environment in which git writes objects to a folder, and reads ours, too."""
        ours = str(self.common_dir / "objects")
        if os.pathsep in ours or ours.startswith('"'):
            escaped = ours.replace("\\", "\\\\").replace('"', '\\"')
            ours = f'"{escaped}"'
        return {"GIT_OBJECT_DIRECTORY": str(folder), "GIT_ALTERNATE_OBJECT_DIRECTORIES": ours}

    @cached_property
    def config(self) -> "Config":
        """The configuration as this command sees it, read once."""
        return Config(self.git.run("config", "--list", "-z", good=(0, 1)))


class Config:
    """Git's configuration: names in lower case (but for the middle part), values in order."""

    def __init__(self, listing: bytes) -> None:
        self._values: dict[str, list[str]] = defaultdict(list)
        for item in listing.split(b"\0"):
            if item:
                name, newline, value = os.fsdecode(item).partition("\n")
                self._values[name].append(value if newline else "true")

    def get(self, name: str, default: str | None = None) -> str | None:
        """Return the value that wins, the last."""
        values = self._values.get(name)
        return values[-1] if values else default

    def all(self, name: str) -> list[str]:
        """Return every value of a name."""
        return list(self._values.get(name, ()))

    def flag(self, name: str, *, default: bool) -> bool:
        """Return a yes or no, in the spellings that git takes."""
        value = self.get(name)
        return default if value is None else value.lower() in ("true", "yes", "on", "1")

    def size(self, name: str, default: int) -> int:
        """Return a number of bytes, with git's suffixes k, m and g."""
        value = self.get(name)
        if not value:
            return default
        scale = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}.get(value[-1].lower(), 1)
        digits = value[:-1] if scale > 1 else value
        if not digits.isdecimal():
            raise GitFailed(f"the configuration {name}={value} is not a size, as 10m is")
        return int(digits) * scale

    def duration(self, name: str, default: float) -> float:
        """Return a number of seconds, with the suffixes s, m, h and d."""
        value = self.get(name)
        if not value:
            return default
        scale = {"s": 1, "m": 60, "h": 3600, "d": 86400}.get(value[-1].lower(), 0)
        digits = value[:-1] if scale else value
        if not digits.isdecimal():
            raise GitFailed(f"the configuration {name}={value} is not a time, as 90m is")
        return int(digits) * float(scale or 1)

    def remotes(self) -> list[str]:
        """Return the names of the remotes that have a URL, in order."""
        found = [
            name.removeprefix("remote.").removesuffix(".url")
            for name in self._values
            if name.startswith("remote.") and name.endswith(".url")
        ]
        return sorted(found)

    def main_remote(self) -> str:
        """Return `origin`, or the only remote where that has another name."""
        remotes = self.remotes()
        return remotes[0] if len(remotes) == 1 else "origin"


class _Answer:
    """What `git rev-parse` said: the object format, three paths, and why it stopped.

    A path may hold line ends, and git quotes none: the object format stands before each path, so
    that they can be told apart. The last path is empty in a bare repository.
    """

    def __init__(self, process: subprocess.CompletedProcess[bytes]) -> None:
        object_format, newline, rest = os.fsdecode(process.stdout).partition("\n")
        self.object_format = object_format
        *paths, last = rest.split(f"\n{object_format}\n")
        self.paths = [*paths, last.removesuffix("\n")] if newline else []
        self.error = last_line(process.stderr)


def _rev_parse(start: Path, *options: str) -> _Answer:
    keep = {name: os.environ[name] for name in ("GIT_DIR", "GIT_WORK_TREE") if name in os.environ}
    command = ["git", *options, "rev-parse", "--path-format=absolute"]
    for path in ("--git-dir", "--git-common-dir", "--show-toplevel"):
        command += ["--show-object-format", path]
    try:
        return _Answer(
            subprocess.run(
                command, capture_output=True, check=False, cwd=start, env=git_environment(keep)
            )
        )
    except FileNotFoundError as error:
        if error.filename != "git":
            raise NotARepository(f"there is no folder {start}") from error
        raise GitFailed("the git program is not on PATH; install git 2.36 or newer") from error


def _why_not(start: Path, message: str) -> NotARepository | UnsupportedRepository:
    """Tell a folder outside any repository from a repository that git refuses to open."""
    if _rev_parse(start, "-c", "safe.directory=*").paths:
        return UnsupportedRepository(
            f"the repository around {start} belongs to somebody else; if you trust it: "
            f"git config --global --add safe.directory '{start}'"
        )
    for folder in (start.resolve(), *start.resolve().parents):
        if (folder / ".git").exists() or (folder / "HEAD").is_file():
            return UnsupportedRepository(f"git cannot open the repository {folder}: {message}")
    return NotARepository(
        f"{start} is not in a git repository; change to one, or make one with: git init"
    )
