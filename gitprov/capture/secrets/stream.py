"""A stream of bytes without its secrets, as it comes.

A secret shows once it is whole. So a line is held back until its end has come, and the beginning of
a private key until the key's; neither for longer than some limit.
"""

from gitprov.capture.secrets.finding import Finding
from gitprov.capture.secrets.gate import unfinished_key
from gitprov.capture.secrets.redaction import Redactor

MAX_HELD = 64 << 10
_MAX_LINE = 4 * MAX_HELD
# What may belong together of a line that does not end.
_OVERLAP = 4 << 10


class RedactedStream:
    """Takes a stream's bytes and gives what can be passed on by now, with commitments for secrets.

    Nothing here takes long, but for the first secret: `feed` then holds back what came, and sets
    `waits`; the next `settle` goes on. What is given is the stream, in order, but for the secrets;
    bytes that are no UTF-8 stay as they are.
    """

    def __init__(self, redactor: Redactor, place: str) -> None:
        self.waits = False
        self._redactor = redactor
        self._place = place
        self._held = bytearray()

    @property
    def held(self) -> int:
        """How many bytes are held back."""
        return len(self._held)

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes; return what can be passed on."""
        self._held += data
        return b"" if self.waits else self._release(self._whole_lines(), quick=True)

    def settle(self) -> bytes:
        """Return what can be passed on of what was too slow to look into."""
        self.waits = False
        return self._release(self._whole_lines())

    def end(self) -> bytes:
        """Return the rest."""
        return self._release(len(self._held), at_end=True)

    def _whole_lines(self) -> int:
        """Return how many bytes end with a line's end; all where a line has become too long."""
        whole = max(self._held.rfind(b"\n"), self._held.rfind(b"\r")) + 1
        return len(self._held) if whole == 0 and len(self._held) >= MAX_HELD else whole

    def _release(self, count: int, *, quick: bool = False, at_end: bool = False) -> bytes:
        if count == 0:
            return b""
        text = self._held[:count].decode("utf-8", "surrogateescape")
        found = self._redactor.find_at_once(text) if quick else None
        if quick and found is None:
            self.waits = True
            return b""
        if found is None:
            found = self._redactor.find(text, remember=False)
        end = len(text) if at_end else self._end_of_ready(text, found)
        self._held[:count] = text[end:].encode("utf-8", "surrogateescape")
        whole = [secret for secret in found if secret.end <= end]
        ready = self._redactor.replace(text[:end], whole, self._place)
        return ready.encode("utf-8", "surrogateescape")

    def _end_of_ready(self, text: str, found: list[Finding]) -> int:
        """Return where the text ends in which no secret can be cut."""
        end = len(text)
        if not text.endswith(("\n", "\r")):
            last = found[-1].end if found else 0
            if last == end < _MAX_LINE:
                return 0
            end = max(last, end - _OVERLAP)
        if len(self._held) < MAX_HELD and (start := unfinished_key(text)) is not None:
            end = min(end, start)
        return next((secret.start for secret in found if secret.start < end < secret.end), end)
