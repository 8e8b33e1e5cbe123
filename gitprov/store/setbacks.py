"""What others have done to chains: our refs are put back, losses of remotes are told.

A ref of ours that was overwritten goes back to where it was, and what it was overwritten with is
read as a stranger's chain, so that acceptance checks it and joins what is new in it.
"""

from collections.abc import Sequence

from gitprov.store.git import Git
from gitprov.store.git_locks import mend
from gitprov.store.high_water import Fallen, HighWater
from gitprov.store.lock import store_lock
from gitprov.store.ref_moves import move_refs
from gitprov.store.refs import parse_shard
from gitprov.store.store import Store

# Where that which has overwritten a ref of ours waits for acceptance, as if from a remote. None can
# be called so by accident.
OVERWRITER = "@overwritten"


def put_back(store: Store) -> list[str]:
    """Put refs of ours back that somebody has set back; say, in words, what was done.

    Raises StoreBusy, RefMoved or OSError where a ref cannot be moved.
    """
    if not HighWater(store.repository).ours_fallen(store.refs()):
        return []
    store.repository.require_writable()
    with store_lock(store.lock_path) as lock:
        mend(store.repository)
        marks, refs = HighWater(store.repository), store.refs()
        said = []
        for fallen in marks.ours_fallen(refs):
            if next(store.objects.read_many([fallen.before])) is None:
                marks.remember({fallen.ref: fallen.now})
                said.append(
                    f"{fallen.ref} was set back, and git has collected what it held; "
                    "a remote may have it: git prov pull"
                )
                continue
            moves = {fallen.ref: (fallen.now, fallen.before)}
            shard = parse_shard(fallen.ref)
            if fallen.now and shard and not marks.reaches(fallen.before, fallen.now):
                beside = shard.remote_ref(OVERWRITER)
                moves[beside] = (refs.get(beside), fallen.now)
            move_refs(store.repository, moves, lock=lock, fsync=store.fsync)
            lost = lost_entries(store.repository.git, fallen)
            said.append(f"{fallen.ref} was set back; {lost} were put back")
    return said


def losses(store: Store, news: Sequence[Fallen]) -> list[str]:
    """Return what remotes have lost, in words."""
    remotes = store.repository.config.remotes()
    texts = (loss_text(store.repository.git, name, lost) for lost in news for name in remotes)
    return [text for text in texts if text]


def loss_text(git: Git, remote: str, fallen: Fallen) -> str | None:
    """Return what a remote has lost, in words; None where it is another remote's."""
    shard = parse_shard(fallen.ref)
    if shard is None or shard.remote_ref(remote) != fallen.ref:
        return None
    return (
        f"remote {remote} lost {lost_entries(git, fallen)}; they are still here, and go back "
        f"with: git prov push {remote}"
    )


def lost_entries(git: Git, fallen: Fallen) -> str:
    """Return `2 entries of ledger/2026-11/0a`: what only the old end reaches."""
    exclude = [f"^{fallen.now}"] if fallen.now else []
    counted = git.call("rev-list", "--count", fallen.before, *exclude)
    name = "/".join(fallen.ref.split("/")[-3:])
    if counted.returncode != 0:
        return f"entries of {name}"
    count = int(counted.stdout)
    return f"{count} {'entry' if count == 1 else 'entries'} of {name}"
