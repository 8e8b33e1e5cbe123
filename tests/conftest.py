"""For all tests."""

from collections.abc import Iterator

import pytest

from gitprov.store.objects import GitObjects


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
