"""Formats of recorded environments: what is in them, what is not, and what notes say of it."""

import tomllib
from dataclasses import replace
from typing import Any

import pytest

from gitprov.errors import InputError
from gitprov.exchange.environments import FORMATS, export
from gitprov.exchange.environments.pins import pins, sorted_out
from gitprov.exchange.environments.toml_text import value_text
from gitprov.model.environment import (
    Broken,
    CondaEnvironment,
    CondaPackage,
    Container,
    Editable,
    Environment,
    Interpreter,
    LanguageEnvironment,
    LibraryPackage,
    Origin,
    Package,
    PythonEnvironment,
    SystemPackages,
)

A, B = "a" * 64, "b" * 64
COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = "https://index.example/files"
UV = f"""\
version = 1
[[package]]
name = "alpha"
version = "1.0"
source = {{ registry = "https://index.example/simple" }}
sdist = {{ url = "{FILES}/alpha-1.0.tar.gz", hash = "sha256:{A}", size = 3 }}
wheels = [
    {{ url = "{FILES}/alpha-1.0-py3-none-any.whl", hash = "sha256:{B}" }},
    {{ url = "{FILES}/other-1.0-py3-none-any.whl", hash = "sha256:{B}" }},
]
[[package]]
name = "beta"
version = "2.0"
source = {{ registry = "https://index.example/simple" }}
wheels = [{{ url = "{FILES}/beta-2.0-py3-none-any.whl", hash = "sha256:{A}" }}]
"""
GIT = Origin(url="https://git.example/zeta", vcs="git", commit=COMMIT, revision="main")


def package(name: str, version: str, **fields: Any) -> Package:
    return Package(name=name, version=version, purl=f"pkg:pypi/{name}@{version}", **fields)


def environment(
    *packages: Package, locks: dict[str, str] | None = None, **more: Any
) -> Environment:
    interpreter = Interpreter(version="3.11.7", implementation="cpython", platform="linux-x86_64")
    files = {path: text.encode() for path, text in (locks or {}).items()}
    python = PythonEnvironment(interpreter=interpreter, packages=packages)
    return Environment(python=python, locks=files, **more)


LOCKED = (package("Alpha", "1.0.0"), package("beta", "2.0"))


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith("#")]


def test_pins_have_the_files_of_a_lock_for_their_very_version() -> None:
    found = environment(*LOCKED, package("gamma", "3.0"), locks={"uv.lock": UV})
    alpha, beta, gamma = pins(found)
    assert (alpha.name, alpha.version) == ("alpha", "1.0.0")
    assert alpha.hashes == (f"sha256:{A}", f"sha256:{B}")
    assert alpha.urls[0] == f"{FILES}/alpha-1.0.tar.gz"
    assert alpha.index == "https://index.example/simple"
    assert beta.hashes == (f"sha256:{A}",)
    assert (gamma.hashes, gamma.urls) == ((), ())
    other = environment(package("alpha", "1.1"), locks={"uv.lock": UV})
    assert pins(other)[0].hashes == ()


def test_the_lock_that_says_most_is_taken_and_damaged_ones_are_passed_over() -> None:
    locks = {
        "a/requirements.txt": f"beta==2.0 --hash=sha256:{B}\n",
        "uv.lock": UV,
        "z/uv.lock": "version =",
    }
    (beta,) = pins(environment(package("beta", "2.0"), locks=locks))
    assert beta.hashes == (f"sha256:{A}",)


def test_what_came_from_elsewhere_has_no_files_of_an_index() -> None:
    url = f"{FILES}/alpha-1.0-py3-none-any.whl"
    archive = Origin(url=url, hashes={"sha256": A, "md5": "d" * 32})
    editable = Editable(name="beta", path="/srv/beta", commit=COMMIT, dirty=True)
    folder = Origin(url="file:///srv/beta", is_directory=True)
    found = environment(
        package("alpha", "1.0", origin=archive),
        package("beta", "2.0", origin=folder, editable=True),
        locks={"uv.lock": UV},
        editables=(editable,),
    )
    alpha, beta = pins(found)
    assert alpha.hashes == (f"sha256:{A}",)
    assert alpha.urls == ()
    assert not alpha.is_local
    assert (beta.commit, beta.dirty, beta.is_local) == (COMMIT, True, True)


