"""What an exporter takes and returns."""

from dataclasses import dataclass
from typing import Protocol

from gitprov.model.environment import Environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A file of another tool's. `notes` say, a line each, in what it is not exact."""

    text: str
    file_name: str
    notes: tuple[str, ...] = ()


class Exporter(Protocol):
    """One format."""

    def __call__(self, environment: Environment, /, *, resolve: bool) -> Exported:
        """Return the environment in this format; `resolve` allows it to ask an index."""
        ...
