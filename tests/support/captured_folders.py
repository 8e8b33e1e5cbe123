"""Captures of a folder, as of runs of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

from gitprov.capture.data import CapturedData, capture_data
from gitprov.capture.data.options import DataOptions
from gitprov.capture.secrets.redaction import Redactor
from gitprov.codec.listings import Item
from gitprov.model.ids import new_id
from gitprov.model.run import Artifact
from gitprov.store.listings import Listing
from gitprov.store.store import Store
from tests.support.listings import Content, Objects
from tests.support.repositories import clean_environment

_PROGRAM = """
import json, os, sys
from pathlib import Path
top = Path(sys.argv[1])
data = os.fsencode(top / "data")
opened = []
def seen(event, arguments):
    if event == "open" and arguments[0] is not None and not isinstance(arguments[0], int):
        name = os.fsencode(arguments[0])
        if name.startswith(data + b"/"):
            opened.append(os.fsdecode(name[len(data) + 1:]))
sys.addaudithook(seen)
from gitprov.capture.data import capture_data
from gitprov.capture.data.options import DataOptions
from gitprov.model.ids import new_id
from gitprov.store.store import Store
store = Store.open(top)
options = DataOptions(**json.loads(sys.argv[2]))
journal = store.journal.create(new_id())
found = capture_data(
    ["data"], role="inputs", cwd=top, top=top, journal=journal, options=options
)
(artifact,) = found.artifacts
digest = artifact.digest.get("sha256")
made = sum(len(list(kept.objects())) for kept in journal.listings())
print(json.dumps(dict(
    missing=found.missing, opened=sorted(opened), made=made, sha256=digest and digest.hex()
)))
"""


def write(folder: Path, content: Content) -> None:
    """Make a folder hold this."""
    for name, value in content.items():
        path = folder / os.fsdecode(name)
        if isinstance(value, bytes):
            path.write_bytes(value)
        elif isinstance(value, str):
            path.symlink_to(value)
        else:
            path.mkdir()
            write(path, value)


class Capture:
    """One capture of the folder `data`, as of a run of its own."""

    def __init__(
        self,
        store: Store,
        options: DataOptions | None = None,
        redactor: Redactor | None = None,
        name: str = "data",
    ) -> None:
        store.repository.require_writable()
        top = store.repository.require_work_tree()
        self.journal = store.journal.create(new_id())
        self.found: CapturedData = capture_data(
            [name],
            role="inputs",
            cwd=top,
            top=top,
            journal=self.journal,
            options=options,
            redactor=redactor,
        )
        self.missing = self.found.missing
        (self.artifact,) = self.found.artifacts

    @property
    def listing(self) -> Listing:
        """The listing, from what the journal has of it."""
        (kept,) = self.journal.listings()
        objects = Objects()
        for item in kept.objects():
            objects.add(item.type, item.data)
        assert self.artifact.digest == {"sha256": bytes.fromhex(kept.sha256)}
        return Listing(objects, kept.tree, self.artifact.digest["sha256"])

    @property
    def files(self) -> dict[bytes, Item]:
        """Return the files and links of the listing."""
        return dict(self.listing.files())

    @property
    def objects(self) -> int:
        """How many objects were made."""
        return sum(len(list(kept.objects())) for kept in self.journal.listings())


def expected(content: Content) -> Artifact:
    """Return the artifact of a folder `data` that holds this."""
    folder = Objects().folder(content)
    return Artifact(
        kind="tree",
        path="data",
        size=folder.size,
        file_count=folder.files,
        digest={"sha256": folder.sha256},
        listing=f"listing-{folder.sha256.hex()}",
    )


def in_a_process(store: Store, **options: object) -> dict[str, object]:
    """Capture `data` in a process without the rights of root; say what it opened below it."""
    command = [sys.executable, "-c", _PROGRAM, str(store.repository.work_tree)]
    if os.geteuid() == 0:
        lost = "-dac_override,-dac_read_search"
        command = ["setpriv", "--bounding-set", lost, *command]
    store.repository.require_writable()
    done = subprocess.run(
        [*command, json.dumps(options)],
        env=clean_environment(),
        capture_output=True,
        check=True,
        timeout=60,
    )
    found: dict[str, object] = json.loads(done.stdout)
    return found
