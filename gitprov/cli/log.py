"""`git prov log`: runs, the newest first."""

import time
from typing import Annotated

import typer

from gitprov.cli.catching_up import current_store
from gitprov.cli.terminal import Json, paged, say, style_for, verb
from gitprov.index.history import History
from gitprov.model.wording import plural
from gitprov.views.json import json_line
from gitprov.views.log import oneline, paragraph

app = verb()


@app.command()
def log(
    revisions: Annotated[
        list[str] | None,
        typer.Argument(help="Commits or ranges, as in main~5..main: the runs made from them."),
    ] = None,
    count: Annotated[
        int | None, typer.Option("--max-count", "-n", min=0, help="Show at most so many runs.")
    ] = None,
    one_line: Annotated[bool, typer.Option("--oneline", help="Show one line a run.")] = False,
    where: Annotated[
        str | None,
        typer.Option("--where", help="A query, as in 'metrics.accuracy > 0.9' (docs/queries.md)."),
    ] = None,
    reverse: Annotated[bool, typer.Option("--reverse", help="Show the oldest first.")] = False,
    as_json: Json = False,
) -> None:
    """List runs, the newest first."""
    with current_store() as store:
        history = History(store)
        runs = history.runs(
            where=where, revisions=revisions or (), limit=count, oldest_first=reverse
        )
        if bad := history.unreadable():
            say(f"gitprov: warning: {plural(bad, 'record')} cannot be read; see: git prov verify")
        if as_json:
            for run in runs:
                print(json_line(run.document))
            return
        style, now_ns = style_for(store.repository), time.time_ns()
        number = -1
        with paged(store.repository):
            for number, run in enumerate(runs):
                run_id = history.short_id(run.record.id)
                link = history.link_of(run.record)
                if one_line:
                    print(oneline(run.record, run_id, style, link))
                    continue
                text = paragraph(run.record, run_id, style, now_ns=now_ns, link=link)
                print("\n" * bool(number) + text)
        # Afterwards: a query or range that cannot be understood is an error in any repository.
        if number < 0 and not history.count():
            say("no runs are recorded here; record one with: git prov run -- COMMAND")
