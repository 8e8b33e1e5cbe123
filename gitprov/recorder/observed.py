"""The files that a run was seen to read, where those are all that it has read.

In a run of the Python interface, this process observes itself; a command is traced
(`gitprov.recorder.command_trace`). Where anything may have been read unseen, nothing is claimed,
and `missing` says why.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from gitprov.capture.files import raw_text
from gitprov.capture.own_reads import own_reads
from gitprov.capture.program_start import only_imports_before
from gitprov.errors import GitprovError
from gitprov.model.run import RawText
from gitprov.recorder.active import ActiveRun
from gitprov.store.folders import files_among, read_folders
from gitprov.store.object_file import WithObjectFile
from gitprov.store.objects import GitObjects

MAX_BYTES = 1 << 20
READS = "source.reads"
SEVERAL = "other processes have a part in the run"


class Reads(NamedTuple):
    """All files of the source that a run has read; where they are not known, why."""

    paths: tuple[RawText, ...] = ()
    missing: Mapping[str, str] = {}


class OwnObservation:
    """What this process reads until a run of it ends. Made before the run is captured."""

    def __init__(self) -> None:
        self._own = own_reads()
        self._since = self._own.observer.now() if self._own else 0
        self._source: SourceFiles | None = None
        self._gap: str | None = None

    def begin(self, run: ActiveRun, *, alone: bool = True) -> None:
        """Look up what was read already: the end must not wait for git.

        `alone` says that no other processes have a part in the run.
        """
        if not alone:
            self._gap = SEVERAL
        if self._own is None:
            self._gap = "the import of gitprov was not in the work tree, or was not to observe"
            return
        top = run.store.repository.work_tree
        if top is None or os.path.realpath(top) != self._own.observer.top:
            self._gap = "gitprov was imported in another folder than the work tree"
        importers, self._own.importers = self._own.importers, []
        for file, line in importers:
            try:
                if not only_imports_before(file, line):
                    self._own.observer.miss(f"{file.name} does more than import before gitprov")
            except ValueError:
                self._own.observer.miss("gitprov was imported in an interactive session")
        self._source = SourceFiles(run)
        self.taken()

    def taken(self) -> Reads:
        """Return what was read, at the end of the run."""
        try:
            return self._taken()
        except (GitprovError, OSError) as error:
            return Reads(missing={READS: f"not found out: {error}"})

    def _taken(self) -> Reads:
        if self._own is None or self._source is None:
            return Reads(missing={READS: self._gap or "the run has not begun"})
        gap = self._gap or self._own.observer.gap
        if gap is not None:
            return Reads(missing={READS: gap})
        found = self._own.observer.reads(self._since)
        return self._source.reads(found, self._own.observer.prefixes)


class SourceFiles:
    """The files of a run's source: those of its tree, and those that are left out of it."""

    def __init__(self, run: ActiveRun) -> None:
        source = run.started["manifest"].get("source", {})
        self._tree: str | None = source.get("tree")
        self._omitted = {item["path"] for item in source.get("omitted", ())}
        self._repository = run.store.repository
        self._snapshot = run.contribution.journal.snapshot
        self._known: dict[str, bool] = {}

    def reads(self, paths: Iterable[str], prefixes: Iterable[str]) -> Reads:
        """Return those of the paths that are the source's; `prefixes` is where Python stands."""
        if self._tree is None:
            return Reads(missing={READS: "the tree is not known"})
        wanted = sorted(paths)
        unknown = [path for path in wanted if path not in self._known]
        if unknown and not self._look_up(self._tree, unknown, prefixes):
            return Reads(missing={READS: "Python itself is a part of the source"})
        found = tuple(raw_text(path) for path in wanted if self._known[path])
        if sum(len(path) for path in found) > MAX_BYTES:
            return Reads(missing={READS: "there are more than a record holds"})
        return Reads(found)

    def without(self, paths: Iterable[str]) -> list[str]:
        """Return those of the paths below the top that are not the source's.

        Where the source is not known, none is. Raises GitprovError.
        """
        wanted = list(paths)
        unknown = [path for path in wanted if path not in self._known]
        if unknown and self._tree is not None:
            self._look_up(self._tree, unknown, ())
        return [path for path in wanted if not self._known.get(path, False)]

    def _look_up(self, tree: str, paths: Sequence[str], prefixes: Iterable[str]) -> bool:
        reader = WithObjectFile(GitObjects(self._repository.git), self._snapshot)
        try:
            there = files_among(reader, tree, map(os.fsencode, paths))
            own = {os.fsencode(prefix).rstrip(b"/") for prefix in prefixes}
            if own & read_folders(reader, tree, own).keys():
                return False
        finally:
            reader.close()
        for path in paths:
            self._known[path] = os.fsencode(path) in there or raw_text(path) in self._omitted
        return True
