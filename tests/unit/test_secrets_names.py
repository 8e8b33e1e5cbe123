"""Which names say that their value is a secret, which hint at it, and which say nothing."""

import pytest

from gitprov.capture.secrets.names import (
    hints_at_secret,
    is_secret,
    is_secret_within,
    says_secret,
    secret_arguments,
)

SAYING_SO = """
    password PASSWORD db.password PGPASSWORD MYSQL_PWD DB_PASS smtp-pass passphrase passwd
    password1 DB_PASSWORD_2 userPassword MLFLOW_TRACKING_PASSWORD
    secret SECRET_KEY SECRET_KEY_BASE client_secret clientSecret AWS_SECRET_ACCESS_KEY
    --api-key api_key apiKey X-Api-Key OPENAI_API_KEY WANDB_API_KEY MYAPIKEY private_key
    AccountKey KAGGLE_KEY encryption_key
    token TOKEN --token HF_TOKEN hub_token auth_token accessToken AWS_SESSION_TOKEN github-token
    GITLAB_TOKEN CONDA_TOKEN push_to_hub_token SLACK_BOT_TOKEN HUGGING_FACE_HUB_TOKEN token_v2
    SSHPASS PGPASS EMAIL_PASS SMTP_PASS OPENAI_KEY openai_key ANTHROPIC_KEY HF_KEY AZURE_KEY
    api_keys access_keys hf_tokens API_TOKENS SLURM_JWT jwt params.api_keys.mine
    contraseña credentials
"""

HINTING = "pass --pass PASS pwd --pwd pw MY_PASS PROXY2_PASS WORKER_PASS_2"

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
    hf_key google_key s3_key S3_KEY SORT_KEY PRIMARY_KEY CACHE_KEY primary_keys foreign_keys
    prompt_tokens cached_tokens cache_read_tokens user_tokens id_tokens jwt_algorithm
    N_PASS FORWARD_PASS TEST_PASS BYPASS COMPASS LOWPASS PASSES
    author authority auth lr batch_size wandb_project run_name
"""


@pytest.mark.parametrize("name", SAYING_SO.split())
def test_names_that_say_secret(name: str) -> None:
    assert says_secret(name)


@pytest.mark.parametrize("name", SAYING_NOTHING.split())
def test_names_that_say_nothing(name: str) -> None:
    assert not says_secret(name)


@pytest.mark.parametrize("name", HINTING.split())
def test_names_that_hint(name: str) -> None:
    assert hints_at_secret(name)
    assert is_secret(name, "hunter2zz9")
    for value in ("second", "12", "12345678", "/home/ada/project1", "oauth2"):
        assert not is_secret(name, value)


@pytest.mark.parametrize("name", sorted({*SAYING_NOTHING.split()} - {"pass", "pwd", "PWD"}))
def test_names_that_do_not_hint(name: str) -> None:
    assert not hints_at_secret(name)


@pytest.mark.parametrize(
    ("place", "value", "secret"),
    [
        ("api_keys.mine", "hunter2bb9", True),
        ("auth[1]", "hunter2zz9", True),
        ("auth[0]", "hunter2zz9", False),
        ("auth", "service_account_v2", False),
        ("credentials.login.name", "hunter2bb9", False),
        ("secret.kind", "hunter2bb9", False),
        ("api_keys.mine", "unset", False),
        ("model.name", "hunter2bb9", False),
    ],
)
def test_what_is_part_of_a_secret(place: str, value: str, *, secret: bool) -> None:
    assert is_secret_within(place, value) == secret


def test_the_name_itself_is_no_value() -> None:
    assert not is_secret("--hf-token", "HF_TOKEN")
    assert is_secret("--hf-token", "HF_SECRET")


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
        (["x", "--password:hunter2", "--lr:1", "password:hunter2"], ["hunter2"]),
        (["x", "--pass", "hunter22", "--pwd", "hunter2xx"], ["hunter22", "hunter2xx"]),
        (["x", "--pass", "2", "-pass", "second", "--pwd", "/home/ada/x1"], []),
        (["x", "--token", "-leadingdash99"], ["-leadingdash99"]),
        (["mysql", "--password", "-u", "ada", "--token", "-j16"], []),
        (["x", "+model.api_key=abcdefgh", "++db.password=1234"], ["abcdefgh", "1234"]),
        (["sudo", "/usr/bin/curl", "-s", "-u", "ada:Tr0ub4dor3", "h"], ["Tr0ub4dor3"]),
        (["curl", "-uada:hunter2", "--proxy-user=ada:hunter3"], ["hunter2", "hunter3"]),
        (["curl", "-u", "ada", "--user", "ada:$PASSWORD", "https://h:80"], []),
        (["docker", "run", "-u", "ada:users1234", "-u", "1000:1000", "curl"], []),
        (["x", "SORT_KEY=a1b2c3d4e5", "--primary-key=a1b2c3d4e5", "--hf-key", "a1b2c3d4e5"], []),
        (["x", "--auth", "oauth2abc", "--api-key=API_KEY"], []),
        ([], []),
    ],
)
def test_arguments(argv: list[str], found: list[str]) -> None:
    assert [argv[place][start:] for place, start in secret_arguments(argv)] == found
