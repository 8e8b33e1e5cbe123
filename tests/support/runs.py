"""Runs below the command line: straight into a journal, and stores that exchange them."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gitprov.codec.documents import to_document
from gitprov.codec.environments import environment_digest
from gitprov.codec.records import decode_record
from gitprov.model.ids import new_id
from gitprov.model.run import RUN_SCHEMA, Run
from gitprov.recorder.contribution import Contribution
from gitprov.store.drain import drain
from gitprov.store.journal import JournalRun
from gitprov.store.ledger import StoredRecord, list_entries, read_entries
from gitprov.store.refs import LEDGER, list_refs
from gitprov.store.store import Store
from gitprov.store.writer import shard_of
from tests.support.repositories import Clone

STARTED_NS = 1_700_000_000_000_000_000


def manifest(run_id: str, **fields: Any) -> dict[str, Any]:
    """Return the smallest finished manifest, with more fields."""
    return {
        "schema": RUN_SCHEMA,
        "id": run_id,
        "status": "completed",
        "exit_code": 0,
        "started_ns": STARTED_NS,
        "ended_ns": STARTED_NS + 1_000_000_000,
        "command": {"argv": ["true"]},
        "recorder": {"purl": "pkg:pypi/gitprov@0"},
        **fields,
    }


def finish(
    store: Store, *, environment: Mapping[str, bytes] | None = None, **fields: Any
) -> JournalRun:
    """Finish a run in the journal and leave it there."""
    store.repository.require_writable()
    journal = store.journal.create(fields.pop("id", None) or new_id())
    document = manifest(journal.id, **fields)
    if environment is not None:
        journal.write_environment(environment)
        document["environment"] = {"digest": environment_digest(environment)}
    journal.begin({"manifest": document})
    journal.finish({"manifest": document})
    return journal


def record(store: Store, count: int = 1, **fields: Any) -> list[str]:
    """Record runs, one entry each, and return their ids."""
    ids = []
    for _ in range(count):
        ids.append(finish(store, **fields).id)
        done = drain(store)
        assert done.recorded == ids[-1:]
        assert not done.rejected
    return ids


def entries(store: Store) -> list[str]:
    """Return the commits of the whole ledger, parents first."""
    tips = list_refs(store.repository.git, LEDGER)
    return list_entries(store.repository.git, list(tips.values()))


def records(store: Store) -> list[StoredRecord]:
    """Return the records of the whole ledger."""
    return [
        found for entry in read_entries(store.objects, entries(store)) for found in entry.records
    ]


def runs(store: Store) -> list[Run]:
    """Return the runs of the whole ledger."""
    return [
        decode_record(found.schema, found.data).record
        for found in records(store)
        if found.schema == RUN_SCHEMA
    ]


def run_ids(store: Store) -> list[str]:
    """Return the ids of all runs, sorted; one that is there twice is there twice."""
    return sorted(found.id for found in records(store) if found.schema == RUN_SCHEMA)


def ledger_tips(store: Store) -> dict[str, str]:
    """Return our ledger refs."""
    return list_refs(store.repository.git, LEDGER)


def use_shard(store: Store, shard: str) -> str:
    """Give the clone a writer whose chain is in this shard, and return the writer."""
    store.repository.require_writable()
    folder = store.repository.prov_dir
    writer = new_id()
    while shard_of(writer) != shard:
        writer = new_id()
    (folder / "writer").write_text(f"{writer} {folder.stat().st_ino}\n")
    return writer


def copy_repository(store: Store, path: Path) -> Store:
    """Copy a repository with all that is in its git directory, as `cp -r` would."""
    shutil.copytree(store.repository.require_work_tree(), path, symlinks=True)
    return Store.open(path)


def loose_object(store: Store, oid: str) -> Path:
    """Return the path of a loose object."""
    return Path(os.path.join(store.repository.common_dir, "objects", oid[:2], oid[2:]))  # noqa: PTH118


def record_data(store: Store, *names: str) -> str:
    """Record a run that has read this data, and return its id."""
    store.repository.require_writable()
    journal = store.journal.create(new_id())
    top = store.repository.require_work_tree()
    contribution = Contribution(journal, top)
    found = contribution.add_data("inputs", names, cwd=top)
    document = manifest(journal.id, inputs=[to_document(item) for item in found.artifacts])
    journal.begin({"manifest": document})
    journal.finish({"manifest": document})
    drain(store)
    return journal.id


def unpack(clone: Clone) -> None:
    """Turn all packs into loose objects."""
    folder = clone.path / ".git" / "objects" / "pack"
    for pack in folder.glob("*.pack"):
        data = pack.read_bytes()
        for path in folder.glob(f"{pack.stem}*"):
            path.unlink()
        subprocess.run(
            ["git", "unpack-objects", "-q"], cwd=clone.path, input=data, check=True, timeout=60
        )
