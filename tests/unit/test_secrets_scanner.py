"""What is found in a text, of all kinds; and what is none, however much it looks like it."""

import random
import re
import string
import subprocess
import sys
from pathlib import Path

import pytest

from gitprov.capture.secrets.allowed import Allowed
from gitprov.capture.secrets.files import ContentCheck
from gitprov.capture.secrets.gate import lines_worth_a_look
from gitprov.capture.secrets.library import _library
from gitprov.capture.secrets.redaction import Redactor
from gitprov.capture.secrets.scanner import Finding, Scanner
from gitprov.capture.secrets.token_forms import TOKEN_FORMS

HEX = "0123456789abcdef"
UPPER = string.ascii_uppercase + "234567"
LOWER = string.ascii_lowercase + string.digits
WORD = string.ascii_letters + string.digits
URL_SAFE = f"{WORD}-_"
ROUNDS = 20


class Letters(random.Random):
    """Random letters, the same in every run of the tests."""

    def of(self, alphabet: str, count: int) -> str:
        return "".join(self.choices(alphabet, k=count))


# What the library's detectors find, by their kind: a line with the secret in << and >>.
LIBRARY = {
    "Artifactory Credentials": lambda of: f"jfrog: <<AKC{of(WORD, 64)}>>",
    "AWS Access Key": lambda of: f"id <<AKIA{of(UPPER, 16)}>> of it",
    "Azure Storage Account access key": lambda of: f"AccountKey=<<{of(WORD, 86)}==>>",
    "Cloudant Credentials": lambda of: f"cloudant_password = '<<{of(HEX, 64)}>>'",
    "Discord Bot Token": lambda of: f"<<M{of(WORD, 23)}.{of(URL_SAFE, 6)}.{of(URL_SAFE, 27)}>>",
    "GitHub Token": lambda of: f"see <<ghp_{of(WORD, 36)}>>",
    "IBM Cloud IAM Key": lambda of: f"ibm_cloud_iam_key = '<<{of(URL_SAFE, 44)}>>'",
    "IBM COS HMAC Credentials": lambda of: f"cos_secret_access_key='<<{of(HEX, 48)}>>'",
    "JSON Web Token": lambda of: (
        f"<<eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.{of(WORD, 43)}>>"
    ),
    "Mailchimp Access Key": lambda of: f"<<{of(HEX, 32)}-us12>>",
    "NPM tokens": lambda of: f"//registry/:_authToken=<<{of(LOWER, 36)}>>",
    "Secret Keyword": lambda of: f"db_password = '<<{of(WORD, 7)}>>'",
    "SendGrid API Key": lambda of: f"<<SG.{of(URL_SAFE, 22)}.{of(URL_SAFE, 43)}>>",
    "Slack Token": lambda of: f"<<xoxb-{of(string.digits, 12)}-{of(LOWER, 24)}>>",
    "SoftLayer Credentials": lambda of: f"softlayer_api_key: <<{of(LOWER, 64)}>>",
    "Square OAuth Secret": lambda of: f"<<sq0csp-{of(URL_SAFE, 43)}>>",
    "Stripe Access Key": lambda of: f"<<sk_live_{of(WORD, 24)}>>",
    "Twilio API Key": lambda of: f"<<SK{of(LOWER, 32)}>>",
}

