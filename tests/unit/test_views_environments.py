"""Environments, and what they differ in, as text."""

from itertools import pairwise

import pytest

from gitprov.codec.environment_text import text
from gitprov.model.environment import (
    Accelerator,
    Broken,
    CondaEnvironment,
    CondaPackage,
    Container,
    Disagreement,
    Editable,
    Environment,
    Interpreter,
    LanguageEnvironment,
    LibraryPackage,
    LinearAlgebra,
    Machine,
    Origin,
    Package,
    PythonEnvironment,
    SystemPackages,
)
from gitprov.model.environment_changes import Change, Difference
from gitprov.model.environment_wording import (
    container_text,
    disagreement_text,
    interpreter_text,
    origin_text,
    word,
)
from gitprov.model.run import Command, EnvironmentSummary, Recorder, Run
from gitprov.recorder.lock_warning import lock_warning
from gitprov.views.environment_changes import (
    change_document,
    change_lines,
    count_text,
    difference_lines,
)
from gitprov.views.environments import environment_document, environment_page, summary
from gitprov.views.show import page as show_page
from gitprov.views.style import Style

PLAIN = Style(colour=False)
COMMIT = "0123456789" * 4
RUN = Run(
    id="k" * 32,
    status="completed",
    started_ns=1,
    ended_ns=2,
    command=Command(argv=("python",), env={"OMP_NUM_THREADS": "4"}),
    recorder=Recorder(purl="pkg:pypi/gitprov@0"),
    environment=EnvironmentSummary(digest=b"\x01" * 32, locks=("uv.lock",)),
    missing={"environment.locks.poetry.lock": "it holds a secret", "hardware.cpu": "none"},
)
INTERPRETER = Interpreter(version="3.11.7", implementation="cpython", kind="venv", prefix="/env")
WHOLE = Environment(
    python=PythonEnvironment(
        interpreter=INTERPRETER,
        packages=(
            Package(name="own", version="0.1", purl="pkg:pypi/own@0.1", editable=True),
            Package(
                name="far",
                version="2",
                purl="pkg:pypi/far@2",
                origin=Origin(url="https://git.example/far.git", vcs="git", commit=COMMIT),
            ),
            Package(name="numpy", version="2.0", purl="pkg:pypi/numpy@2.0"),
        ),
        broken=(Broken(entry="~umpy.dist-info", reason="left over"),),
    ),
    others={"1": PythonEnvironment(interpreter=INTERPRETER)},
    editables=(Editable(name="own", path="/src/own", commit=COMMIT, dirty=True),),
    conda=CondaEnvironment(
        prefix="/conda", packages=(CondaPackage(name="blas", version="1", build="mkl"),)
    ),
    languages={
        "R": LanguageEnvironment(
            version="4.2", packages=(LibraryPackage(name="ggplot2", version="3.4"),)
        )
    },
    system={"os": "Linux"},
    system_packages=SystemPackages(
        manager="dpkg", packages=(LibraryPackage(name="libc6", version="2.36"),)
    ),
    container=Container(runtime="docker", image="train", digest="sha256:aa"),
    machine=Machine(
        cpu="Xeon",
        memory_bytes=1 << 30,
        flags=("avx2", "sse"),
        accelerators=(Accelerator(name="A100", driver="535"),),
        toolkits={"CUDA": "12.2"},
    ),
    linear_algebra=(LinearAlgebra(user="numpy", library="OpenBLAS", version="0.3"),),
    locks={"uv.lock": b"lock", "other.lock": b""},
    compared=("uv.lock",),
    disagreements=(Disagreement(lock="uv.lock", name="numpy", locked="2.1", installed="2.0"),),
)


def page(environment: Environment = WHOLE, **options: bool) -> list[str]:
    lines = environment_page(RUN, environment, PLAIN, **options)  # type: ignore[arg-type]
    return [" ".join(line.split()) for line in lines]


