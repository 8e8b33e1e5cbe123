"""`git prov bundle`: runs in a file, for places that no network reaches."""

from pathlib import Path
from typing import Annotated

import typer

from gitprov.cli.catching_up import current_store, note_links
from gitprov.cli.remotes import accepted_text, fail_on
from gitprov.cli.terminal import verb
from gitprov.model.wording import plural, size_text
from gitprov.store.bundles import create_bundle, import_bundle
from gitprov.store.refs import AREAS, Area

app = verb()
File = Annotated[Path, typer.Argument(metavar="FILE", show_default=False)]


@app.callback()
def bundle() -> None:
    """Carry runs in a file, where there is no remote."""


@app.command("create")
def create(
    file: File,
    ledger_only: Annotated[
        bool, typer.Option("--ledger-only", help="Leave out source, logs and series.")
    ] = False,
) -> None:
    """Write all runs to a file, with their sources and logs.

    The file holds snapshots of uncommitted work, and commits with their history.
    """
    areas: tuple[Area, ...] = ("ledger",) if ledger_only else AREAS
    with current_store() as store:
        made = create_bundle(store, file, areas)
    print(f"{file}: {plural(made.runs, 'run')}, {size_text(made.size)}")


@app.command("import")
def import_(file: File) -> None:
    """Check a file that git prov bundle create has made, and take in what it holds."""
    with current_store() as store:
        done = import_bundle(store, file, AREAS)
        note_links(store)
    print(accepted_text(done, str(file)))
    fail_on(done.refused, f"{file} has chains that were not taken in")