# What services give their tokens to be known by, as their documentation shows them.
TOKENS = {
    "Age Secret Key": lambda of: f"AGE-SECRET-KEY-1{of(UPPER, 58)}",
    "Anthropic API Key": lambda of: f"sk-ant-api03-{of(URL_SAFE, 93)}AA",
    "Azure Client Secret": lambda of: f"{of(WORD, 3)}8Q~{of(WORD, 34)}",
    "Databricks Token": lambda of: f"dapi{of(HEX, 32)}-2",
    "DigitalOcean Token": lambda of: f"dop_v1_{of(HEX, 64)}",
    "Docker Hub Token": lambda of: f"dckr_pat_{of(URL_SAFE, 27)}",
    "GitHub Token": lambda of: f"github_pat_{of(WORD, 22)}_{of(WORD, 59)}",
    "GitLab Token": lambda of: f"glpat-{of(WORD, 20)}",
    "Google API Key": lambda of: f"AIza{of(URL_SAFE, 35)}",
    "Google OAuth Token": lambda of: f"ya29.{of(URL_SAFE, 60)}",
    "Groq API Key": lambda of: f"gsk_{of(WORD, 52)}",
    "Hugging Face Token": lambda of: f"hf_{of(string.ascii_letters, 34)}",
    "Kaggle Token": lambda of: f"KGAT_{of(HEX, 32)}",
    "NPM Token": lambda of: f"npm_{of(WORD, 36)}",
    "NVIDIA API Key": lambda of: f"nvapi-{of(URL_SAFE, 64)}",
    "Neptune Token": lambda of: f"eyJhcGlfYWRkcmVzcyI6{of(WORD, 80)}==",
    "OpenAI API Key": lambda of: f"sk-proj-{of(URL_SAFE, 74)}",
    "PyPI Token": lambda of: f"pypi-AgEIcHlwaS5vcmc{of(URL_SAFE, 150)}",
    "Replicate Token": lambda of: f"r8_{of(WORD, 37)}",
    "Slack Token": lambda of: f"xapp-1-A{of(UPPER, 10)}-{of(string.digits, 13)}-{of(HEX, 64)}",
    "Stripe Access Key": lambda of: f"sk_test_{of(WORD, 24)}",
    "Telegram Bot Token": lambda of: f"{of('123456789', 10)}:AA{of(URL_SAFE, 33)}",
    "Vault Token": lambda of: f"hvs.{of(URL_SAFE, 90)}",
    "Weights & Biases API Key": lambda of: f"wandb_v1_{of(URL_SAFE, 80)}",
}


def find(text: str, file: str = "", allowed: Allowed = Allowed()) -> dict[str, str]:  # noqa: B008
    return {text[start:end]: kind for start, end, kind in Scanner(allowed).find(text, file)}


@pytest.mark.parametrize("kind", LIBRARY)
@pytest.mark.parametrize("around", ["{}", "2026-01-01 INFO {} and more", "x\n{}\ny\r\n"])
def test_what_the_library_finds_passes_the_gate(kind: str, around: str) -> None:
    letters = Letters(f"{kind}{around}")
    for _ in range(ROUNDS):
        marked = around.format(LIBRARY[kind](letters.of))
        match = re.search("<<(.*)>>", marked)
        assert match
        found = find(re.sub("<<|>>", "", marked))
        assert [secret for secret in found if match[1] in secret], marked


def test_every_detector_of_the_library_has_an_example() -> None:
    library = _library()
    kinds = {detector.secret_type for detector in library.detectors}
    assert kinds | {library.keyword_detector.secret_type} == LIBRARY.keys()


@pytest.mark.parametrize("kind", TOKENS)
@pytest.mark.parametrize("around", ["{}", "--with={}", '{{"it": "{}"}}', "a: {}, b", "say {}."])
def test_tokens_of_services(kind: str, around: str) -> None:
    letters = Letters(f"{kind}{around}")
    for _ in range(ROUNDS):
        token = TOKENS[kind](letters.of)
        found = find(around.format(token))
        assert [secret for secret in found if token.rstrip("-.") in secret], token


def rest(text: str) -> str:
    """Return what is left of a text without what is found."""
    for found in reversed(Scanner(Allowed()).find(text)):
        text = text[: found.start] + text[found.end :]
    return text


