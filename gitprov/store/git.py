"""Running the git program.

One place decides the environment in which git runs for us: messages untranslated, no replace
refs, no optional locks on the user's index, and none of the variables through which an outer git
(a hook, an alias) would point us at another index or object store.
"""

import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from threading import Thread
from typing import IO, Any

from gitprov.errors import GitFailed

# What `git rev-parse --local-env-vars` lists, but for the -c options of the user.
_LOCAL_VARIABLES = frozenset(
    {
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_DIR",
        "GIT_GRAFT_FILE",
        "GIT_IMPLICIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_INTERNAL_SUPER_PREFIX",
        "GIT_OBJECT_DIRECTORY",
        "GIT_PREFIX",
        "GIT_QUARANTINE_PATH",
        "GIT_REPLACE_REF_BASE",
        "GIT_SHALLOW_FILE",
        "GIT_WORK_TREE",
    }
)

# What git says of an ssh that ends without an answer.
_SSH_FAILED = "Could not read from remote repository."

# Where git keeps what is pushed until its hook has agreed.
_QUARANTINE = ("GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_OBJECT_DIRECTORY", "GIT_QUARANTINE_PATH")


def quarantine() -> dict[str, str]:
    """Return the variables by which a git of ours sees what is being pushed, in a hook of that."""
    return {name: os.environ[name] for name in _QUARANTINE if name in os.environ}


def syncing(*, fsync: bool) -> list[str]:
    """Return the configuration with which git makes durable what it writes, or leaves it."""
    # The method, too: the user may have set one that only starts the writing.
    return ["core.fsync=all", "core.fsyncMethod=fsync"] if fsync else ["core.fsync=none"]


