"""What a command reports without importing anything: metrics lines, and files it writes.

`$GITPROV_METRICS` names a file to which a command may append lines `name=value` (with
`step=N` after a space). `--metrics FILE` and `--params FILE` name JSON, YAML or TOML files.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from gitprov.errors import InputError
from gitprov.model.run import Scalar
from gitprov.model.wording import printable

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?P<fraction>\.[0-9]+)?(?P<exponent>[eE][-+]?[0-9]+)?\Z")
_INT_MIN, _INT_MAX = -(1 << 63), (1 << 64) - 1
_STEP_MAX = (1 << 63) - 1


class Point(NamedTuple):
    """One value of a metric."""

    name: str
    value: float | str
    step: int | None


def parse_scalar(text: str) -> Scalar:
    """Return the bool, int, float or text that a command line value stands for.

    Numbers are those of JSON: 00123, which may be a postal code, and 1_000 stay text.
    """
    if text in ("true", "True", "false", "False"):
        return text in ("true", "True")
    number = _NUMBER.match(text)
    if number is None:
        return text
    return scalar(float(text) if number["fraction"] or number["exponent"] else int(text))


def scalar(value: Any) -> Scalar:
    """Return a parameter's value in the form that records keep; what has none, as text."""
    if isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return value if _INT_MIN <= value <= _INT_MAX else str(value)
    if isinstance(value, float):
        return (value or 0.0) if math.isfinite(value) else str(float(value))
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "ndim", None) == 0:
        return scalar(item())  # a NumPy or PyTorch scalar
    return str(value)


def step_number(value: Any) -> int:
    """Return a step as an integer; raise ValueError beyond 64 bits, TypeError for no number."""
    number = int(value)
    if not _INT_MIN <= number <= _STEP_MAX:
        raise ValueError(f"the step {number} does not fit into 64 bits")
    return number


def metric_value(value: Any) -> float | str:
    """Return a metric's value: a finite float64, or `nan`, `inf`, `-inf` as text.

    Raises TypeError or ValueError for what is not a number.
    """
    try:
        number = float(value)
    except OverflowError as error:
        raise ValueError("the integer is too large for a metric") from error
    return (number or 0.0) if math.isfinite(number) else str(number)


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested maps and lists as one map with dotted names, control characters escaped."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        name = prefix + printable(str(key))
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{name}.")
        elif isinstance(value, list | tuple):
            flat |= flatten({str(index): item for index, item in enumerate(value)}, f"{name}.")
        else:
            flat[name] = value
    return flat


def read_params_file(path: Path) -> dict[str, Scalar]:
    """Return the parameters in a JSON, YAML or TOML file; raise InputError."""
    return {name: scalar(value) for name, value in _read_flat(path).items()}


def read_metrics_file(path: Path) -> list[Point]:
    """Return the numbers in a JSON, YAML or TOML file; raise InputError."""
    points = []
    for name, value in _read_flat(path).items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            try:
                points.append(Point(name, metric_value(value), None))
            except ValueError as error:
                raise InputError(f"cannot read {path}: {name}: {error}") from error
    return points


def read_metrics_lines(data: bytes) -> Iterator[Point | str]:
    """Yield the points of a `$GITPROV_METRICS` file, and each line that is none as text."""
    for line in data.decode("utf-8", "replace").splitlines():
        if line.strip():
            yield _point(line.strip()) or line.strip()


def _point(line: str) -> Point | None:
    assignment, _, rest = line.partition(" ")
    name, equals, value = assignment.partition("=")
    key, _, digits = rest.strip().partition("=")
    if not name or not equals or (rest.strip() and key != "step"):
        return None
    try:
        step = step_number(digits) if digits else None
        return Point(printable(name), metric_value(value), step)
    except ValueError:
        return None


def _read_flat(path: Path) -> dict[str, Any]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    try:
        content = _parse(path, data)
    except (ValueError, RecursionError) as error:
        raise InputError(f"cannot read {path}: {error}") from error
    if not isinstance(content, Mapping):
        raise InputError(f"{path} holds no names and values")
    try:
        return flatten(content)
    except RecursionError as error:  # in YAML, a list can hold itself
        raise InputError(f"cannot read {path}: it is nested too deeply") from error


def _parse(path: Path, data: bytes) -> Any:
    """Parse by the file's ending. Parsers are imported late: few runs need any."""
    if path.suffix in (".yaml", ".yml"):
        import yaml  # noqa: PLC0415

        try:
            return yaml.safe_load(data)
        except yaml.YAMLError as error:
            raise InputError(f"cannot read {path}: {error}") from error
    if path.suffix == ".toml":
        import tomllib  # noqa: PLC0415

        return tomllib.loads(data.decode())
    if path.suffix == ".json":
        return json.loads(data)
    raise InputError(f"{path} is not .json, .yaml or .toml")
