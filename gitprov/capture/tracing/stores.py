"""What stores say of remote objects that a command was seen to read or write.

They are asked when the command has ended, all at once, and nobody waits long: the end of a run
must not depend on servers.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Event, Thread
from time import monotonic

from gitprov.capture.url_credentials import without_credentials
from gitprov.errors import GitprovError

SECONDS = 5.0
NO_ANSWER = "its store did not answer in time"
_THREADS = 8


@dataclass(frozen=True, slots=True)
class Answer:
    """What the store of an object says of it after the run, or why it says nothing."""

    size: int | None = None
    remote: Mapping[str, str] = field(default_factory=dict)
    failed: str | None = None


def answers(uris: Iterable[str], seconds: float = SECONDS) -> dict[str, Answer]:
    """Ask the stores of all URIs; who has not answered when the time is over says nothing.

    An interrupt ends the waiting, too, and is not raised: the run is still to be recorded.
    """
    waiting: SimpleQueue[str] = SimpleQueue()
    heard: SimpleQueue[tuple[str, Answer]] = SimpleQueue()
    found = {uri: Answer(failed=NO_ANSWER) for uri in uris}
    for uri in found:
        waiting.put(uri)
    over = Event()

    def ask() -> None:
        while not over.is_set():
            try:
                uri = waiting.get_nowait()
            except Empty:
                return
            heard.put((uri, _answer(uri)))

    end = monotonic() + seconds
    try:
        for _ in range(min(_THREADS, len(found))):
            # Daemons: the end of this process does not wait for them either.
            Thread(target=ask, daemon=True).start()
        for _ in range(len(found)):
            uri, answer = heard.get(timeout=max(0.0, end - monotonic()))
            found[uri] = answer
    except (Empty, KeyboardInterrupt):
        pass
    finally:
        over.set()
    return found


def _answer(uri: str) -> Answer:
    # Late: fsspec takes 100 ms to import, and most runs read local files.
    from gitprov.capture.data.remote.reading import store_at  # noqa: PLC0415
    from gitprov.capture.data.remote.schemes import words  # noqa: PLC0415

    try:
        store = store_at(uri, typed=True, may_read=False)
        said = store.stat(store.path)
    except GitprovError as error:
        return Answer(failed=str(error).replace(uri, without_credentials(uri)))
    except Exception as error:  # noqa: BLE001 -- each driver raises errors of its own
        return Answer(failed=f"its store cannot be asked: {words(error, uri)}")
    if said is None:
        return Answer(failed="there is nothing any more")
    return Answer(size=said.size, remote=said.remote)
