"""Verification: what is good is counted, whatever is altered is found and named."""

import hashlib
import itertools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gitprov.codec import canonical
from gitprov.codec.compression import compress
from gitprov.policy.verify import verify
from gitprov.store.drain import drain
from gitprov.store.objects import MODE_TREE, Commit, decode_commit
from gitprov.store.pack import Existing, PackBuilder
from gitprov.store.refs import PAYLOAD, list_refs
from gitprov.store.store import Store
from tests.support.chains import (
    Folders,
    entry,
    only_ref,
    rebuild,
    replace_object,
    write_pack,
)
from tests.support.repositories import Clone
from tests.support.runs import entries, finish, record, records, run_ids, unpack

LOCK = {"uv.lock": b"version = 1\n", "deep/packages.json": b"{}\n"}


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone.make(tmp_path / "clone")


@pytest.fixture
def store(clone: Clone) -> Store:
    """Return a store with four runs, of which one has everything that can be checked."""
    store = clone.store()
    head = clone.git("rev-parse", "HEAD").strip()
    tree = clone.git("rev-parse", "HEAD^{tree}").strip()
    source = {"commit": head, "tree": tree}
    record(store, 2)
    full = finish(store, environment=LOCK, source=source)
    full.payload("output.log").write_bytes(b"some words\n")
    document: Any = full.finished
    digest = hashlib.sha256(b"some words\n").digest()
    document["manifest"]["byproducts"] = [
        {"kind": "file", "name": "output.log", "digest": {"sha256": digest}}
    ]
    full.finish(document)
    drain(store)
    record(store)
    return store


def failed(clone: Clone, *, kind: str) -> str:
    """Return what the command says of the one kind in which something failed."""
    done = clone.prov_call("verify")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "FAILED: " in done.stdout
    as_json = clone.prov_call("verify", "--json")
    assert as_json.returncode == 1
    document = json.loads(as_json.stdout)
    assert document["verdict"] == "failed"
    found = [item for item in document["findings"] if item["outcome"] == "failed"]
    assert kind in {item["kind"] for item in found}
    assert all(item["subject"] and item["reason"] for item in found)
    assert document["counts"][kind]["failed"]
    return "\n".join(line for line in done.stdout.splitlines() if line.startswith("failed"))


def run_file(folders: Folders) -> tuple[str, str]:
    """Return folder and file of the run in an entry."""
    return next((name, file) for name, files in folders.items() for file in files if "run." in file)


def changed_manifest(data: bytes, **fields: Any) -> bytes:
    return canonical.encode({**canonical.decode(data), **fields})


def test_good_repository_counts(clone: Clone, store: Store) -> None:
    findings = verify(store)
    assert findings.is_good
    assert findings.reasons == []
    assert {kind: counts["checked"] for kind, counts in findings.counts.items()} == {
        "entries": 4,
        "records": 5,
        "writers": 4,
        "environments": 1,
        "sources": 1,
        "payloads": 1,
    }
    done = clone.prov_call("verify")
    assert done.returncode == 0
    assert "good: 16 checks, none failed" in done.stdout
    document = json.loads(clone.prov("verify", "--json"))
    assert document["schema"] == "verification.1"
    assert document["verdict"] == "good"
    assert document["findings"] == []
    assert document["counts"]["records"] == {"checked": 5, "failed": 0, "unknown": 0}


def test_nothing_recorded_is_good(clone: Clone) -> None:
    done = clone.prov_call("verify")
    assert (done.returncode, done.stdout[:25]) == (0, "nothing is recorded here;")
    assert json.loads(clone.prov("verify", "--json"))["counts"] == {}


def test_changed_manifest(clone: Clone, store: Store) -> None:
    """One byte of a record, in a chain that is a valid chain again."""

    def change(found: list[Any]) -> None:
        name, file = run_file(found[1][1])
        found[1][1][name][file] = changed_manifest(found[1][1][name][file], exit_code=1)

    rebuild(store, change)
    assert "does not follow the record before it" in failed(clone, kind="writers")


