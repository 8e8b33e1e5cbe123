"""`git prov init`: a repository, set up."""

from typing import Annotated

import typer

from gitprov.cli.terminal import say, verb
from gitprov.errors import GitprovError
from gitprov.hooks.setup import install
from gitprov.hooks.setup import uninstall as take_out
from gitprov.model.wording import plural, printable
from gitprov.recorder.recovery import catch_up
from gitprov.store.repository import Repository
from gitprov.store.store import Store
from gitprov.store.sync import pull

app = verb()


@app.command()
def init(
    uninstall: Annotated[
        bool, typer.Option("--uninstall", help="Take everything out again; records stay.")
    ] = False,
    fetch: Annotated[
        bool, typer.Option("--fetch/--no-fetch", help="Fetch the runs that remotes have.")
    ] = True,
) -> None:
    """Set this repository up: hooks, fetch refspecs and the display of notes.

    Says what it changes. Doing it again changes nothing, and picks up new remotes.
    """
    repository = Repository.discover()
    changes = take_out(repository) if uninstall else install(repository)
    for change in changes:
        print(f"  {printable(change)}")
    if uninstall:
        print("gitprov is taken out; the runs stay under refs/prov/")
        return
    where = printable(str(repository.work_tree or repository.git_dir))
    print(f"gitprov is set up in {where}" + ("" if changes else " (it was before)"))
    store = Store(Repository.discover())
    catch_up(store)
    if fetch:
        _fetch_all(store)
    print("next: git prov run -- COMMAND")


def _fetch_all(store: Store) -> None:
    """Bring the runs of every remote; one that is away must not stop the set-up."""
    for remote in store.repository.config.remotes():
        try:
            done = pull(store, remote, ["ledger"])
        except GitprovError as error:
            say(f"gitprov: warning: {error}; later: git prov pull {remote}")
            continue
        if done.runs:
            print(f"  {plural(done.runs, 'run')} from {remote}")
        for refusal in done.refused:
            say(f"gitprov: warning: {refusal}")
