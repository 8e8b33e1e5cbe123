"""What is known of the environment once the command has ended: which Pythons it ran under.

At the start, the interpreter is found by looking at the command; behind a shell script that is a
guess. Rules for what the audit trace has seen by the end:

- A guess whose interpreter never ran does not stand: `packages.json`, and all that is found by
  way of it, are captured anew for the first Python that ran; where that is gone, there is none.
  Lock files stay as they were found.
- Each further environment has its listing in `interpreters/<name>/packages.json`.
- A doubt goes where one environment alone is left that the command can have run in. Programs that
  only start it, as Poetry, do not count.

The new files are written to the journal beside those of the start, before the run is acknowledged.
"""

import hashlib
import json
import os
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gitprov.capture.environments import CapturedEnvironment
from gitprov.capture.environments.commands.interpreter import Interpreter, pythons_of_launchers
from gitprov.capture.environments.commands.shebang import is_python
from gitprov.capture.environments.kind import Findings
from gitprov.capture.environments.python.probe import ProbeError
from gitprov.capture.environments.python_packages import (
    INTERPRETER_FIELD,
    PACKAGES_FIELD,
    list_packages,
)
from gitprov.capture.environments.without_secrets import without_secrets
from gitprov.capture.reported_reads import ReportedPython
from gitprov.codec.documents import from_document, to_document
from gitprov.codec.environment_text import INTERPRETERS, PACKAGES
from gitprov.model.run import EnvironmentSummary
from gitprov.recorder.active import ActiveRun
from gitprov.recorder.environments import environment_of, summary_of

MAX_OTHERS = 16
_MAX_SECONDS = 20.0
# Where a look at the folders took longer at the start, as on a slow network, there is no second.
_MAX_SCAN_NS = 20_000_000
_CHANGED = "changed while the run was under way"
OTHERS_FIELD = f"environment.{INTERPRETERS}"
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_MAX_NAME = 40
_IN_PROJECT = (".venv", "venv")

# A prefix and a minor version: /usr may have several.
_Place = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AtEnd:
    """What the record has to say anew; `settled` are reasons in `missing` that no longer hold."""

    environment: EnvironmentSummary | None = None
    missing: Mapping[str, str] = field(default_factory=dict)
    settled: frozenset[str] = frozenset()


def environment_at_end(
    run: ActiveRun, argv: Sequence[str], cwd: Path, pythons: Sequence[ReportedPython]
) -> AtEnd:
    """Return what is known by now, with its files in the journal; OSError where these cannot be."""
    start = run.environment
    end = _Pythons(run, argv, cwd, pythons).described()
    missing = dict(end.missing)
    if end.findings.get("packages") is start.findings.get("packages") and _has_changed(start):
        missing[PACKAGES_FIELD] = _CHANGED
    settled = frozenset(start.missing.keys() - missing.keys())
    news = {name: text for name, text in missing.items() if start.missing.get(name) != text}
    if end.files == start.files:
        return AtEnd(missing=news, settled=settled)
    redactor = run.contribution.redactor
    clean = without_secrets(replace(end, missing=news), redactor)
    summary = summary_of(clean)
    run.contribution.journal.write_environment(clean.files, summary.digest)
    document = redactor.document(to_document(summary))
    return AtEnd(
        environment=from_document(EnvironmentSummary, document),
        missing=clean.missing,
        settled=settled,
    )


def _has_changed(start: CapturedEnvironment) -> bool:
    found = start.findings.get("packages")
    installed = found.installed if found is not None else None
    return installed is not None and installed.scan_ns <= _MAX_SCAN_NS and installed.has_changed()


def folder_name(prefix: str, version: str) -> str:
    """Return the name under which a further Python has its listing: readable, and of its own."""
    path = Path(prefix)
    shown = path.parent.name if path.name in _IN_PROJECT else path.name
    shown = _UNSAFE.sub("-", shown).strip("-.")[:_MAX_NAME] or "python"
    digest = hashlib.sha256(f"{prefix}\0{version}".encode("utf-8", "surrogateescape"))
    return f"{shown}-{digest.hexdigest()[:6]}"


def _place(prefix: str, version: str) -> _Place:
    return os.path.realpath(prefix), ".".join(version.split(".")[:2])


