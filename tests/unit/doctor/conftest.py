"""A clone for the doctor to look at."""

from pathlib import Path

import pytest

from gitprov.store.store import Store
from tests.support.examining import set_up
from tests.support.repositories import Clone


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clone:
    return set_up(tmp_path, monkeypatch)


@pytest.fixture
def store(clone: Clone) -> Store:
    store = clone.store()
    store.repository.require_writable()
    return store
