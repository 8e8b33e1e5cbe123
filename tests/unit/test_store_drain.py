"""The drain: every acknowledged run reaches the ledger once, and none holds up another."""

import os
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gitprov.capture.source import capture_source
from gitprov.codec import canonical
from gitprov.codec.documents import to_document
from gitprov.codec.events import encode_event
from gitprov.codec.records import decode_record
from gitprov.errors import GitFailed, StoreBusy, StoreDamaged
from gitprov.model.ids import new_id
from gitprov.model.ledger import START_SCHEMA
from gitprov.policy.verify import verify
from gitprov.store import appending, staging
from gitprov.store import drain as drain_module
from gitprov.store.bulk import append_many
from gitprov.store.drain import Drained, drain
from gitprov.store.journal import JournalRun
from gitprov.store.lock import store_lock
from gitprov.store.ref_moves import RefMoved
from gitprov.store.refs import KEEP, LEDGER, NOTES, list_refs
from gitprov.store.repository import Repository
from gitprov.store.store import Store
from gitprov.store.writer import load_chain_end, save_chain_end, writer_id
from tests.support.chains import entry, only_ref
from tests.support.repositories import Clone
from tests.support.runs import (
    STARTED_NS,
    entries,
    finish,
    ledger_tips,
    manifest,
    record,
    records,
    run_ids,
    runs,
    use_shard,
)


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone.make(tmp_path / "clone")


@pytest.fixture
def store(clone: Clone) -> Store:
    return clone.store()


def waiting(store: Store) -> list[str]:
    return [run.id for run in store.journal.runs()]


def set_month(monkeypatch: pytest.MonkeyPatch, month: str) -> None:
    now = int(time.mktime(time.strptime(f"{month}-15", "%Y-%m-%d"))) * 1_000_000_000
    clock = SimpleNamespace(time_ns=lambda: now, strftime=time.strftime, gmtime=time.gmtime)
    monkeypatch.setattr(appending, "time", clock)


def finish_dirty(store: Store, clone: Clone, name: str, content: str) -> JournalRun:
    """Finish a run of a work tree with a change in it."""
    clone.write(name, content)
    run_id = new_id()
    journal = finish(store, id=run_id)
    shutil.rmtree(journal.path)
    journal.path.mkdir()
    captured = capture_source(Repository.discover(clone.path), journal.path)
    kept = journal.path.with_name("kept")
    journal.snapshot.rename(kept)
    shutil.rmtree(journal.path)
    assert captured.source is not None
    journal = finish(store, id=run_id, source=to_document(captured.source))
    kept.rename(journal.snapshot)
    return journal


def finish_with_output(store: Store) -> JournalRun:
    journal = finish(store)
    journal.payload("output.log").write_bytes(b"words of " + journal.id.encode())
    return journal


def snapshot_of(journal: JournalRun) -> str:
    finished = journal.finished
    assert finished is not None
    snapshot: str = finished["manifest"]["source"]["snapshot"]
    return snapshot


def test_nothing_to_do_touches_nothing(store: Store) -> None:
    assert drain(store).recorded == []
    assert not store.repository.prov_dir.exists()


def test_fifty_runs_are_one_commit(store: Store) -> None:
    ids = [
        finish(store, ended_ns=STARTED_NS + number, started_ns=STARTED_NS).id
        for number in range(50, 0, -1)
    ]
    done = drain(store)
    assert done.recorded == ids[::-1]
    assert waiting(store) == []
    assert len(entries(store)) == 1
    assert run_ids(store) == sorted(ids)
    places = [run.writer for run in sorted(runs(store), key=lambda run: run.ended_ns)]
    assert [place.sequence for place in places if place] == list(range(1, 51))
    assert verify(store).is_good


def test_unfinished_runs_stay(store: Store) -> None:
    store.repository.require_writable()
    alive = store.journal.create(new_id())
    alive.begin({"manifest": {}})
    finished = finish(store)
    assert drain(store).recorded == [finished.id]
    assert waiting(store) == [alive.id]


