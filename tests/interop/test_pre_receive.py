"""A host that checks what is pushed: honest pushes pass, and nothing else changes anything."""

import sqlite3
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from gitprov.codec import canonical
from gitprov.codec.environments import environment_digest
from gitprov.model.ids import new_id
from gitprov.store.objects import MODE_TREE, Commit, TreeEntry, encode_commit, encode_tree
from gitprov.store.pack import Existing, Files, PackBuilder
from gitprov.store.repository import EMPTY_TREE
from tests.support.chains import (
    AUTHOR,
    entry,
    naming,
    only_ref,
    rebuild,
    run_folder,
    write_pack,
)
from tests.support.hosts import host, started_by, state
from tests.support.repositories import Clone
from tests.support.runs import (
    copy_repository,
    ledger_tips,
    manifest,
    record,
    records,
    run_ids,
    use_shard,
)
from tests.support.servers import bare_repository, git_daemon, http_backend, ssh_server

LEDGER = "refs/prov/ledger/2026-01/05"
KEEP = "refs/prov/keep/2026-01/05"
PAYLOAD = "refs/prov/payload/2026-01/05"
ID = "k" * 32


@pytest.fixture
def server(tmp_path: Path) -> Clone:
    return host(tmp_path / "server" / "lab.git")


@pytest.fixture(
    params=["path", pytest.param("git", marks=pytest.mark.daemon),
            pytest.param("http", marks=pytest.mark.daemon),
            pytest.param("ssh", marks=pytest.mark.daemon)]
)  # fmt: skip
def url(request: pytest.FixtureRequest, tmp_path: Path, server: Clone) -> Iterator[str]:
    """Yield the URL of the host by each transport."""
    if request.param == "path":
        yield str(server.path)
        return
    serve = {"git": git_daemon, "http": http_backend, "ssh": ssh_server}[request.param]
    with serve(tmp_path / "server") as base:
        yield f"{base}/lab.git"


@pytest.fixture
def clone(tmp_path: Path, server: Clone) -> Clone:
    """Return a clone with two runs, none of them pushed."""
    clone = Clone.make(tmp_path / "clone")
    clone.git("remote", "add", "origin", str(server.path))
    clone.git("push", "--quiet", "origin", "main")
    record(clone.store(), 2)
    return clone


def push(clone: Clone, *refspecs: str, **env: str) -> subprocess.CompletedProcess[str]:
    return clone.call("git", "push", "--no-verify", "origin", *refspecs, **env)


def taken(clone: Clone, *refspecs: str, **env: str) -> None:
    done = push(clone, *refspecs, **env)
    assert done.returncode == 0, done.stderr
    assert "gitprov: " not in done.stderr


def refused(clone: Clone, server: Clone, *refspecs: str, **env: str) -> str:
    """Push; return why that is refused, having seen that nothing of the host has changed."""
    before = state(server)
    done = push(clone, *refspecs, **env)
    assert done.returncode == 1, done.stderr
    assert "(pre-receive hook declined)" in done.stderr
    assert state(server) == before
    lines = [line.removeprefix("remote: ").rstrip() for line in done.stderr.splitlines()]
    (reason,) = [line for line in lines if line.startswith("gitprov: refused: ")]
    assert reason.isprintable()
    return reason.removeprefix("gitprov: refused: ")


def good_record(**fields: object) -> tuple[str, bytes]:
    run_id = new_id()
    return run_id, canonical.encode(manifest(run_id, **fields))


def good_entry(clone: Clone, **more: "bytes | Files | Existing") -> str:
    run_id, data = good_record()
    return entry(clone.store(), {run_id: {"run.1.msgpack": data, **more}})


# Honest pushes


def test_all_three_areas(url: str, server: Clone, clone: Clone, tmp_path: Path) -> None:
    clone.git("remote", "set-url", "origin", url)
    clone.prov("init")
    clone.write("train.py", "print('dirty')\n")
    clone.run("sh", "-c", "echo words")
    clone.git("commit", "--quiet", "-a", "-m", "second")
    pushed = clone.call("git", "push", "origin", "main", check=True)
    assert "gitprov: sent 3 runs to origin" in pushed.stderr
    assert "1 snapshot of uncommitted work" in clone.prov("push")
    record(clone.store())
    clone.prov("push")
    areas = {
        ref.split("/")[2] for ref in server.git("for-each-ref", "refs/prov").split("\n") if ref
    }
    assert areas == {"ledger", "keep", "payload"}
    assert run_ids(server.store()) == run_ids(clone.store())
    other = Clone.of(url, tmp_path / "other")
    other.prov("pull", "--payload")
    assert other.prov_call("verify").returncode == 0
    assert len(run_ids(other.store())) == 4