def test_credentials_of_indexes_are_not_handed_on() -> None:
    lock = UV.replace("https://index.example", "https://ada:open-sesame@index.example")
    found = environment(*LOCKED, locks={"uv.lock": lock})
    for form in ("requirements", "pylock", "dockerfile"):
        assert "sesame" not in export(found, form).text
    assert "https://index.example/files/alpha-1.0.tar.gz" in export(found, "pylock").text


def test_other_pythons_of_a_run_have_pins_too() -> None:
    found = environment(*LOCKED)
    other = PythonEnvironment(
        interpreter=Interpreter(version="3.12.0", implementation="cpython"),
        packages=(package("x", "1"),),
    )
    assert [pin.name for pin in pins(found, other)] == ["x"]
    assert pins(Environment()) == ()


EVIL = [
    package("a b", "1.0"),
    package("--index-url", "1.0"),
    package("a", "1.0\n--index-url https://evil.example"),
    package("a", "1.0 ; python_version"),
    package("a", "1", origin=Origin(url="https://evil.example/${HOME}/a.zip")),
    package("a", "1", origin=Origin(url="https://evil.example/a.zip --hash=x")),
    package("a", "1", origin=Origin(url="https://evil.example/a.zip\nb==1")),
    package("a", "1", origin=Origin(url="--index-url=x")),
    package("a", "1", origin=replace(GIT, commit="--upload-pack=x")),
    package("a", "1", origin=replace(GIT, commit=None)),
    package("a", "1", origin=replace(GIT, vcs="ext")),
    package("a", "1", origin=replace(GIT, subdirectory="../..")),
]


@pytest.mark.parametrize("evil", EVIL, ids=range(len(EVIL)))
@pytest.mark.parametrize("form", ["requirements", "pylock", "dockerfile"])
def test_what_could_mean_something_else_is_left_out_and_named(evil: Package, form: str) -> None:
    found = environment(*LOCKED, evil, locks={"uv.lock": UV})
    assert [pin.name for pin in pins(found)] == ["alpha", "beta"]
    assert len(sorted_out(found)[1]) == 1
    exported = export(found, form)
    assert exported.text == export(environment(*LOCKED, locks={"uv.lock": UV}), form).text
    assert any(note.startswith("left out: ") and note.isprintable() for note in exported.notes)


def test_requirements_with_hashes() -> None:
    found = environment(*LOCKED, package("pip", "23.2"), locks={"uv.lock": UV})
    exported = export(found, "requirements")
    assert exported.file_name == "requirements.txt"
    assert exported.text == (
        "# CPython 3.11.7, linux-x86_64\n"
        "# locked from https://index.example/simple\n"
        f"alpha==1.0.0 \\\n    --hash=sha256:{A} \\\n    --hash=sha256:{B}\n"
        f"beta==2.0 \\\n    --hash=sha256:{A}\n"
    )
    assert exported.notes == (
        "left out, as no lock names pip 23.2: new environments bring their own",
    )


def test_requirements_that_cannot_all_have_hashes() -> None:
    local = Origin(url="file:///srv/wheels/eta-0.2-py3-none-any.whl", hashes={"sha256": A})
    archive = Origin(url=f"{FILES}/delta-0.1.zip", hashes={"sha256": B}, subdirectory="py")
    found = environment(
        *LOCKED,
        package("delta", "0.1", origin=archive),
        package("eta", "0.2", origin=local),
        package("zeta", "0.9", origin=replace(GIT, subdirectory="py")),
        locks={"uv.lock": UV},
    )
    exported = export(found, "requirements")
    assert lines(exported.text) == [
        "alpha==1.0.0",
        "beta==2.0",
        f"delta @ {FILES}/delta-0.1.zip#subdirectory=py",
        f"zeta @ git+https://git.example/zeta@{COMMIT}#subdirectory=py",
    ]
    assert "# eta @ file:///srv/wheels/eta-0.2-py3-none-any.whl  # 0.2" in exported.text
    assert exported.notes == (
        "without hashes, which pip takes for all packages or none: repositories have none (zeta)",
        (
            "eta 0.2 was installed from file:///srv/wheels/eta-0.2-py3-none-any.whl: "
            "install it from there"
        ),
    )


