"""What entries of a ledger must be before anyone relies on them, for clones and hosts alike.

An entry that passes can be read, its message names the runs that it holds, and beside each record
lie the files that the record's digest covers, and no others. Each object is looked at once, however
many others name it (a thousand entries may name one tree of a thousand records): time follows the
size of what is new, and memory the number of its records. Specification: sections 4 and 10.2.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from gitprov.codec import canonical
from gitprov.codec.records import KINDS, decode_record, writer_of
from gitprov.errors import MalformedRecord
from gitprov.model.ledger import Start
from gitprov.model.rewrite import Rewrite
from gitprov.model.run import Run, Writer
from gitprov.model.wording import size_text
from gitprov.store.environment_trees import EnvironmentTrees
from gitprov.store.ledger import entry_folders, read_contents, record_files
from gitprov.store.messages import has_controls, runs_named
from gitprov.store.objects import ObjectReader, decode_commit
from gitprov.store.repository import EMPTY_TREE

_ENTRIES_AT_ONCE = 180
_RECORDS_AT_ONCE = 5000

Known = Run | Rewrite | Start


class Content(NamedTuple):
    """What makes two records under one id the same. Signatures may be added to one."""

    schema: str
    blob: str
    environment: str | None


class _Read(NamedTuple):
    """What the bytes of a record say; `record` is None for a kind that is not known."""

    record: Known | None
    writer: Writer | None
    digest: bytes


class Checked(NamedTuple):
    """A record that is in order; `record` is None for a kind that this version does not know."""

    id: str
    record: Known | None
    writer: Writer | None
    digest: bytes


class _Entry(NamedTuple):
    oid: str
    tree: str
    named: tuple[str, ...]


# The folders of records by id, for each tree of an entry.
_Trees = Mapping[str, Sequence[tuple[str, str]]]


class EntryChecks:
    """The entries of chains that come in together; `contents` has all that has come, by id."""

    def __init__(
        self,
        reader: ObjectReader,
        environments: EnvironmentTrees,
        limit: int = canonical.MAX_BYTES,
    ) -> None:
        self.contents: dict[str, Content] = {}
        self._reader = reader
        self._environments = environments
        self._limit = limit
        # The runs in each tree of an entry; joins have the empty one.
        self._runs: dict[str, tuple[str, ...]] = {EMPTY_TREE: ()}
        # Bytes of a kind that is not known do not say whose id they have: many may name them.
        self._unknown: dict[tuple[str, str], _Read] = {}

    def check(self, commits: Sequence[str]) -> Iterator[Checked]:
        """Yield the records of entries, each once.

        Records of kinds that this version does not know are let through where they are canonical:
        dropping them would lose what a newer gitprov has written. Raises MalformedRecord for a bad
        entry, ObjectMissing where a part of one is not here.
        """
        for start in range(0, len(commits), _ENTRIES_AT_ONCE):
            batch = commits[start : start + _ENTRIES_AT_ONCE]
            entries = list(self._entries(batch))
            trees = {entry.tree: entry.oid for entry in entries if entry.tree not in self._runs}
            for portion in self._portions(trees):
                yield from self._records(portion)
            for entry in entries:
                if entry.named != self._runs[entry.tree]:
                    raise MalformedRecord(
                        f"the message of entry {entry.oid} names other runs than the entry holds"
                    )

    def _entries(self, commits: Sequence[str]) -> Iterator[_Entry]:
        contents = read_contents(self._reader, commits, "commit")
        for oid, data in zip(commits, contents, strict=True):
            commit = decode_commit(data)
            if has_controls(commit):
                raise MalformedRecord(f"the header or message of {oid} has control characters")
            yield _Entry(oid, commit.tree, runs_named(commit.message))

    def _portions(self, trees: Mapping[str, str]) -> Iterator[_Trees]:
        """Yield the folders in trees of entries, a bounded number at once but for a large tree."""
        portion: dict[str, Sequence[tuple[str, str]]] = {}
        count = 0
        contents = read_contents(self._reader, list(trees), "tree")
        for (tree, oid), data in zip(trees.items(), contents, strict=True):
            portion[tree] = list(entry_folders(oid, data))
            count += len(portion[tree])
            if count >= _RECORDS_AT_ONCE:
                yield portion
                portion, count = {}, 0
        yield portion

    def _records(self, trees: _Trees) -> Iterator[Checked]:
        """Yield the records in trees that have not come up before."""
        found = self._contents_of(
            {folder: id_ for pairs in trees.values() for id_, folder in pairs}
        )
        fresh: dict[tuple[str, str], list[str]] = defaultdict(list)
        for tree, pairs in trees.items():
            for record_id, folder in pairs:
                content = found[folder]
                if record_id not in self.contents:
                    self.contents[record_id] = content
                    fresh[content.schema, content.blob].append(record_id)
                elif self.contents[record_id] != content:
                    raise MalformedRecord(f"two different records have the id {record_id}")
            runs = [id_ for id_, folder in pairs if found[folder].schema.startswith("run.")]
            self._runs[tree] = tuple(sorted(runs))
        unread = [key for key in fresh if key not in self._unknown]
        contents = read_contents(self._reader, [blob for _, blob in unread], "blob")
        for (schema, blob), data in zip(unread, contents, strict=True):
            ids = fresh.pop((schema, blob))
            read = self._decoded(min(ids), schema, data)
            if read.record is None:
                self._unknown[schema, blob] = read
            yield from (self._checked(record_id, read) for record_id in ids)
        for key, ids in fresh.items():
            yield from (self._checked(record_id, self._unknown[key]) for record_id in ids)

    def _contents_of(self, folders: Mapping[str, str]) -> dict[str, Content]:
        """Return what is in folders of records, given with an id that each has."""
        trees = read_contents(self._reader, list(folders), "tree")
        return {
            folder: content_of(record_id, data)
            for (folder, record_id), data in zip(folders.items(), trees, strict=True)
        }

    def _decoded(self, record_id: str, schema: str, data: bytes) -> _Read:
        if len(data) > self._limit:
            raise MalformedRecord(
                f"the record {record_id} has {size_text(len(data))}, and "
                f"{size_text(self._limit)} is the most that is taken"
            )
        record: Known | None = None
        if schema in KINDS:
            record = decode_record(schema, data).record
        # A second look at the bytes takes its time.
        writer = record.writer if isinstance(record, Run | Rewrite) else writer_of(data)
        return _Read(record, writer, hashlib.sha256(data).digest())

    def _checked(self, record_id: str, read: _Read) -> Checked:
        record, environment = read.record, self.contents[record_id].environment
        if record is not None and record.id != record_id:
            raise MalformedRecord(f"the folder {record_id} holds the record of {record.id}")
        if environment is not None:
            self._environments.check(environment)
        if record is not None:
            self._check_digest(record, environment)
        return Checked(record_id, *read)

    def _check_digest(self, record: Known, environment: str | None) -> None:
        """Check that the files beside a record are those that it has a digest of."""
        summary = record.environment if isinstance(record, Run) else None
        if environment is None:
            if summary is not None:
                raise MalformedRecord(f"the environment of record {record.id} is not beside it")
        elif summary is None:
            raise MalformedRecord(f"beside record {record.id} lie files that no digest covers")
        elif self._environments.digest(environment) != summary.digest:
            raise MalformedRecord(f"the environment of record {record.id} has another digest")
        else:
            self._environments.check_repetition()


def content_of(record_id: str, folder: bytes) -> Content:
    """Return what the folder of a record names; raise MalformedRecord for another folder."""
    files = record_files(record_id, folder)
    return Content(files.schema, files.blob, files.environment)
