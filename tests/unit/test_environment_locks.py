"""Lock files of the project: which are found, kept byte for byte, or left out with a reason."""

import os
from pathlib import Path

import pytest

from gitprov.capture.environments import CapturedEnvironment, capture_environment
from gitprov.capture.environments.lock_files import MAX_LOCK_BYTES

ALWAYS = {"container.json", "machine.json", "system.json"}  # the first of them in a container


@pytest.fixture
def top(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    return folder


def capture(top: Path, cwd: str = ".") -> CapturedEnvironment:
    env = {"PATH": "/nowhere"}  # with no Python there, only the lock files are left to look for
    return capture_environment(["python"], cwd=top / cwd, top=top, env=env, cache=None)


def test_lock_files_from_the_top_down_to_the_folder(top: Path) -> None:
    contents = {
        "uv.lock": b"top\r\n",
        "requirements.txt": b"",
        "requirements-dev.txt": b"\xff\x00",
        "pylock.toml": b"a",
        "pylock.dev.toml": b"b",
        "backend/uv.lock": b"backend",
        "backend/api/Cargo.lock": b"c",
        "conda-lock.yaml": b"d",
        "conda-linux-64.lock": b"e",
        "pnpm-lock.yaml": b"f",
        "yarn.lock": b"g",
        "conda.lock": b"not one",
        "pylock.a.b.toml": b"not one",
        "other/uv.lock": b"not one",
        "backend/api/below/uv.lock": b"not one",
        "my-uv.lock": b"not one",
    }
    for name, content in contents.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    expected = {name for name, content in contents.items() if content != b"not one"}

    captured = capture(top, cwd="backend/api")

    assert set(captured.locks) == expected
    assert list(captured.locks) == sorted(expected)
    assert set(captured.files) - ALWAYS == expected
    assert all(captured.files[name] == contents[name] for name in expected)
    assert set(capture(top).locks) == {name for name in expected if "/" not in name}


def test_a_project_of_julia_is_kept_beside_its_manifest(top: Path) -> None:
    (top / "Project.toml").write_text("[deps]\n")
    assert capture(top).locks == ()
    for name in ("Manifest.toml", "JuliaManifest.toml", "Manifest-v1.11.toml"):
        (top / name).write_text("")
        assert capture(top).locks == tuple(sorted([name, "Project.toml"]))
        (top / name).unlink()


def test_lock_files_that_are_left_out_say_why(top: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("secret")
    (top / ".git").mkdir()
    (top / ".git/config").write_text("secret")
    (top / "uv.lock").symlink_to(outside)
    (top / "go.sum").symlink_to(".git/config")
    (top / "flake.lock").symlink_to("flake.lock")
    (top / "poetry.lock").symlink_to("nowhere")
    (top / "pdm.lock").mkdir()
    os.mkfifo(top / "Pipfile.lock")
    with (top / "pixi.lock").open("wb") as file:
        file.truncate(MAX_LOCK_BYTES + 1)
    (top / "Cargo.lock").write_text("inside")
    (top / "renv.lock").symlink_to("Cargo.lock")
    (top / "requirements-\udcff.txt").write_text("")

    captured = capture(top)

    assert captured.locks == ("Cargo.lock", "renv.lock")
    assert captured.files["renv.lock"] == b"inside"
    reasons = {
        name.removeprefix("environment.locks."): why
        for name, why in captured.missing.items()
        if name.startswith("environment.locks")
    }
    assert reasons.pop("flake.lock")
    assert reasons == {
        "Pipfile.lock": "it is not a regular file",
        "go.sum": "it is a symbolic link that leads out of the repository",
        "pdm.lock": "it is not a regular file",
        "pixi.lock": "it is larger than 8 MiB",
        "poetry.lock": "it cannot be read: No such file or directory",
        "requirements-\ufffd.txt": "its path is not valid UTF-8",
        "uv.lock": "it is a symbolic link that leads out of the repository",
    }


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_lock_file_is_left_out(top: Path) -> None:
    (top / "uv.lock").write_text("")
    (top / "uv.lock").chmod(0)
    assert capture(top).missing["environment.locks.uv.lock"].startswith("it cannot be read")


def test_a_file_of_the_largest_size_is_kept(top: Path) -> None:
    with (top / "pixi.lock").open("wb") as file:
        file.truncate(MAX_LOCK_BYTES)
    assert len(capture(top).files["pixi.lock"]) == MAX_LOCK_BYTES


def test_a_folder_with_the_name_of_one_of_our_files(top: Path) -> None:
    (top / "system.json").mkdir()
    (top / "system.json/uv.lock").write_text("")
    captured = capture(top, cwd="system.json")
    assert set(captured.files) <= ALWAYS
    assert captured.locks == ()
    assert captured.missing["environment.locks.system.json/uv.lock"]


def test_a_work_tree_reached_through_a_link(top: Path, tmp_path: Path) -> None:
    (top / "backend").mkdir()
    (top / "backend/uv.lock").write_text("")
    link = tmp_path / "link"
    link.symlink_to(top)
    captured = capture_environment(
        ["python"], cwd=link / "backend", top=top, env={"PATH": "/nowhere"}, cache=None
    )
    assert captured.locks == ("backend/uv.lock",)


def test_outside_a_work_tree(top: Path) -> None:
    captured = capture_environment(
        ["python"], cwd=top, top=None, env={"PATH": "/nowhere"}, cache=None
    )
    assert captured.locks == ()
    assert "environment.locks" in captured.missing
