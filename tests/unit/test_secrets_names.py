"""Which names say that their value is a secret, and which values are none all the same."""

import pytest

from gitprov.capture.secrets.names import may_be_secret, says_secret, secret_arguments

SAYING_SO = """
    password PASSWORD db.password PGPASSWORD MYSQL_PWD DB_PASS smtp-pass passphrase passwd
    password1 DB_PASSWORD_2 userPassword MLFLOW_TRACKING_PASSWORD
    secret SECRET_KEY SECRET_KEY_BASE client_secret clientSecret AWS_SECRET_ACCESS_KEY
    --api-key api_key apiKey X-Api-Key OPENAI_API_KEY WANDB_API_KEY MYAPIKEY private_key
    AccountKey KAGGLE_KEY encryption_key
    token TOKEN --token HF_TOKEN hub_token auth_token accessToken AWS_SESSION_TOKEN github-token
    GITLAB_TOKEN CONDA_TOKEN push_to_hub_token SLACK_BOT_TOKEN HUGGING_FACE_HUB_TOKEN token_v2
    contraseña credentials
"""

SAYING_NOTHING = """
    pad_token eos_token bos-token PAD_TOKEN mask_token sep_token unk_token cls_token stop_token
    special_tokens additional_special_tokens first_token class_token image_token_id
    tokenizer tokenizer_name TOKENIZERS_PARALLELISM max_tokens MAX_TOKENS max_new_tokens num_tokens
    tokens tokens_per_second token_count token_type token_ids
    key keys seed_key rng_key prng_key random_key sort_key primary_key foreign_key dict_key key_dim
    num_key_value_heads keypoints monkey hotkey
    password_file PASSWORD_STORE_DIR password-stdin secret_name api_key_env api_key_file
    token_url tokenEndpoint api_key_id AWS_ACCESS_KEY_ID SSH_AUTH_SOCK
    pass forward_pass n_pass pass_rate passes compass passthrough PWD OLDPWD pwd
    author authority auth lr batch_size wandb_project run_name
"""


@pytest.mark.parametrize("name", SAYING_SO.split())
def test_names_that_say_secret(name: str) -> None:
    assert says_secret(name)


@pytest.mark.parametrize("name", SAYING_NOTHING.split())
def test_names_that_say_nothing(name: str) -> None:
    assert not says_secret(name)


@pytest.mark.parametrize(
    "value",
    ["hunter2", "s", "correct horse", "123456", "/x9K2abcdefgh", "abc/def+ghi=", "pa$$word", "é"],
)
def test_values_that_may_be_secrets(value: str) -> None:
    assert may_be_secret(value)


@pytest.mark.parametrize(
    "value",
    [
        *("", "  ", "none", "None", "true", "False", "off", "12", "0.5", "****", "xxxx", "..."),
        *("{password}", "<token>", "${TOKEN}", "$TOKEN", "%TOKEN%", "{secret:" + "0" * 32 + "}"),
        *("~/.ssh/id_rsa", "/etc/keys/server.pem", "key.json", "./token.txt", "../keys/one"),
        *("os.environ['TOKEN']", "get_secret('name')", "args.password", "env:TOKEN", "[CLS]"),
    ],
)
def test_values_that_are_none(value: str) -> None:
    assert not may_be_secret(value)


@pytest.mark.parametrize(
    ("argv", "found"),
    [
        (["x", "--password", "hunter2"], ["hunter2"]),
        (["x", "--password=hunter2", "--lr=1"], ["hunter2"]),
        (["env", "API_KEY=a=b", "x"], ["a=b"]),
        (["x", "-token", "abc", "--api-key", "def"], ["abc", "def"]),
        (["x", "--password"], []),
        (["x", "--password", "--verbose"], []),
        (["x", "--password-stdin", "word"], []),
        (["x", "--use-auth-token", "true"], []),
        (["x", "--pad_token", "<pad>", "--max-tokens=512"], []),
        (["x", "https://host/?token=abc", "say password=x now"], []),
        ([], []),
    ],
)
def test_arguments(argv: list[str], found: list[str]) -> None:
    assert [argv[place][start:] for place, start in secret_arguments(argv)] == found
