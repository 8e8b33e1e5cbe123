"""How runs are put into words: the same ones in commit messages, notes, listings and pages.

Everything returned is one line, safe for a terminal: control characters, escape sequences and
direction marks that a record may carry are shown as escapes, never passed on.
"""

import shlex
import signal
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import islice

from gitprov.model.ids import short
from gitprov.model.run import Artifact, Metric, RawText, Run
from gitprov.model.source_link import Kind, SourceLink

_SECOND = 1_000_000_000
_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_MAX_NOTE_METRICS = 3
_SHORT_COMMIT = 9
_MAX_NAMED_FILES = 3
_KINDS: dict[Kind, str] = {
    "committed": "committed since",
    "near": "committed since",
    "same-tree": "same tree",
    "same-patch": "same change",
    "squash": "squashed",
}
_REWRITES = {"amend": "amended", "rebase": "rebased"}


def printable(text: RawText) -> str:
    """Return text with everything that could move a cursor or hide letters escaped."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "backslashreplace")
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(letter) if is_unsafe(letter) else letter for letter in text)


def is_unsafe(letter: str) -> bool:
    """Say whether a letter could move a cursor, hide others or cannot be encoded."""
    return unicodedata.category(letter) in _UNSAFE_CATEGORIES


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape", "surrogatepass").decode("ascii")


def encodable(text: str) -> str:
    """Return text that has a UTF-8 form: bytes that came in as surrogates become escapes."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def command_text(argv: Iterable[RawText]) -> str:
    """Return a command as one would type it in a shell."""
    words = (
        word.decode("utf-8", "backslashreplace") if isinstance(word, bytes) else word
        for word in argv
    )
    return printable(shlex.join(words))


def duration_text(nanoseconds: int) -> str:
    """Return a duration with two significant parts: 840ms, 3.2s, 3m12s, 2h05m, 3d04h."""
    seconds = nanoseconds / _SECOND
    if seconds < 1:
        return f"{nanoseconds // 1_000_000}ms"
    if seconds < 59.95:  # noqa: PLR2004 -- it would be shown as 60.0s
        return f"{seconds:.1f}s"
    minutes, rest = divmod(max(int(seconds), 60), 60)
    if minutes < 60:  # noqa: PLR2004
        return f"{minutes}m{rest:02}s"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:  # noqa: PLR2004
        return f"{hours}h{minutes:02}m"
    return f"{hours // 24}d{hours % 24:02}h"


def size_text(count: int) -> str:
    """Return a number of bytes for people: 812 B, 14.2 KiB, 3.0 GiB."""
    if count < 1024:  # noqa: PLR2004
        return f"{count} B"
    size = float(count)
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        size /= 1024
        if size < 1023.95:  # noqa: PLR2004 -- it would be shown as 1024.0
            return f"{size:.1f} {unit}"
    return f"{size / 1024:.1f} PiB"


def plural(count: int, word: str) -> str:
    """Return `1 run`, `2 runs`."""
    return f"{count} {word}{'' if count == 1 else 's'}"


def number_text(value: float | str) -> str:
    """Return a metric's value, short but not misleading."""
    return printable(value) if isinstance(value, str) else f"{value:.6g}"


def signal_name(number: int) -> str:
    """Return SIGKILL for 9, and the number itself where it has no name here."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def status_text(run: Run) -> str:
    """Return how a run ended: ok, failed (exit 1), killed (SIGKILL), aborted."""
    if run.status == "completed":
        return "ok"
    if run.status == "aborted":
        return "aborted"
    if run.signal is not None:
        return f"killed ({signal_name(run.signal)})"
    if run.exit_code is not None:
        return f"failed (exit {run.exit_code})"
    return "failed"


def metrics_text(metrics: Iterable[Metric], limit: int | None = None) -> str:
    """Return `accuracy=0.97 loss=0.1`, of the first `limit` metrics."""
    words = (
        f"{printable(metric.name)}={number_text(metric.value)}" for metric in islice(metrics, limit)
    )
    return " ".join(words)


def run_line(run: Run) -> str:
    """Return the line of a run in the notes of its source commit."""
    parts = ["run", short(run.id), status_text(run), duration_text(run.duration_ns)]
    parts += [metrics_text(run.metrics, _MAX_NOTE_METRICS), command_text(run.command.argv)]
    if run.source is not None and run.source.dirty:
        parts.append("[uncommitted changes]")
    return " ".join(part for part in parts if part)


def note_line(run: Run, link: SourceLink | None = None) -> str:
    """Return the line of a run in the notes of a commit: its own, or one that stands for it."""
    if link is None or (link.kind == "rewritten" and link.same_tree):
        return run_line(run)
    via = link.via[:_SHORT_COMMIT]
    if link.kind == "same-tree" and link.files:
        return f"{run_line(run)} (these changes but for {files_text(link.files)}; inferred)"
    words = {
        "rewritten": rewritten_text(link) + ("; other code" if link.same_tree is False else ""),
        "committed": "these changes",
        "near": f"these changes but for {files_text(link.files)}",
        "same-tree": f"same tree as {via}; inferred",
        "same-patch": f"same change as {via}; inferred",
        "squash": f"squashed up to {via}; inferred",
    }
    return f"{run_line(run)} ({words[link.kind]})"


def link_text(link: SourceLink) -> str:
    """Return `9f8e7d6c5 (squashed; inferred)`: a commit that stands for a run's source, and why."""
    text = rewritten_text(link)
    if link.kind != "rewritten":
        text = f"{text}, {_KINDS[link.kind]}" if text else _KINDS[link.kind]
    if link.files:
        text += f" but for {files_text(link.files)}"
    return f"{link.commit[:_SHORT_COMMIT]} ({text}{'; inferred' if link.inferred else ''})"


def rewritten_text(link: SourceLink) -> str:
    """Return what was done to commits on the way to one: amended, rebased."""
    return ", ".join(dict.fromkeys(rewrite_text(step.how) for step in link.steps))


def rewrite_text(how: str) -> str:
    """Return how a commit was rewritten: amended, rebased, rewritten by filter-repo."""
    return _REWRITES.get(how, f"rewritten by {printable(how)}")


def files_text(files: Sequence[str]) -> str:
    """Return the names of some files, the first few where there are many."""
    named = ", ".join(printable(name) for name in files[:_MAX_NAMED_FILES])
    more = len(files) - _MAX_NAMED_FILES
    return f"{named} and {plural(more, 'other')}" if more > 0 else named


def place_text(item: Artifact) -> str:
    """Return where data lies: its path in the work tree, else its URI, else what it is called."""
    place = item.path if item.path is not None else item.uri or item.name or ""
    return place.decode("utf-8", "backslashreplace") if isinstance(place, bytes) else place


def digest_text(item: Artifact) -> str | None:
    """Return `sha256:…`, another digest where there is no such, None where there is none at all."""
    for algorithm in ("sha256", *sorted(item.digest)):
        if algorithm in item.digest:
            return f"{algorithm}:{item.digest[algorithm].hex()}"
    return None