@pytest.mark.parametrize("kind", TOKENS)
@pytest.mark.parametrize(
    "around",
    [
        *("\x1b[1m{}\x1b[0m", "\x1b(B{}", r"a\n{}\n", r'"\u001b[32m{}"', r"\x1b[1;31m{}"),
        *("%3D{}", "https://h/cb?back=%2Fa%3D{}%26", r"\u003d{}", r"[\"{}\"]", r"b'\x00{}'"),
    ],
)
def test_escapes_are_no_part_of_tokens(kind: str, around: str) -> None:
    letters = Letters(f"{kind}{around}")
    for _ in range(ROUNDS // 4):
        token = TOKENS[kind](letters.of)
        assert token[-8:] not in rest(around.format(token)), token


@pytest.mark.parametrize("before", ["", "x", "3D", "m"])
def test_no_part_of_a_token_is_left(before: str) -> None:
    token = f"ghp_{Letters(before).of(WORD, 36)}"
    assert rest(f"see {before}{token}!") == f"see {before}!"


def test_names_and_values_in_colours() -> None:
    text = "\x1b[31mpassword\x1b[0m: \x1b[1mhunter2zz9"
    assert find(text) == {"hunter2zz9": "Secret by Name"}


@pytest.mark.parametrize("kind", TOKENS)
def test_tokens_among_the_fields_of_a_database(kind: str, tmp_path: Path) -> None:
    letters = Letters(kind)
    check = ContentCheck(Redactor(Scanner(Allowed()), lambda: bytes(32)), tmp_path)
    for _ in range(ROUNDS // 4):
        token = TOKENS[kind](letters.of)
        content = f"\0\1name{token}\0\2".encode()
        assert check.in_content(b"a.sqlite", content, lambda: None), token


def test_every_form_has_an_example() -> None:
    assert TOKENS.keys() == TOKEN_FORMS.keys()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        # Credentials in URLs, headers and logins.
        ("postgres://ada:hunter2@db/x", {"hunter2": "URL Credentials"}),
        ("https://ada:hun%40ter2@h/x?y#z", {"hun%40ter2": "URL Credentials"}),
        ("s3://b/k?X-Amz-Signature=" + "0" * 63 + "1", {"0" * 63 + "1": "URL Credentials"}),
        ("https://h/x?a=1&sig=AbcDefGhi1234567%3D", {"AbcDefGhi1234567%3D": "URL Credentials"}),
        ("https://h/?access_token=abcd#x", {"abcd": "URL Credentials"}),
        ("-H 'Authorization: Bearer abcd1234'", {"abcd1234": "HTTP Credentials"}),
        ("authorization: Basic YWRhOmh1bnRlcjI=", {"YWRhOmh1bnRlcjI=": "HTTP Credentials"}),
        ("machine h login ada password hunter2", {"hunter2": "Secret by Name"}),
        ('{"username":"ada","key":"' + "0a" * 16 + '"}', {"0a" * 16: "Kaggle Token"}),
        # Names that say secret.
        ("export DB_PASSWORD=hunter2", {"hunter2": "Secret by Name"}),
        ("mysql --password hunter2 -u ada", {"hunter2": "Secret by Name"}),
        ("password: hunter2", {"hunter2": "Secret by Name"}),
        ("API key: abcd1234", {"abcd1234": "Secret by Name"}),
        ('{"client_secret": "hunter2"}', {"hunter2": "Secret Keyword"}),
        ("connect(password='hunter2', host=get())", {"hunter2": "Secret Keyword"}),
        ("a_token = 'x1'; token = 'hunter2abc'", {"hunter2abc": "Secret Keyword"}),
        ("password='one1' api_key='two2'", {"one1": "Secret Keyword", "two2": "Secret Keyword"}),
        ("export token=hunter2abc", {"hunter2abc": "Secret by Name"}),
        (
            "x --pass hunter22 --pwd 'hunter2xx'",
            dict.fromkeys(("hunter22", "hunter2xx"), "Secret by Name"),
        ),
        ("x --password correct-horse-battery", {"correct-horse-battery": "Secret by Name"}),
        ("MY_PASS=hunter2xx9", {"hunter2xx9": "Secret by Name"}),
        ("curl -s -u ada:hunter2 https://h", {"hunter2": "HTTP Credentials"}),
        # Users that are tokens.
        (f"https://{'0a' * 20}@gitea.internal/x", {"0a" * 20: "URL Credentials"}),
        (f"https://{'0a' * 20}:@gitea.internal/x", {"0a" * 20: "URL Credentials"}),
        # One place, several kinds.
        ("HF_TOKEN=hf_" + "aB" * 17, {"hf_" + "aB" * 17: "Hugging Face Token"}),
    ],
)
def test_credentials_and_names(text: str, found: dict[str, str]) -> None:
    assert find(text) == found