def test_chains_that_were_joined(server: Clone, clone: Clone, tmp_path: Path) -> None:
    """Merges of what two remotes had, of all areas, with records that the host has already."""
    second = bare_repository(tmp_path / "second.git")
    other = Clone(copy_repository(clone.store(), tmp_path / "other").repository.require_work_tree())
    for one, remote in ((clone, "origin"), (other, "second")):
        one.git("remote", "add", "second", str(second))
        use_shard(one.store(), "05")
        one.write("more.py", remote)
        one.run("sh", "-c", "echo words")
        one.prov("push", remote)
    clone.prov("pull", "second")
    clone.git(
        "fetch", "--quiet", "second", "+refs/prov/payload/*:refs/prov-remote/second/payload/*"
    )
    clone.prov("sync", "origin")
    assert server.git("rev-list", "--merges", "--glob=refs/prov/ledger/*").strip()
    assert run_ids(server.store()) == run_ids(clone.store())
    assert len(set(run_ids(server.store()))) == 4


def test_the_same_record_in_another_chain(server: Clone, clone: Clone) -> None:
    taken(clone, "refs/prov/*:refs/prov/*")
    found = records(clone.store())[-1]
    again = entry(clone.store(), {found.id: {"run.1.msgpack": found.data}})
    signed = entry(clone.store(), {found.id: {"run.1.msgpack": found.data, "signature": b"x"}})
    taken(clone, f"{again}:{LEDGER}", f"{signed}:refs/prov/ledger/2026-01/06")


def test_kinds_of_the_future(server: Clone, clone: Clone) -> None:
    note = canonical.encode({"schema": "note.7", "text": "from later"})
    taken(clone, f"{entry(clone.store(), {ID: {'note.7.msgpack': note}})}:{LEDGER}")


def test_many_runs_at_once_and_one_on_top_of_them(server: Clone, clone: Clone) -> None:
    files = dict(good_record() for _ in range(300))
    folders = {run_id: {"run.1.msgpack": data} for run_id, data in files.items()}
    taken(clone, f"{entry(clone.store(), folders)}:{LEDGER}")
    taken(clone, "refs/prov/*:refs/prov/*")
    forged = canonical.encode(manifest(next(iter(files)), message="forged"))
    tip = entry(clone.store(), {next(iter(files)): {"run.1.msgpack": forged}})
    assert "another record than the one here" in refused(clone, server, f"{tip}:{LEDGER[:-1]}6")


@pytest.mark.parametrize(
    "ref", ["refs/notes/prov", "refs/provenance/x", "refs/heads/prov/ledger/x", "refs/tags/prov"]
)
def test_other_refs_start_nothing(server: Clone, clone: Clone, tmp_path: Path, ref: str) -> None:
    log = tmp_path / "started"
    started_by(server, tmp_path / "git-prov", f"echo started >>'{log}'")
    taken(clone, f"main:{ref}")
    taken(clone, f":{ref}")
    assert not log.exists()
    taken(clone, "refs/prov/*:refs/prov/*")
    assert log.read_text() == "started\n"


def test_a_host_that_borrows_objects(clone: Clone, server: Clone, tmp_path: Path) -> None:
    """A fork beside its upstream: what is known is in neither the fork nor the quarantine."""
    taken(clone, "refs/prov/*:refs/prov/*")
    server.git("clone", "--quiet", "--bare", "--shared", ".", str(tmp_path / "forks" / "lab.git"))
    fork = host(tmp_path / "forks" / "lab.git", tmp_path / "forks" / "lab.git")
    clone.git("remote", "set-url", "origin", str(fork.path))
    record(clone.store())
    taken(clone, "refs/prov/*:refs/prov/*")
    assert run_ids(fork.store()) == run_ids(clone.store())


