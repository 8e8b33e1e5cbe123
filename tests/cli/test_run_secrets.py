"""Secrets around `git prov run` and in programs: what the record says, and what the user is told.

That they are nowhere on the disk is for tests/interop/test_canaries.py to find out.
"""

import json
import os
import re
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import detect_secrets
import pytest

from tests.support.everywhere import everything as everywhere
from tests.support.repositories import Clone, clean_environment
from tests.support.secrets import github_token, password

PAGE = Path(__file__).resolve().parents[2] / "docs" / "secrets.md"
COMMITMENT = r"\{secret:[0-9a-f]{32}\}"


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone.make(tmp_path / "repo")


def last(clone: Clone) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(clone.prov("show", "--json", "last"))
    return shown


def program(clone: Clone, text: str) -> list[str]:
    clone.write(".gitignore", "*.py\n")
    clone.write("program.py", text)
    return [sys.executable, "program.py"]


def test_equal_secrets_are_equal_and_said_to_be_there(clone: Clone) -> None:
    token = github_token()
    done = clone.prov_call("run", "-p", f"note={token}", "--", "echo", token)
    assert done.stdout == f"{token}\n"
    run = last(clone)
    committed = run["params"]["note"]
    assert re.fullmatch(COMMITMENT, committed)
    assert run["command"]["argv"] == ["echo", committed]
    assert clone.prov("show", "--output") == f"{committed}\n"
    reason = "a secret (GitHub Token) stands as a commitment"
    places = ("params.note", "command.argv[1]", "byproducts.output.log")
    assert {run["missing"][place] for place in places} == {reason}
    first, *_, end = done.stderr.splitlines()
    assert "kept out of the record" in first
    assert "command.argv[1] (GitHub Token), params.note (GitHub Token)" in first
    assert "byproducts.output.log" not in first
    assert "kept out of the record" in done.stderr.replace(first, "")
    assert "byproducts.output.log (GitHub Token)" in done.stderr
    assert token not in done.stderr
    assert end.startswith("gitprov: ")


def test_variables_are_recorded_without_secrets(clone: Clone) -> None:
    clone.write(".gitprov.toml", '[environment]\nrecord = ["MY_*"]\n')
    token, word = github_token(), password()
    variables = {"MY_FLAG": "1", "MY_PASSWORD": word, "MY_URL": f"https://x/{token}/y"}
    clone.prov("run", "--", "true", OMP_NUM_THREADS="3", OTHER="x", **variables)
    env = last(clone)["command"]["env"]
    assert env["OMP_NUM_THREADS"] == "3"
    assert env["MY_FLAG"] == "1"
    assert re.fullmatch(COMMITMENT, env["MY_PASSWORD"])
    assert re.fullmatch(f"https://x/{COMMITMENT}/y", env["MY_URL"])
    assert "OTHER" not in env
    page = clone.prov("show")
    assert re.search(r"Variables\n(?:  .*\n)*  MY_FLAG +1\n", page)
    assert f"  MY_PASSWORD      {env['MY_PASSWORD']}\n" in page


def test_a_lock_file_with_a_secret_is_left_out(clone: Clone) -> None:
    word = password()
    clone.commit("locks", {"uv.lock": "x = 1\n", "go.sum": f"https://ada:{word}@packages/x\n"})
    done = clone.prov_call("run", "--", "true")
    run = last(clone)
    assert run["environment"]["locks"] == ["uv.lock"]
    reason = run["missing"]["environment.locks.go.sum"]
    assert reason.startswith("left out: it holds a secret (")
    assert "environment.locks.go.sum" in done.stderr
    assert word not in done.stderr

    clone.write(".gitprov.toml", '[secrets]\nallow-paths = ["go.sum"]\n')
    clone.prov("run", "--", "true")
    assert last(clone)["environment"]["locks"] == ["go.sum", "uv.lock"]


def test_what_is_allowed_is_recorded(clone: Clone) -> None:
    clone.write(".gitprov.toml", '[secrets]\nallow-patterns = ["^known-"]\n')
    done = clone.prov_call("run", "-p", "password=known-to-all", "--", "true")
    assert last(clone)["params"] == {"password": "known-to-all"}
    assert "kept out" not in done.stderr


def test_with_wrong_settings_the_run_is_recorded_and_nothing_allowed(clone: Clone) -> None:
    clone.write(".gitprov.toml", '[secrets]\nallow-pattern = ["^known-"]\n')
    done = clone.prov_call("run", "-p", "password=known-to-all", "--", "true")
    assert done.returncode == 0
    assert "did you mean allow-patterns?" in done.stderr
    assert re.fullmatch(COMMITMENT, last(clone)["params"]["password"])