@pytest.mark.parametrize(
    ("file", "text", "secrets"),
    [
        ("a.yaml", "api_key: hunter2\nmodel: bert\n", ["hunter2"]),
        (".env", "DB_PASSWORD=correcthorse\n", ["correcthorse"]),
        ("prod.env", "API_KEY=abcd1234\n", ["abcd1234"]),
        ("a.sh", "export API_KEY=abcd1234\n", ["abcd1234"]),
        (".env", "api_key=hunter2xx9\nTOKEN=swordfish\n", ["hunter2xx9", "swordfish"]),
        (".env.local", "db_password: 'hunter2'\n", ["hunter2"]),
        ("prod.env", "db_password: hunter2xx9\n", ["hunter2xx9"]),
        (
            "a.sh",
            "export api_key=hunter2xx9\nexport HF_KEY=hunter3xx9",
            ["hunter2xx9", "hunter3xx9"],
        ),
        ("notes.txt", "password=hunter2xx9\n", ["hunter2xx9"]),
        ("README.md", "The API key: hunter2xx9\n", ["hunter2xx9"]),
        ("Makefile", "api_key := hunter2xx9\n", ["hunter2xx9"]),
        (".netrc", "machine h login ada password swordfish\n", ["swordfish"]),
        (".netrc", "machine h\n  login ada\n  password swordfish\n", ["swordfish"]),
        ("login", "  login ada\n  password swordfish9\n", ["swordfish9"]),
        (
            ".npmrc",
            "//registry/:_authToken=3f2504e0-4f89-11d3-9a0c-0305e82c3301\n",
            ["3f2504e0-4f89-11d3-9a0c-0305e82c3301"],
        ),
        (
            "a.py",
            "token = '3f2504e0-4f89-11d3-9a0c-0305e82c3301'\n",
            ["3f2504e0-4f89-11d3-9a0c-0305e82c3301"],
        ),
        ("a.py", "password: str = 'hunter2xx9'\n", ["hunter2xx9"]),
        ("a.py", 'api_key: str | None = "hunter2xx9"\n', ["hunter2xx9"]),
        ("a.py", "PASSWORD = b'hunter2xx9'\n", ["hunter2xx9"]),
        ("a.py", "db(password='hunter2xx9')  # an example\n", ["hunter2xx9"]),
        ("a.rs", 'const api_key: &str = "hunter2xx9";\n', ["hunter2xx9"]),
        (
            "a.json",
            '{"pwd": "hunter2dd9", "hf_tokens": "hunter3xx"}\n',
            ["hunter2dd9", "hunter3xx"],
        ),
        ("a.ipynb", r'"os.environ[\"WANDB_API_KEY\"] = \"hunter2xx9\"\n",', ["hunter2xx9"]),
        ("a.ipynb", r'"login(password=\"hunter2xx9\")\n"', ["hunter2xx9"]),
        ("a.py", "password = 'hunter2'\n", ["hunter2"]),
        ("a.py", "password = get_password()\ntoken=token, password=args.password)\n", []),
        ("a.py", "def f(password: str, token: str | None = None) -> None: ...\n", []),
        ("a.py", "api_key = os.environ['API_KEY']\nif password == other_password:\n", []),
        ("a.py", "password = 'hunter2'  # pragma: allowlist secret\n", []),
        ("a.py", "# pragma: allowlist nextline secret\npassword = 'hunter2'\n", []),
        ("a.py", "# pragma: allowlist nextline secret\nx = 1\npassword = 'one'\n", ["one"]),
    ],
)
def test_files(file: str, text: str, secrets: list[str]) -> None:
    assert list(find(text, file)) == secrets


