"""`git prov scan`: what would be recorded and pushed, and which secrets are in it."""

import os
import sys
from collections.abc import Mapping
from functools import partial
from getpass import getpass
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperCommand

from gitprov.capture.preview import NextRun, Preview, previewing
from gitprov.capture.secrets.kinds import unknown_kinds
from gitprov.capture.secrets.unpublished import Unpublished
from gitprov.cli.catching_up import current_store
from gitprov.cli.finding import find_run
from gitprov.cli.paths import from_top, is_selected
from gitprov.cli.remotes import chosen_remote
from gitprov.cli.terminal import paged, say, style_for, verb
from gitprov.errors import RemoteFailed, UnknownPath
from gitprov.index.history import History
from gitprov.model.wording import printable
from gitprov.store.publishing import preview as preview_push
from gitprov.store.repository import Repository
from gitprov.store.store import Store
from gitprov.views.json import json_line
from gitprov.views.scan import NextPush, scan_document, scan_text

app = verb()
_COMMAND = "gitprov.scanned_command"


class _BeforeCommand(TyperCommand):
    """A command line that ends at `--`; what follows is a command of the user's."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        end = args.index("--") if "--" in args else len(args)
        ctx.meta[_COMMAND] = args[end + 1 :]
        return super().parse_args(ctx, args[:end])


@app.command(
    cls=_BeforeCommand,
    epilog="Exit status: 0 where no secret was found, 1 where one was; with --opens, 0 where the "
    "value opens a commitment, else 1.",
)
def scan(
    ctx: typer.Context,
    paths: Annotated[
        list[str] | None,
        typer.Argument(help="Files and folders; all of them if none is named. Then -- COMMAND."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    opens: Annotated[
        str | None,
        typer.Option("--opens", metavar="RUN", help="Say where a value stands in this run."),
    ] = None,
) -> None:
    """Show what the next run would record and the next push would send, and secrets in it.

    Nothing is recorded, sent or written. Where a secret is, and of which kind, is said, never the
    secret itself. With a command after --, also what would be recorded of it.

    With --opens, a value is read from standard input, and the fields and files of the run are named
    in which it stands as a commitment: only the clone that recorded the run can tell.
    """
    if opens is not None:
        _open(opens)
        return
    repository = Repository.discover()
    selected = {from_top(repository, path): path for path in paths or ()}
    with previewing(repository) as preview:
        run = preview.next_run(ctx.meta[_COMMAND], Path.cwd())
        allowed = preview.redactor.allowed.kinds
        for problem in (*preview.redactor.problems, *unknown_kinds(allowed)):
            say(f"gitprov: warning: {printable(problem)}")
        _select(run, selected, repository.work_tree)
        push = _next_push(repository, preview)
    if as_json:
        print(json_line(scan_document(run, push)))
    else:
        style = style_for(repository)
        with paged(repository):
            print(scan_text(run, push, style))
    if run.secrets or (push and push.secrets):
        raise typer.Exit(1)


def _select(run: NextRun, selected: Mapping[bytes, str], top: Path | None) -> None:
    """Leave only the files that were asked for. Raises UnknownPath for what is not there."""
    differing = [*run.files, *run.omitted, *run.deleted]
    for path, given in selected.items():
        if not path or any(is_selected(item, [path]) for item in differing):
            continue
        if top is None or not os.path.lexists(top / os.fsdecode(path)):
            raise UnknownPath(f"{given}: there is no such file, nor has one been deleted")
        say(f"gitprov: {printable(given)} is as committed, or ignored by git: not looked at")
    wanted = partial(is_selected, selected=list(selected))
    run.files = {path: size for path, size in run.files.items() if wanted(path)}
    run.deleted = frozenset(filter(wanted, run.deleted))
    run.omitted = {path: item for path, item in run.omitted.items() if wanted(path)}
    run.secrets_in_files = {
        path: found for path, found in run.secrets_in_files.items() if wanted(path)
    }


def _next_push(repository: Repository, preview: Preview) -> NextPush | None:
    try:
        remote = chosen_remote(repository, None, to_push=True)
    except RemoteFailed:
        return None
    store = Store(repository)
    try:
        would = preview_push(store, remote)
        unpublished = Unpublished(store, remote, preview.redactor, preview.check)
        return NextPush(
            remote=remote,
            runs=would.runs,
            snapshots=would.snapshots,
            commits=would.commits,
            waiting=sum(run.is_finished for run in store.journal.runs()),
            secrets=list(unpublished.secrets()),
            unread=unpublished.unread,
        )
    finally:
        store.close()


def _open(name: str) -> None:
    # Late: nothing else of this verb needs them.
    from gitprov.capture.secrets.commitments import load_salt  # noqa: PLC0415
    from gitprov.capture.secrets.opening import opened  # noqa: PLC0415

    if sys.stdin.isatty():
        value = getpass("value: ").encode("utf-8", "surrogateescape")
    else:
        value = sys.stdin.buffer.read()
    with current_store() as store:
        found = find_run(History(store), name)
        places = opened(store, found, value, load_salt(store.repository.prov_dir))
    for place in places:
        print(printable(place))
    if not places:
        say("gitprov: it opens no commitment of this run")
        raise typer.Exit(1)
