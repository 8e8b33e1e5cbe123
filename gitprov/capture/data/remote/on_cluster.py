"""Reading objects on a Dask cluster: each worker opens the store itself.

The workers have the drivers, the credentials and the configuration of the stores; nothing of that
is sent to them, but for what stands in the URI itself.
"""

from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from typing import Any

from gitprov.capture.data.remote.reading import Heard, Read, read_objects, store_at
from gitprov.capture.data.remote.said import Said
from gitprov.capture.hashing.dask_engine import batches, dask_engine

_OBJECTS_A_TASK = 64


def read_on_cluster(
    address: str,
    uri: str,
    asked: Iterable[Said],
    algorithms: Sequence[str],
    heard: Heard | None = None,
) -> Generator[Read, None, None]:
    """Yield what reading each object has given, in their order; `heard` is told of bytes."""
    parts = (
        (uri, [(said.path, said.size, dict(said.remote)) for said in batch], list(algorithms))
        for batch in batches(asked, lambda said: said.size or 0, _OBJECTS_A_TASK)
    )
    with (
        closing(dask_engine(address)) as cluster,
        closing(cluster.map(_read, parts)) as answers,
    ):
        for reads in answers:
            for path, size, remote, digests, failed in reads:
                yield Read(Said(path, size, remote), digests, failed)
                if heard is not None:
                    heard(size or 0)


def _read(part: tuple[str, list[tuple[Any, ...]], list[str]]) -> list[tuple[Any, ...]]:
    """Read a part on a worker: plain values both ways."""
    uri, batch, algorithms = part
    asked = [Said(*values) for values in batch]
    # Opening a store may take as long as reading a hundred objects.
    store = store_at(uri, typed=True, shared=True)
    return [
        (read.said.path, read.said.size, dict(read.said.remote), read.digests, read.failed)
        for read in read_objects(store, asked, algorithms)
    ]
