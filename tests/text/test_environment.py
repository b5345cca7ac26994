"""Which variables hold secrets, and that nothing of them stays in any text."""

from ci.text.environment import secrets_in
from ci.text.redact import Redactor


def test_secrets_are_known_by_their_names() -> None:
    found = secrets_in(
        {
            "GITHUB_TOKEN": "ghs_abcdefgh",
            "DB_PASSWORD": "first-line\nsecond-line",
            "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI",
            "SHORT_TOKEN": "abc",
            "TOKEN_URL": "https://example.com/token",
            "HOME": "/home/someone",
        }
    )
    assert found == ("first-line\nsecond-line", "wJalrXUtnFEMI", "ghs_abcdefgh")
    redactor = Redactor(found)
    text = "ghs_abcdefgh second-line wJalrXUtnFEMI abc https://example.com/token"
    hidden = "[redacted] [redacted] [redacted] abc https://example.com/token"
    assert redactor.text(text) == hidden
    document = {"a": ["ghs_abcdefgh", 1, None, {"ghs_abcdefgh": True}]}
    assert redactor.value(document) == {"a": ["[redacted]", 1, None, {"[redacted]": True}]}
