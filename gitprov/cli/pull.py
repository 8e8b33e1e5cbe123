"""`git prov pull`: runs from a remote."""

from typing import Annotated

import typer

from gitprov.cli.catching_up import current_store
from gitprov.cli.remotes import Remote, accepted_text, chosen_remote
from gitprov.cli.terminal import say, verb
from gitprov.errors import RemoteFailed
from gitprov.store.refs import AREAS
from gitprov.store.sync import pull as pull_chains

app = verb()


@app.command()
def pull(
    remote: Remote = None,
    payload: Annotated[
        bool, typer.Option("--payload", help="Fetch logs, series and listings too.")
    ] = False,
) -> None:
    """Fetch runs and their sources from a remote, check them, and take them in."""
    with current_store() as store:
        name = chosen_remote(store.repository, remote)
        done = pull_chains(store, name, AREAS if payload else ("ledger", "keep"))
        print(accepted_text(done, name))
        for refusal in done.refused:
            say(f"gitprov: {refusal}")
        if done.refused:
            raise RemoteFailed(f"{name} has chains that break the format; they were left out")
