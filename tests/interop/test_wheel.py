"""What somebody gets who installs the wheel: all that runs from the source tree."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from gitprov.hooks.shims import HOST_NAMES, NAMES
from tests.support.repositories import Clone, clean_environment

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the wheel's content."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_the_wheel_has_hooks_demo_and_types(installed: Path) -> None:
    for name in (*NAMES, *HOST_NAMES, "catching-up"):
        hook = installed / "gitprov/hooks/shims" / name
        assert hook.read_bytes() == (ROOT / "hooks" / name).read_bytes()
    for name in ("prepare.py.txt", "train.py.txt"):
        assert (installed / "gitprov/cli/demo" / name).is_file()
    assert (installed / "gitprov/py.typed").is_file()
    assert (installed / "gitprov/capture/observer/sitecustomize.py").is_file()


def test_a_repository_is_set_up_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    clone = Clone.make(tmp_path / "work")
    result = subprocess.run(
        [sys.executable, "-P", "-m", "gitprov", "init"],
        cwd=clone.path,
        env=clean_environment() | {"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"hooks installed: {', '.join(NAMES)}" in result.stdout
    assert (clone.path / ".git/hooks/pre-push").is_file()
