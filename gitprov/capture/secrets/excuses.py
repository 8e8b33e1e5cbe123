"""Values that are no secret, whatever their name says: all that excuses one is here."""

import re

_MIN_LENGTH = 6
# Where a name only hints at a secret.
_MIN_DRAWN = 8

# What stands where a secret would: nothing, a yes or no, a word that names it, a number, a place
# that holds it, a template, an expression, stars. A commitment of ours is a template, too.
_NO_SECRET = re.compile(
    r"""
    | (?:n/?a|none|null|nil|true|false|yes|no|on|off|auto|default|disabled|enabled|required
        |optional|unset|empty|missing|str|string|bytes|int|bool|any|text|self|bearer|basic)
    | (?:pass|passwd|password|pw|pwd|secret|token|user|username|api[-_ ]?key)
    | your[-_ ][\w -]*\W*
    | [-+]?(?:[0-9]{1,3}|(?=[0-9]*\.)[0-9.]{1,6})
    | (?P<stars>[\W_]|[xX])(?P=stars)*
    | [\W_]*
    | .*\{\w*\}.* | \{.*\} | <.*> | \[.*\] | \(.*\) | `.*` | \$.* | @.* | :\w+
    | %\w+% | (?:%(?:\(\w+\))?[a-z]{1,3}\W?)+
    | [\w.]+[(\[].*[)\]]
    | !(?:env|getatt|ref|secret|sub|vault)\b.* | (?:arn|urn):.* | (?-i:.*EXAMPLE(?:KEY)?)
    | (?:~|\.{1,2})?(?:/[\w.+@ -]+)*/?[\w.-]+\.(?:cfg|conf|crt|enc|env|gpg|ini|json|key|pem|pub|toml
        |txt|ya?ml)
    | (?:~|\.{1,2})(?:/[\w.+@ -]+)+/?
    | (?:os\.|env[.:]|args\.|self\.|config\.|cfg\.|settings\.|process\.env).*
    """,
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
# Short enough to be a PIN behind a password's name; behind others a count, an id of a token.
_NUMBER = re.compile(r"[-+]?[0-9][0-9.,_]{0,19}%?")
_OF_PASSWORDS = ("pass", "pwd")

# Words, and names of other things: `token: required!`, `api_key=cfg.key`; parts of words, as
# tokenizers write them; calls.
_PROSE = re.compile(
    r"[\s#!▁_<(\[{*-]*[^\W\d_]+(?:[-._/:' ]{1,2}[^\W\d_]+)*[\s_.:!?()\[\]{}<>*…]*"
    r"|[A-Za-z_][\w.]*[(\[{].*"
)
# Places, on this machine or another.
_PLACE = re.compile(r"[~./\\].*|[A-Za-z]:[\\/].*|.*[/:].*")


def may_be_secret(value: str, name: str = "password") -> bool:
    """Say whether a value could be what its name promises, where that says secret."""
    value = value.strip()
    if _NO_SECRET.fullmatch(value):
        return False
    is_password = any(part in name.lower() for part in _OF_PASSWORDS)
    return is_password or _NUMBER.fullmatch(value) is None


def is_prose(value: str) -> bool:
    """Say whether a value is rather a word of a text, or a part of code, than a secret."""
    return len(value) < _MIN_LENGTH or _PROSE.fullmatch(value) is not None


def looks_drawn(value: str) -> bool:
    """Say whether a value looks like a secret enough for a name that only hints at one."""
    return (
        len(value) >= _MIN_DRAWN
        and may_be_secret(value, "")
        and not is_prose(value)
        and not _PLACE.fullmatch(value)
        and re.search("[0-9]", value) is not None
        and re.search("[A-Za-z]", value) is not None
        and re.search(r"\s", value) is None
    )
