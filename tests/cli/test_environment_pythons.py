"""Every Python that a command runs under: what a run says of several, and of a wrong guess."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gitprov.policy.verify import verify
from gitprov.recorder.environment_at_end import MAX_OTHERS, folder_name
from tests.support.repositories import Clone, clean_environment

UV = Path(sys.executable).with_name("uv")
SCRIPT = """
"$ONE" -c 'print(1)'
"$TWO" -c 'print(2)'
"$THREE" -c 'print(3)'
"$TWO" -c 'print(4)'
"""


class World:
    """A clone, and three environments that each have a package of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clone = Clone.make(folder / "repo")
        self.clone.commit("script", {"script.sh": SCRIPT, ".gitignore": ".venv\n"})
        self.variables = {}
        for name in ("one", "two", "three"):
            self.variables[name.upper()] = str(self.made(folder / name) / "bin/python")

    def made(self, prefix: Path) -> Path:
        if UV.exists():
            command = [str(UV), "venv", "-q", "--python", sys.executable, str(prefix)]
        else:
            command = [sys.executable, "-m", "venv", "--without-pip", str(prefix)]
        subprocess.run(command, check=True)
        self.install(prefix, f"only-{prefix.name}")
        return prefix

    @staticmethod
    def install(prefix: Path, name: str) -> None:
        [site] = prefix.glob("lib/python*/site-packages")
        info = site / f"{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")

    def run(self, *arguments: str, status: int = 0, **env: str) -> "Seen":
        variables = {**self.variables, "PYTHONPATH": "", **env}
        done = self.clone.prov_call("run", "--quiet", *arguments, **variables)
        assert done.returncode == status, done.stderr
        assert "Traceback" not in done.stderr
        return self.last()

    def last(self) -> "Seen":
        clone = self.clone
        run = json.loads(clone.prov("show", "--json"))
        files: dict[str, bytes] = {}
        for ref in clone.git("for-each-ref", "--format=%(refname)", "refs/prov/ledger").split():
            for line in clone.git("ls-tree", "-r", ref, f"{clone.last_id()}/").splitlines():
                path = line.split("\t")[1].partition("/environment/")[2]
                if path:
                    files[path] = clone.git("cat-file", "blob", line.split()[2]).encode()
        findings = verify(clone.store())
        assert findings.is_good, findings
        return Seen(run, files)