def test_editable_installations_are_named_with_their_commit() -> None:
    found = environment(
        package("app", "0.1", origin=Origin(url="file:///w", is_directory=True), editable=True),
        editables=(Editable(name="App", path="/w", commit=COMMIT, dirty=True),),
    )
    exported = export(found, "requirements")
    assert f"# -e file:///w  # app 0.1 at {COMMIT}, with changes" in exported.text
    assert exported.notes == (
        (
            "app 0.1 was an editable installation of file:///w at 0123456789ab, with changes: "
            "install it from there"
        ),
    )


def test_broken_distributions_are_named() -> None:
    found = environment(*LOCKED, locks={"uv.lock": UV})
    assert found.python is not None
    broken = replace(found.python, broken=(Broken(entry="~lpha", reason="x"),))
    notes = export(replace(found, python=broken), "requirements").notes
    assert notes == ("broken where it was recorded, and left out: ~lpha",)


def test_pylock() -> None:
    archive = Origin(url=f"{FILES}/delta-0.1.zip", hashes={"sha256": B})
    folder = Origin(url="file:///srv/with%20blank/eta", is_directory=True)
    found = environment(
        *LOCKED,
        package("delta", "0.1", origin=archive),
        package("eta", "0.2", origin=folder, editable=True),
        package("pip", "23.2"),
        package("zeta", "0.9", origin=GIT),
        locks={"uv.lock": UV},
    )
    exported = export(found, "pylock")
    assert exported.file_name == "pylock.toml"
    document = tomllib.loads(exported.text)
    assert document["lock-version"] == "1.0"
    assert document["requires-python"] == "==3.11.*"
    alpha, beta, delta, eta, zeta = document["packages"]
    assert alpha == {
        "name": "alpha",
        "version": "1.0.0",
        "index": "https://index.example/simple",
        "sdist": {
            "name": "alpha-1.0.tar.gz",
            "url": f"{FILES}/alpha-1.0.tar.gz",
            "size": 3,
            "hashes": {"sha256": A},
        },
        "wheels": [
            {
                "name": "alpha-1.0-py3-none-any.whl",
                "url": f"{FILES}/alpha-1.0-py3-none-any.whl",
                "hashes": {"sha256": B},
            }
        ],
    }
    assert beta["wheels"][0]["hashes"] == {"sha256": A}
    assert delta["archive"] == {"url": f"{FILES}/delta-0.1.zip", "hashes": {"sha256": B}}
    assert eta["directory"] == {"path": "/srv/with blank/eta", "editable": True}
    assert zeta["vcs"] == {
        "type": "git",
        "url": "https://git.example/zeta",
        "requested-revision": "main",
        "commit-id": COMMIT,
    }
    assert "left out, as no lock names pip 23.2: new environments bring their own" in exported.notes


def test_pylock_needs_to_know_where_files_are() -> None:
    poetry = (
        '[metadata]\nlock-version = "2.0"\n[[package]]\nname = "gamma"\nversion = "3.0"\n'
        f'files = [{{file = "gamma-3.0-py3-none-any.whl", hash = "sha256:{A}"}}]\n'
    )
    found = environment(
        *LOCKED, package("gamma", "3.0"), locks={"poetry.lock": poetry, "uv.lock": UV}
    )
    assert f"gamma==3.0 \\\n    --hash=sha256:{A}\n" in export(found, "requirements").text
    with pytest.raises(InputError, match=r"gamma 3\.0 are.*--resolve.*--format requirements"):
        export(found, "pylock")


