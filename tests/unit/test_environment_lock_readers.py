"""Lock files of each kind and format version: what is read, and what is refused."""

import json
from typing import Any

import pytest

from gitprov.capture.environments.locks import read_lock
from gitprov.capture.environments.locks.lock import Lock, LockedFile, LockedPackage
from gitprov.errors import InputError
from gitprov.model.environment import Origin

A, B, C = "a" * 64, "b" * 64, "c" * 64
COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = "https://index.example/files"
CHANNEL = "https://conda.example/forge"


def read(path: str, text: str | bytes) -> Lock:
    lock = read_lock(path, text.encode() if isinstance(text, str) else text)
    assert lock is not None
    assert lock.path == path
    return lock


def only(path: str, text: str) -> LockedPackage:
    (package,) = read(path, text).packages
    return package


def wheel(name: str, digest: str, url: str | None = None, size: int | None = None) -> LockedFile:
    return LockedFile(name=name, kind="wheel", url=url, hashes={"sha256": digest}, size=size)


UV = f"""\
version = 1
revision = 3
requires-python = ">=3.11"
resolution-markers = ["python_full_version >= '3.12'", "python_full_version < '3.12'"]

[[package]]
name = "alpha"
version = "1.0"
source = {{ registry = "https://index.example/simple" }}
resolution-markers = ["python_full_version < '3.12'", "sys_platform == 'win32'"]
sdist = {{ url = "{FILES}/alpha-1.0.tar.gz", hash = "sha256:{A}", size = 10 }}
wheels = [
    {{ url = "{FILES}/alpha-1.0-py3-none-any.whl", hash = "sha256:{B}", size = 20 }},
    {{ path = "../wheels/alpha-1.0-cp311-cp311-linux_x86_64.whl", hash = "sha256:{C}" }},
]

[[package]]
name = "app"
source = {{ editable = "." }}

[[package]]
name = "delta"
version = "0.1"
source = {{ url = "{FILES}/delta-0.1-py3-none-any.whl" }}
wheels = [{{ url = "{FILES}/delta-0.1-py3-none-any.whl", hash = "sha256:{A}" }}]

[[package]]
name = "zeta"
version = "0.9"
source = {{ git = "https://git.example/zeta?rev=main&subdirectory=py#{COMMIT}" }}
"""


def test_uv_lock() -> None:
    lock = read("sub/uv.lock", UV)
    assert lock.kind == "uv"
    alpha, app, delta, zeta = lock.packages
    assert alpha == LockedPackage(
        ecosystem="pypi",
        name="alpha",
        version="1.0",
        marker="(python_full_version < '3.12') or (sys_platform == 'win32')",
        index="https://index.example/simple",
        files=(
            LockedFile(
                name="alpha-1.0.tar.gz",
                kind="sdist",
                url=f"{FILES}/alpha-1.0.tar.gz",
                hashes={"sha256": A},
                size=10,
            ),
            wheel("alpha-1.0-py3-none-any.whl", B, f"{FILES}/alpha-1.0-py3-none-any.whl", 20),
            wheel("alpha-1.0-cp311-cp311-linux_x86_64.whl", C),
        ),
    )
    assert app.version is None
    assert app.editable
    assert app.origin == Origin(url=".", is_directory=True)
    assert delta.origin == Origin(url=f"{FILES}/delta-0.1-py3-none-any.whl", hashes={"sha256": A})
    assert zeta.origin == Origin(
        url="https://git.example/zeta",
        vcs="git",
        commit=COMMIT,
        revision="main",
        subdirectory="py",
    )


