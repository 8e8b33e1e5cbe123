"""Objects of a prefix as a listing: the same as of a folder that holds the same."""

import random

import pytest

from gitprov.capture.data.remote.said import Said
from gitprov.capture.data.remote.spool import Spool
from gitprov.codec.listings import SHA256
from tests.support.listings import Content, Objects, flat


@pytest.mark.parametrize(
    "content",
    [
        {},
        {b"a": b"1", b"sub": {b"b": b"2", b"a.b": {b"c": b""}}, b"sub.x": b""},
        {b"%d" % number: b"" for number in range(3000)},
        {b"deep": {b"%04d" % number + b"x" * 1100: b"" for number in range(1000)}},
    ],
    ids=["empty", "folders", "many", "long names"],
)
def test_root_is_that_of_a_folder(content: Content) -> None:
    files = list(flat(content).items())
    random.Random(1).shuffle(files)  # noqa: S311 -- stores name objects in any order
    objects = Objects()
    with Spool((SHA256,)) as spool:
        for path, item in files:
            said = Said(path=path.decode(), size=item.size)
            assert spool.add(path.decode(), said, item.sha256)
        made = spool.make(objects.add)
    assert made == Objects().folder(content)
    assert dict(objects.open(made).files()) == dict(files)