def test_several_repositories_in_one(clone: Clone, server: Clone) -> None:
    """Git namespaces: each has its own chains."""
    taken(clone, "refs/prov/*:refs/prov/*", GIT_NAMESPACE="lab")
    run_id = run_ids(clone.store())[0]
    tip = entry(
        clone.store(), {run_id: {"run.1.msgpack": canonical.encode(manifest(run_id, name="x"))}}
    )
    assert run_id in refused(clone, server, f"{tip}:{LEDGER}", GIT_NAMESPACE="lab")
    taken(clone, f"{tip}:{LEDGER}", GIT_NAMESPACE="other")


def test_several_pushes_at_once(server: Clone, tmp_path: Path) -> None:
    clones, expected = [], []
    for number in range(5):
        clone = Clone.make(tmp_path / f"clone{number}")
        clone.git("remote", "add", "origin", str(server.path))
        use_shard(clone.store(), "0b")
        expected += record(clone.store(), 2)
        clones.append(clone)
    bad = entry(clones[0].store(), run_folder(b"\xc1"))
    outcomes: dict[int, int] = {}

    def work(number: int) -> None:
        if number == len(clones):
            outcomes[number] = push(clones[0], f"{bad}:{LEDGER}").returncode
        else:
            outcomes[number] = clones[number].prov_call("push").returncode

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(clones) + 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert outcomes == dict.fromkeys(range(len(clones)), 0) | {len(clones): 1}
    assert run_ids(server.store()) == sorted(expected)
    assert server.git("fsck", "--strict", "--no-dangling") == ""


# Chains only grow


@pytest.mark.parametrize("how", ["rewound", "replaced", "deleted"])
@pytest.mark.parametrize("area", ["ledger", "keep", "payload"])
def test_what_is_there_stays(server: Clone, clone: Clone, area: str, how: str) -> None:
    clone.write("train.py", "print('dirty')\n")
    for _ in range(2):
        clone.run("sh", "-c", "echo words")
        clone.write("train.py", "print('dirtier')\n")
    taken(clone, "refs/prov/*:refs/prov/*")
    (ref,) = clone.git("for-each-ref", "--format=%(refname)", f"refs/prov/{area}").split()
    lone = PackBuilder()
    new = {
        "rewound": f"{ref}~1",
        "replaced": lone.add_commit(Commit(EMPTY_TREE, (), AUTHOR, AUTHOR, b"join\n")),
        "deleted": "",
    }[how]
    lone.add("tree", b"")
    write_pack(clone.store(), lone)
    reason = refused(clone, server, f"+{new}:{ref}")
    said = "a push cannot delete a chain" if how == "deleted" else "a chain only grows"
    assert reason.startswith(f"{ref}: {said}")


def test_the_reason_crosses_every_transport(url: str, server: Clone, clone: Clone) -> None:
    clone.git("remote", "set-url", "origin", url)
    taken(clone, "refs/prov/*:refs/prov/*")
    ref = only_ref(clone.store())
    assert refused(clone, server, f"+{ref}~1:{ref}").startswith(f"{ref}: a chain only grows")
    bad = entry(clone.store(), run_folder(b"\xc1"))
    assert refused(clone, server, f"{bad}:{LEDGER}").startswith(f"{LEDGER}: not msgpack")


