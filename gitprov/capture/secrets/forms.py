"""Secrets by their form, beyond what the library knows: tokens, private keys, URLs, headers."""

import re
from collections.abc import Iterator

from gitprov.capture.secrets.excuses import may_be_secret
from gitprov.capture.secrets.finding import Finding
from gitprov.capture.secrets.gate import may_hold_private_key
from gitprov.capture.secrets.token_forms import TOKEN_FORMS
from gitprov.capture.url_credentials import is_secret_parameter

PRIVATE_KEY = "Private Key"
URL_CREDENTIALS = "URL Credentials"
HTTP_CREDENTIALS = "HTTP Credentials"

_FORMS = [
    "|".join(f"{beginning}{rest}" for beginning, rest in forms.items())
    for forms in TOKEN_FORMS.values()
]
_TOKEN = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    + "|".join(f"(?P<t{number}>{form})" for number, form in enumerate(_FORMS))
    + ")"
)
_TOKEN_KINDS = {f"t{number}": kind for number, kind in enumerate(TOKEN_FORMS)}

_HTTP = re.compile(
    r"authorization[\"']?\s*[:=]\s*[\"']?(?:[a-z]+\s+)?(?P<named>[\w+/=.~-]{8,})"
    r"|\bbearer\s+(?P<bearer>[\w+/=.~-]{16,})",
    re.IGNORECASE,
)
_KAGGLE = re.compile(
    r"\"username\"\s*:\s*\"[^\"]+\"\s*,\s*\"key\"\s*:\s*\"(?P<secret>[0-9a-f]{32})\""
)
_CURL = re.compile(
    r"\bcurl\b[^|;&\n]*?\s(?:-u|-U|--user|--proxy-user)(?:=|\s*)[\"']?[^\s:\"'/]+:(?P<secret>[^\s\"'|;&]+)"
)

_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<rest>[^\s\"'`<>\\^]+)")
_USER_INFO = re.compile(r"(?P<user>[^/?#@:]*)(?::(?P<password>[^/?#]*))?@(?P<host>[^/?#]*)")
_PARAMETER = re.compile(r"(?<=[?&;])(?P<name>[^=&;#?]+)=(?P<secret>[^&;#]+)")
# A user that is none: whoever knows this token is let in. Of http alone: others have long users.
_TOKEN_USER = re.compile(r"(?=[^0-9]*[0-9])(?=[^A-Za-z]*[A-Za-z])[\w-]{20,}", re.ASCII)
_EXAMPLES = ("example.com", "example.net", "example.org")

_KEY = re.compile(
    r"-----BEGIN (?P<type>[A-Z0-9 ]*)PRIVATE KEY(?P<block> BLOCK)?-----"
    r"(?:[^-]|-(?!----)){0,65536}?(?:-----END (?P=type)PRIVATE KEY(?(block) BLOCK)-----)"
    r"|-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----(?:\s|\\[nr]|[A-Za-z0-9-]+: [^\n]*\n)*"
    r"(?:[A-Za-z0-9+/=]{16,}(?:\s|\\[nr])*)*(?:[A-Za-z0-9+/=]*\Z)?"
    r"|PuTTY-User-Key-File-[0-9]: [^\n]*\n(?:[A-Za-z-]+: [^\n]*\n|[A-Za-z0-9+/=]+\s*)*"
)
_KEY_BODY = re.compile(r"[A-Za-z0-9+/]{24}")


def private_keys(text: str) -> Iterator[Finding]:
    """Yield the private keys of a text, whole, and what there is of one that is cut."""
    if may_hold_private_key(text):
        for found in _KEY.finditer(text):
            if _KEY_BODY.search(text, found.start(), found.end()):
                yield Finding(*found.span(), PRIVATE_KEY)


def forms(line: str) -> Iterator[Finding]:
    """Yield the tokens, credentials and logins of a line."""
    for found in _TOKEN.finditer(line):
        yield Finding(*found.span(), _TOKEN_KINDS[found.lastgroup or ""])
    for found in _HTTP.finditer(line):
        group = found.lastgroup or ""
        if may_be_secret(found[group]) and re.search("[0-9]", found[group]):
            yield Finding(*found.span(group), HTTP_CREDENTIALS)
    for found in _KAGGLE.finditer(line):
        yield Finding(*found.span("secret"), "Kaggle Token")
    for url in _URL.finditer(line):
        yield from _in_url(line, url)
    for found in _CURL.finditer(line):
        if may_be_secret(found["secret"]):
            yield Finding(*found.span("secret"), HTTP_CREDENTIALS)


def _in_url(line: str, url: re.Match[str]) -> Iterator[Finding]:
    start, end = url.span("rest")
    user_info = _USER_INFO.match(line, start, end)
    if user_info and not user_info["host"].lower().endswith(_EXAMPLES):
        if may_be_secret(user_info["password"] or ""):
            yield Finding(*user_info.span("password"), URL_CREDENTIALS)
        is_http = url["scheme"].lower().endswith(("http", "https"))
        if is_http and _TOKEN_USER.fullmatch(user_info["user"]):
            yield Finding(*user_info.span("user"), URL_CREDENTIALS)
    for found in _PARAMETER.finditer(line, start, end):
        if is_secret_parameter(found["name"], found["secret"]):
            yield Finding(*found.span("secret"), URL_CREDENTIALS)