HARMLESS = {
    "a.py": """
hf_key = "model.layers.0.weight1"
token = "hello"
if token == "<unk>" or token != "world" or next_token == "abc123":
parser.add_argument("--password", help="asked for")
def reset(password): "Sets it anew."
password: str = ""
password: str | None = None
def f(token: str, password: Optional[str] = None, key: "torch.Tensor" = x1y2z3w4) -> None:
primary_key: str = "user_id_2024"
labels = {"password": "Your password", "token": "Token", "secret": "Secret"}
tokens = {"token": "##ing", "pass": "second", "auth": "oauth2", "pwd": "/srv/x1y2z3"}
print(f"{token=} password={password}")
cursor.execute("select * from t where password = %s and token = ?", x)
url = f"https://{user}:{password}@{host}/"
Token: "#cccccc",
""",
    "README.md": """
token = tokenizer.decode(ids[0])
password = getpass("Password1: ")
export HF_TOKEN=<your token>
api_key=os.environ["API_KEY"], token=hf_token)
The token: a part of a word. The password: what you know.
| `token` | the token |
""",
    "Makefile": "TOKEN ?= $(shell cat token)\nPASS=$(filter-out x,y)\n",
    "a.sh": 'token=$(cat f)\npassword="$1"\nexport PGPASS="${PG:?}"\n[ -z "$token" ]\npass=$1\n',
    "a.yaml": "password: ${DB_PASSWORD}\ntoken: required\nsecretName: one-2\npwd: /srv/x1y2z3\n",
    "b.yaml": "password: !vault |\ntoken: ${{ secrets.HF_TOKEN }}\npassword: ENC[AES256,data:x1]\n",
    "a.log": "password: ********\ntoken: expired\nsecret: not set\nPASS: test_one1234\n",
    ".env": "PASSWORD=\nTOKEN=${X}\nSORT_KEY=created12345\nDEBUG=1\n",
    "a.ipynb": r'"print(f\"token: {t}\")\n", "tokenizer(\"token\", pad_token=\"<pad>\")\n"',
}


@pytest.mark.parametrize("file", HARMLESS)
def test_files_without_secrets(file: str) -> None:
    assert find(HARMLESS[file], file) == {}


ORDINARY = """
python train.py --lr 0.1 --epochs 3 --tokenizer bert-base-uncased --max-tokens=512
torchrun --nproc_per_node 4 train.py --pad_token '<pad>' --eos-token </s> --num-key-value-heads 8
accelerate launch run.py --model_name_or_path meta-llama/Llama-3.1-8B-Instruct --seed 42
python -m pretrain tokenizer.pad_token="[PAD]" data.max_tokens=4096 model.key_dim=64
wandb sweep --project my-team/llm-pretraining-v2 --name lr_0.001_bs_256_resnet50_imagenet1k
docker run -e OMP_NUM_THREADS=8 nvcr.io/nvidia/pytorch:24.05-py3
dvc pull s3://bucket/datasets/imagenet2012/train-00001-of-01024.parquet
gs://bucket/run_2024_10_01_12_00_00/checkpoint-epoch_0012-step_000120000.safetensors
https://huggingface.co/datasets/allenai/c4/resolve/main/en/c4-train.00000-of-01024.json.gz
https://host/data.csv?version=2&key=name&sort=date
git@github.com:ada/project.git https://ada@bitbucket.org/ada/project.git
commit 03d6cd0b6a1e8c0e9f3c5b7d1a2e4f6081928374
sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
sha256-9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 key=9f86d081884c7d65
md5 d41d8cd98f00b204e9800998ecf8427e etag "d41d8cd98f00b204e9800998ecf8427e-12"
uuid 3f2504e0-4f89-11d3-9a0c-0305e82c3301, run kzmwtqpxkzmwtqpxkzmwtqpxkzmwtqpx
token 3f2504e0-4f89-11d3-9a0c-0305e82c3301
tokens: 1024, tokens/s: 55.1, tok_per_sec=12345.6, passes: 3, keys: 12
{"event": "step", "tokens_per_second": 12345.1, "pad_token_id": 0, "loss": 0.25}
{"tokenizer_class": "LlamaTokenizerFast", "eos_token": "</s>", "unk_token": {"content": "<unk>"}}
{"pad_token": "<|endoftext|>", "model_max_length": 4096, "added_tokens_decoder": {"0": "<unk>"}}
epoch 3/10: 100%|##########| 1875/1875 [00:12<00:00, 152.13it/s, loss=0.0312, acc=0.991]
2026-01-01 12:00:00,123 INFO trainer: saved to runs/2026-01-01T12-00-00_resnet50_v2/best.pt
Password: required. token: missing! secret=unset api_key=None, password=****
Enter your password: use --token to authenticate, see https://host/docs/tokens
PYTORCH_CUDA_ALLOC_CONF=max_split_size_mb:512 CUBLAS_WORKSPACE_CONFIG=:4096:8
params: key=value primary_key=id seed_key=17 PRNGKey(0) cache_key='train-v2-shuffled'
optimizer AdamW(lr=0.0003, betas=(0.9, 0.95), eps=1e-08), schedule CosineAnnealingWarmRestarts
data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk
next token: 'the' p=0.12, token: ' hello', token: "don't", token = 'world' token = "##ing"
token: ##ization token: ▁Hello token: Ġinternational token: <0x0A> token: 128009 logit 3.2
PASS: tests/test_one.py::test_two1
PASS: test_one1234, PASS=12 FAIL=0 TEST_PASS=build1234 N_PASS=12345678
first pass: 12 of 20, forward_pass=ab12cd34ef, pwd: /home/ada/project1
PWD=/home/ada/project-2024 OLDPWD=/home/ada pwd=/home/ada/x1y2z3w4
ffmpeg -i a.mp4 -pass 1 --pass 2 --pass second
hf_key = model.layers.0.weight hf_key: model.layers.12.mlp.gate2 hf_key='model.layers.12'
SORT_KEY=created2024at PRIMARY_KEY=id12345678 CACHE_KEY=v2-train-2024 S3_KEY=data/x1y2z3
docker run -u 1000:1000 image && docker exec -u ada:users1234 x
python -u train.py --auth oauth2 --auth=kerberos5 auth: saml-2.0-abc auth=service_account_v2
cache_read_tokens: 12345678, api_tokens: 1024, access_keys: 3
use --token to log in, or --password with it, or --api-key instead of --hf-token then
--export-secret-key KEY-ID, password=%s:%d, "secret": "!Ref DbPassword"
usage: x [--token TOKEN] [--hf-token HF_TOKEN] [--api-key YOUR-API-KEY] [--password PASSWORD]
https://ada.lovelace@host/x abfss://my-container-2024-data-lake@store.dfs.core.windows.net/x
git clone https://x-access-token@github.com/a/b https://user:password@host https://user:pw@h
the user ada password reset failed; password reset required
password reset123 was sent
C:\\new\\tokens\\table \\tokens\\token\\n 100%\\x1b[1m 50%ab
curl -u $USER:$PASS https://h; curl --user ada https://h; curl -u ada: https://h
params: sort_key='created_at_2', primary_key="user_id_2024"
token = get_token(user, x1) ; password = input(prompt1)
jwt: disabled, jwt_algorithm=RS256 auth_key_type=v2abcdef
wifi_passes=12 bypass=abcd1234 COMPASS=north1234 LOWPASS=butter1234
password=${DB_PASSWORD} token=$(cat token.txt) api_key=<your key> secret={{ vault }}
"""