def test_a_client_that_lies_about_what_is_there(server: Clone, clone: Clone) -> None:
    """Git itself compares with the ref as it is, after the hook."""
    taken(clone, "refs/prov/*:refs/prov/*")
    ref = only_ref(clone.store())
    tip = ledger_tips(clone.store())[ref]
    before = state(server)
    line = f"{'0' * 40} {good_entry(clone)} {ref}\0report-status\n".encode()
    objects = clone.git("rev-list", "--objects", "--no-object-names", line.split()[1].decode())
    pack = subprocess.run(
        ["git", "pack-objects", "--stdout", "-q"],
        cwd=clone.path, input=objects.encode(), capture_output=True, check=True, timeout=60,
    ).stdout  # fmt: skip
    request = b"%04x%s0000" % (len(line) + 4, line)
    done = subprocess.run(
        ["git", "receive-pack", str(server.path)],
        input=request + pack, capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    assert f"ng {ref} ".encode() in done.stdout
    assert state(server).refs == before.refs
    assert tip in before.refs


# Names


@pytest.mark.parametrize(
    "ref",
    [
        "refs/prov",
        "refs/prov/x",
        "refs/prov/ledger/x",
        "refs/prov/ledger/2026-01/10",
        "refs/prov/ledger/2026-01/0G",
        "refs/prov/ledger/2026-13/00",
        "refs/prov/ledger/2026-01/00/x",
        "refs/prov/ledger/٢٠٢٦-01/00",
        "refs/prov/secrets/2026-01/00",
    ],
)
def test_names_that_are_no_chains(server: Clone, clone: Clone, ref: str) -> None:
    assert refused(clone, server, f"{good_entry(clone)}:{ref}") == (
        f"{ref}: this is not the name of a chain"
    )


@pytest.mark.parametrize("ref", ["prov-remote/origin/ledger/2026-01/05", f"prov-pin/{ID}"])
def test_what_a_clone_keeps_for_itself(server: Clone, clone: Clone, ref: str) -> None:
    reason = refused(clone, server, f"main:refs/{ref}")
    assert reason == f"refs/{ref}: a clone keeps such refs for itself, they have no place on a host"


def test_a_name_cannot_move_the_cursor(server: Clone, clone: Clone) -> None:
    assert "\\u202e" in refused(clone, server, "main:refs/prov/\u202egpj")


@pytest.mark.parametrize("ref", [LEDGER, KEEP, PAYLOAD])
@pytest.mark.parametrize("target", ["HEAD:train.py", "HEAD^{tree}", "v1"])
def test_what_is_no_commit(server: Clone, clone: Clone, ref: str, target: str) -> None:
    clone.git("tag", "-a", "-m", "annotated", "v1")
    oid = clone.git("rev-parse", target).strip()
    assert "where the chain has a commit" in refused(clone, server, f"{oid}:{ref}")


# Records


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not msgpack"),
        (b"\x80", "does not say that it is run.1"),
        (b"\xde\x00\x01\xa6schema\xa5run.1", "canonical form"),
        (b"x" * (canonical.MAX_BYTES + 1), "is the most that is taken"),
    ],
    ids=["empty", "no fields", "long header", "oversized"],
)
def test_malformed_record(server: Clone, clone: Clone, data: bytes, reason: str) -> None:
    assert reason in refused(clone, server, f"{entry(clone.store(), run_folder(data))}:{LEDGER}")


def test_a_bad_entry_below_a_good_one(server: Clone, clone: Clone) -> None:
    bad = entry(clone.store(), run_folder(b"\xc1"))
    run_id, data = good_record()
    tip = entry(clone.store(), {run_id: {"run.1.msgpack": data}}, parents=[bad])
    assert "not msgpack" in refused(clone, server, f"{tip}:{LEDGER}")


def test_record_in_the_folder_of_another(server: Clone, clone: Clone) -> None:
    tip = entry(clone.store(), {ID: {"run.1.msgpack": good_record()[1]}})
    assert f"the folder {ID} holds the record of" in refused(clone, server, f"{tip}:{LEDGER}")


def test_one_folder_for_two_records(server: Clone, clone: Clone) -> None:
    run_id, data = good_record()
    folder = {"run.1.msgpack": data}
    tip = entry(clone.store(), {run_id: folder, ID: folder})
    assert f"holds the record of {run_id}" in refused(clone, server, f"{tip}:{LEDGER}")


def test_nothing_is_left_in_temporary_folders(server: Clone, clone: Clone, tmp_path: Path) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    bad = entry(clone.store(), run_folder(b"\xc1"))
    refused(clone, server, f"{bad}:{LEDGER}", TMPDIR=str(folder))
    taken(clone, "refs/prov/*:refs/prov/*", TMPDIR=str(folder))
    assert not list(folder.iterdir())


def test_other_folders_and_files(server: Clone, clone: Clone) -> None:
    store, (run_id, data) = clone.store(), good_record()
    assert "which is no record" in refused(clone, server, f"{entry(store, {'x': {}})}:{LEDGER}")
    tip = entry(store, {run_id: {"run.1.msgpack": data, "x": b""}})
    assert "which has no place there" in refused(clone, server, f"{tip}:{LEDGER}")
    tip = entry(store, {run_id: {"signature": b""}})
    assert "has 0 manifests" in refused(clone, server, f"{tip}:{LEDGER}")


def test_source_in_a_chain(server: Clone, clone: Clone) -> None:
    """It is on a branch of the host already, and has no place here all the same."""
    head = clone.git("rev-parse", "HEAD").strip()
    run_id, data = good_record()
    tip = entry(clone.store(), {run_id: {"run.1.msgpack": data}}, parents=[head])
    for oid in (head, tip):
        assert "which is no record" in refused(clone, server, f"{oid}:{LEDGER}")


