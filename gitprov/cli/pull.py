"""`git prov pull`: runs from a remote."""

from typing import Annotated

import typer

from gitprov.cli.catching_up import current_store, note_links, warn
from gitprov.cli.progress import progress_bar
from gitprov.cli.remotes import (
    Remote,
    accepted_document,
    accepted_text,
    chosen_remote,
    fail_on,
)
from gitprov.cli.terminal import Json, verb
from gitprov.store.refs import AREAS
from gitprov.store.sync import pull as pull_chains
from gitprov.views.json import json_line

app = verb()


@app.command()
def pull(
    remote: Remote = None,
    payload: Annotated[
        bool, typer.Option("--payload", help="Fetch logs, series and listings too.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Fetch runs and their sources from a remote, check them, and take them in."""
    with current_store() as store:
        name = chosen_remote(store.repository, remote)
        with progress_bar() as watch:
            areas = AREAS if payload else ("ledger", "keep")
            done = pull_chains(store, name, areas, watch=watch)
        warn(done.lost)
        note_links(store)
    if as_json:
        print(json_line({"schema": "pull.1", **accepted_document(done, name)}))
    else:
        print(accepted_text(done, name))
    fail_on(
        list(done.refused.values()), f"{name} has chains that break the format; they were left out"
    )