def test_manifest_that_is_not_canonical(clone: Clone, store: Store) -> None:
    name = ""

    def change(found: list[Any]) -> None:
        nonlocal name
        name, file = run_file(found[1][1])
        found[1][1][name][file] += b"\xc0"

    rebuild(store, change)
    assert f"records: {name}" in failed(clone, kind="records")


@pytest.mark.parametrize("position", [1, 2])
def test_dropped_record(clone: Clone, store: Store, position: int) -> None:
    rebuild(store, lambda found: found.pop(position) and None)
    assert f"records {position + 1} to {position + 1} of this writer are not here" in failed(
        clone, kind="writers"
    )


def test_dropped_first_record(clone: Clone, store: Store) -> None:
    def change(found: list[Any]) -> None:
        found[0][1].pop(run_file(found[0][1])[0])

    rebuild(store, change)
    assert "records 1 to 1 of this writer are not here" in failed(clone, kind="writers")


def test_exchanged_places(clone: Clone, store: Store) -> None:
    """Two records with each other's numbers."""

    def change(found: list[Any]) -> None:
        (one, file), (other, _) = run_file(found[1][1]), run_file(found[3][1])
        first = canonical.decode(found[1][1][one][file])
        last = canonical.decode(found[3][1][other][file])
        first["writer"], last["writer"] = last["writer"], first["writer"]
        found[1][1][one][file] = canonical.encode(first)
        found[3][1][other][file] = canonical.encode(last)

    rebuild(store, change)
    assert failed(clone, kind="writers").count("does not follow") >= 1


def test_fork_of_a_sequence(clone: Clone, store: Store) -> None:
    """Two different records claim the same place."""

    def change(found: list[Any]) -> None:
        (one, file), (other, _) = run_file(found[1][1]), run_file(found[3][1])
        place = canonical.decode(found[1][1][one][file])["writer"]
        data = found[3][1][other][file]
        found[3][1][other][file] = changed_manifest(data, writer=place)

    rebuild(store, change)
    assert "has a number that another record has" in failed(clone, kind="writers")


def test_record_without_a_writer(clone: Clone, store: Store) -> None:
    def change(found: list[Any]) -> None:
        name, file = run_file(found[3][1])
        document = canonical.decode(found[3][1][name][file])
        del document["writer"]
        found[3][1][name][file] = canonical.encode(document)

    rebuild(store, change)
    assert "names no writer" in failed(clone, kind="writers")


def test_record_in_another_folder(clone: Clone, store: Store) -> None:
    def change(found: list[Any]) -> None:
        name, _ = run_file(found[3][1])
        found[3][1]["k" * 32] = found[3][1].pop(name)

    rebuild(store, change)
    assert f"the folder {'k' * 32} holds the record of" in failed(clone, kind="records")


def test_two_records_with_one_id(clone: Clone, store: Store) -> None:
    def change(found: list[Any]) -> None:
        name, file = run_file(found[1][1])
        again = changed_manifest(found[1][1][name][file], exit_code=3)
        found.append((found[1][0], {name: {file: again}}))

    rebuild(store, change)
    assert "two different records have this id" in failed(clone, kind="records")


@pytest.mark.parametrize("name", ["uv.lock", "deep/packages.json"])
def test_changed_environment_file(clone: Clone, store: Store, name: str) -> None:
    ref = only_ref(store)
    folder = next(found for found in records(store) if found.environment)
    old = clone.git("rev-parse", f"{folder.environment}:{name}").strip()
    store.repository.git.run("update-ref", ref, replace_object(store, old, "blob", b"altered"))
    said = failed(clone, kind="environments")
    assert f"environments: {folder.id}: the files do not match the digest" in said


