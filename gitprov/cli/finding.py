"""The run that an argument names, and a word where it is not quite that."""

from gitprov.cli.terminal import say
from gitprov.codec.records import Decoded
from gitprov.index.history import History
from gitprov.model.wording import link_text


def find_run(history: History, name: str) -> Decoded:
    """Return the run that `name` stands for; say so where a commit stands for that of the run.

    Raises UnknownRun, AmbiguousRun.
    """
    found = history.find(name)
    if link := history.link_of(found.record):
        run_id = history.short_id(found.record.id)
        source = found.record.source
        made_from = "another" if source and source.commit else "no"
        say(
            f"gitprov: run {run_id} was made from {made_from} commit, and this one stands for it: "
            f"{link_text(link)}; see: git prov links {run_id}"
        )
    return found
