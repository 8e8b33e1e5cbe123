"""The digest that binds an environment's files to the manifest."""

import hashlib

import msgpack
import pytest

from gitprov.codec.environments import environment_digest
from gitprov.errors import MalformedRecord


def test_is_the_hash_of_a_sorted_map_of_hashes() -> None:
    files = {"uv.lock": b"version = 1\n", "packages.json": b"{}\n"}
    packed = msgpack.packb({name: hashlib.sha256(files[name]).digest() for name in sorted(files)})
    assert environment_digest(files) == hashlib.sha256(packed).digest()


def test_stays_what_it_was_when_first_released() -> None:
    digest = environment_digest({"system.json": b"{}\n"}).hex()
    assert digest == "ab99311ee39b12cb26ea45cb88952ba58a7ce46342a9f68b8ea19c3207d48172"


def test_does_not_depend_on_order() -> None:
    assert environment_digest({"a": b"1", "b": b"2"}) == environment_digest({"b": b"2", "a": b"1"})


@pytest.mark.parametrize("other", [{"a": b"2"}, {"b": b"1"}, {"a": b"1", "b": b""}, {}])
def test_differs_for_other_files(other: dict[str, bytes]) -> None:
    assert environment_digest({"a": b"1"}) != environment_digest(other)


def test_refuses_a_path_that_is_not_unicode() -> None:
    with pytest.raises(MalformedRecord):
        environment_digest({"\udcff": b""})
