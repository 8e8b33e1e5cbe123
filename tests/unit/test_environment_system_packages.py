"""Packages of the operating system: of laid out databases, and of this system's own."""

import shutil
import subprocess
from pathlib import Path

import pytest

from gitprov.capture.environments import capture_environment, system_packages
from gitprov.capture.environments.kind import Findings
from gitprov.codec.environment_files import read_environment
from gitprov.model.environment import SystemPackages
from gitprov.store.repository import Config
from tests.unit.test_hardware import lay_out

ENV = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}
STATUS = """\
Package: zlib1g
Status: install ok installed
Architecture: amd64
Version: 1:1.2.13
Description: library
 Version: 9

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0

Package: zlib1g
Status: install ok installed
Architecture: i386
Version: 1:1.2.13

Package: apt
Status: hold ok installed
Version: 2.6.1
"""
INSTALLED = """\
C:Q1abc=
P:musl
V:1.2.4-r2
A:x86_64
T:the musl c library

P:broken

P:busybox
V:1.36.1-r5
A:x86_64
"""


def said(findings: Findings) -> SystemPackages:
    found = read_environment(findings.files, findings.locks).system_packages
    assert found is not None
    return found


def rows(findings: Findings) -> list[tuple[str, str, str | None]]:
    return [(item.name, item.version, item.architecture) for item in said(findings).packages]


def test_dpkg(tmp_path: Path) -> None:
    found = system_packages.describe(lay_out(tmp_path, {"var/lib/dpkg/status": STATUS}), ENV)
    assert said(found).manager == "dpkg"
    assert rows(found) == [
        ("apt", "2.6.1", None),
        ("zlib1g", "1:1.2.13", "amd64"),
        ("zlib1g", "1:1.2.13", "i386"),
    ]
    assert found.missing == {}


def test_images_that_are_made_without_dpkg(tmp_path: Path) -> None:
    text = "Package: tzdata\nVersion: 2024a\nArchitecture: all\n"
    files = {"var/lib/dpkg/status.d/tzdata": text, "var/lib/dpkg/status.d/tzdata.md5sums": "x"}
    found = system_packages.describe(lay_out(tmp_path, files), ENV)
    assert rows(found) == [("tzdata", "2024a", "all")]


@pytest.mark.parametrize("place", ["lib/apk/db/installed", "usr/lib/apk/db/installed"])
def test_apk(tmp_path: Path, place: str) -> None:
    found = system_packages.describe(lay_out(tmp_path, {place: INSTALLED}), ENV)
    assert said(found).manager == "apk"
    assert rows(found) == [("busybox", "1.36.1-r5", "x86_64"), ("musl", "1.2.4-r2", "x86_64")]


def test_a_system_that_keeps_none_and_one_that_cannot_be_read(tmp_path: Path) -> None:
    found = system_packages.describe(tmp_path, ENV)
    assert found.files == {}
    assert "neither dpkg nor apk nor rpm" in found.missing["environment.system-packages"]
    (tmp_path / "var/lib/dpkg/status").mkdir(parents=True)
    found = system_packages.describe(tmp_path, ENV)
    assert "cannot be read" in found.missing["environment.system-packages"]


def test_a_system_whose_rpm_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "var/lib/rpm").mkdir(parents=True)
    found = system_packages.describe(tmp_path, {"PATH": "/nowhere"})
    reason = "rpm cannot be started: No such file or directory"
    assert found.missing == {"environment.system-packages": reason}


@pytest.mark.skipif(shutil.which("rpmbuild") is None, reason="rpm is not installed")
def test_rpm(tmp_path: Path) -> None:
    spec = tmp_path / "thing.spec"
    spec.write_text(
        "Name: thing\nEpoch: 2\nVersion: 1.0\nRelease: 3\nSummary: x\nLicense: MIT\n"
        "BuildArch: noarch\n%description\nx\n%files\n"
    )
    root = tmp_path / "root"
    root.mkdir()
    build = ["rpmbuild", "-bb", f"-D_topdir {tmp_path}/build", str(spec)]
    subprocess.run(build, capture_output=True, check=True)
    (package,) = (tmp_path / "build").glob("RPMS/noarch/*.rpm")
    install = ["rpm", "--root", str(root), "--nodeps", "--justdb", "-i", str(package)]
    subprocess.run(install, capture_output=True, check=True)
    where = subprocess.run(
        ["rpm", "--root", str(root), "--eval", "%{_dbpath}"], capture_output=True, check=True
    )
    # Debian's rpm keeps its database elsewhere; where it is, rpm itself knows.
    assert where.stdout
    (root / "var/lib/rpm").mkdir(parents=True, exist_ok=True)
    found = system_packages.describe(root, ENV)
    assert said(found).manager == "rpm"
    assert rows(found) == [("thing", "2:1.0-3", "noarch")]


@pytest.mark.skipif(shutil.which("dpkg-query") is None, reason="dpkg is not installed")
def test_dpkg_itself_says_the_same() -> None:
    form = "${db:Status-Status} ${Package} ${Version} ${Architecture}\n"
    done = subprocess.run(["dpkg-query", "-W", "-f", form], capture_output=True, check=True)
    lines = [line.split() for line in done.stdout.decode().splitlines()]
    oracle = {tuple(words[1:]) for words in lines if words[0] == "installed"}
    assert set(rows(system_packages.describe(Path("/"), ENV))) == oracle


def test_they_are_listed_on_request_only(tmp_path: Path) -> None:
    def captured(*, wanted: bool) -> set[str]:
        found = capture_environment(
            ["nowhere"], cwd=tmp_path, top=None, env={}, cache=None, system_packages=wanted
        )
        return {*found.files, *found.missing}

    more = captured(wanted=True) - captured(wanted=False)
    assert more in ({"system-packages.json"}, {"environment.system-packages"})


def test_who_asks_for_them(tmp_path: Path) -> None:
    silent, asks = Config(b""), Config(b"prov.environment.systempackages\ntrue\0")
    assert not system_packages.are_wanted(tmp_path, silent)
    assert not system_packages.are_wanted(None, silent)
    assert system_packages.are_wanted(None, asks)
    settings = tmp_path / ".gitprov.toml"
    settings.write_text("[environment]\nsystem-packages = true\n")
    assert system_packages.are_wanted(tmp_path, silent)
    settings.write_text("[environment]\nsystem-packages = false\n")
    assert not system_packages.are_wanted(tmp_path, silent)
    settings.write_text('[environment]\nsystem-packages = "yes"\n')
    assert not system_packages.are_wanted(tmp_path, silent)
