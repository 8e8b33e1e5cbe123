"""What publishing chains publishes: how much there is, counted so that nobody does it unawares."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from gitprov.errors import GitFailed
from gitprov.model.run import RUN_SCHEMA
from gitprov.store.home import Home, home_of
from gitprov.store.ledger import list_entries, read_entries
from gitprov.store.objects import decode_commit
from gitprov.store.refs import AREAS, Area, Shard, list_refs, parse_shard, remote_of
from gitprov.store.repository import EMPTY_TREE, Config
from gitprov.store.store import Store


@dataclass(slots=True)
class Pushed:
    """What a push has published, what was refused, and what to do about that, in words.

    `size` is in bytes, and known of what is to be published only. `words` are the remote's own,
    where it has refused something; `lost` says what it had lost, and has again.
    """

    runs: int = 0
    refs: int = 0
    snapshots: int = 0
    commits: int = 0
    size: int = 0
    attempts: int = 0
    lost: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)
    advice: str = ""


def preview(store: Store, remote: str, areas: Sequence[Area] = AREAS) -> Pushed:
    """Return what `push` would publish now, and how large that is on disk here."""
    home = home_of(store.repository.config, remote)
    would = Pushed()
    if pending := pending_chains(store, home, areas):
        refs = store.refs()
        known = seen_at(store, home.remote, refs)
        would.refs = len(pending)
        count_published(store, pending, refs, known, would)
        would.size = _size(store, [refs[shard.ref] for shard in pending], known)
    return would


def shared_areas(config: Config) -> Sequence[Area]:
    """Return what `git prov push` sends: all, or the ledger alone with prov.share=ledger.

    Raises GitFailed for another value: nobody's source is to go by a mistake in writing.
    """
    shared = config.get("prov.share", "all")
    if shared not in ("all", "ledger"):
        raise GitFailed(f"the configuration prov.share={shared} is neither all nor ledger")
    return AREAS if shared == "all" else ("ledger",)


def pending_chains(store: Store, home: Home, areas: Sequence[Area]) -> list[Shard]:
    """Return our chains whose tip the remote was not seen to have."""
    refs = store.refs()
    return [
        shard
        for shard in _chains(refs, areas)
        if refs.get(shard.remote_ref(home.remote)) != refs[shard.ref]
    ]


def believed_chains(
    refs: Mapping[str, str], home: Home, areas: Sequence[Area] = AREAS
) -> list[Shard]:
    """Return our chains that the remote was seen to have as they are."""
    return [
        shard
        for shard in _chains(refs, areas)
        if refs.get(shard.remote_ref(home.remote)) == refs[shard.ref]
    ]


def _chains(refs: Mapping[str, str], areas: Sequence[Area]) -> Iterator[Shard]:
    for ref in refs:
        shard = parse_shard(ref)
        if shard and ref == shard.ref and shard.area in areas:
            yield shard


def seen_at(store: Store, remote: str, refs: Mapping[str, str]) -> list[str]:
    """Return the commits that a remote was seen to have, those of its branches among them."""
    chains = [oid for ref, oid in refs.items() if remote_of(ref) == remote]
    # One remote may be called lab, and another lab/x.
    names = (name for name in store.repository.config.remotes() if name.startswith(f"{remote}/"))
    others = tuple(f"refs/remotes/{name}/" for name in names)
    branches = list_refs(store.repository.git, f"refs/remotes/{remote}")
    return [*chains, *(oid for ref, oid in branches.items() if not ref.startswith(others))]


def count_published(
    store: Store,
    shards: Sequence[Shard],
    refs: Mapping[str, str],
    known: Sequence[str],
    done: Pushed,
) -> None:
    """Add what publishing chains publishes, so that nobody publishes source unawares."""
    git = store.repository.git
    ledger = [refs[shard.ref] for shard in shards if shard.area == "ledger"]
    entries = read_entries(store.objects, list_entries(git, ledger, known))
    done.runs += sum(record.schema == RUN_SCHEMA for entry in entries for record in entry.records)
    keep = [refs[shard.ref] for shard in shards if shard.area == "keep"]
    for oid in list_entries(git, keep, known):
        commit = decode_commit(store.objects.read(oid).data)
        if commit.tree == EMPTY_TREE:
            continue
        if commit.committer.startswith(b"gitprov <unknown> "):
            done.snapshots += 1
        else:
            done.commits += 1


def _size(store: Store, tips: Sequence[str], known: Sequence[str]) -> int:
    """Return the bytes on disk of what tips reach and `known` does not."""
    names = "".join(f"{oid}\n" for oid in [*tips, *(f"^{oid}" for oid in known)])
    counted = store.repository.git.call(
        "rev-list", "--objects", "--disk-usage", "--stdin", stdin=names.encode()
    )
    return int(counted.stdout) if counted.returncode == 0 else 0  # not all is in this clone
