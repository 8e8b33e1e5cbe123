"""A run that this process owns, from its start to its acknowledgement."""

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from gitprov.capture.command_line import command_of
from gitprov.capture.data import CapturedData, capture_data
from gitprov.capture.data.options import DataOptions, with_digests
from gitprov.capture.environments import CapturedEnvironment
from gitprov.capture.environments.without_secrets import without_secrets
from gitprov.capture.hardware import capture_hardware
from gitprov.capture.reported import scalar
from gitprov.capture.secrets.redaction import Redactor, redactor_for
from gitprov.capture.secrets.wording import reasons
from gitprov.capture.source import CapturedSource, capture_agent, capture_source
from gitprov.codec.canonical import Document
from gitprov.codec.documents import from_document, to_document
from gitprov.codec.records import encode_record
from gitprov.errors import (
    GitprovError,
    MissingDependency,
    RepositoryReadOnly,
    RunStateError,
)
from gitprov.model.ids import new_id
from gitprov.model.names import name_for
from gitprov.model.run import (
    RUN_SCHEMA,
    Link,
    Recorder,
    Run,
    Scalar,
    Source,
)
from gitprov.model.wording import printable
from gitprov.recorder.assembly import Ending, assemble
from gitprov.recorder.contribution import DIGESTS, Contribution
from gitprov.recorder.encodable import encodable_document
from gitprov.recorder.environments import environment_of, summary_of
from gitprov.recorder.fitting import fitted
from gitprov.store.journal import JournalRun
from gitprov.store.pins import pin, unpin
from gitprov.store.store import Store
from gitprov.version import __version__


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be recorded, as the user asked for it."""

    argv: Sequence[str]
    interpreter_of: Sequence[str] | None = None
    name: str | None = None
    message: str | None = None
    tags: Sequence[str] = ()
    params: Mapping[str, Scalar] = field(default_factory=dict)
    inputs: Sequence[str] = ()
    entrypoint: str | None = None
    part_of: str | None = None
    data: DataOptions = field(default_factory=DataOptions)
    missing: Mapping[str, str] = field(default_factory=dict)


class ActiveRun:
    """A run under way. `started` holds what is known of it; `contribution` adds to it."""

    def __init__(
        self,
        store: Store,
        contribution: Contribution,
        started: Document,
        inputs: CapturedData,
        environment: CapturedEnvironment,
    ) -> None:
        self.store = store
        self.contribution = contribution
        self.started = started
        # Those that it was started with.
        self.inputs = inputs
        # As it was captured at the start: with secrets, so not to be written anywhere.
        self.environment = environment

    @property
    def id(self) -> str:
        """The run's id."""
        return self.contribution.journal.id

    @property
    def name(self) -> str:
        """The run's name, given or made up."""
        name: str = self.started["manifest"]["name"]
        return name

    @classmethod
    def start(
        cls, store: Store, request: Request, cwd: Path, journal: JournalRun | None = None
    ) -> "ActiveRun":
        """Capture source, environment and inputs, and enter the run into the journal.

        `journal` is the run's folder where there is one already: ranks of a job may have come
        before their owner, and contribute. Raises GitprovError or OSError where nothing can be
        recorded.
        """
        store.repository.require_writable()
        started_ns = time.time_ns()
        journal = journal or store.journal.create(new_id())
        redactor = redactor_for(store.repository, os.environ)
        options = with_digests(request.data, store.repository.config)
        contribution = Contribution(
            journal, store.repository.work_tree, redactor=redactor, data=options
        )
        try:
            manifest = _first_manifest(store, journal.path, request, cwd, redactor)
            data = capture_data(
                request.inputs,
                role="inputs",
                cwd=cwd,
                top=store.repository.work_tree,
                journal=journal,
                redactor=redactor,
                options=options,
            )
            if data.missing:
                manifest["missing"] = {**data.missing, **manifest.get("missing", {})}
            if commit := manifest.get("source", {}).get("commit"):
                pin(store.repository, journal.path, journal.id, commit, fsync=store.fsync)
            manifest["id"] = journal.id
            manifest["name"] = printable(request.name or name_for(journal.id))
            manifest["started_ns"] = started_ns
            environment = environment_of(store, request.interpreter_of or request.argv, cwd)
            files = _enter_environment(environment, manifest, redactor)
            journal.write_environment(files)
            manifest = fitted(encodable_document(_redacted(manifest, redactor)))
            started = {"manifest": manifest, DIGESTS: list(options.algorithms)}
            _check(manifest)
            journal.begin(started)
            contribution.add_captured("inputs", data)
        except BaseException as error:
            journal.discard()
            with suppress(OSError):
                unpin(store.repository, [journal.id])
            if isinstance(error, GitprovError | OSError) and journal.path.exists():
                left = f"{error}; what was begun stays in {journal.path}"
                raise RepositoryReadOnly(left) from error
            raise
        return cls(store, contribution, started, data, environment)

    def finish(self, ending: Ending) -> Run:
        """Acknowledge the run; on return it is in the journal for good.

        Returns the run as it will stand in the ledger, but for its place in the writer's chain.
        Raises RunStateError where another process took us for dead and has recorded it already.
        """
        journal = self.contribution.journal
        if journal.is_over:
            raise RunStateError(
                "no sign of life was seen of it, and another host has recorded it as aborted, with "
                "what was known then; nothing else is lost"
            )
        manifest = assemble(journal, self.started, self._redacted(ending))
        run = _check(manifest)
        journal.finish({"manifest": manifest})
        return run

    def _redacted(self, ending: Ending) -> Ending:
        """Return the ending without secrets; all else was redacted when it was written.

        Words that cannot be searched for secrets are left out: the run must not be lost for them.
        """
        redactor = self.contribution.redactor
        try:
            said = redactor.document({"error": ending.error, "missing": ending.missing})
        except MissingDependency:
            reason = "not searched for secrets: the scanner cannot be imported"
            missing = dict.fromkeys(ending.missing, reason)
            return replace(ending, error=None, missing={**missing, "error": reason})
        missing = {**reasons(redactor.take_news()), **said["missing"]}
        return replace(ending, error=said["error"], missing=missing)


