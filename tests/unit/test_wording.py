"""How runs are put into words."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitprov.model.run import Command, Metric, Recorder, Run, Source, Usage
from gitprov.model.source_link import SourceLink, Step
from gitprov.model.wording import (
    command_text,
    duration_text,
    encodable,
    metrics_text,
    note_line,
    number_text,
    printable,
    run_line,
    signal_name,
    size_text,
    status_text,
)

SECOND = 1_000_000_000


def run(**fields: object) -> Run:
    whole = {
        "id": "k" * 32,
        "status": "completed",
        "started_ns": 0,
        "ended_ns": 3 * SECOND,
        "command": Command(argv=("true",)),
        "recorder": Recorder(purl="pkg:pypi/gitprov@0"),
        **fields,
    }
    return Run(**whole)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text", "plain text"),
        ("größe ≥ 3 日本 🎉", "größe ≥ 3 日本 🎉"),
        ("two\nlines\ttab", r"two\nlines\ttab"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("\x9b31m\x7f", r"\x9b31m\x7f"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("zero\u200bwidth\ufeff", r"zero\u200bwidth\ufeff"),
        ("line\u2028paragraph\u2029", r"line\u2028paragraph\u2029"),
        ("\udce9", r"\udce9"),
        ("\ue000", r"\ue000"),
        (b"caf\xc3\xa9", "café"),
        (b"caf\xe9\n", r"caf\xe9\n"),
    ],
)
def test_printable(text: str | bytes, shown: str) -> None:
    assert printable(text) == shown


@given(text=st.text(st.characters()) | st.binary())
def test_printable_text_is_safe_and_stays_so(text: str | bytes) -> None:
    shown = printable(text)
    assert not {unicodedata.category(letter) for letter in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert printable(shown) == shown
    shown.encode()


@given(text=st.text(st.characters()))
def test_encodable_text_has_a_utf8_form_and_is_else_unchanged(text: str) -> None:
    encodable(text).encode()
    if not any("\ud800" <= letter <= "\udfff" for letter in text):
        assert encodable(text) == text


def test_encodable_bytes_of_the_operating_system() -> None:
    assert encodable("caf\udce9") == r"caf\udce9"


def test_commands_as_typed() -> None:
    assert command_text(["python", "train.py", "--lr", "0.1"]) == "python train.py --lr 0.1"
    assert command_text(["sh", "-c", "echo 'a b'"]) == """sh -c 'echo '"'"'a b'"'"''"""
    assert command_text(["echo", "", "a\nb", b"caf\xe9"]) == r"echo '' 'a\nb' 'caf\xe9'"


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0ms"), (999_999, "0ms"), (840_000_000, "840ms"), (SECOND, "1.0s"),
        (3_240_000_000, "3.2s"), (59_940_000_000, "59.9s"), (59_960_000_000, "1m00s"),
        (60 * SECOND, "1m00s"), (192 * SECOND, "3m12s"), (3599 * SECOND, "59m59s"),
        (7500 * SECOND, "2h05m"), (86_399 * SECOND, "23h59m"), (3 * 86_400 * SECOND, "3d00h"),
    ],
)  # fmt: skip
def test_durations(nanoseconds: int, text: str) -> None:
    assert duration_text(nanoseconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (14_541, "14.2 KiB"),
        ((1 << 20) - 1, "1.0 MiB"), (1 << 20, "1.0 MiB"), (3 << 30, "3.0 GiB"),
        (1 << 40, "1.0 TiB"), (1 << 50, "1.0 PiB"), (1 << 62, "4096.0 PiB"),
    ],
)  # fmt: skip
def test_sizes(count: int, text: str) -> None:
    assert size_text(count) == text


def test_numbers() -> None:
    values = [0.97, 1.0, 1e-9, 123456789.0, "nan", "-inf"]
    assert [number_text(value) for value in values] == [
        "0.97", "1", "1e-09", "1.23457e+08", "nan", "-inf",
    ]  # fmt: skip


def test_statuses() -> None:
    assert status_text(run()) == "ok"
    assert status_text(run(status="failed", exit_code=3)) == "failed (exit 3)"
    assert status_text(run(status="failed", signal=9)) == "killed (SIGKILL)"
    assert status_text(run(status="failed", signal=250)) == "killed (signal 250)"
    assert status_text(run(status="failed")) == "failed"
    assert status_text(run(status="aborted", exit_code=1)) == "aborted"
    assert signal_name(15) == "SIGTERM"


def test_metrics() -> None:
    metrics = [Metric(name="acc", value=0.5), Metric(name="l\noss", value="nan")]
    assert metrics_text(metrics) == r"acc=0.5 l\noss=nan"
    assert metrics_text(metrics, 1) == "acc=0.5"
    assert metrics_text([]) == ""


def test_the_line_of_a_note() -> None:
    metrics = tuple(Metric(name=name, value=1.0) for name in "abcd")
    assert run_line(run(metrics=metrics, source=Source(dirty=True))) == (
        "run kkkkkkkk ok 3.0s a=1 b=1 c=1 true [uncommitted changes]"
    )
    timed = run(usage=Usage(wall_ns=SECOND // 2), command=Command(argv=("a", "b\nc")))
    assert run_line(timed) == r"run kkkkkkkk ok 500ms a 'b\nc'"


@pytest.mark.parametrize(
    ("hows", "known", "words"),
    [
        (["amend"], {"same_tree": True}, ""),
        (["amend"], {"same_tree": False}, " (amended; other code)"),
        (["amend", "rebase", "amend"], {"same_tree": False}, " (amended, rebased; other code)"),
        (["rebase"], {}, " (rebased)"),
    ],
)
def test_the_line_of_a_note_on_a_rewritten_commit(
    hows: list[str], known: dict[str, bool], words: str
) -> None:
    steps = tuple(Step(how, "a" * 40, "k" * 32, 0, None) for how in hows)
    link = SourceLink("a" * 40, "rewritten", "a" * 40, steps, **known)  # type: ignore[arg-type]
    assert note_line(run(), link) == f"run kkkkkkkk ok 3.0s true{words}"
