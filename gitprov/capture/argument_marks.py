"""Arguments of programs as marks, by which the same ones are known again.

What processes report of each other lies in the journal for as long as they run, and arguments may
hold secrets. This file stands alone, as `reads.py` does.
"""

from __future__ import annotations

import os
from binascii import crc32

WIDTH = 8


def mark(word: str) -> str:
    """Return a checksum of a word, and one of its last part, as of a path."""
    last = word.rpartition("/")[2]
    return "".join(f"{crc32(os.fsencode(text)):08x}" for text in (word, last))
