"""A finished manifest, put together from what the journal holds.

The same function ends a run that finishes and one whose process died: everything known is in the
journal, so nothing depends on the memory of the process that ran.
"""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gitprov.codec.canonical import Document
from gitprov.codec.documents import to_document
from gitprov.codec.events import encode_event
from gitprov.model.run import (
    Artifact,
    EnvironmentSummary,
    Metric,
    RawText,
    Status,
    Trace,
    Usage,
)
from gitprov.recorder.encodable import encodable_document
from gitprov.recorder.fitting import MAX_GROUP_ITEMS, fitted
from gitprov.store.journal import JournalRun
from gitprov.store.payload import PAYLOAD_ROLES, SERIES

_POINTS_A_FRAME = 4096

_Point = tuple[int, int | None, Any]  # time, step, value


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a run ended.

    `environment` takes the place of what was captured at the start, where more is known by then;
    the journal has its files already. `settled` are reasons in `missing` that no longer hold.
    """

    status: Status
    ended_ns: int
    exit_code: int | None = None
    signal: int | None = None
    error: str | None = None
    usage: Usage | None = None
    trace: Trace | None = None
    reads: Sequence[RawText] = ()
    missing: Mapping[str, str] = field(default_factory=dict)
    environment: EnvironmentSummary | None = None
    settled: Collection[str] = ()


@dataclass(slots=True)
class _Collected:
    """What the events of a run add up to.

    Where ranks differ, the lowest has its way; the metrics of the others have the rank in their
    names.
    """

    params: dict[str, Any] = field(default_factory=dict)
    params_of_others: dict[str, Any] = field(default_factory=dict)
    points: dict[str, list[_Point]] = field(default_factory=dict)
    artifacts: dict[str, list[Document]] = field(
        default_factory=lambda: {"inputs": [], "outputs": []}
    )
    tags: list[str] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    error: str | None = None


def assemble(journal: JournalRun, started: Document, ending: Ending) -> Document:
    """Return the finished manifest of a run, and write the payload that it names.

    `started` is what the journal noted at the start. The manifest lacks only its place in the
    writer's chain, which the drain gives it.
    """
    found = _collect(journal.events())
    manifest: Document = dict(started["manifest"])
    manifest["status"] = ending.status
    manifest["ended_ns"] = max(ending.ended_ns, manifest["started_ns"])
    for name in ("exit_code", "signal"):
        if getattr(ending, name) is not None:
            manifest[name] = getattr(ending, name)
    if error := ending.error or found.error:
        manifest["error"] = error
    if ending.usage is not None:
        manifest["usage"] = to_document(ending.usage)
    if ending.trace is not None:
        manifest["trace"] = to_document(ending.trace)
    if ending.reads:
        _merge(manifest, "source", {"reads": list(ending.reads)})
    if ending.environment is not None:
        manifest["environment"] = to_document(ending.environment)
    known = {
        name: reason
        for name, reason in manifest.pop("missing", {}).items()
        if name not in ending.settled
    }
    _merge(manifest, "params", {**found.params_of_others, **manifest.get("params", {})})
    _merge(manifest, "params", found.params)
    _merge(manifest, "missing", {**known, **found.missing, **ending.missing})
    _extend(manifest, "tags", found.tags)
    for role, artifacts in found.artifacts.items():
        _extend(manifest, role, artifacts)
    _extend(manifest, "metrics", _final_values(found.points))
    _write_series(journal.payload(SERIES), found.points)
    _extend(manifest, "byproducts", [to_document(item) for item in _byproducts(journal)])
    return fitted(encodable_document(manifest))


def _collect(events: Iterable[Document]) -> _Collected:
    found = _Collected()
    params: dict[int, dict[str, Any]] = defaultdict(dict)
    points: dict[str, dict[int, list[_Point]]] = defaultdict(lambda: defaultdict(list))
    for event in events:
        rank = event.get("rank", 0)
        match event:
            case {"event": "params", "params": dict(values)}:
                params[rank] |= values
            case {"event": "metrics", "values": dict(values), "time_ns": int(time)}:
                for name, value in values.items():
                    points[name][rank].append((time, event.get("step"), value))
            case {"event": "artifacts", "role": "inputs" | "outputs" as role, "artifacts": items}:
                found.artifacts[role] += items
            case {"event": "tags", "tags": list(tags)}:
                found.tags += tags
            case {"event": "missing", "missing": dict(missing)}:
                found.missing |= missing
            case {"event": "error", "error": str(error)}:
                found.error = error
    found.params = params.pop(0, {})
    for rank in sorted(params, reverse=True):
        found.params_of_others |= params[rank]
    found.points = _with_ranks_in_names(points)
    return found


def _with_ranks_in_names(
    points: Mapping[str, Mapping[int, Sequence[_Point]]],
) -> dict[str, list[_Point]]:
    named: dict[str, list[_Point]] = defaultdict(list)
    for name, ranks in points.items():
        for rank, values in sorted(ranks.items()):
            named[name if rank == min(ranks) else f"{name}.rank{rank}"] += values
    for series in named.values():
        # Several processes may have contributed; a stable sort keeps each one's own order.
        series.sort(key=lambda point: point[0])
    return named


def _final_values(points: Mapping[str, Sequence[_Point]]) -> list[Document]:
    metrics = []
    for name, values in points.items():
        _, step, value = values[-1]
        metrics.append(to_document(Metric(name=name, value=value, step=step)))
    return metrics


def _write_series(path: Path, points: Mapping[str, Sequence[_Point]]) -> None:
    """Write every point of the metrics that have more than one, in columns, in frames.

    Where there are more metrics than a manifest holds, those with a single value, too.
    """
    shortest = 1 if len(points) > MAX_GROUP_ITEMS else 2
    frames = []
    for name, values in points.items():
        if len(values) < shortest:
            continue
        for start in range(0, len(values), _POINTS_A_FRAME):
            times, steps, numbers = zip(*values[start : start + _POINTS_A_FRAME], strict=True)
            frame = {"name": name, "times_ns": times, "values": numbers}
            if None not in steps:
                frame["steps"] = steps
            frames.append(encode_event(frame))
    if frames:
        path.write_bytes(b"".join(frames))


def _byproducts(journal: JournalRun) -> list[Artifact]:
    """Return what the payload folder holds, but for listings, which artifacts refer to."""
    found = []
    for name, (role, media_type) in PAYLOAD_ROLES.items():
        path = journal.payload(name)
        if not path.exists():
            continue
        data = path.read_bytes()
        found.append(
            Artifact(
                kind="file",
                name=name,
                role=role,
                media_type=media_type,
                size=len(data),
                digest={"sha256": hashlib.sha256(data).digest()},
                seen="observed",
            )
        )
    return found


def _merge(manifest: Document, name: str, values: Mapping[str, Any]) -> None:
    if values:
        manifest[name] = {**manifest.get(name, {}), **values}


def _extend(manifest: Document, name: str, items: Sequence[Any]) -> None:
    """Add what is not there yet; items are compared by their text, which is quick for many."""
    distinct = {repr(item): item for item in (*manifest.get(name, []), *items)}
    if distinct:
        manifest[name] = list(distinct.values())
