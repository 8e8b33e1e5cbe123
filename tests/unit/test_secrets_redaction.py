"""Commitments for secrets: in texts and documents, by name, by form, and wherever one is known."""

import hashlib
import hmac
import multiprocessing
import re
import stat
from pathlib import Path
from typing import Any

import pytest

from gitprov.capture.secrets.allowed import Allowed
from gitprov.capture.secrets.commitments import COMMITMENT, commitment, load_salt
from gitprov.capture.secrets.redaction import Redactor, redactor_at
from gitprov.capture.secrets.scanner import Scanner
from gitprov.capture.secrets.wording import kept_out, reasons, without_numbers
from gitprov.errors import StoreDamaged

SALT = bytes(range(32))
TOKEN = "hf_" + "aBcDeFgHi" * 4
BY_NAME = "Secret by Name"


def redactor(allowed: Allowed = Allowed()) -> Redactor:  # noqa: B008
    return Redactor(Scanner(allowed), lambda: SALT, allowed=allowed)


def committed(value: str) -> str:
    return commitment(SALT, value)


class TestCommitment:
    def test_is_what_the_specification_says(self) -> None:
        digest = hmac.new(SALT, "pässword".encode(), hashlib.sha256).hexdigest()
        assert committed("pässword") == f"{{secret:{digest[:32]}}}"
        assert COMMITMENT.fullmatch(committed("x"))

    def test_depends_on_value_and_key(self) -> None:
        assert committed("a") != committed("b")
        assert committed("a") != commitment(bytes(32), "a")
        assert COMMITMENT.fullmatch(committed("caf\udce9"))

    def test_the_key_is_made_once_and_for_its_owner_alone(self, tmp_path: Path) -> None:
        salt = load_salt(tmp_path / "prov")
        assert len(salt) == 32
        assert load_salt(tmp_path / "prov") == salt
        assert load_salt(tmp_path / "other") != salt
        assert [path.name for path in (tmp_path / "prov").iterdir()] == ["salt"]
        assert stat.S_IMODE((tmp_path / "prov" / "salt").stat().st_mode) == 0o600

    def test_processes_that_need_it_at_once_get_the_same(self, tmp_path: Path) -> None:
        with multiprocessing.Pool(4) as pool:
            assert len(set(pool.map(load_salt, [tmp_path / "prov"] * 8))) == 1

    def test_a_damaged_key_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "salt").write_bytes(b"short")
        with pytest.raises(StoreDamaged, match="salt is damaged"):
            load_salt(tmp_path)


class TestText:
    def test_only_the_secret_is_replaced(self) -> None:
        text = f"see {TOKEN}, postgres://ada:hunter2@db"
        keeper = redactor()
        shown = keeper.text(text, "message")
        assert shown == f"see {committed(TOKEN)}, postgres://ada:{committed('hunter2')}@db"
        assert keeper.found == {"message": "Hugging Face Token, URL Credentials"}
        assert keeper.text(shown, "message") == shown

    def test_what_is_not_recorded_has_no_place(self) -> None:
        keeper = redactor()
        assert keeper.text(TOKEN) == committed(TOKEN)
        assert keeper.found == {}

    def test_bytes_that_are_no_text_stay(self) -> None:
        text = f"caf\udce9 {TOKEN} \udcff"
        assert redactor().text(text) == f"caf\udce9 {committed(TOKEN)} \udcff"

    @pytest.mark.parametrize(
        ("value", "text", "shown"),
        [
            ("hunter2hunter2", "xhunter2hunter2y", "x{}y"),
            ("postgres", "postgresql postgres", "postgresql {}"),
            ("pa/ss wo?rd", "say pa/ss wo?rd", "say {}"),
            ("hunter2", "hunter2", "hunter2"),  # too short to be known
        ],
    )
    def test_known_secrets(self, value: str, text: str, shown: str) -> None:
        keeper = redactor()
        keeper.learn(value, "Environment Variable")
        assert keeper.text(text) == shown.format(committed(value))

    def test_known_secrets_in_other_forms(self) -> None:
        keeper = redactor()
        keeper.learn("pa/ss wo?rd", "Environment Variable")
        keeper.learn("line one of it all\nline two of it all\nend\n", "Environment Variable")
        assert keeper.text("?x=pa%2Fss%20wo%3Frd&") == f"?x={committed('pa%2Fss%20wo%3Frd')}&"
        assert keeper.text("> line two of it all") == f"> {committed('line two of it all')}"
        assert keeper.text("end") == "end"

    def test_a_known_secret_within_another_is_one(self) -> None:
        keeper = redactor()
        keeper.learn("hunter2hunter2", "Environment Variable")
        text = "--password=hunter2hunter2-and-more9"
        assert keeper.text(text) == f"--password={committed('hunter2hunter2-and-more9')}"

    def test_what_is_learned_later_counts_for_texts_seen_before(self) -> None:
        keeper = redactor()
        assert keeper.text("say hunter2hunter2") == "say hunter2hunter2"
        keeper.learn("hunter2hunter2", BY_NAME)
        assert keeper.text("say hunter2hunter2") == f"say {committed('hunter2hunter2')}"


