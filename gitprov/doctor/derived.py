"""The index, which can always be made again."""

from gitprov.doctor.findings import Findings, good, mendable, mended
from gitprov.index.database import index_state
from gitprov.index.history import History
from gitprov.model.wording import plural
from gitprov.store.store import Store


def index(store: Store) -> Findings:
    """Look whether the index can be read and stands for the ledger as it is."""
    match index_state(store):
        case "none":
            yield good("none yet; the first listing makes it")
        case "level":
            yield good(f"level with the ledger, {plural(History(store).count(), 'run')}")
        case "behind":
            yield mendable("not level with the ledger yet", _make_level)
        case "damaged":
            yield mendable("damaged", _make_again)


def _make_level(store: Store) -> Findings:
    yield mended(f"level with the ledger, {plural(History(store).count(), 'run')}")


def _make_again(store: Store) -> Findings:
    (store.repository.prov_dir / "index.sqlite").unlink(missing_ok=True)
    yield mended(f"made again from the ledger, {plural(History(store).count(), 'run')}")
