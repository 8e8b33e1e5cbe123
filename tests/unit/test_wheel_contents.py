"""The digest of what a wheel brought, from its RECORD."""

import random
from collections.abc import Callable

import pytest

from gitprov.capture.environments.python.wheel_contents import content_sha256

INFO = "thing-1.0.dist-info"
BROUGHT = [
    "thing/__init__.py,sha256=AAA,10",
    "thing/data.txt,sha256=BBB,20",
    f"{INFO}/METADATA,sha256=CCC,30",
    f"{INFO}/licenses/INSTALLER,sha256=DDD,3",
]
ADDED = [
    f"{INFO}/RECORD,,",
    f"{INFO}/INSTALLER,sha256=EEE,4",
    f"{INFO}/REQUESTED,,",
    f"{INFO}/direct_url.json,sha256=FFF,100",
    f"{INFO}/uv_cache.json,sha256=GGG,100",
    f"{INFO}/uv_build.json,sha256=GGG,100",
    "../../../bin/thing,sha256=HHH,200",
    "/usr/share/thing,sha256=III,5",
    "thing/__pycache__/__init__.cpython-311.pyc,,",
    "thing/__pycache__/__init__.cpython-311.opt-1.pyc,sha256=JJJ,400",
]
EXPECTED = content_sha256("\n".join(BROUGHT).encode(), INFO)


def shuffled(lines: list[str]) -> list[str]:
    return random.Random(1).sample(lines, len(lines))  # noqa: S311 -- any order


def quoted(line: str) -> str:
    return ",".join(f'"{cell}"' for cell in line.split(","))


FORMS: dict[str, Callable[[], str]] = {
    "with what installers add": lambda: "\n".join([*ADDED, *BROUGHT]),
    "in another order": lambda: "\n".join(shuffled([*BROUGHT, *ADDED])),
    "with the line ends of Windows": lambda: "\r\n".join([*BROUGHT, *ADDED]) + "\r\n",
    "without sizes": lambda: "\n".join(line.rpartition(",")[0] + "," for line in BROUGHT),
    "with quotes": lambda: "\n".join(quoted(line) for line in [*BROUGHT, *ADDED]),
    "with lines that are none": lambda: "\n".join(["", "what?", *BROUGHT, "\0", ""]),
}


@pytest.mark.parametrize("form", FORMS)
def test_what_makes_no_difference(form: str) -> None:
    assert EXPECTED is not None
    assert content_sha256(FORMS[form]().encode(), INFO) == EXPECTED


@pytest.mark.parametrize(
    "changed",
    [
        [*BROUGHT[1:]],
        [*BROUGHT, "thing/more.py,sha256=KKK,1"],
        [BROUGHT[0].replace("AAA", "ZZZ"), *BROUGHT[1:]],
        # A file of that name that the wheel has elsewhere is the wheel's.
        [line for line in BROUGHT if "licenses" not in line],
    ],
)
def test_what_does(changed: list[str]) -> None:
    assert content_sha256("\n".join(changed).encode(), INFO) not in (EXPECTED, None)


@pytest.mark.parametrize("record", ["", "\n\n", "words", "\n".join(ADDED), '"', '"a\n'])
def test_where_nothing_is_said_there_is_no_digest(record: str) -> None:
    assert content_sha256(record.encode(), INFO) is None


@pytest.mark.parametrize(
    "record",
    [b"\xff\xfe,sha256=AAA,1\n", b'"' + b"x" * 200_000 + b'",sha256=AAA,1\n', b'"\0",a,1\n'],
)
def test_odd_bytes_are_no_error(record: bytes) -> None:
    assert content_sha256(record, INFO) is not None


def test_a_name_that_needs_quotes_has_them_or_not() -> None:
    one = content_sha256(b'"a,b.txt",sha256=AAA,1\nc.txt,sha256=BBB,1\n', INFO)
    two = content_sha256(b'"c.txt","sha256=BBB",1\r\n"a,b.txt","sha256=AAA",1\r\n', INFO)
    assert one == two
