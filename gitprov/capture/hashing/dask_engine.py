"""Hashing on a Dask cluster: files that its workers see at the same paths, and remote objects.

What the workers run is sent to them with the tasks, so they need no gitprov, only a Python of the
same minor version, and the drivers and credentials of the stores. Answers come in the order of the
requests, so that who asks can save them as they come. Specification of addresses:
`dask://HOST:PORT`, the scheduler's.
"""

import sys
from collections import ChainMap, deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from copy import copy
from functools import lru_cache, partial
from io import BytesIO
from operator import call
from struct import Struct
from typing import Any, TypeVar

from gitprov.capture.data.remote.schemes import words
from gitprov.capture.hashing.worker import Answer, Request, answer
from gitprov.errors import GitprovError, InputError, MissingDependency

_SCHEME = "dask://"
_PACKAGE = __name__.partition(".")[0]
_PATIENCE_SECONDS = 5
# So many tasks are with the cluster beside one for each of its threads.
_AHEAD = 4
_BYTES_A_TASK = 256 << 20
_REQUESTS_A_TASK = 8

# What functions of ours use and cloudpickle sends by name, or not at all.
_REDUCTIONS: dict[type, Callable[[Any], tuple[Any, ...]]] = {
    Struct: lambda struct: (Struct, (struct.format,)),
    type(lru_cache(id)): lambda cached: (copy, (cached.__wrapped__,)),
}

T = TypeVar("T")
R = TypeVar("R")


def dask_engine(address: str) -> "DaskEngine":
    """Return the cluster at `dask://HOST:PORT`.

    Raises InputError where no scheduler answers, MissingDependency.
    """
    return DaskEngine(_connected(address))


class DaskEngine:
    """A Dask cluster; stands where `gitprov.capture.hashing.pool.Pool` does."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def close(self) -> None:
        """Let go of the cluster."""
        with suppress(Exception):
            self._client.close(timeout=_PATIENCE_SECONDS)

    def hash(self, requests: Iterable[Request]) -> Iterator[Answer]:
        """Yield the answers to requests, in their order."""
        parts = batches(requests, lambda request: request.size, _REQUESTS_A_TASK)
        for answers in self.map(_answers, ([tuple(each) for each in part] for part in parts)):
            for found in answers:
                yield Answer(*found)

    def map(self, work: Callable[[T], R], parts: Iterable[T]) -> Generator[R, None, None]:
        """Yield what `work` makes of each part, in order; what is left is cancelled at the end."""
        waiting: deque[Any] = deque()
        try:
            for part in parts:
                waiting.append(self._submit(partial(work, part)))
                while len(waiting) > self._most():
                    yield self._next(waiting)
            while waiting:
                yield self._next(waiting)
        finally:
            if waiting:
                with suppress(Exception):
                    self._client.cancel(list(waiting), force=True)

    def _submit(self, task: Callable[[], Any]) -> Any:
        """Have a task run; whatever of gitprov it needs goes with it."""
        from cloudpickle import loads  # noqa: PLC0415 -- late, as below
        from toolz import compose  # noqa: PLC0415 -- what Dask itself needs

        # Dask itself would send functions as names, where they have some.
        return self._client.submit(compose(call, loads), _pickled(task), pure=False)

    def _next(self, waiting: deque[Any]) -> Any:
        found = _result(waiting[0])
        waiting.popleft()
        return found

    def _most(self) -> int:
        threads: int = sum(self._client.nthreads().values())
        return max(1, threads) + _AHEAD


def _pickled(task: Callable[[], Any]) -> bytes:
    """Return a task with all of gitprov that it uses."""
    import cloudpickle  # noqa: PLC0415 -- late, as below

    cloudpickle.register_pickle_by_value(sys.modules[_PACKAGE])
    tables = ChainMap(_REDUCTIONS, cloudpickle.Pickler.dispatch_table)
    pickler = type("Pickler", (cloudpickle.Pickler,), {"dispatch_table": tables})
    buffer = BytesIO()
    pickler(buffer).dump(task)
    return buffer.getvalue()


def _answers(requests: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [tuple(answer(Request(*values))) for values in requests]


def batches(items: Iterable[T], size_of: Callable[[T], int], most: int) -> Iterator[list[T]]:
    """Yield items in parts that are worth a task: so many at most, and not too many bytes."""
    batch: list[T] = []
    size = 0
    for item in items:
        batch.append(item)
        size += size_of(item)
        if len(batch) >= most or size >= _BYTES_A_TASK:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _connected(address: str) -> Any:
    place = address.removeprefix(_SCHEME)
    if not address.startswith(_SCHEME) or not place.rpartition(":")[2].isdigit():
        raise InputError(f"there is no engine {address}: name a cluster as dask://HOST:PORT")
    try:
        # Late: an extra, for those who have a cluster.
        import distributed  # noqa: PLC0415
    except ImportError as error:
        raise MissingDependency(
            f"{address} needs a package: pip install 'gitprov[dask]'"
        ) from error
    connect: Any = distributed.Client  # some versions have types, others have not
    try:
        client = connect(f"tcp://{place}", timeout=_PATIENCE_SECONDS, set_as_default=False)
    except Exception as error:
        raise InputError(f"no Dask scheduler answers at {place}") from error
    try:
        client.wait_for_workers(1, timeout=_PATIENCE_SECONDS)
    except TimeoutError as error:
        client.close(timeout=_PATIENCE_SECONDS)
        raise InputError(f"the Dask cluster at {place} has no workers") from error
    try:
        _check_pythons(client)
    except Exception:
        client.close(timeout=_PATIENCE_SECONDS)
        raise
    return client


def _check_pythons(client: Any) -> None:
    """Raise InputError where workers cannot read the functions that this Python sends."""
    try:
        workers = client.get_versions()["workers"].values()
        versions = {worker["host"]["python"] for worker in workers}
    except Exception as error:
        raise _failed(error) from error
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    for version in versions:
        if not version.startswith(f"{own}."):
            other = ".".join(version.split(".")[:2])
            raise InputError(f"a Dask worker has Python {other}, this is {own}: they must be equal")


def _result(future: Any) -> Any:
    try:
        return future.result()
    except GitprovError:
        raise
    except Exception as error:
        raise _failed(error) from error


def _failed(error: Exception) -> InputError:
    return InputError(f"the Dask cluster has failed: {type(error).__name__}: {words(error, '')}")
