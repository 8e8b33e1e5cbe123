r"""Escapes: colours of terminals, `\n` and `\u001b` as in JSON, `%3D` as in URLs.

They end with letters and digits. What stands right behind one is a word of its own, and does not
look like one.
"""

import re

_STARTS = ("\x1b", "\\", "%")
# What follows the escape character where a terminal's sequence is meant.
_SEQUENCE = r"(?:\[[0-9;?]*[A-Za-z]|[()][A-Z0-9])"
# The first letter is a set, for speed.
_ESCAPE = re.compile(
    rf"""
    [\x1b\\%] (?:
        (?<=\x1b) {_SEQUENCE}
        | (?<=\\) (?: (?:u001[bB]|x1[bB]|033|e) {_SEQUENCE}
                      | u00[0-9A-Fa-f]{{2}} | x[0-9A-Fa-f]{{2}} | [nrtbf] )
        | (?<=%) [0-9A-Fa-f]{{2}}
    )
    """,
    re.VERBOSE,
)


def without_escapes(text: str) -> str:
    """Return the text with spaces for its escapes; all else stands where it stood."""
    if not any(start in text for start in _STARTS):
        return text
    return _ESCAPE.sub(lambda found: " " * len(found[0]), text)
