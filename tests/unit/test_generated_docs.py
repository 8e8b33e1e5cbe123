"""docs/cli.md and docs/errors.md say what the commands and errors are; codes do not clash."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gitprov import errors
from gitprov.cli import VERBS
from tests.support.repositories import clean_environment

TOP = Path(__file__).resolve().parents[2]
CLI = (TOP / "docs" / "cli.md").read_text()
PACKAGE = "\n".join(path.read_text() for path in (TOP / "gitprov").rglob("*.py"))
HOOKS = "\n".join(path.read_text() for path in (TOP / "hooks").iterdir())
CLASSES = [
    found
    for _, found in inspect.getmembers(errors, inspect.isclass)
    if issubclass(found, errors.GitprovError)
]
# Success, a negative verdict, wrong usage; and what shells return for commands and signals.
TAKEN = {0, 1, 2, 126, 127, *range(128, 256)}


def generate(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(TOP / "scripts" / "generate-docs"), *arguments],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_generated_parts_are_up_to_date() -> None:
    done = generate("--check")
    assert done.returncode == 0, done.stderr


def test_wrong_usage_of_the_generator_is_refused() -> None:
    assert generate("--chek").returncode == 2


def test_every_verb_has_a_section_but_for_hidden_ones() -> None:
    shown = re.findall(r"^### git prov (\w+)$", CLI, re.MULTILINE)
    assert shown == [name for name, verb in VERBS.items() if not verb.hidden]


def test_the_environment_variables_are_those_of_the_code() -> None:
    read = set(re.findall(r"\bGITPROV_[A-Z_]+\b", PACKAGE + HOOKS))
    table = "".join(line for line in CLI.splitlines() if line.startswith("| `"))
    assert read == set(re.findall(r"`(GITPROV_[A-Z_]+)`", table))


def test_the_settings_are_those_of_the_code() -> None:
    literals = re.findall(r"[\"'{ ]((?:prov|color)\.[A-Za-z]+(?:\.[A-Za-z]+)?)\"", PACKAGE)
    read = {name.lower() for name in literals}
    table = re.findall(r"^\| (`[^|]+) \| [^|]* \| [^|]+ \|$", CLI, re.MULTILINE)
    named = {
        name.lower()
        for cell in table
        for name in re.findall(r"`((?:prov|color)\.[A-Za-z.]+)`", cell)
    }
    assert read == named


def test_each_error_has_a_code_and_a_status_of_its_own() -> None:
    assert len({kind.code for kind in CLASSES}) == len(CLASSES)
    assert len({kind.exit_status for kind in CLASSES}) == len(CLASSES)


@pytest.mark.parametrize("kind", CLASSES)
def test_each_error_is_told_from_other_endings(kind: type[errors.GitprovError]) -> None:
    own = vars(kind)
    assert {"code", "exit_status"} <= own.keys(), "inherited, so it clashes with its parent"
    assert kind.exit_status not in TAKEN
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", kind.code)
    assert re.fullmatch(r"[A-Z].*\.", inspect.getdoc(kind) or "", re.DOTALL)


def test_errors_elsewhere_in_the_package_keep_the_code_of_their_parent() -> None:
    # RefMoved is a StoreBusy to whoever meets it; it must not bring a second code for that.
    from gitprov.store.ref_moves import RefMoved

    assert RefMoved.code == errors.StoreBusy.code
    assert "code" not in vars(RefMoved)
