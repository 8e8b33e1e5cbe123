"""Which of two versions is the later one.

Python packages go by PEP 440. All others, and Python's where they break it, go by one order that
is nobody's standard and close to most: numbers by value, words that announce a release (`rc`,
`dev`, …) before the release, all other words after it, `~` before everything, as Debian has it.
"""

import re

_TOKEN = re.compile(r"(\+?)([0-9]+|[a-z]+|~)")
_BEFORE = frozenset("a alpha b beta c dev pre preview rc".split())
# A version of a stranger's that is longer is compared as text: expressions must not be kept busy.
_MAX_LENGTH = 128

_Key = tuple[int, int, str]
_TILDE: _Key = (0, 0, "")
_END: _Key = (2, 0, "")


def direction(before: str, after: str, *, pep440: bool = False) -> int:
    """Return 1 where `after` is the later version, -1 where it is the earlier, else 0."""
    if before == after or max(len(before), len(after)) > _MAX_LENGTH:
        return 0
    if pep440 and (found := _by_pep440(before, after)) is not None:
        return found
    one, two = _keys(before), _keys(after)
    return (two > one) - (two < one)


def _by_pep440(before: str, after: str) -> int | None:
    # Late: of all verbs, only those that compare environments need it.
    from packaging.version import Version  # noqa: PLC0415

    try:
        one, two = Version(before), Version(after)
    except ValueError:  # InvalidVersion is one
        return None
    return (two > one) - (two < one)


def _keys(version: str) -> tuple[_Key, ...]:
    keys = []
    for plus, part in _TOKEN.findall(version.lower()):
        if part == "~":
            keys.append(_TILDE)
        elif part.isdecimal():
            digits = part.lstrip("0")
            keys.append((4, len(digits), digits))
        else:
            keys.append((1 if part in _BEFORE and not plus else 3, 0, part))
    return (*keys, _END)
