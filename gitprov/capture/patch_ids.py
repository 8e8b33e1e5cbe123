"""The patch ids of the source: of its commit, and of all that this has beyond the default branch.

By them a run is found again when its commit was rebased, cherry-picked or squashed. They are made
beside what else is captured, once for each commit, and never stop or hold up a run: what takes too
long, is too large, or is not in this clone stands in `missing` instead.
"""

import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event, Thread
from types import TracebackType
from typing import Self

from gitprov.capture.own_reads import paused
from gitprov.capture.word_cache import WordCache
from gitprov.errors import GitFailed, GitprovError
from gitprov.model.run import Series
from gitprov.store.objects import Commit, GitObjects, decode_commit, object_id
from gitprov.store.patch_ids import DIFF_OPTIONS, PATCH_ID, diffing
from gitprov.store.repository import EMPTY_TREE, Config, Repository

MAX_DIFF_BYTES = 32 << 20
MAX_SECONDS = 10.0

# Words that are kept in place of an id, and why there is none.
_MERGE, _EMPTY, _LARGE, _SLOW, _ALONE = "merge", "empty", "large", "slow", "alone"
_REASONS = {
    _MERGE: "the commit has several parents",
    _EMPTY: "there is no difference",
    _LARGE: f"the diff is larger than {MAX_DIFF_BYTES >> 20} MiB",
    _SLOW: f"it took longer than {MAX_SECONDS:.0f} s",
    _ALONE: "the commit and the default branch have nothing in common",
}
_CHUNK_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Patches:
    """Patch ids, and why there are none."""

    patch_id: str | None = None
    series: Series | None = None
    missing: Mapping[str, str] = field(default_factory=dict)


class PatchIds:
    """The patch ids of HEAD, made in a thread from entering the context on; `collect` them."""

    def __init__(self, repository: Repository, *, seconds: float = MAX_SECONDS) -> None:
        self._repository = repository
        self._until = time.monotonic() + seconds
        self._git = diffing(repository.git)
        self._cache = WordCache(repository.prov_dir / "cache" / "patch-ids")
        self._thread = Thread(target=self._work, name="gitprov patch ids", daemon=True)
        self._running: list[subprocess.Popen[bytes]] = []
        self._stopped = False
        self._read_head = Event()
        self._oid: str | None = None
        self._commit: Commit | None = None
        self._patch = self._base = self._series = ""
        self._fault: str | None = None

    def __enter__(self) -> Self:
        # Read here: later, the main thread may do so at the same time.
        self._tips = _default_branches(self._repository.config)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop()

    def commit_at(self, oid: str) -> Commit | None:
        """Return HEAD's commit as it was read on the way, if HEAD was at this id."""
        self._read_head.wait(max(0.0, self._until - time.monotonic()))
        return self._commit if self._oid == oid else None

    def collect(self, commit: str | None) -> Patches:
        """Return what was made, if HEAD was at this commit; wait until the time is over."""
        self._thread.join(max(0.0, self._until - time.monotonic()))
        self._stop()
        if commit is None:
            return Patches()
        if self._oid != commit:
            why = self._fault or "HEAD has moved while it was made"
            return Patches(missing={"source.patch_id": why})
        missing = {}
        for name, word in (("patch_id", self._patch), ("series", self._series or self._base)):
            reason = _REASONS.get(word) or (None if word else self._fault)
            if reason is not None:
                missing[f"source.{name}"] = reason
        series = Series(base=self._base, patch_id=self._series) if _is_id(self._series) else None
        return Patches(self._patch if _is_id(self._patch) else None, series, missing)

    def _work(self) -> None:
        try:
            with paused():
                self._make()
        except (GitprovError, OSError) as error:
            self._fault = f"could not be made: {error}"
        finally:
            self._read_head.set()

    def _make(self) -> None:
        found = dict(self._read(["HEAD", *self._tips]))
        head = found.pop("HEAD", None)
        if head is None:
            return
        self._oid, self._commit = head
        self._read_head.set()
        parents = self._commit.parents or (EMPTY_TREE,)
        if len(parents) > 1:
            self._patch = _MERGE
        else:
            self._patch = self._patch_id(parents[0], self._oid)
        tip = next(iter(found.values()), None)
        if tip is None:
            self._fault = "no default branch is known: neither that of a remote, nor main or master"
            return
        self._base = self._merge_base(tip[0], self._oid)
        if _is_id(self._base) and self._base != self._oid:
            # What one commit has beyond the default branch is known already.
            alone = self._base == parents[0]
            self._series = self._patch if alone else self._patch_id(self._base, self._oid)

    def _read(self, names: Sequence[str]) -> Iterator[tuple[str, tuple[str, Commit]]]:
        """Yield the commits that there are under these names, with their ids."""
        # Objects are read as they are: git would show a shallow clone's last ones without parents.
        reader = GitObjects(self._git)
        try:
            for name, item in zip(names, reader.read_many(names), strict=True):
                if item is not None and item.type == "commit":
                    yield name, (object_id("commit", item.data), decode_commit(item.data))
        finally:
            reader.close()

    def _merge_base(self, tip: str, commit: str) -> str:
        if tip == commit:
            return commit
        key = f"base {tip} {commit}"
        known = self._cache.get(key)
        if known is None:
            with self._started("merge-base", tip, commit) as process:
                said, _ = process.communicate()
            if process.returncode not in (0, 1) and not self._stopped:
                raise GitFailed("the default branch is not all in this clone")
            known = _SLOW if self._stopped else said.decode().strip() or _ALONE
            self._cache.put(key, known)
        return known

    def _patch_id(self, old: str, new: str) -> str:
        """Return the patch id of a difference, or the word for why it has none."""
        key = f"patch {old} {new}"
        known = self._cache.get(key)
        if known is None:
            known = self._patch_id_by_git(old, new)
            self._cache.put(key, known)
        return known

    def _patch_id_by_git(self, old: str, new: str) -> str:
        size = 0
        said = b""
        # A pipe breaks where its end was stopped.
        with suppress(BrokenPipeError), self._started(*PATCH_ID) as last:
            with self._started("diff-tree", *DIFF_OPTIONS, old, new) as first:
                assert first.stdout is not None  # noqa: S101 -- opened with pipes
                assert last.stdin is not None  # noqa: S101
                while chunk := first.stdout.read(_CHUNK_BYTES):
                    size += len(chunk)
                    if size > MAX_DIFF_BYTES:
                        self._kill()
                        break
                    last.stdin.write(chunk)
            if first.returncode == 0:
                said, _ = last.communicate()
        if size > MAX_DIFF_BYTES:
            return _LARGE
        if self._stopped:
            return _SLOW
        if first.returncode != 0 or last.returncode != 0:
            raise GitFailed("what the commit is compared with is not all in this clone")
        return said[:40].decode() or _EMPTY

    def _started(self, *arguments: str) -> subprocess.Popen[bytes]:
        process = self._git.open(*arguments)
        self._running.append(process)
        if self._stopped:  # meanwhile
            process.kill()
        return process

    def _stop(self) -> None:
        """End the thread, if it is not at its end."""
        if self._thread.is_alive():
            self._stopped = True
            self._kill()
            self._thread.join()

    def _kill(self) -> None:
        for process in self._running:
            process.kill()


def _default_branches(config: Config) -> list[str]:
    """Return where to look for the default branch, the best place first."""
    remote = config.main_remote()
    places = [f"refs/remotes/{remote}/{name}" for name in ("HEAD", "main", "master")]
    return [*places, "refs/heads/main", "refs/heads/master"]


def _is_id(word: str) -> bool:
    return bool(word) and word not in _REASONS