@pytest.mark.parametrize("where", ["in the chain", "in another chain"])
def test_an_id_that_the_host_has(server: Clone, clone: Clone, where: str) -> None:
    lock = {"uv.lock": b"version = 1\n"}
    (run_id,) = record(clone.store(), environment=lock)
    taken(clone, "refs/prov/*:refs/prov/*")
    ref = only_ref(clone.store()) if where == "in the chain" else LEDGER
    parents = [ledger_tips(clone.store())[ref]] if where == "in the chain" else []
    forged = {"run.1.msgpack": canonical.encode(manifest(run_id, message="forged"))}
    found = next(item for item in records(clone.store()) if item.id == run_id)
    elsewhere = {"run.1.msgpack": found.data, "environment": {**lock, "empty": {}}}
    for files in (forged, elsewhere):
        tip = entry(clone.store(), {run_id: files}, parents=parents)
        reason = refused(clone, server, f"{tip}:{ref}")
        assert reason == f"{ref}: another record than the one here has the id {run_id}"


def test_what_the_host_remembers_of_ids(server: Clone, clone: Clone) -> None:
    """A list that is level, behind, damaged or gone: the verdict is the same."""
    path = server.path / "prov" / "ids.sqlite"
    store = clone.store()
    for _ in range(3):
        (run_id,) = record(store)
        taken(clone, "refs/prov/*:refs/prov/*")
        for run in (run_id, run_ids(store)[0]):
            forged = canonical.encode(manifest(run, message="forged"))
            tip = entry(store, {run: {"run.1.msgpack": forged}})
            assert run in refused(clone, server, f"{tip}:{LEDGER}")
    level = path.read_bytes()
    for damaged in (b"", b"garbage" * 999, level[: len(level) // 2], None):
        path.unlink() if damaged is None else path.write_bytes(damaged)
        assert run in refused(clone, server, f"{tip}:{LEDGER}")
        record(store)
        taken(clone, "refs/prov/*:refs/prov/*")
        assert run in refused(clone, server, f"{tip}:{LEDGER}")
    with closing(sqlite3.connect(path)) as connection:
        listed = connection.execute("SELECT DISTINCT id FROM records").fetchall()
    assert len(listed) >= len(run_ids(store)) - 1  # what was taken last is looked for with git


def test_a_push_that_is_refused_is_not_remembered(server: Clone, clone: Clone) -> None:
    taken(clone, "refs/prov/*:refs/prov/*")
    record(clone.store())
    taken(clone, "refs/prov/*:refs/prov/*")
    path = server.path / "prov" / "ids.sqlite"
    before = path.read_bytes()
    run_id, data = good_record()
    good = entry(clone.store(), {run_id: {"run.1.msgpack": data}})
    bad = entry(clone.store(), run_folder(b"\xc1"), parents=[good])
    refused(clone, server, f"{bad}:{LEDGER}")
    assert path.read_bytes() == before
    other = canonical.encode(manifest(run_id, message="other"))
    taken(clone, f"{entry(clone.store(), {run_id: {'run.1.msgpack': other}})}:{LEDGER}")


def test_an_id_on_one_side_of_a_join(server: Clone, clone: Clone) -> None:
    """The tree of a join has none of the records of either side."""
    store, ids, tips = clone.store(), [], []
    for _ in range(2):
        run_id, data = good_record()
        ids.append(run_id)
        tips.append(entry(store, {run_id: {"run.1.msgpack": data}}))
    join = entry(store, {}, parents=tips)
    taken(clone, f"{join}:{LEDGER}")
    for run_id in ids:
        forged = canonical.encode(manifest(run_id, message="forged"))
        tip = entry(store, {run_id: {"run.1.msgpack": forged}}, parents=[join])
        assert run_id in refused(clone, server, f"{tip}:{LEDGER}")


def test_an_id_twice_in_a_push(server: Clone, clone: Clone) -> None:
    run_id, data = good_record()
    forged = canonical.encode(manifest(run_id, message="forged"))
    tips = [entry(clone.store(), {run_id: {"run.1.msgpack": each}}) for each in (data, forged)]
    above = entry(clone.store(), {run_id: {"run.1.msgpack": forged}}, parents=tips[:1])
    said = f"two different records have the id {run_id}"
    assert said in refused(clone, server, f"{above}:{LEDGER}")
    other = LEDGER.replace("05", "06")
    assert said in refused(clone, server, f"{tips[0]}:{LEDGER}", f"{tips[1]}:{other}")


# What git itself would not find sound


def raw_commit(clone: Clone, tree: str, author: bytes = AUTHOR, runs: Sequence[str] = ()) -> str:
    pack = PackBuilder()
    if tree == EMPTY_TREE:
        pack.add("tree", b"")
    commit = encode_commit(Commit(tree, (), AUTHOR, AUTHOR, naming(runs)))
    oid = pack.add("commit", commit.replace(b"author " + AUTHOR, b"author " + author))
    write_pack(clone.store(), pack)
    return oid


def raw_tree(clone: Clone, *entries: TreeEntry) -> str:
    pack = PackBuilder()
    oid = pack.add("tree", b"".join(encode_tree([item]) for item in entries))
    write_pack(clone.store(), pack)
    return oid


def test_a_folder_twice(server: Clone, clone: Clone) -> None:
    run_id, data = good_record()
    pack = PackBuilder()
    folder = pack.add_tree({"run.1.msgpack": data})
    write_pack(clone.store(), pack)
    item = TreeEntry(MODE_TREE, run_id.encode(), folder)
    tip = raw_commit(clone, raw_tree(clone, item, item))
    assert "twice, or not in order" in refused(clone, server, f"{tip}:{LEDGER}")


@pytest.mark.parametrize(
    "author", [b"A <a@b> 01 +0000", b"A a@b 1 +0000", b"A <a@b> 1 +0000\nencoding a\0b"]
)
def test_a_commit_with_an_odd_header(server: Clone, clone: Clone, author: bytes) -> None:
    run_id, data = good_record()
    good = entry(clone.store(), {run_id: {"run.1.msgpack": data}})
    tree = clone.git("rev-parse", f"{good}^{{tree}}").strip()
    tip = raw_commit(clone, tree, author, [run_id])
    assert "git does not find it sound" in refused(clone, server, f"{tip}:{LEDGER}")


def test_a_file_that_git_would_act_on(server: Clone, clone: Clone) -> None:
    modules = b'[submodule "../../x"]\n\tpath = x\n\turl = x\n'
    digest = environment_digest({".gitmodules": modules})
    run_id, data = good_record(environment={"digest": digest})
    files = {"run.1.msgpack": data, "environment": {".gitmodules": modules}}
    tip = entry(clone.store(), {run_id: files})
    assert "gitmodulesName" in refused(clone, server, f"{tip}:{LEDGER}")


# Environments and sizes


@pytest.mark.parametrize("name", [".git", ".GIT"])
def test_path_tricks_in_an_environment(server: Clone, clone: Clone, name: str) -> None:
    tip = good_entry(clone, environment={"deeper": {name: b"x"}})
    assert "an environment holds the name" in refused(clone, server, f"{tip}:{LEDGER}")


def test_more_files_than_any_disk_holds(server: Clone, clone: Clone) -> None:
    pack = PackBuilder()
    tree = pack.add_tree({"file": b"x"})
    for _ in range(14):
        tree = pack.add_tree({f"{name}": Existing(MODE_TREE, tree) for name in range(10)})
    write_pack(clone.store(), pack)
    tip = good_entry(clone, environment=Existing(MODE_TREE, tree))
    assert "more than 10000 names" in refused(clone, server, f"{tip}:{LEDGER}")


def test_an_environment_that_is_too_large(server: Clone, clone: Clone) -> None:
    tip = good_entry(clone, environment={"zeros": bytes((64 << 20) + 1)})
    assert "over the limit" in refused(clone, server, f"{tip}:{LEDGER}")
    half = bytes(40 << 20)
    tip = good_entry(clone, environment={"zeros": half, "more": half})
    assert "more than 64 MiB" in refused(clone, server, f"{tip}:{LEDGER}")


@pytest.mark.parametrize("ref", [LEDGER, KEEP, PAYLOAD])
def test_a_commit_that_is_too_large(server: Clone, clone: Clone, ref: str) -> None:
    pack = PackBuilder()
    pack.add("tree", b"")
    message = b"x" * ((64 << 20) + 1)
    tip = pack.add_commit(Commit(EMPTY_TREE, (), AUTHOR, AUTHOR, message))
    write_pack(clone.store(), pack)
    assert "over the limit" in refused(clone, server, f"{tip}:{ref}")


def test_limits(server: Clone, clone: Clone) -> None:
    pack = PackBuilder()
    tree = pack.add_tree({ID: {"output.log": bytes(9000)}})
    payload = pack.add_commit(Commit(tree, (), AUTHOR, AUTHOR, b"payload\n"))
    write_pack(clone.store(), pack)
    run_id, data = good_record(message="x" * 3000)
    large = entry(clone.store(), {run_id: {"run.1.msgpack": data}})
    for name, refspec, said in [
        ("RecordSize", f"{large}:{LEDGER}", "2.0 KiB is the most that is taken"),
        ("LedgerSize", f"{large}:{LEDGER}", "of ledger, and 2.0 KiB is the most"),
        ("PayloadSize", f"{payload}:{PAYLOAD}", "of payload, and 2.0 KiB is the most"),
    ]:
        setting = f"prov.receive.max{name}"
        server.git("config", setting, "2k")
        assert said in refused(clone, server, refspec)
        server.git("config", "--unset", setting)
    server.git("config", "prov.receive.maxRecordSize", "much")
    done = push(clone, f"{large}:{LEDGER}")
    assert done.returncode == 1
    assert "is not a size" in done.stderr
    server.git("config", "--unset", "prov.receive.maxRecordSize")
    taken(clone, f"{large}:{LEDGER}", f"{payload}:{PAYLOAD}")


def test_a_limit_holds_for_all_chains_of_a_push_together(server: Clone, clone: Clone) -> None:
    tips = []
    for _ in range(2):
        run_id, data = good_record(message="x" * 3000)
        tips.append(entry(clone.store(), {run_id: {"run.1.msgpack": data}}))
    server.git("config", "prov.receive.maxLedgerSize", "6k")
    both = [f"{tip}:{LEDGER[:-1]}{shard}" for shard, tip in enumerate(tips)]
    assert "6.0 KiB is the most" in refused(clone, server, *both)
    for one in both:
        taken(clone, one)


@pytest.mark.parametrize("ref", [LEDGER, PAYLOAD])
def test_little_that_stands_for_much(server: Clone, clone: Clone, tmp_path: Path, ref: str) -> None:
    """A thousand entries name one tree of a thousand records, which are one large file."""
    started_by(server, tmp_path / "git-prov", "ulimit -v 800000")
    note = canonical.encode({"schema": "note.1", "text": "x" * (2 << 20)})
    pack = PackBuilder()
    one = {"note.1.msgpack": note}
    many = {f"{name}.txt": b"" for name in range(1000)}
    folder = Existing(MODE_TREE, pack.add_tree(one if ref == LEDGER else many))
    tree = pack.add_tree({new_id(): folder for _ in range(1000)})
    tip: tuple[str, ...] = ()
    for number in range(1000):
        message = b"entry %d\n" % number
        tip = (pack.add_commit(Commit(tree, tip, AUTHOR, AUTHOR, message)),)
    write_pack(clone.store(), pack)
    taken(clone, f"{tip[0]}:{ref}")


# Keep and payload


def test_keep_with_files(server: Clone, clone: Clone) -> None:
    assert "a keep commit holds files" in refused(clone, server, f"main:{KEEP}")


def test_keep_with_a_parent_that_is_no_commit(server: Clone, clone: Clone) -> None:
    blob = clone.git("rev-parse", "HEAD:train.py").strip()
    pack = PackBuilder()
    pack.add("tree", b"")
    tip = pack.add_commit(Commit(EMPTY_TREE, (blob,), AUTHOR, AUTHOR, b"source of\n"))
    write_pack(clone.store(), pack)
    before = state(server)
    assert push(clone, f"{tip}:{KEEP}").returncode == 1
    assert state(server) == before


def test_keep_that_git_does_not_find_sound(server: Clone, clone: Clone) -> None:
    tip = raw_commit(clone, EMPTY_TREE, b"A <a@b> 01 +0000")
    assert "git does not find it sound" in refused(clone, server, f"{tip}:{KEEP}")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"x": {"output.log": b""}}, "which is no run"),
        ({ID: b"a file"}, "which is no run"),
        ({ID: {"folder": {}}}, "is not a plain file"),
        ({ID: {".git": b""}}, "git does not find it sound"),
    ],
    ids=["folder", "file", "nested", "git"],
)
def test_odd_payload(server: Clone, clone: Clone, files: Files, said: str) -> None:
    assert said in refused(clone, server, f"{entry(clone.store(), files)}:{PAYLOAD}")


