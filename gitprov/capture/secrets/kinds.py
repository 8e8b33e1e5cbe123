"""The kinds of secrets that are looked for, by the names that `git prov scan` gives them."""

from collections.abc import Iterable, Iterator
from difflib import get_close_matches

from gitprov.capture.secrets.forms import HTTP_CREDENTIALS, PRIVATE_KEY, URL_CREDENTIALS
from gitprov.capture.secrets.library import KEYWORD, token_kinds
from gitprov.capture.secrets.names import BY_NAME
from gitprov.capture.secrets.redaction import BY_VARIABLE
from gitprov.capture.secrets.token_forms import TOKEN_FORMS


def all_kinds() -> frozenset[str]:
    """Return the kinds of all that can be found."""
    ours = (BY_NAME, BY_VARIABLE, HTTP_CREDENTIALS, KEYWORD, PRIVATE_KEY, URL_CREDENTIALS)
    return frozenset({*ours, *TOKEN_FORMS, *token_kinds()})


def unknown_kinds(allowed: Iterable[str]) -> Iterator[str]:
    """Yield which of the kinds that a project allows are none, in words."""
    if wanted := sorted(allowed):
        known = sorted(all_kinds())
        for kind in wanted:
            if kind not in known:
                near = get_close_matches(kind, known, n=1)
                hint = f"did you mean {near[0]}?" if near else f"there is {', '.join(known)}"
                yield f"secrets.allow-kinds holds {kind!r}, which is no kind; {hint}"
