"""Names that say that their value is a secret, and values that are none whatever their name says.

The vocabulary of machine learning is full of tokens and keys that are none: `pad_token`,
`max_tokens`, `tokenizer`, `foreign_key`. So a name is read as words, and the words around decide.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

BY_NAME = "Secret by Name"

_NAME_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-zñ]+|[0-9]+")
_NAME = re.compile(r"[\w.-]+")
_HYPHENS = str.maketrans("-. ", "___")

# These say it alone, wherever they stand in a name.
_SECRETS = frozenset(
    """
    apikey authkey authtoken accesskey accesstoken apitoken bearertoken contrasena contraseña
    credential credentials hftoken passphrase passwd password passwords privatekey refreshtoken
    secret secretkey secrets secretaccesskey sessiontoken webhooksecret
    """.split()
)
_SECRET_ENDINGS = ("passphrase", "password", "passwd", "apikey", "authtoken")
# A key is secret by what it is for, and so is a token; `pass` and `pwd` by whose they are.
_KEYS = frozenset(
    """
    access account admin api app application auth client comet database db deploy encryption kaggle
    license master nessus priv private recaptcha secret service shared signing sk storage
    subscription wandb write
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
    admin client database db ftp http https imap jdbc key ldap login mail mongo mongodb mysql pg
    postgres postgresql proxy rabbitmq redis registry root smtp sql ssh sudo user vnc
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

# What stands where a secret would: nothing, a yes or no, a number, a place that holds it, a
# template, an expression, stars. A commitment of ours is a template, too.
_NO_SECRET = re.compile(
    r"""
    | [-+]?[0-9.]{1,5}
    | (?:n/?a|none|null|nil|true|false|yes|no|on|off|auto|default|disabled|enabled|required
        |optional|unset|empty|missing|str|string|bytes|int|bool|any|text|self|bearer|basic)
    | (?P<stars>[\W_]|[xX])(?P=stars)*
    | [\W_]*
    | \{.*\} | <.*> | \[.*\] | \(.*\) | \$.* | %\w+% | `.*` | @.*
    | [\w.]+[(\[].*[)\]]
    | (?:~|\.{1,2})?(?:/[\w.+@ -]+)*/?[\w.-]+\.(?:cfg|conf|crt|enc|env|gpg|ini|json|key|pem|pub|toml
        |txt|ya?ml)
    | (?:~|\.{1,2})(?:/[\w.+@ -]+)+/?
    | (?:os\.|env[.:]|args\.|self\.|config\.|cfg\.|settings\.|process\.env).*
    """,
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)


@lru_cache(maxsize=4096)
def says_secret(name: str) -> bool:
    """Say whether a name says that its value is a secret."""
    words = [word.lower() for word in _NAME_WORD.findall(name.translate(_HYPHENS))]
    while words and (words[-1].isdecimal() or words[-1] == "v"):  # password1, token_v2
        words.pop()
    if not words or words[-1] in _ABOUT:
        return False
    if words[-1] == "token" and name.isupper() and not _OF_LANGUAGE.intersection(words):
        return True
    return any(_is_secret(words, place) for place in range(len(words)))


def may_be_secret(value: str) -> bool:
    """Say whether a value could be what a name promises that says secret."""
    return _NO_SECRET.fullmatch(value.strip()) is None


def secret_arguments(argv: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield which arguments hold a secret by name, and where in them it begins."""
    for place, word in enumerate(argv):
        name, equals, value = word.partition("=")
        if equals and _NAME.fullmatch(name):
            if says_secret(name) and may_be_secret(value):
                yield place, len(name) + 1
        elif word.startswith("-") and says_secret(word):
            behind = argv[place + 1 : place + 2]
            if behind and not behind[0].startswith("-") and may_be_secret(behind[0]):
                yield place + 1, 0


def _is_secret(words: list[str], place: int) -> bool:
    word, before = words[place], words[place - 1] if place else ""
    if word in _SECRETS or word.endswith(_SECRET_ENDINGS):
        return True
    match word:
        case "key":
            return before in _KEYS
        case "token":
            return len(words) == 1 or before in _TOKENS
        case "pass" | "pwd" | "pw":
            return before in _OWNERS
    return False
