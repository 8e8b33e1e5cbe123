"""Real repositories in temporary folders, and commands run in them."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from gitprov.store.store import Store

IDENTITY = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
}


def clean_environment(**more: str) -> dict[str, str]:
    """Return an environment without the developer's git configuration, CI marks, run or job."""
    dropped = ("GIT_", "GITPROV_", "CI", "SLURM_", "OMPI_", "PMI_", "PMIX_", "TORCHELASTIC_")
    kept = "GIT_SSH_COMMAND"  # tests set it, to reach servers of theirs
    env = {
        key: value
        for key, value in os.environ.items()
        if key == kept or not key.startswith(dropped)
    }
    folders = [str(Path(__file__).parent / "bin"), str(Path(sys.executable).parent)]
    env |= {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "PATH": os.pathsep.join([*folders, env["PATH"]]),
        "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
    }
    return env | IDENTITY | more


class Clone:
    """A work tree to try things in."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def make(cls, path: Path, *, commit: bool = True) -> "Clone":
        """Return a new repository, with one commit of one file unless told otherwise."""
        path.mkdir(parents=True)
        clone = cls(path)
        clone.git("init", "--quiet", "--initial-branch=main")
        if commit:
            clone.commit("first", {"train.py": "print('trained')\n"})
        return clone

    @classmethod
    def of(cls, url: str, path: Path, *options: str) -> "Clone":
        """Return a clone of a repository."""
        clone = cls(path.parent)
        clone.git("clone", "--quiet", *options, url, str(path))
        return cls(path)

    def write(self, name: str, content: str | bytes) -> Path:
        """Write a file below the top."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def commit(self, message: str, files: Mapping[str, str | bytes] | None = None) -> str:
        """Write files, commit everything and return the commit."""
        for name, content in (files or {}).items():
            self.write(name, content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD").strip()

    def git(self, *arguments: str, check: bool = True, **env: str) -> str:
        """Run git and return what it prints."""
        return self.call("git", *arguments, check=check, **env).stdout

    def prov(self, *arguments: str, check: bool = True, **env: str) -> str:
        """Run gitprov and return what it prints on stdout."""
        return self.prov_call(*arguments, check=check, **env).stdout

    def prov_call(
        self, *arguments: str, check: bool = False, **env: str
    ) -> subprocess.CompletedProcess[str]:
        """Run gitprov and return the finished process."""
        return self.call(sys.executable, "-m", "gitprov", *arguments, check=check, **env)

    def prov_bytes(self, *arguments: str) -> bytes:
        """Run gitprov and return the bytes that it prints."""
        command = [sys.executable, "-m", "gitprov", *arguments]
        return subprocess.run(
            command,
            cwd=self.path,
            env=clean_environment(),
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            check=True,
            timeout=120,
        ).stdout

    def call(
        self, *command: str, check: bool = False, cwd: Path | None = None, **env: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command here; with `check`, fail with all that it printed."""
        result = subprocess.run(
            command,
            cwd=cwd or self.path,
            env=clean_environment(**env),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            stdin=subprocess.DEVNULL,
        )
        if check and result.returncode != 0:
            raise AssertionError(
                f"{' '.join(command)} exited {result.returncode}\n{result.stdout}{result.stderr}"
            )
        return result

    def run(self, *command: str, options: Sequence[str] = ()) -> str:
        """Record a run and return its id."""
        self.prov("run", "--quiet", *options, "--", *command)
        return self.last_id()

    def last_id(self) -> str:
        """Return the id of the latest run."""
        return self.prov("show", "--json", "last").split('"id": "')[1][:32]

    def store(self) -> Store:
        """Return the store, for tests below the command line."""
        return Store.open(self.path)
