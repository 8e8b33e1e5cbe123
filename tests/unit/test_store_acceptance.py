"""What strangers send: taken in where it is a ledger, refused with the reason where it is not."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gitprov.codec import canonical
from gitprov.errors import MalformedRecord, StoreBusy
from gitprov.index.history import History
from gitprov.model.ids import new_id
from gitprov.policy.verify import verify
from gitprov.store import acceptance, remote_tips
from gitprov.store.acceptance import accept
from gitprov.store.git_locks import announce
from gitprov.store.objects import MODE_TREE, Commit, TreeEntry, encode_tree
from gitprov.store.pack import Existing, PackBuilder
from gitprov.store.refs import list_refs
from gitprov.store.store import Store
from gitprov.store.writer import writer_id
from tests.support.chains import (
    AUTHOR,
    entry,
    naming,
    only_ref,
    rebuild,
    run_folder,
    write_pack,
)
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
    """Return a store with two runs of its own, and a remote that is never asked."""
    clone.git("remote", "add", "origin", "../nowhere.git")
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
    (reason,) = done.refused.values()
    assert "of remote origin is not taken in: " in reason
    assert reason.isprintable()
    return reason


def good_record(**fields: object) -> tuple[str, bytes]:
    run_id = new_id()
    return run_id, canonical.encode(manifest(run_id, **fields))


@pytest.mark.parametrize("announced", [True, False])
def test_lock_that_is_in_the_way(store: Store, *, announced: bool) -> None:
    """What a killed gitprov has left goes; for anybody else the next command looks again."""
    ref = "refs/prov/ledger/2026-01/05"
    run_id, data = good_record()
    tip = entry(store, {run_id: {"run.1.msgpack": data}})
    offer(store, tip)
    lock = store.repository.common_dir / f"{ref}.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text(f"{tip}\n")
    if announced:
        announce(store.repository, {ref: tip})
    else:
        os.utime(lock, (time.time() - 60,) * 2)  # nobody waits until it is older
    if announced:
        assert accept(store).runs == 1
        assert not lock.exists()
    else:
        with pytest.raises(StoreBusy, match="lock"):
            accept(store)
        lock.unlink()
        assert accept(store).runs == 1
    assert ledger_tips(store)[ref] == tip
    assert run_id in run_ids(store)


def test_good_chain_is_taken_in_once(store: Store) -> None:
    run_id, data = good_record()
    tip = entry(store, {run_id: {"run.1.msgpack": data}})
    offer(store, tip)
    done = accept(store)
    assert (done.runs, done.refused) == (1, {})
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
        (b"x" * (canonical.MAX_BYTES + 1), "is the most that is taken"),
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
    assert accept(store).refused == {}
    assert note in [found.data for found in records(store)]
    assert tip in entries(store)


def test_kind_of_the_future_must_be_canonical(store: Store) -> None:
    tip = entry(store, {new_id(): {"note.7.msgpack": b"\xc1"}})
    assert "not msgpack" in refused(store, tip)


def test_names_that_are_no_chains_are_left_alone(store: Store) -> None:
    before = ledger_tips(store)
    offer(store, entry(store, run_folder(b"\xc1")), "refs/prov-remote/origin/ledger/now/05")
    assert accept(store).refused == {}
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
    assert (done.runs, done.refused) == (0, {})
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


THEIR_PAYLOAD = THEIRS.replace("ledger", "payload")
THEIR_KEEP = THEIRS.replace("ledger", "keep")


@pytest.mark.parametrize("exponent", [63, 64])
def test_integers_that_no_database_takes(store: Store, exponent: int) -> None:
    number = (1 << exponent) - (exponent == 64)
    for fields in ({"exit_code": number}, {"usage": {"wall_ns": number}}):
        run_id, data = good_record(**fields)
        ref = THEIRS.replace("origin", new_id())
        offer(store, entry(store, {run_id: {"run.1.msgpack": data}}), ref)
    done = accept(store)
    assert (done.runs, len(done.refused)) == (0, 2)
    assert History(store).count() == 2


def test_largest_params_are_listed_and_found(store: Store) -> None:
    run_id, data = good_record(params={"seed": (1 << 64) - 1, "least": -(1 << 63)})
    offer(store, entry(store, {run_id: {"run.1.msgpack": data}}))
    assert accept(store).refused == {}
    history = History(store)
    assert history.count() == 3
    found = list(history.runs(where="params.seed = 18446744073709551615"))
    assert [run.record.id for run in found] == [run_id]
    assert found[0].record.params["seed"] == (1 << 64) - 1


@pytest.mark.parametrize("sequence", [1, 3, (1 << 63) - 1])
def test_record_that_claims_our_writer(store: Store, sequence: int) -> None:
    """Nobody else may say where our chain ends."""
    writer = {"id": writer_id(store.repository.prov_dir), "sequence": sequence}
    run_id, data = good_record(writer=writer)
    tip = entry(store, {run_id: {"run.1.msgpack": data}})
    for ref in (THEIRS, only_ref(store).replace("refs/prov", "refs/prov-remote/origin")):
        assert "carries the writer id of this clone" in refused(store, tip, ref)
        store.repository.git.run("update-ref", "-d", ref)
    record(store)
    assert verify(store).is_good


@pytest.mark.parametrize("with_cache", [True, False])
def test_our_own_month_comes_back(store: Store, *, with_cache: bool) -> None:
    """What we have written and dropped is ours: the records that we kept name it."""
    ids = run_ids(store)
    ref = only_ref(store)
    tip = ledger_tips(store)[ref]
    store.repository.git.run("update-ref", "-d", ref)
    if not with_cache:
        store.repository.git.run("update-ref", ref.replace("/20", "/19"), tip)
        later = run_ids(store)
        record(store)
        assert later == ids
        store.repository.git.run("update-ref", "-d", ref.replace("/20", "/19"))
        (store.repository.prov_dir / "chain").unlink()
    offer(store, tip, THEIRS)
    assert accept(store).refused == {}
    assert set(ids) <= set(run_ids(store))
    record(store)
    assert verify(store).is_good


@pytest.mark.parametrize("shard", ["05", "0e"])
def test_id_of_ours_with_other_bytes(store: Store, shard: str) -> None:
    run_id = run_ids(store)[0]
    forged = canonical.encode(manifest(run_id, message="forged"))
    tip = entry(store, {run_id: {"run.1.msgpack": forged}})
    reason = refused(store, tip, THEIRS.replace("05", shard))
    assert f"another record than the one here has the id {run_id}" in reason
    assert verify(store).is_good


def test_record_of_ours_with_another_environment(store: Store) -> None:
    """The same files, and a folder with none: another environment with the same digest."""
    lock = {"uv.lock": b"version = 1\n"}
    (run_id,) = record(store, environment=lock)
    found = next(item for item in records(store) if item.id == run_id)
    files = {"run.1.msgpack": found.data, "environment": {**lock, "empty": {}}}
    reason = refused(store, entry(store, {run_id: files}))
    assert f"another record than the one here has the id {run_id}" in reason


def test_record_of_ours_as_it_is(store: Store) -> None:
    found = records(store)[-1]
    tip = entry(store, {found.id: {"run.1.msgpack": found.data}})
    offer(store, tip)
    assert accept(store).refused == {}
    assert set(run_ids(store)) == {item.id for item in records(store) if "run" in item.schema}


def test_one_id_twice_among_what_comes(store: Store) -> None:
    run_id, data = good_record()
    first = entry(store, {run_id: {"run.1.msgpack": data}})
    other = canonical.encode(manifest(run_id, message="other"))
    tip = entry(store, {run_id: {"run.1.msgpack": other}}, parents=[first])
    assert f"two different records have the id {run_id}" in refused(store, tip)
    offer(store, first)
    assert accept(store).refused == {}
    offer(store, entry(store, {run_id: {"run.1.msgpack": other}}), THEIRS.replace("05", "06"))
    assert len(accept(store).refused) == 1


def bomb(pack: PackBuilder, tree: str, levels: int, width: int = 10) -> str:
    """Return a tree that names the next one `width` times, and so on."""
    for _ in range(levels):
        tree = pack.add_tree({f"{number:02}": Existing(MODE_TREE, tree) for number in range(width)})
    return tree


@pytest.mark.parametrize("content", [b"x", None], ids=["files", "folders alone"])
def test_environment_that_unfolds_without_end(store: Store, content: bytes | None) -> None:
    pack = PackBuilder()
    leaf = pack.add_tree({"file": content}) if content else pack.add("tree", b"")
    tree = bomb(pack, leaf, 15)
    write_pack(store, pack)
    run_id, data = good_record()
    files = {"run.1.msgpack": data, "environment": Existing(MODE_TREE, tree)}
    assert "holds more than 10000 names" in refused(store, entry(store, {run_id: files}))


def test_environment_that_unfolds_to_many_bytes(store: Store) -> None:
    pack = PackBuilder()
    tree = bomb(pack, pack.add_tree({"zeros": bytes(1 << 20)}), 2, 9)
    write_pack(store, pack)
    run_id, data = good_record()
    files = {"run.1.msgpack": data, "environment": Existing(MODE_TREE, tree)}
    assert "holds more than 64 MiB" in refused(store, entry(store, {run_id: files}))


def test_folder_seen_shallow_is_measured_deeper(store: Store) -> None:
    pack = PackBuilder()
    tall = bomb(pack, pack.add_tree({"file": b""}), 10, 1)
    tree = pack.add_tree(
        {"a": Existing(MODE_TREE, tall), "b": Existing(MODE_TREE, bomb(pack, tall, 8, 1))}
    )
    write_pack(store, pack)
    run_id, data = good_record()
    files = {"run.1.msgpack": data, "environment": Existing(MODE_TREE, tree)}
    assert "without end" in refused(store, entry(store, {run_id: files}))


def test_payload_and_keep_that_are_none(clone: Clone, store: Store) -> None:
    head = clone.git("rev-parse", "HEAD").strip()
    assert "which is no run" in refused(store, head, THEIR_PAYLOAD)
    store.repository.git.run("update-ref", "-d", THEIR_PAYLOAD)
    assert "a keep commit holds files" in refused(store, head, THEIR_KEEP)


@pytest.mark.parametrize("name", ["sub", "link"])
def test_payload_with_more_than_files(store: Store, name: str) -> None:
    pack = PackBuilder()
    blob = pack.add("blob", b"/etc/passwd")
    mode, oid = (MODE_TREE, pack.add_tree({})) if name == "sub" else (0o120000, blob)
    folder = pack.add("tree", encode_tree([TreeEntry(mode, b"output.log", oid)]))
    write_pack(store, pack)
    tip = entry(store, {new_id(): Existing(MODE_TREE, folder)})
    assert "is not a plain file" in refused(store, tip, THEIR_PAYLOAD)


def test_payload_below_a_good_one_is_checked(store: Store) -> None:
    below = entry(store, {"README": b"text"})
    tip = entry(store, {new_id(): {"output.log": b"text"}}, parents=[below])
    assert "which is no run" in refused(store, tip, THEIR_PAYLOAD)


def test_good_payload_and_keep_are_taken_in(clone: Clone, store: Store) -> None:
    head = clone.git("rev-parse", "HEAD").strip()
    offer(store, entry(store, {new_id(): {"output.log": b"text"}}), THEIR_PAYLOAD)
    offer(store, entry(store, {}, parents=[head]), THEIR_KEEP)
    assert accept(store).refused == {}
    assert {"refs/prov/keep/2026-01/05", "refs/prov/payload/2026-01/05"} <= store.refs().keys()


def test_keep_of_what_is_no_commit(clone: Clone, store: Store) -> None:
    tree = clone.git("rev-parse", "HEAD^{tree}").strip()
    assert "is a tree" in refused(store, entry(store, {}, parents=[tree]), THEIR_KEEP)


def test_refusal_is_said_again_and_not_read_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    reason = refused(store, entry(store, run_folder(b"\xc1")))
    with monkeypatch.context() as patch:
        # Nothing is left to read it with.
        patch.setattr(acceptance, "EntryChecks", None)
        assert list(accept(store).refused.values()) == [reason]
        # A good chain beside it does not bring it back either.
    run_id, data = good_record()
    offer(store, entry(store, {run_id: {"run.1.msgpack": data}}), THEIRS.replace("05", "06"))
    done = accept(store)
    assert (done.runs, [*done.refused.values()]) == (1, [reason])


def test_refused_chain_is_looked_at_by_another_version(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id, data = good_record()
    offer(store, entry(store, {run_id: {"run.1.msgpack": data}}))
    with monkeypatch.context() as patch:
        patch.setattr(remote_tips, "__version__", "0.0.1")
        patch.setattr(acceptance, "EntryChecks", _refuse)
        assert len(accept(store).refused) == 1
        assert len(accept(store).refused) == 1
    done = accept(store)
    assert (done.runs, done.refused) == (1, {})


def test_missing_object_that_comes_later(store: Store) -> None:
    run_id, data = good_record()
    pack, later = PackBuilder(), PackBuilder()
    tree = later.add_tree({run_id: {"run.1.msgpack": data}})
    tip = pack.add_commit(Commit(tree, (), AUTHOR, AUTHOR, naming([run_id])))
    write_pack(store, pack)
    refused(store, tip)
    write_pack(store, later)
    done = accept(store)
    assert (done.runs, done.refused) == (1, {})


def _refuse(*_: object) -> None:
    raise MalformedRecord("an older version knows better")


def test_what_a_remote_that_is_no_more_had_is_refused_once(clone: Clone, store: Store) -> None:
    bad = entry(store, run_folder(b"malformed"))
    offer(store, bad)
    assert len(accept(store).refused) == 1
    clone.git("config", "--unset", "remote.origin.url")
    store = clone.store()
    assert len(accept(store).refused) == 1
    assert accept(store).refused == {}
    assert THEIRS not in store.refs()
