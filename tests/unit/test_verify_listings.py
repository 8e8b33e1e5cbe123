"""Verification of listings: folder by folder, with their sums, against what the record says."""

from pathlib import Path
from typing import Any

import pytest

from gitprov.codec.documents import to_document
from gitprov.model.run import Artifact, Run
from gitprov.policy.verify import verify
from gitprov.store.listings import Folder, add_folder
from gitprov.store.objects import MODE_TREE, decode_tree, encode_tree
from gitprov.store.pack import Existing, PackBuilder
from gitprov.store.refs import PAYLOAD, list_refs
from tests.support.chains import entry, write_pack
from tests.support.listings import Content, Objects
from tests.support.repositories import Clone
from tests.support.runs import record, record_data, runs, unpack


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone.make(tmp_path / "clone")


def wrong_payloads(clone: Clone) -> str:
    """Return what is said of payloads; nothing else is wrong."""
    findings = verify(clone.store())
    assert not findings.is_good
    wrong = [item for item in findings.reasons if item.outcome == "failed"]
    assert {item.kind for item in wrong} == {"payloads"}
    return "\n".join(f"payloads: {item.subject}: {item.reason}" for item in wrong)


class TestListings:
    """Each listing counts once, whatever it is made of."""

    @pytest.fixture
    def run(self, clone: Clone) -> Run:
        for number in range(1100):
            clone.write(f"data/many/{number}", f"{number}")
        clone.write("data/sub/a", "a")
        run_id = record_data(clone.store(), "data")
        return next(run for run in runs(clone.store()) if run.id == run_id)

    def name(self, run: Run) -> str:
        (artifact,) = run.inputs
        assert artifact.listing
        return artifact.listing

    def put(self, clone: Clone, run_id: str, name: str, content: Any) -> None:
        """Make this the only payload that there is."""
        for ref in list_refs(clone.store().repository.git, PAYLOAD):
            clone.git("update-ref", "-d", ref)
        tip = entry(clone.store(), {run_id: {name: content}}, message=b"forged\n")
        clone.git("update-ref", "refs/prov/payload/2001-01/00", tip)

    def forged(self, clone: Clone, content: Content) -> Folder:
        """Store the objects of a listing."""
        objects, pack = Objects(), PackBuilder()
        folder = objects.folder(content)
        for item in objects.found.values():
            pack.add(item.type, item.data)
        write_pack(clone.store(), pack)
        return folder

    def exchanged(self, clone: Clone, tree: str, path: str, data: bytes) -> str:
        """Return a tree with one file of it exchanged, however that is named."""
        pack = PackBuilder()
        name, _, rest = path.partition("/")
        entries = []
        for item in decode_tree(clone.store().objects.read(tree).data):
            if item.name == name.encode():
                inner = self.exchanged(clone, item.oid, rest, data) if rest else None
                entries.append(item._replace(oid=inner or pack.add("blob", data)))
            else:
                entries.append(item)
        oid = pack.add("tree", encode_tree(entries))
        write_pack(clone.store(), pack)
        return oid

    def test_good(self, clone: Clone, run: Run) -> None:
        findings = verify(clone.store())
        assert findings.is_good
        assert findings.counts["payloads"] == {"checked": 1, "failed": 0, "unknown": 0}
        again = record_data(clone.store(), "data", "data/sub")
        assert again != run.id
        assert verify(clone.store()).counts["payloads"]["checked"] == 3

    @pytest.mark.parametrize("path", ["node", "=sub/node", "=many/node", "=many/=0/node"])
    def test_flipped_byte_in_a_node(self, clone: Clone, run: Run, path: str) -> None:
        (tip,) = list_refs(clone.store().repository.git, PAYLOAD).values()
        top = clone.git("rev-parse", f"{tip}:{run.id}/{self.name(run)}").strip()
        blob = clone.git("rev-parse", f"{top}:{path}").strip()
        data = bytearray(clone.store().objects.read(blob).data)
        for position in (0, len(data) // 2, len(data) - 1):
            damaged = data.copy()
            damaged[position] ^= 1
            tree = self.exchanged(clone, top, path, bytes(damaged))
            self.put(clone, run.id, self.name(run), Existing(MODE_TREE, tree))
            said = wrong_payloads(clone)
            assert f"payloads: {run.id}/{self.name(run)}: a listing does not match its hash" in said

    def test_damaged_object(self, clone: Clone, run: Run) -> None:
        (tip,) = list_refs(clone.store().repository.git, PAYLOAD).values()
        oid = clone.git("rev-parse", f"{tip}:{run.id}/{self.name(run)}/=many/=7/node").strip()
        unpack(clone)
        path = clone.path / ".git" / "objects" / oid[:2] / oid[2:]
        data = path.read_bytes()
        path.chmod(0o644)
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        assert f"payloads: {run.id}/{self.name(run)}" in wrong_payloads(clone)
        path.unlink()
        done = clone.prov_call("verify")
        assert done.returncode == 0
        assert "unknown payloads" in done.stdout

    def test_listing_of_another_run(self, clone: Clone, run: Run) -> None:
        other = self.forged(clone, {b"a": b"other"})
        self.put(clone, run.id, self.name(run), Existing(MODE_TREE, other.tree))
        assert "a listing does not match its hash" in wrong_payloads(clone)

    def test_file_in_the_place_of_a_listing(self, clone: Clone, run: Run) -> None:
        self.put(clone, run.id, self.name(run), b"no tree")
        assert "where a listing has a tree" in wrong_payloads(clone)

    def test_good_copy_does_not_hide_a_bad_one(self, clone: Clone, run: Run) -> None:
        other = self.forged(clone, {b"a": b"other"})
        name = self.name(run)
        content = Existing(MODE_TREE, other.tree)
        tip = entry(clone.store(), {run.id: {name: content}}, message=b"forged\n")
        clone.git("update-ref", "refs/prov/payload/2001-01/00", tip)
        assert "a listing does not match its hash" in wrong_payloads(clone)

    @pytest.mark.parametrize(
        "wrong", [{"size": 1}, {"file_count": 1}, {"size": None}, {"file_count": None}]
    )
    def test_sums_of_the_record(self, clone: Clone, run: Run, wrong: dict[str, Any]) -> None:
        (artifact,) = run.inputs
        document = {**to_document(artifact), **wrong}
        document = {name: value for name, value in document.items() if value is not None}
        self.record_with(clone, run, document)
        assert "the listing has other sums than the record" in wrong_payloads(clone)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"digest": {"sha256": bytes(32)}},
            {"digest": {"blake3": bytes(32)}},
            {"listing": "listing-" + "00" * 32},
            {"listing": "listing-x"},
            {"listing": "output.log"},
        ],
    )
    def test_name_and_digest_that_differ(
        self, clone: Clone, run: Run, wrong: dict[str, Any]
    ) -> None:
        (artifact,) = run.inputs
        self.record_with(clone, run, {**to_document(artifact), **wrong})
        assert "the listing has another name than its hash" in wrong_payloads(clone)

    def record_with(self, clone: Clone, run: Run, document: dict[str, Any]) -> None:
        """Record a run with this input, and the listing of another as its payload."""
        store = clone.store()
        (run_id,) = record(store, inputs=[document])
        (tip, *_) = list_refs(store.repository.git, PAYLOAD).values()
        tree = clone.git("rev-parse", f"{tip}:{run.id}/{self.name(run)}").strip()
        name = document["listing"]
        tip = entry(store, {run_id: {name: Existing(MODE_TREE, tree)}}, message=b"forged\n")
        clone.git("update-ref", "refs/prov/payload/2001-01/00", tip)

    @pytest.mark.parametrize("lie", ["size", "files"])
    def test_wrong_sums_below(self, clone: Clone, run: Run, lie: str) -> None:
        """The hashes are right, and the sums above are not."""
        below = self.forged(clone, {b"a": b"a"})
        lying = below._replace(**{lie: 7})
        pack = PackBuilder()
        top = add_folder(pack.add, [lying.item(b"sub")], {b"sub": below.tree})
        write_pack(clone.store(), pack)
        name = f"listing-{top.sha256.hex()}"
        artifact = Artifact(
            kind="tree", path="x", size=top.size, file_count=top.files, listing=name,
            digest={"sha256": top.sha256},
        )  # fmt: skip
        (run_id,) = record(clone.store(), inputs=[to_document(artifact)])
        tip = entry(
            clone.store(), {run_id: {name: Existing(MODE_TREE, top.tree)}}, message=b"forged\n"
        )
        clone.git("update-ref", "refs/prov/payload/2001-01/00", tip)
        assert "a listing has wrong sums" in wrong_payloads(clone)
        assert run.id not in wrong_payloads(clone)
