"""What waits in a clone: runs under way, runs that a remote does not have, what it has lost."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from gitprov.model.wording import plural, printable
from gitprov.store.home import Home
from gitprov.store.publishing import Pushed
from gitprov.store.refs import OURS
from gitprov.views.style import Style


@dataclass(frozen=True, slots=True)
class RemoteStatus:
    """What a remote does not have, what it has lost, and what of it was not taken in, in words.

    `home` is where its chains live, if that is known not to be the usual place.
    """

    name: str
    pending: Pushed
    lost: Sequence[str] = ()
    refused: Sequence[str] = ()
    home: Home | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """What waits here and for each remote."""

    runs: int
    under_way: Sequence[str] = ()
    rejected: int = 0
    remotes: Sequence[RemoteStatus] = field(default_factory=list)


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
        lines += _remote(remote, style)
    return "\n".join(lines)


def status_document(status: Status) -> dict[str, Any]:
    """Return the same for programs."""
    return {
        "schema": "status.1",
        "runs": status.runs,
        "under_way": list(status.under_way),
        "rejected": status.rejected,
        "remotes": [
            {
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
            for remote in status.remotes
        ],
    }


def pending_text(pending: Pushed) -> str:
    """Return what a push would send: `2 runs, 1 snapshot of uncommitted work`."""
    parts = [plural(pending.runs, "run")] if pending.runs else []
    if pending.snapshots:
        parts.append(f"{plural(pending.snapshots, 'snapshot')} of uncommitted work")
    if pending.commits:
        parts.append(plural(pending.commits, "unpushed commit"))
    return ", ".join(parts) or "logs and series"


def _remote(remote: RemoteStatus, style: Style) -> Iterator[str]:
    name = printable(remote.name)
    if remote.home and remote.home.remote != remote.name:
        yield f"{name}: its runs live at {printable(remote.home.remote)}"
        return
    if remote.home and remote.home.namespace != OURS:
        name += f" ({printable(remote.home.namespace)})"
    if remote.pending.refs:
        waits = style.id(pending_text(remote.pending))
        by = "git prov push"
        if remote.pending.runs:
            by = "git push sends the runs, git prov push all"
        yield f"{name}: {waits} to send; {by}"
    else:
        yield f"{name}: has everything"
    for text in (*remote.lost, *remote.refused):
        yield style.bad(f"  {printable(text)}")