class TestWords:
    @pytest.mark.parametrize(
        ("locked", "installed", "says"),
        [
            ("2.1", "2.0", "uv.lock says numpy 2.1, 2.0 is installed"),
            ("2.1", None, "uv.lock says numpy 2.1, it is not installed"),
            (None, "2.0", "uv.lock does not have numpy, 2.0 is installed"),
        ],
    )
    def test_disagreements(self, locked: str | None, installed: str | None, says: str) -> None:
        said = Disagreement(lock="uv.lock", name="numpy", locked=locked, installed=installed)
        assert disagreement_text(said) == says

    def test_interpreters_and_containers(self) -> None:
        assert interpreter_text(INTERPRETER) == "CPython 3.11.7 (venv)"
        assert interpreter_text(Interpreter(version="7", implementation="new")) == "new 7"
        assert container_text(Container(runtime="docker")) == "docker"
        named = Container(runtime="podman", image="a@sha256:b", digest="sha256:b")
        assert container_text(named) == "podman: a@sha256:b"

    def test_origins(self) -> None:
        origin = Origin(url="https://git.example/a", vcs="git", commit=COMMIT, subdirectory="sub")
        assert origin_text(origin) == "git+https://git.example/a@012345678#subdirectory=sub"

    def test_words_are_printable_and_short(self) -> None:
        assert word("\x1b[31m" + "a" * 1000) == "\\x1b[31m" + "a" * 195 + "…"
        assert word("a\nb") == "a\\nb"


class TestPage:
    def test_what_is_asked_for_first_stands_on_top(self) -> None:
        found = page()
        assert (
            found[0]
            == "run kkkkkkkk CPython 3.11.7 (venv), 3 packages; 1 of conda; R 4.2, 1 package"
        )
        titles = [line for before, line in pairwise(found) if not before]
        assert titles == [
            "Python", "Not whole", "Lock files", "Editable", "Other interpreters", "System",
            "Machine", "Linear algebra", "Variables", "Missing", "Packages",
            "Conda packages in /conda", "R packages",
        ]  # fmt: skip

    def test_python(self) -> None:
        found = page()
        assert "packages 3, 1 editable, 1 from version control, 1 not whole" in found
        assert "~umpy.dist-info left over" in found
        assert "far 2 from git+https://git.example/far.git@012345678" in found
        assert "own 0.1 editable, /src/own at 012345678 with uncommitted changes" in found

    def test_lock_files(self) -> None:
        found = page()
        assert "uv.lock 4 B says something else of 1 package" in found
        assert "uv.lock says numpy 2.1, 2.0 is installed" in found
        assert "other.lock 0 B not compared" in found
        agreed = Environment(locks={"uv.lock": b"lock"}, compared=("uv.lock",))
        assert "uv.lock 4 B no disagreement with what is installed" in page(agreed)

    def test_disagreements_of_a_lock_that_was_left_out(self) -> None:
        found = page(Environment(disagreements=WHOLE.disagreements))
        assert "uv.lock says numpy 2.1, 2.0 is installed" in found

    def test_what_is_below(self) -> None:
        found = page()
        for line in (
            "container docker: train@sha256:aa",
            "packages 1 of dpkg",
            "accelerator A100 (driver 535)",
            "CUDA 12.2",
            "numpy OpenBLAS 0.3",
            "OMP_NUM_THREADS 4",
            "locks.poetry.lock it holds a secret",
        ):
            assert line in found
        assert not [line for line in found if line.startswith("hardware.cpu")]

    def test_everything(self) -> None:
        assert "cpu flags 2" in page()
        found = page(everything=True)
        assert "cpu flags avx2 sse" in found
        assert "libc6 2.36" in found
        assert "libc6 2.36" not in page()

    def test_nothing(self) -> None:
        assert page(Environment())[0] == "run kkkkkkkk nothing known to be installed"
        assert summary(Environment()) == "nothing known to be installed"

    def test_columns_stand_below_one_another(self) -> None:
        lines = list(environment_page(RUN, WHOLE, PLAIN))
        packages = lines[lines.index("Packages") + 1 :][:3]
        assert [
            line.index(version)
            for line, version in zip(packages, ("0.1", "2 ", "2.0"), strict=True)
        ] == [9, 9, 9]

    def test_colours_do_not_move_columns(self) -> None:
        plain = list(environment_page(RUN, WHOLE, PLAIN))
        coloured = list(environment_page(RUN, WHOLE, Style(colour=True)))
        assert [line.startswith("\x1b") for line in coloured[:1]] == [True]
        assert len(plain) == len(coloured)

    def test_json_names_locks_by_their_digest(self) -> None:
        found = environment_document(RUN, WHOLE, ["a.json: broken"])
        assert found["locks"][0]["path"] == "uv.lock"
        assert found["locks"][0]["size"] == 4
        assert found["digest"] == b"\x01" * 32
        assert found["variables"] == {"OMP_NUM_THREADS": "4"}
        assert found["missing"] == {"locks.poetry.lock": "it holds a secret"}
        assert found["problems"] == ["a.json: broken"]