class Seen:
    """What a run says of its Pythons: their own packages, by the folder of their listing."""

    def __init__(self, run: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
        self.run = run
        self.missing: Mapping[str, str] = run.get("missing", {})
        self.doubt = self.missing.get("environment.interpreter")
        self.files = files
        self.main = self._own("packages.json")
        self.others = {
            path.split("/")[1]: self._own(path)
            for path in files
            if path.startswith("interpreters/")
        }

    def _own(self, path: str) -> list[str]:
        packages = json.loads(self.files.get(path, b'{"packages": []}'))["packages"]
        return [row["name"] for row in packages if row["name"].startswith("only-")]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_shell_script_that_calls_three(world: World) -> None:
    seen = world.run("--trace=audit", "--", "sh", "script.sh")
    assert seen.main == ["only-one"]
    assert sorted(seen.others.values()) == [["only-three"], ["only-two"]]
    assert {name.rpartition("-")[0] for name in seen.others} == {"two", "three"}
    version = ".".join(map(str, sys.version_info[:2]))
    assert folder_name(str(world.folder.resolve() / "two"), version) in seen.others
    assert seen.doubt is not None
    assert seen.doubt.startswith("the command has started 3 Pythons; packages.json is that of ")
    again = world.run("--trace=audit", "--", "sh", "script.sh")
    assert again.run["environment"]["digest"] == seen.run["environment"]["digest"]


def test_without_a_trace_it_is_a_guess(world: World) -> None:
    seen = world.run("--", "sh", "script.sh")
    assert seen.others == {}
    assert seen.doubt is not None
    assert "not a Python program" in seen.doubt
    assert "trace" not in seen.run


def test_a_wrong_guess_does_not_stand(world: World) -> None:
    seen = world.run("--trace=audit", "--", "sh", "-c", '"$TWO" -c pass')
    assert (seen.main, seen.others, seen.doubt) == (["only-two"], {}, None)
    prefix = json.loads(seen.files["packages.json"])["interpreter"]["prefix"]
    assert prefix == str((world.folder / "two").resolve())


def test_a_guess_that_was_right_is_none_any_more(world: World) -> None:
    path = os.pathsep.join([str(world.folder / "one/bin"), clean_environment()["PATH"]])
    seen = world.run("--trace=audit", "--", "sh", "-c", "python -c pass", PATH=path)
    assert (seen.main, seen.others, seen.doubt) == (["only-one"], {}, None)


def test_what_a_python_starts(world: World) -> None:
    code = "import os, subprocess; subprocess.run([os.environ['TWO'], '-c', 'pass'], check=True)"
    seen = world.run("--", world.variables["ONE"], "-c", code)
    assert (seen.main, [*seen.others.values()], seen.doubt) == (["only-one"], [["only-two"]], None)


def test_nothing_is_claimed_of_a_python_that_cannot_be_observed(world: World) -> None:
    seen = world.run("--trace=audit", "--", "sh", "-c", '"$ONE" -I -c pass; "$TWO" -E -c pass')
    assert seen.others == {}
    assert seen.doubt is not None
    assert "not a Python program" in seen.doubt
    # One that is known for certain needs not be seen.
    code = "import os, subprocess; subprocess.run([os.environ['TWO'], '-c', 'pass'])"
    seen = world.run("--trace=audit", "--", world.variables["ONE"], "-I", "-c", code)
    assert (seen.main, seen.doubt) == (["only-one"], None)


def test_no_python_on_path(world: World) -> None:
    bare = world.folder / "bin"
    bare.mkdir()
    for name in ("git", "sh"):
        done = subprocess.run(["which", name], check=True, capture_output=True, text=True)
        (bare / name).symlink_to(done.stdout.strip())
    seen = world.run("--trace=audit", "--", "sh", "-c", '"$TWO" -c pass', PATH=str(bare))
    assert seen.main == ["only-two"]
    assert "environment.packages" not in seen.missing
    assert seen.run["environment"]["python"].endswith(".".join(map(str, sys.version_info[:3])))


def test_a_path_that_only_the_observed_was_given(world: World) -> None:
    more = world.folder / "more"
    (more / "only_more-1.0.dist-info").mkdir(parents=True)
    metadata = "Metadata-Version: 2.1\nName: only-more\nVersion: 1.0\n"
    (more / "only_more-1.0.dist-info/METADATA").write_text(metadata)
    command = f'PYTHONPATH="$PYTHONPATH:{more}" "$TWO" -c pass'
    seen = world.run("--trace=audit", "--", "sh", "-c", command)
    assert seen.main == ["only-more", "only-two"]


def test_secrets_in_further_listings(world: World) -> None:
    token = "ghp_" + "0a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R"
    site = next((world.folder / "two").glob("lib/python*/site-packages"))
    origin = {"url": f"https://index.example/x.whl?key={token}", "archive_info": {}}
    (site / "only_two-1.0.dist-info/direct_url.json").write_text(json.dumps(origin))
    code = "import os, subprocess; subprocess.run([os.environ['TWO'], '-c', 'pass'])"
    seen = world.run("--", world.variables["ONE"], "-c", code)
    [listing] = [data for path, data in seen.files.items() if path.startswith("interpreters/")]
    assert token.encode() not in listing
    assert b"only-two" in listing
    assert any(name.startswith("environment.interpreters/") for name in seen.missing)


def test_a_python_that_is_gone_at_the_end(world: World) -> None:
    code = "import os, shutil, sys; shutil.rmtree(sys.prefix)"
    command = f'"$ONE" -c pass; "$TWO" -c "{code}"'
    seen = world.run("--trace=audit", "--", "sh", "-c", command)
    assert (seen.main, seen.others) == (["only-one"], {})
    [reason] = [text for name, text in seen.missing.items() if "interpreters" in name]
    assert "cannot be started" in reason
    # What was guessed at the start is not put in its place.
    seen = world.run("--trace=audit", "--", "sh", "-c", f'"$THREE" -c "{code}"')
    assert (seen.main, seen.others, seen.doubt) == ([], {}, None)
    assert "packages.json" not in seen.files
    assert "python" not in seen.run["environment"]
    assert "does not answer any more" in seen.missing["environment.packages"]


def test_more_than_are_listed(world: World) -> None:
    for number in range(MAX_OTHERS + 3):
        folder = world.folder / f"many/{number}"
        (folder / "bin").mkdir(parents=True)
        (folder / "bin/python").symlink_to(Path(world.variables["ONE"]).resolve())
        (folder / "pyvenv.cfg").write_bytes((world.folder / "one/pyvenv.cfg").read_bytes())
    command = f'for python in {world.folder}/many/*/bin/python; do "$python" -S -c pass; '
    command += '"$python" -c pass; done'
    seen = world.run("--trace=audit", "--", "sh", "-c", command)
    assert len(seen.others) == MAX_OTHERS
    reason = "2 more Pythons have run than the 16 listed"
    assert seen.missing["environment.interpreters"] == reason


def test_packages_that_come_during_the_run(world: World) -> None:
    code = (
        "import glob, os, sys\n"
        "[site] = glob.glob(sys.prefix + '/lib/python*/site-packages')\n"
        "os.mkdir(site + '/late-1.0.dist-info')\n"
    )
    changed = "changed while the run was under way"
    for options in (["--trace=off"], []):
        seen = world.run(*options, "--", world.variables["ONE"], "-c", code)
        assert seen.missing["environment.packages"] == changed
        assert seen.main == ["only-one"]
        for folder in world.folder.glob("one/lib/python*/site-packages/late-1.0.dist-info"):
            folder.rmdir()
    seen = world.run("--", world.variables["ONE"], "-c", "pass")
    assert "environment.packages" not in seen.missing


class TestUv:
    @pytest.fixture(autouse=True)
    def _project(self, world: World) -> None:
        if not UV.exists():
            pytest.skip("uv is not there")
        world.clone.write(
            "pyproject.toml",
            '[project]\nname = "mine"\nversion = "1"\nrequires-python = ">=3.11"\n'
            "[tool.uv]\npackage = false\n",
        )
        world.variables |= {
            "UV_OFFLINE": "1",
            "UV_CACHE_DIR": str(world.folder / "uv-cache"),
            "UV_PYTHON": "",
        }

    def test_the_projects_environment(self, world: World) -> None:
        world.made(world.clone.path / ".venv")
        for command in ("python -c pass", "--no-sync python -c pass"):
            seen = world.run("--", "uv", "run", *command.split())
            assert (seen.main, seen.others, seen.doubt) == (["only-.venv"], {}, None)
            assert seen.run["trace"]["method"] == "audit"

    def test_an_environment_that_uv_makes(self, world: World) -> None:
        seen = world.run("--", "uv", "run", "python", "-c", "pass")
        interpreter = json.loads(seen.files["packages.json"])["interpreter"]
        assert interpreter["prefix"] == str(world.clone.path.resolve() / ".venv")
        assert (seen.others, seen.doubt) == ({}, None)

    def test_other_programs_behind_it_are_left_alone(self, world: World) -> None:
        world.made(world.clone.path / ".venv")
        seen = world.run("--", "uv", "run", "true")
        assert "trace" not in seen.run
        seen = world.run("--", "env", "A=1", "true")
        assert "trace" not in seen.run


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_about_the_time_that_the_files_are_written(world: World, moment: str) -> None:
    """The environment of the manifest is in the journal, whichever of the two it is."""
    program = f"""
import os, signal
from gitprov.recorder.command import CommandOptions, CommandRun
from gitprov.store.journal import JournalRun
from pathlib import Path

write = JournalRun.write_environment
def killed(self, files, digest=None):
    if digest is not None and {moment!r} == "before":
        write(self, dict([*files.items()][:1]), digest)
        os.kill(os.getpid(), signal.SIGKILL)
    write(self, files, digest)
    if digest is not None:
        os.kill(os.getpid(), signal.SIGKILL)
JournalRun.write_environment = killed
run = CommandRun(CommandOptions(argv=("sh", "script.sh"), trace="audit"), Path.cwd())
run.begin()
run.finish(run.execute())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=world.clone.path, check=False, timeout=60,
        env=clean_environment(**world.variables), stdout=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL
    seen = world.last()
    assert seen.run["status"] == "aborted"
    assert seen.others == {}
    assert seen.doubt is not None
    assert "not a Python program" in seen.doubt


def test_killed_at_any_moment(world: World) -> None:
    world.clone.git("config", "prov.trace", "audit")
    for wait in (0.1, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6):
        process = subprocess.Popen(
            [sys.executable, "-m", "gitprov", "run", "-q", "--", "sh", "script.sh"],
            cwd=world.clone.path, env=clean_environment(**world.variables),
            stdout=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        time.sleep(wait)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(20)
    seen = world.run("--", "sh", "script.sh")
    assert len(seen.others) == 2
    assert world.clone.git("fsck", "--strict", "--no-dangling") == ""
    assert not any(run.started for run in world.clone.store().journal.runs())
