"""What hooks start in the background: the ledger brought up to date while nobody waits.

Nothing is raised or printed, for nobody looks: whatever goes wrong shows at the next command, which
does the same first. Two at once do no harm: they take turns at the store's lock.
"""

import os
from contextlib import suppress

from gitprov.recorder.recovery import catch_up, update_notes
from gitprov.store.refs import REMOTE, list_refs
from gitprov.store.store import Store

# The process that a hook has started and that has not begun yet; the hooks read it, and write it.
_ASKED = "catching-up"
# What the hooks compare with `git for-each-ref refs/prov-remote`, to see whether there is more.
_REMOTES_SEEN = "remotes-seen"


def catch_up_quietly() -> None:
    """Bring the ledger, and what is derived from it, up to date."""
    with suppress(Exception):
        _be_the_committer()
        store = Store.open()
        # Before anything is looked at: what comes from now on is for another process.
        (store.repository.prov_dir / _ASKED).unlink(missing_ok=True)
        remember_remotes(store)
        catch_up(store)
        update_notes(store)
        store.close()


def remember_remotes(store: Store) -> None:
    """Let hooks start nothing for what remotes are seen to have now: it is being taken in."""
    refs = list_refs(store.repository.git, REMOTE)
    seen = store.repository.prov_dir / _REMOTES_SEEN
    temporary = seen.with_name(f".{seen.name}.{os.getpid()}.tmp")
    with suppress(OSError):
        temporary.write_text("".join(f"{oid} {name}\n" for name, oid in refs.items()))
        temporary.replace(seen)


def _be_the_committer() -> None:
    """Forget the author that git has told its hook: that of a commit which somebody else made."""
    for part in ("NAME", "EMAIL"):
        os.environ.pop(f"GIT_AUTHOR_{part}", None)
        if committer := os.environ.get(f"GIT_COMMITTER_{part}"):
            os.environ[f"GIT_AUTHOR_{part}"] = committer
