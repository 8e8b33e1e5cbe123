"""What a push brings to a host, checked before any ref names it.

The checks are those that a clone makes before it joins a chain, and git's own of commits and
trees: a chain only grows, so what a host has once taken stays for everybody. What is read is
measured first, and each object is looked at once, however many others name it: time and memory
follow what was sent and the limits. Of what is refused, nothing is written. Specification:
sections 4 and 10.2.
"""

import os
import tempfile
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from gitprov.codec import canonical
from gitprov.errors import GitFailed, MalformedRecord
from gitprov.model.wording import size_text
from gitprov.store.chain_checks import check_keep, check_payload
from gitprov.store.entry_checks import EntryChecks, content_of
from gitprov.store.environment_trees import MAX_BYTES, EnvironmentTrees
from gitprov.store.git import Git
from gitprov.store.objects import GitObjects
from gitprov.store.record_ids import IDS, RecordIds
from gitprov.store.refs import AREAS, OURS, Area, Shard, list_refs


class Limits(NamedTuple):
    """The most bytes that a host takes, unpacked: of one record, and of an area in one push."""

    record: int = canonical.MAX_BYTES
    ledger: int = 512 << 20
    payload: int = 1 << 62


class Incoming:
    """The chains of one push, seen by a git that sees what was pushed."""

    def __init__(self, git: Git, limits: Limits, prov_dir: Path) -> None:
        self._git = git
        self._limits = limits
        self._reader = GitObjects(git, limit=MAX_BYTES)  # no file of an environment is larger
        self._entries = EntryChecks(self._reader, EnvironmentTrees(self._reader), limits.record)
        ours = _namespace() + OURS
        refs = list_refs(git, ours).items()
        self._here: dict[Area, list[str]] = {
            area: [oid for ref, oid in refs if ref.startswith(f"{ours}/{area}/")] for area in AREAS
        }
        self._checked: dict[Area, list[str]] = {area: [] for area in AREAS}
        self._sizes: dict[Area, int] = dict.fromkeys(AREAS, 0)
        # The first ref that has brought a record, by the record's id.
        self._arrived: dict[str, str] = {}
        # One list is kept, and not for each of several repositories in one.
        path = None if _namespace() else prov_dir / IDS
        self._ids = RecordIds(git, self._reader, path, self._here["ledger"])

    def close(self) -> None:
        """End what was started for reading."""
        self._reader.close()

    def check(self, shard: Shard, old: str | None, new: str) -> None:
        """Raise MalformedRecord, ObjectMissing or GitFailed where a chain must not become `new`."""
        if (kind := self._reader.read(new).type) != "commit":
            raise MalformedRecord(f"this is a {kind} where the chain has a commit")
        if old is not None and not self._reaches(new, old):
            raise MalformedRecord("a chain only grows, and this one does not reach what is here")
        if shard.area == "keep":
            self._check_form(check_keep(self._reader, new, old))
            return
        commits, trees = self._measured(shard.area, new)
        if shard.area == "ledger":
            self._check_ledger(shard.ref, commits)
        else:
            check_payload(self._git, self._reader, commits)
        self._check_form([*commits, *trees])
        self._checked[shard.area].append(new)

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Yield the refs with a record whose id the host has with other content, and why."""
        for record_id, ref in self._arrived.items():
            for folder in self._ids.folders(record_id):
                content = content_of(record_id, self._reader.read(folder).data)
                if content != self._entries.contents[record_id]:
                    yield ref, f"another record than the one here has the id {record_id}"

    def remember(self) -> None:
        """Let the next push find which ids the host has had before this one."""
        self._ids.remember()

    def _reaches(self, new: str, old: str) -> bool:
        return self._git.call("merge-base", "--is-ancestor", old, new).returncode == 0

    def _measured(self, area: Area, tip: str) -> tuple[list[str], list[str]]:
        """Return the new commits and trees of a chain; raise MalformedRecord above the limit."""
        known = [*self._here[area], *self._checked[area]]
        listing = self._git.piped(
            ["rev-list", "--objects", "--no-object-names", "--stdin"],
            ["cat-file", "--batch-check=%(objecttype) %(objectname) %(objectsize)"],
            stdin="\n".join([tip, *(f"^{oid}" for oid in known), ""]).encode(),
        )
        found: dict[str, list[str]] = {"commit": [], "tree": []}
        for line in BytesIO(listing):
            kind, oid, size = line.decode().split()
            self._sizes[area] += int(size)
            if kind in found:
                found[kind].append(oid)
        limit = self._limits.ledger if area == "ledger" else self._limits.payload
        if self._sizes[area] > limit:
            said = f"{size_text(self._sizes[area])} of {area}, and {size_text(limit)} is the most"
            raise MalformedRecord(f"the push brings {said} that is taken at once")
        return found["commit"], found["tree"]

    def _check_ledger(self, ref: str, commits: Sequence[str]) -> None:
        for record in self._entries.check(commits):
            self._arrived[record.id] = ref

    def _check_form(self, objects: Sequence[str]) -> None:
        """Let git check the form of commits and trees, as clones do that have `fsckObjects` set.

        Git checks what it takes into a pack, so this makes one, and throws it away.
        """
        if not objects:
            return
        with tempfile.TemporaryDirectory(prefix="gitprov-") as folder:
            try:
                self._git.piped(
                    ["pack-objects", "--stdout", "--quiet", "--window=0"],
                    ["index-pack", "--stdin", "--fsck-objects", f"{folder}/checked.pack"],
                    stdin="".join(f"{oid}\n" for oid in objects).encode(),
                )
            except GitFailed as error:
                raise MalformedRecord(f"git does not find it sound: {error}") from error


def _namespace() -> str:
    """Return what stands before the refs of one repository of several in one (gitnamespaces)."""
    parts = os.environ.get("GIT_NAMESPACE", "").split("/")
    return "".join(f"refs/namespaces/{part}/" for part in parts if part)
