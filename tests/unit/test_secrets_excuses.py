"""Values that are no secret, whatever their name says."""

import pytest

from gitprov.capture.secrets.excuses import is_prose, looks_drawn, may_be_secret


@pytest.mark.parametrize(
    "value",
    [
        *("hunter2", "s", "correct horse", "1234", "123456", "/x9K2abcdefgh", "abc/def+ghi="),
        *("pa$$word", "é", "abcdefgh", "3f2504e0-4f89-11d3-9a0c-0305e82c3301"),
    ],
)
def test_values_that_may_be_secrets(value: str) -> None:
    assert may_be_secret(value)


@pytest.mark.parametrize(
    "value",
    [
        *("", "  ", "none", "None", "true", "False", "off", "12", "0.5", "****", "xxxx", "..."),
        *("{password}", "<token>", "${TOKEN}", "$TOKEN", "%TOKEN%", "{secret:" + "0" * 32 + "}"),
        *("~/.ssh/id_rsa", "/etc/keys/server.pem", "key.json", "./token.txt", "../keys/one"),
        *("os.environ['TOKEN']", "get_secret('name')", "args.password", "env:TOKEN", "[CLS]"),
        *("password", "Secret", "YOUR-API-KEY", "your token here", ":token", "!vault |"),
        *("%s", "%(password)s", "%lu:%d:", "Bearer {token}", "//{}:x", "arn:aws:kms:x:1:y"),
        *("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    ],
)
def test_values_that_are_none(value: str) -> None:
    assert not may_be_secret(value)


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("password", "1234", True),
        ("DB_PASS", "12345678", True),
        ("password", "123", False),
        ("token", "128009", False),
        ("secret_seed", "12345", False),
        ("hf_tokens", "12_345_678", False),
        ("last_secret", "1556311319.069", False),
        ("token", "1" * 30, True),
    ],
)
def test_numbers_are_secrets_behind_passwords(name: str, value: str, *, secret: bool) -> None:
    assert may_be_secret(value, name) == secret


@pytest.mark.parametrize(
    ("value", "prose"),
    [
        *((word, True) for word in ("word", "required!", "cfg.api.key", " hello", "don't")),
        *((word, True) for word in ("##ization", "▁token", "Ġinternational", "get_it(x")),
        *((word, False) for word in ("hunter2abc", "corr3ct-horse", "p@ssw!rd")),
        ("_".join("a" * 2000) + "9", False),  # and takes no time
    ],
)
def test_words_and_code(value: str, *, prose: bool) -> None:
    assert is_prose(value) == prose


@pytest.mark.parametrize(
    ("value", "drawn"),
    [
        *((value, True) for value in ("hunter2zz", "Tr0ub4dor3", "a1-b2-c3-d4")),
        *((value, False) for value in ("hunter2", "12345678", "swordfish", "${VAULT1234}")),
        *(
            (value, False)
            for value in ("/home/ada/x1", "C:\\x1y2z3w4", "host:8080abc", "a 1 b 2 c 3")
        ),
    ],
)
def test_what_looks_drawn(value: str, *, drawn: bool) -> None:
    assert looks_drawn(value) == drawn
