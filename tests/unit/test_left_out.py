"""Which files are no data, and which folders hold it."""

import tempfile
from pathlib import Path

import pytest

from gitprov.capture.tracing.left_out import LeftOut, data_roots


@pytest.mark.parametrize(
    ("name", "left_out"),
    [
        ("data/a.csv", False),
        ("cache/a.csv", False),
        ("lib/m.pyc", True),
        ("lib/__pycache__/x", True),
        (".cache/deep/er/x", True),
        ("inner/.git/config", True),
        ("env/lib/x.txt", True),
        ("env/pyvenv.cfg", True),
        ("conda/share/x", True),
        ("/elsewhere/data/x", False),
        ("/elsewhere/site-packages/p/x", True),
        ("x", False),
    ],
)
def test_what_is_left_out(tmp_path: Path, name: str, *, left_out: bool) -> None:
    (tmp_path / "env").mkdir()
    (tmp_path / "env/pyvenv.cfg").touch()
    (tmp_path / "conda/conda-meta").mkdir(parents=True)
    assert LeftOut(str(tmp_path)).has(name) is left_out


def test_folders_that_hold_data(tmp_path: Path) -> None:
    top = tmp_path / "here" / "top"
    for folder in (top, tmp_path / "store/deep", tmp_path / "other"):
        folder.mkdir(parents=True)
    (tmp_path / "store/file").touch()
    (tmp_path / "link").symlink_to("other")

    def roots(*declared: str) -> list[str]:
        return data_roots(["../../store", "inside"], declared, top, top)

    store = str(tmp_path / "store")
    assert roots() == [store]
    assert roots("data.csv", "s3://bucket/x", "../../store/file") == [store]
    assert roots("../../link/x") == [store, str(tmp_path / "other")]
    assert roots((tmp_path / "store/deep").as_uri()) == [store, f"{store}/deep"]
    assert roots("../../store/deep/*/x[0-9].csv") == [store, f"{store}/deep"]
    wide = [str(tmp_path / "here/x"), "/x", f"{tempfile.gettempdir()}/x", f"{Path.home()}/x"]
    assert roots(*wide) == [store]


def test_users_without_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home(*_: object) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    monkeypatch.setattr(Path, "expanduser", no_home)
    (tmp_path / "top").mkdir()
    (tmp_path / "store").mkdir()
    found = data_roots(["../store", "~/x"], [], tmp_path / "top", tmp_path / "top")
    assert str(tmp_path / "store") in found
