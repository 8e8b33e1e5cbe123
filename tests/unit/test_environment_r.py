"""R and its packages, from laid out installations, and from R itself where it is installed."""

import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from gitprov.capture.environments import r_session
from gitprov.capture.environments.kind import Findings, Request
from gitprov.codec.environment_files import read_environment
from gitprov.model.environment import LanguageEnvironment, LibraryPackage
from tests.unit.test_hardware import lay_out

HOME = "usr/lib/R"
BASE = "Package: base\nVersion: 4.2.2\nPriority: base\nTitle: The R Base\n  Package\n"


class World:
    """An installation of R, a project, and a home."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        self.home = folder / HOME
        self.top = folder / "project"
        self.top.mkdir()
        lay_out(folder, {f"{HOME}/library/base/DESCRIPTION": BASE})
        self.program("R", f"#!/bin/sh\nR_HOME_DIR={self.home}\nexit 1\n")
        self.program("Rscript", "\x7fELF")

    def program(self, name: str, text: str) -> Path:
        (self.home / "bin").mkdir(exist_ok=True)
        path = self.home / "bin" / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def install(self, library: str, name: str, version: str, **fields: str) -> None:
        lines = {"Package": name, "Version": version, **fields}
        text = "".join(f"{key}: {value}\n" for key, value in lines.items())
        lay_out(self.root, {f"{library}/{name}/DESCRIPTION": text})

    def capture(
        self, *argv: str, cwd: str = "project", found: Mapping[str, bytes] | None = None,
        **env: str,
    ) -> Findings:  # fmt: skip
        request = Request(
            argv=argv or ("Rscript", "fit.R"),
            cwd=self.root / cwd,
            top=self.top,
            env={"PATH": f"{self.home}/bin:/usr/bin:/bin", "HOME": str(self.root / "ada")} | env,
            cache=self.root / "cache",
            found=found or {},
        )
        return r_session.capture(request)

    def packages(self, *argv: str, **options: str) -> dict[str, str]:
        """Return versions by name, but for R's own."""
        found = said(self.capture(*argv, **options))
        return {item.name: item.version for item in found.packages if item.name != "base"}


def said(findings: Findings) -> LanguageEnvironment:
    return read_environment(findings.files, findings.locks).languages["R"]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_the_version_and_what_is_installed(world: World) -> None:
    world.install(f"{HOME}/library", "MASS", "7.3-58", Repository="CRAN")
    found = said(world.capture())
    assert found == LanguageEnvironment(
        version="4.2.2",
        packages=(
            LibraryPackage(name="MASS", version="7.3-58", source="CRAN"),
            LibraryPackage(name="base", version="4.2.2", source="base"),
        ),
    )
    assert not (world.root / "cache").exists()  # nothing was started


def test_only_where_r_is_meant(world: World) -> None:
    script = world.top / "fit"
    script.write_text("#!/usr/bin/env Rscript\n1\n")
    script.chmod(0o755)
    for command in (["R", "-f", "fit.R"], ["./fit"], [f"{world.home}/bin/Rscript", "x.R"]):
        assert world.capture(*command).files
    assert world.capture("env", "A=1", "Rscript", "fit.R").files
    assert world.capture("python3", "fit.py") == Findings()
    assert world.capture("sh", "-c", "Rscript fit.R") == Findings()
    assert world.capture("nowhere") == Findings()
    assert world.capture("python3", "x.py", found={"sub/renv.lock": b"{}"}).files


def test_without_r_there_is_a_reason(world: World) -> None:
    found = world.capture("Rscript", "x.R", PATH="/nowhere")
    assert found.files == {}
    assert found.missing["environment.r"].startswith("R is not on PATH")
    assert world.capture("python3", PATH="/nowhere", found={"renv.lock": b""}).missing


def test_where_packages_came_from(world: World) -> None:
    library = f"{HOME}/library"
    commit = "ab" * 20
    github = {"RemoteType": "github", "RemoteUsername": "lab", "RemoteRepo": "fits"}
    world.install(library, "fits", "0.1", **github, RemoteSha=commit)
    url = "https://ada:hunter2secret@git.example/x"
    world.install(library, "gits", "0.2", RemoteType="git2r", RemoteUrl=url, RemoteSha=commit)
    world.install(library, "plain", "0.3", RemoteType="standard", Repository="RSPM")
    world.install(library, "mine", "0.4")
    sources = {item.name: item.source for item in said(world.capture()).packages}
    assert sources == {
        "base": "base",
        "fits": f"github::lab/fits@{commit}",
        "gits": f"git2r::https://git.example/x@{commit}",
        "mine": None,
        "plain": "RSPM",
    }


