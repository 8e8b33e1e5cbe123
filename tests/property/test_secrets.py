"""Laws of redaction, on generated texts: it happens once, spares the rest, and knows no chunks."""

import re
import string
from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gitprov.capture.secrets.allowed import Allowed
from gitprov.capture.secrets.commitments import COMMITMENT
from gitprov.capture.secrets.library import library_version, tokens
from gitprov.capture.secrets.redaction import Redactor
from gitprov.capture.secrets.scanner import Scanner
from gitprov.capture.secrets.stream import RedactedStream

list(tokens(library_version()))  # import it now: examples have a time limit

LETTERS = string.ascii_letters + string.digits
SLOW = settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])

words = st.text(string.ascii_lowercase, min_size=1, max_size=12)
values = st.from_regex(r"[a-z]{4}[A-Z]{2}[0-9]{2}[A-Za-z0-9]{4,30}", fullmatch=True)
secrets = st.one_of(
    values.map(lambda value: f"hf_{value:x<38}"),
    values.map(lambda value: f"--password {value}"),
    values.map(lambda value: f"DB_PASSWORD={value}"),
    values.map(lambda value: f'"api_key": "{value}"'),
    values.map(lambda value: f"https://ada:{value}@host/path"),
    values.map(lambda value: f"Authorization: Bearer {value}0000"),
    values.map(
        lambda value: (
            f"-----BEGIN PRIVATE KEY-----\n{value:a<64}\n{value}\n-----END PRIVATE KEY-----"
        )
    ),
)
ordinary = st.one_of(
    words,
    st.integers().map(str),
    st.floats().map(repr),
    st.binary(min_size=20, max_size=20).map(bytes.hex),
    st.uuids().map(str),
    st.sampled_from(["max_tokens=512", "pad_token", "--tokenizer bert", "sha256:", "tokens/s: 5"]),
)
ends = st.sampled_from([" ", "\n", "\r\n", "\r", ", ", "\t"])
lines = st.lists(st.tuples(st.one_of(ordinary, secrets), ends)).map(
    lambda parts: "".join(f"{part}{end}" for part, end in parts)
)
anything = st.one_of(lines, st.text(max_size=200))


def redactor() -> Redactor:
    return Redactor(Scanner(Allowed()), lambda: bytes(32))


@SLOW
@given(anything)
def test_what_is_redacted_stays(text: str) -> None:
    keeper = redactor()
    once = keeper.text(text)
    found = dict(keeper.found)
    assert keeper.text(once) == once
    assert keeper.found == found


@SLOW
@given(anything)
def test_everything_but_the_secrets_stays(text: str) -> None:
    keeper = redactor()
    found = keeper.find(text)
    assert all(a.end <= b.start for a, b in pairwise(found))
    kept, end = [], 0
    for secret in found:
        assert secret.start < secret.end
        kept.append(text[end : secret.start])
        end = secret.end
    kept.append(text[end:])
    assert re.fullmatch(COMMITMENT.pattern.join(map(re.escape, kept)), keeper.text(text))


@SLOW
@given(st.lists(st.tuples(ordinary, ends)))
def test_ordinary_text_stays(parts: list[tuple[str, str]]) -> None:
    text = "".join(f"{part}{end}" for part, end in parts)
    assert redactor().text(text) == text


@SLOW
@given(st.lists(st.tuples(words, secrets, words)))
def test_no_value_stays(parts: list[tuple[str, str, str]]) -> None:
    text = "\n".join(" ".join(part) for part in parts)
    shown = redactor().text(text)
    for _, secret, _ in parts:
        assert max(re.findall("[A-Za-z0-9]{10,}", secret), key=len) not in shown


@SLOW
@given(lines, st.lists(st.integers(0, 400)))
def test_a_stream_gives_the_same_however_it_is_cut(text: str, cuts: list[int]) -> None:
    stream = RedactedStream(redactor(), "output")
    data = text.encode()
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    given_away = [stream.feed(data[a:b]) for a, b in pairwise(places)]
    assert b"".join([*given_away, stream.end()]) == redactor().text(text).encode()


@SLOW
@given(st.dictionaries(words, st.one_of(anything, st.integers(), st.booleans(), st.floats())))
def test_documents_keep_their_shape(params: dict[str, object]) -> None:
    keeper = redactor()
    document = {"params": params, "tags": list(params)}
    once = keeper.document(document)
    assert keeper.document(once) == once or any(value != value for value in params.values())  # noqa: PLR0124
    assert len(once["tags"]) == len(params)
    for name, value in once["params"].items():
        assert isinstance(value, str | type(params[name]))
