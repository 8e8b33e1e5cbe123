"""What strangers send: taken in where it is a ledger, refused with the reason where it is not."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gitprov.codec import canonical
from gitprov.model.ids import new_id
from gitprov.store.acceptance import accept
from gitprov.store.objects import MODE_TREE, TreeEntry, encode_tree
from gitprov.store.pack import Existing, PackBuilder
from gitprov.store.refs import list_refs
from gitprov.store.store import Store
from tests.support.chains import AUTHOR, entry, only_ref, rebuild, run_folder, write_pack
from tests.support.repositories import Clone
from tests.support.runs import (
    copy_repository,
    entries,
    finish,
    ledger_tips,
    manifest,
    record,
    records,
    run_ids,
)

THEIRS = "refs/prov-remote/origin/ledger/2026-01/05"


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone.make(tmp_path / "clone")


@pytest.fixture
def store(clone: Clone) -> Store:
    """Return a store with two runs of its own."""
    store = clone.store()
    record(store, 2)
    return store


def offer(store: Store, oid: str, ref: str = THEIRS) -> None:
    """Put a chain where a fetch would."""
    store.repository.git.run("update-ref", ref, oid)


def refused(store: Store, oid: str, ref: str = THEIRS) -> str:
    """Offer a chain; return why it is refused, having seen that nothing of ours has moved."""
    before = list_refs(store.repository.git, "refs/prov/", "refs/notes/")
    offer(store, oid, ref)
    done = accept(store)
    assert list_refs(store.repository.git, "refs/prov/", "refs/notes/") == before
    assert done.runs == 0
    (reason,) = done.refused
    assert "of remote origin is not taken in: " in reason
    assert reason.isprintable()
    return reason


def good_record(**fields: object) -> tuple[str, bytes]:
    run_id = new_id()
    return run_id, canonical.encode(manifest(run_id, **fields))


def test_good_chain_is_taken_in_once(store: Store) -> None:
    run_id, data = good_record()
    tip = entry(store, {run_id: {"run.1.msgpack": data}})
    offer(store, tip)
    done = accept(store)
    assert (done.runs, done.refused) == (1, [])
    assert ledger_tips(store)["refs/prov/ledger/2026-01/05"] == tip
    assert run_id in run_ids(store)
    assert accept(store).runs == 0


def test_notes_of_runs_that_are_taken_in(clone: Clone, store: Store) -> None:
    commit = clone.git("rev-parse", "HEAD").strip()
    run_id, data = good_record(source={"commit": commit})
    offer(store, entry(store, {run_id: {"run.1.msgpack": data}}))
    accept(store)
    assert run_id[:8] in clone.git("notes", "--ref=prov", "show", commit)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not msgpack"),
        (b"\xc1", "not msgpack"),
        (b"\x80", "does not say that it is run.1"),
        (b"\x81\xa6schema\xa5run.2", "does not say that it is run.1"),
        (b"\xde\x00\x01\xa6schema\xa5run.1", "canonical form"),
        (b"\x93\x01\x02\x03", "a record is a map"),
        (b"x" * (canonical.MAX_BYTES + 1), "the limit is"),
    ],
    ids=["empty", "invalid", "no fields", "other kind", "long header", "array", "oversized"],
)
def test_malformed_record(store: Store, data: bytes, reason: str) -> None:
    assert reason in refused(store, entry(store, run_folder(data)))


def test_good_entries_below_a_bad_one_stay_out_too(store: Store) -> None:
    run_id, data = good_record()
    good = entry(store, {run_id: {"run.1.msgpack": data}})
    refused(store, entry(store, run_folder(b"\xc1"), parents=[good]))
    assert run_id not in run_ids(store)


@pytest.mark.parametrize(
    "name", ["..", ".git", "README", "K" * 32, "a" * 32, "k" * 31, "k" * 33, "k" * 31 + "\n"]
)
def test_wrong_folder_name(store: Store, name: str) -> None:
    _, data = good_record()
    assert "which is no record" in refused(store, entry(store, {name: {"run.1.msgpack": data}}))


def test_file_in_place_of_a_folder(store: Store) -> None:
    assert "which is no record" in refused(store, entry(store, {new_id(): b"a file"}))


def test_record_in_the_folder_of_another(store: Store) -> None:
    run_id, data = good_record()
    folder = new_id()
    reason = refused(store, entry(store, {folder: {"run.1.msgpack": data}}))
    assert f"the folder {folder} holds the record of {run_id}" in reason


@pytest.mark.parametrize(
    "name", ["..", "../run.1.msgpack", "run.msgpack", "run.01.msgpack", "x", "Run.1.msgpack"]
)
def test_wrong_file_name(store: Store, name: str) -> None:
    run_id, data = good_record()
    tip = entry(store, {run_id: {"run.1.msgpack": data, name: b"more"}})
    assert "which has no place there" in refused(store, tip)


@pytest.mark.parametrize("count", [0, 2])
def test_not_one_manifest(store: Store, count: int) -> None:
    run_id, data = good_record()
    files = {"run.1.msgpack": data, "start.1.msgpack": data}
    chosen = dict(list(files.items())[:count])
    tip = entry(store, {run_id: {**chosen, "signature": b"x"}})
    assert f"has {count} manifests instead of one" in refused(store, tip)


@pytest.mark.parametrize("name", ["..", ".", ".git", ".GIT", "a/b", "../../etc/passwd", ""])
@pytest.mark.parametrize("depth", [0, 2])
def test_path_tricks_in_an_environment(store: Store, name: str, depth: int) -> None:
    pack = PackBuilder()
    blob = pack.add("blob", b"content")
    tree = pack.add("tree", encode_tree([TreeEntry(0o100644, name.encode(), blob)]))
    for _ in range(depth):
        tree = pack.add_tree({"deeper": Existing(MODE_TREE, tree)})
    write_pack(store, pack)
    run_id, data = good_record()
    files = {"run.1.msgpack": data, "environment": Existing(MODE_TREE, tree)}
    assert "an environment holds the name" in refused(store, entry(store, {run_id: files}))


@pytest.mark.parametrize("mode", [0o120000, 0o100755, 0o160000])
def test_link_in_an_environment(store: Store, mode: int) -> None:
    pack = PackBuilder()
    blob = pack.add("blob", b"/etc/passwd")
    tree = pack.add("tree", encode_tree([TreeEntry(mode, b"uv.lock", blob)]))
    write_pack(store, pack)
    run_id, data = good_record()
    files = {"run.1.msgpack": data, "environment": Existing(MODE_TREE, tree)}
    assert "is not a plain file" in refused(store, entry(store, {run_id: files}))


def test_environment_without_end(store: Store) -> None:
    pack = PackBuilder()
    tree = pack.add_tree({"file": b""})
    for _ in range(40):
        tree = pack.add_tree({"deeper": Existing(MODE_TREE, tree)})
    write_pack(store, pack)
    run_id, data = good_record()
    files = {"run.1.msgpack": data, "environment": Existing(MODE_TREE, tree)}
    assert "without end" in refused(store, entry(store, {run_id: files}))


def test_missing_object(store: Store) -> None:
    run_id, _ = good_record()
    pack = PackBuilder()
    tree = pack.add(
        "tree",
        encode_tree([TreeEntry(MODE_TREE, run_id.encode(), "12" * 20)]),
    )
    tip = pack.add(
        "commit",
        b"tree %s\nauthor %s\ncommitter %s\n\nx" % (tree.encode(), AUTHOR, AUTHOR),
    )
    write_pack(store, pack)
    assert "12" * 20 in refused(store, tip)


@pytest.mark.parametrize("area", ["ledger", "keep", "payload"])
@pytest.mark.parametrize("target", ["HEAD:train.py", "HEAD^{tree}", "v1"])
def test_tip_that_is_no_commit(clone: Clone, store: Store, area: str, target: str) -> None:
    clone.git("tag", "-a", "-m", "annotated", "v1")
    oid = clone.git("rev-parse", target).strip()
    ref = THEIRS.replace("ledger", area)
    assert "the chain ends at a " in refused(store, oid, ref)


def test_commit_of_source_in_a_chain(clone: Clone, store: Store) -> None:
    """A stranger must not make us publish or keep what is no entry."""
    head = clone.git("rev-parse", "HEAD").strip()
    run_id, data = good_record()
    tip = entry(store, {run_id: {"run.1.msgpack": data}}, parents=[head])
    assert "which is no record" in refused(store, tip)


def test_bad_chain_does_not_keep_a_good_one_out(store: Store) -> None:
    run_id, data = good_record()
    offer(store, entry(store, run_folder(b"\xc1")))
    offer(store, entry(store, {run_id: {"run.1.msgpack": data}}), THEIRS.replace("05", "06"))
    done = accept(store)
    assert (done.runs, len(done.refused)) == (1, 1)
    assert len(accept(store).refused) == 1


def test_kind_of_the_future_is_kept(store: Store) -> None:
    note = canonical.encode({"schema": "note.7", "id": new_id(), "text": "from later"})
    tip = entry(store, {new_id(): {"note.7.msgpack": note}})
    offer(store, tip)
    assert accept(store).refused == []
    assert note in [found.data for found in records(store)]
    assert tip in entries(store)


def test_kind_of_the_future_must_be_canonical(store: Store) -> None:
    tip = entry(store, {new_id(): {"note.7.msgpack": b"\xc1"}})
    assert "not msgpack" in refused(store, tip)


def test_names_that_are_no_chains_are_left_alone(store: Store) -> None:
    before = ledger_tips(store)
    offer(store, entry(store, run_folder(b"\xc1")), "refs/prov-remote/origin/ledger/now/05")
    assert accept(store).refused == []
    assert ledger_tips(store) == before


def test_altered_copy_of_our_chain_is_joined_and_found_by_verification(
    store: Store, tmp_path: Path
) -> None:
    """Acceptance is about form. Ours stays whatever a stranger makes of it."""
    ours = run_ids(store)
    stranger = copy_repository(store, tmp_path / "stranger")
    rebuild(stranger, lambda found: found.pop())
    ref = only_ref(stranger)
    record(store)
    theirs = ledger_tips(stranger)[ref]
    store.repository.git.run("fetch", "--quiet", str(tmp_path / "stranger"), ref)
    offer(store, theirs, ref.replace("refs/prov", "refs/prov-remote/origin"))
    accept(store)
    assert set(run_ids(store)) >= set(ours)


@pytest.mark.parametrize("damage", [b"", b"garbage"])
def test_cache_of_what_was_read_can_be_lost(store: Store, damage: bytes) -> None:
    run_id, data = good_record()
    offer(store, entry(store, {run_id: {"run.1.msgpack": data}}))
    accept(store)
    (store.repository.prov_dir / "accepted").write_bytes(damage)
    record(store)
    done = accept(store)
    assert (done.runs, done.refused) == (0, [])
    assert len(run_ids(store)) == 4


def test_nothing_offered_takes_no_lock(clone: Clone) -> None:
    store = clone.store()
    accept(store)
    assert not store.repository.prov_dir.exists()


@pytest.mark.parametrize("order", [sorted, lambda tips: sorted(tips, reverse=True)])
def test_two_remotes_in_any_order(store: Store, order: Callable[[list[str]], list[str]]) -> None:
    tips, ids = [], []
    for _ in range(2):
        run_id, data = good_record()
        ids.append(run_id)
        tips.append(entry(store, {run_id: {"run.1.msgpack": data}}))
    for number, tip in enumerate(order(tips)):
        offer(store, tip, THEIRS.replace("origin", f"remote{number}"))
    assert accept(store).runs == 2
    assert set(ids) <= set(run_ids(store))
    tip = ledger_tips(store)["refs/prov/ledger/2026-01/05"]
    parents = store.repository.git.run("rev-list", "--parents", "-1", tip).decode().split()[1:]
    assert parents == sorted(tips)


def test_run_of_ours_that_waits_is_not_disturbed(store: Store) -> None:
    waiting = finish(store)
    refused(store, entry(store, run_folder(b"\xc1")))
    assert [run.id for run in store.journal.runs()] == [waiting.id]