def test_the_first_library_wins(world: World) -> None:
    one, two, three, four = (str(world.root / name) for name in ("one", "two", "three", "four"))
    for number, library in enumerate(("one", "two", "three", "four", f"{HOME}/library"), 1):
        world.install(library, "all", f"{number}.0")
        world.install(library, f"only{number}", "1.0")
    env = {"R_LIBS": f"{one}:{two}", "R_LIBS_USER": three, "R_LIBS_SITE": four}
    only = {f"only{number}": "1.0" for number in range(1, 6)}
    assert world.packages(**env) == {"all": "1.0", **only}
    del env["R_LIBS"]
    assert world.packages(**env) == {"all": "3.0"} | {
        name: only[name] for name in ("only3", "only4", "only5")
    }


def test_libraries_that_r_itself_knows(world: World) -> None:
    world.install("ada/R/x86_64-pc-linux-gnu-library/4.2", "users", "1.0")
    world.install("ada/R/x86_64-pc-linux-gnu-library/3.6", "olds", "1.0")
    world.install("usr/local/lib/R/site-library", "sites", "1.0")
    world.install(f"{HOME}/site-library", "distributions", "1.0")
    world.install("ada/mine/4.2", "mines", "1.0")
    assert world.packages() == {"distributions": "1.0", "users": "1.0"}
    # As Debian's file has it.
    lay_out(
        world.root,
        {
            f"{HOME}/etc/Renviron": "# R_LIBS_SITE=/none\nR_LIBS_USER=${R_LIBS_USER:-'%U'}\n"
            f"R_LIBS_SITE=${{R_LIBS_SITE:-'{world.root}/usr/local/lib/R/site-library:%S'}}\n"
        },
    )
    assert world.packages() == {"distributions": "1.0", "sites": "1.0", "users": "1.0"}
    assert world.packages(R_LIBS_USER="~/mine/%v", R_LIBS_SITE="%o/x:a\0b:") == {"mines": "1.0"}


def test_an_activated_renv(world: World) -> None:
    world.install("ada/R/x-library/4.2", "hidden", "1.0")
    library = "project/renv/library/linux-debian-bookworm"
    world.install(f"{library}/R-4.2/x86_64-pc-linux-gnu", "locked", "1.0")
    world.install(f"{library}/R-4.3/x86_64-pc-linux-gnu", "locked", "2.0")
    assert world.packages() == {"hidden": "1.0"}
    lay_out(world.root, {"project/renv/activate.R": "", "project/sub/x": ""})
    assert world.packages() == {"locked": "1.0"}
    assert world.packages(cwd="project/sub") == {"locked": "1.0"}


def test_damaged_packages_are_passed_over(world: World) -> None:
    library = world.home / "library"
    for name, text in {
        "nothing": b"",
        "bytes": b"\xff\x00\n",
        "nameless": b"Version: 1\n",
        "continued": b" x\nPackage: continued\n y\nVersion: 1.0\nno field\n z\n",
    }.items():
        (library / name).mkdir()
        (library / name / "DESCRIPTION").write_bytes(text)
    (library / "empty").mkdir()
    (library / "file").write_text("")
    (library / "pipe").mkdir()
    os.mkfifo(library / "pipe/DESCRIPTION")
    assert world.packages() == {"continued y": "1.0"}


def test_a_script_that_does_not_tell_is_asked_once(world: World) -> None:
    starts = world.root / "starts"
    text = f"#!/bin/sh\necho x >>{starts}\necho {world.home}\n"
    program = world.program("R", text)
    os.utime(program, (time.time() - 60, time.time() - 60))
    assert said(world.capture()).version == "4.2.2"
    assert world.capture() == world.capture()
    assert starts.read_text() == "x\n"
    world.program("R", "#!/bin/sh\nexit 3\n")
    assert world.capture().missing["environment.r"]


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="R is not installed")
def test_r_itself_says_the_same(tmp_path: Path) -> None:
    request = Request(argv=["Rscript", "x.R"], cwd=tmp_path, top=None, env=os.environ, cache=None)
    found = said(r_session.capture(request))
    code = 'p <- installed.packages(); cat(paste(p[,"Package"], p[,"Version"]), sep="\\n")'
    done = subprocess.run(
        ["Rscript", "--vanilla", "-e", code], cwd=tmp_path, capture_output=True, check=True
    )
    oracle = {line for line in done.stdout.decode().splitlines() if not line.startswith("trans")}
    ours = {f"{item.name} {item.version}" for item in found.packages}
    assert oracle <= ours
    # R does not count its translations.
    assert all(item.startswith("translations ") for item in ours - oracle)
