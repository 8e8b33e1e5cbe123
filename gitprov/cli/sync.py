"""`git prov sync`: pull, then push."""

from gitprov.cli.catching_up import current_store
from gitprov.cli.remotes import Remote, accepted_text, chosen_remote, pushed_text
from gitprov.cli.terminal import say, verb
from gitprov.errors import RemoteFailed
from gitprov.store.sync import pull, push

app = verb()


@app.command()
def sync(remote: Remote = None) -> None:
    """Fetch from a remote what is new there, and send it what is new here."""
    with current_store() as store:
        name = chosen_remote(store.repository, remote)
        taken = pull(store, name)
        sent = push(store, name)
        print(f"{accepted_text(taken, name)}; {pushed_text(sent, name)}")
        problems = [*taken.refused, *(f"{ref}: {why}" for ref, why in sent.refused.items())]
        for problem in problems:
            say(f"gitprov: {problem}")
        if problems:
            raise RemoteFailed(f"not everything could be exchanged with {name}")
