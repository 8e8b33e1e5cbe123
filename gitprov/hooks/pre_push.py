"""Before an ordinary push: the ledger goes along. Runs only; never source."""

import sys

from gitprov.errors import GitprovError
from gitprov.hooks.calling_git import is_rehearsal
from gitprov.hooks.catching_up import remember_remotes
from gitprov.model.wording import plural, printable
from gitprov.recorder.recovery import catch_up
from gitprov.store.home import home_of, remote_called
from gitprov.store.store import Store
from gitprov.store.sync import push

# The user's own push waits: what is left goes with the next.
_ATTEMPTS = 2


def send_ledger(remote: str) -> None:
    """Send the runs that the remote does not have. Raises nothing: the user's push goes on."""
    try:
        store = Store.open()
        config = store.repository.config
        remote = remote_called(config, remote)
        if not config.flag("prov.autopush", default=True) or remote not in config.remotes():
            return
        if is_rehearsal():
            _say(f"the runs that {remote} does not have go with the push")
            return
        remote = home_of(config, remote).remote
        catch_up(store)
        done = push(store, remote, ["ledger"], attempts=_ATTEMPTS, hurried=True)
        remember_remotes(store)
    except (GitprovError, OSError) as error:
        _say(f"runs were not sent: {error}; later: git prov push {remote}")
        return
    if done.runs:
        _say(f"sent {plural(done.runs, 'run')} to {remote}")
    for reason in sorted(set(done.refused.values())):
        _say(f"{remote} refuses the ledger: {reason}")
    for word in done.words:
        _say(f"{remote} says: {word}")
    if done.advice:
        _say(done.advice)


def _say(message: str) -> None:
    # Most of it is what the remote says.
    print(f"gitprov: {printable(message)}", file=sys.stderr)
