"""`git prov env restore`: the environment of a run, rebuilt in a new folder."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from gitprov.capture.origin import find_origin
from gitprov.cli.catching_up import current_store
from gitprov.cli.env.arguments import Environments
from gitprov.cli.env.restoration_text import outcome_document, outcome_lines, plan_lines
from gitprov.cli.terminal import Json, say
from gitprov.environments.interpreters import Found, find_python
from gitprov.environments.restoration import Source, require_free
from gitprov.environments.restoration import restore as rebuild
from gitprov.environments.restoration_plan import Plan, ProjectOf, make_plan
from gitprov.environments.tools import Sources
from gitprov.errors import RestoreFailed, SourceMissing
from gitprov.exchange.environments.pins import sorted_out
from gitprov.model.run import Run
from gitprov.model.wording import printable
from gitprov.store.repository import Repository
from gitprov.views.json import json_line


def register(app: typer.Typer) -> None:
    """Add the verb to its group."""
    app.command(
        epilog="Exit status: 0 where the same versions are there again, 1 where something differs."
    )(restore)


def restore(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="last, last~2, the beginning of an id, a name, a commit or a branch.",
        ),
    ],
    folder: Annotated[
        str, typer.Argument(metavar="DIR", help="Where to; nothing may be there yet.")
    ],
    python: Annotated[
        str | None,
        typer.Option("--python", metavar="PATH", help="Use this interpreter, whatever it is."),
    ] = None,
    index_url: Annotated[
        str | None, typer.Option("--index-url", metavar="URL", help="The index of packages to ask.")
    ] = None,
    find_links: Annotated[
        list[str] | None,
        typer.Option(
            "--find-links", metavar="DIR", help="A folder to look for files in; may be repeated."
        ),
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Fetch nothing; take what is in folders and caches.")
    ] = False,
    allow_builds: Annotated[
        bool,
        typer.Option(
            "--allow-builds", help="Build what is no wheel, too, which executes its code."
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Rebuild the environment of a run in a new folder, and say how near that came.

    With the tool that made it, from the very files that its lock names, else by versions. What is
    to be done is shown and asked about first, as a run may be a stranger's: without a terminal,
    --yes is needed. Nothing is built unless --allow-builds says so. In the end, the interpreter is
    started, with what packages have it execute at its start, and what is there is compared with the
    record: identical, same versions, or what differs.

    Only the folder changes, and the caches of the installers. Nothing is left of it where it cannot
    be made at all; a package that cannot be had is named, and costs no other.
    """
    where = Path(os.path.normpath(Path.cwd() / folder))
    require_free(where)
    sources = Sources(
        index_url=index_url,
        find_links=tuple(Path(os.path.normpath(Path.cwd() / path)) for path in find_links or ()),
        offline=offline,
    )
    with current_store() as store:
        repository = store.repository
        found, environment, _ = Environments(store).named(run)
        source = _source(repository, found)
        pins, refused = sorted_out(environment)
        plan = make_plan(
            environment,
            pins,
            project_of=_project_of(source),
            sources=sources,
            allow_builds=allow_builds,
            refused=refused,
        )
        try:
            interpreter = _interpreter(plan, python, repository)
        except RestoreFailed as error:
            if not dry_run:
                raise
            interpreter = None
            say(f"gitprov: {printable(str(error))}")
        shown = plan_lines(found, plan, Path(folder), interpreter)
        if dry_run or not yes:
            _show(shown, as_json=as_json)
        if dry_run:
            if as_json:
                print(json_line(outcome_document(found, plan, where, interpreter, None)))
            return
        if not yes:
            _confirm()
        outcome = rebuild(
            plan,
            environment,
            where,
            python=interpreter,
            source=source if isinstance(source, Source) else None,
            sources=sources,
            allow_builds=allow_builds,
            say=lambda text: say(printable(text)),
        )
    if as_json:
        print(json_line(outcome_document(found, plan, where, interpreter, outcome)))
    else:
        for line in outcome_lines(plan, Path(folder), interpreter, outcome):
            print(line)
    if outcome.nearness.verdict == "differs":
        raise typer.Exit(1)


def _source(repository: Repository, run: Run) -> Source | str:
    """Return where the source of the run is, or why it is not here."""
    try:
        return Source(repository=repository, origin=find_origin(repository, run))
    except SourceMissing as error:
        return str(error)


def _project_of(source: Source | str) -> ProjectOf:
    if isinstance(source, Source):
        return source.project
    reason = source

    def missing(_path: str, _name: str) -> str:
        raise SourceMissing(reason)

    return missing


def _interpreter(plan: Plan, given: str | None, repository: Repository) -> Found | None:
    if plan.maker == "conda" or plan.python is None:
        return None
    path = None if given is None else Path(os.path.normpath(Path.cwd() / given))
    return find_python(plan.python, path, work_tree=repository.work_tree)


def _show(lines: list[str], *, as_json: bool) -> None:
    for line in lines:
        if as_json:
            say(line)
        else:
            print(line)


def _confirm() -> None:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise typer.BadParameter("nobody can be asked here; if this is to be done, add: --yes")
    sys.stdout.flush()
    if not typer.confirm("Do this?", err=True):
        raise typer.Exit(1)