def test_pylock() -> None:
    lock = read(
        "pylock.dev.toml",
        f"""\
lock-version = "1.0"
created-by = "x"
[[packages]]
name = "alpha"
version = "1.0"
marker = "python_version < '3.12'"
index = "https://index.example/simple"
sdist = {{ name = "alpha-1.0.tar.gz", path = "a/alpha-1.0.tar.gz", hashes = {{ sha256 = "{A}" }} }}
wheels = [{{ url = "{FILES}/alpha-1.0-py3-none-any.whl", size = 3, hashes = {{ sha256 = "{B}" }} }}]
[[packages]]
name = "delta"
archive = {{ url = "{FILES}/delta.zip", hashes = {{ sha256 = "{A}", sha512 = "{A}{A}" }} }}
[[packages]]
name = "eta"
directory = {{ path = "local", editable = true, subdirectory = "py" }}
[[packages]]
name = "zeta"
version = "0.9"
[packages.vcs]
type = "hg"
url = "https://hg.example/zeta"
requested-revision = "default"
commit-id = "{COMMIT}"
""",
    )
    alpha, delta, eta, zeta = lock.packages
    assert (alpha.version, alpha.marker) == ("1.0", "python_version < '3.12'")
    assert [(file.kind, file.url, file.size) for file in alpha.files] == [
        ("sdist", None, None),
        ("wheel", f"{FILES}/alpha-1.0-py3-none-any.whl", 3),
    ]
    assert delta.origin == Origin(url=f"{FILES}/delta.zip", hashes={"sha256": A, "sha512": A + A})
    assert eta.origin == Origin(url="local", is_directory=True, subdirectory="py")
    assert eta.editable
    assert zeta.origin == Origin(
        url="https://hg.example/zeta", vcs="hg", commit=COMMIT, revision="default"
    )


POETRY_1_0 = f"""\
[[package]]
category = "dev"
name = "Alpha"
optional = false
version = "1.0"
[metadata]
content-hash = "x"
[metadata.files]
Alpha = [{{file = "Alpha-1.0-py3-none-any.whl", hash = "sha256:{A}"}}]
"""
POETRY_2_1 = f"""\
[[package]]
name = "alpha"
version = "1.0"
optional = true
groups = ["main", "dev"]
markers = {{main = "extra == 'more'", dev = "python_version < '3.12'"}}
files = [
    {{file = "alpha-1.0-py3-none-any.whl", hash = "sha256:{A}"}},
]
[package.source]
type = "legacy"
url = "https://index.example/simple"
reference = "local"

[[package]]
name = "delta"
version = "0.1"
markers = "python_version < '3.12'"
files = []
[package.source]
type = "url"
url = "{FILES}/delta-0.1.zip"

[[package]]
name = "eta"
version = "0.2"
develop = true
[package.source]
type = "directory"
url = "local"

[[package]]
name = "zeta"
version = "0.9"
[package.source]
type = "git"
url = "https://git.example/zeta"
reference = "main"
resolved_reference = "{COMMIT}"

[metadata]
lock-version = "2.1"
"""


def test_poetry_lock_of_the_first_version() -> None:
    package = only("poetry.lock", POETRY_1_0)
    assert (package.name, package.version, package.groups) == ("alpha", "1.0", ("dev",))
    assert package.files == (wheel("Alpha-1.0-py3-none-any.whl", A),)


def test_poetry_lock_of_the_newest_version() -> None:
    alpha, delta, eta, zeta = read("poetry.lock", POETRY_2_1).packages
    assert alpha.groups == ("main", "dev")
    assert alpha.optional
    assert alpha.marker == "(extra == 'more') or (python_version < '3.12')"
    assert alpha.files == (wheel("alpha-1.0-py3-none-any.whl", A),)
    assert alpha.index == "https://index.example/simple"
    assert delta.origin == Origin(url=f"{FILES}/delta-0.1.zip")
    assert delta.marker == "python_version < '3.12'"
    assert eta.editable
    assert eta.origin == Origin(url="local", is_directory=True)
    assert zeta.origin == Origin(
        url="https://git.example/zeta", vcs="git", commit=COMMIT, revision="main"
    )


