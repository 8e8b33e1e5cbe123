"""Repositories of released formats: what they say must be said for ever."""

from pathlib import Path

import pytest

from tests.support.repositories import Clone

REPOS = Path(__file__).parents[1] / "repos"


@pytest.mark.parametrize("bundle", sorted(REPOS.glob("*.bundle")), ids=lambda path: path.stem)
def test_every_format_is_read_and_verified(bundle: Path, tmp_path: Path) -> None:
    clone = Clone.make(tmp_path / "clone", commit=False)
    clone.git("fetch", "--quiet", str(bundle), "refs/heads/*:refs/heads/golden-*")
    clone.git("fetch", "--quiet", str(bundle), "refs/prov/*:refs/prov/*")
    assert clone.prov("log", "--json") == bundle.with_suffix(".jsonl").read_text()
    clone.prov("verify")
    clone.git("fsck", "--strict")


def test_there_is_one_for_the_format_of_this_version() -> None:
    assert (REPOS / "format-1.bundle").is_file()