class TestDocument:
    def test_everything_that_is_text(self) -> None:
        keeper = redactor()
        document = {
            "message": f"see {TOKEN}",
            "tags": ["a", TOKEN],
            "params": {"lr": 0.1, "n": 3, "flag": True, TOKEN: "x", "note": TOKEN},
            "inputs": [{"uri": f"https://ada:{TOKEN}@h/x", "path": f"é/{TOKEN}".encode("latin-1")}],
            "missing": {f"inputs.{TOKEN}": f"cannot read {TOKEN}"},
        }
        shown = keeper.document(document)
        assert TOKEN not in repr(shown)
        assert repr(shown) == repr(document).replace(TOKEN, committed(TOKEN))
        kind = "Hugging Face Token"
        assert keeper.take_news() == {
            "message": kind,
            "tags[1]": kind,
            "params": kind,
            "params.note": kind,
            "inputs[0].uri": kind,
            "inputs[0].path": kind,
            "missing": kind,
            f"missing.inputs.{committed(TOKEN)}": kind,
        }
        assert keeper.take_news() == {}
        assert keeper.document(shown) == shown

    def test_what_is_no_text_is_left_alone(self) -> None:
        document = {
            "ended_ns": 1795278714000000000,
            "digest": {"sha256": b"hf_" + b"a" * 29},
            "outputs": [{"listing": "listing-" + "0a" * 32, "digest": {"sha256": bytes(32)}}],
            "metrics": [{"name": "loss", "value": 0.5}, {"name": "x", "value": "nan"}],
            "none": None,
        }
        assert redactor().document(document) == document

    def test_names_of_ours_are_those_of_the_format_alone(self) -> None:
        params = {"id": TOKEN, "digest": TOKEN}
        assert TOKEN not in repr(redactor().document({"params": params}))

    @pytest.mark.parametrize(
        ("name", "value", "secret"),
        [
            ("password", "hunter2", True),
            ("db.password", 12345678, True),
            ("password", 1234567.5, True),
            ("password", True, False),
            ("password", 0, False),
            ("password", "", False),
            ("api_key", "abc", True),
            ("token", 123456789, False),
            ("pad_token", "<pad>", False),
            ("pad_token", 32000, False),
            ("use_auth_token", True, False),
            ("password_file", "hunter2", False),
        ],
    )
    def test_names_of_parameters(self, name: str, value: Any, *, secret: bool) -> None:
        keeper = redactor()
        shown = keeper.document({"params": {name: value}})["params"][name]
        assert shown == (committed(str(value)) if secret else value)
        assert keeper.found == ({f"params.{name}": BY_NAME} if secret else {})

    def test_what_stands_within_a_secret_parameter(self) -> None:
        secrets = ["hunter2bb9", "hunter2cc9", "hunter2dd9", "hunter2ee9", "hunter2zz9"]
        params = {
            "api_keys": {"mine": secrets[0], "unused": "", "of": ["ada", secrets[1]]},
            "pwd": secrets[2],
            "hf_tokens": [secrets[3]],
            "auth": ["ada", secrets[4]],
            "secret": {"kind": "vault_v2_kv", "path": "/kv/one1/two2"},
            "primary_keys": ["user_id_2024"],
            "sort_key": "created_at_2",
            "PWD": "/home/ada/project-2024",
            "pass": "second",
        }
        shown = repr(redactor().document({"params": params}))
        expected = repr({"params": params})
        for secret in secrets:
            expected = expected.replace(secret, committed(secret))
        assert shown == expected

    def test_arguments(self) -> None:
        keeper = redactor()
        argv = ["train", "--password", "hunter2", "--api-key=abc", b"caf\xe9", "--lr", "0.1"]
        shown = keeper.document({"command": {"argv": argv}})["command"]["argv"]
        assert shown[:4] == [
            *("train", "--password", committed("hunter2")),
            f"--api-key={committed('abc')}",
        ]
        assert shown[4:] == argv[4:]
        assert keeper.found == {"command.argv[2]": BY_NAME, "command.argv[3]": BY_NAME}

    def test_what_a_name_gives_away_is_known_in_the_whole_document(self) -> None:
        document = {"message": "with hunter2hunter2", "params": {"password": "hunter2hunter2"}}
        shown = redactor().document(document)
        assert shown["message"] == f"with {committed('hunter2hunter2')}"

    def test_the_reason_for_a_secret_parameter_is_none(self) -> None:
        document = {"missing": {"params.password": "the file cannot be read"}}
        assert redactor().document(document) == document

    def test_what_is_allowed(self) -> None:
        document = {"params": {"password": "hunter2-EXAMPLE", "other_password": "hunter2"}}
        keeper = redactor(Allowed(patterns=(re.compile("EXAMPLE$"),)))
        assert keeper.document(document) == {
            "params": {"password": "hunter2-EXAMPLE", "other_password": committed("hunter2")}
        }
        keeper = redactor(Allowed(kinds=frozenset({BY_NAME})))
        assert keeper.document(document) == document


