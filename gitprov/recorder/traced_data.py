"""What a command was seen to read and write, as inputs and outputs of its run.

Inputs are what was there before the run and is not its source; outputs are what it has written and
left. What was declared stands already, and is not repeated.
"""

import os
import stat
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from gitprov.capture.data import CapturedData
from gitprov.capture.data.names import place
from gitprov.capture.tracing.left_out import LeftOut
from gitprov.capture.tracing.stores import Answer, answers
from gitprov.capture.tracing.touched import Touched, Write
from gitprov.capture.url_credentials import without_credentials
from gitprov.errors import GitprovError
from gitprov.model.run import Artifact
from gitprov.recorder.active import ActiveRun
from gitprov.recorder.observed import SourceFiles

# More would make a record large, and its end late; a folder that is declared has no such limit.
MAX_PATHS = 1000
# Each of these costs a question over the network, at the end of the run.
MAX_URIS = 100
_NOT_READ = "it was not read: there is no digest, only what its store said after the run"
_CHANGED = "it has changed since the run began"
_CHANGED_TOO = "were read that have changed, or were made, since the run began"
_SECOND_NS = 1_000_000_000


def add_touched(
    run: ActiveRun, top: Path, touched: Touched, source: SourceFiles, *, success_is_seen: bool
) -> dict[str, str]:
    """Add inputs and outputs to a run; return what is not known of them, and why.

    `success_is_seen` says that what was read was there, even if it is not any more.
    """
    return _Adding(run, top, touched, success_is_seen=success_is_seen).add(source)


@dataclass(slots=True)
class _Known:
    """What a run has already in one role: paths of files and folders, and URIs."""

    files: set[str] = field(default_factory=set)
    folders: tuple[str, ...] = ()
    uris: set[str] = field(default_factory=set)

    def has(self, path: str) -> bool:
        return path in self.files or bool(self.folders and path.startswith(self.folders))


