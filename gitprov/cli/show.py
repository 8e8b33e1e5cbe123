"""`git prov show`: one run, in full."""

import sys
import time
from collections.abc import Sequence
from typing import Annotated

import typer

from gitprov.cli.catching_up import current_store
from gitprov.cli.finding import find_run
from gitprov.cli.terminal import Json, paged, style_for, verb
from gitprov.codec.environment_text import AGREEMENT
from gitprov.environments.recorded import RecordedEnvironments
from gitprov.errors import GitprovError, PayloadMissing
from gitprov.index.history import LAST, History
from gitprov.model.environment import Disagreement
from gitprov.model.run import Run
from gitprov.store.payload import OUTPUT_LOG, OUTPUT_TAIL, read_payload
from gitprov.store.refs import PAYLOAD, list_refs
from gitprov.store.store import Store
from gitprov.views.json import json_line
from gitprov.views.show import page

app = verb()


@app.command()
def show(
    run: Annotated[
        str,
        typer.Argument(help="last, last~2, the beginning of an id, a name, a commit or a branch."),
    ] = LAST,
    as_json: Json = False,
    output: Annotated[
        bool, typer.Option("--output", help="Print the recorded output, and nothing else.")
    ] = False,
) -> None:
    """Show one run: everything that is known, and what is missing."""
    with current_store() as store:
        found = find_run(History(store), run)
        if as_json:
            print(json_line(found.document))
            return
        style = style_for(store.repository)  # before the pager stands in for the terminal
        with paged(store.repository):
            if output:
                data = _payload(store, found.record, OUTPUT_LOG)
                if data is None:
                    raise PayloadMissing("the run printed nothing, or its output was not kept")
                _write(data)
                return
            print(
                page(
                    found.record,
                    style,
                    now_ns=time.time_ns(),
                    tail=_tail(store, found.record),
                    disagreements=_disagreements(store, found.record),
                )
            )


def _write(data: bytes) -> None:
    """Write bytes to standard output as they are."""
    view = memoryview(data)
    while view:  # with PYTHONUNBUFFERED, one call may write a part only
        view = view[sys.stdout.buffer.write(view) :]
    sys.stdout.buffer.flush()


def _disagreements(store: Store, run: Run) -> Sequence[Disagreement]:
    """Return where lock files say something else than was installed, as far as it is known."""
    try:
        found = RecordedEnvironments(store).documents(run, (AGREEMENT,))
    except GitprovError:  # git prov env show says what is wrong
        return ()
    return found.environment.disagreements


def _tail(store: Store, run: Run) -> bytes | None:
    try:
        return _payload(store, run, OUTPUT_TAIL) or _payload(store, run, OUTPUT_LOG)
    except PayloadMissing:
        return None
    except GitprovError as error:  # the page says all the rest, whatever is wrong with this
        return f"(not shown: {error})".encode()


def _payload(store: Store, run: Run, name: str) -> bytes | None:
    for item in run.byproducts:
        if item.name == name and "sha256" in item.digest:
            tips = list(list_refs(store.repository.git, PAYLOAD).values())
            return read_payload(store.objects, tips, run.id, name, item.digest["sha256"])
    return None