def test_payload_that_is_a_link(server: Clone, clone: Clone) -> None:
    pack = PackBuilder()
    link = TreeEntry(0o120000, b"output.log", pack.add("blob", b"/etc/passwd"))
    write_pack(clone.store(), pack)
    folder = raw_tree(clone, link)
    tip = raw_commit(clone, raw_tree(clone, TreeEntry(MODE_TREE, ID.encode(), folder)))
    assert "is not a plain file" in refused(clone, server, f"{tip}:{PAYLOAD}")


# One verdict for all


def test_a_branch_that_is_pushed_along(server: Clone, clone: Clone) -> None:
    clone.commit("second")
    bad = entry(clone.store(), run_folder(b"\xc1"))
    done = push(clone, "main", "refs/prov/*:refs/prov/*", f"{bad}:{LEDGER}")
    assert done.returncode == 1
    assert f"gitprov: refused: {LEDGER}: not msgpack" in done.stderr
    assert "gitprov: git takes a push as a whole: 2 other refs stay as they are, too" in done.stderr
    assert server.git("for-each-ref").count("\n") == 1
    assert "second" not in server.git("log", "main", "--format=%s")
    taken(clone, "main", "refs/prov/*:refs/prov/*")


def test_every_ref_that_is_refused_is_named_up_to_a_number(server: Clone, clone: Clone) -> None:
    done = push(clone, *(f"main:refs/prov/{number}" for number in range(25)))
    assert done.stderr.count("gitprov: refused: refs/prov/") == 20
    assert "gitprov: refused: 5 more refs" in done.stderr


