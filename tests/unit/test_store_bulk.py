"""Many runs at once: all of them there once, in order, whatever comes in between."""

import errno
import gc
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitprov.codec.canonical import Document
from gitprov.codec.environments import environment_digest
from gitprov.codec.records import decode_record
from gitprov.errors import GitFailed, IntegrityError, MalformedRecord, StoreBusy
from gitprov.model.ids import new_id
from gitprov.model.run import RUN_SCHEMA
from gitprov.policy.verify import verify
from gitprov.store import appending, bulk
from gitprov.store.bulk import append_many
from gitprov.store.drain import drain
from gitprov.store.ledger import list_entries, read_entries
from gitprov.store.lock import store_lock
from gitprov.store.ref_moves import RefMoved
from gitprov.store.repository import EMPTY_TREE, Repository
from gitprov.store.staging import Staging
from gitprov.store.store import Store
from gitprov.store.writer import writer_id
from tests.support.chains import only_ref
from tests.support.repositories import Clone, clean_environment
from tests.support.runs import (
    entries,
    finish,
    ledger_tips,
    manifest,
    record,
    records,
    run_ids,
    runs,
)

CHUNK, LOCKED = 3, 9
FILES = {"uv.lock": b"version = 1\n", "conda/explicit.txt": b"@EXPLICIT\n"}
MORE_FILES = {"uv.lock": b"version = 2\n"}
DIGEST, MORE_DIGEST = environment_digest(FILES), environment_digest(MORE_FILES)
ENVIRONMENTS = {DIGEST: FILES, MORE_DIGEST: MORE_FILES}


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone.make(tmp_path / "clone")


@pytest.fixture
def store(clone: Clone) -> Store:
    return clone.store()


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "_CHUNK_RUNS", CHUNK)
    monkeypatch.setattr(bulk, "_LOCKED_RUNS", LOCKED)


def manifests(count: int, **fields: Any) -> list[Document]:
    return [manifest(new_id(), **fields) for _ in range(count)]


def ids_of(documents: Sequence[Document]) -> list[str]:
    return [document["id"] for document in documents]


def in_order(store: Store) -> list[str]:
    """Return the runs of our chain from its beginning; fail where it has gaps or forks."""
    ours = writer_id(store.repository.prov_dir)
    places = [(run.writer, run.id) for run in runs(store)]
    numbered = {place.sequence: run_id for place, run_id in places if place and place.id == ours}
    assert sorted(numbered) == list(range(1, len(places) + 1))
    return [numbered[sequence] for sequence in sorted(numbered)]


def check(store: Store) -> None:
    """See that the ledger is sound, that nothing is left over, and that drains go on."""
    git = store.repository.git
    store.repository.require_writable()
    assert verify(store).is_good
    assert git.run("fsck", "--strict", "--no-dangling", "--no-progress") == b""
    assert not list((store.repository.common_dir / "objects" / "pack").glob("*.keep"))
    assert not list((store.repository.common_dir / "refs").rglob("*.lock"))
    with store_lock(store.lock_path, timeout=0):
        pass
    before = in_order(store)
    run = finish(store)
    assert drain(store).recorded == [run.id]
    assert in_order(store) == [*before, run.id]
    assert verify(store).is_good