def test_a_program_is_warned_where_it_logs_a_secret(clone: Clone) -> None:
    token = github_token()
    text = f"""
import warnings
import gitprov

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    with gitprov.start_run(tags=["{token}"]) as run:
        run.log_params({{"note": "{token}", "lr": 0.1}})
        run.log_params({{"note": "{token}"}})
        for step in range(3):
            run.log_metrics({{"{token}": step, "loss": 0.5}}, step=step)
for warning in caught:
    print(warning.filename.endswith("program.py"), warning.lineno, warning.message)
"""
    shown = clone.call(*program(clone, text)).stdout
    assert token not in shown
    assert [line.split(" (")[0].rpartition(" ")[2] for line in shown.splitlines()] == [
        *("tags[0]", "params.note", "metrics.name"),
    ]
    assert all(line.startswith("True ") for line in shown.splitlines())
    run = last(clone)
    (committed,) = run["tags"]
    assert run["params"] == {"note": committed, "lr": 0.1}
    assert {metric["name"]: metric["value"] for metric in run["metrics"]} == {
        committed: 2.0,
        "loss": 0.5,
    }
    assert {"tags[0]", "params.note", "metrics.name"} <= run["missing"].keys()


def test_an_exception_of_a_program(clone: Clone) -> None:
    token = github_token()
    text = f"import gitprov\nwith gitprov.start_run():\n    raise ValueError('no {token}')\n"
    done = clone.call(*program(clone, text), check=False)
    assert done.returncode == 1
    run = last(clone)
    assert re.fullmatch(f"ValueError: no {COMMITMENT}", run["error"])
    assert run["missing"]["error"] == "a secret (GitHub Token) stands as a commitment"


def test_a_program_that_joins_knows_the_secrets_of_its_environment(clone: Clone) -> None:
    word = password()
    text = """
import os
import gitprov

run = gitprov.start_run()
run.log_params({"dsn": "connect with " + os.environ["DB_PASSWORD"]})
"""
    clone.prov("run", "--", *program(clone, text), DB_PASSWORD=word)
    run = last(clone)
    assert re.fullmatch(f"connect with {COMMITMENT}", run["params"]["dsn"])
    assert run["missing"]["params.dsn"].startswith("a secret (Environment Variable)")


@pytest.fixture
def broken(tmp_path: Path) -> str:
    """Return a PYTHONPATH on which the scanner's library cannot be imported."""
    package = tmp_path / "shadow" / "detect_secrets"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('out of order')\n")
    shutil.copy(Path(detect_secrets.__file__).with_name("__version__.py"), package)
    return f"{package.parent}{os.pathsep}{clean_environment()['PYTHONPATH']}"


def test_without_the_scanner_nothing_is_recorded_that_it_would_have_to_see(
    clone: Clone, broken: str
) -> None:
    done = clone.prov_call("run", "--", "echo", f"x{github_token()}", PYTHONPATH=broken)
    assert (done.returncode, done.stdout[:5]) == (0, "xghp_")
    assert "not recorded: the scanner for secrets cannot be imported: out of order" in done.stderr
    assert clone.prov("log", "--json") == ""


def test_without_the_scanner_the_output_is_kept_as_far_as_it_is_plain(
    clone: Clone, broken: str
) -> None:
    script = "echo one; cat .git/token; echo two"
    clone.write(".git/token", "none\n")
    clone.prov("run", "--", "sh", "-c", script)  # so that all else is known to be clean
    clone.write(".git/token", f"{github_token()}\n")
    done = clone.prov_call("run", "--", "sh", "-c", script, PYTHONPATH=broken)
    assert done.returncode == 0
    assert done.stdout.startswith("one\nghp_")
    assert done.stdout.endswith("\ntwo\n")
    assert "it could not be searched for secrets (the scanner" in done.stderr
    run = last(clone)
    assert run["status"] == "completed"
    assert "not searched for secrets" in run["missing"]["byproducts.output.log"]
    assert "ghp_" not in clone.prov("show", "--output")


def test_a_dead_run_says_that_secrets_were_in_its_output(clone: Clone) -> None:
    script = """
    echo "$A_TOKEN"
    until grep -q secret "$GITPROV_JOURNAL/payload/output.log"; do :; done
    kill -KILL $PPID
    """
    process = clone.prov_call("run", "--", "sh", "-c", script, A_TOKEN=github_token())
    assert process.returncode == -signal.SIGKILL
    run = last(clone)
    assert run["status"] == "aborted"
    assert run["missing"]["byproducts.output.log"] == "secrets stand as commitments"
    assert re.fullmatch(f"{COMMITMENT}\n", clone.prov("show", "--output"))


def test_a_secret_that_got_in_is_taken_out_as_the_page_says(clone: Clone) -> None:
    word = "xyzzyplugh"
    clone.prov("run", "--", "echo", word)
    clone.prov("run", "--", "true")
    assert word in clone.prov("show", "--output", "last~1")
    (commands,) = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    clone.call("sh", "-c", commands)
    assert clone.prov("log", "--json") == ""
    everything = b"".join(content.data for content in everywhere(clone.path / ".git"))
    assert word.encode() not in everything
    clone.prov("run", "--", "true")
    assert clone.prov_call("verify").returncode == 0


def test_a_known_command_line_does_not_import_the_scanner(clone: Clone) -> None:
    def imports() -> bool:
        arguments = ("run", "-m", "as run_a1b2c3d4e5f6g7h8i9 did", "--", "true")
        done = clone.prov_call(*arguments, PYTHONPROFILEIMPORTTIME="1")
        assert "gitprov.recorder" in done.stderr
        return "detect_secrets" in done.stderr

    assert imports()
    assert not imports()
