"""The exact source: commit, branch and, where the work tree is dirty, a snapshot of it.

The snapshot is a commit whose tree is the work tree as git would commit it with everything added:
tracked, staged and untracked files, but not ignored ones. It is made with a private copy of the
index and a private object store, so the user's index, work tree and objects are not touched.
Author and date are fixed by what it snapshots: the same dirty tree twice is the same commit.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gitprov.capture.files import hash_file, raw_text
from gitprov.capture.url_credentials import without_credentials
from gitprov.errors import InputError
from gitprov.model.run import Agent, Omission, Source
from gitprov.store.repository import Config, Repository

DEFAULT_MAX_FILE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class CapturedSource:
    """The source, or None with the reason in `missing`."""

    source: Source | None
    missing: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Status:
    """What `git status` says: HEAD's commit, branch, and the paths that differ from it."""

    commit: str | None
    branch: str | None
    changed: tuple[bytes, ...]
    untracked: tuple[bytes, ...]
    submodules: tuple[bytes, ...]

    @property
    def dirty(self) -> bool:
        return bool(self.changed or self.untracked or self.submodules)


def capture_source(repository: Repository, workspace: Path) -> CapturedSource:
    """Return the source of the work tree; a snapshot's objects go to `workspace`/objects.

    Raises GitFailed where git cannot read the work tree.
    """
    if repository.work_tree is None:
        return CapturedSource(None, {"source": "the repository is bare: there is no work tree"})
    status = _read_status(repository)
    missing = {}
    tree, time = None, 0
    if status.commit is None:
        missing["source.commit"] = "the branch has no commit yet"
    else:
        tree, time = _tree_and_time(repository, status.commit)
    if status.branch is None:
        missing["source.ref"] = "HEAD is detached"
    source = Source(
        repo_uri=_repository_uri(repository.config),
        commit=status.commit,
        tree=tree,
        ref=f"refs/heads/{status.branch}" if status.branch else None,
        dirty=status.dirty,
    )
    if not status.dirty:
        return CapturedSource(source, missing)
    return CapturedSource(_Snapshot(repository, workspace, status, time).of(source), missing)


def capture_agent(config: Config, environ: Mapping[str, str]) -> tuple[Agent, dict[str, str]]:
    """Return who runs, by git's rules for an author, and what is not known of them."""
    name = environ.get("GIT_AUTHOR_NAME") or config.get("user.name")
    email = environ.get("GIT_AUTHOR_EMAIL") or config.get("user.email")
    missing = {}
    if name is None and email is None:
        missing["agent.name"] = "git knows no user; set one with: git config user.name NAME"
    automatic = environ.get("CI", "").lower() in ("true", "1")
    return Agent(type="software" if automatic else "person", name=name, email=email), missing


def _read_status(repository: Repository) -> _Status:
    output = repository.git.run(
        "status",
        "--porcelain=v2",
        "--branch",
        "-z",
        "--untracked-files=all",
        "--no-renames",
        "--ignore-submodules=none",
    )
    commit = branch = None
    changed, untracked, submodules = [], [], []
    for line in output.split(b"\0"):
        kind, _, rest = line.partition(b" ")
        if line.startswith(b"# branch.oid ") and not line.endswith(b"(initial)"):
            commit = line.split(b" ")[2].decode()
        elif line.startswith(b"# branch.head ") and not line.endswith(b"(detached)"):
            branch = os.fsdecode(line.split(b" ", 2)[2])
        elif kind == b"1":
            fields = rest.split(b" ", 7)
            changed.append(fields[7])
            if fields[1].startswith(b"S") and fields[1] != b"SC..":
                submodules.append(fields[7])
        elif kind == b"u":
            changed.append(rest.split(b" ", 9)[9])
        elif kind == b"?":
            untracked.append(rest)
    return _Status(commit, branch, tuple(changed), tuple(untracked), tuple(submodules))