@pytest.mark.parametrize("line", ORDINARY.strip().splitlines())
def test_what_machine_learning_says_all_day(line: str) -> None:
    assert find(line) == {}


def test_an_image_in_a_notebook_is_no_secret() -> None:
    letters = Letters("image")
    image = letters.of(f"{WORD}+/", 200_000)
    notebook = f'{{"data": {{"image/png": "{image}"}}, "metadata": {{"tokens": []}}}}'
    assert lines_worth_a_look(f'"image/png": "{image}"') == []
    assert find(notebook, "a.ipynb") == {}


KEY = "\n".join(
    ["-----BEGIN {type}-----", *[Letters("key").of(WORD, 64)] * 3, "abcd==", "-----END {type}-----"]
)


@pytest.mark.parametrize(
    "kind",
    ["PRIVATE KEY", "RSA PRIVATE KEY", "OPENSSH PRIVATE KEY", "ENCRYPTED PRIVATE KEY"],
)
def test_private_keys_are_found_whole(kind: str) -> None:
    key = KEY.format(type=kind)
    for text, secret in [
        (f"before\n{key}\nbehind", key),
        (f'{{"private_key": "{key}"}}'.replace("\n", "\\n"), key.replace("\n", "\\n")),
        (key.replace("\n", "\r\n"), key.replace("\n", "\r\n")),
        (f"before\n{key[:150]}", key[:150]),
    ]:
        assert secret in "".join(find(text)), text
        assert len(find(text)) == 1


def test_a_word_about_private_keys_is_none() -> None:
    assert find("-----BEGIN RSA PRIVATE KEY----- is how it begins, and PRIVATE KEY its name") == {}
    assert (
        find('if line.startswith("-----BEGIN RSA PRIVATE KEY-----"):\n    return\n', "a.py") == {}
    )
    certificate = KEY.format(type="CERTIFICATE")
    assert find(certificate) == {}


