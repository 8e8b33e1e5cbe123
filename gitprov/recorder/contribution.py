"""What a process can add to a run while it lives: parameters, metrics, inputs, outputs, tags.

The same for the process that owns the run and for those that join it; each appends to an events
file of its own, so that nothing is torn and nobody waits.
"""

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from gitprov.capture.data import CapturedData, capture_data
from gitprov.capture.data.options import DataOptions
from gitprov.capture.reported import (
    Point,
    flatten,
    metric_value,
    read_metrics_lines,
    scalar,
    step_number,
)
from gitprov.capture.secrets.redaction import Redactor, redactor_at
from gitprov.capture.secrets.wording import reasons, without_numbers
from gitprov.codec.documents import to_document
from gitprov.errors import RunStateError
from gitprov.model.ids import short
from gitprov.model.run import Seen
from gitprov.model.wording import printable
from gitprov.recorder.encodable import encodable_document
from gitprov.store.journal import JournalRun

_METRICS_LINES = "metrics.lines"
# What the journal says, at the start, of the digests that data is to have.
DIGESTS = "digests"

StrPath = str | os.PathLike[str]
T = TypeVar("T")

_ITEMS_AN_EVENT = 1000


class Contribution:
    """Write access to a run's journal.

    `top` is the work tree that paths are relative to, `rank` this process's place in a distributed
    job, `redactor` what keeps secrets out, of this process's making where none is given, `data` how
    inputs and outputs are captured, as the run was started with where it is not given. Once the run
    has ended, adding to it raises RunStateError.
    """

    def __init__(
        self,
        journal: JournalRun,
        top: Path | None,
        *,
        rank: int = 0,
        redactor: Redactor | None = None,
        data: DataOptions | None = None,
    ) -> None:
        self.journal = journal
        self.top = top
        self.rank = rank
        self._given = redactor
        self._given_data = data
        self._names: dict[str, str] = {}

    @cached_property
    def redactor(self) -> Redactor:
        """What keeps secrets out of what is added."""
        return self._given or redactor_at(self.journal.prov_dir, self.top, os.environ)

    @cached_property
    def data(self) -> DataOptions:
        """How inputs and outputs are captured."""
        if self._given_data is not None:
            return self._given_data
        started = self.journal.started or {}
        algorithms = started.get(DIGESTS, DataOptions().algorithms)
        return DataOptions(algorithms=tuple(algorithms))

    def add_params(self, params: Mapping[str, Any]) -> None:
        """Add parameters; nested maps get dotted names, later values win."""
        flat = {name: scalar(value) for name, value in flatten(params).items()}
        for some in _batched(flat.items()):
            self._append({"event": "params", "params": dict(some)})

    def add_metrics(self, values: Mapping[str, Any], step: int | None = None) -> None:
        """Add one value of each metric. Raises TypeError or ValueError for no number."""
        numbers = {printable(name): metric_value(value) for name, value in values.items()}
        for some in _batched(numbers.items()):
            self._append_metrics(dict(some), None if step is None else step_number(step))

    def add_points(self, points: Iterable[Point]) -> None:
        """Add values that a command has reported."""
        for point in points:
            self._append_metrics({point.name: point.value}, point.step)

    @property
    def metrics_lines(self) -> Path:
        """The file to which the command may append metrics, one for each rank."""
        return self.journal.path / (
            f"{_METRICS_LINES}.{self.rank}" if self.rank else _METRICS_LINES
        )

    def take_reported_lines(self) -> list[str]:
        """Add what the command has appended to its metrics file.

        Returns the lines that are none, without secrets.
        """
        path = self.metrics_lines
        try:
            found = list(read_metrics_lines(path.read_bytes()))
        except FileNotFoundError:
            return []
        self.add_points(point for point in found if isinstance(point, Point))
        path.unlink()
        return [self.redactor.text(line) for line in found if isinstance(line, str)]

    def add_data(
        self,
        role: str,
        names: Iterable[StrPath],
        *,
        cwd: Path,
        seen: Seen = "declared",
        options: DataOptions | None = None,
    ) -> CapturedData:
        """Hash inputs or outputs (`role`) and add them; return what was found."""
        found = capture_data(
            names,
            role=role,
            cwd=cwd,
            top=self.top,
            journal=self.journal,
            seen=seen,
            redactor=self.redactor,
            options=options or self.data,
        )
        self.add_captured(role, found)
        return found

    def add_captured(self, role: str, found: CapturedData) -> None:
        """Add artifacts that are hashed already."""
        for some in _batched(found.artifacts):
            artifacts = [to_document(artifact) for artifact in some]
            self._append({"event": "artifacts", "role": role, "artifacts": artifacts})
        self.add_missing(found.missing)

    def add_tags(self, tags: Iterable[str]) -> None:
        """Add tags."""
        for some in _batched(tags):
            self._append({"event": "tags", "tags": [printable(tag) for tag in some]})

    def add_missing(self, missing: Mapping[str, str]) -> None:
        """Say what is not known, and why."""
        for some in _batched(missing.items()):
            self._append({"event": "missing", "missing": dict(some)})

    def add_error(self, error: str) -> None:
        """Note what went wrong in this process."""
        self._append({"event": "error", "error": error})

    def _append(self, event: Mapping[str, Any]) -> None:
        """Append an event without its secrets, and what `missing` says of them."""
        role = event.get("role", "")
        self._append_redacted(self.redactor.document(event))
        if news := without_numbers(self.redactor.take_news()):
            found = {place.replace("artifacts", role): kind for place, kind in news.items()}
            self._append_redacted({"event": "missing", "missing": reasons(found)})

    def _append_redacted(self, event: Mapping[str, Any]) -> None:
        if self.rank:
            event = {**event, "rank": self.rank}
        try:
            if not self.journal.is_finished:
                self.journal.append(encodable_document(event))
                return
        except FileNotFoundError:  # the ledger has the run
            pass
        raise RunStateError(f"run {short(self.journal.id)} has ended")

    def _append_metrics(self, values: Mapping[str, Any], step: int | None) -> None:
        """Append values, which are numbers: the names alone are looked into, and each of them once.

        A training loop comes by here at each of its steps.
        """
        named = {self._metric_name(name): value for name, value in values.items()}
        event = {"event": "metrics", "values": named, "time_ns": time.time_ns()}
        if step is not None:
            event["step"] = step
        self._append_redacted(event)

    def _metric_name(self, name: str) -> str:
        known = self._names.get(name)
        if known is None:
            known = self._names[name] = self.redactor.text(name, "metrics.name")
            if news := self.redactor.take_news():
                self._append_redacted({"event": "missing", "missing": reasons(news)})
        return known


def take_reported_lines_of_all(journal: JournalRun) -> None:
    """Add what the commands of all ranks have appended to their metrics files."""
    for path in sorted(journal.path.glob(f"{_METRICS_LINES}*")):
        rank = path.name.removeprefix(_METRICS_LINES).removeprefix(".") or "0"
        if rank.isdecimal():  # a command may have files of its own beside it
            Contribution(journal, None, rank=int(rank)).take_reported_lines()


def _batched(items: Iterable[T]) -> Iterator[list[T]]:
    """Yield items in lists of a size that one event holds."""
    remaining = iter(items)
    while some := list(islice(remaining, _ITEMS_AN_EVENT)):
        yield some
