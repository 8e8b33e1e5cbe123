"""One run on a page: everything known, and what is missing and why."""

from collections.abc import Iterator, Sequence

from gitprov.model.environment import Disagreement
from gitprov.model.environment_wording import disagreement_text
from gitprov.model.ids import short
from gitprov.model.run import Artifact, Hardware, Metric, Run, Trace
from gitprov.model.wording import (
    command_text,
    duration_text,
    number_text,
    place_text,
    plural,
    printable,
    size_text,
)
from gitprov.store.repository import EMPTY_TREE
from gitprov.views.log import age_text, date_text, marked_status
from gitprov.views.style import Style

_SHORT = 12
_TAIL_LINES = 10
_MAX_WORDS = 120
_MAX_DISAGREEMENTS = 5


def page(
    run: Run,
    style: Style,
    *,
    now_ns: int,
    tail: bytes | None = None,
    disagreements: Sequence[Disagreement] = (),
) -> str:
    """Return the page of a run.

    `tail` is the end of its output where that is at hand; `disagreements` are where its lock files
    say something else than was installed.
    """
    lines = [f"{style.id(f'run {run.id}')}"]
    if run.message:
        lines += ["", *(f"    {printable(line)}" for line in run.message.splitlines()), ""]
    lines += _rows(style, _summary(run, style, now_ns))
    sections = {
        "Source": list(_source(run)),
        "Parameters": [(name, _scalar(value)) for name, value in run.params.items()],
        "Metrics": [(metric.name, _metric(metric)) for metric in run.metrics],
        "Inputs": [_artifact(item) for item in run.inputs],
        "Outputs": [_artifact(item) for item in run.outputs],
        "Environment": [
            *_environment(run, disagreements, style),
            *_hardware(run.hardware),
        ],
        "Variables": [(name, printable(value)) for name, value in run.command.env.items()],
        "Recorded": list(_recorded(run)),
        "Missing": [(name, printable(reason)) for name, reason in run.missing.items()],
    }
    for title, rows in sections.items():
        if rows:
            lines += ["", style.label(title), *_rows(style, rows)]
    if tail:
        shown = tail.decode("utf-8", "replace").splitlines()[-_TAIL_LINES:]
        lines += ["", style.label("End of the output")]
        lines += [f"  {style.dim('|')} {printable(line)}" for line in shown]
    return "\n".join(lines)


def _rows(style: Style, rows: list[tuple[str, str]]) -> list[str]:
    width = max((len(printable(name)) for name, _ in rows), default=0)
    return [f"  {style.dim(printable(name).ljust(width))}  {value}" for name, value in rows]


def _summary(run: Run, style: Style, now_ns: int) -> list[tuple[str, str]]:
    rows = [("name", printable(run.name))] if run.name else []
    rows.append(("status", marked_status(run, style)))
    if run.error:
        rows.append(("error", printable(run.error)))
    rows += [
        ("command", command_text(run.command.argv)),
        ("folder", printable(run.command.cwd) if run.command.cwd is not None else "unknown"),
        ("started", f"{date_text(run.started_ns)} ({age_text(now_ns - run.started_ns)})"),
        ("took", duration_text(run.duration_ns)),
    ]
    if run.usage and run.usage.cpu_user_ns is not None:
        system = run.usage.cpu_system_ns or 0
        memory = f", {size_text(run.usage.max_rss_bytes)} peak" if run.usage.max_rss_bytes else ""
        cpu = f"{duration_text(run.usage.cpu_user_ns)} user, {duration_text(system)} system"
        rows.append(("used", f"{cpu}{memory}"))
    if run.tags:
        rows.append(("tags", printable(" ".join(run.tags))))
    rows += [(link.rel.replace("_", " "), link.id) for link in run.links]
    return [(name, value) for name, value in rows if value]