def test_pdm_lock_of_an_old_version() -> None:
    package = only(
        "pdm.lock",
        f"""\
[[package]]
name = "alpha"
version = "1.0"
[metadata]
lock_version = "4.1"
[metadata.files]
"alpha 1.0" = [{{url = "{FILES}/alpha-1.0-py3-none-any.whl", hash = "sha256:{A}"}}]
""",
    )
    url = f"{FILES}/alpha-1.0-py3-none-any.whl"
    assert package.files == (wheel("alpha-1.0-py3-none-any.whl", A, url),)


def test_pdm_lock_of_the_newest_version() -> None:
    alpha, eta, zeta = read(
        "pdm.lock",
        f"""\
[metadata]
lock_version = "4.5.1"
[[package]]
name = "alpha"
version = "1.0"
marker = "python_version < '3.12'"
groups = ["default", "dev"]
files = [{{file = "alpha-1.0-py3-none-any.whl", hash = "sha256:{A}"}}]
[[package]]
name = "eta"
version = "0.2"
editable = true
path = "./local"
[[package]]
name = "zeta"
version = "0.9"
git = "https://git.example/zeta"
ref = "main"
revision = "{COMMIT}"
""",
    ).packages
    assert (alpha.marker, alpha.groups) == ("python_version < '3.12'", ("default", "dev"))
    assert alpha.files == (wheel("alpha-1.0-py3-none-any.whl", A),)
    assert eta.origin == Origin(url="./local", is_directory=True)
    assert zeta.origin == Origin(
        url="https://git.example/zeta", vcs="git", commit=COMMIT, revision="main"
    )


def test_pipfile_lock() -> None:
    document = {
        "_meta": {"sources": [{"name": "local", "url": "https://index.example/simple"}]},
        "default": {
            "Alpha_x": {
                "version": "==1.0",
                "hashes": [f"sha256:{A}", f"sha256:{B}"],
                "index": "local",
                "markers": "python_version >= '3.8'",
            },
            "zeta": {"git": "https://git.example/zeta", "ref": COMMIT, "editable": True},
        },
        "develop": {"beta": {"version": "==2.0"}, "eta": {"path": "./local"}},
    }
    lock = read("Pipfile.lock", json.dumps(document))
    alpha, zeta, beta, eta = lock.packages
    assert (alpha.name, alpha.version, alpha.groups) == ("alpha-x", "1.0", ("default",))
    assert [file.hashes["sha256"] for file in alpha.files] == [A, B]
    assert alpha.index == "https://index.example/simple"
    assert zeta.editable
    assert zeta.origin == Origin(url="https://git.example/zeta", vcs="git", commit=COMMIT)
    assert (beta.version, beta.groups) == ("2.0", ("develop",))
    assert eta.origin == Origin(url="./local", is_directory=True)


