"""`git prov push`: runs and their sources, to a remote."""

from typing import Annotated

import typer

from gitprov.cli.catching_up import current_store, warn
from gitprov.cli.progress import progress_bar
from gitprov.cli.remotes import (
    Remote,
    chosen_remote,
    fail_on,
    pushed_document,
    pushed_text,
    refusals,
)
from gitprov.cli.terminal import Json, verb
from gitprov.store.publishing import preview, shared_areas
from gitprov.store.sync import push as push_chains
from gitprov.views.json import json_line

app = verb()


@app.command()
def push(
    remote: Remote = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be sent, and send nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Send runs to a remote, with their sources and logs.

    This publishes snapshots of uncommitted work and commits that are not pushed yet, and says how
    many. An ordinary git push sends the runs alone, and so does this one with prov.share=ledger.
    """
    with current_store() as store:
        name = chosen_remote(store.repository, remote, to_push=True)
        areas = shared_areas(store.repository.config)
        if dry_run:
            done = preview(store, name, areas)
        else:
            with progress_bar() as watch:
                done = push_chains(store, name, areas, watch=watch)
    warn(done.lost)
    if as_json:
        print(json_line({"schema": "push.1", "dry_run": dry_run, **pushed_document(done, name)}))
    else:
        print(pushed_text(done, name, "would send" if dry_run else "sent"))
    fail_on(refusals(done, name), f"{name} has refused some refs; ask who runs it")
