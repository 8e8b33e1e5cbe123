"""`git prov init`: a repository, set up."""

from typing import Annotated

import typer

from gitprov.cli.progress import progress_bar
from gitprov.cli.terminal import Json, say, verb
from gitprov.errors import GitprovError
from gitprov.hooks.hosting import start_checking, stop_checking
from gitprov.hooks.pre_receive import is_off
from gitprov.hooks.setup import install, keep_as_branches
from gitprov.hooks.setup import uninstall as take_out
from gitprov.model.wording import plural, printable
from gitprov.recorder.recovery import catch_up
from gitprov.store.home import Home, has_branches, homes
from gitprov.store.refs import OURS, remote_of
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
    server: Annotated[
        bool, typer.Option("--server", help="On a host: only check the runs that are pushed here.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Set this repository up: hooks, fetch refspecs and the display of notes.

    Says what it changes. Doing it again changes nothing, and picks up new remotes.
    """
    repository = Repository.discover()
    if server:
        _host(repository, uninstall=uninstall, as_json=as_json)
        return
    changes = take_out(repository) if uninstall else install(repository)
    received = {}
    if not uninstall:
        store = Store(Repository.discover())
        catch_up(store)
        received = _fetch_all(store, changes) if fetch else {}
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


def _host(repository: Repository, *, uninstall: bool, as_json: bool) -> None:
    if not repository.is_bare:
        raise typer.BadParameter("--server is for bare repositories, which others push to")
    changes = stop_checking(repository) if uninstall else start_checking(repository)
    if as_json:
        print(json_line({"schema": "init.1", "changes": changes, "received": {}}))
        return
    for change in changes:
        print(f"  {printable(change)}")
    if is_off(repository.config):
        print("pushes are not checked: prov.receive is off")
    else:
        print(f"pushes are {'not checked any more' if uninstall else 'checked'}")


def _fetch_all(store: Store, changes: list[str]) -> dict[str, int]:
    """Bring the runs of every remote; one that is away must not stop the set-up."""
    received = {}
    for home in homes(store.repository.config):
        remote = home.remote
        try:
            with progress_bar() as watch:
                done = pull(store, remote, ["ledger"], watch=watch)
                if _are_elsewhere(store, home):
                    changes += keep_as_branches(store.repository, remote)
                    done = pull(Store(Repository.discover()), remote, ["ledger"], watch=watch)
        except GitprovError as error:
            say(f"gitprov: warning: {printable(str(error))}; later: git prov pull {remote}")
            continue
        if done.runs:
            received[remote] = done.runs
        for refusal in done.refused.values():
            say(f"gitprov: warning: {printable(refusal)}")
    return received


def _are_elsewhere(store: Store, home: Home) -> bool:
    """Say whether a remote has chains as branches, and none where we looked."""
    if home.namespace != OURS or any(remote_of(ref) == home.remote for ref in store.refs()):
        return False
    return has_branches(store.repository.git, home.remote)