def test_requirements() -> None:
    lock = read(
        "requirements-dev.txt",
        f"""\
# a comment
-r other.txt
-c constraints.txt
--index-url https://index.example/simple
Alpha.X[more,most]==1.0 ; python_version < "3.12" \\
    --hash=sha256:{A} \\
    --hash=sha256:{B}
    # via app
beta == 2.0  # pinned
gamma===3.0.final
delta (==4.0)
loose>=1
loosest
several==1.0,!=1.1
begins==5.*
archive @ {FILES}/archive-1.0.zip --hash=sha256:{A}
repo[x] @ git+ssh://git@git.example/repo.git@{COMMIT}#subdirectory=py ; os_name == "posix"
branch @ git+https://git.example/branch.git@main
-e git+https://git.example/named.git@{COMMIT}#egg=named
-e ./nameless
wheel @ file:///srv/wheels/wheel-1.0-py3-none-any.whl
folder @ file:///srv/folder
{FILES}/nameless-1.0.zip
last==6.0 \\
""",
    )
    found: dict[str, Any] = {package.name: package for package in lock.packages}
    versions = {name: package.version for name, package in found.items() if package.version}
    assert versions == {
        "alpha-x": "1.0",
        "beta": "2.0",
        "gamma": "3.0.final",
        "delta": "4.0",
        "begins": "5.*",
        "last": "6.0",
    }
    assert found["alpha-x"].marker == 'python_version < "3.12"'
    assert [file.hashes["sha256"] for file in found["alpha-x"].files] == [A, B]
    assert found["alpha-x"].index == "https://index.example/simple"
    origins = {name: package.origin for name, package in found.items() if package.origin}
    repo = "ssh://git@git.example/repo.git"
    assert origins == {
        "archive": Origin(url=f"{FILES}/archive-1.0.zip"),
        "repo": Origin(url=repo, vcs="git", commit=COMMIT, revision=COMMIT, subdirectory="py"),
        "branch": Origin(url="https://git.example/branch.git", vcs="git", revision="main"),
        "named": Origin(
            url="https://git.example/named.git", vcs="git", commit=COMMIT, revision=COMMIT
        ),
        "wheel": Origin(url="file:///srv/wheels/wheel-1.0-py3-none-any.whl"),
        "folder": Origin(url="file:///srv/folder", is_directory=True),
    }
    assert found["named"].editable


EXPLICIT = f"""\
# platform: linux-64
@EXPLICIT
{CHANNEL}/linux-64/numpy-2.1.0-py312_0.conda#{"d" * 32}
{CHANNEL}/noarch/tz-data-2024a-h0_1.tar.bz2#sha256:{A}
{CHANNEL}/linux-64/bare-1-0.conda
not a package
"""


@pytest.mark.parametrize("name", ["conda-explicit.txt", "requirements.txt", "conda-linux-64.lock"])
def test_explicit_lists_of_conda(name: str) -> None:
    lock = read(name, EXPLICIT)
    assert lock.kind == "conda-explicit"
    numpy, data, bare = lock.packages
    assert (numpy.name, numpy.version, numpy.build) == ("numpy", "2.1.0", "py312_0")
    assert (numpy.platform, numpy.index) == ("linux-64", CHANNEL)
    assert numpy.files[0].hashes == {"md5": "d" * 32}
    assert (data.name, data.version, data.build) == ("tz-data", "2024a", "h0_1")
    assert (data.files[0].kind, data.files[0].hashes) == ("conda", {"sha256": A})
    assert bare.files[0].hashes == {}


def test_conda_lock() -> None:
    lock = read(
        "conda-lock.yml",
        f"""\
version: 1
metadata: {{platforms: [linux-64]}}
package:
- name: numpy
  version: '2.1.0'
  manager: conda
  platform: linux-64
  url: {CHANNEL}/linux-64/numpy-2.1.0-py312_0.conda
  hash: {{md5: {"d" * 32}, sha256: {A}}}
  category: main
  optional: false
- name: idna
  version: '3.4'
  manager: conda
  platform: osx-arm64
  url: {CHANNEL}/noarch/idna-3.4-pyhd_0.tar.bz2
  hash: {{md5: {"e" * 32}}}
  category: dev
  optional: true
- name: Alpha_x
  version: 1.10
  manager: pip
  platform: linux-64
  url: {FILES}/alpha_x-1.10-py3-none-any.whl
  hash: {{sha256: {B}}}
  category: main
  optional: false
""",
    )
    numpy, idna, alpha = lock.packages
    assert (numpy.version, numpy.build, numpy.platform) == ("2.1.0", "py312_0", "linux-64")
    assert numpy.files[0].hashes == {"md5": "d" * 32, "sha256": A}
    assert (idna.platform, idna.groups, idna.optional) == ("osx-arm64", ("dev",), True)
    assert (alpha.ecosystem, alpha.name, alpha.version) == ("pypi", "alpha-x", "1.10")
    url = f"{FILES}/alpha_x-1.10-py3-none-any.whl"
    assert alpha.files == (wheel("alpha_x-1.10-py3-none-any.whl", B, url),)


