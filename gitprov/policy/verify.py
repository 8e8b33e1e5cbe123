"""Verification, offline, from raw objects.

What is checked, and counted apart: `entries` (every commit of every ledger chain, its shape and
its trailers), `records` (canonical bytes, types, the name of the folder), `writers` (numbers
without gaps or forks, each record naming the one before it), `environments` (files against the
digest), `sources` (commit and tree present and belonging together), `payloads` (hashes of what is
here, and listings folder by folder), `months` (each month names the tips that it continues).

Objects come from libgit2, which compares each with its name; parents are read from raw commits, so
that grafts, shallow files and replace refs hide nothing. What this clone lacks is unknown, not
good. Specification: section 11.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from gitprov.codec.compression import decompress
from gitprov.codec.records import KINDS, decode_record, writer_of
from gitprov.errors import GitprovError, IntegrityError, MalformedRecord, ObjectMissing
from gitprov.model.ids import short
from gitprov.model.ledger import Start
from gitprov.model.rewrite import Rewrite
from gitprov.model.run import Artifact, Run, Source, Writer
from gitprov.policy.findings import Findings
from gitprov.store.environment_trees import EnvironmentTrees
from gitprov.store.ledger import Entry, StoredRecord, read_entries
from gitprov.store.libgit2 import LibgitObjects
from gitprov.store.listings import Listing
from gitprov.store.listings import Place as ListingPlace
from gitprov.store.messages import has_controls, runs_named
from gitprov.store.objects import ObjectReader, decode_commit, decode_tree
from gitprov.store.payload import LISTING
from gitprov.store.refs import LEDGER, PAYLOAD, list_refs, parse_shard, unreadable_refs
from gitprov.store.store import Store


class _Link(NamedTuple):
    """A record's place in the chain of its writer."""

    sequence: int
    digest: bytes
    previous: bytes | None
    record_id: str


def verify(store: Store) -> Findings:
    """Check everything that is recorded; raise GitFailed where refs cannot be read."""
    return _Verification(store).findings


