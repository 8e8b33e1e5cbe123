"""The list of ids that is kept between commands says what chains have, whatever became of it."""

import random
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from gitprov.codec import canonical
from gitprov.model.ids import new_id
from gitprov.store import record_ids
from gitprov.store.git import Git
from gitprov.store.ledger import list_entries, read_entries
from gitprov.store.objects import Commit
from gitprov.store.pack import PackBuilder
from gitprov.store.record_ids import IDS, RecordIds
from gitprov.store.store import Store
from tests.support.chains import AUTHOR, entry, write_pack
from tests.support.repositories import Clone
from tests.support.runs import ledger_tips, manifest, record, records, run_ids


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Clone.make(tmp_path / "clone").store()
    record(store, 3)
    return store


def ids_of(store: Store, tips: Sequence[str] | None = None) -> RecordIds:
    chains = list(ledger_tips(store).values()) if tips is None else tips
    repository = store.repository
    path = repository.prov_dir / IDS
    return RecordIds(repository.git, store.objects, path, chains, repository.cut_commits())


def remembered(store: Store, tips: Sequence[str] | None = None) -> None:
    """Have the list written as it is now."""
    ids = ids_of(store, tips)
    ids.folders("k" * 32)
    ids.remember()


@pytest.fixture
def walked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the trees of entries that are gone through from here on."""
    found: list[str] = []
    real = record_ids._trees_of_entries

    def walk(git: Git, tips: Sequence[str], known: Sequence[str]) -> Counter[str]:
        trees = real(git, tips, known)
        found.extend(trees.elements())
        return trees

    monkeypatch.setattr(record_ids, "_trees_of_entries", walk)
    return found


def folder_of(store: Store, record_id: str) -> list[str]:
    """Return the folders of a record, by git."""
    git, found = store.repository.git, set()
    for oid in list_entries(git, list(ledger_tips(store).values())):
        listed = git.run("ls-tree", "--format=%(objectname)", oid, record_id).decode()
        found.update(listed.split())
    return sorted(found)


def test_only_what_is_new_is_gone_through(store: Store, walked: list[str]) -> None:
    remembered(store)
    assert len(walked) == 3
    walked.clear()
    (added,) = record(store)
    ids = ids_of(store)
    for run_id in run_ids(store):
        assert ids.folders(run_id) == folder_of(store, run_id) != []
    assert ids.folders(new_id()) == []
    assert len(walked) == 1
    ids.remember()
    walked.clear()
    assert ids_of(store).folders(added) == folder_of(store, added)
    assert walked == []


def test_nothing_is_written_unasked(store: Store) -> None:
    ids_of(store).folders("k" * 32)
    ids_of(store).remember()
    assert not (store.repository.prov_dir / IDS).exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"garbage" * 1000),
        lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
        lambda path: path.write_bytes(path.read_bytes()[:4096] + bytes(path.stat().st_size)),
        lambda path: change(path, "PRAGMA user_version = 99"),
        lambda path: change(path, "DROP TABLE records"),
    ],
    ids=["gone", "empty", "garbage", "cut", "zeros", "newer", "other"],
)
def test_a_list_that_is_damaged_is_made_anew(
    store: Store, walked: list[str], damage: Callable[[Path], object]
) -> None:
    remembered(store)
    damage(store.repository.prov_dir / IDS)
    ids = ids_of(store)
    assert all(ids.folders(run_id) == folder_of(store, run_id) for run_id in run_ids(store))
    ids.remember()
    walked.clear()
    ids = ids_of(store)
    assert all(ids.folders(run_id) == folder_of(store, run_id) for run_id in run_ids(store))
    assert walked == []
    assert [path.name for path in store.repository.prov_dir.glob("*ids*")] == [IDS]


def change(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)


@pytest.mark.parametrize("access", [0o775, 0o755, 0o700])
def test_who_may_write_objects_may_write_the_list(tmp_path: Path, access: int) -> None:
    """On a host, people of a group push, each under an account of their own."""
    clone = Clone.make(tmp_path / "clone")
    run_id = new_id()
    data = canonical.encode(manifest(run_id))
    store = clone.store()
    tip = entry(store, {run_id: {"run.1.msgpack": data}})
    shutil.rmtree(store.repository.prov_dir, ignore_errors=True)
    (store.repository.common_dir / "objects").chmod(access)
    remembered(store, [tip])
    assert ids_of(store, [tip]).folders(run_id)
    assert store.repository.prov_dir.stat().st_mode & 0o777 == access
    assert (store.repository.prov_dir / IDS).stat().st_mode & 0o777 == access & 0o666


def test_a_list_that_cannot_be_written_is_done_without(store: Store) -> None:
    (store.repository.prov_dir / IDS).mkdir()
    for _ in range(2):
        ids = ids_of(store)
        assert all(ids.folders(run_id) for run_id in run_ids(store))
        ids.remember()


def test_a_list_that_another_command_writes(store: Store) -> None:
    remembered(store)
    record(store)
    ids = ids_of(store)
    found = {run_id: ids.folders(run_id) for run_id in run_ids(store)}
    (added,) = record(store)
    remembered(store)
    assert {run_id: ids.folders(run_id) for run_id in found} == found
    ids.remember()  # is behind, and says nothing
    assert ids_of(store).folders(added)


def test_a_chain_that_is_dropped(store: Store, walked: list[str]) -> None:
    ids = run_ids(store)
    remembered(store)
    (ref,) = ledger_tips(store)
    store.repository.git.run("update-ref", ref, f"{ref}~1")
    left = run_ids(store)
    for _ in range(2):
        found = ids_of(store)
        assert {run_id for run_id in ids if found.folders(run_id)} == set(left)
        found.remember()
        walked.clear()
    store.repository.git.run("update-ref", "-d", ref)
    assert not any(ids_of(store).folders(run_id) for run_id in ids)


def test_a_record_in_two_entries_outlives_one(store: Store) -> None:
    run_id = run_ids(store)[0]
    found = next(item for item in records(store) if item.id == run_id)
    again = entry(store, {run_id: {"run.1.msgpack": found.data}})
    (tip,) = ledger_tips(store).values()
    remembered(store, [tip, again])
    for tips in ([tip], [tip, again], [again]):
        ids = ids_of(store, tips)
        assert len(ids.folders(run_id)) == 1
        ids.remember()
    assert ids_of(store, [tip]).folders(run_id)


def test_entries_that_share_a_tree_share_its_rows(store: Store) -> None:
    """A few objects can stand for more records than any list holds."""
    run_id = run_ids(store)[0]
    found = next(item for item in records(store) if item.id == run_id)
    made: list[str] = []
    for _ in range(30):
        made.append(entry(store, {run_id: {"run.1.msgpack": found.data}}, parents=made[-1:]))
    for tips in (made[-1:], made[9:10], made[-1:], made[:1]):
        remembered(store, tips)
        assert len(ids_of(store, tips).folders(run_id)) == 1
        with closing(sqlite3.connect(store.repository.prov_dir / IDS)) as connection:
            assert connection.execute("SELECT count(*) FROM records").fetchone() == (1,)
            assert connection.execute("SELECT entries FROM trees").fetchall() == [
                (len(list_entries(store.repository.git, tips)),)
            ]
    (tip,) = ledger_tips(store).values()
    remembered(store, [tip])
    assert len(ids_of(store).folders(run_id)) == 1


def test_an_id_with_two_contents(store: Store) -> None:
    run_id = run_ids(store)[0]
    forged = canonical.encode(manifest(run_id, message="forged"))
    (tip,) = ledger_tips(store).values()
    both = [tip, entry(store, {run_id: {"run.1.msgpack": forged}})]
    for _ in range(2):
        ids = ids_of(store, both)
        assert len(ids.folders(run_id)) == 2
        ids.remember()


@pytest.mark.parametrize("what", ["all", "below"])
def test_old_tips_that_were_collected(store: Store, what: str) -> None:
    absent = "1234567890" * 4
    pack = PackBuilder()
    tip = pack.add_commit(Commit(pack.add_tree({}), (absent,), AUTHOR, AUTHOR, b"join\n"))
    write_pack(store, pack)
    remembered(store)
    path = store.repository.prov_dir / IDS
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE tips SET oid = ?", [absent if what == "all" else tip])
        connection.execute("DELETE FROM records")
    assert all(ids_of(store).folders(run_id) for run_id in run_ids(store))


def test_history_that_is_cut_off_and_comes_back(store: Store) -> None:
    (tip,) = ledger_tips(store).values()
    cut = store.repository.git.run("rev-parse", f"{tip}~1").decode()
    shallow = store.repository.common_dir / "shallow"
    all_ids = run_ids(store)
    shallow.write_text(cut)
    remembered(store)
    assert sum(bool(ids_of(store).folders(run_id)) for run_id in all_ids) == 2
    shallow.unlink()
    assert all(ids_of(store).folders(run_id) for run_id in all_ids)


def test_entries_that_cannot_be_read_have_no_ids(store: Store) -> None:
    source = store.repository.git.run("rev-parse", "HEAD").decode().strip()
    (tip,) = ledger_tips(store).values()
    ids = ids_of(store, [tip, source])
    assert all(ids.folders(run_id) for run_id in run_ids(store))
    assert not ids.folders("train.py")


def test_any_history_of_tips(store: Store) -> None:
    """Tips come and go; the list of whatever was before says what a walk says."""
    made: list[str] = []
    chance = random.Random(7)  # noqa: S311 -- the same each time
    names = [new_id() for _ in range(6)]
    for number in range(12):
        parents = chance.sample(made, min(len(made), chance.randrange(3)))
        run_id = chance.choice(names)
        data = canonical.encode(manifest(run_id, message=str(number % 2)))
        made.append(entry(store, {run_id: {"run.1.msgpack": data}}, parents=parents))
    for _ in range(25):
        tips = chance.sample(made, chance.randrange(1, 4))
        ids = ids_of(store, tips)
        there = read_entries(store.objects, list_entries(store.repository.git, tips))
        expected = {(found.id, found.data) for item in there for found in item.records}
        listed = {
            (name, store.repository.git.run("cat-file", "blob", f"{folder}:run.1.msgpack"))
            for name in names
            for folder in ids.folders(name)
        }
        assert listed == expected
        if chance.random() < 0.7:
            ids.remember()
