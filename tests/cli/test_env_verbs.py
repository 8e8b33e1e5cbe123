"""`git prov env`: two real environments of one repository, shown, compared, followed, checked."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gitprov.codec.environment_text import text
from gitprov.exchange.environments import FORMATS
from tests.support.package_index import project, wheel
from tests.support.repositories import Clone, clean_environment
from tests.support.runs import STARTED_NS, record

USAGE = 2
UNKNOWN_RUN, ENVIRONMENT_MISSING, INPUT, UNKNOWN_PACKAGE = 20, 29, 32, 37
REPOS = Path(__file__).parents[1] / "repos"


@dataclass(frozen=True)
class World:
    """A repository with a venv, a run before shape was upgraded in it and one after."""

    clone: Clone
    wheels: Path
    before: str
    after: str

    def install(self, *arguments: str) -> None:
        """Change what is installed, by uv and without an index."""
        install(self.clone, self.wheels, *arguments)

    def env(self, *arguments: str, status: int = 0, **env: str) -> str:
        """Return what a verb prints."""
        done = self.clone.prov_call("env", *arguments, **env)
        assert done.returncode == status, done.stdout + done.stderr
        assert not done.stderr, done.stderr
        return done.stdout

    def refused(self, *arguments: str, status: int) -> str:
        """Return why a verb refuses."""
        done = self.clone.prov_call("env", *arguments)
        assert (done.returncode, done.stdout) == (status, "")
        (line,) = done.stderr.splitlines()
        return line


def install(clone: Clone, wheels: Path, *arguments: str) -> None:
    python = clone.path / ".venv/bin/python"
    uv = Path(sys.executable).with_name("uv")
    command = [uv, "pip", "install", "--quiet", "--python", python, "--no-config", "--offline"]
    subprocess.run(
        [*command, "--no-index", "--find-links", wheels, "--no-build-isolation", *arguments],
        check=True, timeout=60, cwd=clone.path,
        env=clean_environment(UV_CACHE_DIR=str(wheels.parent / "cache")),
    )  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("env")
    wheels = folder / "wheels"
    for name, version in (("shape", "1.9"), ("shape", "1.10"), ("old", "1"), ("new", "1")):
        wheel(wheels, name, version)
    clone = Clone.make(folder / "repo", commit=False)
    clone.write("requirements.txt", "shape==1.9\nold==1\n")
    clone.commit("first", {".gitignore": ".venv\n__pycache__\n"})
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", clone.path / ".venv"],
        check=True, timeout=60,
    )  # fmt: skip
    install(clone, wheels, "shape==1.9", "old")
    before = clone.run(".venv/bin/python", "-c", "import shape", options=["-n", "before"])
    clone.run(".venv/bin/python", "-c", "import shape, old")
    lib = project(folder / "lib", "lib", "0.1")
    Clone(lib).git("init", "--quiet")
    Clone(lib).commit("library")
    install(clone, wheels, "shape==1.10", "new", "--editable", str(lib))
    uv = Path(sys.executable).with_name("uv")
    subprocess.run(
        [uv, "pip", "uninstall", "--quiet", "--python", clone.path / ".venv/bin/python", "old"],
        check=True, timeout=60,
    )  # fmt: skip
    site = next(clone.path.glob(".venv/lib/python*/site-packages"))
    (site / "~half-1.dist-info").mkdir()
    after = clone.run(
        ".venv/bin/python",
        "-c",
        "import shape",
        options=["-n", "after"],
    )
    return World(clone, wheels, before, after)


def lines(printed: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in printed.splitlines()]


def squeezed(printed: str) -> list[str]:
    return [" ".join(line.split()) for line in printed.splitlines()]


class TestShow:
    def test_the_page(self, world: World) -> None:
        found = squeezed(world.env("show", "after"))
        assert found[0].startswith(f"run {world.after[:8]} CPython 3.")
        assert found[0].endswith("(venv), 3 packages")
        assert "packages 3, 1 editable, 1 not whole" in found
        assert "~half-1.dist-info left over from an interrupted installation" in found
        assert "requirements.txt says shape 1.9, 1.10 is installed" in found
        packages = found[found.index("Packages") + 1 :]
        assert [line.split()[:2] for line in packages] == [
            ["lib", "0.1"], ["new", "1"], ["shape", "1.10"],
        ]  # fmt: skip
        lib = next(line for line in packages if line.startswith("lib "))
        commit = Clone(world.clone.path.parent / "lib").git("rev-parse", "HEAD")[:9]
        assert f"at {commit}" in lib
        assert found.index("Lock files") < found.index("System") < found.index("Packages")

    def test_the_last_run_by_default(self, world: World) -> None:
        assert world.env("show") == world.env("show", "last") == world.env("show", world.after)

    def test_packages_alone(self, world: World) -> None:
        found = squeezed(world.env("show", "before", "--packages"))
        assert [line.split()[:2] for line in found] == [["old", "1"], ["shape", "1.9"]]
        documents = lines(world.env("show", "before", "--packages", "--json"))
        assert [item["purl"] for item in documents] == ["pkg:pypi/old@1", "pkg:pypi/shape@1.9"]

    def test_json(self, world: World) -> None:
        (found,) = lines(world.env("show", "after", "--json"))
        assert found["run"] == world.after
        assert found["python"]["interpreter"]["kind"] == "venv"
        assert [item["name"] for item in found["python"]["packages"]] == ["lib", "new", "shape"]
        assert [(item["path"], item["size"]) for item in found["locks"]] == [
            ("requirements.txt", 18)
        ]
        assert len(found["locks"][0]["digest"]["sha256"]) == 64
        assert found["disagreements"] == [
            {"lock": "requirements.txt", "name": "shape", "locked": "1.9", "installed": "1.10"}
        ]
        assert found["problems"] == []
        (run,) = lines(world.clone.prov("show", "after", "--json"))
        assert found["digest"] == run["environment"]["digest"]

    def test_all_of_it_has_no_less(self, world: World) -> None:
        assert set(squeezed(world.env("show"))) - set(squeezed(world.env("show", "--all"))) <= {
            line for line in squeezed(world.env("show")) if line.startswith("cpu flags")
        }

    def test_the_page_of_the_run_says_where_locks_disagree(self, world: World) -> None:
        found = squeezed(world.clone.prov("show", "after"))
        assert "requirements.txt says shape 1.9, 1.10 is installed" in found
        assert not [
            line for line in squeezed(world.clone.prov("show", "before")) if " says " in line
        ]

    def test_a_run_begins_with_that(self, world: World) -> None:
        """Without being recorded: in another clone, with the same environment."""
        elsewhere = Clone.of(str(world.clone.path), world.clone.path.parent / "elsewhere")
        python = world.clone.path / ".venv/bin/python"
        done = elsewhere.prov_call("run", "--", str(python), "-c", "")
        assert "requirements.txt says" in done.stderr.splitlines()[0]
        assert "see: git prov env show" in done.stderr.splitlines()[0]


class TestDiff:
    def test_grouped(self, world: World) -> None:
        found = squeezed(world.env("diff", "before", "after", status=1))
        assert found[0].startswith(f"- {world.before[:8]} CPython")
        assert found[1].startswith(f"+ {world.after[:8]} CPython")
        assert found[2:9] == [
            "Python packages",
            "only after lib 0.1",
            "only after new 1",
            "only before old 1",
            "upgraded shape 1.9 -> 1.10",
            "Distributions that are not whole",
            "only after ~half-1.dist-info left over from an interrupted installation",
        ]
        assert found[-1].startswith("1 upgraded, ")

    def test_the_last_two_by_default(self, world: World) -> None:
        assert world.env("diff", status=1).startswith("- ")
        assert world.env("diff", status=1) == world.env("diff", "last~1", "last", status=1)

    def test_the_other_way_round(self, world: World) -> None:
        found = squeezed(world.env("diff", "after", "before", status=1))
        assert "downgraded shape 1.10 -> 1.9" in found

    def test_json(self, world: World) -> None:
        found = lines(world.env("diff", "before", "after", "--json", status=1))
        assert {
            "section": "packages", "change": "upgraded", "name": "shape",
            "before": "1.9", "after": "1.10",
        } in found  # fmt: skip

    def test_the_same(self, world: World) -> None:
        found = squeezed(world.env("diff", "before", "last~1"))
        assert found[-1] == "the same"
        assert world.env("diff", "before", "last~1", "--json") == ""

    def test_variables_of_the_runs(self, tmp_path: Path) -> None:
        clone = Clone.make(tmp_path / "repo")
        for threads in ("1", "2"):
            clone.prov("run", "-q", "--", "true", OMP_NUM_THREADS=threads)
        done = clone.prov_call("env", "diff")
        assert "changed OMP_NUM_THREADS 1 -> 2" in squeezed(done.stdout)


class TestLog:
    def test_steps(self, world: World) -> None:
        newest, oldest = world.env("log").split("\n\n")
        assert newest.startswith(f"run {world.after[:8]} ")
        assert "upgraded shape 1.9 -> 1.10" in squeezed(newest)
        command = squeezed(newest)[-1].removeprefix("git prov env ").split()
        assert "upgraded shape 1.9 -> 1.10" in squeezed(world.env(*command, status=1))
        assert oldest.startswith(f"run {world.before[:8]} ")
        assert ", 2 runs" in oldest.splitlines()[0]
        assert world.env("log", "--reverse").startswith(f"run {world.before[:8]} ")
        assert squeezed(world.env("log", "-n", "1"))[1:] == squeezed(newest)[1:]
        assert world.env("log", "-n", "0") == ""

    def test_json(self, world: World) -> None:
        newest, oldest = lines(world.env("log", "--json"))
        assert (oldest["runs"], oldest["first"]["run"]) == (2, world.before)
        assert "changes" not in oldest
        assert newest["before"] == oldest["last"]["run"]
        assert "shape" in [change["name"] for change in newest["changes"]]

    def test_versions_of_packages(self, world: World) -> None:
        found = squeezed(world.env("log", "Shape", "old"))
        assert found[0] == "Shape"
        assert found[1].startswith(f"1.10 1 run first {world.after[:8]}")
        assert found[2].startswith(f"1.9 2 runs first {world.before[:8]}")
        assert found[3] == "old"
        assert found[4].startswith("not there 1 run")
        assert found[5].startswith("1 2 runs")

    def test_versions_as_json(self, world: World) -> None:
        found = lines(world.env("log", "shape", "lib", "--json"))
        assert [item["package"] for item in found] == ["shape", "shape", "lib", "lib"]
        assert found[0]["installed"] == [{"where": "Python", "version": "1.10"}]
        assert found[2]["installed"][0]["note"].startswith("editable at ")
        assert found[3]["installed"] == []

    def test_the_interpreter(self, world: World) -> None:
        version = sys.version.split()[0]
        assert squeezed(world.env("log", "python"))[1].startswith(f"{version} 3 runs")

    def test_a_package_that_no_run_had(self, world: World) -> None:
        said = world.refused("log", "shpae", status=UNKNOWN_PACKAGE)
        assert said.endswith("no run has had a package shpae; did you mean shape?")
        assert "see: git prov env show" in world.refused("log", "zzzzzz", status=UNKNOWN_PACKAGE)

    def test_without_runs(self, tmp_path: Path) -> None:
        done = Clone.make(tmp_path / "repo").prov_call("env", "log")
        assert (done.returncode, done.stdout) == (0, "")
        assert "record one with: git prov run" in done.stderr


class TestCheck:
    def test_it_matches(self, world: World) -> None:
        found = world.env("check")
        assert found.splitlines()[-1] == f"this matches the environment of run {world.after[:8]}"
        (document,) = lines(world.env("check", "after", "--json"))
        assert (document["run"], document["matches"]) == (world.after, True)
        assert document["differences"] == []

    def test_it_differs(self, world: World) -> None:
        found = squeezed(world.env("check", "before", status=1))
        assert "upgraded shape 1.9 -> 1.10" in found
        assert "only here new 1" in found
        assert "only recorded old 1" in found
        assert found[-1] == "this differs: 1 upgraded, 2 only here, 1 only recorded"
        (document,) = lines(world.env("check", "before", "--json", status=1))
        assert document["matches"] is False
        assert {change["name"] for change in document["differences"]} >= {"shape", "old", "new"}

    def test_nothing_is_recorded(self, world: World) -> None:
        refs = world.clone.git("for-each-ref")
        journal = world.clone.path / ".git/prov/journal"
        before = sorted(journal.iterdir()) if journal.exists() else []
        world.env("check")
        assert world.clone.git("for-each-ref") == refs
        assert (sorted(journal.iterdir()) if journal.exists() else []) == before

    def test_from_a_folder_below(self, world: World) -> None:
        folder = world.clone.path / "below"
        folder.mkdir(exist_ok=True)
        done = world.clone.call(
            sys.executable, "-m", "gitprov", "env", "check", cwd=folder, check=True
        )
        assert "this matches" in done.stdout

    def test_variables_decide_where_strict(self, world: World) -> None:
        found = squeezed(world.env("check", OMP_NUM_THREADS="3"))
        assert "only here OMP_NUM_THREADS 3" in found
        strict = squeezed(world.env("check", "--strict", OMP_NUM_THREADS="3", status=1))
        assert "this differs: 1 only here" in strict

    def test_another_interpreter(self, world: World) -> None:
        found = squeezed(world.env("check", "--python", sys.executable, status=1))
        assert any(line.startswith("only here pytest ") for line in found)

    def test_the_interpreter_is_gone(self, tmp_path: Path) -> None:
        clone = Clone.make(tmp_path / "repo")
        (tmp_path / "python").symlink_to(sys.executable)
        clone.run(str(tmp_path / "python"), "-c", "")
        (tmp_path / "python").unlink()
        done = clone.prov_call("env", "check")
        assert done.returncode == INPUT
        assert "which the run has started, is not here" in done.stderr
        real = os.path.realpath(sys.executable)
        assert clone.prov_call("env", "check", "--python", real).returncode == 0
        for wrong in (str(tmp_path / "none"), str(tmp_path), "/bin/true"):
            done = clone.prov_call("env", "check", "--python", wrong)
            assert done.returncode == INPUT, wrong
            assert "Python" in done.stderr or "is no program" in done.stderr

    def test_an_interpreter_of_strangers_is_not_started(self, tmp_path: Path) -> None:
        clone = Clone.make(tmp_path / "repo")
        place = tmp_path / "open"
        for folder in (place, clone.path / "inner"):
            folder.mkdir()
            (folder / "python").write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
            (folder / "python").chmod(0o755)
        place.chmod(0o777)
        clone.git("init", "--quiet", "inner")
        for argv, reason in (
            ([f"{place}/python", "x.py"], "that others can write"),
            (["inner/python", "x.py"], "is a file of the repository"),
            (["env", "PYTHONPATH=evil", sys.executable, "x.py"], "sets PYTHONPATH"),
        ):
            store = clone.store()
            environment = {"packages.json": text("packages.1", {"packages": []})}
            [run] = record(store, environment=environment, command={"argv": argv, "cwd": "."})
            store.close()
            done = clone.prov_call("env", "check", run)
            assert done.returncode == INPUT, done.stdout + done.stderr
            assert reason in done.stderr
        assert not (tmp_path / "started").exists()

    def test_a_program_of_the_repository_is_not_started(self, tmp_path: Path) -> None:
        """A record comes from strangers, and so does what it names."""
        clone = Clone.make(tmp_path / "repo", commit=False)
        python = clone.write("bin/python", f"#!/bin/sh\ntouch {tmp_path}/started\n")
        python.chmod(0o755)
        clone.write("run.py", f"#!{clone.path}/bin/python\n").chmod(0o755)
        clone.commit("first")
        for argv in (["bin/python", "x.py"], ["./run.py"], [str(python)]):
            store = clone.store()
            environment = {"packages.json": text("packages.1", {"packages": []})}
            record(store, environment=environment, command={"argv": argv, "cwd": "."})
            store.close()
            done = clone.prov_call("env", "check")
            assert done.returncode == INPUT, done.stdout + done.stderr
            assert "is a file of the repository" in done.stderr
            assert not (tmp_path / "started").exists()
        (tmp_path / "linked").symlink_to(python)
        done = clone.prov_call("env", "check")
        assert done.returncode == INPUT


class TestStrangers:
    @pytest.fixture
    def clone(self, tmp_path: Path) -> Clone:
        """Return a repository with a run that was made to mislead a terminal."""
        clone = Clone.make(tmp_path / "repo")
        store = clone.store()
        evil = "\x1b[31mevil\x1b[m\u202e"
        interpreter = {"version": evil, "implementation": evil, "executable": evil}
        package = {"name": evil, "version": evil * 300, "purl": evil, "direct_url": {"url": evil}}
        machine = {"cpu": evil, "flags": [evil], "toolkits": {evil: evil}}
        documents = {
            "packages.json": {"interpreter": interpreter, "packages": [package]},
            "machine.json": machine,
            "editables.json": {"editables": [{"name": evil, "path": evil, "commit": evil}]},
            "agreement.json": {"disagreements": [{"lock": evil, "name": evil, "locked": evil}]},
            "container.json": {"runtime": evil, "labels": {evil: evil}},
            "conda.json": {"prefix": evil, "broken": [{"entry": evil, "reason": evil}]},
        }
        files = {
            name: text(f"{name.removesuffix('.json')}.1", document)
            for name, document in documents.items()
        }
        record(store, environment=files, started_ns=STARTED_NS, ended_ns=STARTED_NS)
        later = {"schema": "machine.9", "cpu": "Xeon"}
        files = {
            "machine.json": json.dumps(later).encode(),
            "system.json": b"[" * 200_000,
            "packages.json": files["packages.json"].replace(b"u001b[31mevil", b"u001b[32mgood"),
        }
        started = STARTED_NS + 10**9
        record(store, environment=files, started_ns=started, ended_ns=started)
        store.close()
        return clone

    @pytest.mark.parametrize(
        "arguments",
        [["show"], ["show", "--all"], ["show", "last~1"], ["show", "last~1", "--json"],
         ["show", "last~1", "--packages"], ["diff"], ["diff", "--json"], ["log"],
         ["log", "--json"], ["check", "last~1"], ["check", "--json", "last~1"]],
        ids=" ".join,
    )  # fmt: skip
    def test_nothing_reaches_the_terminal(self, clone: Clone, arguments: list[str]) -> None:
        done = clone.prov_call("env", *arguments)
        assert done.returncode in (0, 1), done.stderr
        for printed in (done.stdout, done.stderr):
            assert "\x1b" not in printed
            assert "\u202e" not in printed
        assert max(map(len, done.stdout.splitlines())) < 100_000

    def test_the_page_of_the_run(self, clone: Clone) -> None:
        assert "\x1b" not in clone.prov("show", "last~1")
        assert clone.prov("show")

    def test_what_this_version_cannot_read_is_said_and_the_rest_shown(self, clone: Clone) -> None:
        found = squeezed(clone.prov("env", "show"))
        assert "not shown: machine.json in the environment is 'machine.9'; " in found[1] + " "
        assert "not shown: system.json in the environment is not JSON" in found
        assert "Packages" in found
        done = clone.prov_call("env", "diff")
        assert done.returncode == 1
        assert "gitprov: warning: machine.json in the environment is 'machine.9'" in done.stderr
        (document,) = lines(clone.prov("env", "show", "--json"))
        assert len(document["problems"]) == 2

    def test_runs_of_the_first_format(self, tmp_path: Path) -> None:
        clone = Clone.make(tmp_path / "clone", commit=False)
        clone.git("fetch", "--quiet", str(REPOS / "format-1.bundle"), "refs/prov/*:refs/prov/*")
        assert "uv.lock" in clone.prov("env", "show")
        assert clone.prov("env", "diff").endswith("the same\n")
        assert clone.prov("env", "log")

    def test_a_run_without_an_environment(self, tmp_path: Path) -> None:
        clone = Clone.make(tmp_path / "repo")
        store = clone.store()
        record(store)
        store.close()
        for verb in ("show", "check"):
            done = clone.prov_call("env", verb)
            assert (done.returncode, done.stdout) == (ENVIRONMENT_MISSING, "")
            assert "has recorded no environment" in done.stderr


class TestExport:
    @pytest.mark.skipif("requirements" not in FORMATS, reason="no exporters yet")
    def test_to_standard_output_and_to_a_file(self, world: World, tmp_path: Path) -> None:
        done = world.clone.prov_call("env", "export", "before", "--format", "requirements")
        assert done.returncode == 0, done.stderr
        assert "shape==1.9" in done.stdout
        file = tmp_path / "requirements.txt"
        world.clone.prov("env", "export", "before", "-f", "requirements", "-o", str(file))
        assert file.read_text() == done.stdout

    @pytest.mark.skipif("requirements" not in FORMATS, reason="no exporters yet")
    def test_what_cannot_be_written(self, world: World, tmp_path: Path) -> None:
        done = world.clone.prov_call(
            "env", "export", "before", "-f", "requirements", "-o", str(tmp_path)
        )
        assert done.returncode == INPUT
        assert "cannot be written" in done.stderr

    def test_a_format_that_there_is_not(self, world: World) -> None:
        assert "name one: " in world.refused("export", status=USAGE)
        said = world.refused("export", "--format", "requirement", status=USAGE)
        if FORMATS:
            assert "did you mean requirements?" in said


class TestUsage:
    @pytest.mark.parametrize("arguments", [["shwo"], ["show", "--nope"], ["diff", "a", "b", "c"]])
    def test_wrong_usage(self, world: World, arguments: list[str]) -> None:
        done = world.clone.prov_call("env", *arguments)
        assert (done.returncode, done.stdout) == (USAGE, "")
        assert "git prov env" in done.stderr

    @pytest.mark.parametrize("arguments", [["show", "nope"], ["diff", "nope"], ["check", "nope"]])
    def test_unknown_runs(self, world: World, arguments: list[str]) -> None:
        assert "nope" in world.refused(*arguments, status=UNKNOWN_RUN)
