"""Values of git's configuration, as gitprov reads them."""

import pytest

from gitprov.errors import GitFailed
from gitprov.store.repository import Config


def config(value: str) -> Config:
    return Config(f"prov.x\n{value}\0".encode())


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("90", 90), ("90s", 90), ("5m", 300), ("2h", 7200), ("2H", 7200), ("1d", 86400), ("0", 0)],
)
def test_durations(value: str, seconds: float) -> None:
    assert config(value).duration("prov.x", 1) == seconds


def test_default_duration() -> None:
    assert Config(b"").duration("prov.x", 1.5) == 1.5
    assert config("").duration("prov.x", 1.5) == 1.5


@pytest.mark.parametrize("value", ["soon", "-5m", "5x", "m", "1.5h", "5 m", "²s", "1h30m"])
def test_no_durations(value: str) -> None:
    with pytest.raises(GitFailed, match="is not a time, as 90m is"):
        config(value).duration("prov.x", 1)