class _Adding:
    def __init__(
        self, run: ActiveRun, top: Path, touched: Touched, *, success_is_seen: bool
    ) -> None:
        self._run = run
        self._top = top
        self._real_top = os.path.realpath(top)
        self._touched = touched
        self._success_is_seen = success_is_seen
        self._started_ns: int = run.started["manifest"]["started_ns"]
        self._left_out = LeftOut(self._real_top)
        self._missing: dict[str, str] = {}

    def add(self, source: SourceFiles) -> dict[str, str]:
        touched = self._touched
        self._name_what_is_in_folders()
        known = self._known()
        inputs = [*touched.inputs(), *touched.doubtful]
        try:
            below = source.without(name for name in inputs if not os.path.isabs(name))
        except GitprovError as error:
            self._missing["trace.inputs"] = f"not told from the source: {error}"
            below = []
        outside = [name for name in inputs if os.path.isabs(name)]
        unchanged = list(self._unchanged_inputs(self._of_data([*below, *outside], known["inputs"])))
        self._add_files("inputs", unchanged)
        outputs = [
            name
            for name in self._of_data(touched.writes, known["outputs"])
            if self._is_written(name, touched.writes[name])
        ]
        self._add_files("outputs", outputs)
        written_first = {
            uri
            for uri, when in touched.uris_written.items()
            if when < touched.uris_read.get(uri, when)
        }
        self._add_uris("inputs", set(touched.uris_read) - written_first, known["inputs"])
        self._add_uris("outputs", touched.uris_written, known["outputs"])
        return self._missing

    def _name_what_is_in_folders(self) -> None:
        """Take files in folders that were written to for written, if they are as new as the run."""
        for folder, when in self._touched.folders.items():
            for above, _, names in os.walk(self._path(folder)):
                for name in names:
                    found = os.path.join(above, name).removeprefix(self._real_top + os.sep)
                    self._touched.write(found, Write(when))

    def _known(self) -> dict[str, _Known]:
        found = {"inputs": _Known(), "outputs": _Known()}
        for event in self._run.contribution.journal.events():
            if event.get("event") == "artifacts" and event["role"] in found:
                known = found[event["role"]]
                for item in event["artifacts"]:
                    if (path := item.get("path")) is not None:
                        places = {os.path.join(self._real_top, os.fsdecode(path))}
                        places |= {os.path.realpath(each) for each in places}
                        known.files |= places
                        if item["kind"] == "tree":
                            known.folders += tuple(f"{each}/" for each in places)
                    elif (uri := item.get("uri")) is not None:
                        known.uris.add(uri)
                        if item["kind"] == "tree":
                            known.folders += (f"{uri.rstrip('/')}/",)
        return found

    def _path(self, name: str) -> str:
        return os.path.join(self._real_top, name)

    def _of_data(self, names: Iterable[str], known: _Known) -> Iterator[str]:
        """Yield names that are data's, and that the run does not have already."""
        for name in names:
            if self._left_out.has(name) or os.path.islink(self._path(name)):
                continue
            if not known.has(self._path(name)) and not self._is_known_outside(name, known):
                yield name

    @staticmethod
    def _is_known_outside(name: str, known: _Known) -> bool:
        if not os.path.isabs(name) or not known.uris:
            return False
        uri = Path(name).as_uri()
        return uri in known.uris or bool(known.folders and uri.startswith(known.folders))

    def _unchanged_inputs(self, names: Iterable[str]) -> Iterator[str]:
        """Yield inputs that are what they were; of the others, say why they are not known."""
        changed = {}
        for name in names:
            reason = self._why_not_known(name)
            if reason is None:
                yield name
            elif reason:
                changed[name] = reason
        named = sorted(changed)[:MAX_PATHS]
        self._missing.update({f"inputs.{name}": changed[name] for name in named})
        if len(changed) > len(named):
            rest = len(changed) - len(named)
            self._missing["trace.inputs.changed"] = f"{rest} more files {_CHANGED_TOO}"
        places = [place(self._top / name, self._top) for name in named]
        artifacts = [Artifact(kind="file", seen="observed", **each) for each in places]
        self._run.contribution.add_captured("inputs", CapturedData(artifacts=artifacts))

    def _why_not_known(self, name: str) -> str | None:
        """Return why an input cannot be hashed any more; an empty text: it is none."""
        try:
            found = os.stat(self._path(name))
        except OSError:
            is_sure = self._success_is_seen and name not in self._touched.doubtful
            return "it was there, and is no more" if is_sure else ""
        if not stat.S_ISREG(found.st_mode):
            return ""
        # Not when it was modified: what is copied, unpacked or fetched often keeps an older time.
        is_new = found.st_ctime_ns >= self._started_ns
        write = self._touched.writes.get(name)
        if write is not None and write.known and write.before is None and not self._success_is_seen:
            return ""  # it was looked for, not found, and made
        if name in self._touched.doubtful and name not in self._touched.reads:
            why = "it was opened to be read and written: whether it was there before is not known"
        elif write is None:
            why = f"{_CHANGED}, or was made since"
        else:
            why = "the run has changed it"
            is_new = is_new or (write.known and write.before is None)
        return why if is_new else None

    def _is_written(self, name: str, write: Write) -> bool:
        try:
            found = os.stat(self._path(name))
        except OSError:
            return False
        if not stat.S_ISREG(found.st_mode):
            return False
        if not write.known:
            return found.st_ctime_ns >= self._started_ns
        return write.before is None or found.st_ctime_ns != write.before

    def _add_files(self, role: str, names: list[str]) -> None:
        if len(names) > MAX_PATHS:
            option = "-i" if role == "inputs" else "-o"
            self._missing[f"trace.{role}"] = (
                f"{len(names) - MAX_PATHS} more files were seen; to have all of them recorded, "
                f"name their folder: {option} FOLDER"
            )
        paths = [self._path(name) for name in sorted(names)[:MAX_PATHS]]
        if paths:
            self._run.contribution.add_data(role, paths, cwd=self._top, seen="observed")

    def _add_uris(self, role: str, uris: Collection[str], known: _Known) -> None:
        """Add remote objects, by what their stores say of them: they are not read once more."""
        news = sorted(uri for uri in uris if without_credentials(uri) not in known.uris)
        if not news:
            return
        said = answers(news[:MAX_URIS])
        found = [self._remote(role, uri, answer) for uri, answer in said.items()]
        rest = news[MAX_URIS:MAX_PATHS]
        if rest:
            self._missing[f"trace.{role}.remote"] = (
                f"of more than {MAX_URIS} remote objects, the names alone are recorded"
            )
            found += [_named(uri) for uri in rest]
        self._run.contribution.add_captured(role, CapturedData(artifacts=found))

    def _remote(self, role: str, uri: str, answer: Answer) -> Artifact:
        """Return an object, with what its store says of it if that may hold for the run."""
        why = answer.failed
        if why is None and role == "inputs":
            if uri in self._touched.uris_written:
                why = "the run has changed it"
            elif self._is_newer(answer):
                why = _CHANGED
        self._missing[f"{role}.{without_credentials(uri)}"] = why or _NOT_READ
        named = _named(uri)
        return named if why else replace(named, size=answer.size, remote=answer.remote)

    def _is_newer(self, answer: Answer) -> bool:
        try:
            modified = datetime.fromisoformat(answer.remote["last_modified"])
        except (KeyError, ValueError):
            return False
        # Stores tell whole seconds.
        return modified.timestamp() * _SECOND_NS + _SECOND_NS > self._started_ns


def _named(uri: str) -> Artifact:
    return Artifact(kind="remote", uri=without_credentials(uri), seen="observed")
