"""`git prov bundle`: runs in a file, for places that no network reaches."""

from pathlib import Path
from typing import Annotated

import typer

from gitprov.cli.catching_up import current_store, note_links, warn
from gitprov.cli.progress import progress_bar
from gitprov.cli.remotes import accepted_text, fail_on
from gitprov.cli.terminal import verb
from gitprov.model.wording import plural, size_text
from gitprov.store.bundles import create_bundle, import_bundle
from gitprov.store.publishing import shared_areas
from gitprov.store.refs import AREAS

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

    The file holds snapshots of uncommitted work, and commits with their history; it says how many.
    With prov.share=ledger it holds the runs alone.
    """
    with current_store() as store:
        areas = shared_areas(store.repository.config)
        if ledger_only:
            areas = ["ledger"]
        with progress_bar() as watch:
            made = create_bundle(store, file, areas, watch=watch)
    for chain in made.left_out:
        warn([f"{chain} is left out: this clone is shallow; bring the rest: git fetch --unshallow"])
    content = made.content
    parts = [plural(content.runs, "run")]
    if content.snapshots:
        parts.append(f"{plural(content.snapshots, 'snapshot')} of uncommitted work")
    if content.commits:
        parts.append(plural(content.commits, "commit"))
    print(f"{file}: {', '.join(parts)}, {size_text(content.size)}")


@app.command("import")
def import_(file: File) -> None:
    """Check a file that git prov bundle create has made, and take in what it holds."""
    with current_store() as store:
        with progress_bar() as watch:
            done = import_bundle(store, file, AREAS, watch=watch)
        note_links(store)
    print(accepted_text(done, str(file)))
    fail_on(list(done.refused.values()), f"{file} has chains that were not taken in")
