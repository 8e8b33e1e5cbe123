"""Ids of records, and the names that runs get from them (specification, section 3)."""

import re

import pytest

from gitprov.model.ids import ID_LENGTH, SHORT_LENGTH, is_id, is_prefix, new_id, short
from gitprov.model.names import name_for

ID = "kzmwtqpxlnorsuvykzmwtqpxlnorsuvy"


def test_new_ids_are_ids_and_differ() -> None:
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(is_id(each) and len(each) == ID_LENGTH for each in ids)
    assert set("".join(ids)) == set("klmnopqrstuvwxyz")


def test_ids_stand_for_hexadecimal_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.urandom", lambda _: bytes.fromhex("0123456789abcdef") * 2)
    assert new_id() == "klmnopqrstuvwxyz" * 2


@pytest.mark.parametrize(
    "text",
    ["", "k", ID[:-1], ID + "k", ID + "\n", "\n" + ID, ID.upper(), "a" + ID[1:], "0" * 32,
     ID[:-1] + "\N{KELVIN SIGN}", ID[:-1] + "ｋ", ID[:-1] + " "],  # noqa: RUF001
)  # fmt: skip
def test_what_is_not_an_id(text: str) -> None:
    assert not is_id(text)


@pytest.mark.parametrize("text", [ID[:1], ID[:8], ID])
def test_prefixes(text: str) -> None:
    assert is_prefix(text)


@pytest.mark.parametrize("text", ["", ID + "k", "abc", "deadbeef", "last", "k\n", "k*"])
def test_what_is_not_a_prefix(text: str) -> None:
    assert not is_prefix(text)


def test_short_is_a_prefix() -> None:
    assert short(ID) == ID[:SHORT_LENGTH]
    assert is_prefix(short(ID))


def test_names_are_stable_and_plain() -> None:
    assert name_for(ID) == name_for(ID)
    assert name_for("k" * 32) == "amber-acorn"
    assert name_for("z" * 32) == "warm-willow"
    assert all(re.fullmatch(r"[a-z]+-[a-z]+", name_for(new_id())) for _ in range(1000))
