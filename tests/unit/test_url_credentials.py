"""URLs as they are recorded: nothing in them lets anybody in."""

import pytest

from gitprov.capture.url_credentials import without_credentials

SIGNATURE = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("https://h/x?a=1&b=2#c", "https://h/x?a=1&b=2#c"),
        ("https://ada:pw@h/x?a=1", "https://h/x?a=1"),
        (f"https://h/x?a=1&X-Amz-Signature={SIGNATURE}&b=2#c", "https://h/x?a=1&b=2#c"),
        (f"s3://b/k?X-Amz-Security-Token={SIGNATURE}", "s3://b/k"),
        (f"https://h/x?sv=2024-01-01&sig={SIGNATURE}%3D", "https://h/x?sv=2024-01-01"),
        ("https://h/x?sig=short", "https://h/x?sig=short"),
        ("https://h/?access_token=abcd&page=2", "https://h/?page=2"),
        ("https://h/?api%5Fkey=abcd", "https://h/"),
        ("https://h/?password=#x", "https://h/?password=#x"),
        ("https://h/?max_tokens=512&key=name", "https://h/?max_tokens=512&key=name"),
        ("https://h/?a;b&&c", "https://h/?a;b&&c"),
        ("data/a?b=c.csv", "data/a?b=c.csv"),
        ("git@host:ada/project.git", "git@host:ada/project.git"),
        ("", ""),
    ],
)
def test_credentials_are_cut_out(url: str, clean: str) -> None:
    assert without_credentials(url) == clean
    assert without_credentials(clean) == clean
