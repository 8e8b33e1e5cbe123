"""Which files of a dirty work tree its snapshot takes, and why the others are left out.

Left out and named are, in this order: git repositories of their own; files above
`prov.snapshot.maxFileSize`; the largest of those that together are above `prov.snapshot.maxTotal`;
files that hold a secret, in their name or content.
"""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from gitprov.capture.files import hash_file, raw_text
from gitprov.capture.inner_repositories import changes_inside, checked_out
from gitprov.capture.obstacles import is_gone
from gitprov.capture.secrets.files import FileCheck, Secret, why_left_out
from gitprov.capture.worktree import Status
from gitprov.errors import GitFailed, InputError
from gitprov.model.run import Omission
from gitprov.store.objects import object_id
from gitprov.store.repository import Config, Repository

DEFAULT_MAX_FILE_BYTES = 1 << 20
DEFAULT_MAX_TOTAL_BYTES = 64 << 20


class Selection:
    """The paths of a status, sorted out.

    `gone` are the deleted ones, `omitted` those that are left out, `secrets` what was found in
    them, where that is why. `looked_at` are those that were found to hold no secret, with the blobs
    that git makes of them where it takes files as they are. `problems` says in words what was wrong
    with the settings.
    """

    def __init__(self, repository: Repository, status: Status, check: FileCheck) -> None:
        self._top = repository.require_work_tree()
        self._status = status
        self._check = check
        top = os.fsencode(self._top)
        self.gone = frozenset(path for path in status.changed if is_gone(top, path))
        self.omitted: dict[bytes, Omission] = {}
        self.secrets: dict[bytes, list[Secret]] = {}
        self.looked_at: dict[bytes, str] = {}
        self.problems: list[str] = []
        config = repository.config
        self._leave_out_repositories()
        self._leave_out_large(
            self._limit(config, "prov.snapshot.maxFileSize", DEFAULT_MAX_FILE_BYTES),
            self._limit(config, "prov.snapshot.maxTotal", DEFAULT_MAX_TOTAL_BYTES),
        )
        self._leave_out_secrets()

    @property
    def taken(self) -> list[bytes]:
        """The paths that the snapshot takes from the work tree."""
        # A submodule's commit is taken, whatever else is in its folder.
        submodules = set(self._status.submodules)
        return [path for path in self._there() if path not in self.omitted or path in submodules]

    @property
    def stale(self) -> set[bytes]:
        """The tracked paths that are left out: what the index has of them is not what is there."""
        return self.omitted.keys() & set(self._status.changed) - set(self._status.submodules)

    def leave_out(self, raw: bytes, reason: str) -> None:
        """Name a file that is not in the snapshot, with its hash where it can be read."""
        file = self._file(raw)
        try:
            if not stat.S_ISREG(file.lstat().st_mode):
                self._name(raw, reason)
                return
            hashed = hash_file(file)
        except (OSError, InputError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            self._name(raw, f"{reason}; unreadable: {why}")
            return
        self.omitted[raw] = Omission(
            path=raw_text(os.fsdecode(raw)),
            reason=reason,
            size=hashed.size,
            digest={"sha256": hashed.sha256},
        )

    def leave_out_secret(self, raw: bytes, found: list[Secret], content: bytes) -> None:
        """Name a file with secrets; its hash would give a short one away, so it has a keyed one."""
        self._check.tell(raw, found)
        self.secrets[raw] = found
        self.omitted[raw] = Omission(
            path=raw_text(os.fsdecode(raw)),
            reason=why_left_out(found),
            size=len(content),
            digest=self._check.commitment(content),
        )

    def _there(self) -> list[bytes]:
        both = (*self._status.changed, *self._status.untracked)
        return [path for path in both if path not in self.gone]

    def _limit(self, config: Config, name: str, default: int) -> int:
        """Return a limit; one that is no size must not cost the snapshot."""
        try:
            return config.size(name.lower(), default)
        except GitFailed as error:
            self.problems.append(f"{error}; {default} bytes count for {name}")
            return default

    def _leave_out_repositories(self) -> None:
        for raw in self._status.untracked:
            if raw.endswith(b"/"):
                commit = checked_out(self._file(raw))
                digest = {"git_commit": bytes.fromhex(commit)} if commit else {}
                self._name(raw, "a git repository of its own", digest)
        for raw in self._status.submodules:
            reason = "a submodule: its commit is captured, changes inside it are not"
            try:
                changes = changes_inside(self._file(raw))
            except (OSError, GitFailed, InputError) as error:
                self._name(raw, f"{reason}; unreadable: {error}")
            else:
                # Nobody has looked for secrets in there.
                self._name(raw, reason, self._check.commitment(changes))

    def _leave_out_large(self, max_file: int, max_total: int) -> None:
        """Leave out files above the one limit; then the largest, until the other is kept."""
        sizes = {}
        for raw in self._there():
            if raw in self.omitted:
                continue
            size = self._size(raw)
            if size > max_file:
                self.leave_out(raw, f"larger than prov.snapshot.maxFileSize ({max_file})")
            else:
                sizes[raw] = size
        total = sum(sizes.values())
        for raw in sorted(sizes, key=lambda raw: (-sizes[raw], raw)):
            if total <= max_total:
                return
            total -= sizes[raw]
            self.leave_out(
                raw, f"all together are larger than prov.snapshot.maxTotal ({max_total})"
            )

    def _leave_out_secrets(self) -> None:
        paths = [raw for raw in self._there() if raw not in self.omitted]
        for raw, secret in self._check.in_names(paths).items():
            self.secrets[raw] = [secret]
            self._name(raw, why_left_out([secret], "its name holds"))
        for raw in paths:
            content = None if raw in self.omitted else self._content(raw)
            if content is None:
                continue
            if found := self._check.in_content(raw, content):
                self.leave_out_secret(raw, found, content)
            else:
                self.looked_at[raw] = object_id("blob", content)

    def _size(self, raw: bytes) -> int:
        """Return how much content a path brings; what is gone or no file brings none."""
        try:
            found = self._file(raw).lstat()
        except OSError:
            return 0  # whatever it is, git says so when it is to be added
        return found.st_size if stat.S_ISREG(found.st_mode) else 0

    def _content(self, raw: bytes) -> bytes | None:
        """Return what git would store of a path; None of what it cannot store."""
        file = os.path.join(os.fsencode(self._top), raw)  # noqa: PTH118 -- bytes
        try:
            mode = os.lstat(file).st_mode
            if stat.S_ISLNK(mode):
                return os.readlink(file)  # noqa: PTH115 -- bytes
            if not stat.S_ISREG(mode):
                return None
            descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb") as stream:
                return stream.read()
        except OSError:
            return None

    def _name(self, raw: bytes, reason: str, digest: Mapping[str, bytes] | None = None) -> None:
        path = raw_text(os.fsdecode(raw))
        self.omitted[raw] = Omission(path=path, reason=reason, digest=digest or {})

    def _file(self, raw: bytes) -> Path:
        return self._top / os.fsdecode(raw)
