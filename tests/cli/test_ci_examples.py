"""The CI jobs that docs/sharing.md shows, run as runners do: shallow, detached, a shell a step."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.pages import blocks
from tests.support.repositories import Clone, clean_environment
from tests.support.runs import run_ids
from tests.support.servers import bare_repository

PAGE = Path(__file__).resolve().parents[2] / "docs" / "sharing.md"
INSTALL = "pip install gitprov"  # it is there already
TOKEN = "glpat-Zq8rT3vNw5xKj2Lm9PbY"  # noqa: S105 -- of nobody
GOOD = "print(open('model.pt', 'w').write('weights'))\n"
BAD = "raise SystemExit(3)\n"


def job(name: str) -> dict[str, Any]:
    """Return the job of this name on the page."""
    pages = [yaml.safe_load(block.body) for block in blocks(PAGE) if block.kind == "yaml"]
    jobs = [page.get("jobs", page) for page in pages]
    (found,) = [jobs[number] for number, page in enumerate(pages) if name in page]
    job: dict[str, Any] = found["train"]
    return job


@pytest.fixture
def hub(tmp_path: Path) -> Clone:
    return Clone(bare_repository(tmp_path / "lab" / "project.git"))


def checked_out(hub: Clone, tmp_path: Path, program: str) -> Clone:
    """Return what a runner makes: one commit, on no branch, and nobody's name."""
    source = Clone.make(tmp_path / "source")
    source.commit("first")
    source.commit("second", {"train.py": program})
    source.git("push", "--quiet", str(hub.path), "main")
    clone = Clone.of(f"file://{hub.path}", tmp_path / "runner", "--depth=1")
    clone.git("checkout", "--quiet", "--detach")
    return clone


def run(clone: Clone, script: str, **env: str) -> int:
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script],
        cwd=clone.path, env=clean_environment(**env), check=False, timeout=120,
    )  # fmt: skip
    return done.returncode


def without_install(lines: list[str]) -> list[str]:
    assert INSTALL in lines
    return [line for line in lines if line != INSTALL]


@pytest.mark.parametrize(("program", "status"), [(GOOD, "completed"), (BAD, "failed")])
def test_github_actions(hub: Clone, tmp_path: Path, program: str, status: str) -> None:
    steps = job("jobs")["steps"]
    assert steps[0]["uses"].startswith("actions/checkout@")
    clone = checked_out(hub, tmp_path, program)
    commands = without_install([step["run"] for step in steps[1:]])
    always = {step["run"] for step in steps if step.get("if") == "always()"}
    well = True
    for command in commands:
        if well or command in always:
            well = (run(clone, command, CI="true", GITHUB_ACTIONS="true") == 0) and well
    assert well is (status == "completed")
    check(hub, status)


@pytest.mark.parametrize(("program", "status"), [(GOOD, "completed"), (BAD, "failed")])
def test_gitlab(hub: Clone, tmp_path: Path, program: str, status: str) -> None:
    found = job("train")
    clone = checked_out(hub, tmp_path, program)
    host = {"CI_SERVER_HOST": "git.example.org", "CI_PROJECT_PATH": "lab/project"}
    env = {
        "CI": "true", "GITLAB_CI": "true", "PROV_TOKEN": TOKEN, **host,
        # The host of the token's URL is the repository beside us.
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.file://{tmp_path}/.insteadOf",
        "GIT_CONFIG_VALUE_0": f"https://ci:{TOKEN}@git.example.org/",
    }  # fmt: skip
    script = "\n".join(without_install(found["script"]))
    assert (run(clone, script, **env) == 0) is (status == "completed")
    assert run(clone, "\n".join(found["after_script"]), **env) == 0
    check(hub, status)


def check(hub: Clone, status: str) -> None:
    """Look for the job's run, and its commit, at the remote, and for the token nowhere."""
    store = hub.store()
    (run_id,) = run_ids(store)
    shown = hub.prov("show", run_id, "--json")
    assert f'"status":"{status}"' in shown.replace(": ", ":")
    assert TOKEN not in shown
    assert hub.git("rev-parse", "main").strip() in shown
    if status == "completed":
        assert "model.pt" in shown