def _source(run: Run) -> Iterator[tuple[str, str]]:
    source = run.source
    if source is None:
        return
    if source.commit:
        yield "commit", source.commit
    if source.ref:
        yield "branch", printable(source.ref.removeprefix("refs/heads/"))
    if source.snapshot:
        yield "changes", f"uncommitted, kept in snapshot {source.snapshot}"
        base = source.commit or EMPTY_TREE
        yield "see them", f"git diff {base[:_SHORT]} {source.snapshot[:_SHORT]}"
    elif source.dirty:
        yield "changes", "uncommitted, and not captured"
    elif source.commit:
        yield "changes", "none"
    if source.tree:
        yield "tree", source.tree
    if source.repo_uri:
        yield "repository", printable(source.repo_uri)
    for omission in source.omitted:
        size = f", {size_text(omission.size)}" if omission.size is not None else ""
        yield "left out", f"{printable(omission.path)} ({printable(omission.reason)}{size})"


def _environment(
    run: Run, disagreements: Sequence[Disagreement], style: Style
) -> Iterator[tuple[str, str]]:
    environment = run.environment
    if environment:
        if environment.python:
            yield "python", printable(environment.python)
        if environment.platform:
            yield "platform", printable(environment.platform)
        if environment.locks:
            yield "locks", printable(", ".join(environment.locks))
        for said in disagreements[:_MAX_DISAGREEMENTS]:
            yield "", style.bad(disagreement_text(said))
        if (more := len(disagreements) - _MAX_DISAGREEMENTS) > 0:
            yield "", f"and {more} more; see: git prov env show {short(run.id)}"
        if environment.container:
            yield "container", printable(environment.container)
        yield "digest", f"sha256:{environment.digest.hex()}"


def _hardware(hardware: Hardware | None) -> Iterator[tuple[str, str]]:
    if hardware:
        if hardware.cpu:
            cores = f", {hardware.cores} cores" if hardware.cores else ""
            yield "cpu", f"{printable(hardware.cpu)}{cores}"
        if hardware.memory_bytes:
            yield "memory", size_text(hardware.memory_bytes)
        for accelerator in hardware.accelerators:
            yield "accelerator", printable(accelerator)


def _recorded(run: Run) -> Iterator[tuple[str, str]]:
    if run.agent and (run.agent.name or run.agent.email):
        mail = f" <{run.agent.email}>" if run.agent.email else ""
        yield "by", printable(f"{run.agent.name or ''}{mail}".strip())
    yield "with", printable(run.recorder.purl)
    if run.writer:
        yield "writer", f"{run.writer.id[:_SHORT]}, its record {run.writer.sequence}"
    if run.trace:
        yield from _trace(run.trace)
    for item in run.byproducts:
        yield _artifact(item)


def _trace(trace: Trace) -> Iterator[tuple[str, str]]:
    """Say in two lines how the command was watched."""
    count = trace.processes
    processes = "" if count is None else f", {count} {'process' if count == 1 else 'processes'}"
    yield "watched by", f"{trace.method}{processes}"
    if trace.unseen:
        words = "; ".join(map(printable, trace.unseen))
        yield "not seen", words if len(words) <= _MAX_WORDS else f"{words[:_MAX_WORDS]}…"


def _artifact(item: Artifact) -> tuple[str, str]:
    place = place_text(item)
    name = f"{item.name} ({place})" if item.name and item.name != place else place
    parts = []
    if item.file_count is not None:
        parts.append(plural(item.file_count, "file"))
    if item.size is not None:
        parts.append(size_text(item.size))
    parts += [f"{printable(kind)}:{digest.hex()[:16]}…" for kind, digest in item.digest.items()]
    if not item.digest:
        parts.append("not hashed")
    parts += [
        f"{printable(field.removesuffix('.matches'))} says another: {printable(said[4:])}"
        for field, said in item.remote.items()
        if field.endswith(".matches") and said.startswith("no: ")
    ]
    return printable(name), ", ".join(parts)


def _scalar(value: object) -> str:
    return printable(str(value).lower() if isinstance(value, bool) else str(value))


def _metric(metric: Metric) -> str:
    value = number_text(metric.value)
    return printable(value if metric.step is None else f"{value} (step {metric.step})")