def git_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for a git process of ours."""
    env = {name: value for name, value in os.environ.items() if name not in _LOCAL_VARIABLES}
    env |= {"LC_ALL": "C", "GIT_NO_REPLACE_OBJECTS": "1", "GIT_OPTIONAL_LOCKS": "0"}
    env.update(extra or {})
    return env


class Git:
    """The git program, bound to one repository."""

    def __init__(
        self,
        git_dir: Path,
        work_tree: Path | None = None,
        *,
        inherited: Sequence[int] = (),
        settings: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.git_dir = git_dir
        self.work_tree = work_tree
        self._inherited = inherited
        self._settings = settings
        self._env = dict(env or {})
        self._command = ["git", f"--git-dir={git_dir}", *_options(settings)]
        if work_tree is not None:
            self._command.append(f"--work-tree={work_tree}")

    def holding(self, lock: int | None) -> "Git":
        """Return the same, for commands that share a lock: it lasts as long as each of them."""
        inherited = () if lock is None else (lock,)
        return Git(
            self.git_dir,
            self.work_tree,
            inherited=inherited,
            settings=self._settings,
            env=self._env,
        )

    def argv(self, *arguments: str, config: Sequence[str] = ()) -> list[str]:
        """Return the command line; `config` holds `name=value` pairs for git's -c."""
        return [*self._command, *_options(config), *arguments]

    def run(
        self,
        *arguments: str,
        stdin: bytes | IO[bytes] | None = None,
        env: Mapping[str, str] | None = None,
        config: Sequence[str] = (),
        good: Sequence[int] = (0,),
    ) -> bytes:
        """Return what git prints; raise GitFailed, with git's words, unless it exits as `good`."""
        result = self.call(*arguments, stdin=stdin, env=env, config=config)
        if result.returncode not in good:
            raise GitFailed(f"git {arguments[0]} failed: {last_line(result.stderr)}")
        return result.stdout

    def call(
        self,
        *arguments: str,
        stdin: bytes | IO[bytes] | None = None,
        env: Mapping[str, str] | None = None,
        config: Sequence[str] = (),
    ) -> subprocess.CompletedProcess[bytes]:
        """Run git and return the finished process, whatever its exit status.

        A file that is given to it is read from its beginning.
        """
        given: dict[str, Any] = {"stdin": subprocess.DEVNULL}
        if isinstance(stdin, bytes):
            given = {"input": stdin}
        elif stdin is not None:
            stdin.flush()
            os.lseek(stdin.fileno(), 0, os.SEEK_SET)
            given = {"stdin": stdin}
        try:
            return subprocess.run(
                self.argv(*arguments, config=config),
                **given,
                capture_output=True,
                check=False,
                cwd=self._folder(),
                env=git_environment({**self._env, **(env or {})}),
                pass_fds=self._inherited,
            )
        except FileNotFoundError as error:
            raise _not_found(error) from error

    def watched(
        self,
        *arguments: str,
        heard: Callable[[bytes], bool],
        env: Mapping[str, str] | None = None,
        config: Sequence[str] = (),
    ) -> subprocess.CompletedProcess[bytes]:
        """Run git and show each line that it says to `heard` at once.

        Those for which that returns true are left out of the result.
        """
        printed: list[bytes] = []
        said: list[bytes] = []
        with self.open(*arguments, env=env, config=config, stderr=subprocess.PIPE) as process:
            stdin, stdout, stderr = process.stdin, process.stdout, process.stderr
            assert stdin and stdout and stderr  # noqa: S101, PT018 -- all three are pipes
            stdin.close()
            reading = Thread(target=lambda: printed.append(stdout.read()))
            reading.start()
            said += (line for line in _lines(stderr) if not heard(line))
            reading.join()
        return subprocess.CompletedProcess(
            process.args, process.returncode, b"".join(printed), b"\n".join(said)
        )

    def open(
        self,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        config: Sequence[str] = (),
        stderr: int = subprocess.DEVNULL,
    ) -> subprocess.Popen[bytes]:
        """Start git with pipes for a conversation; the caller ends it."""
        try:
            return subprocess.Popen(
                self.argv(*arguments, config=config),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                cwd=self._folder(),
                env=git_environment({**self._env, **(env or {})}),
            )
        except FileNotFoundError as error:
            raise _not_found(error) from error

    def piped(self, first: Sequence[str], second: Sequence[str], stdin: bytes = b"") -> bytes:
        """Return what the second git makes of what the first one prints, however large that is.

        Raises GitFailed where either fails.
        """
        where: dict[str, Any] = {"cwd": self._folder(), "env": git_environment(self._env)}
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
            given.write(stdin)
            given.seek(0)
            try:
                with subprocess.Popen(
                    self.argv(*first), stdin=given, stdout=subprocess.PIPE, stderr=said, **where
                ) as source:
                    command, pipe = self.argv(*second), source.stdout
                    done: subprocess.CompletedProcess[bytes] = subprocess.run(
                        command, stdin=pipe, capture_output=True, check=False, **where
                    )
            except FileNotFoundError as error:
                raise _not_found(error) from error
            if source.returncode != 0:
                said.seek(0)
                raise GitFailed(f"git {first[0]} failed: {last_line(said.read())}")
        if done.returncode != 0:
            raise GitFailed(f"git {second[0]} failed: {last_line(done.stderr)}")
        return done.stdout

    def _folder(self) -> Path:
        """Return where git starts: never our own folder, which a command may have removed.

        Nor the work tree once it is gone: the ledger needs none.
        """
        if self.work_tree is not None and self.work_tree.is_dir():
            return self.work_tree
        return self.git_dir


def _options(settings: Sequence[str]) -> list[str]:
    return [part for setting in settings for part in ("-c", setting)]


def _lines(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield lines as they come; those that are to be overwritten by the next one end, too."""
    rest = b""
    while part := os.read(stream.fileno(), 1 << 16):
        *lines, rest = re.split(rb"[\r\n]", rest + part)
        yield from lines
    if rest:
        yield rest


def last_line(output: bytes) -> str:
    """Return the line of git's messages that says what went wrong.

    Where it ends with a colon, the reason stands on the next line; where ssh has failed, on the one
    before.
    """
    text = output.decode(errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for number, line in enumerate(lines):
        if line.startswith(("fatal:", "error:")):
            said = line.partition(":")[2].strip()
            if said == _SSH_FAILED and number:
                return lines[number - 1]
            more = lines[number + 1 : number + 2] if said.endswith(":") else []
            return " ".join([said, *more])
    return lines[-1] if lines else "it said nothing"


def _not_found(error: FileNotFoundError) -> GitFailed:
    # Named is what was not there: the program, or the folder to start it in.
    if error.filename == "git":
        return GitFailed("the git program is not on PATH; install git 2.36 or newer")
    return GitFailed(f"the folder {error.filename} is gone; git cannot start there")