class TestSettings:
    def test_variables_whose_names_say_secret_are_known(self, tmp_path: Path) -> None:
        environ = {
            "DB_PASSWORD": "hunter2hunter2",
            "SSHPASS": "hunter3hunter3",
            "PASS": "hunter4hunter4",
            "MY_PASS": "hunter5hunter5",
            "OPENAI_KEY": "hunter6hunter6",
            "SLURM_JWT": "hunter7hunter7",
            "SHORT_PASSWORD": "hunter2",
            "PWD": "/home/ada/project-2024",
            "TEST_PASS": "second-2024",
            "SORT_KEY": "created-2024",
            "PAD_TOKEN": "padding-padding",
            "PASSWORD_FILE": "/run/secrets/password",
            "API_KEY": "${VAULT_KEY}",
        }
        keeper = redactor_at(tmp_path, None, environ)
        for name, value in environ.items():
            is_known = keeper.text(f"see {value}") != f"see {value}"
            assert is_known == (value.startswith("hunter") and len(value) > 8), name

    def test_no_key_is_made_where_there_is_no_secret(self, tmp_path: Path) -> None:
        keeper = redactor_at(tmp_path, None, {"DB_PASSWORD": "hunter2hunter2"})
        keeper.document({"message": "nothing"})
        assert not (tmp_path / "salt").exists()
        keeper.document({"message": "hunter2hunter2"})
        assert (tmp_path / "salt").exists()

    def test_with_wrong_settings_nothing_is_allowed(self, tmp_path: Path) -> None:
        (tmp_path / ".gitprov.toml").write_text('[secrets]\nallow-kind = ["Secret by Name"]\n')
        keeper = redactor_at(tmp_path / "prov", tmp_path, {})
        (problem,) = keeper.problems
        assert problem.startswith(".gitprov.toml")
        assert problem.endswith("so nothing is allowed")
        assert keeper.text("--password hunter2abc") != "--password hunter2abc"


class TestWording:
    def test_says_where_and_what_and_not_which(self) -> None:
        found = {f"params.p{number}": "Some Token" for number in range(5)}
        text = kept_out(found)
        assert "params.p0 (Some Token), params.p1 (Some Token), params.p2 (Some Token)" in text
        assert "2 more" in text
        assert ".gitprov.toml" in text
        assert reasons({"a": "Some Token"}) == {"a": "a secret (Some Token) stands as a commitment"}

    def test_places_in_a_part_of_a_list_have_no_numbers(self) -> None:
        assert without_numbers({"tags[3]": "A", "inputs[12].uri": "B"}) == {
            "tags": "A",
            "inputs.uri": "B",
        }
