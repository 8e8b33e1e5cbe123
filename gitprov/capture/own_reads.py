"""What this very process reads, from the import of gitprov on: for runs of the Python interface.

That is all that the program reads, if it did nothing but import before; who looks for that needs
`importers`. Python's start pays for this module: it imports little.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import FrameType

from gitprov.capture.reads import PAUSE, RESUME, Observer


class OwnReads:
    """The observation of this process.

    `importers` are the modules that were being imported, and the lines that they had come to.
    """

    def __init__(self, top: Path, importer: FrameType | None) -> None:
        self.observer = Observer(os.fspath(top))
        self.importers: list[tuple[Path, int]] = []
        while importer is not None:
            self._look_at(importer)
            importer = importer.f_back
        self.observer.start()

    def _look_at(self, frame: FrameType) -> None:
        code = frame.f_code
        if code.co_filename.startswith("<frozen "):  # Python's own way of importing
            return
        if code.co_name != "<module>":
            self.observer.miss("gitprov was imported while the program was running")
        self.importers.append((Path(code.co_filename), frame.f_lineno))


_watched: list[OwnReads] = []


def watch(importer: FrameType | None) -> None:
    """Watch what this program reads in the work tree around it; `importer` imports gitprov."""
    top = _work_tree()
    if top is not None and not _watched:
        _watched.append(OwnReads(top, importer))


def own_reads() -> OwnReads | None:
    """Return the observation of this process; None where there is none."""
    return _watched[0] if _watched else None


@contextmanager
def paused() -> Iterator[None]:
    """Have what this thread does count as ours, not as the program's.

    Under `git prov run --trace=audit` there is another observer, which hears of it by an event.
    """
    sys.audit(PAUSE)
    try:
        with _watched[0].observer.paused() if _watched else nullcontext():
            yield
    finally:
        sys.audit(RESUME)


def _work_tree() -> Path | None:
    """Return the work tree around the current folder, as far as is seen without git."""
    try:
        folder = Path.cwd()
    except OSError:
        return None
    return next((top for top in (folder, *folder.parents) if (top / ".git").exists()), None)
