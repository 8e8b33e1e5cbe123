"""What waits in a clone: runs under way, runs that a remote does not have, what it has lost."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from gitprov.model.wording import plural, printable
from gitprov.store.home import Home
from gitprov.store.publishing import Pushed
from gitprov.store.refs import AREAS, OURS, Area
from gitprov.views.style import Style

# What is in an area, where there is neither a run in it nor a source that is not public yet.
_NO_RUNS: dict[Area, str] = {
    "ledger": "links of runs",
    "keep": "references to sources",
    "payload": "logs and series",
}


@dataclass(frozen=True, slots=True)
class RemoteStatus:
    """What a remote does not have, what it has lost, and what of it was not taken in, in words.

    `areas` are those in which something waits for it. `home` is where its chains live, if that is
    known not to be the usual place; `problem` says why nothing of this can be known.
    """

    name: str
    pending: Pushed = field(default_factory=Pushed)
    areas: Collection[Area] = ()
    lost: Sequence[str] = ()
    refused: Sequence[str] = ()
    home: Home | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """What waits here and for each remote; whether the ledger `goes_along` with `git push`."""

    runs: int
    under_way: Sequence[str] = ()
    rejected: int = 0
    remotes: Sequence[RemoteStatus] = field(default_factory=list)
    goes_along: bool = True


def status_page(status: Status, style: Style) -> str:
    """Return the status as lines, with what to do next."""
    lines = [f"{plural(status.runs, 'run')} recorded here"]
    if status.under_way:
        names = ", ".join(status.under_way)
        lines.append(f"{plural(len(status.under_way), 'run')} under way: {names}")
    if status.rejected:
        could_not = f"{plural(status.rejected, 'run')} could not be recorded"
        lines.append(style.bad(could_not) + "; see: git prov doctor")
    if not status.remotes:
        lines.append("no remote: runs are in this clone only")
    for remote in status.remotes:
        lines += _remote(remote, style, goes_along=status.goes_along)
    return "\n".join(lines)


def status_document(status: Status) -> dict[str, Any]:
    """Return the same for programs."""
    return {
        "schema": "status.1",
        "runs": status.runs,
        "under_way": list(status.under_way),
        "rejected": status.rejected,
        "remotes": [_remote_document(remote) for remote in status.remotes],
    }


def pending_text(pending: Pushed, areas: Collection[Area] = ()) -> str:
    """Return what a push would send: `2 runs, 1 snapshot of uncommitted work`."""
    parts = [plural(pending.runs, "run")] if pending.runs else []
    if pending.snapshots:
        parts.append(f"{plural(pending.snapshots, 'snapshot')} of uncommitted work")
    if pending.commits:
        parts.append(plural(pending.commits, "unpushed commit"))
    return ", ".join(parts or [_NO_RUNS[area] for area in AREAS if area in areas])


def _remote_document(remote: RemoteStatus) -> dict[str, Any]:
    if remote.problem:
        return {"remote": remote.name, "problem": remote.problem}
    return {
        "remote": remote.name,
        **({"home": remote.home._asdict()} if remote.home else {}),
        "pending": {
            "runs": remote.pending.runs,
            "snapshots": remote.pending.snapshots,
            "commits": remote.pending.commits,
            "refs": remote.pending.refs,
        },
        "lost": list(remote.lost),
        "refused": list(remote.refused),
    }


def _remote(remote: RemoteStatus, style: Style, *, goes_along: bool) -> Iterator[str]:
    name = printable(remote.name)
    if remote.problem:
        yield f"{name}: {style.bad(printable(remote.problem))}"
        return
    if remote.home and remote.home.remote != remote.name:
        yield f"{name}: its runs live at {printable(remote.home.remote)}"
        return
    if remote.home and remote.home.namespace != OURS:
        name += f" ({printable(remote.home.namespace)})"
    if remote.pending.refs:
        waits = style.id(pending_text(remote.pending, remote.areas))
        yield f"{name}: {waits} to send; {_way(remote, goes_along=goes_along)}"
    else:
        yield f"{name}: has everything"
    for text in (*remote.lost, *remote.refused):
        yield style.bad(f"  {printable(text)}")


def _way(remote: RemoteStatus, *, goes_along: bool) -> str:
    """Return what sends what waits."""
    if not goes_along or "ledger" not in remote.areas:
        return "git prov push"
    if len(remote.areas) == 1:
        return "git push"
    return "git push sends the runs, git prov push all"
