"""`git prov sync`: pull, then push."""

from gitprov.cli.catching_up import current_store, note_links, warn
from gitprov.cli.progress import progress_bar
from gitprov.cli.remotes import (
    Remote,
    accepted_document,
    accepted_text,
    chosen_remote,
    fail_on,
    pushed_document,
    pushed_text,
    refusals,
)
from gitprov.cli.terminal import Json, verb
from gitprov.store.publishing import shared_areas
from gitprov.store.sync import pull, push
from gitprov.views.json import json_line

app = verb()


@app.command()
def sync(remote: Remote = None, as_json: Json = False) -> None:
    """Fetch from a remote what is new there, and send it what is new here."""
    with current_store() as store:
        name = chosen_remote(store.repository, remote, to_push=True)
        with progress_bar() as watch:
            taken = pull(store, name, watch=watch)
        warn(taken.lost)
        note_links(store)
        with progress_bar() as watch:
            sent = push(store, name, shared_areas(store.repository.config), watch=watch)
        warn(sent.lost)
    if as_json:
        both = {**accepted_document(taken, name), **pushed_document(sent, name)}
        print(json_line({"schema": "sync.1", **both}))
    else:
        print(f"{accepted_text(taken, name)}; {pushed_text(sent, name)}")
    fail_on(
        [*taken.refused.values(), *refusals(sent, name)],
        f"not everything could be exchanged with {name}",
    )