PIXI_ENVIRONMENTS = f"""\
environments:
  default:
    channels: [{{url: {CHANNEL}/}}]
    packages:
      linux-64:
      - conda: {CHANNEL}/linux-64/numpy-2.1.0-py312_0.conda
      - pypi: {FILES}/alpha-1.0-py3-none-any.whl
      - pypi: ./local
  test:
    packages:
      linux-64:
      - conda: {CHANNEL}/linux-64/numpy-2.1.0-py312_0.conda
      osx-arm64:
      - pypi: {FILES}/alpha-1.0-py3-none-any.whl
"""
PIXI_5 = f"""\
version: 5
{PIXI_ENVIRONMENTS}
packages:
- kind: conda
  name: numpy
  version: 2.1.0
  build: py312_0
  subdir: linux-64
  url: {CHANNEL}/linux-64/numpy-2.1.0-py312_0.conda
  sha256: {A}
- kind: pypi
  name: alpha
  version: '1.0'
  url: {FILES}/alpha-1.0-py3-none-any.whl
  sha256: {B}
- kind: pypi
  name: eta
  version: '0.2'
  path: ./local
  sha256: {C}
  editable: true
"""
PIXI_6 = f"""\
version: 6
{PIXI_ENVIRONMENTS}
packages:
- conda: {CHANNEL}/linux-64/numpy-2.1.0-py312_0.conda
  sha256: {A}
  depends: [python]
- pypi: {FILES}/alpha-1.0-py3-none-any.whl
  name: alpha
  version: '1.0'
  sha256: {B}
- pypi: ./local
  name: eta
  version: '0.2'
  sha256: {C}
  editable: true
"""
PIXI_7 = PIXI_6.replace("version: 6", "version: 7\nplatforms: [{name: linux-64}]")


@pytest.mark.parametrize("text", [PIXI_5, PIXI_6, PIXI_7], ids=["5", "6", "7"])
def test_pixi_lock(text: str) -> None:
    numpy, here, there, eta = read("pixi.lock", text).packages
    assert (numpy.name, numpy.version, numpy.build) == ("numpy", "2.1.0", "py312_0")
    assert (numpy.platform, numpy.groups) == ("linux-64", ("default", "test"))
    assert numpy.files[0].hashes == {"sha256": A}
    assert (here.name, here.platform, here.groups) == ("alpha", "linux-64", ("default",))
    assert (there.name, there.platform, there.groups) == ("alpha", "osx-arm64", ("test",))
    url = f"{FILES}/alpha-1.0-py3-none-any.whl"
    assert here.files == there.files == (wheel("alpha-1.0-py3-none-any.whl", B, url),)
    assert eta.origin == Origin(url="./local", is_directory=True)
    assert eta.editable


def test_environment_yml() -> None:
    lock = read(
        "environment.yml",
        """\
name: x
channels: [forge]
dependencies:
- python=3.11
- forge::numpy==2.1.0
- scipy=1.14.0=py312_0
- pandas=2.*
- glob=1.0=py312*
- loose>=1
- bare
- pip
- pip:
  - Alpha_x==1.0
  - beta>=1
""",
    )
    found = [(item.ecosystem, item.name, item.version, item.build) for item in lock.packages]
    assert found == [
        ("conda", "python", "3.11.*", None),
        ("conda", "numpy", "2.1.0", None),
        ("conda", "scipy", "1.14.0", "py312_0"),
        ("conda", "pandas", "2.*", None),
        ("conda", "glob", "1.0", None),
        ("pypi", "alpha-x", "1.0", None),
    ]


@pytest.mark.parametrize("path", ["Cargo.lock", "go.sum", "renv.lock", "notes.txt", "uv.lock.bak"])
def test_files_that_are_no_such_lock(path: str) -> None:
    assert read_lock(path, b"anything") is None


