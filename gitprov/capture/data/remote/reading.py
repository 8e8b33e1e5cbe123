"""Reading objects to hash them: one version each, several at once, in the order asked for.

What is read is what the store spoke of just before: an object that changes meanwhile is read again,
and given up where it keeps changing. Threads do it: they wait for the network.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future
from contextlib import closing, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import NamedTuple

from gitprov.capture.data.remote.http import HttpStore
from gitprov.capture.data.remote.s3 import S3Store
from gitprov.capture.data.remote.said import Said
from gitprov.capture.data.remote.schemes import opened, words
from gitprov.capture.data.remote.stores import ChangedMeanwhile, Store
from gitprov.capture.hashing.algorithms import hashes
from gitprov.errors import GitprovError, InputError

_ATTEMPTS = 3
# So many objects are asked for beside each one that is read.
_AHEAD = 4
_TELL_SECONDS = 0.1
_GONE = "it is gone"
_STORES = {"http": HttpStore, "https": HttpStore, "s3": S3Store, "s3a": S3Store}

# Is told how many bytes more were read.
Heard = Callable[[int], None]


class Read(NamedTuple):
    """What was read of an object, and what the store said of just that; or why it was not.

    `digests` are one after the other.
    """

    said: Said
    digests: bytes = b""
    failed: str | None = None


def store_at(
    uri: str,
    *,
    typed: bool,
    cwd: Path | None = None,
    shared: bool = False,
    may_read: bool = True,
) -> Store:
    """Return the store that a URI leads to; raise InputError, MissingDependency."""
    found = opened(uri, typed=typed, cwd=cwd, shared=shared)
    store = _STORES.get(found.scheme, Store)(found)
    store.may_read = may_read
    return store


def read_objects(
    store: Store, asked: Iterable[Said], algorithms: Sequence[str], heard: Heard | None = None
) -> Generator[Read, None, None]:
    """Yield what reading each object has given, in their order; `heard` is told of bytes.

    Close it where it is not read to its end: what is under way ends then.
    """
    under_way: deque[Future[Read]] = deque()
    counts: SimpleQueue[int] = SimpleQueue()
    with closing(_Readers(store, algorithms, counts.put)) as readers:
        for said in asked:
            under_way.append(readers.read(said))
            while under_way and (under_way[0].done() or len(under_way) > _AHEAD * store.threads):
                yield _awaited(under_way.popleft(), counts, heard)
        while under_way:
            yield _awaited(under_way.popleft(), counts, heard)


class _Readers:
    """Threads that read objects. No exit waits for them, as for those of a ThreadPoolExecutor.

    A store that has fallen silent may keep a thread for ever.
    """

    def __init__(self, store: Store, algorithms: Sequence[str], heard: Heard) -> None:
        self._store = store
        self._algorithms = algorithms
        self._heard = heard
        self._ended = Event()
        self._threads = 0
        self._waiting: SimpleQueue[tuple[Said, Future[Read]] | None] = SimpleQueue()

    def read(self, said: Said) -> Future[Read]:
        """Have an object read."""
        found: Future[Read] = Future()
        self._waiting.put((said, found))
        if self._threads < self._store.threads:
            self._threads += 1
            Thread(target=self._work, name="gitprov-read", daemon=True).start()
        return found

    def close(self) -> None:
        """Have the threads end; what waits is not read any more."""
        self._ended.set()
        for _ in range(self._threads):
            self._waiting.put(None)

    def _work(self) -> None:
        while (task := self._waiting.get()) is not None and not self._ended.is_set():
            said, found = task
            try:
                read = _read_object(self._store, said, self._algorithms, self._heard, self._ended)
            except BaseException as error:  # noqa: BLE001 -- for who awaits it
                found.set_exception(error)
            else:
                found.set_result(read)


def _awaited(read: Future[Read], counts: "SimpleQueue[int]", heard: Heard | None) -> Read:
    """Wait for an object, and pass on meanwhile what is heard of it and of others."""
    while True:
        with suppress(TimeoutError):
            found = read.result(_TELL_SECONDS)
            break
        _tell(counts, heard)
    _tell(counts, heard)
    return found


def _tell(counts: "SimpleQueue[int]", heard: Heard | None) -> None:
    size = 0
    with suppress(Empty):
        while True:
            size += counts.get_nowait()
    if heard is not None:
        heard(size)


def _read_object(
    store: Store, said: Said, algorithms: Sequence[str], heard: Heard, ended: Event
) -> Read:
    try:
        return _read(store, said, algorithms, heard, ended)
    except GitprovError as error:
        return Read(said, failed=str(error))
    except FileNotFoundError:
        return Read(said, failed=_GONE)
    except Exception as error:  # noqa: BLE001 -- each driver raises errors of its own
        return Read(said, failed=f"cannot read it: {words(error, store.uri(said.path))}")


def _read(store: Store, said: Said, algorithms: Sequence[str], heard: Heard, ended: Event) -> Read:
    wanted = hashes(algorithms)
    before: Said | None = said
    for attempt in range(_ATTEMPTS):
        if attempt:
            before = store.stat(said.path)
        if before is None:
            raise InputError(_GONE)
        begun, size = [new() for new in wanted], 0
        try:
            for chunk in store.chunks(before):
                if ended.is_set():
                    raise InputError("it was not read to its end")
                size += len(chunk)
                heard(len(chunk))
                for each in begun:
                    each.update(chunk)
        except ChangedMeanwhile:
            continue
        whole = before._replace(size=size)
        now = before if store.is_pinned else store.stat(said.path)
        if now is not None and whole.still_holds(before) and whole.still_holds(now):
            return Read(whole, b"".join([each.digest() for each in begun]))
    raise InputError("it keeps changing while it is read; record it once it is complete")
