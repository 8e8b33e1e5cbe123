"""`git prov links`: what became of the commit that a run was made from."""

import json
from pathlib import Path
from typing import Annotated

import typer

from gitprov.cli.catching_up import current_store, note_links
from gitprov.cli.finding import find_run
from gitprov.cli.terminal import paged, say, style_for, verb
from gitprov.index.history import LAST, History
from gitprov.model.wording import plural
from gitprov.views.links import links_document, links_page

app = verb()


@app.command()
def links(
    run: Annotated[
        str,
        typer.Argument(help="last, last~2, the beginning of an id, a name, a commit or a branch."),
    ] = LAST,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    rewritten: Annotated[
        Path | None,
        typer.Option(
            "--record-map",
            metavar="FILE",
            help="First record which commits were rewritten: a line with old and new id for each.",
        ),
    ] = None,
) -> None:
    """Explain which commits of today stand for the source of a run.

    Amends and rebases are recorded as they happen. Squash merges and cherry-picks are found by
    what they change, and marked as inferred. Uncommitted changes that ran are found where all of
    them were committed; a part of them where it is known what the run has read (git prov run
    --trace).
    """
    with current_store() as store:
        if rewritten is not None:
            # Late: nothing else of this verb writes.
            from gitprov.recorder.rewriting import record_map  # noqa: PLC0415
            from gitprov.store.rewrites import read_map  # noqa: PLC0415

            count = record_map(store, read_map(rewritten))
            note_links(store)
            say(f"recorded {plural(count, 'rewritten commit')} that runs were made from")
        history = History(store)
        found = find_run(history, run).record
        links = history.links(found)
        commits = [link.commit for link in links]
        if found.source and found.source.commit:
            commits.append(found.source.commit)
        branches = history.branches_with(commits)
        if as_json:
            print(json.dumps(links_document(found, links, branches)))
            return
        style = style_for(store.repository)
        with paged(store.repository):
            print(links_page(found, history.short_id(found.id), links, branches, style))
