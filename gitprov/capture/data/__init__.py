"""Inputs and outputs: local files and folders, globs, and whatever fsspec opens.

A folder is named by its listing, which names every file below it with size, mode and digest, and
is payload. Specification: section 6.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gitprov.capture.data.names import is_remote, local_names, local_path, place
from gitprov.capture.data.options import Captured, DataOptions
from gitprov.capture.secrets.redaction import Redactor
from gitprov.capture.url_credentials import without_credentials
from gitprov.errors import InputError, MissingDependency
from gitprov.model.run import Artifact, RawText, Seen
from gitprov.model.wording import plural
from gitprov.store.journal import JournalRun

if TYPE_CHECKING:
    from gitprov.capture.data.local import LocalCapture

# What is left out of a folder is named so often, then counted.
_NAMED = 20
# Asking what other tools say of a file takes as long as hashing it, if it is small.
_MANY = 1000


@dataclass(slots=True)
class CapturedData:
    """The artifacts, and what could not be read."""

    artifacts: list[Artifact] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)


def capture_data(
    names: Iterable[str | os.PathLike[str]],
    *,
    role: str,
    cwd: Path,
    top: Path | None,
    journal: JournalRun,
    seen: Seen = "declared",
    redactor: Redactor | None = None,
    options: DataOptions | None = None,
) -> CapturedData:
    """Return the artifacts that `names` stand for: paths relative to `cwd`, globs, URIs.

    `journal` takes the listings of folders. `role` is "inputs" or "outputs" and begins the keys of
    `missing`. What cannot be read is an artifact without digest, with the reason in `missing`;
    nothing is raised for it. `redactor` keeps secrets out of listings, whose bytes nobody may
    change once they are hashed.
    """
    texts = [os.fspath(name) for name in names]
    if not texts:
        return CapturedData()
    # Late: many runs name no data, and need neither sqlite nor what pointers are.
    from gitprov.capture.data.local import LocalCapture  # noqa: PLC0415

    options = options or DataOptions()
    with LocalCapture(
        journal.prov_dir, top, options, redactor=redactor, place=f"{role}.listing"
    ) as local:
        capture = _Capture(local, journal, role, cwd, top, seen, options)
        if len(texts) > _MANY:
            capture.ask_no_others()
        for text in texts:
            capture.name(text)
    return capture.found


class _Capture:
    """The capture of names, one after the other; one that fails does not stop the others."""

    def __init__(
        self,
        local: "LocalCapture",
        journal: JournalRun,
        role: str,
        cwd: Path,
        top: Path | None,
        seen: Seen,
        options: DataOptions,
    ) -> None:
        self.found = CapturedData()
        # By where they lie: a pattern may match very many.
        self._latest: dict[tuple[RawText | None, str | None], Artifact] = {}
        self._local = local
        self._journal = journal
        self._role = role
        self._cwd = cwd
        self._top = top
        self._seen = seen
        self._options = options
        self._asks = True

    def ask_no_others(self) -> None:
        """Do without what other tools say of the data, and say so."""
        self._asks = False
        self.found.missing[f"{self._role}.remote"] = (
            "of so many, it was not asked what DVC and others say of them"
        )

    def name(self, text: str) -> None:
        """Capture what a name stands for."""
        if is_remote(text):
            with self._told(text, self._unread_uri):
                for item in self._at_uri(text):
                    self._take(item, text)
            return
        with self._told(text, self._unread_path):
            for name in local_names(text, self._cwd):
                with self._told(name, self._unread_path):
                    item = self._local.capture(self._cwd / name, self._journal, self._seen)
                    self._take(self._with_identity(item, name), name)

    def _at_uri(self, uri: str) -> Iterator[Captured]:
        # Late: other URIs than those of files are few.
        from gitprov.capture.data.uris import capture_uri  # noqa: PLC0415

        return capture_uri(
            uri,
            self._journal,
            self._journal.prov_dir,
            self._options,
            self._seen,
            cwd=self._cwd,
            redact=self._local.redact,
        )

    def _with_identity(self, item: Captured, name: str) -> Captured:
        """Return an artifact with what DVC, git-annex and others say that it is."""
        if not self._asks:
            return item
        # Late, as above.
        from gitprov.capture.data.pointers import identity_of  # noqa: PLC0415

        artifact = item.artifact
        path, md5 = self._cwd / name, self._local.md5
        said = identity_of(path, self._top, artifact.digest, md5=md5)
        remote = {**artifact.remote, **said}
        return item._replace(artifact=replace(artifact, remote=remote)) if said else item

    def _unread_uri(self, uri: str) -> Artifact:
        uri = without_credentials(uri)
        return Artifact(kind="remote", name=self._options.name, uri=uri, seen=self._seen)

    def _unread_path(self, text: str) -> Artifact:
        name = local_path(text)
        where = place(self._cwd / name, self._top)
        artifact = Artifact(kind="file", name=self._options.name, seen=self._seen, **where)
        return self._with_identity(Captured(artifact), name).artifact

    @contextmanager
    def _told(self, text: str, unread: Callable[[str], Artifact]) -> Iterator[None]:
        """Turn a fault into an artifact without digest, and the reason."""
        try:
            yield
        except (OSError, ValueError, InputError, MissingDependency) as error:  # a NUL in a name
            known = isinstance(error, OSError) and error.strerror
            shown = without_credentials(text)
            reason = known or str(error)
            self.found.missing[f"{self._role}.{shown}"] = reason.replace(text, shown)
            self.found.artifacts.append(unread(text))

    def _take(self, item: Captured, text: str) -> None:
        found, artifact = self.found, item.artifact
        where = artifact.path, artifact.uri
        if self._latest.get(where) != artifact:
            self._latest[where] = artifact
            found.artifacts.append(artifact)
        shown = without_credentials(text)
        for number, (path, why) in enumerate(item.left_out.items()):
            if number == _NAMED:
                rest = plural(len(item.left_out) - _NAMED, "other")
                found.missing[f"{self._role}.{shown}.rest"] = f"{rest} could not be read either"
                break
            place = f"{shown.rstrip('/')}/{path}" if path else shown
            found.missing[f"{self._role}.{place}"] = why
