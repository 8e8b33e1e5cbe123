"""What became of a run's source, explained commit by commit."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gitprov.model.run import Run
from gitprov.model.source_link import SourceLink, Step
from gitprov.model.wording import (
    command_text,
    files_text,
    plural,
    printable,
    rewrite_text,
    status_text,
)
from gitprov.views.log import date_text
from gitprov.views.style import Style

_SHORT = 12

Branches = Mapping[str, Sequence[str]]


def links_page(
    run: Run, short_id: str, links: Sequence[SourceLink], branches: Branches, style: Style
) -> str:
    """Return the source of a run and each commit that stands for it, with the reasons.

    `branches` has, by commit, the branches that hold it; a commit that is not in it is not here.
    """
    command = command_text(run.command.argv)
    lines = [f"{style.id(f'run {short_id}')} {status_text(run)}: {command}"]
    commit = run.source.commit if run.source else None
    if commit is not None:
        lines += ["", *_commit(commit, "exact", branches, style)]
        lines.append("    the run was made from this commit")
    else:
        reason = run.missing.get("source.commit") or run.missing.get("source")
        lines += ["", "  made from no commit" + (f": {printable(reason)}" if reason else "")]
    if run.source and run.source.dirty:
        lines[-1] += " with uncommitted changes" if commit else "; with uncommitted changes"
        if not run.source.reads and not any(link.kind == "committed" for link in links):
            known = "what it read is not known (see --trace)"
            lines.append(f"    {known}: only a commit of all of them is found")
    for link in links:
        lines += ["", *_commit(link.commit, link.kind, branches, style)]
        lines += [f"    {reason}" for reason in _reasons(link, commit or "")]
    if commit and not links and not branches.get(commit):
        lines += ["", "  no commit on a branch stands for it"]
    return "\n".join(lines)


def links_document(run: Run, links: Sequence[SourceLink], branches: Branches) -> dict[str, Any]:
    """Return the same for programs."""
    source = run.source
    return {
        "run": run.id,
        "commit": source.commit if source else None,
        "tree": source.tree if source else None,
        "dirty": source.dirty if source else None,
        "branches": list(branches.get(source.commit or "", ())) if source else [],
        "links": [
            {
                "commit": link.commit,
                "kind": link.kind,
                "inferred": link.inferred,
                "via": link.via,
                "same_tree": link.same_tree,
                "files": list(link.files),
                "steps": [step._asdict() for step in link.steps],
                "branches": list(branches.get(link.commit, ())),
            }
            for link in links
        ],
    }


def _commit(oid: str, kind: str, branches: Branches, style: Style) -> Iterator[str]:
    if oid not in branches:
        where = "not in this clone"
    elif held := branches[oid]:
        where = printable(", ".join(held))
    else:
        where = "on no branch"
    inferred = kind in ("same-tree", "same-patch", "squash")
    shown = style.bad(kind) if inferred else style.good(kind)
    yield f"  {style.id(oid[:_SHORT])}  {shown}  {style.dim(f'({where})')}"


def _reasons(link: SourceLink, source: str) -> Iterator[str]:
    """Yield what says that a commit stands for the source."""
    old = source
    for step in link.steps:
        yield _step(old, step)
        old = step.new
    via = link.via[:_SHORT]
    match link.kind:
        case "committed":
            yield "the uncommitted changes were committed: file by file, this is the tree that ran"
        case "near":
            count = plural(len(link.files), "file")
            named = files_text(link.files)
            yield f"the uncommitted changes were committed, but for {count} that the run did not"
            yield f"read: {named}"
        case "rewritten":
            if link.same_tree is not None:
                yield "its tree is the one that ran" if link.same_tree else "its tree differs"
        case "same-tree" if link.files:
            yield "inferred: its tree is the one that ran, but for what the snapshot leaves out:"
            yield files_text(link.files)
        case "same-tree":
            what = "the one that ran" if link.same_tree else f"that of {via}"
            yield f"inferred: its tree is {what}, file by file"
        case "same-patch":
            yield f"inferred: it changes the same as {via} (they have one patch id)"
        case "squash":
            yield f"inferred: it holds all that the branch up to {via} changes, in one commit"


def _step(old: str, step: Step) -> str:
    by = f" by {printable(step.by)}" if step.by else ""
    return (
        f"recorded: {old[:_SHORT]} was {rewrite_text(step.how)}{by} to {step.new[:_SHORT]}, "
        f"{date_text(step.made_ns)}"
    )