RECORDED = f"""\
# as it was written
lock-version = '1.0'
created-by = 'x'
[[packages]]
name = 'alpha'
version = '1.0'
wheels = [{{url = '{FILES}/alpha-1.0-py3-none-any.whl', hashes = {{sha256 = '{A}'}}}}]
[[packages]]
name = 'beta'
version = '2.0'
wheels = [{{url = '{FILES}/beta-2.0-py3-none-any.whl', hashes = {{sha256 = '{A}'}}}}]
"""


def test_a_recorded_pylock_that_is_exact_is_handed_out_as_it_is() -> None:
    locks = {"sub/pylock.toml": RECORDED, "uv.lock": UV}
    exact = environment(*LOCKED, package("pip", "23.2"), locks=locks)
    assert export(exact, "pylock").text == RECORDED
    fewer = environment(LOCKED[0], locks=locks)
    assert "created-by = 'x'" not in export(fewer, "pylock").text
    archive = package("delta", "0.1", origin=Origin(url=f"{FILES}/d.zip", hashes={"sha256": A}))
    more = environment(*LOCKED, archive, locks=locks)
    assert "created-by = 'x'" not in export(more, "pylock").text


NUMPY = CondaPackage(
    name="numpy",
    version="2.1.0",
    build="py312_0",
    channel="forge",
    subdir="linux-64",
    url="https://conda.example/forge/linux-64/numpy-2.1.0-py312_0.conda",
    md5="d" * 32,
    sha256=A,
)
CONDA = CondaEnvironment(prefix="/env", platform="linux-64", packages=(NUMPY,))


def test_conda_explicit() -> None:
    data = replace(NUMPY, name="data", md5=None)
    bare = replace(data, name="bare", sha256=None)
    found = environment(
        package("numpy", "2.1.0", installer="conda"),
        package("six", "1.16", installer="pip"),
        conda=replace(CONDA, packages=(NUMPY, data, bare)),
    )
    exported = export(found, "conda-explicit")
    assert exported.file_name == "conda-explicit.txt"
    assert exported.text.splitlines()[1:] == [
        "# platform: linux-64",
        "@EXPLICIT",
        f"{NUMPY.url}#{'d' * 32}",
        f"{NUMPY.url}#sha256:{A}",
        f"{NUMPY.url}",
    ]
    assert exported.notes[0] == "1 package has no digest: bare"
    assert "six" in exported.notes[1]


def test_conda_explicit_needs_urls() -> None:
    for url in (None, "https://conda.example/a b", "https://conda.example/a\n@x", "-x"):
        packages = (replace(NUMPY, url=url),)
        with pytest.raises(InputError, match="numpy"):
            export(Environment(conda=replace(CONDA, packages=packages)), "conda-explicit")
    with pytest.raises(InputError, match="no conda environment"):
        export(environment(*LOCKED), "conda-explicit")


def test_dockerfile() -> None:
    found = environment(
        *LOCKED,
        package("zeta", "0.9", origin=GIT),
        locks={"uv.lock": UV},
        languages={"R": LanguageEnvironment(packages=(LibraryPackage(name="x", version="1"),))},
        system_packages=SystemPackages(
            manager="dpkg", packages=(LibraryPackage(name="libc6", version="2.36"),)
        ),
    )
    exported = export(found, "dockerfile")
    assert exported.file_name == "Dockerfile"
    assert exported.text == (
        "# syntax=docker/dockerfile:1\n"
        "# CPython 3.11.7, linux-x86_64\n"
        "FROM python:3.11.7-slim\n"
        "RUN apt-get update \\\n"
        "    && apt-get install --yes --no-install-recommends git \\\n"
        "    && rm -rf /var/lib/apt/lists/*\n"
        "COPY <<'END_OF_LIST' /tmp/requirements.txt\n"
        "alpha==1.0.0\n"
        "beta==2.0\n"
        f"zeta @ git+https://git.example/zeta@{COMMIT}\n"
        "END_OF_LIST\n"
        "RUN python -m pip install --no-cache-dir --no-deps --requirement /tmp/requirements.txt\n"
        "WORKDIR /work\n"
    )
    assert "not covered: 1 package of the operating system" in exported.notes
    assert "not covered: 1 package of R" in exported.notes


