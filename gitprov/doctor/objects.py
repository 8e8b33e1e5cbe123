"""Packs: those of drains, and how the object store is doing as a whole."""

from gitprov.doctor.findings import Findings, good, mendable, mended, note
from gitprov.model.wording import plural
from gitprov.store.consolidation import consolidate, is_due, listed_packs
from gitprov.store.lock import store_lock
from gitprov.store.pack import leftovers, release_leftovers
from gitprov.store.store import Store

# Git's own limits, gc.auto and gc.autoPackLimit; the packs of ours come on top.
_MANY_LOOSE = 6700
_MANY_PACKS = 50


def packs_of_ours(store: Store) -> Findings:
    """Look at what drains have left, by size class: one drain, sixteen, 256, and so on."""
    classes = {
        level: names for level, names in listed_packs(store.repository.common_dir).items() if names
    }
    count = plural(sum(map(len, classes.values())), "pack")
    sizes = " + ".join(str(len(names)) for _, names in sorted(classes.items()))
    text = f"{count} of ours" + (f" ({sizes} by size)" if len(classes) > 1 else "")
    if is_due(store.repository.common_dir):
        yield mendable(f"{text}, due to be merged", _merge)
    elif classes:
        yield good(text)


def packs_that_are_kept(store: Store) -> Findings:
    """Look for packs whose writer died before anything referred to them."""
    if left := leftovers(store.repository.common_dir):
        text = f"{plural(len(left), 'pack')} kept from gc for a process that was killed"
        yield mendable(text, _release)


def what_git_would_tidy(store: Store) -> Findings:
    """Look at all packs and loose objects: git reads slowly where there are many."""
    lines = store.repository.git.run("count-objects", "-v").decode().splitlines()
    counts = {name: int(value) for name, value in (line.split(": ") for line in lines)}
    ours = sum(map(len, listed_packs(store.repository.common_dir).values()))
    loose, packs = counts["count"], counts["packs"]
    text = f"{plural(loose, 'loose object')}, {plural(packs, 'pack')} in all"
    if loose > _MANY_LOOSE or packs - ours > _MANY_PACKS:
        yield note(f"{text}: git is slower than it could be", "git maintenance run")
    else:
        yield good(text)


def _merge(store: Store) -> Findings:
    consolidate(store)
    if is_due(store.repository.common_dir):
        yield note("packs were not merged: git's gc, or another gitprov, is at it")
    else:
        yield mended("packs merged")


def _release(store: Store) -> Findings:
    with store_lock(store.lock_path):
        release_leftovers(store.repository.common_dir)
    yield mended("packs of killed processes are left to gc")
