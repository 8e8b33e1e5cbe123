"""Which environment variables are recorded; the page for users names the same."""

import re
from pathlib import Path

from gitprov.capture.secrets.names import says_secret
from gitprov.capture.variables import RECORDED, recorded_variables

PAGE = Path(__file__).resolve().parents[2] / "docs" / "secrets.md"


def test_those_of_the_list_and_those_asked_for() -> None:
    environ = {
        "PATH": "/bin",
        "HOME": "/home/ada",
        "OMP_NUM_THREADS": "4",
        "OMP_PROC_BIND": "true",
        "NCCL_DEBUG": "INFO",
        "XNCCL_DEBUG": "INFO",
        "LC_ALL": "C.UTF-8",
        "EXPERIMENT_A": "1",
        "experiment_b": "2",
    }
    names = ["LC_ALL", "NCCL_DEBUG", "OMP_NUM_THREADS", "OMP_PROC_BIND"]
    assert recorded_variables(environ) == {name: environ[name] for name in names}
    assert list(recorded_variables(environ, ["EXPERIMENT_*", "HOM?"])) == [
        *("EXPERIMENT_A", "HOME"),
        *names,
    ]


def test_no_name_on_the_list_says_secret() -> None:
    assert not [name for name in RECORDED if says_secret(name)]


def test_the_page_names_the_same() -> None:
    table = PAGE.read_text().partition("| what about | variables |")[2].partition("\n\n")[0]
    assert sorted(re.findall(r"`([^`]+)`", table)) == sorted(RECORDED)
