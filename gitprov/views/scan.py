"""What the next run would record and the next push would send, and the secrets in it."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from gitprov.capture.files import raw_text
from gitprov.capture.preview import NextRun
from gitprov.capture.secrets.unpublished import FoundSecret
from gitprov.model.run import Omission
from gitprov.model.wording import command_text, plural, printable, size_text
from gitprov.views.style import Style

_SHOWN = 20
_WIDTH = 12


@dataclass(slots=True)
class NextPush:
    """What a push would send to `remote`; `waiting` runs of the journal go along.

    `unread` names files that are too large to look into.
    """

    remote: str
    runs: int = 0
    snapshots: int = 0
    commits: int = 0
    waiting: int = 0
    secrets: list[FoundSecret] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)


def scan_text(run: NextRun, push: NextPush | None, style: Style) -> str:
    """Return all of it on a page."""
    lines = [style.label("the next run would record"), *_run_lines(run, style)]
    lines += ["", style.label("git prov push would send"), *_push_lines(push)]
    found = [*run.secrets, *(push.secrets if push else [])]
    lines += ["", _verdict(found, style)]
    lines += _shown([f"  {_place(secret)}: {printable(secret.kind)}" for secret in found])
    return "\n".join(lines)


def scan_document(run: NextRun, push: NextPush | None) -> dict[str, Any]:
    """Return the same for programs."""
    next_run: dict[str, Any] = {
        **run.document,
        "environment": {"locks": list(run.locks)},
        "files": [
            {"path": raw_text(os.fsdecode(path)), "size": size} for path, size in run.files.items()
        ],
        "deleted": len(run.deleted),
        "omitted": [_omission(item) for item in run.omitted.values()],
        "secrets": [_secret(found) for found in run.secrets],
    }
    document: dict[str, Any] = {"schema": "scan.1", "next_run": next_run}
    if push is not None:
        document["next_push"] = {
            "remote": push.remote,
            "runs": push.runs,
            "snapshots": push.snapshots,
            "commits": push.commits,
            "waiting": push.waiting,
            "unread": push.unread,
            "secrets": [_secret(found) for found in push.secrets],
        }
    return document


def _run_lines(run: NextRun, style: Style) -> Iterator[str]:
    command = run.document.get("command", {})
    if argv := command.get("argv"):
        yield _line("command", command_text(argv))
    if uri := run.document.get("source", {}).get("repo_uri"):
        yield _line("repository", printable(uri))
    for name, value in command.get("env", {}).items():
        yield _line("variable", printable(f"{name}={value}"))
    for lock in run.locks:
        yield _line("lock file", printable(lock))
    files = f"{plural(len(run.files), 'file')}, {size_text(sum(run.files.values()))}"
    deleted = f", and {len(run.deleted)} deleted" if run.deleted else ""
    yield _line("snapshot", f"{files}{deleted}" if run.files or run.deleted else "nothing differs")
    yield from _shown([
        f"    {printable(raw_text(os.fsdecode(path)))} {style.dim(size_text(size))}"
        for path, size in run.files.items()
    ])  # fmt: skip
    if run.omitted:
        yield _line("left out", plural(len(run.omitted), "path"))
        yield from _shown([
            f"    {printable(item.path)}: {printable(item.reason)}" for item in run.omitted.values()
        ])  # fmt: skip


def _push_lines(push: NextPush | None) -> Iterator[str]:
    if push is None:
        yield "  nothing: there is no remote"
        return
    yield _line("to", printable(push.remote))
    yield _line("runs", str(push.runs) + (f" and {push.waiting} that wait" if push.waiting else ""))
    yield _line("snapshots", f"{push.snapshots} of uncommitted work")
    yield _line("commits", f"{push.commits} not pushed yet")
    yield from _shown([f"  not looked into, too large: {printable(item)}" for item in push.unread])


def _verdict(found: Sequence[FoundSecret], style: Style) -> str:
    if not found:
        return style.good("no secrets found")
    what = plural(len(found), "secret")
    return f"{style.bad(f'{what} found')}; allow what is none in .gitprov.toml"


def _line(name: str, value: str) -> str:
    return f"  {name:{_WIDTH}}{value}"


def _place(secret: FoundSecret) -> str:
    line = "" if secret.line is None else f", line {secret.line}"
    return printable(secret.place) + line


def _shown(lines: Sequence[str]) -> Iterator[str]:
    yield from lines[:_SHOWN]
    if (rest := len(lines) - _SHOWN) > 0:
        yield f"    … and {rest} more: git prov scan --json"


def _secret(found: FoundSecret) -> dict[str, Any]:
    line = {} if found.line is None else {"line": found.line}
    return {"place": found.place, "kind": found.kind, **line}


def _omission(item: Omission) -> dict[str, Any]:
    size = {} if item.size is None else {"size": item.size}
    return {"path": item.path, "reason": item.reason, **size}
