"""How far chains have come, kept outside of refs: what others do to refs loses no run.

Somebody may set a ref of ours back: a mirror's `+refs/*:refs/*`, a prune, a hand. And a remote may
lose what it had. `<common dir>/prov/tips` has the end of each chain as it was known last, of ours
and of remotes, so that either is noticed. Deleting the file costs no more than the memory.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import NamedTuple

from gitprov.codec import canonical
from gitprov.errors import MalformedRecord
from gitprov.store.durable import write_durably
from gitprov.store.refs import OURS, REMOTE, parse_shard, remote_of
from gitprov.store.repository import Repository

Refs = Mapping[str, str]

_GONE = "gone"


class Fallen(NamedTuple):
    """A ref that does not reach what it reached before: where it was, and where it is now."""

    ref: str
    before: str
    now: str | None


class HighWater:
    """The furthest end of each chain that is known."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._path = repository.prov_dir / "tips"
        self._load()

    def remember(self, moved: Mapping[str, str | None]) -> None:
        """Note where chains end now that we have moved them. Not synced, and may fail."""
        changes = {ref: oid for ref, oid in moved.items() if parse_shard(ref) is not None}
        if any(self._tips.get(ref) != oid or ref in self._fallen for ref, oid in changes.items()):
            self._load()  # others may have noted something since
            for ref, oid in changes.items():
                self._fallen.pop(ref, None)
                self._tips.pop(ref, None)
                if oid is not None:
                    self._tips[ref] = oid
            self._save()

    def forget(self, ref: str, *, fsync: bool = True) -> None:
        """Forget a ref that is about to move to where it does not reach its old end; durably.

        Whoever dies between that move and the next mark must not seem to have set it back.
        """
        self._load()
        if self._tips.pop(ref, None) is not None:
            document = {"tips": self._tips, "fallen": self._fallen}
            write_durably(self._path, canonical.encode(document), fsync=fsync)

    def ours_fallen(self, refs: Refs) -> list[Fallen]:
        """Return refs of ours that somebody has set back; note those that went forward."""
        return self._news(refs, f"{OURS}/")

    def remotes_fallen(self, refs: Refs) -> list[Fallen]:
        """Return what remotes have lost of what is ours since the last call, each loss once."""
        news = self._news(refs, f"{REMOTE}/")
        theirs = {fallen.ref: fallen.now for fallen in news if not self._is_ours(fallen, refs)}
        self.remember(theirs)
        news = [fallen for fallen in news if fallen.ref not in theirs]
        if news:
            self._fallen |= {fallen.ref: fallen.now or _GONE for fallen in news}
            self._save()
        return news

    def lost_at(self, remote: str) -> list[Fallen]:
        """Return what a remote is known to have lost, and has not got again."""
        return [
            Fallen(ref, self._tips[ref], None if now == _GONE else now)
            for ref, now in self._fallen.items()
            if remote_of(ref) == remote and ref in self._tips
        ]

    def _is_ours(self, fallen: Fallen, refs: Refs) -> bool:
        """Say whether what a remote had is here: not what was refused."""
        shard = parse_shard(fallen.ref)
        ours = refs.get(shard.ref) if shard else None
        return ours is not None and self.reaches(ours, fallen.before)

    def reaches(self, tip: str, other: str) -> bool:
        """Say whether one commit is the other, or has it in its history."""
        git = self._repository.git
        return git.call("merge-base", "--is-ancestor", other, tip).returncode == 0

    def _news(self, refs: Refs, prefix: str) -> list[Fallen]:
        found: list[Fallen] = []
        forward: dict[str, str | None] = {
            ref: oid
            for ref, oid in refs.items()
            if ref.startswith(prefix)
            and (ref not in self._tips or (ref in self._fallen and self._tips[ref] == oid))
        }
        for fallen in self._differing(refs, prefix):
            if fallen.now is not None and self.reaches(fallen.now, fallen.before):
                forward[fallen.ref] = fallen.now
            elif fallen.now is None or not self._is_cut(fallen.now):
                found.append(fallen)
        self.remember(forward)
        return found

    def _is_cut(self, tip: str) -> bool:
        """Say whether nobody can tell what a commit reaches: `git fetch --depth` has cut it off."""
        cut = self._repository.cut_commits()
        if not cut:
            return False
        walk = self._repository.git.call("rev-list", tip).stdout.decode("ascii", "replace")
        return not cut.isdisjoint(walk.split())

    def _differing(self, refs: Refs, prefix: str) -> Iterator[Fallen]:
        for ref, before in self._tips.items():
            now = refs.get(ref)
            if ref.startswith(prefix) and now != before and self._fallen.get(ref) != (now or _GONE):
                yield Fallen(ref, before, now)

    def _load(self) -> None:
        self._tips: dict[str, str] = {}
        self._fallen: dict[str, str] = {}
        with suppress(OSError, MalformedRecord):
            match canonical.decode(self._path.read_bytes()):
                case {"tips": dict(tips), "fallen": dict(fallen)}:
                    self._tips, self._fallen = tips, fallen

    def _save(self) -> None:
        document = {"tips": self._tips, "fallen": self._fallen}
        temporary = self._path.with_name(f".tips.{os.getpid()}.tmp")
        with suppress(OSError):
            temporary.write_bytes(canonical.encode(document))
            temporary.replace(self._path)
