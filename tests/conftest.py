"""For all tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gitprov.store.objects import GitObjects
from tests.support.repositories import Clone
from tests.support.servers import bare_repository


@pytest.fixture(autouse=True)
def readers_end_with_their_tests(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """End the processes of stores that a test opens and does not close; they would add up."""
    used: list[GitObjects] = []
    begin = GitObjects._open

    def noted(reader: GitObjects) -> object:
        used.append(reader)
        return begin(reader)

    monkeypatch.setattr(GitObjects, "_open", noted)
    yield
    for reader in used:
        reader.close()


@pytest.fixture
def server(tmp_path: Path) -> Clone:
    """Return an empty repository to push to."""
    return Clone(bare_repository(tmp_path / "server.git"))