class _Pythons:
    """The Pythons of one run, as the trace has seen them, beside what was captured at its start."""

    def __init__(
        self, run: ActiveRun, argv: Sequence[str], cwd: Path, pythons: Iterable[ReportedPython]
    ) -> None:
        self._run = run
        self._argv = argv
        self._cwd = cwd
        self._until = time.monotonic() + _MAX_SECONDS
        self._seen: dict[_Place, ReportedPython] = {}
        for python in pythons:
            self._seen.setdefault(_place(python.prefix, python.version), python)

    def described(self) -> CapturedEnvironment:
        """Return the environment as it is known by now."""
        main = self._run.environment
        if not self._seen:
            return main
        missing = dict(main.missing)
        place = _described_place(main)
        candidates = self._candidates()
        is_guess = place is None or INTERPRETER_FIELD in missing
        if is_guess and place not in self._seen:
            place = candidates[0]
            main = self._captured(self._seen[place])
            missing = dict(main.missing)
        if is_guess and place is not None:
            missing.pop(INTERPRETER_FIELD, None)
            if len(candidates) > 1 and PACKAGES in main.files:
                missing[INTERPRETER_FIELD] = (
                    f"the command has started {len(candidates)} Pythons; {PACKAGES} is that of "
                    f"{place[0]}"
                )
        others = [python for where, python in self._seen.items() if where != place]
        files = {**main.files, **self._listings(others, missing)}
        return replace(main, files=dict(sorted(files.items())), missing=missing)

    def _candidates(self) -> list[_Place]:
        """Return the environments that the command can have run in."""
        starters = {
            path.parent for path in pythons_of_launchers(self._argv, cwd=self._cwd, env=os.environ)
        }
        found = [
            place
            for place, python in self._seen.items()
            if Path(python.executable).parent not in starters
        ]
        return found or list(self._seen)

    def _captured(self, python: ReportedPython) -> CapturedEnvironment:
        """Return the environment of a Python in place of that which was guessed.

        Where that is gone, it has no packages: those of another would be wrong.
        """
        store, start = self._run.store, self._run.environment
        given = {name: found for name, found in start.findings.items() if name == "locks"}
        if is_python(python.executable):
            command = [python.executable, *python.options.split()]
            env = _variables(python)
            found = environment_of(store, command, self._cwd, env=env, given=given)
            # Another may have been found in its place.
            if _described_place(found) == _place(python.prefix, python.version):
                return found
        gone = f"it ran under {python.executable}, which does not answer any more"
        given["packages"] = Findings(missing={PACKAGES_FIELD: gone})
        return environment_of(store, self._argv, self._cwd, given=given)

    def _listings(
        self, pythons: Sequence[ReportedPython], missing: dict[str, str]
    ) -> dict[str, bytes]:
        """Return the packages of further Pythons; put into `missing` what is not known of them."""
        files = {}
        for python in pythons[:MAX_OTHERS]:
            name = folder_name(*_place(python.prefix, python.version))
            try:
                files[f"{INTERPRETERS}/{name}/{PACKAGES}"] = self._listing(python)
            except ProbeError as error:
                missing[f"{OTHERS_FIELD}.{name}"] = str(error)
        if len(pythons) > MAX_OTHERS:
            more = len(pythons) - MAX_OTHERS
            missing[OTHERS_FIELD] = f"{more} more Pythons have run than the {MAX_OTHERS} listed"
        return files

    def _listing(self, python: ReportedPython) -> bytes:
        if not is_python(python.executable):
            raise ProbeError(f"{python.executable or 'a program'} has Python in it, but is none")
        if time.monotonic() > self._until:
            raise ProbeError("there was no time left to ask it")
        interpreter = Interpreter(
            path=Path(python.executable), options=tuple(python.options.split())
        )
        cache = self._run.store.repository.prov_dir / "cache"
        env = _variables(python)
        return list_packages(interpreter, cwd=self._cwd, env=env, cache=cache).text.encode()


def _described_place(captured: CapturedEnvironment) -> _Place | None:
    """Return the environment that packages.json describes."""
    if PACKAGES not in captured.files:
        return None
    interpreter: dict[str, Any] = json.loads(captured.files[PACKAGES]).get("interpreter", {})
    return _place(str(interpreter.get("prefix", "")), str(interpreter.get("version", "")))


def _variables(python: ReportedPython) -> dict[str, str]:
    """Return the variables with which a Python is asked: it may have been given another path."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return {**env, "PYTHONPATH": python.path} if python.path else env
