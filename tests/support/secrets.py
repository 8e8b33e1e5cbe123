"""Secrets to hide, made anew each time, and looking for them everywhere."""

import random
import string
import textwrap

_LETTERS = string.ascii_letters + string.digits
_random = random.SystemRandom()


def letters(count: int, alphabet: str = _LETTERS) -> str:
    """Return random letters, of each sort at least one."""
    while True:
        word = "".join(_random.choices(alphabet, k=count))
        if any(c.isdigit() for c in word) and any(c.isupper() for c in word):
            return word


def github_token() -> str:
    """Return what a token of GitHub's looks like."""
    return f"ghp_{letters(36)}"


def aws_key_id() -> str:
    """Return what an access key id of AWS looks like."""
    return f"AKIA{letters(16, string.ascii_uppercase + '234567')}"


def private_key() -> str:
    """Return what a private key in PEM looks like; each of its inner lines is a secret, too."""
    body = "\n".join(textwrap.wrap(letters(64 * 6), 64))
    return f"-----BEGIN RSA PRIVATE KEY-----\n{body}\n-----END RSA PRIVATE KEY-----\n"


def password() -> str:
    """Return what has no form of its own: only its name gives it away."""
    return f"{letters(9)}!{letters(9)}"
