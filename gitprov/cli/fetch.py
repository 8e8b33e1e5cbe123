"""`git prov fetch`: logs, series and listings of runs, on demand."""

import time
from datetime import datetime
from typing import Annotated

import typer

from gitprov.cli.catching_up import current_store
from gitprov.cli.finding import find_run
from gitprov.cli.progress import progress_bar
from gitprov.cli.remotes import chosen_remote, fail_on
from gitprov.cli.terminal import verb
from gitprov.errors import InputError, PayloadMissing
from gitprov.index.history import History
from gitprov.model.ids import short
from gitprov.model.run import Run
from gitprov.model.wording import plural
from gitprov.store.refs import PAYLOAD
from gitprov.store.remote_tips import remote_tips
from gitprov.store.store import Store
from gitprov.store.sync import pull_payload

app = verb()
_SECOND = 1_000_000_000
_LAST_SECOND = 9_223_372_036  # that a record can name


@app.command()
def fetch(
    remote: Annotated[
        str | None, typer.Argument(help="The remote; by default that of the branch, or origin.")
    ] = None,
    payload: Annotated[
        list[str] | None,
        typer.Option("--payload", metavar="RUN", help="Fetch the logs and series of this run."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="DATE", help="Fetch those of all runs since 2026-11-21."),
    ] = None,
) -> None:
    """Fetch logs, series and listings, which an ordinary fetch leaves at the remote.

    They come by the chain: those of runs that were recorded by the same clones in the same month
    come along. Runs and their sources come with git prov pull.
    """
    if not payload and since is None:
        raise InputError("fetch what? --payload RUN, or --since DATE; runs: git prov pull")
    with current_store() as store:
        history = History(store)
        asked = [find_run(history, name).record for name in payload or ()]
        places = {place for run in asked for place in history.places(run_id=run.id)}
        if since is not None:
            places |= set(history.places(since_ns=_time_ns(since)))
        name = chosen_remote(store.repository, remote)
        if not places:
            raise InputError(f"no run is recorded here since {since}; newer ones: git prov pull")
        with progress_bar() as watch:
            patterns = sorted(f"{place}*" for place in places)
            done = pull_payload(store, name, patterns, watch=watch)
        found = places & _payload_at(store, name)
        missing = [short(run.id) for run in asked if _lacks_payload(store, run)]
    if found:
        print(f"logs and series of {plural(len(found), 'chain')} from {name}")
    fail_on(
        list(done.refused.values()), f"{name} has chains that break the format; they were left out"
    )
    if missing:
        raise PayloadMissing(f"{name} has no logs and series of {', '.join(missing)}")
    if not found:
        print(f"{name} has no logs and series of these runs")


def _payload_at(store: Store, remote: str) -> set[str]:
    """Return the places that a remote was just seen to have payload of, as `2026-11/0a`."""
    tips = [tip for tip in remote_tips(store.refs()) if tip.remote == remote]
    return {f"{tip.shard.month}/{tip.shard.shard}" for tip in tips if tip.shard.area == "payload"}


def _lacks_payload(store: Store, run: Run) -> bool:
    """Say whether logs, series or listings of a run were recorded and none of them is here."""
    if not run.byproducts and not any(item.listing for item in (*run.inputs, *run.outputs)):
        return False
    # Each commit has the folders of its own runs alone.
    walk = ("rev-list", "-1", "--full-history", f"--glob={PAYLOAD}", "--", run.id)
    return not store.repository.git.run(*walk)


def _time_ns(text: str) -> int:
    """Return the time of a date in the reader's zone; raise InputError."""
    try:
        seconds = int(datetime.fromisoformat(text).astimezone().timestamp())
    except (ValueError, OverflowError):
        raise InputError(f"{text} is no date; write it as {time.strftime('%Y-%m-%d')}") from None
    return min(max(seconds, 0), _LAST_SECOND) * _SECOND
