"""Asking `git prov doctor` below the command line, and what it may meet."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gitprov.codec import canonical
from gitprov.doctor.examination import Examination, examine, mend
from gitprov.doctor.findings import Finding, State
from gitprov.hooks.setup import install
from gitprov.model.ids import new_id
from gitprov.store.journal import JournalRun
from gitprov.store.liveness import current_process
from gitprov.store.pack import PackBuilder
from gitprov.store.repository import Repository
from gitprov.store.store import Store
from tests.support.repositories import Clone, clean_environment
from tests.support.runs import manifest
from tests.support.servers import bare_repository


def set_up(path: Path, monkeypatch: pytest.MonkeyPatch) -> Clone:
    """Return a clone with a remote, set up as by `git prov init`, for use in this process."""
    for name in list(os.environ):
        if name not in clean_environment():
            monkeypatch.delenv(name)
    for name, value in clean_environment().items():
        monkeypatch.setenv(name, value)
    clone = Clone.make(path / "clone")
    clone.git("remote", "add", "origin", str(bare_repository(path / "remote.git")))
    install(Repository.discover(clone.path))
    return clone


def texts(seen: Examination, state: State) -> list[str]:
    return [f"{area}: {item.text}" for area, item in findings(seen) if item.state == state]


def findings(seen: Examination) -> list[tuple[str, Finding]]:
    return [(area, item) for area, items in seen.found.items() for item in items]


def only(seen: Examination, state: State) -> Finding:
    """Return the one finding that is not good, which has this state."""
    (found,) = [item for _, item in findings(seen) if item.state != "good"]
    assert found.state == state, found
    return found


def mended(store: Store) -> str:
    """Mend the one thing that is wrong, and return what is said of it; then all is well."""
    seen = examine(store)
    only(seen, "mendable")
    said = only(mend(store, seen), "mended").text
    assert all(item.state == "good" for _, item in findings(examine(fresh(store))))
    return said


def fresh(store: Store) -> Store:
    """Return the same store with its configuration read again."""
    return Store.open(store.repository.work_tree)


def follow(clone: Clone, advice: str | None) -> None:
    """Do what a finding says, in a shell."""
    assert advice is not None
    command = advice.partition(": ")[2] if ": " in advice else advice
    clone.call("sh", "-ec", command, check=True)


def begun(store: Store, **owner: object) -> JournalRun:
    """Begin a run that somebody else owns."""
    journal = store.journal.create(new_id())
    document = manifest(journal.id)
    journal.begin({"manifest": document})
    if journal._life:
        journal._life.end()
    started = {"manifest": document, "owner": {**current_process(), **owner}}
    (journal.path / "started").write_bytes(canonical.encode(started))
    return journal


def dead_process() -> dict[str, object]:
    """Return who a process was that has ended."""
    program = (
        "import sys; from gitprov.codec import canonical; "
        "from gitprov.store.liveness import current_process; "
        "sys.stdout.buffer.write(canonical.encode(current_process()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=clean_environment(), capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    return canonical.decode(done.stdout)


def kept_pack(store: Store) -> None:
    """Leave a pack whose writer was killed before it could let go of it."""
    pack = PackBuilder()
    pack.add("blob", b"left")
    pack.write(store.repository.git, store.repository.common_dir)
