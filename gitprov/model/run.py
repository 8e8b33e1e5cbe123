"""The manifest of a run, format `run.1`: what was executed, from what, with what result.

Field names and order are the format's (specification, section 5). Times are nanoseconds since the
Unix epoch in UTC, sizes are bytes, git object ids are lowercase hexadecimal text, content digests
are raw bytes. A field that is absent is `None` or empty; why it is absent stands in
`Run.missing`. Text that is not UTF-8 (a path, an argument) is kept as bytes.

Annotations are real objects here (no postponed evaluation): the codec reads them to check
documents, so these classes are the one definition of the format's types.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

RUN_SCHEMA = "run.1"

Scalar = bool | int | float | str
RawText = str | bytes
Status = Literal["completed", "failed", "aborted"]
ArtifactKind = Literal["file", "tree", "remote"]
Seen = Literal["observed", "declared"]
LinkTreatment = Literal["followed"]
AgentType = Literal["person", "software"]
TraceMethod = Literal["audit", "strace"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What was executed. `cwd` is relative to the top of the work tree, with `.` for the top."""

    argv: tuple[RawText, ...]
    cwd: RawText | None = None
    entrypoint: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Omission:
    """A file of the work tree that is not in the snapshot, and why."""

    path: RawText
    reason: str
    size: int | None = None
    digest: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """All that the commit has beyond the default branch, as one patch: a squash merge is it."""

    base: str
    patch_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The exact code. `tree` is the tree that ran: the snapshot's where `dirty`.

    `reads` names all files of it that the run has read, or none.
    """

    repo_uri: str | None = None
    object_format: str = "sha1"
    commit: str | None = None
    tree: str | None = None
    ref: str | None = None
    dirty: bool = False
    snapshot: str | None = None
    patch_id: str | None = None
    series: Series | None = None
    omitted: tuple[Omission, ...] = ()
    reads: tuple[RawText, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """The final value of one measure; `nan`, `inf` and `-inf` are kept as those words."""

    name: str
    value: float | str
    step: int | None = None
    unit: str | None = None
    split: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A file, folder or remote object that a run read or wrote.

    `path` is relative to the top of the work tree; `uri` names what lies elsewhere. `digest` of a
    tree is that of its listing (specification, section 6), which is payload under `listing`;
    symbolic links in it were recorded, or `followed`.
    """

    kind: ArtifactKind
    name: str | None = None
    uri: str | None = None
    path: RawText | None = None
    size: int | None = None
    digest: Mapping[str, bytes] = field(default_factory=dict)
    file_count: int | None = None
    media_type: str | None = None
    role: str | None = None
    listing: str | None = None
    links: LinkTreatment | None = None
    remote: Mapping[str, str] = field(default_factory=dict)
    seen: Seen = "declared"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentSummary:
    """The environment in short; its files stand beside the manifest, bound by `digest`."""

    digest: bytes
    python: str | None = None
    platform: str | None = None
    container: str | None = None
    locks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """The machine, as far as it shows itself."""

    cpu: str | None = None
    cores: int | None = None
    memory_bytes: int | None = None
    accelerators: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What the command and the children that it waited for have used."""

    wall_ns: int
    cpu_user_ns: int | None = None
    cpu_system_ns: int | None = None
    max_rss_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """How the command was watched: by what, how many of its processes, and what is not seen so."""

    method: TraceMethod
    processes: int | None = None
    unseen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """Who ran it, as git's configuration has it."""

    type: AgentType = "person"
    id: str | None = None
    name: str | None = None
    email: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorder:
    """The software that made the record, as a package URL."""

    purl: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """The clone that wrote the record, and the record that it wrote before this one."""

    id: str
    sequence: int
    previous: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A relation to another run: part_of, retry_of, rerun_of, informed_by."""

    rel: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run. Every released version of the format can be read into this class."""

    schema: str = RUN_SCHEMA
    id: str
    status: Status
    started_ns: int
    ended_ns: int
    command: Command
    recorder: Recorder
    name: str | None = None
    message: str | None = None
    tags: tuple[str, ...] = ()
    exit_code: int | None = None
    signal: int | None = None
    error: str | None = None
    source: Source | None = None
    params: Mapping[str, Scalar] = field(default_factory=dict)
    metrics: tuple[Metric, ...] = ()
    inputs: tuple[Artifact, ...] = ()
    outputs: tuple[Artifact, ...] = ()
    byproducts: tuple[Artifact, ...] = ()
    environment: EnvironmentSummary | None = None
    hardware: Hardware | None = None
    usage: Usage | None = None
    trace: Trace | None = None
    agent: Agent | None = None
    writer: Writer | None = None
    links: tuple[Link, ...] = ()
    missing: Mapping[str, str] = field(default_factory=dict)
    ext: Mapping[str, Any] = field(default_factory=dict)

    def metric(self, name: str) -> float | None:
        """Return the final value of a metric, or None where the run has none of that name."""
        for metric in self.metrics:
            if metric.name == name:
                return float(metric.value)
        return None

    @property
    def duration_ns(self) -> int:
        """Wall time of the command where it was measured, else from start to end."""
        return self.usage.wall_ns if self.usage else self.ended_ns - self.started_ns