def test_environment_that_is_gone_and_one_too_many(clone: Clone, store: Store) -> None:
    def change(found: list[Any]) -> None:
        name, _ = run_file(found[2][1])
        environment = found[2][1][name].pop("environment")
        other, _ = run_file(found[3][1])
        found[3][1][other]["environment"] = environment

    rebuild(store, change)
    said = failed(clone, kind="environments")
    assert "the files are not beside the record" in said
    assert "files that no digest covers" in said


def test_changed_payload(clone: Clone, store: Store) -> None:
    ((ref, tip),) = list_refs(store.repository.git, PAYLOAD).items()
    commit = decode_commit(store.objects.read(tip).data)
    run_id = clone.git("ls-tree", "--name-only", tip).strip()
    pack = PackBuilder()
    tree = pack.add_tree({run_id: {"output.log": b"other words\n"}})
    altered = pack.add_commit(commit._replace(tree=tree))
    write_pack(store, pack)
    clone.git("update-ref", ref, altered)
    said = failed(clone, kind="payloads")
    assert f"payloads: {run_id}/output.log: the content does not match" in said


@pytest.mark.parametrize("name", ["output.log", "output.log.zst"])
@pytest.mark.parametrize("month", ["2001-01", "2099-12"])
def test_copy_of_a_payload_that_is_another(
    clone: Clone, store: Store, name: str, month: str
) -> None:
    (tip,) = list_refs(store.repository.git, PAYLOAD).values()
    run_id = clone.git("ls-tree", "--name-only", tip).strip()
    forged = entry(store, {run_id: {name: b"other words\n"}})
    clone.git("update-ref", f"refs/prov/payload/{month}/00", forged)
    assert f"payloads: {run_id}/output.log: " in failed(clone, kind="payloads")


def test_same_payload_twice_is_good(clone: Clone, store: Store) -> None:
    (tip,) = list_refs(store.repository.git, PAYLOAD).values()
    run_id = clone.git("ls-tree", "--name-only", tip).strip()
    again = entry(store, {run_id: {"output.log.zst": compress(b"some words\n")}})
    clone.git("update-ref", "refs/prov/payload/2001-01/00", again)
    findings = verify(store)
    assert findings.is_good
    assert findings.counts["payloads"] == {"checked": 1, "failed": 0, "unknown": 0}


@pytest.mark.parametrize("content", [b"x", None], ids=["files", "folders alone"])
def test_environment_that_unfolds_without_end(
    clone: Clone, store: Store, content: bytes | None
) -> None:
    """Fifteen levels that name the next one ten times: found at once, and not gone through."""
    pack = PackBuilder()
    tree = pack.add_tree({"file": content}) if content else pack.add("tree", b"")
    for _ in range(15):
        folder = Existing(MODE_TREE, tree)
        tree = pack.add_tree({f"{number}": folder for number in range(10)})
    write_pack(store, pack)

    def change(found: list[tuple[Commit, Folders]]) -> None:
        for _, folders in found:
            for files in folders.values():
                if "environment" in files:
                    files["environment"] = Existing(MODE_TREE, tree)

    rebuild(store, change)
    said = failed(clone, kind="environments")
    assert "an environment holds more than 10000 names" in said


def test_payload_that_is_gone_is_unknown(clone: Clone, store: Store) -> None:
    (ref,) = list_refs(store.repository.git, PAYLOAD)
    clone.git("update-ref", "-d", ref)
    done = clone.prov_call("verify")
    assert done.returncode == 0
    assert "unknown payloads" in done.stdout
    assert "git prov pull --payload" in done.stdout


def test_snapshot_of_another_tree(clone: Clone, store: Store) -> None:
    head = clone.git("rev-parse", "HEAD").strip()
    tree = clone.git("rev-parse", "HEAD^{tree}").strip()
    other = clone.git("commit-tree", "-p", head, "-m", "x", tree).strip()
    empty = clone.git("hash-object", "-t", "tree", "-w", "/dev/null").strip()
    (lie,) = record(store, source={"commit": head, "snapshot": other, "tree": empty, "dirty": True})
    said = failed(clone, kind="sources")
    assert f"sources: {lie}: the snapshot {other[:12]} has another tree than recorded" in said


