"""What decides whether a machine matches a recorded environment."""

from typing import Any

import pytest

from gitprov.environments.checking import check
from gitprov.environments.present import PresentEnvironment
from gitprov.model.environment import (
    CondaEnvironment,
    CondaPackage,
    Environment,
    Interpreter,
    LanguageEnvironment,
    Machine,
    Package,
    PythonEnvironment,
)
from gitprov.model.run import Command, Recorder, Run

CONDA = CondaEnvironment(prefix="/p", packages=(CondaPackage(name="a", version="1", build="0"),))
R = {"R": LanguageEnvironment(version="4")}
PACKAGE = Package(name="a", version="1", purl="pkg:pypi/a@1")


def python(*packages: Package, **interpreter: Any) -> PythonEnvironment:
    facts = {"version": "3.11.7", "implementation": "cpython", **interpreter}
    return PythonEnvironment(interpreter=Interpreter(**facts), packages=packages)


def run(**variables: str) -> Run:
    return Run(
        id="k" * 32,
        status="completed",
        started_ns=1,
        ended_ns=2,
        command=Command(argv=("python",), env=variables),
        recorder=Recorder(purl="pkg:pypi/gitprov@0"),
    )


def present(environment: Environment, **missing: str) -> PresentEnvironment:
    return PresentEnvironment(environment=environment, variables={}, missing=missing)


class TestChecking:
    @pytest.mark.parametrize(
        ("here", "decides"),
        [
            (Environment(python=python(PACKAGE)), True),
            (Environment(python=python(PACKAGE, version="3.11.8")), True),
            (Environment(), True),
            (Environment(python=python(), conda=CONDA), True),
            (Environment(python=python(), locks={"uv.lock": b""}), True),
            (Environment(python=python(), languages=R), True),
            (Environment(python=python(kind="uv")), False),
            (Environment(python=python(), system={"kernel": "2"}), False),
            (Environment(python=python(), machine=Machine(cpu="b")), False),
        ],
    )
    def test_what_decides(self, *, here: Environment, decides: bool) -> None:
        recorded = Environment(
            python=python(kind="venv"), system={"kernel": "1"}, machine=Machine(cpu="a")
        )
        checked = check(run(), recorded, present(here))
        assert bool(checked.deciding) is decides
        assert checked.matches is not decides
        strict = check(run(), recorded, present(here), strict=True)
        if not decides:
            assert checked.other == strict.deciding

    def test_where_it_lies_never_decides(self) -> None:
        sides = [Environment(python=python(executable=f"/{name}/python")) for name in "ab"]
        checked = check(run(), sides[0], present(sides[1]), strict=True)
        assert checked.matches
        assert [change.name for change in checked.other] == ["executable"]

    def test_variables_decide_where_strict(self) -> None:
        environment = Environment(python=python())
        assert check(run(OMP_NUM_THREADS="1"), environment, present(environment)).matches
        assert not check(
            run(OMP_NUM_THREADS="1"), environment, present(environment), strict=True
        ).matches

    def test_other_interpreters_are_not_compared_and_that_is_said(self) -> None:
        recorded = Environment(python=python(), others={"1": python()})
        checked = check(run(), recorded, present(Environment(python=python())))
        assert checked.matches
        assert any("other interpreters" in text for text in checked.unknown)

    def test_what_cannot_be_told_here_is_said(self) -> None:
        recorded = Environment(python=python(), machine=Machine(cpu="a"))
        missing = {"environment.packages": "no Python interpreter is on PATH"}
        checked = check(run(), recorded, present(Environment(), **missing))
        assert not checked.matches
        assert "hardware: cannot be told here" in checked.unknown
        assert "packages: no Python interpreter is on PATH" in checked.unknown
