"""`git prov env log`: when the environment of runs has changed, and how."""

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any

import typer

from gitprov.cli.catching_up import current_store
from gitprov.cli.terminal import Json, paged, say, style_for
from gitprov.environments.history import EnvironmentHistory, PackageVersion, Step
from gitprov.errors import UnknownPackage
from gitprov.index.environments import Stretch
from gitprov.index.history import History
from gitprov.model.environment_wording import word
from gitprov.model.ids import short
from gitprov.model.wording import command_text, plural, printable
from gitprov.views.data import table
from gitprov.views.environment_changes import change_document, difference_lines
from gitprov.views.environments import summary
from gitprov.views.json import json_line
from gitprov.views.log import age_text, date_text
from gitprov.views.style import Style

_CHANGES_SHOWN = 12


def register(app: typer.Typer) -> None:
    """Add the verb to its group."""
    app.command("log")(log)


def log(
    packages: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PACKAGE]...", help="Packages, whose versions are wanted; python is one."
        ),
    ] = None,
    count: Annotated[
        int | None, typer.Option("--max-count", "-n", min=0, help="Show at most so many changes.")
    ] = None,
    reverse: Annotated[bool, typer.Option("--reverse", help="Show the oldest first.")] = False,
    as_json: Json = False,
) -> None:
    """Show where the environment of runs has changed, the newest first.

    With names of packages: the versions that these have had, and the first and the last run with
    each.
    """
    with current_store() as store:
        runs = History(store)
        history = EnvironmentHistory(store, runs)
        style, now_ns = style_for(store.repository), time.time_ns()
        if packages:
            found = [(name, _versions(history, name, reverse=reverse)) for name in packages]
            with paged(store.repository):
                for name, versions in found:
                    _show_versions(name, versions[:count], style, now_ns, as_json=as_json)
            return
        number = -1
        with paged(store.repository):
            for number, step in enumerate(history.steps(oldest_first=reverse)):
                if number == count:
                    break
                if as_json:
                    print(json_line(_step_document(step)))
                else:
                    print("\n" * bool(number) + "\n".join(_paragraph(step, style, now_ns)))
        if number < 0:
            say("no run has recorded an environment; record one with: git prov run -- COMMAND")


def _versions(history: EnvironmentHistory, name: str, *, reverse: bool) -> list[PackageVersion]:
    versions = history.versions(name)
    if not versions:
        # Late: only a mistake needs it.
        from difflib import get_close_matches  # noqa: PLC0415

        near = get_close_matches(name, history.names(), n=1)
        hint = f"did you mean {printable(near[0])}?" if near else "see: git prov env show"
        raise UnknownPackage(f"no run has had a package {printable(name)}; {hint}")
    return versions if reverse else versions[::-1]


def _show_versions(
    name: str, versions: list[PackageVersion], style: Style, now_ns: int, *, as_json: bool
) -> None:
    if as_json:
        for version in versions:
            print(json_line(_version_document(name, version)))
        return
    print(style.label(printable(name)))
    rows = [row for version in versions for row in _version_rows(version, now_ns)]
    if not any(notes for _, notes, *_ in rows):
        rows = [(version, *when) for version, _, *when in rows]
    for line in table(rows):
        print(f"  {line}")


def _version_rows(version: PackageVersion, now_ns: int) -> Iterator[tuple[str, ...]]:
    first, last = version.first, version.last
    start = f"first {short(first.first)} ({age_text(now_ns - first.first_ns)})"
    end = f"last {short(last.last)} ({age_text(now_ns - last.last_ns)})"
    when = (plural(version.count, "run"), f"{start}, {end}")
    if version.problem:
        yield ("not known", word(version.problem), *when)
    elif not version.installed:
        yield ("not there", "", *when)
    for number, item in enumerate(version.installed):
        where = "" if item.where == "Python" else word(item.where)
        notes = ", ".join(text for text in (where, word(item.note or "")) if text)
        yield (word(item.version), notes, *(when if number == 0 else ("", "")))


def _paragraph(step: Step, style: Style, now_ns: int) -> Iterator[str]:
    stretch = step.stretch
    age = age_text(now_ns - stretch.first_ns)
    runs = plural(stretch.count, "run")
    yield f"{style.id(f'run {short(stretch.first)}')} {date_text(stretch.first_ns)} ({age}), {runs}"
    yield f"    {style.dim(command_text(step.run.command.argv))}"
    if step.problem is not None:
        yield f"    {style.bad('not known:')} {word(step.problem)}"
        return
    if step.difference is None:
        yield f"    the first: {summary(step.environment) if step.environment else ''}"
        return
    changes = step.difference.changes
    for line in difference_lines(replace(step.difference, changes=changes[:_CHANGES_SHOWN]), style):
        yield f"    {line}"
    more = len(changes) - _CHANGES_SHOWN
    see = f"git prov env diff {short(step.before or '')} {short(stretch.first)}"
    if more > 0:
        yield f"    and {more} more; see: {see}"
    else:
        yield style.dim(f"    {see}")


def _stretch_document(first: Stretch, last: Stretch, count: int) -> dict[str, Any]:
    return {
        "first": {"run": first.first, "started_ns": first.first_ns},
        "last": {"run": last.last, "started_ns": last.last_ns},
        "runs": count,
    }


def _step_document(step: Step) -> dict[str, Any]:
    found: dict[str, Any] = {
        "digest": step.stretch.digest,
        **_stretch_document(step.stretch, step.stretch, step.stretch.count),
    }
    if step.before is not None:
        found["before"] = step.before
    if step.problem is not None:
        found["problem"] = step.problem
    if step.difference is not None:
        found["changes"] = [change_document(change) for change in step.difference.changes]
    return found


def _version_document(name: str, version: PackageVersion) -> dict[str, Any]:
    found: dict[str, Any] = {
        "package": name,
        "installed": [
            {
                "where": item.where,
                "version": item.version,
                **({"note": item.note} if item.note else {}),
            }
            for item in version.installed
        ],
        **_stretch_document(version.first, version.last, version.count),
    }
    if version.problem is not None:
        found["problem"] = version.problem
    return found
