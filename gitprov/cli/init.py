"""`git prov init`: a repository, set up."""

from typing import Annotated

import typer

from gitprov.cli.terminal import Json, say, verb
from gitprov.errors import GitprovError
from gitprov.hooks.setup import install
from gitprov.hooks.setup import uninstall as take_out
from gitprov.model.wording import plural, printable
from gitprov.recorder.recovery import catch_up
from gitprov.store.repository import Repository
from gitprov.store.store import Store
from gitprov.store.sync import pull
from gitprov.views.json import json_line

app = verb()


@app.command()
def init(
    uninstall: Annotated[
        bool, typer.Option("--uninstall", help="Take everything out again; records stay.")
    ] = False,
    fetch: Annotated[
        bool, typer.Option("--fetch/--no-fetch", help="Fetch the runs that remotes have.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Set this repository up: hooks, fetch refspecs and the display of notes.

    Says what it changes. Doing it again changes nothing, and picks up new remotes.
    """
    repository = Repository.discover()
    changes = take_out(repository) if uninstall else install(repository)
    received = {}
    if not uninstall:
        store = Store(Repository.discover())
        catch_up(store)
        received = _fetch_all(store) if fetch else {}
    if as_json:
        print(json_line({"schema": "init.1", "changes": changes, "received": received}))
        return
    for change in changes:
        print(f"  {printable(change)}")
    if uninstall:
        print("gitprov is taken out; the runs stay under refs/prov/")
        return
    for remote, runs in received.items():
        print(f"  {plural(runs, 'run')} from {printable(remote)}")
    where = printable(str(repository.work_tree or repository.git_dir))
    print(f"gitprov is set up in {where}" + ("" if changes else " (it was before)"))
    print("next: git prov run -- COMMAND")


def _fetch_all(store: Store) -> dict[str, int]:
    """Bring the runs of every remote; one that is away must not stop the set-up."""
    received = {}
    for remote in store.repository.config.remotes():
        try:
            done = pull(store, remote, ["ledger"])
        except GitprovError as error:
            say(f"gitprov: warning: {printable(str(error))}; later: git prov pull {remote}")
            continue
        if done.runs:
            received[remote] = done.runs
        for refusal in done.refused:
            say(f"gitprov: warning: {printable(refusal)}")
    return received
