"""HTTP: servers that know etags and ranges, and servers that say nothing."""

import os
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import pytest

from gitprov.capture.data.remote.access import current_hints, download, open_object
from gitprov.errors import InputError
from tests.support.data_servers import WebSite, web_site
from tests.support.remote_data import Captures, sha256

pytest.importorskip("aiohttp")
pytestmark = pytest.mark.data

DATA = os.urandom(3_000_000)
MODIFIED = {"Last-Modified": "Sat, 03 Jan 2026 04:05:06 GMT"}


@pytest.fixture
def site() -> Iterator[WebSite]:
    with web_site() as served:
        yield served


@pytest.fixture
def captures(tmp_path: Path) -> Captures:
    return Captures(tmp_path)


def test_an_object(site: WebSite, captures: Captures) -> None:
    url = site.put("/data.bin", DATA, headers=MODIFIED)
    artifact = captures.one(url).artifact
    assert (artifact.kind, artifact.uri, artifact.size) == ("remote", url, len(DATA))
    assert artifact.digest["sha256"] == sha256(DATA)
    assert artifact.remote == {
        "etag": sha256(DATA).hex()[:16],
        "last_modified": "2026-01-03T04:05:06Z",
    }


def test_what_the_server_says_of_its_content(site: WebSite, captures: Captures) -> None:
    digest = {"Repr-Digest": "sha-256=:6pLxL0VP7UYQdNbs9v5iIxMgKVaP/4+MzqLWeVB2tzA=:"}
    artifact = captures.one(site.put("/data", b"data", headers=digest)).artifact
    found = artifact.remote["checksum"]
    assert found == "sha256:ea92f12f454fed461074d6ecf6fe6223132029568fff8f8ccea2d6795076b730"


@pytest.mark.parametrize("head", [True, False])
def test_a_server_that_says_nothing(site: WebSite, captures: Captures, *, head: bool) -> None:
    url = site.put("/data", DATA, etag=None, has_length=False, answers_head=head)
    for _ in range(2):
        artifact = captures.one(url).artifact
        assert (artifact.size, artifact.remote) == (len(DATA), {})
        assert artifact.digest["sha256"] == sha256(DATA)
    # Nothing tells whether it has changed.
    assert sum(method == "GET" for method, *_ in site.asked) >= 2


def test_nothing_is_read_twice(site: WebSite, captures: Captures) -> None:
    url = site.put("/data", DATA)
    first = captures.one(url)
    site.asked.clear()
    assert captures.one(url) == first
    assert site.asked == [("HEAD", "/data", None)]
    site.put("/data", b"other")
    assert captures.one(url).artifact.digest["sha256"] == sha256(b"other")


def test_a_weak_etag_does_not_vouch(site: WebSite, captures: Captures) -> None:
    for data in (b"abcdef", b"ABCDEF"):
        url = site.put("/data", data, etag='W/"same"')
        assert captures.one(url).artifact.digest["sha256"] == sha256(data)


def test_what_was_just_written_may_be_again(site: WebSite, captures: Captures) -> None:
    """Servers make etags of size and time, in seconds."""
    now = {"Last-Modified": formatdate(usegmt=True)}
    for data in (b"abcdef", b"ABCDEF"):
        url = site.put("/data", data, etag='"6955e0b2-6"', headers=now)
        assert captures.one(url).artifact.digest["sha256"] == sha256(data)
    old = site.put("/old", b"old", headers=MODIFIED)
    captures.one(old)
    site.asked.clear()
    captures.one(old)
    assert site.asked == [("HEAD", "/old", None)]


@pytest.mark.parametrize(
    "lie",
    [
        {"Content-Range": "bytes 5-2999999/3000000"},
        {"Content-Range": ""},
        {"ETag": '"other"'},
        {"Content-Encoding": "gzip"},
    ],
    ids=str,
)
def test_a_rest_that_is_not_the_one_asked_for_is_not_taken(
    site: WebSite, captures: Captures, lie: dict[str, str]
) -> None:
    # As HEAD does not say how long it is, nothing else could show it.
    url = site.put(
        "/data", DATA, has_length_before=False, breaks=1, breaks_after=1_000_000, of_rests=lie
    )
    assert captures.one(url).artifact.digest["sha256"] == sha256(DATA)
    ranges = [wanted is not None for method, _, wanted in site.asked if method == "GET"]
    assert ranges == [False, True, False]


