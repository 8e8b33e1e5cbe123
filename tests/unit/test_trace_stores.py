"""What stores are asked at the end of a run: nobody waits long for them."""

import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitprov.capture.tracing.stores import NO_ANSWER, answers

FOREVER = 600


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """Listen, and never answer."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_who_does_not_answer_is_not_waited_for(silent: socket.socket, tmp_path: Path) -> None:
    pytest.importorskip("aiohttp")
    address = f"http://127.0.0.1:{silent.getsockname()[1]}"
    uris = [f"{address}/{number}" for number in range(20)]
    assert {each.failed for each in answers(uris, 0.5).values()} == {NO_ANSWER}


def test_an_interrupt_ends_the_waiting(silent: socket.socket) -> None:
    pytest.importorskip("aiohttp")
    main = threading.main_thread().ident
    assert main is not None

    def interrupt() -> None:
        connection, _ = silent.accept()
        with connection:
            connection.recv(1)
            signal.pthread_kill(main, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    uri = f"http://127.0.0.1:{silent.getsockname()[1]}/x"
    assert answers([uri], FOREVER)[uri].failed is not None
    thread.join()


def test_what_is_not_there_and_what_nobody_knows() -> None:
    found = answers(["memory://no-such-object", "no-such-scheme://x"])
    assert found["memory://no-such-object"].failed == "there is nothing any more"
    assert found["no-such-scheme://x"].failed
