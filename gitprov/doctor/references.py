"""The refs of ours, and what was fetched and not taken in."""

import shlex

from gitprov.doctor.findings import Finding, Findings, fault, good, mendable, mended
from gitprov.model.wording import plural
from gitprov.store.acceptance import accept
from gitprov.store.lock import store_lock
from gitprov.store.pins import PINS, unpin_dead
from gitprov.store.refs import NOTES, OURS, REMOTE, list_refs, parse_shard, unreadable_refs
from gitprov.store.remote_tips import refusals, unread_tips
from gitprov.store.store import Store
from gitprov.store.writer import load_chain_end, writer_id


def refs_that_cannot_be_read(store: Store) -> Findings:
    """Look for refs that name no object, or one that is not there, as after a power loss."""
    listed = list_refs(store.repository.git, OURS, REMOTE, NOTES, PINS)
    common_dir = store.repository.common_dir
    bad = 0
    for prefix in (OURS, PINS):
        for ref in unreadable_refs(common_dir, listed, prefix):
            bad += 1
            yield _lost(store, ref, "cannot be read")
    if (common_dir / NOTES).is_file() and NOTES not in listed:
        bad += 1
        advice = f"they are derived: rm {shlex.quote(str(common_dir / NOTES))}"
        yield fault(f"{NOTES} cannot be read", advice)
    for ref in unreadable_refs(common_dir, listed, REMOTE):
        bad += 1
        yield mendable(f"{ref} cannot be read; it can be fetched again", _forget_remote_refs)
    ours = {ref: oid for ref, oid in listed.items() if ref.startswith(f"{OURS}/")}
    for ref, found in zip(ours, store.objects.read_many(list(ours.values())), strict=True):
        if not found:
            bad += 1
            yield _lost(store, ref, f"names {ours[ref]}, which is not there")
    if not bad:
        yield good(f"{len(ours)} of ours, all readable" if ours else "none yet")


def pins_of_runs_that_are_no_more(store: Store) -> Findings:
    """Look for pins that nobody needs any more."""
    if left := _dead_pins(store):
        count = plural(left, "commit")
        yield mendable(f"{count} still held for runs that are no more", _unpin)


def what_was_fetched(store: Store) -> Findings:
    """Look at chains of remotes that were not taken in."""
    refs = store.refs()
    unread = unread_tips(store.repository, refs)
    refused = refusals(store.repository, refs)
    for tip, reason in refused.items():
        yield fault(
            f"a chain of {tip.remote} breaks the format and is left out: {reason}",
            f"tell whoever maintains {tip.remote}; yours is not harmed",
        )
    if fresh := len([tip for tip in unread if tip not in refused]):
        yield mendable(f"{plural(fresh, 'fetched chain')} not taken in yet", _take_in)
    if not unread and any(ref.startswith(f"{REMOTE}/") for ref in refs):
        yield good("all that was fetched is taken in")


def _lost(store: Store, ref: str, reason: str) -> Finding:
    """Say how to get a ref back: where our chain ended, joined with what remotes have."""
    prov_dir, path = store.repository.prov_dir, store.repository.common_dir / ref
    kept = prov_dir / ref.replace("/", "-")
    steps = [f"mv {shlex.quote(str(path))} {shlex.quote(str(kept))}"] if path.is_file() else []
    if (prov_dir / "writer").exists():
        end = load_chain_end(prov_dir, writer_id(prov_dir))
        if end.ref == ref and end.tip and next(store.objects.read_many([end.tip])):
            # What was joined later must be looked at again.
            steps.append(f"git update-ref {ref} {end.tip}")
            steps.append(f"rm -f {shlex.quote(str(prov_dir / 'accepted'))}")
    if shard := parse_shard(ref):
        options = " --payload" if shard.area == "payload" else ""
        remotes = store.repository.config.remotes()
        steps += [f"git prov pull{options} {shlex.quote(remote)}" for remote in remotes]
    return fault(f"{ref} {reason}; it holds up what is to be recorded", " && ".join(steps))


def _forget_remote_refs(store: Store) -> Findings:
    common_dir = store.repository.common_dir
    with store_lock(store.lock_path):
        listed = list_refs(store.repository.git, REMOTE)
        unreadable = unreadable_refs(common_dir, listed, REMOTE)
        for ref in unreadable:
            (common_dir / ref).unlink(missing_ok=True)
    yield mended(f"{plural(len(unreadable), 'ref')} of remotes forgotten; next: git prov pull")


def _unpin(store: Store) -> Findings:
    with store_lock(store.lock_path) as lock:
        unpin_dead(store.repository, store.journal, lock=lock)
        left = _dead_pins(store)
    if left:
        yield fault(
            "commits are still held: some git, or a lock that one has left, is in the way",
            "in ten minutes: git prov doctor",
        )
    else:
        yield mended("commits that no run needs any more were let go")


def _dead_pins(store: Store) -> int:
    pins = [ref.removeprefix(f"{PINS}/") for ref in list_refs(store.repository.git, PINS)]
    return sum(not store.journal.open(run_id).path.exists() for run_id in pins)


def _take_in(store: Store) -> Findings:
    done = accept(store)
    if done.runs or not done.refused:
        yield mended(f"{plural(done.runs, 'run')} taken in")
    for reason in done.refused.values():
        yield fault(reason, "tell whoever maintains the remote; yours is not harmed")
