"""Setting aside what can never be recorded, so that it does not hold up other runs."""

from itertools import chain, count

from gitprov.store.journal import JournalRun
from gitprov.store.repository import Repository


def set_aside(repository: Repository, journal: JournalRun) -> str:
    """Move a run's folder out of the journal, whole, and return where it is now."""
    folder = repository.prov_dir / "rejected"
    folder.mkdir(exist_ok=True)
    names = (f"{journal.id}{suffix}" for suffix in chain([""], map("-{}".format, count(2))))
    place = next(folder / name for name in names if not (folder / name).exists())
    journal.path.rename(place)
    return str(place)