DAMAGED = {
    "not TOML": ("uv.lock", "version = ", "is not TOML"),
    "not UTF-8": ("uv.lock", b"\xff", "is not UTF-8"),
    "another version": ("uv.lock", "version = 2", "is of a version of uv.lock other than 1"),
    "nothing": ("poetry.lock", "", "is of no known version of poetry.lock"),
    "nested arrays": ("uv.lock", f"a = {'[' * 10000}", "is nested too deeply"),
    "long keys": ("uv.lock", f"{'.'.join('a' * 100000)} = 1", "is nested too deeply"),
    "long table": ("pdm.lock", f"[{' . '.join(['a'] * 100)}]", "is nested too deeply"),
    "a long number": ("pylock.toml", f"a = {'9' * 5000}", "is not TOML"),
    "no lock-version": ("pylock.toml", "created-by = 'x'", "has no lock-version 1"),
    "not JSON": ("Pipfile.lock", "{", "is not JSON"),
    "nested JSON": ("Pipfile.lock", "[" * 100000, "is nested too deeply"),
    "no map": ("Pipfile.lock", "[]", "is not a map"),
    "no _meta": ("Pipfile.lock", "{}", "has no _meta, as a Pipfile.lock has"),
    "nested YAML": ("pixi.lock", "[" * 100, "is nested too deeply or has too many parts"),
    "not YAML": ("conda-lock.yml", "a: [", "is not YAML"),
    "control letters": ("environment.yml", "a: \x00", "is not YAML"),
    "YAML of no map": ("environment.yml", "- a", "is not a map"),
    "old pixi": ("pixi.lock", "version: 1", "is of no known version of pixi.lock"),
    "no list": ("conda-explicit.txt", "https://x", "has no line @EXPLICIT"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_files_are_named(case: str) -> None:
    name, text, reason = DAMAGED[case]
    data = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(InputError) as error:
        read_lock(f"sub/{name}", data)
    assert str(error.value) == f"sub/{name} {reason}; make the lock file again with its tool"


def test_long_gaps_in_a_line_take_no_time() -> None:
    line = f"alpha{' ' * 60000}=={' ' * 5000}1.0"
    assert only("requirements.txt", line).version == "1.0"
    assert read("requirements.txt", f"alpha{' ' * 60000}!").packages == ()
    assert read("requirements.txt", f"alpha=={'1' * 70000}").packages == ()


def test_aliases_of_yaml_do_not_multiply() -> None:
    text = "a: &a [x, x]\nb: &b [*a, *a]\ndependencies: [*b, *b, 'numpy==2.1']\n"
    assert [item.name for item in read("environment.yml", text).packages] == ["numpy"]


@pytest.mark.parametrize(
    "item",
    [
        'name = "a b"\nversion = "1"',
        'name = "--index-url=x"\nversion = "1"',
        "name = 1",
        'name = "a\\nb"',
        f'name = "{"a" * 1000}"',
    ],
)
def test_packages_whose_name_is_none_are_left_out(item: str) -> None:
    assert read("uv.lock", f"version = 1\n[[package]]\n{item}\n").packages == ()


def test_parts_that_cannot_be_true_are_left_out() -> None:
    package = only(
        "uv.lock",
        """\
version = 1
[[package]]
name = "a"
version = "1.0\\n--index-url https://evil.example"
source = { git = "https://git.example/a#--upload-pack=x" }
sdist = { url = "https://index.example/a 1.tar.gz", hash = "sha256:zz", size = -1 }
wheels = [1, {}, { url = "https://index.example/a-1-py3-none-any.whl", hash = 5, size = true }]
""",
    )
    assert package.version is None
    assert package.origin == Origin(url="https://git.example/a", vcs="git")
    url = "https://index.example/a-1-py3-none-any.whl"
    assert package.files == (LockedFile(name="a-1-py3-none-any.whl", kind="wheel", url=url),)