def _first_manifest(
    store: Store, workspace: Path, request: Request, cwd: Path, redactor: Redactor
) -> Document:
    """Return what can be said before the command starts, but for the inputs."""
    repository = store.repository
    captured = _source_or_reason(store, workspace, redactor)
    agent, missing_agent = capture_agent(repository.config, os.environ)
    hardware, missing_hardware = capture_hardware()
    top = repository.work_tree
    command = command_of(request.argv, cwd, top, request.entrypoint)
    missing = {**captured.missing, **missing_agent, **missing_hardware}
    missing |= request.missing
    if command.cwd is None:
        missing["command.cwd"] = "the command runs outside the work tree"
    manifest: Document = {
        "schema": RUN_SCHEMA,
        "command": to_document(command),
        "recorder": to_document(Recorder(purl=f"pkg:pypi/gitprov@{__version__}")),
    }
    if request.part_of:
        manifest["links"] = [to_document(Link(rel="part_of", id=request.part_of))]
    for name, value in {
        "message": request.message,
        "tags": [printable(tag) for tag in request.tags],
        "params": {printable(name): scalar(value) for name, value in request.params.items()},
        "source": to_document(captured.source) if captured.source else None,
        "agent": to_document(agent),
        "hardware": to_document(hardware),
        "missing": missing,
    }.items():
        if value:
            manifest[name] = value
    return manifest


def _source_or_reason(store: Store, workspace: Path, redactor: Redactor) -> CapturedSource:
    """Return the source; a work tree that git cannot read must not stop the run."""
    try:
        return capture_source(store.repository, workspace, redactor)
    except (GitprovError, OSError) as error:
        source = Source(dirty=True)
        return CapturedSource(source, {"source.tree": f"could not be captured: {error}"})


def _enter_environment(
    whole: CapturedEnvironment, manifest: Document, redactor: Redactor
) -> Mapping[str, bytes]:
    """Put an environment into a manifest, and return its files, both without secrets."""
    captured = without_secrets(whole, redactor)
    summary = summary_of(captured)
    manifest["environment"] = to_document(summary)
    if captured.missing:
        manifest["missing"] = {**manifest.get("missing", {}), **captured.missing}
    return captured.files


def _redacted(manifest: Document, redactor: Redactor) -> Document:
    """Return the manifest with commitments for secrets, and in `missing` where they stand."""
    redacted = redactor.document(manifest)
    if news := redactor.take_news():
        redacted["missing"] = {**reasons(news), **redacted.get("missing", {})}
    return redacted


def _check(manifest: Document) -> Run:
    """Return the run that a manifest describes, as valid as the drain will want it.

    What a reader would refuse must be refused here, where the user can still be told.
    """
    run: Run = from_document(
        Run, {"status": "aborted", "ended_ns": manifest["started_ns"], **manifest}
    )
    encode_record(run)
    return run
