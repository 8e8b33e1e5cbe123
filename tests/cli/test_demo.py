"""`git prov demo`: every step is done for real, and says what the documentation promises."""

from pathlib import Path

from tests.support.repositories import Clone


def test_the_demo_records_shares_and_verifies(tmp_path: Path) -> None:
    here = Clone(tmp_path)
    result = here.prov_call("demo", "tour", check=True)
    for words in (
        "$ git prov init",
        "accuracy=0.99",
        "uncommitted, kept in snapshot",
        "sent 1 snapshot of uncommitted work to origin",
        "none failed",
    ):
        assert words in result.stdout
    assert "gitprov: sent 3 runs to origin" in result.stderr
    review = Clone(tmp_path / "tour" / "review")
    assert len(review.prov("log", "--json").splitlines()) == 3
    review.git("fsck", "--strict")


def test_an_existing_folder_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    result = Clone(tmp_path).prov_call("demo", "mine")
    assert result.returncode == 32
    assert "name a new folder" in result.stderr
    assert not any((tmp_path / "mine").iterdir())
