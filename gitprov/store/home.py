"""Where the chains of a remote live: at which remote, and under which names.

Nearly always at that very remote, under the names that they have here. Some hosts take no
`refs/prov/*`: with `remote.<name>.provNamespace` the chains are elsewhere at the remote, such as
among its branches, and with `remote.<name>.provRemote` at another remote. Specification: section
10.1.
"""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gitprov.errors import RemoteFailed
from gitprov.store.git import Git
from gitprov.store.refs import OURS, REMOTE, Area, Shard
from gitprov.store.repository import Config

BRANCHES = "refs/heads/prov"

# What git takes for the name of a ref; not among those that say what one clone has seen or kept.
_PART = r"(?!\.)[^/\s~^:?*\[\\\x00-\x1f\x7f]+(?<!\.)(?<!\.lock)"
_NAMESPACE = re.compile(rf"refs/(?!remotes(?:/|\Z)|prov-)(?!.*(?:\.\.|@{{)){_PART}(?:/{_PART})*\Z")


class Home(NamedTuple):
    """The remote that has the chains, and what their names there begin with."""

    remote: str
    namespace: str = OURS

    def ref(self, shard: Shard) -> str:
        """Return the name of a chain there."""
        return f"{self.namespace}/{shard.area}/{shard.month}/{shard.shard}"

    def push_refspecs(self, shards: Sequence[Shard]) -> list[str]:
        """Return what sends chains there; nothing is forced."""
        return [f"{shard.ref}:{self.ref(shard)}" for shard in shards]

    def fetch_refspecs(self, areas: Sequence[Area]) -> list[str]:
        """Return what brings chains of these areas beside ours, never over them."""
        return [f"+{self.namespace}/{area}/*:{REMOTE}/{self.remote}/{area}/*" for area in areas]

    def shard_refspecs(self, shards: Iterable[Shard]) -> list[str]:
        """Return what brings these chains: patterns, since git fails where a name is not there."""
        return [f"+{self.ref(shard)}*:{shard.remote_ref(self.remote)}*" for shard in shards]


def remote_called(config: Config, name: str) -> str:
    """Return the remote that is called so, or has this URL; else the name as it is."""
    remotes = config.remotes()
    if name in remotes:
        return name
    for remote in remotes:
        urls = [*config.all(f"remote.{remote}.url"), *config.all(f"remote.{remote}.pushurl")]
        if name.rstrip("/") in (url.rstrip("/") for url in urls):
            return remote
    return name


def home_of(config: Config, remote: str) -> Home:
    """Return where the chains of a remote live; raise RemoteFailed where the settings lead astray.

    The remote of the result is its own home.
    """
    passed = [remote]
    while other := config.get(f"remote.{passed[-1]}.provremote"):
        setting = f"remote.{passed[-1]}.provRemote"
        if other in passed:
            raise RemoteFailed(f"{setting} leads back to {other}: name one that has the runs")
        if other not in config.remotes():
            raise RemoteFailed(
                f"{setting} names {other}, which is no remote; add it: git remote add {other} URL"
            )
        passed.append(other)
    home = passed[-1]
    everywhere = config.get("prov.remotenamespace", OURS)
    namespace = config.get(f"remote.{home}.provnamespace", everywhere)
    if namespace is None or not _NAMESPACE.match(namespace):
        raise RemoteFailed(
            f"the runs of {home} cannot be below {namespace}; as branches: {BRANCHES}"
        )
    return Home(home, namespace)


def homes(config: Config) -> list[Home]:
    """Return where the chains of all remotes live, each home once."""
    return list(dict.fromkeys(home_of(config, remote) for remote in config.remotes()))


def ways_out(home: Home) -> str:
    """Return what to do where a home takes no chains at all."""
    apart = f"git config remote.{home.remote}.provRemote NAME (at a remote of their own)"
    if home.namespace == BRANCHES:
        return f"{apart}, then: git prov init"
    branches = f"git config remote.{home.remote}.provNamespace {BRANCHES} (as branches there)"
    return f"{branches}, or: {apart}; then: git prov init"


def has_branches(git: Git, remote: str) -> bool:
    """Ask a remote whether others keep chains among its branches."""
    listed = git.call("ls-remote", "--quiet", remote, f"{BRANCHES}/ledger/*")
    return listed.returncode == 0 and bool(listed.stdout)