def test_dockerfile_starts_from_the_image_of_the_run_where_its_digest_is_known() -> None:
    digest = f"sha256:{A}"
    for container, base in [
        (Container(runtime="docker", image="x/y:1", digest=digest), f"FROM x/y:1@{digest}"),
        (Container(runtime="docker", image=f"x/y@{digest}"), f"FROM x/y@{digest}"),
        (Container(runtime="docker", image="x/y:1"), "FROM python:3.11.7-slim"),
        (Container(runtime="docker", image="x\nRUN y", digest=digest), "FROM python:3.11.7-slim"),
        (Container(runtime="docker", digest=digest), "FROM python:3.11.7-slim"),
    ]:
        exported = export(environment(*LOCKED, container=container), "dockerfile")
        assert exported.text.splitlines()[2] == base
        assert any("container" in note or "image" in note for note in exported.notes)


def test_dockerfile_of_a_conda_environment() -> None:
    found = environment(
        package("numpy", "2.1.0", installer="conda", origin=Origin(url="file:///build/numpy")),
        package("six", "1.16", installer="pip"),
        conda=CONDA,
    )
    text = export(found, "dockerfile").text
    assert "FROM mambaorg/micromamba:2\n" in text
    assert f"@EXPLICIT\n{NUMPY.url}#{'d' * 32}\nEND_OF_LIST\n" in text
    assert "\nsix==1.16\nEND_OF_LIST\n" in text
    assert "numpy==" not in text


@pytest.mark.parametrize(
    ("version", "implementation", "base"),
    [
        ("3.14.0rc1", "cpython", "FROM python:3.14.0rc1-slim"),
        ("3.11.7+", "cpython", "FROM python:3.11.7-slim"),
        ("3.10.14", "pypy", "FROM pypy:3.10-slim"),
        ("3.11\nRUN x", "cpython", None),
        ("3.11.7", "graalpy", None),
    ],
)
def test_images_of_other_pythons(version: str, implementation: str, base: str | None) -> None:
    interpreter = Interpreter(version=version, implementation=implementation)
    found = Environment(python=PythonEnvironment(interpreter=interpreter, packages=LOCKED))
    if base is None:
        with pytest.raises(InputError, match="--format requirements"):
            export(found, "dockerfile")
    else:
        assert export(found, "dockerfile").text.splitlines()[2] == base


@pytest.mark.parametrize("form", sorted(set(FORMATS) - {"cyclonedx"}))
def test_an_empty_environment_is_refused(form: str) -> None:
    with pytest.raises(InputError):
        export(Environment(), form)


@pytest.mark.parametrize(
    ("form", "hint"),
    [
        ("requirement", "did you mean requirements?"),
        ("Docker", "did you mean dockerfile?"),
        ("\x1b[31m", "there are conda-explicit, cyclonedx, dockerfile, pylock, requirements"),
    ],
)
def test_unknown_formats(form: str, hint: str) -> None:
    with pytest.raises(InputError) as error:
        export(environment(*LOCKED), form)
    assert str(error.value).endswith(hint)
    assert str(error.value).isprintable()


@pytest.mark.parametrize(
    "value",
    [
        "",
        'a"b\\c',
        "tab\there",
        "\x00\x1b\x7f\u2028",
        "é 🐍",
        [],
        ["a", True, 3],
        {"a": {"b": "c"}},
    ],
)
def test_toml_is_read_as_it_was_meant(value: Any) -> None:
    assert tomllib.loads(f"x = {value_text(value)}\n") == {"x": value}


def test_no_export_has_the_variables_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_MINE", "open-sesame")
    found = environment(*LOCKED, locks={"uv.lock": UV})
    for form in ("requirements", "pylock", "dockerfile"):
        assert "sesame" not in export(found, form).text
