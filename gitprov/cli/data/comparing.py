"""`git prov data diff`: what two states of data differ in."""

from collections.abc import Iterable
from typing import Annotated

import typer

from gitprov.capture.data.options import DataOptions
from gitprov.cli.catching_up import current_store
from gitprov.cli.data.arguments import names_in
from gitprov.cli.data.options import Data, Engine, Verify
from gitprov.cli.terminal import Json, paged, say, style_for
from gitprov.data.comparison import KINDS, DataDifference, compare
from gitprov.data.content import DataContent
from gitprov.data.tables import ChangedTable, changed_tables
from gitprov.errors import MissingDependency, UnknownData
from gitprov.model.wording import printable
from gitprov.views.data import artifact_text, change_document, change_line, count_text
from gitprov.views.json import json_line
from gitprov.views.tables import drift_lines


def register(app: typer.Typer) -> None:
    """Add the verb to its group."""
    app.command()(diff)


def diff(
    before: Data,
    after: Annotated[
        str | None,
        typer.Argument(metavar="[DATA]", help="The other; what lies there now by default."),
    ] = None,
    summary: Annotated[
        bool, typer.Option("--stat", help="Count the files that differ; do not name them.")
    ] = False,
    verify: Verify = False,
    engine: Engine = None,
    as_json: Json = False,
) -> None:
    """Show which files were added, removed, changed or renamed between two states of data.

    Of tables, what of their rows, columns and values has changed. Exits with 1 where something
    differs.
    """
    options = DataOptions(verify=verify, engine=engine)
    with current_store() as store, names_in(store, options) as names:
        one = names.sides.of(names.one(before))
        two = names.sides.now(one) if after is None else names.sides.of(names.one(after), one)
        found = compare(one, two)
        for side in (one, two):
            if side.artifact.kind == "tree" and side.listing is None:
                raise UnknownData(f"{printable(side.text)} has no listing to compare")
        style = style_for(store.repository)
        content = DataContent(store.repository, names.sides)
        tables = {} if summary else _tables(content, found)
        if as_json:
            for change in found.changes:
                drift = tables[change.path].drift if change.path in tables else None
                more = {"table": drift.to_document()} if drift else {}
                print(json_line({**change_document(*change), **more}))
        else:
            with paged(store.repository):
                print(f"{style.bad('-')} {printable(one.text)}: {artifact_text(one.artifact)}")
                print(f"{style.good('+')} {printable(two.text)}: {artifact_text(two.artifact)}")
                for change in found.changes if not summary else ():
                    if change.path:
                        print(change_line(*change, style))
                    for line in _table_lines(tables.get(change.path)):
                        print(f"           {style.dim(line)}")
                print(count_text({kind: found.count(kind) for kind in KINDS}))
    if found.same is not True:
        raise typer.Exit(1)


def _tables(content: DataContent, found: DataDifference) -> dict[bytes, ChangedTable]:
    try:
        return {table.change.path: table for table in changed_tables(content, found)}
    except MissingDependency as error:
        say(f"gitprov: {error}")
        return {}


def _table_lines(table: ChangedTable | None) -> Iterable[str]:
    if table is None:
        return ()
    return drift_lines(table.drift) if table.drift else [f"not compared: {table.reason}"]
