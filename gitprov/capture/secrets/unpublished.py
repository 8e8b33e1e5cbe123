"""Secrets in what a push would send: records, environments, payload, snapshots and commits.

By today's rules, whatever they were when it was recorded. What commits add to their first parents
is looked at; merges add nothing. Files above 16 MiB are not looked at, and are named.
"""

import os
from collections.abc import Iterable, Iterator
from functools import partial
from typing import NamedTuple

from gitprov.capture.secrets.files import ContentCheck
from gitprov.capture.secrets.redaction import Redactor
from gitprov.codec import canonical
from gitprov.codec.compression import decompress
from gitprov.model.ids import short
from gitprov.store.environment_trees import EnvironmentTrees
from gitprov.store.ledger import StoredRecord, list_entries, read_entries
from gitprov.store.listings import nodes
from gitprov.store.objects import MODE_TREE, decode_commit, decode_tree
from gitprov.store.publishing import seen_at
from gitprov.store.refs import KEEP, LEDGER, PAYLOAD
from gitprov.store.repository import EMPTY_TREE
from gitprov.store.store import Store

MAX_BYTES = 16 << 20

_ZSTD = ".zst"


class FoundSecret(NamedTuple):
    """Where a secret is and of what kind; never which."""

    place: str
    kind: str
    line: int | None = None


class Unpublished:
    """What a remote was not seen to have; without a remote, all there is.

    `unread` names what is too large to look at, once `secrets` is through.
    """

    def __init__(
        self, store: Store, remote: str | None, redactor: Redactor, check: ContentCheck
    ) -> None:
        self._store = store
        self._git = store.repository.git
        self._redactor = redactor
        self._check = check
        self._refs = store.refs()
        self._published = []
        if remote is not None:
            self._published = seen_at(store, remote, self._refs)
        self._listings: set[str] = set()
        self.unread: list[str] = []

    def secrets(self) -> Iterator[FoundSecret]:
        """Yield the secrets, chain by chain. Raises GitprovError where an object cannot be read."""
        yield from self._in_ledger()
        yield from self._in_payload()
        yield from self._in_sources()

    def _commits(self, area: str) -> list[str]:
        tips = [oid for ref, oid in self._refs.items() if ref.startswith(f"{area}/")]
        return list_entries(self._git, tips, self._published)

    def _in_ledger(self) -> Iterator[FoundSecret]:
        environments: dict[str, str] = {}
        for entry in read_entries(self._store.objects, self._commits(LEDGER)):
            for record in entry.records:
                yield from self._in_record(record)
                if record.environment:
                    environments.setdefault(record.environment, f"run {short(record.id)}")
        trees = EnvironmentTrees(self._store.objects)
        for tree, run in environments.items():
            for path, data in trees.files(tree):
                yield from self._in_file(f"{run}, environment/{path}", path, data)

    def _in_record(self, record: StoredRecord) -> Iterator[FoundSecret]:
        self._redactor.found.clear()
        self._redactor.document(canonical.decode(record.data))
        for place, kind in self._redactor.found.items():
            yield FoundSecret(f"run {short(record.id)}, {place}", kind)

    def _in_payload(self) -> Iterator[FoundSecret]:
        reader = self._store.objects
        for oid in self._commits(PAYLOAD):
            for folder in decode_tree(reader.read(decode_commit(reader.read(oid).data).tree).data):
                if folder.mode != MODE_TREE:
                    continue
                run = f"run {short(folder.name.decode('ascii', 'replace'))}"
                for file in decode_tree(reader.read(folder.oid).data):
                    name = file.name.decode("ascii", "replace")
                    if file.mode == MODE_TREE:
                        yield from self._in_listing(f"{run}, {name}", file.oid)
                        continue
                    data = reader.read(file.oid).data
                    if name.endswith(_ZSTD):
                        data = decompress(data)
                    name = name.removesuffix(_ZSTD)
                    yield from self._in_file(f"{run}, {name}", name, data)

    def _in_listing(self, place: str, tree: str) -> Iterator[FoundSecret]:
        """Yield the secrets in names, and in what links say, of nodes that have not come up."""
        for node in nodes(self._store.objects, [tree], self._listings):
            words = [word for item in node.items for word in (item.name, item.target) if word]
            text = "\n".join(map(os.fsdecode, words))
            yield from (FoundSecret(place, found.kind) for found in self._redactor.find(text))

    def _in_sources(self) -> Iterator[FoundSecret]:
        reader = self._store.objects
        commits = [
            oid
            for oid in self._commits(KEEP)
            if decode_commit(reader.read(oid).data).tree != EMPTY_TREE
        ]
        changes = list(self._changes(commits))
        sizes = self._sizes(change.new for change in changes)
        for change in changes:
            path = change.path.decode("utf-8", "backslashreplace")
            place = f"commit {change.commit[:9]}, {path}"
            if sizes.get(change.new, MAX_BYTES + 1) > MAX_BYTES:
                self.unread.append(place)
                continue
            before = partial(self._blob, change.old)
            for secret in self._check.in_content(change.path, reader.read(change.new).data, before):
                yield FoundSecret(place, *secret)

    def _changes(self, commits: Iterable[str]) -> Iterator["_Change"]:
        """Yield the files and links that commits add or change."""
        listing = self._git.run(
            *("diff-tree", "--stdin", "-r", "-z", "--root", "--raw", "--no-renames", "--no-abbrev"),
            stdin="".join(f"{oid}\n" for oid in commits).encode(),
        )
        fields, commit = iter(listing.split(b"\0")), ""
        for field in fields:
            if not field.startswith(b":"):
                commit = field.decode()
                continue
            _, mode, old, new, _ = field.split(b" ")
            path = next(fields)
            if mode in _FILE_MODES and old != new:
                yield _Change(commit, path, old.decode(), new.decode())

    def _sizes(self, oids: Iterable[str]) -> dict[str, int]:
        asked = "".join(f"{oid}\n" for oid in dict.fromkeys(oids)).encode()
        answers = self._git.run("cat-file", "--batch-check", stdin=asked).decode().splitlines()
        return {oid: int(size) for oid, kind, size in map(str.split, answers) if kind == "blob"}

    def _blob(self, oid: str) -> bytes | None:
        found = next(self._store.objects.read_many([oid]))
        return found.data if found else None

    def _in_file(self, place: str, name: str, data: bytes) -> Iterator[FoundSecret]:
        for secret in self._check.in_content(name.encode(), data, lambda: None):
            yield FoundSecret(place, *secret)


class _Change(NamedTuple):
    """A file of a commit that its parent had not, or had otherwise."""

    commit: str
    path: bytes
    old: str
    new: str


_FILE_MODES = (b"100644", b"100755", b"120000")
