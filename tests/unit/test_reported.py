"""What a command reports: metrics lines, and files of parameters and metrics."""

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitprov.capture.reported import (
    Point,
    flatten,
    metric_value,
    parse_scalar,
    read_metrics_file,
    read_metrics_lines,
    read_params_file,
    scalar,
    step_number,
)
from gitprov.errors import InputError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3), ("-3", -3), ("0.1", 0.1), ("1e-3", 0.001), ("true", True), ("False", False),
        ("yes", "yes"), ("", ""), ("nan", "nan"), ("inf", "inf"), ("-0.0", 0.0), ("0x10", "0x10"),
        ("9" * 30, "9" * 30), ("18446744073709551615", (1 << 64) - 1), ("a b", "a b"),
        ("00123", "00123"), ("1_000", "1_000"), ("1e400", "inf"), ("1.", "1."),
        ("infinity", "infinity"),
    ],
)  # fmt: skip
def test_values_of_the_command_line(text: str, value: object) -> None:
    parsed = parse_scalar(text)
    assert parsed == value
    assert type(parsed) is type(value)


class Wrapped:
    """A scalar of some library."""

    ndim = 0

    def item(self) -> float:
        return math.inf


@pytest.mark.parametrize(
    ("given_value", "value"),
    [
        (True, True), (7, 7), (1 << 64, str(1 << 64)), (-(1 << 63) - 1, str(-(1 << 63) - 1)),
        (0.5, 0.5), (math.nan, "nan"), (-math.inf, "-inf"), ("text", "text"), (None, "None"),
        ([1], "[1]"), (Path("a/b"), "a/b"), (Wrapped(), "inf"),
    ],
)  # fmt: skip
def test_scalars(given_value: Any, value: object) -> None:
    kept = scalar(given_value)
    assert kept == value
    assert type(kept) is type(value)


def test_negative_zero_is_zero() -> None:
    for kept in (scalar(-0.0), metric_value(-0.0)):
        assert math.copysign(1, float(kept)) == 1


@pytest.mark.parametrize(
    ("wrong", "error"), [("x", ValueError), (None, TypeError), (10**400, ValueError)]
)
def test_what_is_no_metric(wrong: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        metric_value(wrong)


@pytest.mark.parametrize("wrong", [1 << 63, -(1 << 63) - 1, "x"])
def test_what_is_no_step(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"64 bits|invalid literal"):
        step_number(wrong)


def test_nested_names() -> None:
    tree = {"a": {"b": [1, {"c": 2}], "empty": {}}, 3: ("x",), "bad\nname\u202e": 1}
    assert flatten(tree) == {  # type: ignore[arg-type]
        "a.b.0": 1,
        "a.b.1.c": 2,
        "3.0": "x",
        r"bad\nname\u202e": 1,
    }


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b"acc=0.5", Point("acc", 0.5, None)),
        (b"  acc=0.5  ", Point("acc", 0.5, None)),
        (b"acc=0.5 step=3", Point("acc", 0.5, 3)),
        (b"acc=0.5   step=-3", Point("acc", 0.5, -3)),
        (b"by.class/0=1e3", Point("by.class/0", 1000.0, None)),
        (b"acc=nan", Point("acc", "nan", None)),
        (b"acc=-Infinity", Point("acc", "-inf", None)),
        (b"a\x1b[31m=1", Point(r"a\x1b[31m", 1.0, None)),
        (b"caf\xe9=1", Point("caf\ufffd", 1.0, None)),
        (b"acc", "acc"),
        (b"=1", "=1"),
        (b"acc=", "acc="),
        (b"acc=high", "acc=high"),
        (b"acc = 1", "acc = 1"),
        (b"acc=1 epoch=2", "acc=1 epoch=2"),
        (b"acc=1 step=x", "acc=1 step=x"),
        (b"acc=1 step=1.5", "acc=1 step=1.5"),
        (b"acc=1 step=99999999999999999999", "acc=1 step=99999999999999999999"),
    ],
)
def test_lines(line: bytes, found: Point | str) -> None:
    assert list(read_metrics_lines(line + b"\n")) == [found]


def test_many_lines() -> None:
    data = b"\na=1\r\n\n \nb=2\nbad\nc=3"
    assert [point[0] for point in read_metrics_lines(data)] == ["a", "b", "b", "c"]


@given(data=st.binary() | st.text().map(lambda text: f"{text}={text} step={text}".encode()))
def test_any_bytes_are_points_or_text(data: bytes) -> None:
    for found in read_metrics_lines(data):
        assert isinstance(found, Point | str)


PARAMS = {"lr": 0.1, "net.layers.0": 3, "net.layers.1": 4, "on": True, "by": "adam"}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.json", '{"lr": 0.1, "net": {"layers": [3, 4]}, "on": true, "by": "adam"}'),
        ("p.yaml", "lr: 0.1\nnet: {layers: [3, 4]}\n'on': true\nby: adam\n"),
        ("p.yml", "lr: 0.1\nnet: {layers: [3, 4]}\n'on': true\nby: adam\n"),
        ("p.toml", 'lr = 0.1\non = true\nby = "adam"\nnet.layers = [3, 4]\n'),
    ],
)
def test_parameter_files(tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    assert read_params_file(path) == PARAMS
    assert {point.name: point.value for point in read_metrics_file(path)} == {
        "lr": 0.1,
        "net.layers.0": 3.0,
        "net.layers.1": 4.0,
    }


def test_values_without_a_form_of_their_own_become_text(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("day: 2024-01-02\nnone:\nnan: .nan\nbig: 123456789012345678901234567890\n")
    assert read_params_file(path) == {
        "day": "2024-01-02",
        "none": "None",
        "nan": "nan",
        "big": "123456789012345678901234567890",
    }


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("p.json", b"{", "cannot read"),
        ("p.json", b"[1]", "holds no names and values"),
        ("p.json", b"\xff\xfe{", "cannot read"),
        ("p.json", b'{"a":' * 100_000, "cannot read"),
        ("p.toml", b"a = ", "cannot read"),
        ("p.toml", b"a = '\xff'", "cannot read"),
        ("p.yaml", b"a: [", "cannot read"),
        ("p.yaml", b"a: &a [*a]", "nested too deeply"),
        ("p.yaml", b"a: !!python/object/apply:os.getcwd []", "cannot read"),
        ("p.yaml", b"a: 2001-99-99", "cannot read"),
        ("p.yaml", b"", "holds no names and values"),
        ("p.ini", b"a=1", "is not .json, .yaml or .toml"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    for read in (read_params_file, read_metrics_file):
        with pytest.raises(InputError, match=words) as caught:
            read(path)
        assert str(path) in str(caught.value)


def test_a_number_that_is_too_large_for_a_metric(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_text('{"a": 1' + "0" * 400 + "}")
    with pytest.raises(InputError, match="a: the integer is too large"):
        read_metrics_file(path)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_params_file(tmp_path / "gone.json")
    with pytest.raises(InputError, match="Is a directory"):
        read_params_file(tmp_path)
