"""Listings on their way from the journal into the payload: whole, or left out; the run stays."""

from pathlib import Path

import pytest

from gitprov.codec.documents import to_document
from gitprov.errors import IntegrityError, PayloadMissing
from gitprov.model.ids import new_id
from gitprov.model.run import Artifact
from gitprov.policy.verify import verify
from gitprov.recorder.contribution import Contribution
from gitprov.store.drain import drain
from gitprov.store.journal import JournalRun
from gitprov.store.object_file import write_objects
from gitprov.store.payload import open_listing
from gitprov.store.refs import PAYLOAD, list_refs
from gitprov.store.store import Store
from tests.support.listings import settle
from tests.support.repositories import Clone
from tests.support.runs import finish, manifest, record_data, run_ids


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    clone = Clone.make(tmp_path / "clone")
    for name in ("data/a", "data/sub/b", "other/sub/b"):
        clone.write(name, "content of " + name[-1])
    # So that the second capture makes nothing that the first has made.
    for name in ("data", "other"):
        settle(clone.path / name)
    return clone


@pytest.fixture
def store(clone: Clone) -> Store:
    return clone.store()


def finish_data(store: Store, *names: str) -> tuple[JournalRun, list[Artifact]]:
    """Finish a run that has read data, and leave it in the journal."""
    store.repository.require_writable()
    top = store.repository.require_work_tree()
    journal = store.journal.create(new_id())
    found = Contribution(journal, top).add_data("inputs", names, cwd=top).artifacts
    document = manifest(journal.id, inputs=[to_document(item) for item in found])
    journal.begin({"manifest": document})
    journal.finish({"manifest": document})
    return journal, found


def listed(store: Store, run_id: str, artifact: Artifact) -> list[bytes]:
    """Return what the payload says that there was."""
    tips = list(list_refs(store.repository.git, PAYLOAD).values())
    assert artifact.listing
    return [path for path, _ in open_listing(store.objects, tips, run_id, artifact.listing).files()]


def drop_payload(clone: Clone, store: Store) -> None:
    """Remove all payload for good."""
    for ref in list_refs(store.repository.git, PAYLOAD):
        clone.git("update-ref", "-d", ref)
    clone.git("gc", "--quiet", "--prune=now")


def test_listings_are_payload(clone: Clone, store: Store) -> None:
    run, (data, other) = finish_data(store, "data", "other")
    assert drain(store).recorded == [run.id]
    assert listed(store, run.id, data) == [b"a", b"sub/b"]
    assert listed(store, run.id, other) == [b"sub/b"]
    (tip,) = list_refs(store.repository.git, PAYLOAD).values()
    names = clone.git("ls-tree", "--name-only", f"{tip}:{run.id}").split()
    assert names == sorted([data.listing or "", other.listing or ""])
    sub = clone.git("rev-parse", f"{tip}:{run.id}/{data.listing}/=sub").strip()
    assert sub == clone.git("rev-parse", f"{tip}:{run.id}/{other.listing}/=sub").strip()
    findings = verify(store)
    assert findings.is_good
    assert findings.counts["payloads"] == {"checked": 2, "failed": 0, "unknown": 0}
    clone.git("fsck", "--strict")


def test_beside_files(store: Store) -> None:
    run, (data,) = finish_data(store, "data")
    run.payload("output.log").write_bytes(b"words")
    drain(store)
    assert listed(store, run.id, data) == [b"a", b"sub/b"]
    (tip,) = list_refs(store.repository.git, PAYLOAD).values()
    assert store.repository.git.run("show", f"{tip}:{run.id}/output.log") == b"words"


def test_listing_that_the_repository_has_is_referred_to(clone: Clone, store: Store) -> None:
    first, (data,) = finish_data(store, "data")
    drain(store)
    run, (again,) = finish_data(store, "data")
    (kept,) = run.listings()
    assert list(kept.objects()) == []
    drain(store)
    assert again == data
    assert listed(store, run.id, again) == listed(store, first.id, data)
    clone.git("fsck", "--strict", "--connectivity-only")


def test_several_runs_of_one_batch_share_them(store: Store) -> None:
    found = [finish_data(store, "data") for _ in range(3)]
    assert sorted(drain(store).recorded) == sorted(run.id for run, _ in found)
    for run, (data,) in found:
        assert listed(store, run.id, data) == [b"a", b"sub/b"]
    assert verify(store).is_good


