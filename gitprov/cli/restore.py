"""`git prov restore`: the source of a run, brought back."""

import os
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from gitprov.capture.files import raw_text
from gitprov.capture.new_work_tree import restore_worktree
from gitprov.capture.origin import Origin, find_origin
from gitprov.capture.restoration import Restored
from gitprov.capture.restoration import restore as restore_files
from gitprov.cli.catching_up import current_store
from gitprov.cli.finding import find_run
from gitprov.cli.paths import from_top, is_selected
from gitprov.cli.terminal import Json, verb
from gitprov.index.history import History
from gitprov.model.ids import short
from gitprov.model.run import Omission, Run
from gitprov.model.wording import plural, printable, size_text
from gitprov.views.json import json_line

app = verb()
_SHOWN = 20


@app.command()
def restore(
    run: Annotated[
        str,
        typer.Argument(help="last, last~2, the beginning of an id, a name, a commit or a branch."),
    ],
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PATH...]", help="Files and folders; all of them if none is named."
        ),
    ] = None,
    worktree: Annotated[
        str | None,
        typer.Option(
            "--worktree", help="Make a new work tree in this folder, at the commit of the run."
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite work that is not committed.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Bring the source of a run back, as it was, with its uncommitted changes.

    Without --worktree, the files of the present work tree become those of the run; commit, branch
    and index stay. Work that is not committed is in the way and nothing is changed then. What the
    snapshot of the run leaves out is named at the end.
    """
    with current_store() as store:
        repository = store.repository
        found = find_run(History(store), run).record
        origin = find_origin(repository, found)
        selected = [from_top(repository, path) for path in paths or ()]
        left_out = _left_out(found, selected)
        folder = None if worktree is None else Path(os.path.normpath(Path.cwd() / worktree))
        if folder is None:
            repository.require_work_tree()
            names = {_encoded(item) for item in left_out}
            done = restore_files(
                repository, origin.tree, paths=selected, left_out=names, force=force,
                dry_run=dry_run,
            )  # fmt: skip
        else:
            done = restore_worktree(
                repository, origin, folder, paths=selected, force=force, dry_run=dry_run
            )
    if as_json:
        print(json_line(_document(found, origin, folder, done, left_out, dry_run=dry_run)))
        return
    for line in _lines(found, folder, done, left_out, dry_run=dry_run):
        print(line)


def _encoded(omission: Omission) -> bytes:
    path = omission.path
    return path if isinstance(path, bytes) else path.encode()


def _left_out(run: Run, selected: list[bytes]) -> list[Omission]:
    omitted = run.source.omitted if run.source else ()
    return [item for item in omitted if is_selected(_encoded(item), selected)]


def _document(
    run: Run,
    origin: Origin,
    folder: Path | None,
    done: Restored,
    left_out: list[Omission],
    *,
    dry_run: bool,
) -> dict[str, Any]:
    document: dict[str, Any] = {
        "schema": "restore.1",
        "run": run.id,
        "dry_run": dry_run,
        "commit": origin.commit,
        "tree": origin.tree,
        "written": [raw_text(os.fsdecode(path)) for path in done.written],
        "deleted": [raw_text(os.fsdecode(path)) for path in done.deleted],
        "unchanged": done.unchanged,
        "submodules": [
            {"path": raw_text(os.fsdecode(path)), "commit": commit}
            for path, commit in done.submodules
        ],
        "omitted": [
            {
                key: value
                for key, value in (
                    ("path", item.path),
                    ("reason", item.reason),
                    ("size", item.size),
                    ("digest", item.digest or None),
                )
                if value is not None
            }
            for item in left_out
        ],
    }
    if folder is not None:
        document["worktree"] = raw_text(folder)
    return document


def _lines(
    run: Run, folder: Path | None, done: Restored, left_out: list[Omission], *, dry_run: bool
) -> Iterator[str]:
    """Yield what was done, and what is to be done by hand."""
    if dry_run:
        yield from _planned("write ", done.written)
        yield from _planned("delete", done.deleted)
    parts = [f"{plural(len(done.written), 'file')} {'to write' if dry_run else 'written'}"]
    if folder is None:
        parts.append(f"{len(done.deleted)} {'to delete' if dry_run else 'deleted'}")
        parts.append(f"{done.unchanged} as they were")
    where = f" in {printable(str(folder))}" if folder else ""
    what = "would be restored" if dry_run else "restored"
    yield f"run {short(run.id)} {what}{where}: {', '.join(parts)}"
    if run.source and run.source.commit is None and folder:
        yield "its branch had no commit yet: the snapshot itself is checked out"
    if why := run.missing.get("source.tree"):
        yield f"  {printable(why)}"
    for path, commit in done.submodules:
        shown = shlex.quote(printable(path))
        how = "git submodule update --init" if folder else f"git -C {shown} checkout {commit}"
        yield f"  submodule {shown} was at {commit[:10]}: {how}"
    if left_out:
        yield from _absent(run, left_out)


def _planned(what: str, paths: Sequence[bytes]) -> Iterator[str]:
    yield from (f"  {what} {printable(path)}" for path in paths[:_SHOWN])
    if (rest := len(paths) - _SHOWN) > 0:
        yield f"  {what} … and {rest} more"


def _absent(run: Run, left_out: Sequence[Omission]) -> Iterator[str]:
    """Yield what the snapshot does not hold, and what to do about it."""
    for item in left_out[:_SHOWN]:
        size = f", {size_text(item.size)}" if item.size is not None else ""
        proof = "".join(
            f", {name} {item.digest[key].hex()}"
            for key, name in (("sha256", "sha256"), ("git_commit", "at commit"))
            if key in item.digest
        )
        yield f"  left out  {printable(item.path)}: {printable(item.reason)}{size}{proof}"
    if (rest := len(left_out) - _SHOWN) > 0:
        yield f"  left out  … and {rest} more: git prov show {short(run.id)} --json"
    if why := run.missing.get("source.omitted"):
        yield f"  left out  {printable(why)}"
    has_digest = any("sha256" in item.digest for item in left_out)
    compare = ", and compare its sha256" if has_digest else ""
    yield f"what is left out was never stored: put it in place yourself{compare}"
