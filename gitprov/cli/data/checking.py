"""`git prov data status`, `verify` and `get`: whether recorded data is there, and as it was."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from gitprov.capture.data.options import DataOptions
from gitprov.cli.catching_up import current_store
from gitprov.cli.data.arguments import Names, names_in
from gitprov.cli.data.options import Engine, Verify
from gitprov.cli.terminal import Json, say, style_for
from gitprov.data.checking import DataState, check
from gitprov.data.comparison import KINDS
from gitprov.data.content import DataContent
from gitprov.data.references import Recorded
from gitprov.index.history import LAST
from gitprov.model.ids import short
from gitprov.model.wording import plural, printable
from gitprov.store.store import Store
from gitprov.views.data import artifact_text, change_line, count_text
from gitprov.views.json import json_line
from gitprov.views.style import Style

_SHOWN = 20


def register(app: typer.Typer) -> None:
    """Add the verbs to their group."""
    app.command()(status)
    app.command()(verify)
    app.command()(get)


def status(
    data: Annotated[
        str,
        typer.Argument(metavar="DATA", help="A run, or RUN:NAME; last by default."),
    ] = LAST,
    everything: Annotated[
        bool, typer.Option("--all", help="All data that any run has recorded, as it was last.")
    ] = False,
    verify: Verify = False,
    engine: Engine = None,
    as_json: Json = False,
) -> None:
    """Show which recorded data has changed since; exit with 1 if some has.

    It costs a look at each file: one whose size, times and inode are what they were counts as
    unchanged, and a remote object by what its store says. Where that may deceive, read everything:
    git prov data verify.
    """
    options = DataOptions(verify=verify, engine=engine, hint_only=not verify)
    with current_store() as store, names_in(store, options) as names:
        wanted = _everything(names) if everything else names.all_recorded(data)
        _report(store, check(names.sides, wanted), as_json=as_json, strict=False)


def verify(
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="A run, or RUN:NAME; last by default.")
    ] = LAST,
    engine: Engine = None,
    as_json: Json = False,
) -> None:
    """Read all data of a run again and compare it with what was recorded.

    Finds what a look cannot: bytes that changed while size and times were kept. Exits with 1
    unless all of it was read and is as it was.
    """
    options = DataOptions(verify=True, engine=engine)
    with current_store() as store, names_in(store, options) as names:
        _report(store, check(names.sides, names.all_recorded(data)), as_json=as_json, strict=True)


def get(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The run, or RUN:NAME and DEST.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="What of its data.")],
    destination: Annotated[
        Path | None, typer.Argument(metavar="DEST", help="Where to; nothing may be there yet.")
    ] = None,
) -> None:
    """Bring the very bytes that a run has recorded, and check them.

    They come from where they lay, from the source of the run, from stores of git-lfs, git-annex or
    DVC in this clone, or from the URI, in the version that was recorded.
    """
    text, to = (run, name) if destination is None else (f"{run}:{name}", destination)
    with current_store() as store, names_in(store, DataOptions()) as names:
        recorded = names.one_recorded(text)
        count = DataContent(store.repository, names.sides).bring(recorded, Path(to))
    say(f"gitprov: {to}: {plural(count, 'file')}, as recorded by run {short(recorded.run.id)}")


def _everything(names: Names) -> Iterable[Recorded]:
    return (names.newest(version) for version, _ in names.index.latest())


def _report(store: Store, states: Iterable[DataState], *, as_json: bool, strict: bool) -> None:
    """Print what has become of data; exit with 1 where it is not as it was."""
    style = style_for(store.repository)
    bad = False
    for found in states:
        bad |= found.state in ("changed", "gone") or (strict and not _is_checked(found))
        print(json_line(_document(found)) if as_json else "\n".join(_lines(found, style)))
    if bad:
        raise typer.Exit(1)


def _is_checked(found: DataState) -> bool:
    """Say whether all of it was read."""
    left_out = found.difference.after.left_out if found.difference else {}
    return found.state != "unknown" and not left_out


def _lines(found: DataState, style: Style) -> list[str]:
    colour = {"same": style.good, "unknown": style.dim}.get(found.state, style.bad)
    item = found.recorded.artifact
    name = printable(found.recorded.text.partition(":")[2])
    what = artifact_text(item)
    difference = found.difference
    if difference is not None and found.state == "changed" and difference.changes:
        what = count_text({kind: difference.count(kind) for kind in KINDS})
    lines = [f"{colour(f'{found.state:<8}')} {found.recorded.role:<6} {name}  {style.dim(what)}"]
    if found.reason:
        lines.append(f"         {printable(found.reason)}")
    changes = difference.changes if difference is not None else []
    lines += [f"       {change_line(*change, style)}" for change in changes[:_SHOWN] if change.path]
    if len(changes) > _SHOWN:
        lines.append(f"         and {plural(len(changes) - _SHOWN, 'other')}")
    return lines


def _document(found: DataState) -> dict[str, Any]:
    document: dict[str, Any] = {
        "run": found.recorded.run.id,
        "role": found.recorded.role,
        "data": found.recorded.text.partition(":")[2],
        "state": found.state,
    }
    if found.reason:
        document["reason"] = found.reason
    if found.difference is not None and found.state == "changed":
        document["changes"] = {kind: found.difference.count(kind) for kind in KINDS}
    return document
