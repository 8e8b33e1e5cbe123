"""`git prov data ls` and `log`: what data is recorded, and its versions over time."""

import time
from typing import Annotated, Any

import typer

from gitprov.capture.data.options import DataOptions
from gitprov.cli.catching_up import current_store
from gitprov.cli.data.arguments import names_in
from gitprov.cli.terminal import Json, paged, say, style_for
from gitprov.codec.documents import to_document
from gitprov.data.references import Recorded
from gitprov.data.sides import Side
from gitprov.errors import UnknownData
from gitprov.index.artifacts import DataIndex, Version
from gitprov.model.ids import short
from gitprov.model.wording import place_text, plural, printable
from gitprov.store.store import Store
from gitprov.views.data import artifact_text, content_text, item_document, item_line, table
from gitprov.views.json import json_line
from gitprov.views.log import age_text
from gitprov.views.style import Style

_RUNS_SHOWN = 5


def register(app: typer.Typer) -> None:
    """Add the verbs to their group."""
    app.command("ls")(list_data)
    app.command("log")(log)


def list_data(
    data: Annotated[
        str | None,
        typer.Argument(metavar="DATA", help="A run, RUN:NAME, or a path or URI as it is now."),
    ] = None,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Show the files in all folders below.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List recorded data: all that there is, that of a run, or what a folder held."""
    with current_store() as store:
        style = style_for(store.repository)
        with paged(store.repository):
            if data is None:
                _all(store, as_json=as_json)
                return
            with names_in(store, DataOptions()) as names:
                found = names.all(data)
                recorded = [item for item in found if isinstance(item, Recorded)]
                if recorded and data.partition(":")[2] == "":
                    _of_run(recorded, as_json=as_json)
                    return
                side = names.sides.of(found[0])
            if side.listing is None:
                print(json_line(to_document(side.artifact)) if as_json else _line(side))
                return
            pairs = (
                side.listing.items()
                if recursive
                else ((item.name, item) for item in side.listing.folder())
            )
            for path, item in pairs:
                if as_json:
                    print(json_line(item_document(path, item)))
                else:
                    print(item_line(path, item, style))


def log(
    uri: Annotated[
        str,
        typer.Argument(metavar="DATA", help="A path, URI, name, or pattern as in 's3://b/train*'."),
    ],
    as_json: Json = False,
) -> None:
    """Show the versions that data has had, the newest first, and the runs that used each."""
    with current_store() as store:
        index = DataIndex(store)
        found = index.versions_at(uri, store.repository.work_tree)
        versions = found or index.versions(uri, is_pattern=True)
        if not versions:
            raise UnknownData(
                f"no run has recorded {printable(uri)}; what there is: git prov data ls"
            )
        style, now_ns = style_for(store.repository), time.time_ns()
        with paged(store.repository):
            for version in reversed(versions):
                if as_json:
                    print(json_line(_document(version)))
                else:
                    print("\n".join(_paragraph(version, style, now_ns)))


def _all(store: Store, *, as_json: bool) -> None:
    """Print the newest version of all data."""
    now_ns = time.time_ns()
    found = DataIndex(store).latest()
    if not found:
        say("no run has recorded data; record some with: git prov data snapshot PATH")
    if as_json:
        for version, count in found:
            print(json_line({**_document(version), "versions": count}))
        return
    rows = []
    for version, count in found:
        use = version.uses[-1]
        place = printable(version.place)
        called = place
        if version.name and version.name != version.place:
            called = f"{printable(version.name)} ({place})"
        content = content_text(version.files, version.size, version.digest)
        when = f"{use.role} of {short(use.run_id)} ({age_text(now_ns - use.started_ns)})"
        rows.append((called, content, plural(count, "version"), when))
    for line in table(rows):
        print(line)


def _of_run(data: list[Recorded], *, as_json: bool) -> None:
    """Print the data of a run."""
    if as_json:
        for item in data:
            print(json_line({"role": item.role, **to_document(item.artifact)}))
        return
    rows = [
        (item.role, printable(item.text.partition(":")[2]), artifact_text(item.artifact))
        for item in data
    ]
    for line in table(rows):
        print(line)


def _line(side: Side) -> str:
    place = place_text(side.artifact)
    return f"{printable(place)}  {artifact_text(side.artifact)}"


def _paragraph(version: Version, style: Style, now_ns: int) -> list[str]:
    name = f" ({printable(version.name)})" if version.name else ""
    content = content_text(version.files, version.size, version.digest)
    lines = [style.id(version.digest or "not hashed")]
    lines.append(f"    {printable(version.place)}{name}: {content}")
    uses = version.uses
    for use in uses[-_RUNS_SHOWN:][::-1]:
        age = age_text(now_ns - use.started_ns)
        lines.append(f"    {use.role} of run {short(use.run_id)} ({age})")
    if len(uses) > _RUNS_SHOWN:
        lines.append(f"    and {plural(len(uses) - _RUNS_SHOWN, 'earlier run')}")
    return [*lines, ""]


def _document(version: Version) -> dict[str, Any]:
    found = {
        "place": version.place,
        "name": version.name,
        "kind": version.kind,
        "digest": version.digest,
        "size": version.size,
        "file_count": version.files,
        "runs": [
            {"id": use.run_id, "role": use.role, "started_ns": use.started_ns}
            for use in version.uses
        ],
    }
    return {key: value for key, value in found.items() if value is not None}