def test_snapshot_of_another_commit(clone: Clone, store: Store) -> None:
    head = clone.git("rev-parse", "HEAD").strip()
    tree = clone.git("rev-parse", "HEAD^{tree}").strip()
    other = clone.git("commit-tree", "-m", "an orphan", tree).strip()
    record(store, source={"commit": head, "snapshot": other, "tree": tree, "dirty": True})
    assert "is not of the commit recorded" in failed(clone, kind="sources")


def test_source_that_is_no_commit(clone: Clone, store: Store) -> None:
    tree = clone.git("rev-parse", "HEAD^{tree}").strip()
    (lie,) = record(store, source={"commit": tree, "tree": tree})
    assert f"sources: {lie}" in failed(clone, kind="sources")


@pytest.mark.parametrize("lie", ["other", "none", "more"])
def test_trailers_that_lie(clone: Clone, store: Store, lie: str) -> None:
    def change(found: list[Any]) -> None:
        commit, folders = found[1]
        name, _ = run_file(folders)
        words = {
            "other": commit.message.replace(name.encode(), b"k" * 32),
            "none": b"nothing to see\n",
            "more": commit.message + b"Prov-Run: " + b"k" * 32 + b"\n",
        }
        found[1] = (commit._replace(message=words[lie]), folders)

    oids = rebuild(store, change)
    said = failed(clone, kind="entries")
    assert f"entries: {oids[1]}: the message names other runs than the entry holds" in said


