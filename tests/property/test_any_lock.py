"""Any bytes under the name of a lock file are read as a lock, or refused with an error of ours."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gitprov.capture.environments.agreement import capture
from gitprov.capture.environments.kind import Request
from gitprov.capture.environments.locks import read_lock
from gitprov.capture.environments.locks.lock import Lock
from gitprov.capture.environments.versions import normal_form, same_python
from gitprov.codec.environment_files import read_environment
from gitprov.codec.environment_text import text
from gitprov.errors import GitprovError

NAMES = (
    "Pipfile.lock",
    "conda-explicit.txt",
    "conda-lock.yml",
    "environment.yml",
    "pdm.lock",
    "pixi.lock",
    "poetry.lock",
    "pylock.toml",
    "requirements.txt",
    "uv.lock",
)
# The words that readers look for, in places where they do not expect them, too.
KEYS = st.sampled_from(
    "package packages name version source files file url hash hashes marker markers groups vcs git "
    "archive directory sdist wheels path metadata lock_version lock-version _meta default conda "
    "pypi kind platform manager environments dependencies pip revision resolution-markers "
    "registry editable virtual category optional develop type commit-id size index sources".split()
)
WORDS = st.sampled_from(
    [
        *("1", "1.0", "4.5", "2.1", "a", "a==1", "sha256:" + "a" * 64, "conda", "pip", "linux-64"),
        *("https://x.example/linux-64/a-1-0.conda", "https://x.example/a-1.whl", "https://[/a.zip"),
        *("git", "git+https://x@y#z=1", "", "\x00", "\ud800", "a\nb", "../..", "${HOME}", "1.*"),
    ]
)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), WORDS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=6)),
    max_leaves=25,
)
# A package that is one at first sight, and what may stand in it.
PACKAGES = st.builds(
    lambda fields, name: {**fields, **name},
    st.dictionaries(KEYS, VALUES, max_size=8),
    st.fixed_dictionaries({"name": st.just("a")}, optional={"version": WORDS, "manager": WORDS}),
)
DOCUMENTS = st.builds(
    lambda fields, packages: {**fields, **packages},
    st.dictionaries(KEYS, VALUES, max_size=8),
    st.fixed_dictionaries(
        {},
        optional={
            "package": st.lists(PACKAGES, max_size=2),
            "packages": st.lists(PACKAGES, max_size=2),
            "default": st.dictionaries(st.sampled_from(["a", "b"]), PACKAGES, max_size=2),
            "dependencies": st.lists(WORDS, max_size=3),
        },
    ),
)
LINES = st.lists(
    st.one_of(
        st.text(max_size=30),
        WORDS,
        st.builds("{} = {}".format, KEYS, WORDS.map(json.dumps)),
        st.builds("[[{}]]".format, KEYS),
        st.builds("{}=={} --hash={} \\".format, KEYS, WORDS, WORDS),
        st.builds("- {}: {}".format, KEYS, WORDS),
        st.builds("{} @ {}".format, KEYS, WORDS),
        st.just("@EXPLICIT"),
    ),
    max_size=20,
).map(lambda lines: "\n".join(lines).encode("utf-8", "replace"))
quickly = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])


def check(name: str, data: bytes) -> None:
    try:
        lock = read_lock(name, data)
    except GitprovError as error:
        message = str(error)
        assert message.isprintable()
        assert message.startswith(name)
        return
    assert isinstance(lock, Lock)
    for package in lock.packages:
        assert package.name.isprintable()
        assert " " not in package.name
        assert package.version is None or package.version.isprintable()
        for file in package.files:
            assert file.url is None or file.url.isprintable()
            assert all(value.isalnum() for value in file.hashes.values())


@pytest.mark.parametrize("name", NAMES)
@quickly
@given(st.binary(max_size=200))
def test_any_bytes(name: str, data: bytes) -> None:
    check(name, data)


@pytest.mark.parametrize("name", NAMES)
@quickly
@given(LINES)
def test_any_lines(name: str, data: bytes) -> None:
    check(name, data)


@pytest.mark.parametrize("name", ["Pipfile.lock", "conda-lock.yml", "environment.yml", "pixi.lock"])
@quickly
@given(DOCUMENTS, st.sampled_from(["1", "5", "6", "7"]))
def test_any_document(name: str, document: dict[str, object], version: str) -> None:
    # JSON is YAML, too.
    check(name, json.dumps({"_meta": {"a": 1}, **document, "version": version}).encode())


@pytest.mark.parametrize("name", ["pdm.lock", "poetry.lock", "pylock.toml", "uv.lock"])
@quickly
@given(DOCUMENTS)
def test_any_tables(name: str, document: dict[str, object]) -> None:
    head = 'lock-version = "1.0"\nversion = 1\nmetadata = { lock_version = "4.5", a = 1 }\n'
    rows = [f"{key} = {_toml(value)}" for key, value in document.items() if key not in head]
    check(name, (head + "\n".join(rows)).encode("utf-8", "replace"))


@quickly
@given(st.dictionaries(st.sampled_from(NAMES), LINES, min_size=1))
def test_any_locks_are_compared(files: dict[str, bytes]) -> None:
    rows = [
        {"name": "name", "version": "1.0", "purl": "x"},
        {"name": "A", "version": "?", "purl": ""},
    ]
    found = {**files, "packages.json": text("packages.1", {"packages": rows})}
    request = Request(argv=[], cwd=Path("/"), top=None, env={}, cache=None, found=found)
    outcome = capture(request)
    read_environment(outcome.files, [])


@quickly
@given(st.lists(PACKAGES, min_size=1, max_size=3))
def test_any_packages(packages: list[dict[str, object]]) -> None:
    rows = _toml(packages)
    check("uv.lock", f"version = 1\npackage = {rows}".encode())
    check("pylock.toml", f'lock-version = "1.0"\npackages = {rows}'.encode())
    for name, version in (("poetry.lock", "lock-version"), ("pdm.lock", "lock_version")):
        check(name, f'metadata = {{ {version} = "4.1" }}\npackage = {rows}'.encode())
        check(name, f'metadata = {{ {version} = "2.1" }}\npackage = {rows}'.encode())
    named = {str(number): package for number, package in enumerate(packages)}
    check("Pipfile.lock", json.dumps({"_meta": {"a": 1}, "default": named}).encode())
    for number in ("1", "5", "6"):
        document = {"version": number, "package": packages, "packages": packages}
        check("conda-lock.yml", json.dumps(document).encode())
        check("pixi.lock", json.dumps(document).encode())


@quickly
@given(st.text(), st.text())
def test_any_versions(one: str, other: str) -> None:
    assert same_python(one, one)
    assert normal_form(normal_form(one)) == normal_form(one)
    assert isinstance(same_python(one, other), bool)


@quickly
@given(st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3}){0,3}(rc[0-9])?(\.post[0-9])?", fullmatch=True))
def test_zeros_at_the_end_do_not_count(version: str) -> None:
    packaging = pytest.importorskip("packaging.version", reason="needs the group `environments`")
    normal = normal_form(version)
    assert packaging.Version(normal) == packaging.Version(version)


def _toml(value: object) -> str:
    """Return a value as TOML; what it cannot have is text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(_toml(item) for item in value)}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, int) and abs(value) < 1 << 62:
        return str(value)
    return json.dumps(str(value).encode("utf-8", "replace").decode())
