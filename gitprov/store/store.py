"""The store of one repository: what every operation on it needs, opened once."""

from functools import cached_property
from pathlib import Path

from gitprov.store.journal import Journal
from gitprov.store.objects import GitObjects, ObjectReader
from gitprov.store.refs import KEEP, LEDGER, PAYLOAD, REMOTE, list_refs
from gitprov.store.repository import Repository


class Store:
    """Repository, journal and object reader. Cheap to make; git starts when it is asked."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository

    @classmethod
    def open(cls, start: Path | None = None) -> "Store":
        """Return the store of the repository around `start`, or the current folder."""
        return cls(Repository.discover(start))

    @cached_property
    def fsync(self) -> bool:
        """Whether an acknowledgement waits for the disk (`prov.fsync`, on unless turned off)."""
        return self.repository.config.flag("prov.fsync", default=True)

    @cached_property
    def journal(self) -> Journal:
        """The runs that are on their way into the ledger."""
        return Journal(self.repository.prov_dir / "journal", fsync=self.fsync)

    @cached_property
    def objects(self) -> ObjectReader:
        """The quick reader of objects."""
        return GitObjects(self.repository.git)

    @property
    def lock_path(self) -> Path:
        """The file whose lock guards the refs."""
        return self.repository.lock_path

    def refs(self) -> dict[str, str]:
        """Return all provenance refs of ours and those last seen at remotes."""
        return list_refs(self.repository.git, LEDGER, KEEP, PAYLOAD, REMOTE)

    def close(self) -> None:
        """End what was started for reading."""
        if "objects" in self.__dict__:
            self.objects.close()
