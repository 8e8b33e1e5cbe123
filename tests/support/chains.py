"""Ledgers made by hand: the same runs with something altered, or what a stranger might send."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from gitprov.codec.records import file_name
from gitprov.model.ids import new_id
from gitprov.store.ledger import read_entries
from gitprov.store.messages import person
from gitprov.store.objects import (
    MODE_TREE,
    Commit,
    decode_commit,
    decode_tree,
    encode_commit,
    encode_tree,
    object_id,
)
from gitprov.store.pack import Existing, Files, PackBuilder
from gitprov.store.store import Store
from tests.support.runs import entries, ledger_tips

AUTHOR = person("Mallory", "mallory@example.org", 1_700_000_000_000_000_000)

# The folders of an entry by record id, each with its files.
Folders = dict[str, dict[str, "bytes | Files | Existing"]]


def write_pack(store: Store, pack: PackBuilder) -> None:
    """Store objects as they are, unchecked."""
    repository = store.repository
    pack.write(repository.git, repository.common_dir, strict=False).release()


def only_ref(store: Store) -> str:
    """Return the one ledger ref that there is."""
    (ref,) = ledger_tips(store)
    return ref


def rebuild(store: Store, change: Callable[[list[tuple[Commit, Folders]]], None]) -> list[str]:
    """Write the chain anew after `change`, each entry on the one before; return its commits."""
    found: list[tuple[Commit, Folders]] = []
    for entry in read_entries(store.objects, entries(store)):
        folders: Folders = {}
        for record in entry.records:
            files: dict[str, bytes | Files | Existing] = {file_name(record.schema): record.data}
            if record.environment:
                files["environment"] = Existing(MODE_TREE, record.environment)
            folders[record.id] = files
        found.append((entry.commit, folders))
    change(found)
    pack, tip, oids = PackBuilder(), None, []
    for commit, folders in found:
        parents = (tip,) if tip else ()
        tip = pack.add_commit(commit._replace(tree=pack.add_tree(folders), parents=parents))
        oids.append(tip)
    write_pack(store, pack)
    assert tip is not None
    store.repository.git.run("update-ref", only_ref(store), tip)
    return oids


def entry(
    store: Store, files: Files, *, parents: Sequence[str] = (), message: bytes | None = None
) -> str:
    """Store an entry with any content and return it; the message names its runs, if not given."""
    pack = PackBuilder()
    words = naming(runs_in(files)) if message is None else message
    oid = pack.add_commit(Commit(pack.add_tree(files), tuple(parents), AUTHOR, AUTHOR, words))
    write_pack(store, pack)
    return oid


def naming(ids: Iterable[str]) -> bytes:
    """Return the message of an entry with these runs."""
    return "\n".join(["an entry", "", *(f"Prov-Run: {run_id}" for run_id in ids), ""]).encode()


def runs_in(files: Files) -> list[str]:
    """Return the names of folders with a run."""
    return [
        name
        for name, folder in files.items()
        if isinstance(folder, Mapping) and any(file.startswith("run.") for file in folder)
    ]


def run_folder(data: bytes, **more: "bytes | Files | Existing") -> Mapping[str, Files]:
    """Return an entry's content with one record of a fresh id."""
    return {new_id(): {"run.1.msgpack": data, **more}}


def replace_object(store: Store, old: str, kind: str, data: bytes) -> str:
    """Return a chain's tip with one object of it exchanged, everything above it made anew."""
    new = object_id(kind, data)
    pack = PackBuilder()
    pack.add(kind, data)
    for oid in entries(store):
        commit = decode_commit(store.objects.read(oid).data)
        tree = _exchanged(store, pack, commit.tree, old, new)
        if tree != commit.tree:
            new = pack.add("commit", encode_commit(commit._replace(tree=tree)))
            old = oid
        elif old in commit.parents:
            parents = tuple(new if parent == old else parent for parent in commit.parents)
            new = pack.add("commit", encode_commit(commit._replace(parents=parents)))
            old = oid
    write_pack(store, pack)
    return new


def _exchanged(store: Store, pack: PackBuilder, tree: str, old: str, new: str) -> str:
    if tree == old:
        return new
    found = []
    for item in decode_tree(store.objects.read(tree).data):
        oid = new if item.oid == old else item.oid
        if oid == item.oid and item.mode == MODE_TREE:
            oid = _exchanged(store, pack, item.oid, old, new)
        found.append(item._replace(oid=oid))
    data = encode_tree(found)
    return tree if object_id("tree", data) == tree else pack.add("tree", data)