def _tree_and_time(repository: Repository, commit: str) -> tuple[str, int]:
    output = repository.git.run("log", "-1", "--no-show-signature", "--format=%T %ct", commit)
    tree, time = output.decode().split()
    return tree, int(time)


class _Snapshot:
    """The making of one snapshot."""

    def __init__(self, repository: Repository, workspace: Path, status: _Status, time: int) -> None:
        self._repository = repository
        self._work_tree = repository.require_work_tree()
        self._workspace = workspace
        self._status = status
        self._time = time
        self._limit = repository.config.size("prov.snapshot.maxfilesize", DEFAULT_MAX_FILE_BYTES)

    def of(self, source: Source) -> Source:
        """Return `source` with tree, snapshot and what the snapshot leaves out."""
        objects = self._workspace / "objects"
        objects.mkdir()
        index = self._workspace / "index"
        theirs = self._repository.git_dir / "index"
        if theirs.exists():
            shutil.copyfile(theirs, index)
        env = {
            "GIT_INDEX_FILE": str(index),
            "GIT_OBJECT_DIRECTORY": str(objects),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": _quoted(self._repository.common_dir / "objects"),
        }
        omitted = tuple(self._omissions())
        left_out = {os.fsencode(omission.path) for omission in omitted}
        paths = [
            path
            for path in (*self._status.changed, *self._status.untracked)
            if path not in left_out
        ]
        # Paths come from status itself, NUL-separated: no pathspec magic, no second scan.
        self._git("update-index", "--add", "--remove", "--replace", "-z", "--stdin", env=env,
                  stdin=b"".join(path + b"\0" for path in paths))  # fmt: skip
        tree = self._git("write-tree", env=env).decode().strip()
        index.unlink()
        parents = ["-p", source.commit] if source.commit else []
        person = {"NAME": "gitprov", "EMAIL": "unknown", "DATE": f"@{self._time} +0000"}
        env |= {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER")
                for key, value in person.items()}  # fmt: skip
        commit = self._git(
            "commit-tree", tree, *parents, env=env, stdin=b"Snapshot of a dirty work tree\n"
        )
        return Source(
            repo_uri=source.repo_uri,
            commit=source.commit,
            tree=tree,
            ref=source.ref,
            dirty=True,
            snapshot=commit.decode().strip(),
            omitted=omitted,
        )

    def _git(self, *arguments: str, env: Mapping[str, str], stdin: bytes | None = None) -> bytes:
        return self._repository.git.run(
            *arguments,
            env=env,
            stdin=stdin,
            config=["core.fsync=loose-object", "core.splitIndex=false", "core.fsmonitor=false"],
        )

    def _omissions(self) -> Iterator[Omission]:
        for raw in self._status.untracked:
            path = raw_text(os.fsdecode(raw))
            if raw.endswith(b"/"):
                yield Omission(path=path, reason="a git repository of its own")
                continue
            file = self._work_tree / os.fsdecode(raw)
            try:
                size = file.lstat().st_size
                if size <= self._limit or file.is_symlink():
                    continue
                yield Omission(
                    path=path,
                    reason=f"untracked and larger than prov.snapshot.maxFileSize ({self._limit})",
                    size=size,
                    digest={"sha256": hash_file(file).sha256},
                )
            except (OSError, InputError) as error:
                yield Omission(path=path, reason=f"unreadable: {error}")
        for raw in self._status.submodules:
            yield Omission(
                path=raw_text(os.fsdecode(raw)),
                reason="a submodule with changes of its own that are not captured",
            )


def _repository_uri(config: Config) -> str | None:
    """Return the URL of origin, or of the only remote, without passwords."""
    remotes = config.remotes()
    name = "origin" if "origin" in remotes or len(remotes) != 1 else remotes[0]
    url = config.get(f"remote.{name}.url")
    return without_credentials(url) if url else None


def _quoted(path: Path) -> str:
    """Return a path as GIT_ALTERNATE_OBJECT_DIRECTORIES wants it where it holds a separator."""
    text = str(path)
    if os.pathsep not in text and not text.startswith('"'):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
