"""`git prov status`: what waits here, and what remotes do not have yet."""

from typing import Annotated

import typer

from gitprov.cli.catching_up import current_store
from gitprov.cli.terminal import style_for, verb
from gitprov.errors import GitprovError
from gitprov.index.history import History
from gitprov.model.ids import short
from gitprov.store.high_water import HighWater
from gitprov.store.home import home_of
from gitprov.store.publishing import pending_chains, preview, shared_areas
from gitprov.store.remote_tips import refusals
from gitprov.store.setbacks import loss_text
from gitprov.store.store import Store
from gitprov.views.json import json_line
from gitprov.views.status import RemoteStatus, Status, status_document, status_page

app = verb()


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what waits: runs under way, and what remotes do not have yet.

    Asks no remote: this is what was seen of them last.
    """
    with current_store() as store:
        repository = store.repository
        rejected = repository.prov_dir / "rejected"
        found = Status(
            runs=History(store).count(),
            under_way=[short(run.id) for run in store.journal.runs() if not run.is_finished],
            rejected=sum(1 for _ in rejected.iterdir()) if rejected.is_dir() else 0,
            remotes=[_remote(store, name) for name in repository.config.remotes()],
            goes_along=repository.config.flag("prov.autopush", default=True),
        )
        if as_json:
            print(json_line(status_document(found)))
        else:
            print(status_page(found, style_for(repository)))


def _remote(store: Store, name: str) -> RemoteStatus:
    git, config = store.repository.git, store.repository.config
    try:
        home, areas = home_of(config, name), shared_areas(config)
    except GitprovError as error:  # a setting that leads astray says nothing of other remotes
        return RemoteStatus(name, problem=str(error))
    lost = (loss_text(git, name, fallen) for fallen in HighWater(store.repository).lost_at(name))
    refused = refusals(store.repository, store.refs())
    return RemoteStatus(
        name,
        preview(store, name, areas),
        {shard.area for shard in pending_chains(store, home, areas)},
        [text for text in lost if text],
        [reason for tip, reason in refused.items() if tip.remote == name],
        home,
    )