@pytest.mark.parametrize("with_cache", [True, False])
def test_crash_before_the_journal_is_emptied_does_not_record_twice(
    store: Store, monkeypatch: pytest.MonkeyPatch, *, with_cache: bool
) -> None:
    record(store, 2)
    ids = [finish_with_output(store).id for _ in range(3)]

    class Killed(BaseException):
        pass

    def killed(_: JournalRun) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(JournalRun, "retire", killed)
        with pytest.raises(Killed):
            drain(store)
    assert waiting(store) == sorted(ids)
    tips = ledger_tips(store)
    if not with_cache:
        (store.repository.prov_dir / "chain").unlink()
    late = finish_with_output(store)
    assert drain(store).recorded == [late.id]
    assert waiting(store) == []
    assert len(run_ids(store)) == len(set(run_ids(store))) == 6
    assert ledger_tips(store) != tips
    assert verify(store).is_good


@pytest.mark.parametrize("first", [0, 1, 2])
@pytest.mark.parametrize("imports", [False, True])
def test_runs_in_both_places_are_recognised_over_several_batches(
    store: Store, monkeypatch: pytest.MonkeyPatch, *, first: int, imports: bool
) -> None:
    """Each batch is an attempt of its own, and so is an import that comes before them."""
    record(store, first)
    ids = [finish_with_output(store).id for _ in range(7)]

    def killed(_: JournalRun) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(JournalRun, "retire", killed)
        with pytest.raises(KeyboardInterrupt):
            drain(store)
    assert waiting(store) == sorted(ids)
    expected = run_ids(store)
    assert set(ids) <= set(expected)
    if imports:
        imported = [manifest(new_id()), manifest(ids[0]), manifest(new_id())]
        written = append_many(store, imported)
        assert written == [imported[0]["id"], imported[2]["id"]]
        expected += written
    monkeypatch.setattr(drain_module, "_BATCH_RUNS", 2)
    late = [finish_with_output(store).id for _ in range(2)]
    assert sorted(drain(store).recorded) == sorted(late)
    assert waiting(store) == []
    assert run_ids(store) == sorted(expected + late)
    last = record(store)
    assert run_ids(store) == sorted(expected + late + last)
    assert verify(store).is_good


