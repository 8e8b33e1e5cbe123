"""The writer: one id a clone, and the cached end of its chain."""

import hashlib
import shutil
from pathlib import Path

import pytest

from gitprov.model.ids import is_id
from gitprov.store.writer import (
    ChainEnd,
    load_chain_end,
    save_chain_end,
    shard_of,
    writer_id,
)
from tests.support.repositories import Clone
from tests.support.runs import copy_repository, record, runs


def test_id_stays(tmp_path: Path) -> None:
    first = writer_id(tmp_path)
    assert is_id(first)
    assert writer_id(tmp_path) == first


def test_moved_folder_keeps_its_id(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    first = writer_id(tmp_path / "here")
    (tmp_path / "here").rename(tmp_path / "there")
    assert writer_id(tmp_path / "there") == first


def test_copied_folder_takes_a_new_id(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    first = writer_id(tmp_path / "here")
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    second = writer_id(tmp_path / "there")
    assert second != first
    assert writer_id(tmp_path / "there") == second
    assert writer_id(tmp_path / "here") == first


@pytest.mark.parametrize("content", [b"", b"\0\xff", b"k\n", b"k" * 32, b"k" * 32 + b" x y\n"])
def test_unreadable_id_is_replaced(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "writer").write_bytes(content)
    first = writer_id(tmp_path)
    assert is_id(first)
    assert writer_id(tmp_path) == first


def test_copied_clone_begins_a_chain_of_its_own(tmp_path: Path) -> None:
    store = Clone.make(tmp_path / "clone").store()
    record(store, 2)
    copy = copy_repository(store, tmp_path / "copy")
    (new,) = record(copy)
    record(store)
    (writer,) = {run.writer.id for run in runs(store) if run.writer}
    found = {run.id: run.writer for run in runs(copy)}
    place = found[new]
    assert place is not None
    assert place.id != writer
    assert (place.sequence, place.previous) == (1, None)
    assert [run.writer.sequence for run in runs(store) if run.writer] == [1, 2, 3]


def test_shards_are_sixteen_and_stay() -> None:
    shards = {shard_of(f"writer {number}") for number in range(1000)}
    assert shards == {f"{number:02x}" for number in range(16)}
    assert shard_of("k" * 32) == f"{hashlib.sha256(b'k' * 32).digest()[0] % 16:02x}"


def test_cache_gives_back_what_was_saved(tmp_path: Path) -> None:
    end = ChainEnd(ref="refs/prov/ledger/2026-01/00", tip="1" * 40, environments={"a": "b"})
    end = end.after(b"record")
    assert (end.sequence, end.digest) == (1, hashlib.sha256(b"record").digest())
    save_chain_end(tmp_path, "k" * 32, end)
    assert load_chain_end(tmp_path, "k" * 32) == end
    assert load_chain_end(tmp_path, "l" * 32) == ChainEnd()


@pytest.mark.parametrize("content", [b"", b"\xc1", b"\x81\xa6writer\xa1k", b"\x80"])
def test_damaged_cache_is_no_cache(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "chain").write_bytes(content)
    assert load_chain_end(tmp_path, "k") == ChainEnd()


def test_cache_that_cannot_be_written_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "chain").mkdir()
    save_chain_end(tmp_path, "k" * 32, ChainEnd(sequence=3))
    assert load_chain_end(tmp_path, "k" * 32) == ChainEnd()


@pytest.mark.parametrize("spoil", [b"", b"garbage"])
def test_chain_goes_on_without_the_cache(tmp_path: Path, spoil: bytes) -> None:
    store = Clone.make(tmp_path / "clone").store()
    record(store, 2)
    (store.repository.prov_dir / "chain").write_bytes(spoil)
    record(store)
    places = [run.writer for run in runs(store) if run.writer]
    assert [place.sequence for place in places] == [1, 2, 3]
    assert len({place.previous for place in places}) == 3
