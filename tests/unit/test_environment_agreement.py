"""Whether lock files agree with what is installed: what is said, and above all what is not."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gitprov.capture.environments.agreement import capture
from gitprov.capture.environments.kind import Findings, Request
from gitprov.capture.environments.versions import same_conda, same_python
from gitprov.codec.environment_files import read_environment
from gitprov.codec.environment_text import text
from gitprov.model.environment_wording import disagreement_text

HERE, THERE = "1" * 40, "2" * 40


def packages(*rows: str | Mapping[str, Any]) -> bytes:
    """Return packages.json with `name version` rows."""
    full = [
        dict(zip(("name", "version"), row.split(), strict=True)) if isinstance(row, str) else row
        for row in rows
    ]
    return text("packages.1", {"packages": [{"purl": "pkg:pypi/x", **row} for row in full]})


def conda(*rows: str, platform: str = "linux-64") -> bytes:
    names = ("name", "version", "build")
    full = [dict(zip(names, row.split(), strict=True)) for row in rows]
    return text("conda.1", {"packages": full, "platform": platform, "prefix": "/env"})


def outcome(cache: Path | None = None, **found: bytes | str) -> Findings:
    files = {
        name.replace("__", "-").replace("_", "."): data
        if isinstance(data, bytes)
        else data.encode()
        for name, data in found.items()
    }
    request = Request(argv=[], cwd=Path("/"), top=None, env={}, cache=cache, found=files)
    return capture(request)


def said(**found: bytes | str) -> list[str]:
    findings = outcome(**found)
    assert not findings.missing
    environment = read_environment({"agreement.json": findings.files["agreement.json"]}, [])
    assert environment.compared
    return [disagreement_text(item) for item in environment.disagreements]


def uv(*items: str) -> str:
    blocks = []
    for item in items:
        name, version, *rest = item.split(" ", 2)
        line = f"source = {{ {rest[0]} }}\n" if rest else ""
        blocks.append(f'[[package]]\nname = "{name}"\nversion = "{version}"\n{line}')
    return "version = 1\n" + "\n".join(blocks)


def test_another_version_is_installed() -> None:
    lock = uv("numpy 2.1", "scipy 1.0.0", "absent 3.0")
    installed = packages("numpy 2.0", "SciPy 1.0", "extra 9")
    assert said(uv_lock=lock, packages_json=installed) == [
        "uv.lock says numpy 2.1, 2.0 is installed"
    ]


def test_one_of_several_versions_is_enough() -> None:
    lock = uv("numpy 2.1", "numpy 2.2")
    assert said(uv_lock=lock, packages_json=packages("numpy 2.2")) == []
    assert said(uv_lock=lock, packages_json=packages("numpy 2.0")) == [
        "uv.lock says numpy 2.1 or 2.2, 2.0 is installed"
    ]


def test_what_is_installed_from_a_folder_has_no_version_of_its_own() -> None:
    editable = {"name": "app", "version": "0.2.dev1", "editable": True}
    assert said(uv_lock=uv("app 0.1", "x 1"), packages_json=packages(editable, "x 1")) == []
    lock = uv('app 0.1 editable = "."')
    assert said(uv_lock=lock, packages_json=packages("app 0.2")) == []


def test_another_commit_is_installed() -> None:
    vcs = {"url": "https://git.example/a", "vcs_info": {"vcs": "git", "commit_id": THERE}}
    row = {"name": "a", "version": "0.9", "direct_url": vcs}
    lock = uv(f'a 0.9 git = "https://git.example/a#{HERE}"')
    assert said(uv_lock=lock, packages_json=packages(row)) == [
        "uv.lock says a 0.9 at 111111111, 0.9 at 222222222 is installed"
    ]
    assert said(uv_lock=lock.replace(HERE, THERE), packages_json=packages(row)) == []
    assert said(
        requirements_txt=f"a @ git+https://git.example/a@{HERE}\n", packages_json=packages(row)
    ) == ["requirements.txt says a at 111111111, 0.9 at 222222222 is installed"]


def test_lines_with_a_marker_state_nothing() -> None:
    lock = "numpy==2.1 ; python_version < '3'\nscipy==1.0\n"
    assert said(requirements_txt=lock, packages_json=packages("numpy 2.0", "scipy 1.0")) == []


@pytest.mark.parametrize(
    ("name", "says"),
    [("requirements_txt", True), ("requirements__dev_txt", False), ("requirements__x_txt", False)],
)
def test_what_has_to_be_installed_and_is_not(name: str, says: bool) -> None:  # noqa: FBT001
    lock = "numpy==2.1\nscipy==1.0\npandas==3.0\nwinonly==1 ; sys_platform == 'win32'\n"
    installed = packages("numpy 2.1", "scipy 1.0")
    file = name.replace("__", "-").replace("_", ".")
    expected = [f"{file} says pandas 3.0, it is not installed"] if says else []
    assert said(**{name: lock, "packages_json": installed}) == expected


def test_a_lock_of_another_environment_has_no_absent_packages() -> None:
    lock = "numpy==2.1\nscipy==1.0\npandas==3.0\n"
    assert said(requirements_txt=lock, packages_json=packages("numpy 2.1")) == []


def test_pylock_packages_with_markers_may_be_absent() -> None:
    rows = [("a", ""), ("b", ""), ("c", ""), ("d", "marker = \"extra == 'x'\"")]
    lock = 'lock-version = "1.0"\n' + "".join(
        f'[[packages]]\nname = "{name}"\nversion = "1"\n{marker}\n' for name, marker in rows
    )
    assert said(pylock_toml=lock, packages_json=packages("a 1", "b 2")) == [
        "pylock.toml says b 1, 2 is installed",
        "pylock.toml says c 1, it is not installed",
    ]


def explicit(*names: str) -> str:
    url = "https://conda.example/forge"
    return "@EXPLICIT\n" + "".join(f"{url}/{name}\n" for name in names)


def test_builds_of_conda_packages() -> None:
    lock = explicit("linux-64/numpy-2.1-py_0.conda", "noarch/tz-1-h0_1.conda")
    installed = conda("numpy 2.1 py_1", "tz 1 h0_1", "extra 1 0")
    assert said(conda__linux__64_lock=lock, conda_json=installed) == [
        "conda-linux-64.lock says numpy 2.1 py_0, 2.1 py_1 is installed"
    ]
    other = said(conda__linux__64_lock=lock, conda_json=conda("numpy 2.0 x", "tz 1 h0_1"))
    assert other == ["conda-linux-64.lock says numpy 2.1, 2.0 is installed"]


def test_other_platforms_of_conda_locks_are_passed_over() -> None:
    lock = "version: 1\npackage:\n" + "".join(
        f"- {{name: numpy, version: '{version}', manager: conda, platform: {platform}, "
        f"url: 'https://conda.example/{platform}/numpy-{version}-0.conda', hash: {{}}}}\n"
        for version, platform in [("2.1", "linux-64"), ("2.0", "osx-64")]
    )
    assert said(conda__lock_yml=lock, conda_json=conda("numpy 2.0 0")) == [
        "conda-lock.yml says numpy 2.1, 2.0 is installed"
    ]
    # Without an environment of conda there is nothing to compare with.
    assert outcome(conda__lock_yml=lock, packages_json=packages("numpy 2.0")) == Findings()


def test_environment_yml_allows_what_begins_so() -> None:
    lock = "dependencies: ['python=3.11', 'numpy==2.1', pip: ['six==1.16']]\n"
    both = {"conda_json": conda("python 3.11.7 h_0", "numpy 2.1 0")}
    assert said(environment_yml=lock, packages_json=packages("six 1.16.0"), **both) == []
    both = {"conda_json": conda("python 3.1 h_0", "numpy 2.1.1 0")}
    assert said(environment_yml=lock, packages_json=packages("six 1.15"), **both) == [
        "environment.yml says numpy 2.1, 2.1.1 is installed",
        "environment.yml says python 3.11.*, 3.1 is installed",
        "environment.yml says six 1.16, 1.15 is installed",
    ]


def test_a_damaged_lock_is_named_and_others_are_compared() -> None:
    found = outcome(
        uv_lock="version =",
        poetry_lock="[metadata]\nlock-version='2.0'\n[[package]]\nname='a'\nversion='1'\n",
        packages_json=packages("a 1"),
    )
    assert list(found.missing) == ["environment.agreement.uv.lock"]
    assert "uv.lock is not TOML" in found.missing["environment.agreement.uv.lock"]
    assert json.loads(found.files["agreement.json"])["compared"] == ["poetry.lock"]


def test_a_lock_that_is_too_large_is_named() -> None:
    lock = uv("a 1") + "#" * (4 << 20)
    found = outcome(uv_lock=lock, packages_json=packages("a 2"))
    assert not found.files
    assert "larger than 4 MiB" in found.missing["environment.agreement.uv.lock"]


def test_nothing_to_compare() -> None:
    assert outcome(uv_lock=uv("a 1")) == Findings()
    assert outcome(packages_json=packages("a 1")) == Findings()
    assert outcome(packages_json=packages("a 1"), requirements_txt="a>=1\n") == Findings()
    assert outcome(packages_json=packages("a 1"), conda__explicit_txt="x") == Findings()


def test_lines_of_files_in_a_lock_change_nothing() -> None:
    files = (
        '[\n    { url = "https://index.example/a-1.whl", hash = "x" },\n    { name = "b" },\n]\n'
    )
    lock = uv("a 1") + f"wheels = {files}dependencies = {files}"
    assert said(uv_lock=lock, packages_json=packages("a 2")) == ["uv.lock says a 1, 2 is installed"]


def test_the_outcome_is_kept_until_something_changes(tmp_path: Path) -> None:
    lock, installed = uv("a 1"), packages("a 2")
    first = outcome(tmp_path, uv_lock=lock, packages_json=installed)
    (kept,) = tmp_path.iterdir()
    stamp = kept.stat().st_mtime_ns
    assert outcome(tmp_path, uv_lock=lock, packages_json=installed) == first
    assert kept.stat().st_mtime_ns == stamp
    other = outcome(tmp_path, uv_lock=uv("a 2"), packages_json=installed)
    assert other != first
    assert len(list(tmp_path.iterdir())) == 2


SAME: Sequence[tuple[str, str, bool]] = [
    ("1.0", "1.0.0", True),
    ("1.0rc1", "1.0.RC-1", True),
    ("1.0c1", "1.0pre1", True),
    ("1.0-1", "1.0.post1", True),
    ("1.0.post1", "1.0", False),
    ("0!1", "1", True),
    ("1!1", "1", False),
    ("v1.01", "1.1", True),
    ("2.1", "2.1+cpu", True),
    ("2.1+cpu", "2.1", False),
    ("2.1+cpu", "2.1+CPU", True),
    ("1.*", "1.5", True),
    ("1.*", "1", True),
    ("1.0.*", "1.0.0", True),
    ("1.1.*", "1.10", False),
    ("1.0.dev1", "1.0", False),
    ("not a version", "not a version", True),
    ("1" * 300, "1" * 300, True),
]


@pytest.mark.parametrize(("locked", "installed", "same"), SAME)
def test_versions_of_python(locked: str, installed: str, same: bool) -> None:  # noqa: FBT001
    assert same_python(locked, installed) is same


def test_versions_of_conda() -> None:
    assert same_conda("2024a", "2024A")
    assert not same_conda("1.0", "1.0.0")
    assert same_conda("3.11.*", "3.11.7")
    assert not same_conda("3.1.*", "3.11.7")


@pytest.mark.parametrize("revision", ["1111111", "20240115", "v1.0"])
def test_what_is_no_whole_commit_states_nothing(revision: str) -> None:
    vcs = {"vcs": "git", "commit_id": HERE}
    row = {"name": "a", "version": "1", "direct_url": {"url": "https://h/a", "vcs_info": vcs}}
    lines = f"a @ git+https://h/a@{revision}\nb==1\n"
    found = outcome(packages_json=packages(row, "b 1"), requirements_txt=lines)
    assert b'"disagreements": []' in found.files["agreement.json"]


def test_of_a_guess_nothing_is_said() -> None:
    found = {"packages.json": packages("a 1"), "requirements.txt": b"a==2\n"}
    request = Request(argv=[], cwd=Path("/"), top=None, env={}, cache=None, found=found)
    assert capture(request).files
    assert capture(replace(request, is_guess=True)) == Findings()
