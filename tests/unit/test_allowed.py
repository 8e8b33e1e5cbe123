"""`.gitprov.toml`: what is read from it, which slips are refused, what its globs stand for."""

import os
from pathlib import Path

import pytest

from gitprov.capture.secrets.allowed import Allowed, read_allowed
from gitprov.capture.settings_file import Settings, read_settings
from gitprov.errors import InputError
from tests.support.repositories import Clone


def write(top: Path, text: str | bytes) -> Path:
    (top / ".gitprov.toml").write_bytes(text.encode() if isinstance(text, str) else text)
    return top


def refusal(top: Path, text: str | bytes) -> str:
    with pytest.raises(InputError) as error:
        read_allowed(write(top, text))
    message = str(error.value)
    assert message.startswith(".gitprov.toml")
    return message


def test_without_a_file_nothing_is_allowed(tmp_path: Path) -> None:
    assert read_allowed(tmp_path) == read_allowed(None) == Allowed()
    assert read_settings(tmp_path) == Settings()
    assert read_allowed(write(tmp_path, "")) == Allowed()


def test_every_key_is_read(tmp_path: Path) -> None:
    write(
        tmp_path,
        '[secrets]\nallow-paths = ["tests/fixtures/**"]\nallow-patterns = ["EXAMPLE$"]\n'
        'allow-kinds = ["Secret Keyword"]\n[environment]\nrecord = ["CUDA_*"]\n'
        "system-packages = true\n",
    )
    found = read_allowed(tmp_path)
    assert found.allows_path("tests/fixtures/key.pem")
    assert not found.allows_path("tests/key.pem")
    assert found.allows("AKIAIOSFODNN7EXAMPLE", "AWS Access Key")
    assert not found.allows("EXAMPLEAKIAIOSFODNN7", "AWS Access Key")
    assert found.allows("whatever", "Secret Keyword")
    assert read_settings(tmp_path).environment.record == ("CUDA_*",)
    assert read_settings(tmp_path).environment.system_packages


def test_a_name_that_is_not_known_is_refused_with_the_nearest(tmp_path: Path) -> None:
    assert "secret is no section; did you mean secrets?" in refusal(tmp_path, "[secret]\n")
    message = refusal(tmp_path, '[secrets]\nallow-path = ["x"]\n')
    assert "allow-path is no key of [secrets]; did you mean allow-paths?" in message
    message = refusal(tmp_path, '[secrets]\nallow_kinds = ["x"]\n')
    assert "did you mean allow-kinds?" in message
    message = refusal(tmp_path, "[environment]\nzzz = []\n")
    assert "zzz is no key of [environment]; there is record" in message
    # What stands in one section does not pass in the other.
    assert "record is no key of [secrets]" in refusal(tmp_path, "[secrets]\nrecord = []\n")


@pytest.mark.parametrize("value", ["true", '"one"', "3", '["one", 2]', "[[]]", "{}"])
def test_a_value_of_another_type_is_refused(tmp_path: Path, value: str) -> None:
    message = refusal(tmp_path, f"[secrets]\nallow-paths = {value}\n")
    assert "secrets.allow-paths is a list of texts" in message


@pytest.mark.parametrize("value", ['"true"', "1", "[true]", "[]"])
def test_a_switch_is_true_or_false(tmp_path: Path, value: str) -> None:
    message = refusal(tmp_path, f"[environment]\nsystem-packages = {value}\n")
    assert "environment.system-packages is true or false" in message


def test_what_would_allow_everything_by_a_slip_is_refused(tmp_path: Path) -> None:
    for key in ("allow-paths", "allow-patterns", "allow-kinds"):
        message = refusal(tmp_path, f'[secrets]\n{key} = [""]\n')
        assert f"secrets.{key} holds an empty text" in message


def test_a_section_that_is_a_value_is_refused(tmp_path: Path) -> None:
    assert "secrets is a section: write [secrets]" in refusal(tmp_path, "secrets = 1\n")
    assert "secrets is a section" in refusal(tmp_path, "[[secrets]]\nallow-kinds = []\n")


def test_what_is_no_toml_is_refused_with_its_place(tmp_path: Path) -> None:
    assert "at line 2" in refusal(tmp_path, "[secrets]\nallow paths\n")
    assert "utf-8" in refusal(tmp_path, b"\xff")


def test_patterns_and_globs_that_cannot_be_understood_are_refused(tmp_path: Path) -> None:
    message = refusal(tmp_path, '[secrets]\nallow-patterns = ["(", "fine"]\n')
    assert "secrets.allow-patterns holds '(', no regular expression: " in message
    message = refusal(tmp_path, '[secrets]\nallow-paths = ["[z-a]"]\n')
    assert "secrets.allow-paths holds '[z-a]', no glob: " in message
    message = refusal(tmp_path, '[secrets]\nallow-paths = ["a[b"]\n')
    assert "holds 'a[b', no glob: [ without ]" in message
    assert "nothing is taken back" in refusal(tmp_path, '[secrets]\nallow-paths = ["!a"]\n')


