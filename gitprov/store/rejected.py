"""Setting aside what can never be recorded, so that it does not hold up other runs."""

from gitprov.store.journal import JournalRun
from gitprov.store.repository import Repository


def set_aside(repository: Repository, journal: JournalRun) -> str:
    """Move a run's folder out of the journal, whole, and return where it is now."""
    folder = repository.prov_dir / "rejected"
    folder.mkdir(exist_ok=True)
    place = folder / journal.id
    journal.path.rename(place)
    return str(place)
