"""What the next run would record, found out without recording anything.

Nothing is written in the repository: the clone's key and its caches are copied to a folder that
goes again.
"""

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

from gitprov.capture.command_line import command_of
from gitprov.capture.environments import (
    CapturedEnvironment,
    capture_environment,
    system_packages,
)
from gitprov.capture.environments.without_secrets import without_secrets
from gitprov.capture.secrets.files import ContentCheck, FileCheck
from gitprov.capture.secrets.redaction import redactor_for
from gitprov.capture.secrets.unpublished import FoundSecret
from gitprov.capture.selection import Selection
from gitprov.capture.source import repository_uri
from gitprov.capture.worktree import read_status
from gitprov.codec.canonical import Document
from gitprov.codec.documents import to_document
from gitprov.model.run import Omission
from gitprov.store.repository import Repository


@dataclass(slots=True)
class NextRun:
    """What would stand in the record, which files in the snapshot, and what holds secrets.

    `document` has the fields of a manifest that are known before.
    """

    document: Document
    locks: tuple[str, ...]
    files: dict[bytes, int] = field(default_factory=dict)
    deleted: frozenset[bytes] = frozenset()
    omitted: dict[bytes, Omission] = field(default_factory=dict)
    secrets_in_files: dict[bytes, list[FoundSecret]] = field(default_factory=dict)
    secrets_elsewhere: list[FoundSecret] = field(default_factory=list)

    @property
    def secrets(self) -> list[FoundSecret]:
        """All that was found."""
        return [*self.secrets_elsewhere, *chain.from_iterable(self.secrets_in_files.values())]


class _Elsewhere(Repository):
    """A repository that has another folder for gitprov's own files."""

    def __init__(self, repository: Repository, folder: Path) -> None:
        super().__init__(repository.git_dir, repository.common_dir, repository.work_tree)
        self._folder = folder

    @property
    def prov_dir(self) -> Path:
        return self._folder


class Preview:
    """A look ahead; see `previewing`."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._folder = repository.prov_dir
        self.redactor = redactor_for(repository, os.environ)
        self.check = ContentCheck(self.redactor, self._folder / "cache")

    def next_run(self, argv: Sequence[str], cwd: Path) -> NextRun:
        """Return what a run of `argv` would record, but for its inputs; `argv` may be empty."""
        top = self._repository.work_tree
        document: Document = {"command": to_document(command_of(argv, cwd, top))}
        if uri := repository_uri(self._repository.config):
            document["source"] = {"repo_uri": uri}
        document = self.redactor.document(document)
        wanted = system_packages.are_wanted(top, self._repository.config)
        environment = self.environment(argv or [sys.executable], cwd, system_packages=wanted)
        found = [FoundSecret(place, kind) for place, kind in self.redactor.found.items()]
        run = NextRun(document, environment.locks, secrets_elsewhere=found)
        if top is not None:
            self._add_files(run, top)
        return run

    def environment(
        self, argv: Sequence[str], cwd: Path, *, system_packages: bool
    ) -> CapturedEnvironment:
        """Return the environment that a run of `argv` would record."""
        captured = capture_environment(
            argv,
            cwd=cwd,
            top=self._repository.work_tree,
            env=os.environ,
            cache=self._folder / "cache",
            system_packages=system_packages,
        )
        return without_secrets(captured, self.redactor)

    def _add_files(self, run: NextRun, top: Path) -> None:
        repository = self._repository
        status = read_status(repository, self._folder / "index")
        with FileCheck(repository.git, status.commit, self.redactor, self._folder) as check:
            selection = Selection(repository, status, check)
        self.redactor.problems += selection.problems
        for path in selection.taken:
            with suppress(OSError):
                run.files[path] = os.lstat(os.path.join(os.fsencode(top), path)).st_size  # noqa: PTH118 -- bytes
        run.deleted = selection.gone
        run.omitted = dict(selection.omitted)
        for path, secrets in selection.secrets.items():
            place = self.redactor.text(path.decode("utf-8", "backslashreplace"))
            run.omitted[path] = replace(run.omitted[path], path=place)
            run.secrets_in_files[path] = [FoundSecret(place, *secret) for secret in secrets]


@contextmanager
def previewing(repository: Repository) -> Iterator[Preview]:
    """Yield a look ahead that leaves nothing behind."""
    with TemporaryDirectory(prefix="gitprov-") as name:
        folder = Path(name)
        with suppress(OSError):
            shutil.copy(repository.prov_dir / "salt", folder)
        with suppress(OSError, shutil.Error):
            shutil.copytree(repository.prov_dir / "cache", folder / "cache")
        yield Preview(_Elsewhere(repository, folder))