UPGRADED = Change(section="packages", kind="upgraded", name="numpy", before="1.26", after="2.0")
GONE = Change(section="packages", kind="removed", name="a-longer-name", before="1")
COMMITS = Change(
    section="editables",
    kind="changed",
    name="own",
    before=COMMIT,
    after=f"{COMMIT[::-1]} with more",
)


class TestChanges:
    def test_lines_are_grouped_and_aligned(self) -> None:
        found = Difference(changes=(UPGRADED, GONE, COMMITS), unrecorded={"hardware": "before"})
        assert list(difference_lines(found, PLAIN)) == [
            "Python packages",
            "  upgraded     numpy          1.26 -> 2.0",
            "  only before  a-longer-name  1",
            "Editable packages",
            "  changed     own  012345678 -> 987654321 with more",
            "Hardware: not known before",
        ]

    def test_sides_have_names(self) -> None:
        assert list(change_lines([GONE], PLAIN, ("recorded", "here"))) == [
            "only recorded  a-longer-name  1"
        ]

    def test_details(self) -> None:
        flags = Change(
            section="hardware", kind="changed", name="flags",
            details=tuple(f"+{number}" for number in range(20)),
        )  # fmt: skip
        (line,) = change_lines([flags], PLAIN)
        assert line == "changed     flags  +0, +1, +2, +3, +4, +5, +6, +7, and 12 more"
        content = Change(
            section="packages", kind="changed", name="a", before="1", after="1",
            details=("other content",), within="1-python",
        )  # fmt: skip
        (line,) = change_lines([content], PLAIN)
        assert line == "changed     1-python: a  1  (other content)"

    def test_counts(self) -> None:
        assert count_text([UPGRADED, GONE, GONE]) == "1 upgraded, 2 only before"
        assert count_text([]) == "the same"

    def test_json(self) -> None:
        assert change_document(UPGRADED) == {
            "section": "packages", "change": "upgraded", "name": "numpy",
            "before": "1.26", "after": "2.0",
        }  # fmt: skip

    def test_strangers(self) -> None:
        evil = "\x1b[2J\u202e"
        change = Change(
            section="conda", kind="changed", name=evil, before=evil, after=evil * 99,
            within=evil, details=(evil,) * 99,
        )  # fmt: skip
        (line,) = change_lines([change], PLAIN)
        assert "\x1b" not in line
        assert "\u202e" not in line
        assert len(line) < 2000


class TestPageOfTheRun:
    def of(self, count: int) -> list[str]:
        said = [
            Disagreement(lock="uv.lock", name=f"p{number}", locked="2", installed="1")
            for number in range(count)
        ]
        text = show_page(RUN, PLAIN, now_ns=2, disagreements=said)
        return [" ".join(line.split()) for line in text.splitlines()]

    def test_disagreements_stand_below_the_locks(self) -> None:
        found = self.of(2)
        start = found.index("locks uv.lock")
        assert found[start + 1 : start + 4] == [
            "uv.lock says p0 2, 1 is installed",
            "uv.lock says p1 2, 1 is installed",
            f"digest sha256:{'01' * 32}",
        ]

    def test_of_many_the_first_five(self) -> None:
        found = self.of(7)
        assert len([line for line in found if " says " in line]) == 5
        assert "and 2 more; see: git prov env show kkkkkkkk" in found

    def test_none(self) -> None:
        assert not [line for line in self.of(0) if " says " in line or " more; " in line]


class TestWarning:
    def of(self, **agreement: object) -> str | None:
        return lock_warning({"agreement.json": text("agreement.1", agreement)})

    def test_where_a_lock_says_something_else(self) -> None:
        said = {"lock": "uv.lock", "name": "numpy", "locked": "2.1", "installed": "2.0"}
        one = "uv.lock says numpy 2.1, 2.0 is installed"
        assert self.of(disagreements=[said]) == f"{one}; see: git prov env show"
        found = self.of(disagreements=[said, {**said, "name": "six"}, {**said, "name": "a"}])
        assert found == f"{one}, and 2 more disagreements; see: git prov env show"

    def test_where_all_agree_or_nothing_is_known(self) -> None:
        assert self.of(compared=["uv.lock"], disagreements=[]) is None
        assert self.of(compared=["uv.lock"]) is None
        assert lock_warning({}) is None

    def test_a_run_is_not_lost_for_it(self) -> None:
        assert lock_warning({"agreement.json": b'"disagreements": [\n'}) is None
