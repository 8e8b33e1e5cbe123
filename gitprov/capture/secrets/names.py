"""Names that say that their value is a secret, and names that only hint at it.

The vocabulary of machine learning is full of tokens and keys that are none: `pad_token`,
`max_tokens`, `tokenizer`, `foreign_key`. So a name is read as words, and the words around decide.
What a value can excuse is in `excuses`.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import PurePath

from gitprov.capture.secrets.excuses import is_prose, looks_drawn, may_be_secret

BY_NAME = "Secret by Name"

_NAME_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-zñ]+|[0-9]+")
_HYPHENS = str.maketrans("-. ", "___")
# Before a name in a line, and no part of it.
_STATEMENTS = frozenset(
    "arg const def elif env export final global if let local readonly return set val var".split()
)

# The name of an argument: of an option, or for an assignment as in `+model.api_key=x`.
_ARGUMENT = re.compile(r"(?P<option>-{1,2})?[+~]{0,2}(?P<name>[\w.-]+)(?P<sign>[=:])")
_DASHED_VALUE = re.compile(r"-(?=[^=]*[0-9])[^-=\s][^=\s]{6,}")
_LOGIN_OPTION = re.compile(r"-[uU]|--user|--proxy-user")
_JOINED_LOGIN = re.compile(r"(?:-[uU]|--user=|--proxy-user=)(?=[^:\s]+:)")
_LOGIN = re.compile(r"[^:\s]+:(?P<password>\S+)")
# Programs to whom `-u` gives a login; to others a user and a group.
_WITH_LOGINS = frozenset({"curl", "http", "https", "xh"})

# These say it alone, wherever they stand in a name.
_SECRETS = frozenset(
    """
    apikey authkey authtoken accesskey accesstoken apitoken bearertoken contrasena contraseña
    credential credentials hftoken passphrase passwd password passwords pgpass privatekey
    refreshtoken secret secretkey secrets secretaccesskey sessiontoken sshpass webhooksecret
    """.split()
)
_SECRET_ENDINGS = ("passphrase", "password", "passwd", "apikey", "authtoken")
# A key is secret by what it is for, and so is a token; `pass` and `pwd` by whose they are.
_KEYS = frozenset(
    """
    access account admin anthropic api app application auth client comet database db deploy
    encryption kaggle license master nessus openai priv private recaptcha secret service shared
    signing sk storage subscription wandb write
    """.split()
)
_TOKENS = frozenset(
    """
    access admin api app artifactory auth authentication aws azure bearer bot ci clearml cloud
    cloudflare codecov comet csrf databricks dagshub deploy device discord docker gh git gitea
    github gitlab google hf hub hugging huggingface id identity jwt kaggle login mlflow
    neptune npm oauth openai personal private pypi read refresh replicate sas secret security
    service session slack sso sts telegram twine upload user vault wandb web webhook write
    """.split()
)
_OWNERS = frozenset(
    """
    admin client database db email ftp http https imap jdbc key ldap login mail mongo mongodb mysql
    pg postgres postgresql proxy rabbitmq redis registry root smtp sql ssh sudo user vnc wifi
    """.split()
)
# In the plural only behind these: `max_tokens` are a number, `primary_keys` columns.
_SEVERAL = frozenset(
    "access api auth bearer bot encryption gh github gitlab hf hub huggingface private refresh "
    "secret signing".split()
)
# In the names of variables alone: an `hf_key` is the name of a tensor.
_VENDORS = frozenset(
    """
    aws azure cohere gcp gemini github gitlab google groq hf huggingface mistral neptune nvidia
    replicate sendgrid slack stripe together twilio
    """.split()
)
# In the names of variables, what ends with PASS may be a password, but for these: `N_PASS`.
_PASSES = frozenset(
    """
    all backward bandpass bypass compass count depth early fail fast final first forward full
    highpass inner last late lowpass main max min multi n next num one outer overpass per post pre
    render result second shadow single slow status test third total trespass two underpass
    """.split()
)
# In the names of variables every token is secret but for these: `CONDA_TOKEN`, but `PAD_TOKEN`.
_OF_LANGUAGE = frozenset(
    """
    audio begin bos class cls end eos first image last mask max min new next num pad per prompt sep
    special start stop text unk video
    """.split()
)
# Said of the secret behind these, and not the secret itself: `password_file`, `token_type`.
_ABOUT = frozenset(
    """
    algorithm arg attempts bytes class column count counter counts dim dir directory embedding
    embeddings endpoint env environ environment error errors exists expiration expires expiry field
    file filename files filter folder format hash hint id ids idx index kind label labels len
    length level lifetime limit location manager mask max min mode model name names num number
    param parameter parser path paths pattern policy position probability prompt provider ratio
    refresh regex required reset rotation scope scopes size source ssm stdin store strategy timeout
    ttl type types uri uris url urls usage valid validator var variable version
    """.split()
)


@lru_cache(maxsize=4096)
def says_secret(name: str) -> bool:
    """Say whether a name says that its value is a secret."""
    name, words = _read(name)
    if not words or words[-1] in _ABOUT:
        return False
    if name.isupper() and _is_secret_variable(words):
        return True
    return words[-1] == "jwt" or any(_is_secret(words, place) for place in range(len(words)))


@lru_cache(maxsize=4096)
def hints_at_secret(name: str) -> bool:
    """Say whether what a name stands for may be a secret, if the value looks like one."""
    name, words = _read(name)
    if len(words) == 1 and words[0] in ("pass", "pwd", "pw"):
        return True
    return name.isupper() and name.rstrip("_0123456789").endswith("PASS") and not _PASSES & {*words}


def is_secret(name: str, value: str) -> bool:
    """Say whether a name makes a secret of its value."""
    if says_secret(name):
        is_its_name = _read(name)[1] == _read(value)[1]  # as in `--hf-token HF_TOKEN`
        return may_be_secret(value, name) and not is_its_name
    return hints_at_secret(name) and looks_drawn(value)


def is_secret_in_text(name: str, value: str, *, quoted: bool) -> bool:
    """Say the same of a text, where a sentence or code may look like a name and its value.

    Most of all with tokens: a bare `token` is a word's as often as not.
    """
    is_sure = quoted and _read(name)[1] != ["token"]
    return is_secret(name, value) and (is_sure or not is_prose(value))


def is_secret_within(place: str, value: str) -> bool:
    """Say whether a value is a secret for what it is a part of: `api_keys.mine`, `auth[1]`."""
    return (says_secret(place) or place.endswith("auth[1]")) and looks_drawn(value)


def secret_arguments(argv: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield which arguments hold a secret by name, and where in them it begins."""
    for place, word in enumerate(argv):
        assigned = _ARGUMENT.match(word)
        if assigned and (assigned["sign"] == "=" or assigned["option"]):
            if is_secret(assigned["name"], word[assigned.end() :]):
                yield place, assigned.end()
        elif word.startswith("-") and place + 1 < len(argv):
            value = argv[place + 1]
            may_follow = not value.startswith("-") or _DASHED_VALUE.fullmatch(value)
            if may_follow and is_secret(word, value):
                yield place + 1, 0
    yield from _passwords_of_logins(argv)