@pytest.mark.parametrize("name", ["data", "."])
def test_tree_that_is_gone_is_left_out(clone: Clone, store: Store, name: str) -> None:
    """What was in the repository when the folder was captured is not there any more."""
    record_data(store, "data")
    run, (data, other) = finish_data(store, name, "other")
    drop_payload(clone, store)
    assert drain(store).recorded == [run.id]
    with pytest.raises(PayloadMissing):
        listed(store, run.id, data)
    assert listed(store, run.id, other) == [b"sub/b"]
    findings = verify(store)
    assert findings.is_good
    assert findings.counts["payloads"]["unknown"] == 2
    clone.git("fsck", "--strict", "--connectivity-only")
    # The next run makes it again.
    late, (again, _) = finish_data(store, name, "other")
    drain(store)
    assert listed(store, late.id, again)
    assert verify(store).is_good


@pytest.mark.parametrize("damage", ["garbage", "empty", "cut", "no node", "gone"])
def test_damaged_listing_is_left_out(clone: Clone, store: Store, damage: str) -> None:
    run, (data, other) = finish_data(store, "data", "other")
    beside, (same,) = finish_data(store, "other")
    (kept,) = [kept for kept in run.listings() if kept.sha256 in (data.listing or "")]
    whole = kept.path.read_bytes()
    objects = list(kept.objects())
    match damage:
        case "garbage":
            kept.path.write_bytes(b"no zlib")
        case "empty":
            kept.path.write_bytes(b"")
        case "cut":
            kept.path.write_bytes(whole[: len(whole) // 2])
        case "no node":
            write_objects(kept.path, [*objects[:-2], objects[-1]], fsync=False)
        case "gone":
            kept.path.unlink()
    done = drain(store)
    assert (sorted(done.recorded), done.rejected) == (sorted([run.id, beside.id]), {})
    with pytest.raises(PayloadMissing):
        listed(store, run.id, data)
    assert listed(store, run.id, other) == listed(store, beside.id, same) == [b"sub/b"]
    findings = verify(store)
    assert findings.is_good
    assert findings.counts["payloads"] == {"checked": 2, "failed": 0, "unknown": 1}
    clone.git("fsck", "--strict", "--connectivity-only")


def test_any_byte_of_a_listing_flipped(store: Store) -> None:
    """Whatever is wrong with it, the drain goes on and writes nothing that is wrong."""
    for position in range(0, 200, 9):
        run, _ = finish_data(store, "data")
        (kept,) = run.listings()
        data = bytearray(kept.path.read_bytes())
        data[position % len(data)] ^= 0x10
        kept.path.write_bytes(data)
        assert drain(store).recorded == [run.id]
    assert verify(store).is_good


def test_file_that_is_none_of_ours(store: Store) -> None:
    run, (data,) = finish_data(store, "data")
    folder = run.path / "listings"
    (folder / "new-1-0a").write_bytes(b"was under way")
    (folder / f"{'0' * 64}-{'0' * 39}").write_bytes(b"")
    assert drain(store).recorded == [run.id]
    assert listed(store, run.id, data) == [b"a", b"sub/b"]


def test_listing_under_another_name(store: Store) -> None:
    """It is what its hash says, or it is not read."""
    run, (data,) = finish_data(store, "data")
    (kept,) = run.listings()
    lie = "0" * 64
    kept.path.rename(kept.path.with_name(f"{lie}-{kept.tree}"))
    assert drain(store).recorded == [run.id]
    assert verify(store).is_good
    with pytest.raises(PayloadMissing):
        listed(store, run.id, data)
    tips = list(list_refs(store.repository.git, PAYLOAD).values())
    with pytest.raises(IntegrityError):
        open_listing(store.objects, tips, run.id, f"listing-{lie}")


def test_run_without_listings_is_not_disturbed(store: Store) -> None:
    plain = finish(store)
    (plain.path / "listings").rmdir()
    run, _ = finish_data(store, "data")
    assert sorted(drain(store).recorded) == sorted([plain.id, run.id])
    assert run_ids(store) == sorted([plain.id, run.id])
