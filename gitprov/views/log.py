"""The listing of runs: one line each, or a paragraph each as `git log` has it."""

import time

from gitprov.model.run import Run
from gitprov.model.source_link import SourceLink
from gitprov.model.wording import (
    command_text,
    duration_text,
    link_text,
    metrics_text,
    printable,
    status_text,
)
from gitprov.views.style import Style

_SECOND = 1_000_000_000
_STEPS = ((60, "second"), (60, "minute"), (24, "hour"), (7, "day"), (5, "week"))


def oneline(run: Run, short_id: str, style: Style, link: SourceLink | None = None) -> str:
    """Return a run as one line; `link` says which commit it is listed for, if not its own."""
    parts = [
        style.id(short_id),
        source_text(run),
        f"-> {style.dim(link_text(link))}" if link else "",
        marked_status(run, style),
        style.dim(duration_text(run.duration_ns)),
        metrics_text(run.metrics),
        style.dim(params_text(run)),
        command_text(run.command.argv),
        # As a comment in a shell: command and message are told apart, and a copy still runs.
        f"# {printable(run.message.splitlines()[0])}" if run.message else "",
    ]
    return " ".join(part for part in parts if part)


def paragraph(
    run: Run, short_id: str, style: Style, *, now_ns: int, link: SourceLink | None = None
) -> str:
    """Return a run as a paragraph; `link` says which commit it is listed for, if not its own."""
    name = printable(run.name or "")
    lines = [
        f"{style.id(f'run {short_id}')} {marked_status(run, style)}"
        f" {duration_text(run.duration_ns)} {style.dim(name)}".rstrip(),
        f"Date:    {date_text(run.started_ns)} ({age_text(now_ns - run.started_ns)})",
        f"Source:  {source_text(run) or 'unknown'}",
        f"Command: {command_text(run.command.argv)}",
    ]
    if link:
        lines.insert(3, f"Now in:  {link_text(link)}")
    if run.agent and (run.agent.name or run.agent.email):
        lines.insert(1, f"Author:  {printable(run.agent.name or run.agent.email or '')}")
    if run.params:
        lines.append(f"Params:  {params_text(run)}")
    if run.metrics:
        lines.append(f"Metrics: {metrics_text(run.metrics)}")
    if run.message:
        lines.append("")
        lines += [f"    {printable(line)}" for line in run.message.splitlines()]
    return "\n".join(lines)


def marked_status(run: Run, style: Style) -> str:
    """Return how the run ended, in colour."""
    text = status_text(run)
    return style.good(text) if run.status == "completed" else style.bad(text)


def source_text(run: Run) -> str:
    """Return `1a2b3c4d (main)`, with `+changes` where the work tree was dirty."""
    source = run.source
    if source is None:
        return ""
    text = source.commit[:9] if source.commit else "no commit"
    if source.ref:
        text += f" ({printable(source.ref.removeprefix('refs/heads/'))})"
    return f"{text} +changes" if source.dirty else text


def params_text(run: Run) -> str:
    """Return `lr=0.1 model=svm`."""
    return " ".join(
        f"{printable(name)}={printable(str(value))}" for name, value in run.params.items()
    )


def date_text(time_ns: int) -> str:
    """Return a time in the reader's zone, as `2026-11-21 10:02:33 +0100`."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(time_ns // _SECOND))
    except (OverflowError, ValueError, OSError):
        return f"{time_ns} ns"


def age_text(nanoseconds: int) -> str:
    """Return how long ago that is: `3 minutes ago`."""
    count = nanoseconds // _SECOND
    if count < 0:
        return "in the future"
    for size, unit in _STEPS:
        if count < size:
            return f"{count} {unit}{'' if count == 1 else 's'} ago"
        count //= size
    months = nanoseconds // (_SECOND * 86400 * 30)
    if months < 24:  # noqa: PLR2004
        return f"{months} month{'' if months == 1 else 's'} ago"
    return f"{months // 12} years ago"