def _passwords_of_logins(argv: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield the passwords of `curl -u ada:password` and the like."""
    programs = [place for place, word in enumerate(argv) if PurePath(word).name in _WITH_LOGINS]
    for place in range(programs[0] + 1 if programs else len(argv), len(argv)):
        start = 0
        if joined := _JOINED_LOGIN.match(argv[place]):
            start = joined.end()
        elif not _LOGIN_OPTION.fullmatch(argv[place - 1]):
            continue
        login = _LOGIN.fullmatch(argv[place], start)
        if login and may_be_secret(login["password"]):
            yield place, login.start("password")


def _read(name: str) -> tuple[str, list[str]]:
    """Return a name without what stands before it, and its words without a number at the end."""
    before, _, rest = name.partition(" ")
    if rest and (rest.isupper() or before.lower() in _STATEMENTS):
        name = rest
    words = [word.lower() for word in _NAME_WORD.findall(name.translate(_HYPHENS))]
    while words and (words[-1].isdecimal() or words[-1] == "v"):  # password1, token_v2
        words.pop()
    return name, words


def _is_secret_variable(words: Sequence[str]) -> bool:
    """Say whether the words of a variable's name say secret where those of others would not."""
    if words[-1] == "token":
        return not _OF_LANGUAGE.intersection(words)
    return words[-1] == "key" and len(words) > 1 and words[-2] in _VENDORS


def _is_secret(words: Sequence[str], place: int) -> bool:
    word, before = words[place], words[place - 1] if place else ""
    if word in _SECRETS or word.endswith(_SECRET_ENDINGS):
        return True
    match word:
        case "key":
            return before in _KEYS
        case "token":
            return len(words) == 1 or before in _TOKENS
        case "keys" | "tokens":
            return before in _SEVERAL
        case "pass" | "pwd" | "pw":
            return before in _OWNERS
    return False
