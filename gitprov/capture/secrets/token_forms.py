"""How tokens look, beyond what the library knows: by kind, how each form begins and goes on.

All that goes by the beginnings of tokens takes them from here.
"""

from collections.abc import Mapping

# What services give their tokens to be known by: kind, beginning, rest.
TOKEN_FORMS: Mapping[str, Mapping[str, str]] = {
    "Age Secret Key": {"AGE-SECRET-KEY-1": r"[0-9A-Z]{50,}"},
    "Anthropic API Key": {"sk-ant-": r"[\w-]{20,}"},
    "Azure Client Secret": {r"[\w~.]{3}[0-9]Q~": r"[\w~.-]{31,34}"},
    "Databricks Token": {r"dapi[0-9a-f]{32}": r"(?:-[0-9])?"},
    "DigitalOcean Token": {"do[opr]_v1_": r"[0-9a-f]{64}"},
    "Docker Hub Token": {"dckr_[po]at_": r"[\w-]{20,}"},
    "GitHub Token": {
        "github_pat_": r"[A-Za-z0-9]{20,}_?[A-Za-z0-9]*",
        "gh[opsur]_": r"[A-Za-z0-9]{36,}",
    },
    "GitLab Token": {"gl(?:agent|cbt|dt|ft|imt|oas|pat|ptt|rt|soat)-": r"[\w.-]{20,}"},
    "Google API Key": {"AIza": r"[\w-]{35}"},
    "Google OAuth Token": {
        r"ya29\.": r"[\w-]{20,}",
        "GOCSPX-": r"[\w-]{28}",
        "1//0": r"[\w-]{20,}",
    },
    "Groq API Key": {"gsk_": r"[A-Za-z0-9]{40,}"},
    "Hugging Face Token": {"hf_": r"[A-Za-z0-9]{30,}", "api_org_": r"[A-Za-z0-9]{30,}"},
    "Kaggle Token": {"KGAT_": r"[0-9a-f]{32}"},
    "NPM Token": {"npm_": r"[A-Za-z0-9]{36}"},
    "Neptune Token": {"eyJhcGlfYWRkcmVzcyI6": r"[A-Za-z0-9+/=]{20,}"},
    "NVIDIA API Key": {"nvapi-": r"[\w-]{40,}"},
    "OpenAI API Key": {
        "sk-(?:proj|svcacct|admin)-": r"[\w-]{20,}",
        "sk-": r"[A-Za-z0-9]{40,}",
    },
    "PyPI Token": {"pypi-": r"[\w-]{50,}"},
    "Replicate Token": {"r8_": r"[A-Za-z0-9]{37,}"},
    "Slack Token": {
        "xapp-": r"[0-9]-[A-Z0-9]+-[0-9]+-[0-9a-f]+",
        r"xoxe\.": r"xox[bp]-[0-9]-[A-Za-z0-9]+",
    },
    "Stripe Access Key": {"[rs]k_(?:live|test)_": r"[A-Za-z0-9]{20,}"},
    "Telegram Bot Token": {"[0-9]{8,10}:AA": r"[\w-]{33}"},
    "Vault Token": {r"hv[bsr]\.": r"[\w-]{24,}"},
    "Weights & Biases API Key": {"wandb_v[0-9]_": r"[\w-]{40,}"},
}
# Of those that the library knows, and of private keys.
_OF_OTHERS = ("-----BEGIN", "A[KS]IA[A-Z0-9]{16}", "SG\\.", "eyJ", "sq0csp-", "xox[a-z]-")

BEGINNINGS = (*(begin for forms in TOKEN_FORMS.values() for begin in forms), *_OF_OTHERS)