def test_run_in_both_places_that_is_damaged_holds_nothing_up(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finish(store)
    with monkeypatch.context() as patch:
        patch.setattr(JournalRun, "retire", None)
        with pytest.raises(TypeError):
            drain(store)
    run.snapshot.write_bytes(b"no zlib")
    late = finish(store)
    assert drain(store).recorded == [late.id]
    assert waiting(store) == []
    assert run_ids(store) == sorted([run.id, late.id])


@pytest.mark.parametrize("point", ["write", "move"])
def test_crash_before_the_ref_moves_loses_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    (first,) = record(store)
    run = finish(store)

    class Killed(BaseException):
        pass

    def killed(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        if point == "write":
            patch.setattr(staging.Staging, "write", killed)
        else:
            patch.setattr(appending, "move_refs", killed)
        with pytest.raises(Killed):
            drain(store)
    assert run_ids(store) == [first]
    assert drain(store).recorded == [run.id]
    assert run_ids(store) == sorted([first, run.id])
    assert not list((store.repository.common_dir / "objects" / "pack").glob("*.keep"))


def test_ref_that_somebody_moves_meanwhile(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    (first,) = record(store)
    (ref,) = ledger_tips(store)
    original = appending.move_refs
    moved: list[str] = []

    def move(repository: Repository, changes: Any, **options: Any) -> None:
        git = repository.git
        if not moved:
            tip = list_refs(git, LEDGER)[ref]
            commit = git.run(
                "-c", "user.name=a", "-c", "user.email=b", "commit-tree", "-p", tip,
                "-m", "by hand", "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
            ).decode().strip()  # fmt: skip
            git.run("update-ref", ref, commit)
            moved.append(commit)
        original(repository, changes, **options)

    store.repository.git.run("mktree", stdin=b"")
    monkeypatch.setattr(appending, "move_refs", move)
    run = finish(store)
    assert drain(store).recorded == [run.id]
    assert moved[0] in entries(store)
    assert run_ids(store) == sorted([first, run.id])
    assert not list((store.repository.common_dir / "objects" / "pack").glob("*.keep"))


def test_ref_that_never_stays_ends_in_an_error(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def moved(*_: Any, **__: Any) -> None:
        raise RefMoved("could not move refs: taken; try again")

    run = finish(store)
    with monkeypatch.context() as patch:
        patch.setattr(appending, "move_refs", moved)
        with pytest.raises(StoreBusy):
            drain(store)
    assert waiting(store) == [run.id]
    assert drain(store).recorded == [run.id]


def test_lock_that_is_held_leaves_the_runs(store: Store) -> None:
    run = finish(store)
    with store_lock(store.lock_path), pytest.raises(StoreBusy):
        drain(store, wait=0.05)
    assert drain(store).recorded == [run.id]


@pytest.mark.parametrize(
    "finished",
    [{}, {"manifest": {}}, {"manifest": 1}, {"manifest": {"ended_ns": "late"}}],
    ids=["nothing", "no fields", "no map", "no time"],
)
def test_malformed_run_is_set_aside(store: Store, finished: dict[str, Any]) -> None:
    bad = finish(store)
    (bad.path / "finished").write_bytes(encode_event(finished))
    good = [finish(store).id for _ in range(2)]
    done = drain(store)
    assert sorted(done.recorded) == sorted(good)
    assert list(done.rejected) == [bad.id]
    assert done.rejected[bad.id]
    aside = store.repository.prov_dir / "rejected" / bad.id
    assert (aside / "finished").read_bytes() == encode_event(finished)
    assert waiting(store) == []
    assert drain(store).rejected == {}
    assert verify(store).is_good


@pytest.mark.parametrize("left", [0, 1, 8, 100, -1])
def test_half_an_acknowledgement_is_none(store: Store, left: int) -> None:
    torn, good = finish(store), finish(store)
    path = torn.path / "finished"
    path.write_bytes(path.read_bytes()[:left])
    done = drain(store)
    assert (done.recorded, done.rejected) == ([good.id], {})
    assert waiting(store) == [torn.id]


def test_run_is_set_aside_once_though_refs_move(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was set aside at the first try is not there at the second."""
    bad, good = finish(store, status="unknown"), finish(store)
    original, tries = appending.move_refs, []

    def move(*arguments: Any, **options: Any) -> None:
        tries.append(1)
        if len(tries) == 1:
            raise RefMoved("could not move refs: taken; try again")
        original(*arguments, **options)

    monkeypatch.setattr(appending, "move_refs", move)
    done = drain(store)
    assert (done.recorded, list(done.rejected)) == ([good.id], [bad.id])
    assert waiting(store) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "unknown"},
        {"ended_ns": "yesterday"},
        {"ended_ns": -1},
        {"command": {"argv": []}},
        {"tags": ["two\nlines"]},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_run_that_breaks_the_format_is_set_aside(store: Store, fields: dict[str, Any]) -> None:
    bad, good = finish(store, **fields), finish(store)
    done = drain(store)
    assert done.recorded == [good.id]
    assert list(done.rejected) == [bad.id]
    assert verify(store).is_good


def test_run_in_the_folder_of_another_is_set_aside(store: Store) -> None:
    run = finish(store)
    other = new_id()
    run.path.rename(run.path.with_name(other))
    assert list(drain(store).rejected) == [other]


def test_damaged_snapshot_is_set_aside(store: Store) -> None:
    bad, good = finish(store), finish(store)
    bad.snapshot.write_bytes(b"no zlib")
    done = drain(store)
    assert (done.recorded, list(done.rejected)) == ([good.id], [bad.id])


def test_new_month_names_what_it_continues(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    use_shard(store, "03")
    set_month(monkeypatch, "2026-01")
    record(store)
    set_month(monkeypatch, "2026-03")
    record(store)
    use_shard(store, "07")
    (store.repository.prov_dir / "chain").unlink()
    record(store)
    march = ledger_tips(store)
    assert sorted(march) == [
        f"{LEDGER}/{name}" for name in ("2026-01/03", "2026-03/03", "2026-03/07")
    ]
    set_month(monkeypatch, "2026-04")
    record(store)
    starts = {
        start.month: {tip.ref: tip.commit for tip in start.continues}
        for found in records(store)
        if found.schema == START_SCHEMA
        for start in [decode_record(found.schema, found.data).record]
    }
    assert starts["2026-01"] == {}
    assert starts["2026-04"] == {ref: oid for ref, oid in march.items() if "2026-03" in ref}
    assert verify(store).is_good


def test_chain_of_a_writer_goes_on_over_months(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for month in ("2025-11", "2025-12", "2026-01"):
        set_month(monkeypatch, month)
        record(store, 2)
    assert [run.writer.sequence for run in runs(store) if run.writer] == [1, 2, 3, 4, 5, 6]
    findings = verify(store)
    assert findings.is_good
    assert findings.counts["writers"]["checked"] == 6


def test_clock_that_goes_back_a_month(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    set_month(monkeypatch, "2026-02")
    record(store, 2)
    set_month(monkeypatch, "2026-01")
    record(store, 2)
    set_month(monkeypatch, "2026-02")
    record(store)
    assert sorted(run.writer.sequence for run in runs(store) if run.writer) == [1, 2, 3, 4, 5]
    assert verify(store).is_good


@pytest.mark.parametrize(
    "wrong", [{"sequence": (1 << 63) - 1}, {"digest": b"short"}], ids=["sequence", "digest"]
)
def test_end_of_the_chain_is_no_fault_of_a_run(store: Store, wrong: dict[str, Any]) -> None:
    """The runs stay where they are acknowledged until the chain is put right."""
    record(store)
    folder = store.repository.prov_dir
    writer = writer_id(folder)
    good = load_chain_end(folder, writer)
    save_chain_end(folder, writer, replace(good, **wrong))
    run = finish(store)
    for _ in range(2):
        with pytest.raises(StoreDamaged, match="cannot go on"):
            drain(store)
        assert waiting(store) == [run.id]
    bad = finish(store, tags=["two\nlines"], ended_ns=STARTED_NS)
    with pytest.raises(StoreDamaged):
        drain(store)
    assert waiting(store) == [run.id]
    assert (folder / "rejected" / bad.id).is_dir()
    save_chain_end(folder, writer, good)
    assert drain(store).recorded == [run.id]
    assert verify(store).is_good


def test_record_that_nobody_can_read_does_not_stop_the_drain(store: Store) -> None:
    """Nothing that is in the ledger already may keep runs out of it."""
    record(store)
    ref = only_ref(store)
    run_id = new_id()
    writer = {"id": writer_id(store.repository.prov_dir), "sequence": (1 << 64) - 1}
    data = canonical.encode(manifest(run_id, writer=writer))
    tip = entry(store, {run_id: {"run.1.msgpack": data}}, parents=[ledger_tips(store)[ref]])
    store.repository.git.run("update-ref", ref, tip)
    run = finish(store)
    done = drain(store)
    assert (done.recorded, done.rejected) == ([run.id], {})


@pytest.mark.parametrize("month", ["2019-01", "2099-12"])
def test_other_months_in_our_shard_cost_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch, month: str
) -> None:
    """What others write there, with clocks that are wrong too, says nothing about our chain."""
    finish(store, environment={"uv.lock": b"1"})
    drain(store)
    run_id = new_id()
    tip = entry(store, {run_id: {"run.1.msgpack": canonical.encode(manifest(run_id))}})
    ours = only_ref(store)
    store.repository.git.run("update-ref", f"refs/prov/ledger/{month}/{ours[-2:]}", tip)
    with monkeypatch.context() as patch:
        patch.setattr(appending, "list_entries", None)  # no walk
        run = finish(store, environment={"uv.lock": b"1"})
        assert drain(store).recorded == [run.id]
    end = load_chain_end(store.repository.prov_dir, writer_id(store.repository.prov_dir))
    assert (end.sequence, end.ref, len(end.environments)) == (2, ours, 1)
    assert verify(store).counts["writers"]["checked"] == 2


def test_dropped_month_leaves_the_rest_readable(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Environments too: a later month must not rely on trees of an earlier one."""
    lock = {"uv.lock": b"version = 1\n"}
    set_month(monkeypatch, "2026-01")
    record(store, 2, environment=lock)
    set_month(monkeypatch, "2026-02")
    record(store)
    git = store.repository.git
    for ref in ledger_tips(store):
        if "2026-01" in ref:
            git.run("update-ref", "-d", ref)
    git.run("reflog", "expire", "--expire=now", "--all")
    git.run("gc", "--prune=now", "--quiet")
    ids = record(store, environment=lock)
    findings = verify(Store(Repository.discover(store.repository.work_tree)))
    assert findings.is_good
    assert findings.counts["months"]["unknown"] == 1
    assert findings.counts["environments"]["checked"] == 1
    assert ids[0] in run_ids(store)


def test_environments_are_shared_by_tree(store: Store) -> None:
    lock = {"uv.lock": b"version = 1\n", "deep/er/file": b"\0"}
    other = {"uv.lock": b"version = 2\n"}
    record(store, 2, environment=lock)
    (store.repository.prov_dir / "chain").unlink()
    record(store, environment=lock)
    for environment in (lock, other, lock):
        finish(store, environment=environment)
    drain(store)
    trees = [found.environment for found in records(store) if found.schema != START_SCHEMA]
    assert len(trees) == 6
    assert len(set(trees)) == 2
    assert verify(store).counts["environments"] == {"checked": 6, "failed": 0, "unknown": 0}


def test_snapshot_and_commit_survive_gc(clone: Clone, store: Store) -> None:
    head = clone.git("rev-parse", "HEAD").strip()
    dirty = finish_dirty(store, clone, "new.py", "print(1)\n")
    snapshot = snapshot_of(dirty)
    drain(store)
    clone.git("checkout", "--quiet", "--orphan", "other")
    clone.commit("unrelated")
    clone.git("branch", "-D", "main")
    clone.git("reflog", "expire", "--expire=now", "--all")
    clone.git("gc", "--prune=now", "--quiet")
    assert clone.git("show", f"{snapshot}:new.py") == "print(1)\n"
    assert clone.git("rev-parse", f"{snapshot}^").strip() == head
    assert clone.git("fsck", "--strict") == ""


def test_same_snapshot_twice_is_kept_once(clone: Clone, store: Store) -> None:
    finish_dirty(store, clone, "new.py", "print(1)\n")
    drain(store)
    keep = list_refs(store.repository.git, KEEP)
    finish_dirty(store, clone, "new.py", "print(1)\n")
    drain(store)
    assert list_refs(store.repository.git, KEEP) == keep
    assert len(run_ids(store)) == 2


def test_commit_that_gc_has_taken_holds_nothing_up(clone: Clone, store: Store) -> None:
    gone = clone.git("commit-tree", "-m", "never reached", "HEAD^{tree}").strip()
    tree = clone.git("rev-parse", "HEAD^{tree}").strip()
    lost = finish(store, source={"commit": gone, "tree": tree})
    kept = finish(store, source={"commit": clone.git("rev-parse", "HEAD").strip(), "tree": tree})
    clone.git("gc", "--prune=now", "--quiet")
    assert sorted(drain(store).recorded) == sorted([lost.id, kept.id])
    findings = verify(store)
    assert findings.is_good
    assert findings.counts["sources"] == {"checked": 1, "failed": 0, "unknown": 1}


def test_snapshot_of_a_commit_that_gc_has_taken(clone: Clone, store: Store) -> None:
    first = clone.git("rev-parse", "HEAD").strip()
    clone.commit("second", {"big.py": "x = 1\n"})
    lost = finish_dirty(store, clone, "new.py", "print(1)\n")
    clone.git("reset", "--quiet", "--hard", first)
    clone.git("reflog", "expire", "--expire=now", "--all")
    clone.git("gc", "--prune=now", "--quiet")
    kept = finish_dirty(store, clone, "other.py", "print(2)\n")
    snapshot = snapshot_of(kept)
    assert sorted(drain(store).recorded) == sorted([lost.id, kept.id])
    assert waiting(store) == []
    clone.git("gc", "--prune=now", "--quiet")
    findings = verify(store)
    assert findings.is_good
    assert findings.counts["sources"]["checked"] == 1
    assert findings.counts["sources"]["unknown"] == 1
    assert clone.git("show", f"{snapshot}:other.py") == "print(2)\n"
    assert clone.git("fsck", "--strict", "--no-dangling") == ""


def test_snapshot_that_git_s_strict_checks_refuse_is_kept(clone: Clone, store: Store) -> None:
    odd = '[submodule "x"]\n\tpath = x\n\turl = -oProxyCommand=x\n'
    run = finish_dirty(store, clone, ".gitmodules", odd)
    snapshot = snapshot_of(run)
    assert drain(store).recorded == [run.id]
    clone.git("gc", "--prune=now", "--quiet")
    assert clone.git("show", f"{snapshot}:.gitmodules") == odd
    findings = verify(store)
    assert findings.is_good
    assert findings.counts["sources"]["checked"] == 1


@pytest.mark.parametrize("target", ["HEAD:train.py", "HEAD^{tree}"])
def test_notes_that_are_none_hold_nothing_up(clone: Clone, store: Store, target: str) -> None:
    clone.git("update-ref", NOTES, clone.git("rev-parse", target).strip())
    commit = clone.git("rev-parse", "HEAD").strip()
    run = finish(store, source={"commit": commit})
    assert drain(store).recorded == [run.id]
    assert run_ids(store) == [run.id]


def test_leftover_protection_goes_with_the_next_drain(store: Store) -> None:
    folder = store.repository.common_dir / "objects" / "pack"
    record(store)
    (pack,) = folder.glob("*.pack")
    pack.with_suffix(".keep").write_text("gitprov: being linked\n")
    record(store)
    assert not list(folder.glob("*.keep"))


@pytest.mark.parametrize("ref", ["ledger", "keep", "notes"])
def test_lock_of_a_killed_git_does_not_block_for_ever(clone: Clone, store: Store, ref: str) -> None:
    commit = clone.git("rev-parse", "HEAD").strip()
    tree = clone.git("rev-parse", "HEAD^{tree}").strip()
    record(store, source={"commit": commit, "tree": tree})
    prefix = NOTES if ref == "notes" else f"refs/prov/{ref}/"
    (name,) = list_refs(store.repository.git, prefix)
    lock = store.repository.common_dir / f"{name}.lock"
    lock.write_text("12" * 20 + "\n")
    other = clone.commit("second", {"new.py": "x = 1\n"})
    tree = clone.git("rev-parse", "HEAD^{tree}").strip()
    run = finish(store, source={"commit": other, "tree": tree})
    if ref == "notes":
        assert drain(store).recorded == [run.id]
    else:
        with pytest.raises(StoreBusy, match="lock"):
            drain(store)
        assert waiting(store) == [run.id]
    assert lock.exists()
    os.utime(lock, (0, 0))
    finish(store, source={"commit": other, "tree": tree})
    drain(store)
    drain(store)
    assert waiting(store) == []
    assert len(run_ids(store)) == 3
    assert not lock.exists()


def test_lock_that_may_be_alive_is_left_alone(store: Store) -> None:
    record(store)
    (name,) = ledger_tips(store)
    lock = store.repository.common_dir / f"{name}.lock"
    lock.touch()
    run = finish(store)
    with pytest.raises(StoreBusy, match="lock"):
        drain(store)
    assert lock.exists()
    assert waiting(store) == [run.id]
    lock.unlink()
    assert drain(store).recorded == [run.id]


def test_waits_no_longer_than_for_its_own_runs(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The holder of the lock took them along, and goes on with other things."""
    run = finish(store)
    asked = threading.Event()
    done: list[Drained] = []

    def lock(*arguments: Any, **options: Any) -> Any:
        asked.set()
        return store_lock(*arguments, **options)

    monkeypatch.setattr(drain_module, "store_lock", lock)
    with store_lock(store.lock_path):
        thread = threading.Thread(target=lambda: done.append(drain(store)))
        thread.start()
        assert asked.wait(30)
        later = finish(store)
        run.retire()
        thread.join(30)
        assert done == [Drained()]
    assert waiting(store) == [later.id]


@pytest.mark.parametrize(
    ("limit", "value"), [("_BATCH_RUNS", 3), ("_BATCH_BYTES", 5000)], ids=["runs", "bytes"]
)
def test_many_runs_go_in_batches(
    store: Store, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(drain_module, limit, value)
    ids = []
    for _ in range(8):
        run = finish(store)
        run.payload("output.log").write_bytes(os.urandom(2000))
        ids.append(run.id)
    done = drain(store)
    assert sorted(done.recorded) == sorted(ids)
    assert len(entries(store)) == 3
    assert sorted(run.writer.sequence for run in runs(store) if run.writer) == list(range(1, 9))
    assert waiting(store) == []
    assert verify(store).is_good


def test_batch_that_fails_leaves_what_came_before_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain_module, "_BATCH_RUNS", 2)
    ids = [finish(store).id for _ in range(5)]
    original, tries = staging.Staging.write, []

    def write(self: staging.Staging) -> None:
        tries.append(1)
        if len(tries) == 2:
            raise GitFailed("git index-pack failed: no room")
        original(self)

    with monkeypatch.context() as patch:
        patch.setattr(staging.Staging, "write", write)
        with pytest.raises(GitFailed):
            drain(store)
    assert len(run_ids(store)) == 2
    assert sorted(run_ids(store) + waiting(store)) == sorted(ids)
    assert len(drain(store).recorded) == 3
    assert run_ids(store) == sorted(ids)
    assert verify(store).is_good


def test_more_runs_than_a_batch_holds(store: Store) -> None:
    store.repository.git.run("config", "prov.fsync", "off")
    store = Store.open(store.repository.work_tree)
    ids = [finish(store).id for _ in range(251)]
    assert sorted(drain(store).recorded) == sorted(ids)
    assert len(entries(store)) == 2
    assert run_ids(store) == sorted(ids)
    assert waiting(store) == []


def test_end_of_our_chain_that_was_made_anew_and_collected(clone: Clone, store: Store) -> None:
    """What reads objects for a long time may see them still: git decides what is here."""
    first = record(store)
    ((ref, tip),) = ledger_tips(store).items()
    message = clone.git("log", "-1", "--format=%B", tip)
    anew = clone.git("commit-tree", f"{tip}^{{tree}}", "-m", message).strip()
    store.objects.read(tip)
    clone.git("update-ref", ref, anew)
    clone.git("gc", "--prune=now", "--quiet")
    assert sorted(first + record(store)) == run_ids(store)
    assert verify(store).is_good
