"""What is to be done for a recorded environment, and what has come of it, in words and as JSON."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gitprov.capture.files import raw_text
from gitprov.environments.interpreters import Found
from gitprov.environments.restoration import LOCKS_FOLDER, Outcome
from gitprov.environments.restoration_plan import How, Left, Plan, Step
from gitprov.model.ids import short
from gitprov.model.run import Run
from gitprov.model.wording import plural, printable

_SHOWN = 20
_HOW: dict[How, str] = {
    "locked": "by the hashes of a lock",
    "pinned": "by version, as no lock names their files",
    "archive": "from URLs",
    "file": "from files here",
    "vcs": "from repositories, at their commits",
    "source": "from the source of the run",
}
_BARE: tuple[How, ...] = ("locked", "pinned")  # a name is enough


def plan_lines(run: Run, plan: Plan, folder: Path, python: Found | None) -> list[str]:
    """Return what would be done, a line each."""
    return [printable(line) for line in _plan_lines(run, plan, folder, python)]


def outcome_lines(plan: Plan, folder: Path, python: Found | None, outcome: Outcome) -> list[str]:
    """Return what has come of it."""
    return [printable(line) for line in _outcome_lines(plan, folder, python, outcome)]


def outcome_document(
    run: Run, plan: Plan, folder: Path, python: Found | None, outcome: Outcome | None
) -> dict[str, Any]:
    """Return the plan, and with an outcome what has come of it."""
    document: dict[str, Any] = {
        "schema": "environment-restore.1",
        "run": run.id,
        "folder": raw_text(folder),
        "dry_run": outcome is None,
        "maker": plan.maker,
        "conda": [package.url for package in plan.conda],
        "packages": [_step_document(step) for step in plan.steps],
        "left_out": [asdict(item) for item in plan.left],
        "locks": [asdict(lock) for lock in plan.locks],
        "hosts": list(plan.hosts),
        "notes": list(_notes(plan, python)),
    }
    if python is not None:
        document["python"] = {"path": raw_text(python.path), "version": python.version}
    if outcome is not None:
        near = outcome.nearness
        document |= {
            "tool": outcome.tool,
            "failed": [asdict(item) for item in outcome.failed],
            "verdict": near.verdict,
            "differences": [asdict(item) for item in near.differences],
            "other_content": list(near.contents),
            "unknown_content": list(near.unknown),
        }
    return document


def _step_document(step: Step) -> dict[str, Any]:
    document = {
        "name": step.name,
        "version": step.version,
        "how": step.how,
        "hashed": step.hashed,
        "builds": step.builds,
    }
    return document | ({"from": step.place} if step.place else {})


def _plan_lines(run: Run, plan: Plan, folder: Path, python: Found | None) -> Iterator[str]:
    kind = {"conda": "a conda environment", "uv": "a virtual environment (uv, if here)"}
    made = kind.get(plan.maker, "a virtual environment")
    yield f"the environment of run {short(run.id)} in {folder}: {made}"
    if python is not None:
        yield f"  {python.title}: {python.path}"
    if plan.conda:
        yield f"  {plural(len(plan.conda), 'conda package')} from their URLs"
    yield from _by_how(plan.steps)
    built = [step.name for step in plan.steps if step.builds]
    if built:
        yield f"  builds, which execute code: {_some(built)}"
    if plan.hosts:
        yield f"  hosts beside indexes: {_some(plan.hosts)}"
    yield from _absent("left out", plan.left)
    for lock in plan.locks:
        yield f"  {LOCKS_FOLDER}/{lock.path}; there: {lock.command}"
    for note in _notes(plan, python):
        yield f"  {note}"


def _by_how(steps: Sequence[Step]) -> Iterator[str]:
    groups: dict[How, list[Step]] = defaultdict(list)
    for step in steps:
        groups[step.how].append(step)
    for how, text in _HOW.items():
        if group := groups[how]:
            yield f"  {plural(len(group), 'package')} {text}{_named(how, group)}"
            if how not in _BARE:
                yield from _listed(group)


def _outcome_lines(
    plan: Plan, folder: Path, python: Found | None, outcome: Outcome
) -> Iterator[str]:
    near = outcome.nearness
    counts = f"{plural(len(outcome.installed), 'package')} installed"
    if plan.conda:
        counts = f"{plural(len(plan.conda), 'conda package')}, {counts}"
    yield f"{folder}: {near.verdict} ({counts} with {outcome.tool})"
    for item in near.differences:
        yield f"  differs   {item.name}: {item.recorded or 'absent'} recorded, " + (
            f"{item.restored} restored" if item.restored else "absent now"
        )
    if near.contents:
        yield f"  of other content: {_some(near.contents)}"
    if near.unknown:
        yield f"  content not compared, as it is not known: {_some(near.unknown)}"
    yield from _absent("failed", outcome.failed)
    yield from _absent("left out", plan.left)
    by_version = [step.name for step in outcome.installed if step.how == "pinned"]
    if by_version:
        yield f"  by version alone, as no lock names their files: {_some(by_version)}"
    for lock in plan.locks:
        yield f"  {folder / LOCKS_FOLDER / lock.path}; there: {lock.command}"
    for note in _notes(plan, python):
        yield f"  {note}"


def _notes(plan: Plan, python: Found | None) -> Iterator[str]:
    if python is not None and python.note:
        yield python.note
    yield from plan.notes


def _named(how: How, steps: Sequence[Step]) -> str:
    return f": {_some([step.name for step in steps])}" if how == "pinned" else ""


def _listed(steps: Sequence[Step]) -> Iterator[str]:
    for step in steps[:_SHOWN]:
        checked = "" if step.hashed or step.how in ("vcs", "source") else ", no hash is known"
        where = f" {step.place}" if step.place else ""
        yield f"    {step.name} {step.version}{where}{checked}"
    if len(steps) > _SHOWN:
        yield f"    and {plural(len(steps) - _SHOWN, 'other')}"


def _absent(word: str, items: Sequence[Left]) -> Iterator[str]:
    for item in items[:_SHOWN]:
        yield f"  {word:<9} {item.name} {item.version}: {item.reason}"
    if len(items) > _SHOWN:
        yield f"  {word:<9} {plural(len(items) - _SHOWN, 'other')}: --json names them"


def _some(names: Sequence[str]) -> str:
    more = f" and {plural(len(names) - _SHOWN, 'other')}" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
