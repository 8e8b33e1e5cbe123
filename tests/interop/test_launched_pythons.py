"""Where real launchers start Python, and where we say that they do without starting any."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from gitprov.capture.environments.commands.interpreter import find_interpreter

BIN = Path(sys.executable).parent
PROJECT = """
[project]
name = "my-thing"
version = "1"
requires-python = ">=3.11"
[tool.uv]
package = false
[tool.pdm]
distribution = false
"""
COMMANDS = (
    "uv run python",
    "uv run --no-sync python",
    "uv run --active python",
    "uv run --no-project python",
    "poetry run python",
    "pdm run python",
    "env A=1 python",
    "env -S 'A=1 python'",
    "nice -n 1 python",
    "timeout -k 5 20 python",
    "stdbuf -oL python",
    "nohup python",
    "env nice timeout 20 uv run python",
)
SITUATIONS = ("in the project", "below it", "active", "elsewhere")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("launched")
    for place in ("project/.venv", "other", "elsewhere/cached"):
        subprocess.run(
            [BIN / "uv", "venv", "-q", "--python", sys.executable, folder / place], check=True
        )
    for project in ("project", "elsewhere"):
        (folder / project / "pyproject.toml").write_text(PROJECT)
    (folder / "project/below").mkdir()
    return folder


def variables(folder: Path, situation: str) -> dict[str, str]:
    mine = ("VIRTUAL_ENV", "PYTHONPATH", "CONDA_", "UV_", "POETRY_", "PDM_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(mine)}
    env |= {
        "PATH": os.pathsep.join([str(folder / "other/bin"), str(BIN), env["PATH"]]),
        "HOME": str(folder / "home"),
        "UV_CACHE_DIR": str(folder / "uv-cache"),
        "UV_OFFLINE": "1",
        "PDM_CHECK_UPDATE": "0",
    }
    if situation == "active":
        env["VIRTUAL_ENV"] = str(folder / "other")
    if situation == "elsewhere":
        env["UV_PROJECT_ENVIRONMENT"] = "cached"
    return env


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("command", COMMANDS)
def test_as_the_tool_does(folder: Path, command: str, situation: str) -> None:
    argv = shlex.split(command)
    if not (BIN / argv[0]).exists() and argv[0] in ("uv", "poetry", "pdm"):
        pytest.skip(f"{argv[0]} of the group environments is not there")
    if situation == "elsewhere" and (argv[0] in ("poetry", "pdm") or "--no-project" in argv):
        pytest.skip("what they use there is theirs to choose")
    places = {"below it": "project/below", "elsewhere": "elsewhere"}
    cwd = folder / places.get(situation, "project")
    env = variables(folder, situation)
    argv += ["-c", "import sys; print(sys.prefix)"]
    done = subprocess.run(
        argv, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=60,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = find_interpreter(argv, cwd=cwd, env=env)
    assert found is not None
    assert found.doubt is None
    assert found.path.parent.parent.resolve() == Path(done.stdout.split()[-1]).resolve()