class _Verification:
    def __init__(self, store: Store) -> None:
        self.findings = Findings()
        self._reader: ObjectReader = LibgitObjects(
            store.repository.git_dir, store.repository.common_dir
        )
        self._chains: dict[str, list[_Link]] = defaultdict(list)
        self._environments = EnvironmentTrees(self._reader)
        self._listings: dict[ListingPlace, tuple[int, int]] = {}
        self._dropped_months = False
        refs = list_refs(store.repository.git, LEDGER, PAYLOAD)
        payload_tips = [oid for ref, oid in refs.items() if ref.startswith(PAYLOAD)]
        self._payload = self._payload_files(payload_tips)
        common_dir = store.repository.common_dir
        try:
            for ref in unreadable_refs(common_dir, refs, LEDGER):
                self.findings.failed("entries", ref, "the ref is unreadable")
            self._check_ledger({ref: oid for ref, oid in refs.items() if ref.startswith(LEDGER)})
            self._check_writers()
        finally:
            self._reader.close()

    def _check_ledger(self, refs: Mapping[str, str]) -> None:
        seen: set[str] = set()
        runs: dict[str, bytes] = {}
        for ref, tip in refs.items():
            if parse_shard(ref) is None:
                self.findings.failed("entries", ref, "this is not the name of a ledger chain")
                continue
            for oid in self._walk(ref, tip, seen):
                self._check_entry(oid, runs)

    def _walk(self, ref: str, tip: str, seen: set[str]) -> Iterator[str]:
        """Yield the commits of a chain, by the parents that stand in the raw objects."""
        waiting = [tip]
        while waiting:
            oid = waiting.pop()
            if oid in seen:
                continue
            seen.add(oid)
            try:
                found = self._reader.read(oid)
                if found.type != "commit":
                    raise MalformedRecord(f"a {found.type} where the chain has a commit")
                waiting += decode_commit(found.data).parents
            except ObjectMissing:
                self.findings.unknown("entries", oid, f"{ref} refers to it, and it is not here")
            except GitprovError as error:
                self.findings.failed("entries", oid, str(error))
            else:
                yield oid

    def _check_entry(self, oid: str, runs: dict[str, bytes]) -> None:
        try:
            entry = next(iter(read_entries(self._reader, [oid])))
        except ObjectMissing as error:
            self.findings.unknown("entries", oid, str(error))
            return
        except GitprovError as error:
            self.findings.failed("entries", oid, str(error))
            return
        if problem := _message_problem(entry):
            self.findings.failed("entries", oid, problem)
        else:
            self.findings.good("entries")
        for record in entry.records:
            digest = hashlib.sha256(record.data).digest()
            if runs.get(record.id) == digest:
                continue  # the same bytes, reached over two chains that were joined
            self._check_record(record, digest, runs)

    def _check_record(self, record: StoredRecord, digest: bytes, runs: dict[str, bytes]) -> None:
        try:
            if record.id in runs:
                raise MalformedRecord("two different records have this id")
            writer, decoded = writer_of(record.data), _decoded(record)
        except MalformedRecord as error:
            self.findings.failed("records", record.id, str(error))
            return
        runs[record.id] = digest
        if decoded is None:
            reason = f"kind {record.schema} needs a newer gitprov"
            self.findings.unknown("records", record.id, reason)
        else:
            self.findings.good("records")
        if isinstance(decoded, Start):
            self._check_start(decoded)
        else:
            self._note_place(record, digest, writer)
        if isinstance(decoded, Run):
            self._check_run(decoded, record)
        elif decoded is not None and record.environment is not None:
            self.findings.failed("environments", record.id, "files that no digest covers")

    def _note_place(self, record: StoredRecord, digest: bytes, writer: Writer | None) -> None:
        if writer is None:
            self.findings.failed("writers", record.id, "the record names no writer")
            return
        link = _Link(writer.sequence, digest, writer.previous, record.id)
        self._chains[writer.id].append(link)

    def _check_start(self, start: Start) -> None:
        for tip in start.continues:
            try:
                self._reader.read(tip.commit)
            except ObjectMissing:
                self._dropped_months = True
                self.findings.unknown(
                    "months", start.month, f"{tip.ref} at {tip.commit[:12]} is not in this clone"
                )
            except IntegrityError as error:
                self.findings.failed("months", start.month, str(error))
            else:
                self.findings.good("months")

    def _check_run(self, run: Run, record: StoredRecord) -> None:
        self._check_environment(run, record)
        if run.source is not None and run.source.tree:
            self._check_source(run.id, run.source)
        self._check_payload(run)

    def _check_environment(self, run: Run, record: StoredRecord) -> None:
        if run.environment is None:
            if record.environment is not None:
                self.findings.failed("environments", run.id, "files that no digest covers")
            return
        if record.environment is None:
            self.findings.failed("environments", run.id, "the files are not beside the record")
            return
        try:
            digest = self._environments.digest(record.environment)
        except ObjectMissing as error:
            self.findings.unknown("environments", run.id, str(error))
        except GitprovError as error:
            self.findings.failed("environments", run.id, str(error))
        else:
            if digest == run.environment.digest:
                self.findings.good("environments")
            else:
                self.findings.failed("environments", run.id, "the files do not match the digest")

    def _check_source(self, run_id: str, source: Source) -> None:
        """Check that the commit or snapshot is here and has the tree that the record names."""
        oid = source.snapshot or source.commit
        if oid is None:
            self.findings.unknown("sources", run_id, "no commit and no snapshot is recorded")
            return
        what = "snapshot" if source.snapshot else "commit"
        try:
            commit = decode_commit(self._reader.read(oid).data)
            if commit.tree != source.tree:
                raise MalformedRecord(f"the {what} {oid[:12]} has another tree than recorded")
            if source.snapshot and source.commit and source.commit not in commit.parents:
                raise MalformedRecord(f"the snapshot {oid[:12]} is not of the commit recorded")
        except ObjectMissing:
            hint = "fetch it with: git prov pull" if source.snapshot else "fetch it with git"
            self.findings.unknown(
                "sources", run_id, f"the {what} {oid[:12]} is not in this clone; {hint}"
            )
        except GitprovError as error:
            self.findings.failed("sources", run_id, str(error))
        else:
            self.findings.good("sources")

    def _payload_files(self, tips: list[str]) -> dict[tuple[str, str], set[str]]:
        """Return the payload files that are here: (run, name in the tree) to all its blobs."""
        files: dict[tuple[str, str], set[str]] = defaultdict(set)
        seen: set[str] = set()
        for tip in tips:
            for oid in self._walk(PAYLOAD, tip, seen):
                try:
                    tree = self._reader.read(decode_commit(self._reader.read(oid).data).tree)
                    for folder in decode_tree(tree.data):
                        run_id = folder.name.decode("ascii", "replace")
                        for file in decode_tree(self._reader.read(folder.oid).data):
                            files[run_id, file.name.decode("utf-8", "replace")].add(file.oid)
                except ObjectMissing as error:
                    self.findings.unknown("payloads", oid, str(error))
                except GitprovError as error:
                    self.findings.failed("payloads", oid, str(error))
        return files

    def _check_payload(self, run: Run) -> None:
        named = {item.name: item.digest.get("sha256") for item in run.byproducts if item.name}
        for artifact in (*run.inputs, *run.outputs):
            if artifact.listing:
                self._check_listing(run.id, artifact.listing, artifact)
        for name, digest in named.items():
            if digest is None:
                continue
            subject = f"{run.id}/{name}"
            try:
                for content in self._payload_copies(run.id, name):
                    if hashlib.sha256(content).digest() != digest:
                        raise IntegrityError("the content does not match the recorded hash")
            except ObjectMissing as error:
                self.findings.unknown("payloads", subject, str(error))
            except GitprovError as error:
                self.findings.failed("payloads", subject, str(error))
            else:
                self.findings.good("payloads")

    def _check_listing(self, run_id: str, name: str, artifact: Artifact) -> None:
        subject = f"{run_id}/{name}"
        try:
            digest = artifact.digest.get("sha256", b"")
            if f"{LISTING}{digest.hex()}" != name:
                raise IntegrityError("the listing has another name than its hash")
            for tree in sorted(self._copies(run_id, name)):
                listing = Listing(self._reader, tree, digest)
                if listing.check(self._listings) != (artifact.size, artifact.file_count):
                    raise IntegrityError("the listing has other sums than the record")
        except ObjectMissing as error:
            self.findings.unknown("payloads", subject, str(error))
        except GitprovError as error:
            self.findings.failed("payloads", subject, str(error))
        else:
            self.findings.good("payloads")

    def _copies(self, run_id: str, name: str) -> set[str]:
        found = self._payload.get((run_id, name), set())
        if not found:
            raise ObjectMissing("not in this clone; fetch it with: git prov pull --payload")
        return found

    def _payload_copies(self, run_id: str, name: str) -> Iterator[bytes]:
        """Yield every content that is here under a name; one that differs is wrong anywhere."""
        plain = self._payload.get((run_id, name), set())
        packed = self._payload.get((run_id, f"{name}.zst"), set())
        if not plain | packed:
            raise ObjectMissing("not in this clone; fetch it with: git prov pull --payload")
        for blob in sorted(plain):
            yield self._reader.read(blob).data
        for blob in sorted(packed):
            yield decompress(self._reader.read(blob).data)

    def _check_writers(self) -> None:
        """Check that each writer's records are numbered without gaps and name their predecessor."""
        for writer, links in self._chains.items():
            links.sort()
            expected, previous = 1, None
            for link in links:
                subject = f"{short(writer)}#{link.sequence}"
                if link.sequence < expected:
                    reason = f"record {short(link.record_id)} has a number that another record has"
                    self.findings.failed("writers", subject, reason)
                    continue
                if link.sequence > expected:
                    self._gap(subject, expected, link.sequence)
                elif link.previous != previous:
                    reason = f"record {short(link.record_id)} does not follow the record before it"
                    self.findings.failed("writers", subject, reason)
                else:
                    self.findings.good("writers")
                expected, previous = link.sequence + 1, link.digest

    def _gap(self, subject: str, expected: int, found: int) -> None:
        reason = f"records {expected} to {found - 1} of this writer are not here"
        if self._dropped_months:
            self.findings.unknown("writers", subject, f"{reason}; a month was dropped")
        else:
            self.findings.failed("writers", subject, reason)


def _decoded(record: StoredRecord) -> Run | Rewrite | Start | None:
    """Return what a record says, None for a kind that is not known; raise MalformedRecord."""
    if record.schema not in KINDS:
        return None
    decoded: Run | Rewrite | Start = decode_record(record.schema, record.data).record
    if decoded.id != record.id:
        raise MalformedRecord(f"the folder {record.id} holds the record of {decoded.id}")
    return decoded


def _message_problem(entry: Entry) -> str | None:
    """Say what is wrong with an entry for readers of plain git."""
    if has_controls(entry.commit):
        return "control characters in the header or the message"
    runs = (record.id for record in entry.records if record.schema.startswith("run."))
    if runs_named(entry.commit.message) != tuple(sorted(runs)):
        return "the message names other runs than the entry holds"
    return None
