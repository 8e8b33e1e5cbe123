"""Entries that break the format: clones, hosts and verification say the same of them."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from gitprov.codec import canonical
from gitprov.codec.environments import environment_digest
from gitprov.errors import MalformedRecord
from gitprov.model.ids import new_id
from gitprov.policy.verify import verify
from gitprov.store import entry_checks
from gitprov.store.acceptance import accept
from gitprov.store.entry_checks import EntryChecks
from gitprov.store.environment_trees import EnvironmentTrees
from gitprov.store.incoming import Incoming, Limits
from gitprov.store.ledger import list_entries, read_entries
from gitprov.store.objects import MODE_TREE, Commit, Object, ObjectReader, TreeEntry, encode_tree
from gitprov.store.pack import Existing, Files, PackBuilder
from gitprov.store.refs import list_refs, parse_shard
from gitprov.store.store import Store
from tests.support.chains import AUTHOR, entry, naming, write_pack
from tests.support.repositories import Clone
from tests.support.runs import ledger_tips, manifest, record, run_ids

LOCKS: dict[str, bytes | Files | Existing] = {
    "uv.lock": b"version = 1\n",
    "deeper": {"packages.json": b"{}\n"},
}
DIGEST = environment_digest({"uv.lock": b"version = 1\n", "deeper/packages.json": b"{}\n"})
REF = "refs/prov/ledger/2026-01/05"
OTHER = "k" * 32

Make = Callable[[Store], str]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Clone.make(tmp_path / "clone").store()


def new_run(**fields: Any) -> tuple[str, bytes]:
    run_id = new_id()
    return run_id, canonical.encode(manifest(run_id, **fields))


def accepted(store: Store, tip: str) -> None:
    """See that all three find an entry good."""
    assert checked_by_host(store, tip) is None
    store.repository.git.run("update-ref", REF.replace("prov/", "prov-remote/origin/"), tip)
    assert accept(store).refused == {}
    assert not [found for found in verify(store).reasons if found.kind != "writers"]


def refused(store: Store, tip: str) -> tuple[str, str]:
    """Return what clones and hosts say of an entry, having seen that it does not pass."""
    store.repository.git.run("update-ref", REF.replace("prov/", "prov-remote/origin/"), tip)
    (said,) = accept(store).refused.values()
    assert ledger_tips(store) == {}
    host = checked_by_host(store, tip)
    assert host is not None
    assert said.endswith(host)
    store.repository.git.run("update-ref", REF, tip)
    failed = [found for found in verify(store).reasons if found.outcome == "failed"]
    (kind,) = {found.kind for found in failed} - {"writers"}
    return host, kind


def checked_by_host(store: Store, tip: str) -> str | None:
    """Return why a host does not take an entry."""
    repository, shard = store.repository, parse_shard(REF)
    incoming = Incoming(repository.git, Limits(), repository.prov_dir)
    assert shard is not None
    try:
        incoming.check(shard, None, tip)
    except MalformedRecord as error:
        return str(error)
    else:
        return None
    finally:
        incoming.close()


# What terminals obey


@pytest.mark.parametrize(
    "letter",
    [b"\x1b[2J", b"\x07", b"\t", b"\r", b"\x7f", b"\xc2\x9b31m"],
    ids=["escape", "bell", "tab", "return", "delete", "c1"],
)
def test_message_that_moves_the_cursor(store: Store, letter: bytes) -> None:
    run_id, data = new_run()
    files = {run_id: {"run.1.msgpack": data}}
    tip = entry(store, files, message=b"an " + letter + naming([run_id]))
    said = f"the header or message of {tip} has control characters"
    assert refused(store, tip) == (said, "entries")


def test_message_in_any_script(store: Store) -> None:
    run_id, data = new_run()
    message = "Überprüfung: 実験 №3, ok\n\n".encode() + naming([run_id])
    accepted(store, entry(store, {run_id: {"run.1.msgpack": data}}, message=message))


# What the message names


@pytest.mark.parametrize(
    "words",
    [
        b"an entry\n",
        naming([OTHER]),
        naming(["ID", OTHER]),
        naming(["ID", "ID"]),
        naming(["ID"]) + b"\nthe end\n",
        naming(["ID"]).replace(b"Prov-Run: ", b" Prov-Run: "),
    ],
    ids=["none", "another", "more", "twice", "not last", "indented"],
)
def test_message_that_names_other_runs(store: Store, words: bytes) -> None:
    run_id, data = new_run()
    message = words.replace(b"ID", run_id.encode())
    tip = entry(store, {run_id: {"run.1.msgpack": data}}, message=message)
    said = f"the message of entry {tip} names other runs than the entry holds"
    assert refused(store, tip) == (said, "entries")


def test_join_that_names_a_run(store: Store) -> None:
    tip = entry(store, {}, message=naming([OTHER]))
    assert "names other runs" in refused(store, tip)[0]


def test_runs_of_a_kind_that_is_not_known_are_named_too(store: Store) -> None:
    writer = {"id": new_id(), "sequence": 1}
    data = canonical.encode({"schema": "run.2", "writer": writer})
    named = entry(store, {OTHER: {"run.2.msgpack": data}}, message=naming([OTHER]))
    silent = entry(store, {OTHER: {"run.2.msgpack": data}}, message=b"an entry\n")
    assert checked_by_host(store, named) is None
    assert "names other runs" in refused(store, silent)[0]


def test_what_a_person_writes_names_no_run(store: Store, tmp_path: Path) -> None:
    record(store, message=f"like the other one:\n\nProv-Run: {OTHER}\nProv-Run: none")
    assert verify(store).is_good
    other = Clone.of(os.fspath(store.repository.require_work_tree()), tmp_path / "other")
    other.prov("pull")
    assert run_ids(other.store()) == run_ids(store)


# What lies beside a record


def with_files(schema: str, document: dict[str, Any], files: Files | None) -> Make:
    """Return what makes an entry with one record and files of an environment."""
    folder: dict[str, bytes | Files | Existing] = {f"{schema}.msgpack": canonical.encode(document)}
    if files is not None:
        folder["environment"] = files
    return lambda store: entry(store, {document["id"]: folder})


RUN = manifest(OTHER, environment={"digest": DIGEST})
REWRITE = {
    "schema": "rewrite.1",
    "id": OTHER,
    "made_ns": 1,
    "how": "amend",
    "recorder": {"purl": "pkg:pypi/gitprov@0"},
    "commits": [{"old": "1" * 40}],
}
START = {"schema": "start.1", "id": OTHER, "month": "2026-01"}


def test_environment_that_is_as_recorded(store: Store) -> None:
    accepted(store, with_files("run.1", RUN, LOCKS)(store))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (with_files("run.1", RUN, {**LOCKS, "uv.lock": b"altered"}), "has another digest"),
        (with_files("run.1", RUN, {"uv.lock": b"version = 1\n"}), "has another digest"),
        (with_files("run.1", RUN, {}), "has another digest"),
        (with_files("run.1", RUN, None), "is not beside it"),
        (with_files("run.1", manifest(OTHER), LOCKS), "files that no digest covers"),
        (with_files("rewrite.1", REWRITE, LOCKS), "files that no digest covers"),
        (with_files("start.1", START, LOCKS), "files that no digest covers"),
    ],
    ids=["altered", "one less", "empty", "none", "too many", "rewrite", "start"],
)
def test_environment_that_is_another(store: Store, make: Make, said: str) -> None:
    reason, kind = refused(store, make(store))
    assert said in reason
    assert kind == "environments"


def test_environment_of_a_kind_that_is_not_known(store: Store) -> None:
    """Its form is checked; what digest it has, only those know who know the kind."""
    note: dict[str, Any] = {"schema": "note.7", "id": OTHER}
    assert checked_by_host(store, with_files("note.7", note, LOCKS)(store)) is None
    reason = checked_by_host(store, with_files("note.7", note, {".GIT": b""})(store))
    assert "an environment holds the name" in str(reason)


# Trees that git itself would not make


@pytest.mark.parametrize("order", [[0, 0], [1, 0]], ids=["twice", "not in order"])
def test_folders_of_records_are_in_order(store: Store, order: Sequence[int]) -> None:
    runs = sorted(new_run() for _ in range(2))
    pack = PackBuilder()
    items = [
        TreeEntry(MODE_TREE, run_id.encode(), pack.add_tree({"run.1.msgpack": data}))
        for run_id, data in runs
    ]
    tree = pack.add("tree", b"".join(encode_tree([items[index]]) for index in order))
    named = naming(sorted(runs[index][0] for index in order))
    tip = pack.add_commit(Commit(tree, (), AUTHOR, AUTHOR, named))
    write_pack(store, pack)
    reason, kind = refused(store, tip)
    assert "twice, or not in order" in reason
    assert kind == "entries"


# Little that stands for much


class Counting:
    """A reader that counts what is asked of it."""

    def __init__(self, reader: ObjectReader) -> None:
        self._reader = reader
        self.asked: list[str] = []

    def read(self, oid: str) -> Object:
        self.asked.append(oid)
        return self._reader.read(oid)

    def read_many(self, oids: Sequence[str]) -> Iterator[Object | None]:
        self.asked += oids
        return self._reader.read_many(oids)

    def close(self) -> None:
        self._reader.close()


def repeated(store: Store, count: int) -> list[str]:
    """Return entries that all name one tree of records, which are one and the same large file."""
    note = canonical.encode({"schema": "note.1", "text": "x" * (1 << 20)})
    pack, tip = PackBuilder(), ()
    folder = Existing(MODE_TREE, pack.add_tree({"note.1.msgpack": note}))
    tree = pack.add_tree({new_id(): folder for _ in range(count)})
    for number in range(count):
        tip = (pack.add_commit(Commit(tree, tip, AUTHOR, AUTHOR, b"%d\n" % number)),)
    write_pack(store, pack)
    return list_entries(store.repository.git, tip)


def test_each_object_is_looked_at_once(store: Store) -> None:
    commits = repeated(store, 400)
    reader = Counting(store.objects)
    checks = EntryChecks(reader, EnvironmentTrees(reader))
    assert len({found.id for found in checks.check(commits)}) == 400
    assert len(reader.asked) == len(set(reader.asked)) == 400 + 3
    store.repository.git.run("update-ref", REF.replace("prov/", "prov-remote/origin/"), commits[-1])
    assert accept(store).refused == {}


def test_a_tree_that_comes_again_later(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry_checks, "_ENTRIES_AT_ONCE", 7)
    monkeypatch.setattr(entry_checks, "_RECORDS_AT_ONCE", 3)
    runs = [new_run() for _ in range(20)]
    files = [{run_id: {"run.1.msgpack": data}} for run_id, data in runs]
    commits = [entry(store, item) for item in (*files, *files, {**files[0], **files[9]})]
    checks = EntryChecks(store.objects, EnvironmentTrees(store.objects))
    assert len(list(checks.check(commits))) == 20
    other = entry(store, files[3], message=naming([OTHER]))
    with pytest.raises(MalformedRecord, match="names other runs"):
        list(checks.check([other]))


def environments(store: Store, shared: int, count: int) -> tuple[list[str], list[bytes]]:
    """Return trees that have one large folder in common and one file of their own."""
    pack = PackBuilder()
    names = {f"{number}": b"" for number in range(shared)}
    folder = Existing(MODE_TREE, pack.add_tree(names))
    trees, digests = [], []
    for number in range(count):
        own = f"{number}".encode()
        trees.append(pack.add_tree({"shared": folder, "own": own}))
        paths = {f"shared/{name}": b"" for name in names} | {"own": own}
        digests.append(environment_digest(paths))
    write_pack(store, pack)
    return trees, digests


def test_environments_share_what_was_read(store: Store) -> None:
    trees, digests = environments(store, 20, 5)
    reader = Counting(store.objects)
    found = EnvironmentTrees(reader)
    assert [found.digest(tree) for tree in (*trees, *trees)] == digests + digests
    files = {oid for oid in reader.asked if store.objects.read(oid).type == "blob"}
    assert len(files) == 1 + 5
    assert all(reader.asked.count(oid) == 1 for oid in files)
    assert all(reader.asked.count(tree) == 2 for tree in trees)  # measured, then gone through
    found.check_repetition()


def test_environments_that_repeat_one_folder(store: Store) -> None:
    """Each has a digest of its own to be made, and is a few bytes to send."""
    trees, digests = environments(store, 100, 250)
    folders = {}
    for tree, digest in zip(trees, digests, strict=True):
        run_id, data = new_run(environment={"digest": digest})
        folders[run_id] = {"run.1.msgpack": data, "environment": Existing(MODE_TREE, tree)}
    accepted(store, entry(store, folders))


def test_environments_that_repeat_without_end(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gitprov.store.environment_trees.MAX_REPETITION", 3)
    monkeypatch.setattr("gitprov.store.environment_trees.MAX_NAMES", 1000)
    trees, digests = environments(store, 100, 31)
    ids: list[str] = []
    for number, (tree, digest) in enumerate(zip(trees, digests, strict=True)):
        run_id, data = new_run(environment={"digest": digest})
        files: Files = {"run.1.msgpack": data, "environment": Existing(MODE_TREE, tree)}
        ref = REF.replace("prov/", "prov-remote/origin/").replace("05", f"{number // 15:02x}")
        parents = list_refs(store.repository.git, ref).values()
        store.repository.git.run(
            "update-ref", ref, entry(store, {run_id: files}, parents=[*parents])
        )
        ids.append(run_id)
    done = accept(store)
    assert len(done.refused) == 2
    assert all("repeat the same folders without end" in reason for reason in done.refused.values())
    assert run_ids(store) == ids[-1:]  # a bad chain does not keep a good one out


def test_entries_are_read_without_repetition(store: Store) -> None:
    """Whoever reads a ledger holds what entries share once, and few records at a time."""
    commits = repeated(store, 100)
    reader = Counting(store.objects)
    entries = list(read_entries(reader, commits))
    assert [len(found.records) for found in entries] == [100] * 100
    assert len({id(found.data) for item in entries for found in item.records}) <= 10
    assert len(reader.asked) < 1000


def test_reasons_have_no_control_characters(store: Store) -> None:
    tip = entry(store, {"\x1b[2J": {"x": b""}})
    reason = checked_by_host(store, tip)
    assert reason is not None
    assert re.fullmatch(r"[ -~]+", reason)