def test_a_copy_of_all_refs(server: Clone, clone: Clone) -> None:
    """As `git push --mirror` makes it: what it would overwrite and delete is kept."""
    taken(clone, "refs/prov/*:refs/prov/*")
    rebuild(clone.store(), lambda found: found.pop())
    before = state(server)
    done = clone.call("git", "push", "--no-verify", "--mirror", "origin")
    assert done.returncode == 1
    assert state(server) == before


# Switching off


def test_only_the_host_can_switch_it_off(server: Clone, clone: Clone) -> None:
    bad = entry(clone.store(), run_folder(b"\xc1"))
    off = {"GITPROV_HOOKS": "0", "GITPROV_PUSHING": "1"}
    assert "not msgpack" in refused(clone, server, f"{bad}:{LEDGER}", **off)
    config = {
        "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "prov.receive", "GIT_CONFIG_VALUE_0": "off"
    }  # fmt: skip
    assert "not msgpack" in refused(clone, server, f"{bad}:{LEDGER}", **config)
    server.git("config", "prov.receive", "on")
    assert "not msgpack" in refused(clone, server, f"{bad}:{LEDGER}")
    server.git("config", "prov.receive", "off")
    taken(clone, f"{bad}:{LEDGER}")


@pytest.mark.parametrize("why", ["gone", "broken", "killed"])
def test_gitprov_that_cannot_be_started(
    server: Clone, clone: Clone, tmp_path: Path, why: str
) -> None:
    program = tmp_path / "program"
    program.write_text("#!/nowhere/python\n" if why == "broken" else "#!/bin/sh\nkill -9 $$\n")
    program.chmod(0o644 if why == "gone" else 0o755)
    server.git("config", "prov.program", str(program))
    ref = only_ref(clone.store())
    done = push(clone, "main:branch", f"{ref}:{ref}", PATH="/usr/bin:/bin")
    assert done.returncode == 1
    assert f"remote: gitprov: refused: {ref}: gitprov cannot be started here" in done.stderr
    assert "refused: refs/heads/branch" not in done.stderr
    assert "git config prov.receive off" in done.stderr
    assert not ledger_tips(server.store())
    taken(clone, "main:branch", PATH="/usr/bin:/bin")
    server.git("config", "prov.receive", "off")
    taken(clone, f"{ref}:{ref}", PATH="/usr/bin:/bin")


def test_a_fault_of_gitprov_lets_nothing_pass(server: Clone, clone: Clone, tmp_path: Path) -> None:
    started_by(server, tmp_path / "git-prov", "cat >/dev/null; exit 70")
    ref = only_ref(clone.store())
    assert push(clone, f"{ref}:{ref}").returncode == 1
    assert not ledger_tips(server.store())
