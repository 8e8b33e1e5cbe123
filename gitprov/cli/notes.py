"""`git prov notes`: the lines of runs that `git log` shows below commits."""

from typing import Annotated

import typer

from gitprov.cli.catching_up import current_store
from gitprov.cli.terminal import verb
from gitprov.index.annotations import annotate, rebuild
from gitprov.model.wording import plural
from gitprov.store.refs import NOTES

app = verb()


@app.command()
def notes(
    anew: Annotated[
        bool, typer.Option("--rebuild", help="Make all notes anew, from the ledger.")
    ] = False,
) -> None:
    """Bring the notes of commits up to date: one line a run, for git log --notes=prov.

    They are derived from the ledger and can be deleted at any time. What people wrote into them
    stays.
    """
    with current_store() as store:
        if anew:
            print(f"{NOTES}: made anew, {plural(rebuild(store), 'commit')} with runs")
            return
        annotate(store)
        print(f"{NOTES}: up to date; see it with: git log --notes=prov")