def test_what_is_no_file_is_refused_and_holds_up_nothing(tmp_path: Path) -> None:
    place = tmp_path / ".gitprov.toml"
    os.mkfifo(place)
    with pytest.raises(InputError, match="is not a file"):
        read_allowed(tmp_path)
    place.unlink()
    place.mkdir()
    with pytest.raises(InputError, match="is not a file"):
        read_allowed(tmp_path)
    place.rmdir()
    place.symlink_to(".gitprov.toml")
    with pytest.raises(InputError, match="cannot be read"):
        read_allowed(tmp_path)
    place.unlink()
    write(tmp_path, b"#" * ((1 << 20) + 1))
    with pytest.raises(InputError, match="larger than 1 MiB"):
        read_allowed(tmp_path)


GLOBS = [
    ("key.pem", ["key.pem", "a/b/key.pem", "key.pem/below"], ["akey.pem", "key.pem2", "Key.pem"]),
    ("/key.pem", ["key.pem", "key.pem/a"], ["a/key.pem"]),
    ("a/key.pem", ["a/key.pem"], ["b/a/key.pem", "key.pem"]),
    ("fixtures/", ["fixtures/a", "b/fixtures/c/d"], ["fixtures"]),
    ("/a/b/", ["a/b/c"], ["a/b", "x/a/b/c"]),
    ("*.pem", ["a.pem", "b/a.pem", ".pem"], ["a.pe", "a.pem.txt"]),
    ("a/*.pem", ["a/b.pem"], ["a/b/c.pem", "a.pem"]),
    ("a?c", ["abc", "x/abc"], ["ac", "a/c", "abbc"]),
    ("tests/**", ["tests/a", "tests/a/b"], ["tests", "x/tests/a"]),
    ("**/keys", ["keys", "a/b/keys", "keys/a"], ["akeys"]),
    ("a/**/z", ["a/z", "a/b/z", "a/b/c/z"], ["a/bz", "az"]),
    ("**", ["a", "a/b"], []),
    ("[a-c]1", ["a1", "x/c1"], ["d1", "-1"]),
    ("[!a-c]1", ["d1"], ["a1", "/1"]),
    ("x[]]y", ["x]y"], ["xy"]),
    (r"\*a", ["*a"], ["ba", r"\*a"]),
    ("a.c+", ["a.c+"], ["abc+", "a.cc"]),
    ("one\ntwo", ["one\ntwo"], ["one"]),
]


@pytest.mark.parametrize(("glob", "yes", "no"), GLOBS, ids=[glob for glob, _, _ in GLOBS])
def test_globs(glob: str, yes: list[str], no: list[str]) -> None:
    allowed = Allowed(paths=(glob,))
    assert [path for path in yes if not allowed.allows_path(path)] == []
    assert [path for path in no if allowed.allows_path(path)] == []


def test_git_takes_the_same_globs_the_same_way(tmp_path: Path) -> None:
    clone = Clone.make(tmp_path / "repo", commit=False)
    wrong = []
    for glob, yes, no in GLOBS:
        if "\n" in glob:  # git's file has lines
            continue
        clone.write(".git/info/exclude", f"{glob}\n")
        paths = [path for path in (*yes, *no) if not path.startswith("/")]
        found = clone.git("check-ignore", "--no-index", "--", *paths, check=False).splitlines()
        unquoted = [path.strip('"').replace("\\\\", "\\") for path in found]
        if unquoted != [path for path in paths if path in yes]:
            wrong.append((glob, unquoted))
    assert wrong == []


def test_paths_that_are_no_text_can_be_allowed() -> None:
    assert Allowed(paths=("keys/",)).allows_path(b"keys/\xff\n.pem")
    assert Allowed(paths=("one", "two")).allows_path(b"two")
    assert not Allowed().allows_path(b"any")


def test_the_fingerprint_is_of_all_that_is_allowed(tmp_path: Path) -> None:
    texts = ["", *(f'[secrets]\nallow-{key} = ["x"]\n' for key in ("paths", "patterns", "kinds"))]
    found = {text: read_allowed(write(tmp_path, text)).fingerprint for text in texts}
    assert len(set(found.values())) == len(texts)
    assert found == {text: read_allowed(write(tmp_path, text)).fingerprint for text in texts}
    # The order of kinds says nothing.
    assert (
        Allowed(kinds=frozenset(["a", "b"])).fingerprint
        == Allowed(kinds=frozenset(["b", "a"])).fingerprint
    )
