"""The words of ledger entries: a subject that a person can read, trailers that a script can.

`git log --glob='refs/prov/ledger/*'` shows them where gitprov is not installed. Specification:
section 4.
"""

import re
from collections.abc import Sequence

from gitprov.model.ids import short
from gitprov.model.rewrite import Rewrite
from gitprov.model.run import Run
from gitprov.model.wording import command_text, metrics_text, plural, printable, status_text
from gitprov.store.objects import Commit

_SUBJECT_LENGTH = 100
# Nobody reads the metrics of a thousand runs in a commit message.
_METRICS_OF_RUNS = 100
# The record has them all.
_LISTED_COMMITS = 100

# All but line ends: what terminals obey, in one byte or, as UTF-8, in two.
_CONTROLS = re.compile(rb"[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]")
_RUN_TRAILER = re.compile(rb"^Prov-Run: (.*)$", re.MULTILINE)


def entry_message(runs: Sequence[Run]) -> bytes:
    """Return the commit message of an entry that holds `runs`."""
    if len(runs) == 1:
        parts = [_subject(runs[0])]
        if runs[0].message:
            parts.append("\n".join(printable(line) for line in runs[0].message.splitlines()))
    else:
        lines = "\n".join(_subject(run) for run in runs)
        parts = [f"{len(runs)} runs", lines]
    with_metrics = len(runs) <= _METRICS_OF_RUNS
    parts.append(
        "\n".join(line for run in runs for line in _trailers(run, with_metrics=with_metrics))
    )
    return ("\n\n".join(parts) + "\n").encode()


def runs_named(message: bytes) -> tuple[str, ...]:
    """Return the ids that the trailers of an entry name, sorted.

    Trailers are the last paragraph: what people wrote stands before it, and names no runs.
    """
    trailers = message.rstrip(b"\n").rpartition(b"\n\n")[2]
    return tuple(sorted(name.decode("ascii", "replace") for name in _RUN_TRAILER.findall(trailers)))


def has_controls(commit: Commit) -> bool:
    """Say whether a commit has characters that could move the cursor of who reads its chain."""
    parts = (commit.author, commit.committer, commit.message)
    return any(_CONTROLS.search(part) for part in parts)


def rewrite_message(rewrite: Rewrite) -> bytes:
    """Return the commit message of an entry that holds a `rewrite`."""
    subject = f"{plural(len(rewrite.commits), 'commit')} rewritten: {printable(rewrite.how)}"
    lines = [
        f"Prov-Rewritten: {pair.old} {pair.new or 'dropped'}"
        for pair in rewrite.commits[:_LISTED_COMMITS]
    ]
    return "\n".join((subject, "", *lines, "")).encode()


def person(name: str | None, email: str | None, time_ns: int) -> bytes:
    """Return a commit's author or committer line, cleared of what would break the header."""

    def clean(text: str) -> str:
        return printable(text).translate({ord("<"): None, ord(">"): None}).strip()

    name, email = clean(name or "unknown"), clean(email or "unknown")
    return f"{name or 'unknown'} <{email}> {time_ns // 1_000_000_000} +0000".encode()


def _subject(run: Run) -> str:
    text = f"run {short(run.id)} {status_text(run)}: {command_text(run.command.argv)}"
    return text if len(text) <= _SUBJECT_LENGTH else text[: _SUBJECT_LENGTH - 1] + "…"


def _trailers(run: Run, *, with_metrics: bool) -> list[str]:
    lines = [f"Prov-Run: {run.id}", f"Prov-Status: {run.status}"]
    if run.source is not None and run.source.commit:
        lines.append(f"Prov-Source: {run.source.commit}")
    if run.source is not None and run.source.snapshot:
        lines.append(f"Prov-Snapshot: {run.source.snapshot}")
    if run.metrics and with_metrics:
        lines.append(f"Prov-Metrics: {metrics_text(run.metrics)}")
    return lines
