"""On a host, before a push is taken: what it brings under `refs/prov/` is checked.

Git asks once for the whole push, so one ref that is refused keeps out all of them. Other refs are
not looked at. Notes neither, `refs/notes/prov` included: they are derived, and no evidence.
"""

import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from gitprov.errors import GitprovError
from gitprov.model.wording import plural, printable
from gitprov.store.git import Git, quarantine
from gitprov.store.incoming import Incoming, Limits
from gitprov.store.refs import OURS, parse_shard
from gitprov.store.repository import Config, Repository
from gitprov.store.transfer import REFUSED

_OFF = ("off", "false", "no", "0")
# More would be one and the same mistake.
_SAID = 20


class Update(NamedTuple):
    """A ref that is to be moved; None stands for no object."""

    old: str | None
    new: str | None
    ref: str


def may_be_taken(lines: Iterable[str]) -> bool:
    """Say whether git may take a push, given as git gives it to hooks; say on stderr why not."""
    pushed = [_update(line) for line in lines]
    updates = [update for update in pushed if _is_ours(update.ref)]
    repository = Repository.discover()
    config = repository.config
    if not updates or is_off(config):
        return True
    git = Git(repository.git_dir, env=quarantine())
    incoming = Incoming(git, _limits(config), repository.prov_dir)
    try:
        refused = dict(_refusals(incoming, updates)) or dict(incoming.conflicts())
        if not refused:
            incoming.remember()
    finally:
        incoming.close()
    for ref, reason in islice(refused.items(), _SAID):
        _say(f"{REFUSED}{ref}: {reason}")
    if len(refused) > _SAID:
        _say(f"{REFUSED}{plural(len(refused) - _SAID, 'more ref')}")
    others = len(pushed) - len(refused)
    if refused and others:
        stay = "stays as it is" if others == 1 else "stay as they are"
        _say(f"git takes a push as a whole: {plural(others, 'other ref')} {stay}, too")
    return not refused


def is_off(config: Config) -> bool:
    """Say whether a host lets everything pass."""
    return (config.get("prov.receive") or "on").lower() in _OFF


def _is_ours(ref: str) -> bool:
    """Say whether a ref has a name that is gitprov's own."""
    return ref == OURS or ref.startswith((f"{OURS}/", f"{OURS}-"))


def _limits(config: Config) -> Limits:
    """Return what a host takes, by its configuration."""
    usual = Limits()
    return Limits(
        config.size("prov.receive.maxrecordsize", usual.record),
        config.size("prov.receive.maxledgersize", usual.ledger),
        config.size("prov.receive.maxpayloadsize", usual.payload),
    )


def _refusals(incoming: Incoming, updates: Iterable[Update]) -> Iterator[tuple[str, str]]:
    """Yield the refs that must not be moved so, and why."""
    for old, new, ref in updates:
        shard = parse_shard(ref)
        if ref.startswith(f"{OURS}-"):
            yield ref, "a clone keeps such refs for itself, they have no place on a host"
        elif shard is None:
            yield ref, "this is not the name of a chain"
        elif new is None:
            yield ref, "a push cannot delete a chain"
        else:
            try:
                incoming.check(shard, old, new)
            except GitprovError as error:
                yield ref, str(error)


def _update(line: str) -> Update:
    old, new, ref = line.rstrip("\n").split(" ", 2)
    return Update(_object(old), _object(new), ref)


def _object(name: str) -> str | None:
    return name if name.strip("0") else None


def _say(message: str) -> None:
    print(f"gitprov: {printable(message)}", file=sys.stderr)