def test_findings_are_sorted_and_apart() -> None:
    letters = Letters("several")
    tokens = [f"hf_{letters.of(string.ascii_letters, 34)}" for _ in range(3)]
    text = f"x {tokens[0]}\npassword='{tokens[1]} more' é {tokens[2]}"
    assert Scanner(Allowed()).find(text) == [
        Finding(2, 39, "Hugging Face Token"),
        Finding(50, 92, "Secret Keyword"),
        Finding(96, 133, "Hugging Face Token"),
    ]


def test_what_is_allowed_is_not_found() -> None:
    text = "password='hunter2' HF_TOKEN=hf_" + "aB" * 17
    assert len(find(text)) == 2
    assert list(find(text, allowed=Allowed(kinds=frozenset({"Secret Keyword"})))) == [text[-37:]]
    assert list(find(text, allowed=Allowed(patterns=(re.compile("^hf_"),)))) == ["hunter2"]


IMPORTED = """
import sys
from pathlib import Path
from gitprov.capture.secrets.allowed import Allowed
from gitprov.capture.secrets.scanner import Scanner

print(Scanner(Allowed(), Path(sys.argv[1])).find(sys.argv[2]), "detect_secrets" in sys.modules)
"""


def test_the_library_is_imported_for_what_is_worth_a_look_and_not_known(tmp_path: Path) -> None:
    def ask(text: str) -> str:
        command = [sys.executable, "-c", IMPORTED, str(tmp_path / "cache"), text]
        return subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=60
        ).stdout.strip()

    assert ask("python train.py --lr 0.1") == "[] False"
    worth_a_look = "see run_a1b2c3d4e5f6g7h8i9"
    assert ask(worth_a_look) == "[] True"
    assert ask(worth_a_look) == "[] False"
    for clean in ("\x1b[1mepoch\x1b[0m 3 100%| first pass: PASS 12", "PASS: test_one1, pwd: /x"):
        assert ask(clean) == "[] False"
    for _ in range(2):  # what holds a secret is not remembered
        assert "Finding" in ask("--password hunter22")


UNCHANGED = """
import logging, signal, sys, threading, warnings

def state():
    root = logging.getLogger()
    return (
        warnings.showwarning, root.level, root.handlers, root.filters, signal.getsignal(2),
        threading.active_count(), sys.excepthook, sys.gettrace(), logging.getLoggerClass(),
    )

if sys.argv[1] == "captured":
    logging.captureWarnings(True)
before = state()
from gitprov.capture.secrets.library import tokens
list(tokens("x"))
assert "detect_secrets" in sys.modules
assert state() == before, (state(), before)
warnings.warn("shown")
"""


@pytest.mark.parametrize(("mode", "count"), [("plain", 1), ("captured", 0)])
def test_the_import_changes_nothing_in_the_program(mode: str, count: int) -> None:
    command = [sys.executable, "-c", UNCHANGED, mode]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert done.stderr.count("UserWarning: shown") == count


def test_clean_texts_are_remembered_by_rules_and_within_limits(tmp_path: Path) -> None:
    text = "see run_a1b2c3d4e5f6g7h8i9"
    for number in range(20):
        allowed = Allowed(patterns=(re.compile(str(number)),))
        scanner = Scanner(allowed, tmp_path)
        assert scanner.find(text) == scanner.find(text) == []
    files = list(tmp_path.iterdir())
    assert 1 < len(files) < 10
    assert all(file.stat().st_size == 16 for file in files)
    file = max(files, key=lambda file: file.stat().st_mtime_ns)
    file.write_bytes(b"torn" + b"\0" * (1 << 20))
    assert Scanner(allowed, tmp_path).find(text) == []
    assert file.stat().st_size == 16
    assert text.encode() not in file.read_bytes()


def test_a_folder_that_cannot_be_written_costs_the_memory_alone(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way")
    assert find("see run_a1b2c3d4e5f6g7h8i9") == {}
    scanner = Scanner(Allowed(), tmp_path / "cache")
    assert scanner.find("see run_a1b2c3d4e5f6g7h8i9") == []