@pytest.mark.parametrize("damage", ["cut", "emptied", "flipped", "exchanged"])
@pytest.mark.parametrize("what", ["commit", "tree", "record", "environment"])
def test_damaged_loose_object(clone: Clone, store: Store, what: str, damage: str) -> None:
    oids = entries(store)
    found = next(item for item in records(store) if item.environment)
    assert found.environment is not None
    oid = {
        "commit": oids[1],
        "tree": clone.git("rev-parse", f"{oids[1]}^{{tree}}").strip(),
        "record": found.blob,
        "environment": clone.git("rev-parse", f"{found.environment}:uv.lock").strip(),
    }[what]
    unpack(clone)
    path = clone.path / ".git" / "objects" / oid[:2] / oid[2:]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    other = clone.git("rev-parse", "HEAD:train.py").strip()
    path.chmod(0o644)
    path.write_bytes(
        {
            "cut": data[: len(data) // 2],
            "emptied": b"",
            "flipped": bytes(data),
            "exchanged": (clone.path / ".git" / "objects" / other[:2] / other[2:]).read_bytes(),
        }[damage]
    )
    store.close()
    fresh = clone.store()
    findings = verify(fresh)
    reasons = [item for item in findings.reasons if item.outcome == "failed"]
    assert any(oid in item.reason or oid in item.subject for item in reasons), reasons
    assert not findings.is_good


def test_damaged_pack_at_many_bytes(clone: Clone, store: Store) -> None:
    """No damage goes unnoticed, and none ends in a traceback or a hang."""
    clone.git("repack", "-a", "-d", "--quiet")
    clone.git("prune-packed")
    store.close()
    (pack,) = (clone.path / ".git" / "objects" / "pack").glob("*.pack")
    whole = pack.read_bytes()
    pack.chmod(0o644)
    listing = clone.git("verify-pack", "-v", str(pack)).splitlines()
    ours = set(clone.git("rev-list", "--objects", "--glob=refs/prov/ledger/*").split())
    starts = {int(line.split()[4]): line.split()[0] for line in listing if len(line.split()) >= 5
              and len(line.split()[0]) == 40}  # fmt: skip
    bounds = sorted([*starts, len(whole) - 20])
    program = """
import sys
from pathlib import Path
from gitprov.policy.verify import verify
from gitprov.store.store import Store
findings = verify(Store.open(Path(sys.argv[1])))
print("good" if findings.is_good and not findings.total("unknown") else "noticed")
"""
    for start, end in itertools.pairwise(bounds):
        if starts[start] not in ours:
            continue
        damaged = bytearray(whole)
        damaged[(start + end) // 2] ^= 0x5A
        pack.write_bytes(damaged)
        done = clone.call("python", "-c", program, str(clone.path))
        assert (done.stdout, done.stderr) == ("noticed\n", ""), starts[start]
    pack.write_bytes(whole)
    assert clone.prov_call("verify").returncode == 0


def hide_with_replace(clone: Clone, oids: list[str]) -> None:
    clone.git("replace", oids[3], oids[1])


def hide_with_grafts(clone: Clone, oids: list[str]) -> None:
    (clone.path / ".git" / "info").mkdir(exist_ok=True)
    (clone.path / ".git" / "info" / "grafts").write_text(f"{oids[3]} {oids[0]}\n")


def hide_with_shallow(clone: Clone, oids: list[str]) -> None:
    (clone.path / ".git" / "shallow").write_text(f"{oids[3]}\n")


@pytest.mark.parametrize("hide", [hide_with_replace, hide_with_grafts, hide_with_shallow])
def test_entry_that_somebody_tries_to_hide(
    clone: Clone, store: Store, hide: Callable[[Clone, list[str]], None]
) -> None:
    """A bad entry in the middle stays in sight, and what is there is counted in full."""
    oids = entries(store)
    hide(clone, oids)
    assert verify(clone.store()).counts["entries"]["checked"] == 4
    (clone.path / ".git" / "shallow").unlink(missing_ok=True)
    (clone.path / ".git" / "info" / "grafts").unlink(missing_ok=True)

    def change(found: list[Any]) -> None:
        name, file = run_file(found[2][1])
        found[2][1][name][file] += b"\xc0"

    altered = rebuild(clone.store(), change)
    hide(clone, altered)
    assert "records: " in failed(clone, kind="records")


def test_missing_entry_is_unknown_and_the_gap_is_not_good(clone: Clone, store: Store) -> None:
    oids = entries(store)
    store.close()
    unpack(clone)
    (clone.path / ".git" / "objects" / oids[1][:2] / oids[1][2:]).unlink()
    findings = verify(clone.store())
    assert not findings.is_good or findings.total("unknown")
    assert any(item.subject == oids[1] for item in findings.reasons)


def test_ref_that_cannot_be_read(clone: Clone, store: Store) -> None:
    ref = only_ref(store)
    path = clone.path / ".git" / ref
    path.write_bytes(b"\0" * 41)
    findings = verify(clone.store())
    assert [(item.subject, item.outcome) for item in findings.reasons] == [(ref, "failed")]


@pytest.mark.parametrize("name", ["refs/prov/ledger/extra", "refs/prov/ledger/2026-01/ff"])
def test_ref_that_is_no_chain(clone: Clone, store: Store, name: str) -> None:
    clone.git("update-ref", name, entries(store)[0])
    assert f"entries: {name}: this is not the name of a ledger chain" in failed(
        clone, kind="entries"
    )


@pytest.mark.parametrize("target", ["HEAD:train.py", "HEAD^{tree}", "HEAD"])
def test_chain_that_ends_at_something_else(clone: Clone, store: Store, target: str) -> None:
    oid = clone.git("rev-parse", target).strip()
    clone.git("update-ref", "refs/prov/ledger/2020-01/00", oid)
    findings = verify(clone.store())
    assert any(item.subject == oid and item.outcome == "failed" for item in findings.reasons)


def test_verification_writes_nothing(clone: Clone, store: Store) -> None:
    def state() -> dict[str, float]:
        top = clone.path / ".git"
        files = [os.path.join(folder, name)  # noqa: PTH118
                 for folder, _, names in os.walk(top) for name in names]  # fmt: skip
        return {name: Path(name).stat().st_mtime_ns for name in files}

    before = state()
    verify(store)
    assert state() == before
    assert len(run_ids(store)) == 4
