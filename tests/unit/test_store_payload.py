"""Payload: read back only where it is what the manifest says."""

import hashlib
from pathlib import Path

import pytest

from gitprov.errors import IntegrityError, MalformedRecord, PayloadMissing
from gitprov.store.drain import drain
from gitprov.store.objects import MODE_TREE
from gitprov.store.pack import Existing, PackBuilder
from gitprov.store.payload import open_listing, read_payload
from gitprov.store.refs import PAYLOAD, list_refs
from gitprov.store.store import Store
from tests.support.chains import entry, write_pack
from tests.support.listings import Objects
from tests.support.repositories import Clone
from tests.support.runs import finish, record, record_data, runs

SHORT, LONG = b"short\n", b"line of a log\n" * 5000


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Clone.make(tmp_path / "clone").store()


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def tips(store: Store) -> list[str]:
    return list(list_refs(store.repository.git, PAYLOAD).values())


def with_payload(store: Store, **files: bytes) -> str:
    run = finish(store)
    for name, data in files.items():
        run.payload(name.replace("_", ".")).write_bytes(data)
    drain(store)
    return run.id


def test_short_text_is_readable_with_git(store: Store) -> None:
    run_id = with_payload(store, output_log=SHORT)
    (tip,) = tips(store)
    assert store.repository.git.run("show", f"{tip}:{run_id}/output.log") == SHORT
    assert read_payload(store.objects, [tip], run_id, "output.log", sha256(SHORT)) == SHORT


def test_long_text_and_bytes_are_packed(store: Store) -> None:
    run_id = with_payload(store, output_log=LONG, series=b"\0\1")
    (tip,) = tips(store)
    names = store.repository.git.run("ls-tree", "--name-only", f"{tip}:{run_id}").split()
    assert names == [b"output.log.zst", b"series.zst"]
    assert read_payload(store.objects, [tip], run_id, "output.log", sha256(LONG)) == LONG
    assert read_payload(store.objects, [tip], run_id, "series", sha256(b"\0\1")) == b"\0\1"


def test_payload_of_an_older_run(store: Store) -> None:
    first = with_payload(store, output_log=SHORT)
    record(store)
    second = with_payload(store, output_log=LONG)
    for run_id, data in ((first, SHORT), (second, LONG)):
        found = read_payload(store.objects, tips(store), run_id, "output.log", sha256(data))
        assert found == data


def test_run_without_payload_has_no_entry_there(store: Store) -> None:
    record(store)
    assert tips(store) == []


def test_what_is_not_here_is_missing(store: Store) -> None:
    run_id = with_payload(store, output_log=SHORT)
    for name, oids in (("other", tips(store)), ("output.log", []), ("output.log", ["12" * 20])):
        with pytest.raises(PayloadMissing, match="git prov pull --payload"):
            read_payload(store.objects, oids, run_id, name, sha256(SHORT))


@pytest.mark.parametrize("data", [b"other\n", b""])
def test_altered_content(store: Store, data: bytes) -> None:
    run_id = with_payload(store)
    tip = entry(store, {run_id: {"output.log": data}})
    with pytest.raises(IntegrityError, match=run_id):
        read_payload(store.objects, [tip], run_id, "output.log", sha256(SHORT))


def test_content_that_is_no_frame(store: Store) -> None:
    run_id = with_payload(store)
    tip = entry(store, {run_id: {"output.log.zst": b"not zstd"}})
    with pytest.raises(IntegrityError, match=run_id):
        read_payload(store.objects, [tip], run_id, "output.log", sha256(SHORT))


@pytest.mark.parametrize("ours_first", [True, False])
@pytest.mark.parametrize(
    "forged",
    [{"output.log": b"forged\n"}, {"output.log.zst": b"no frame"}, {"output.log": b""}],
    ids=["other", "no frame", "empty"],
)
def test_forged_copy_does_not_hide_the_true_one(
    store: Store, *, forged: dict[str, bytes], ours_first: bool
) -> None:
    run_id = with_payload(store, output_log=SHORT)
    both = [*tips(store), entry(store, {run_id: forged})]
    order = both if ours_first else both[::-1]
    assert read_payload(store.objects, order, run_id, "output.log", sha256(SHORT)) == SHORT


def test_forged_copy_on_top_of_the_true_one(store: Store) -> None:
    run_id = with_payload(store, output_log=SHORT)
    tip = entry(store, {run_id: {"output.log": b"forged\n"}}, parents=tips(store))
    assert read_payload(store.objects, [tip], run_id, "output.log", sha256(SHORT)) == SHORT


def test_folder_that_is_none(store: Store) -> None:
    run_id = with_payload(store)
    tip = entry(store, {run_id: b"a file in place of a folder"})
    with pytest.raises(PayloadMissing):
        read_payload(store.objects, [tip], run_id, "output.log", sha256(SHORT))
    assert len(PackBuilder()) == 0


class TestListings:
    @pytest.fixture
    def run_id(self, store: Store) -> str:
        folder = store.repository.require_work_tree() / "data"
        folder.mkdir()
        (folder / "a").write_bytes(b"a")
        return record_data(store, "data")

    def name(self, store: Store) -> str:
        (run,) = runs(store)
        (artifact,) = run.inputs
        assert artifact.listing
        return artifact.listing

    def test_is_opened(self, store: Store, run_id: str) -> None:
        listing = open_listing(store.objects, tips(store), run_id, self.name(store))
        assert [path for path, _ in listing.items()] == [b"a"]

    def test_the_good_one_of_several(self, store: Store, run_id: str) -> None:
        """A stranger has another under the same name, in a commit that comes first."""
        name = self.name(store)
        objects = Objects()
        other = objects.folder({b"b": b"b"})
        pack = PackBuilder()
        for found in objects.found.values():
            pack.add(found.type, found.data)
        write_pack(store, pack)
        for content in (
            Existing(MODE_TREE, other.tree), {"node": b"garbage"}, {}, b"a file",
        ):  # fmt: skip
            tip = entry(store, {run_id: {name: content}}, message=b"forged\n")
            for order in ([tip, *tips(store)], [*tips(store), tip]):
                listing = open_listing(store.objects, order, run_id, name)
                assert [path for path, _ in listing.items()] == [b"a"]
            with pytest.raises((IntegrityError, MalformedRecord)):
                open_listing(store.objects, [tip], run_id, name)

    def test_absent(self, store: Store, run_id: str) -> None:
        with pytest.raises(PayloadMissing, match="git prov pull --payload"):
            open_listing(store.objects, [], run_id, self.name(store))
        with pytest.raises(PayloadMissing):
            open_listing(store.objects, tips(store), run_id, "listing-" + "00" * 32)

    @pytest.mark.parametrize("name", ["listing-", "listing-xyz", "listing-0", "", "output.log"])
    def test_name_that_no_listing_has(self, store: Store, run_id: str, name: str) -> None:
        with pytest.raises((IntegrityError, PayloadMissing)):
            open_listing(store.objects, tips(store), run_id, name)