def fail_at(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, number: int, how: Any) -> None:
    """Have the so manyth call of something replaced by `how(original, *arguments)`."""
    original, calls = getattr(owner, name), []

    def call(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == number:
            return how(original, *arguments, **options)
        return original(*arguments, **options)

    monkeypatch.setattr(owner, name, call)


@pytest.mark.parametrize(
    "count", [0, 1, CHUNK, CHUNK + 1, LOCKED - 1, LOCKED, LOCKED + 1, 2 * LOCKED + CHUNK + 1]
)
def test_all_runs_are_there_once_and_in_order(store: Store, count: int) -> None:
    given_runs = manifests(count)
    assert append_many(store, iter(given_runs)) == ids_of(given_runs)
    assert run_ids(store) == sorted(ids_of(given_runs))
    assert in_order(store) == ids_of(given_runs)
    locked = [min(LOCKED, count - start) for start in range(0, count, LOCKED)]
    assert len(entries(store)) == sum(-(-some // CHUNK) for some in locked)
    check(store)


def test_goes_on_behind_what_is_there(store: Store) -> None:
    before = record(store, 2)
    given_runs = manifests(LOCKED + 1)
    append_many(store, given_runs)
    after = record(store, 2)
    assert in_order(store) == [*before, *ids_of(given_runs), *after]
    check(store)


def test_shared_environment_is_stored_once(clone: Clone, store: Store) -> None:
    shared = manifests(LOCKED + CHUNK, environment={"digest": DIGEST})
    other = manifests(1, environment={"digest": MORE_DIGEST})
    none = manifests(1)
    append_many(store, [*shared, *other, *none], ENVIRONMENTS)
    found = {record.id: record.environment for record in records(store)}
    assert len({found[run_id] for run_id in ids_of(shared)}) == 1
    assert found[none[0]["id"]] is None
    for documents, files in ((shared, FILES), (other, MORE_FILES)):
        tree = found[documents[0]["id"]]
        assert tree is not None
        for name, data in files.items():
            assert clone.git("cat-file", "blob", f"{tree}:{name}") == data.decode()
    check(store)


def test_import_can_be_repeated(store: Store) -> None:
    given_runs = manifests(LOCKED + 1, environment={"digest": DIGEST})
    append_many(store, given_runs, ENVIRONMENTS)
    tips = ledger_tips(store)
    assert append_many(Store.open(store.repository.work_tree), given_runs, ENVIRONMENTS) == []
    assert ledger_tips(store) == tips
    more = manifests(2)
    assert append_many(store, [*more[:1], *given_runs, *more[1:]], ENVIRONMENTS) == ids_of(more)
    assert in_order(store) == ids_of([*given_runs, *more])
    check(store)


def test_run_that_a_drain_has_recorded_stays_as_it_is(store: Store) -> None:
    (there,) = record(store, tags=["as drained"])
    fresh = manifests(1)
    again = manifest(there, tags=["as imported"])
    assert append_many(store, [again, *fresh]) == ids_of(fresh)
    assert {run.id: run.tags for run in runs(store)}[there] == ("as drained",)
    check(store)


@pytest.mark.parametrize("distance", [1, CHUNK, LOCKED], ids=["chunk", "tenure", "next tenure"])
def test_of_runs_with_one_id_the_first_counts(store: Store, distance: int) -> None:
    given_runs = manifests(distance + 1, tags=["first"])
    given_runs[distance] = manifest(given_runs[0]["id"], tags=["second"])
    assert append_many(store, given_runs) == ids_of(given_runs[:distance])
    assert in_order(store) == ids_of(given_runs[:distance])
    assert {run.tags for run in runs(store)} == {("first",)}
    check(store)


def test_two_imports_of_the_same_at_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second waits for the lock while the first writes what the second wants to write."""
    given_runs = manifests(LOCKED + 1)
    other = Store.open(store.repository.work_tree)

    def overtaken(lock: Any, *arguments: Any, **options: Any) -> Any:
        assert append_many(other, given_runs) == ids_of(given_runs)
        return lock(*arguments, **options)

    fail_at(monkeypatch, bulk, "store_lock", 1, overtaken)
    assert append_many(store, given_runs) == []
    assert in_order(store) == ids_of(given_runs)
    check(store)


@pytest.mark.parametrize(
    "fault",
    [{"status": "unknown"}, {"ended_ns": -1}, {"id": "no id"}, {"command": {"argv": []}}],
    ids=lambda fault: next(iter(fault)),
)
@pytest.mark.parametrize("chunk", [0, 1, 2, 4], ids="chunk {}".format)
def test_malformed_manifest(store: Store, chunk: int, fault: Mapping[str, Any]) -> None:
    """Chunks before it stay, nothing of its own is there; put right, the rest follows."""
    given_runs = manifests(5 * CHUNK + 1)
    number = chunk * CHUNK + 1
    bad = {**given_runs[number], **fault}
    with pytest.raises(MalformedRecord, match=f"run {bad['id']}"):
        append_many(store, [*given_runs[:number], bad, *given_runs[number + 1 :]])
    assert run_ids(store) == sorted(ids_of(given_runs[: chunk * CHUNK]))
    left = ids_of(given_runs[chunk * CHUNK :])
    assert append_many(store, given_runs) == left
    assert in_order(store) == ids_of(given_runs)
    check(store)


def test_manifest_without_id(store: Store) -> None:
    document = manifests(1)[0]
    del document["id"]
    with pytest.raises(MalformedRecord):
        append_many(store, [document])
    assert ledger_tips(store) == {}
    check(store)


def test_environment_that_is_not_given(store: Store) -> None:
    given_runs = manifests(2 * CHUNK, environment={"digest": DIGEST})
    given_runs[CHUNK]["environment"] = {"digest": MORE_DIGEST}
    with pytest.raises(IntegrityError, match=given_runs[CHUNK]["id"]):
        append_many(store, given_runs, {DIGEST: FILES})
    assert run_ids(store) == sorted(ids_of(given_runs[:CHUNK]))
    assert append_many(store, given_runs, ENVIRONMENTS) == ids_of(given_runs[CHUNK:])
    check(store)


def test_environment_of_another_digest(store: Store) -> None:
    with pytest.raises(IntegrityError, match=DIGEST.hex()):
        append_many(store, manifests(2), {MORE_DIGEST: MORE_FILES, DIGEST: MORE_FILES})
    assert not store.repository.prov_dir.exists()
    check(store)


def test_source_of_manifests_that_fails(store: Store) -> None:
    """What was read before it is written as far as it filled a tenure of the lock."""
    given_runs = manifests(2 * LOCKED)

    def broken() -> Iterator[Document]:
        yield from given_runs[: LOCKED + CHUNK]
        raise EOFError("the file ends here")

    with pytest.raises(EOFError):
        append_many(store, broken())
    assert run_ids(store) == sorted(ids_of(given_runs[:LOCKED]))
    assert append_many(store, given_runs) == ids_of(given_runs[LOCKED:])
    assert in_order(store) == ids_of(given_runs)
    check(store)


@pytest.mark.parametrize("move", range(1, 6))
def test_ref_that_somebody_moves_between_chunks(
    store: Store, monkeypatch: pytest.MonkeyPatch, move: int
) -> None:
    before = record(store)
    ref = only_ref(store)
    store.repository.git.run("mktree", stdin=b"")
    by_hand = []

    def moved(original: Any, repository: Repository, *arguments: Any, **options: Any) -> None:
        commit = repository.git.run(
            "-c", "user.name=a", "-c", "user.email=b", "commit-tree",
            "-p", ledger_tips(store)[ref], "-m", "by hand", EMPTY_TREE,
        ).decode().strip()  # fmt: skip
        repository.git.run("update-ref", ref, commit)
        by_hand.append(commit)
        original(repository, *arguments, **options)

    fail_at(monkeypatch, appending, "move_refs", move, moved)
    given_runs = manifests(LOCKED + 2 * CHUNK)
    assert append_many(store, given_runs) == ids_of(given_runs)
    assert by_hand[0] in entries(store)
    assert in_order(store) == [*before, *ids_of(given_runs)]
    check(store)


@pytest.mark.parametrize("move", range(1, 6))
def test_git_that_dies_when_it_has_moved_the_ledger(
    store: Store, monkeypatch: pytest.MonkeyPatch, move: int
) -> None:
    """All that the import hears is that refs are not where they were."""

    def dies(original: Any, *arguments: Any, **options: Any) -> None:
        original(*arguments, **options)
        raise RefMoved("could not move refs: killed")

    fail_at(monkeypatch, appending, "move_refs", move, dies)
    given_runs = manifests(LOCKED + 2 * CHUNK)
    assert append_many(store, given_runs) == ids_of(given_runs)
    assert in_order(store) == ids_of(given_runs)
    check(store)


def test_git_that_dies_between_two_refs(
    clone: Clone, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git moves them in the order given. Once a run is there, so is what holds its source."""

    def dies(original: Any, repository: Repository, changes: Any, **options: Any) -> None:
        original(repository, dict(list(changes.items())[:1]), **options)
        raise RefMoved("could not move refs: killed")

    commit = clone.git("rev-parse", "HEAD").strip()
    fail_at(monkeypatch, appending, "move_refs", 1, dies)
    given_runs = manifests(2, source={"commit": commit})
    assert append_many(store, given_runs) == ids_of(given_runs)
    assert in_order(store) == ids_of(given_runs)
    assert commit in clone.git("log", "--format=%P", "--glob=refs/prov/keep/*").split()
    check(store)


def test_ref_that_never_stays(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def moved(*_: Any, **__: Any) -> None:
        raise RefMoved("could not move refs: taken; try again")

    given_runs = manifests(2 * CHUNK)
    with monkeypatch.context() as patch:
        patch.setattr(appending, "move_refs", moved)
        with pytest.raises(StoreBusy):
            append_many(store, given_runs)
    assert ledger_tips(store) == {}
    assert append_many(store, given_runs) == ids_of(given_runs)
    check(store)


@pytest.mark.parametrize("stored", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("chunk", [1, 2, 3, 4])
@pytest.mark.parametrize(
    "error",
    [GitFailed("git index-pack failed"), OSError(errno.ENOSPC, "No space left on device")],
    ids=["git", "disk"],
)
def test_chunk_that_git_does_not_take(
    store: Store, monkeypatch: pytest.MonkeyPatch, chunk: int, error: Exception, *, stored: bool
) -> None:
    def fails(original: Any, *arguments: Any) -> None:
        if stored:
            original(*arguments)
        raise error

    given_runs = manifests(LOCKED + 2 * CHUNK)
    with monkeypatch.context() as patch:
        fail_at(patch, Staging, "write", chunk, fails)
        with pytest.raises(type(error)):
            append_many(store, given_runs)
    there = (chunk - 1) * CHUNK
    assert run_ids(store) == sorted(ids_of(given_runs[:there]))
    assert append_many(store, given_runs) == ids_of(given_runs[there:])
    assert in_order(store) == ids_of(given_runs)
    check(store)


@pytest.mark.parametrize("enabled", [True, False])
def test_collections_go_on_as_before(store: Store, *, enabled: bool) -> None:
    before = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        append_many(store, manifests(1))
        assert gc.isenabled() is enabled
        with pytest.raises(MalformedRecord):
            append_many(store, manifests(1, status="unknown"))
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if before else gc.disable)()


def test_notes_only_on_commits_that_are_here(clone: Clone, store: Store) -> None:
    commit = clone.git("rev-parse", "HEAD").strip()
    foreign = "0123456789" * 4
    here = manifests(CHUNK + 1, source={"commit": commit})
    append_many(store, [*here, *manifests(CHUNK, source={"commit": foreign})])
    assert clone.git("notes", "--ref=prov", "list").split()[1:] == [commit]
    assert len(clone.git("notes", "--ref=prov", "show", commit).splitlines()) == len(here)
    # What the ledger knows to be a source, gc may not take.
    kept = clone.git("log", "--format=%P", "--glob=refs/prov/keep/*").split()
    assert commit in kept
    assert foreign not in kept
    check(store)


# Records a run of its own for each line on stdin, and says so.
DRAINING = """
import sys
from pathlib import Path
from gitprov.store.drain import drain
from gitprov.store.store import Store
from tests.support.runs import finish
store = Store.open(Path(sys.argv[1]))
for line in sys.stdin:
    run = finish(store)
    drain(store)
    print(run.id, flush=True)
"""


def test_drains_meanwhile(clone: Clone, store: Store) -> None:
    """Another process records runs while an import has the lock, and whenever it has not."""
    given_runs = manifests(4 * LOCKED)
    drained = []
    with subprocess.Popen(
        [sys.executable, "-c", DRAINING, str(clone.path)],
        env=clean_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as other:  # fmt: skip
        assert other.stdin
        assert other.stdout

        def source() -> Iterator[Document]:
            assert other.stdin
            assert other.stdout
            for number, document in enumerate(given_runs):
                if number % LOCKED == 1:
                    other.stdin.write("one\n")
                    other.stdin.flush()
                if number % LOCKED == 0 and number:
                    drained.append(other.stdout.readline().strip())
                yield document

        try:
            assert append_many(store, source()) == ids_of(given_runs)
            drained += other.communicate(timeout=60)[0].split()
        finally:
            other.kill()
    assert len(drained) == 4
    order = in_order(store)
    assert sorted(order) == sorted([*drained, *ids_of(given_runs)])
    assert [run_id for run_id in order if run_id not in drained] == ids_of(given_runs)
    check(store)


# Dies at the so manyth call of a function.
DYING = """
import json, os, signal, sys
from pathlib import Path
from gitprov.store import appending, bulk, staging
from gitprov.store.store import Store
path, owner, name, number, after, chunk, locked = sys.argv[1:]
bulk._CHUNK_RUNS, bulk._LOCKED_RUNS = int(chunk), int(locked)
owner = {"appending": appending, "Staging": staging.Staging}[owner]
original, calls = getattr(owner, name), []
def call(*arguments, **options):
    calls.append(1)
    if after == "True":
        original(*arguments, **options)
    if len(calls) == int(number):
        os.kill(os.getpid(), signal.SIGKILL)
    if after == "False":
        original(*arguments, **options)
setattr(owner, name, call)
bulk.append_many(Store.open(Path(path)), json.load(sys.stdin))
"""


@pytest.mark.parametrize("number", [1, 2, 4])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("owner", "name"), [("Staging", "write"), ("appending", "move_refs")])
def test_killed_in_the_middle(
    clone: Clone, store: Store, owner: str, name: str, number: int, *, after: bool
) -> None:
    given_runs = manifests(LOCKED + 2 * CHUNK)
    waiting = finish(store).id
    arguments = [str(clone.path), owner, name, number, after, CHUNK, LOCKED]
    killed = subprocess.run(
        [sys.executable, "-c", DYING, *map(str, arguments)],
        env=clean_environment(), input=json.dumps(given_runs), text=True, check=False, timeout=60,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL
    there = (number - 1 + (after and name == "move_refs")) * CHUNK
    assert run_ids(store) == sorted(ids_of(given_runs[:there]))
    assert append_many(store, given_runs) == ids_of(given_runs[there:])
    assert in_order(store) == ids_of(given_runs)
    assert drain(store).recorded == [waiting]
    check(store)


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False).map(lambda number: number or 0.0)
METRICS = st.builds(lambda name, value: {"name": name, "value": value}, TEXT, NUMBERS)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "name": TEXT,
        "tags": st.lists(TEXT, max_size=3),
        "params": st.dictionaries(TEXT, st.booleans() | st.integers(-9, 9) | NUMBERS | TEXT),
        "metrics": st.lists(METRICS, max_size=3),
        "environment": st.sampled_from(list(ENVIRONMENTS)).map(lambda digest: {"digest": digest}),
        "ext": st.dictionaries(st.just("org.example"), st.binary() | NUMBERS, max_size=1),
        "of_the_future": TEXT,
    },
)


@settings(max_examples=10, deadline=None)
@given(imports=st.lists(st.lists(FIELDS, max_size=2 * CHUNK), max_size=3), again=st.randoms())
def test_what_comes_back_is_what_went_in(imports: list[list[dict[str, Any]]], again: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Clone.make(Path(folder) / "clone", commit=False).store()
        model: dict[str, Document] = {}
        for some in imports:
            fresh = {(run_id := new_id()): manifest(run_id, **fields) for fields in some}
            known = again.sample(sorted(model), min(len(model), 2))
            append_many(store, [*(model[name] for name in known), *fresh.values()], ENVIRONMENTS)
            model |= fresh
        found = read_back(store)
        writers = {run_id: document.pop("writer") for run_id, document in found.items()}
        assert found == model
        assert [found["sequence"] for found in map(writers.__getitem__, model)] == list(
            range(1, len(model) + 1)
        )
        assert verify(store).is_good
        store.close()


def read_back(store: Store) -> dict[str, Document]:
    commits = list_entries(store.repository.git, list(ledger_tips(store).values()))
    read = [
        decode_record(found.schema, found.data).document
        for entry in read_entries(store.objects, commits)
        for found in entry.records
        if found.schema == RUN_SCHEMA
    ]
    documents = {document["id"]: document for document in read}
    assert len(documents) == len(read)
    return documents
