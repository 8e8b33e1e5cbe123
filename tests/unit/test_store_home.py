"""Where the chains of a remote live, by the settings."""

from collections.abc import Callable

import pytest

from gitprov.errors import RemoteFailed
from gitprov.store.home import Home, home_of, homes, remote_called, ways_out
from gitprov.store.refs import Shard
from gitprov.store.repository import Config

SHARD = Shard("ledger", "2026-11", "0a")


@pytest.fixture
def config() -> Callable[..., Config]:
    """Return a maker of configurations that have the remotes origin and lab."""

    def make(**settings: str) -> Config:
        items = {f"remote.{name}.url": "x" for name in ("origin", "lab")}
        items |= {name.replace("__", "."): value for name, value in settings.items()}
        return Config(b"".join(f"{name}\n{value}\0".encode() for name, value in items.items()))

    return make


def test_nearly_always_there_under_their_own_names(config: Callable[..., Config]) -> None:
    home = home_of(config(), "origin")
    assert home == Home("origin", "refs/prov")
    assert home.ref(SHARD) == SHARD.ref
    assert home.push_refspecs([SHARD]) == [f"{SHARD.ref}:{SHARD.ref}"]
    assert home.fetch_refspecs(["ledger", "keep"]) == [
        "+refs/prov/ledger/*:refs/prov-remote/origin/ledger/*",
        "+refs/prov/keep/*:refs/prov-remote/origin/keep/*",
    ]


def test_a_url_is_its_own_home(config: Callable[..., Config]) -> None:
    assert home_of(config(), "https://example.org/lab.git").remote == "https://example.org/lab.git"


def test_a_remote_by_its_url(config: Callable[..., Config]) -> None:
    settings = config(
        remote__lab__url="https://example.org/lab.git", remote__lab__pushurl="ssh://example.org/lab"
    )
    assert remote_called(settings, "lab") == "lab"
    assert remote_called(settings, "https://example.org/lab.git/") == "lab"
    assert remote_called(settings, "ssh://example.org/lab") == "lab"
    assert remote_called(settings, "https://example.org/") == "https://example.org/"


@pytest.mark.parametrize("name", ["refs/heads", "refs/heads/a.b/x@y", "refs/sandbox/prov"])
def test_other_places(config: Callable[..., Config], name: str) -> None:
    assert home_of(config(remote__origin__provnamespace=name), "origin").namespace == name


def test_among_branches(config: Callable[..., Config]) -> None:
    settings = config(remote__origin__provnamespace="refs/heads/prov")
    home = home_of(settings, "origin")
    assert home.push_refspecs([SHARD]) == [f"{SHARD.ref}:refs/heads/prov/ledger/2026-11/0a"]
    assert home.fetch_refspecs(["ledger"]) == [
        "+refs/heads/prov/ledger/*:refs/prov-remote/origin/ledger/*"
    ]
    assert home_of(settings, "lab").namespace == "refs/prov"
    everywhere = config(
        prov__remotenamespace="refs/heads/prov", remote__lab__provnamespace="refs/prov"
    )
    assert homes(everywhere) == [Home("lab", "refs/prov"), Home("origin", "refs/heads/prov")]


def test_at_another_remote(config: Callable[..., Config]) -> None:
    settings = config(remote__origin__provremote="lab", remote__lab__provnamespace="refs/heads/x")
    assert home_of(settings, "origin") == home_of(settings, "lab") == Home("lab", "refs/heads/x")
    assert homes(settings) == [Home("lab", "refs/heads/x")]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"remote__origin__provremote": "nobody"}, "git remote add nobody URL"),
        ({"remote__origin__provremote": "origin"}, "leads back to origin"),
        (
            {"remote__origin__provremote": "lab", "remote__lab__provremote": "origin"},
            "leads back to origin",
        ),
        *(
            ({"remote__origin__provnamespace": name}, "cannot be below")
            for name in (
                *("", "heads/prov", "refs", "refs/", "refs/a b", "refs/*", "refs//a"),
                *("refs/heads/prov/../x", "refs/heads/.prov", "refs/heads/prov.lock/x"),
                *("refs/heads/prov.", "refs/heads/@{x", "refs/heads/prov/"),
                *("refs/remotes", "refs/remotes/origin", "refs/prov-remote/x", "refs/prov-pin"),
            )
        ),
    ],
)
def test_settings_that_lead_astray(
    config: Callable[..., Config], settings: dict[str, str], reason: str
) -> None:
    with pytest.raises(RemoteFailed, match=reason):
        home_of(config(**settings), "origin")


def test_what_was_tried_is_no_way_out() -> None:
    assert "provNamespace" in ways_out(Home("origin"))
    assert "provNamespace" not in ways_out(Home("origin", "refs/heads/prov"))
    assert "remote.origin.provRemote" in ways_out(Home("origin", "refs/heads/prov"))
