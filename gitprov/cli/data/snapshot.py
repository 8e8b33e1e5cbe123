"""`git prov data snapshot`: record what data is now."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from gitprov.capture.data.options import DataOptions
from gitprov.cli.catching_up import current_store, warn
from gitprov.cli.data.options import Engine, FollowLinks, HintOnly, Verify
from gitprov.cli.progress import data_bar
from gitprov.cli.terminal import Json, say
from gitprov.codec.documents import to_document
from gitprov.index.artifacts import DataIndex, Version
from gitprov.model.ids import short
from gitprov.model.run import Artifact
from gitprov.model.wording import digest_text, encodable, place_text, printable
from gitprov.recorder.data_snapshot import record_snapshot
from gitprov.recorder.recovery import catch_up
from gitprov.views.data import artifact_text
from gitprov.views.json import json_line


def register(app: typer.Typer) -> None:
    """Add the verb to its group."""
    app.command()(snapshot)


def snapshot(
    uris: Annotated[
        list[str], typer.Argument(metavar="URI...", help="Files, folders, globs or URIs.")
    ],
    name: Annotated[
        str | None, typer.Option("--name", "-n", help="What the data is called, as in train.")
    ] = None,
    message: Annotated[
        str | None, typer.Option("--message", "-m", help="Why it is recorded.")
    ] = None,
    tags: Annotated[list[str] | None, typer.Option("--tag", "-t", help="A tag.")] = None,
    follow_links: FollowLinks = False,
    hint_only: HintOnly = False,
    verify: Verify = False,
    engine: Engine = None,
    as_json: Json = False,
) -> None:
    """Record what data is now: its size, its hash, and in a folder those of every file.

    What has not changed since it was hashed last is not read again: a file by its size, times and
    inode, a remote object by its version, etag or checksum.
    """
    if name is not None and len(uris) > 1:
        raise typer.BadParameter("a name is for one; give one URI", param_hint="--name")
    options = DataOptions(
        name=name, follow_links=follow_links, hint_only=hint_only, verify=verify, engine=engine
    )
    with current_store() as store:
        with data_bar() as watch:
            run = record_snapshot(
                store,
                uris,
                Path.cwd(),
                replace(options, watch=watch),
                message=message,
                tags=tags or (),
            )
        warn(catch_up(store).problems)
        index = DataIndex(store)
        for item in run.inputs:
            if as_json:
                print(json_line({"run": run.id, **to_document(item)}))
            else:
                called = place_text(item)
                if item.name and item.name != called:
                    called = f"{item.name} ({called})"
                print(f"{printable(called)}: {artifact_text(item)}")
                if since := _since(_at(index, item), item, run.id):
                    print(f"  {since}")
    warn(f"{place.removeprefix('inputs.')}: {why}" for place, why in _reasons(run.missing))
    say(f"gitprov: recorded as run {short(run.id)}")
    if run.status != "completed":
        raise typer.Exit(1)


def _at(index: DataIndex, item: Artifact) -> list[Version]:
    """Return the versions of what lies where something lies; not of what is called so."""
    place = encodable(place_text(item))
    return [version for version in index.versions(place) if version.place == place]


def _since(versions: list[Version], item: Artifact, run_id: str) -> str | None:
    """Say since when data has been as it is; None where it is not known how it is."""
    digest = digest_text(item)
    if digest is None or not versions:
        return None
    if len(versions) == 1 and len(versions[0].uses) == 1:
        return "recorded for the first time"
    last = versions[-1]
    before = [use for use in last.uses if use.run_id != run_id]
    if last.digest == digest and before:
        return f"unchanged since run {short(before[0].run_id)}"
    earlier = next((v for v in reversed(versions) if v.digest != digest), None)
    if earlier is None:
        return "recorded for the first time"
    old = short(earlier.uses[-1].run_id)
    name = printable(item.name or place_text(item))
    return f"changed since run {old}; see: git prov data diff {old}:{name} {short(run_id)}:{name}"


def _reasons(missing: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(place, why) for place, why in missing.items() if place.startswith("inputs.")]
