"""Secrets by their form, beyond what the library knows: tokens, private keys, URLs, headers."""

import re
from collections.abc import Iterator, Mapping

from gitprov.capture.secrets.finding import Finding
from gitprov.capture.secrets.gate import may_hold_private_key
from gitprov.capture.secrets.names import may_be_secret
from gitprov.capture.url_credentials import is_secret_parameter

PRIVATE_KEY = "Private Key"
URL_CREDENTIALS = "URL Credentials"
HTTP_CREDENTIALS = "HTTP Credentials"

# What services give their tokens to be known by.
TOKEN_FORMS: Mapping[str, str] = {
    "Age Secret Key": r"AGE-SECRET-KEY-1[0-9A-Z]{50,}",
    "Anthropic API Key": r"sk-ant-[\w-]{20,}",
    "Azure Client Secret": r"[\w~.]{3}[0-9]Q~[\w~.-]{31,34}",
    "Databricks Token": r"dapi[0-9a-f]{32}(?:-[0-9])?",
    "DigitalOcean Token": r"do[opr]_v1_[0-9a-f]{64}",
    "Docker Hub Token": r"dckr_[po]at_[\w-]{20,}",
    "GitHub Token": r"github_pat_[A-Za-z0-9]{20,}_?[A-Za-z0-9]*|gh[opsur]_[A-Za-z0-9]{36,}",
    "GitLab Token": r"gl(?:agent|cbt|dt|ft|imt|oas|pat|ptt|rt|soat)-[\w.-]{20,}",
    "Google API Key": r"AIza[\w-]{35}",
    "Google OAuth Token": r"ya29\.[\w-]{20,}|GOCSPX-[\w-]{28}|1//0[\w-]{20,}",
    "Groq API Key": r"gsk_[A-Za-z0-9]{40,}",
    "Hugging Face Token": r"hf_[A-Za-z0-9]{30,}|api_org_[A-Za-z0-9]{30,}",
    "Kaggle Token": r"KGAT_[0-9a-f]{32}",
    "NPM Token": r"npm_[A-Za-z0-9]{36}",
    "Neptune Token": r"eyJhcGlfYWRkcmVzcyI6[A-Za-z0-9+/=]{20,}",
    "NVIDIA API Key": r"nvapi-[\w-]{40,}",
    "OpenAI API Key": (
        r"sk-(?:proj|svcacct|admin)-[\w-]{20,}|sk-[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}"
        r"|sk-[A-Za-z0-9]{40,}"
    ),
    "PyPI Token": r"pypi-[\w-]{50,}",
    "Replicate Token": r"r8_[A-Za-z0-9]{37,}",
    "Slack Token": r"xapp-[0-9]-[A-Z0-9]+-[0-9]+-[0-9a-f]+|xoxe\.xox[bp]-[0-9]-[A-Za-z0-9]+",
    "Stripe Access Key": r"[rs]k_(?:live|test)_[A-Za-z0-9]{20,}",
    "Telegram Bot Token": r"[0-9]{8,10}:AA[\w-]{33}",
    "Vault Token": r"hv[bsr]\.[\w-]{24,}",
    "Weights & Biases API Key": r"wandb_v[0-9]_[\w-]{40,}",
}

_TOKEN = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    + "|".join(f"(?P<t{number}>{form})" for number, form in enumerate(TOKEN_FORMS.values()))
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

_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<rest>[^\s\"'`<>\\^]+)")
_USER_INFO = re.compile(r"(?P<user>[^/?#@:]*)(?::(?P<password>[^/?#]*))?@(?P<host>[^/?#]*)")
_PARAMETER = re.compile(r"(?<=[?&;])(?P<name>[^=&;#?]+)=(?P<secret>[^&;#]+)")
_PLACEHOLDERS = frozenset("pass passwd password pw pwd secret token user username xxx".split())
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
        yield from _in_url(line, *url.span("rest"))


def _in_url(line: str, start: int, end: int) -> Iterator[Finding]:
    user_info = _USER_INFO.match(line, start, end)
    if user_info and _is_password(user_info):
        yield Finding(*user_info.span("password"), URL_CREDENTIALS)
    for found in _PARAMETER.finditer(line, start, end):
        if is_secret_parameter(found["name"], found["secret"]):
            yield Finding(*found.span("secret"), URL_CREDENTIALS)


def _is_password(user_info: re.Match[str]) -> bool:
    password = user_info["password"]
    return (
        bool(password)
        and may_be_secret(password)
        and password.lower() not in _PLACEHOLDERS
        and not user_info["host"].lower().endswith(_EXAMPLES)
    )
