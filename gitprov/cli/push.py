"""`git prov push`: runs and their sources, to a remote."""

from typing import Annotated

import typer

from gitprov.cli.catching_up import current_store
from gitprov.cli.remotes import Remote, chosen_remote, pushed_text
from gitprov.cli.terminal import say, verb
from gitprov.errors import RemoteFailed
from gitprov.store.sync import preview
from gitprov.store.sync import push as push_chains

app = verb()


@app.command()
def push(
    remote: Remote = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be sent, and send nothing.")
    ] = False,
) -> None:
    """Send runs to a remote, with their sources and logs.

    This publishes snapshots of uncommitted work and commits that are not pushed yet, and says how
    many. An ordinary git push sends the runs alone.
    """
    with current_store() as store:
        name = chosen_remote(store.repository, remote)
        if dry_run:
            print(pushed_text(preview(store, name), name, "would send"))
            return
        done = push_chains(store, name)
        print(pushed_text(done, name))
        for ref, reason in done.refused.items():
            say(f"gitprov: {name} refuses {ref}: {reason}")
        if done.refused:
            raise RemoteFailed(f"{name} has refused {len(done.refused)} refs; ask who runs it")
