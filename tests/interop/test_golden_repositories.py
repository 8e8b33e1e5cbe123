"""Repositories of released formats: what they say must be said for ever."""

import json
from pathlib import Path

import pytest

from gitprov.codec.listings import FILE, FOLDER, LINK, PROGRAM
from gitprov.store.payload import open_listing
from gitprov.store.refs import PAYLOAD, list_refs
from tests.support.listings import file_item
from tests.support.repositories import Clone
from tests.support.runs import runs

REPOS = Path(__file__).parents[1] / "repos"
# What the same folders are named by for ever.
LISTED = {
    "data": "listing-36aa4484037443813aa8fe9c253210dd2aa5563634d912c18ebe36683c89a7a0",
    "crowd": "listing-fc8e135610825dd28eedf1063782badcc63430f5f609412a281ae392cd2f7534",
}


@pytest.mark.parametrize("bundle", sorted(REPOS.glob("*.bundle")), ids=lambda path: path.stem)
def test_every_format_is_read_and_verified(bundle: Path, tmp_path: Path) -> None:
    clone = Clone.make(tmp_path / "clone", commit=False)
    clone.git("fetch", "--quiet", str(bundle), "refs/heads/*:refs/heads/golden-*")
    clone.git("fetch", "--quiet", str(bundle), "refs/prov/*:refs/prov/*")
    assert clone.prov("log", "--json") == bundle.with_suffix(".jsonl").read_text()
    verified = json.loads(clone.prov("verify", "--json"))
    assert verified["verdict"] == "good"
    assert [item for item in verified["findings"] if item["kind"] == "payloads"] == []
    clone.git("fsck", "--strict")


def test_listings_of_format_1(tmp_path: Path) -> None:
    clone = Clone.make(tmp_path / "clone", commit=False)
    clone.git("fetch", "--quiet", str(REPOS / "format-1.bundle"), "refs/prov/*:refs/prov/*")
    store = clone.store()
    tips = list(list_refs(store.repository.git, PAYLOAD).values())
    for run in runs(store):
        data, crowd, absent = run.inputs
        assert absent.digest == {}
        assert (data.listing, crowd.listing) == (LISTED["data"], LISTED["crowd"])
        listing = open_listing(store.objects, tips, run.id, LISTED["data"])
        found = {path: (item.mode, item.size, item.target) for path, item in listing.items()}
        assert found == {
            b"empty": (FOLDER, 0, None),
            b"link": (LINK, 0, b"sub/test.csv"),
            b"sub": (FOLDER, 4, None),
            b"sub/caf\xe9.csv": (FILE, 4, None),
            b"sub/new\nline": (FILE, 0, None),
            b"sub/test.csv": (FILE, 0, None),
            b"tool": (PROGRAM, 10, None),
            b"train.csv": (FILE, 4, None),
        }
        crowd_listing = open_listing(store.objects, tips, run.id, LISTED["crowd"])
        assert dict(crowd_listing.files()) == {
            name: file_item(name, b"%d\n" % (number % 5))
            for number in range(1025)
            for name in [b"%d.txt" % number]
        }


def test_there_is_one_for_the_format_of_this_version() -> None:
    assert (REPOS / "format-1.bundle").is_file()