def test_a_connection_that_breaks_is_continued_by_ranges(site: WebSite, captures: Captures) -> None:
    url = site.put("/data", DATA, breaks=2, breaks_after=1_000_000)
    assert captures.one(url).artifact.digest["sha256"] == sha256(DATA)
    ranges = [wanted for method, _, wanted in site.asked if method == "GET"]
    assert len(ranges) == 3
    assert ranges[0] is None
    assert all(wanted is not None for wanted in ranges[1:])


def test_a_connection_that_breaks_without_ranges(site: WebSite, captures: Captures) -> None:
    url = site.put("/data", DATA, etag=None, breaks=9, breaks_after=1_000_000)
    with pytest.raises(InputError, match="the connection broke after"):
        captures.all(url)


def test_the_rest_of_another_version_is_not_taken(site: WebSite, captures: Captures) -> None:
    url = site.put("/data", DATA, breaks=1, breaks_after=1_000_000)
    old, new = site.pages["/data"], os.urandom(len(DATA))

    class Replaced(type(old)):  # type: ignore[misc]
        def __setattr__(self, name: str, value: object) -> None:
            super().__setattr__(name, value)
            if name == "breaks" and value == 0:
                site.put("/data", new)

    old.__class__ = Replaced
    assert captures.one(url).artifact.digest["sha256"] == sha256(new)


def test_question_marks_and_stars_are_just_characters(site: WebSite, captures: Captures) -> None:
    url = site.put("/data*[1]", b"data")
    artifact = captures.one(f"{url}?part=1&of=2").artifact
    assert artifact.digest["sha256"] == sha256(b"data")
    assert artifact.uri == f"{url}?part=1&of=2"


def test_passwords_and_signatures_stay_out(site: WebSite, captures: Captures) -> None:
    url = site.put("/data", b"data").replace("http://", "http://ada:password-of-ada@")
    signed = f"{url}?X-Amz-Signature=0123456789abcdef0123456789abcdef"
    artifact = captures.one(signed).artifact
    assert artifact.uri == f"{site.url}/data"
    with pytest.raises(InputError) as caught:
        captures.all(signed.replace("/data", "/gone"))
    assert "password-of-ada" not in str(caught.value)
    assert "0123456789abcdef" not in str(caught.value)


def test_nothing_there(site: WebSite, captures: Captures) -> None:
    with pytest.raises(InputError, match="there is nothing at http://"):
        captures.all(f"{site.url}/gone")
    with pytest.raises(InputError, match="cannot read it"):
        captures.all("http://127.0.0.1:1/data")


def test_hints_alone(site: WebSite, captures: Captures) -> None:
    captured = captures.one(site.put("/data", DATA), hint_only=True)
    assert (captured.artifact.size, captured.artifact.digest) == (len(DATA), {})
    assert "not read" in captured.left_out[""]
    assert [method for method, *_ in site.asked] == ["HEAD"]


def test_who_only_asks_opens_nothing(site: WebSite, captures: Captures) -> None:
    """URIs of records may come from anyone, and asking for them must not start anything."""
    url = site.put("/data", DATA, answers_head=False)
    with pytest.raises(InputError, match="405"):
        current_hints(url)
    with pytest.raises(InputError, match="405"):
        captures.one(url, hint_only=True)
    assert {method for method, *_ in site.asked} == {"HEAD"}


def test_what_is_there_now(site: WebSite, tmp_path: Path) -> None:
    url = site.put("/data", DATA)
    assert current_hints(url) == {"etag": sha256(DATA).hex()[:16], "size": str(len(DATA))}
    download(url, tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == DATA
    with open_object(url) as stream:
        assert stream.read(10) == DATA[:10]
