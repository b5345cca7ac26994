"""No secret is shown, in any form in which it is likely to be printed."""

import base64
import html
import json
import random
import string
import time
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.reports import REPORTS, renderings

from ci.report import escape
from ci.report.model import LogTail
from ci.text.clean import clean
from ci.text.redact import Redactor
from ci.text.seen import as_seen

KEY = """-----BEGIN RSA PRIVATE KEY-----
MIIEpAIBAAKCAQEA7Z
qqqqqqqqqqqqqqqqqqqqqqqq
rrrr==
-----END RSA PRIVATE KEY-----"""
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abc-def_123"


@pytest.mark.parametrize(
    "secret",
    [
        "AKIA" + "IOSFODNN7EXAMPLE", "ASIA" + "IOSFODNN7EXAMPLE", "ghp_" + "a1" * 18,
        "ghs_" + "b2" * 18, "github_pat_" + "c3" * 20, "glpat-" + "d4" * 10, JWT, KEY,
        "xoxb-" + "1" * 12 + "-" + "e5" * 9, "hf_" + "f6" * 17, "sk-ant-" + "g7" * 20,
        "hooks.slack.com/services/T0/B0/" + "h8" * 12, "AIza" + "i" * 35, "npm_" + "j9" * 18,
    ],
)  # fmt: skip
def test_credentials_are_known_by_their_form(secret: str) -> None:
    found = Redactor().text(f"before {secret} after")
    assert found == "before [redacted] after"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG", "AWS_SECRET_ACCESS_KEY=[redacted]"),
        ('"SecretAccessKey": "wJalrXUtnFEMI"', '"SecretAccessKey": "[redacted]"'),
        ("Authorization: Bearer abcdef.123", "Authorization: [redacted]"),
        ("postgres://user:hunter2@db/x", "postgres://user:[redacted]@db/x"),
        ("password = hunter2", "password = [redacted]"),
        ("X-Amz-Signature=0123abcd&x=1", "X-Amz-Signature=[redacted]&x=1"),
        (
            "?AWSAccessKeyId=a&Signature=abc%3D&Expires=1",
            "?AWSAccessKeyId=a&Signature=[redacted]&Expires=1",
        ),
        ("WANDB_API_KEY=0123456789", "WANDB_API_KEY=[redacted]"),
        (r"{\"SecretKey\": \"wJalrXUtnFEMI\"}", r"{\"SecretKey\": \"[redacted]\"}"),
        ("X-Amz-Security-Token%3DIQoJb3JpZ2lu", "X-Amz-Security-Token%3D[redacted]"),
    ],
)
def test_names_that_say_what_follows(line: str, expected: str) -> None:
    assert Redactor().text(line) == expected
    assert Redactor().text(expected) == expected


def test_a_tail_that_begins_or_ends_inside_a_key() -> None:
    begin, end = KEY[:60], KEY[35:]
    assert "MIIE" not in Redactor().text(begin)
    assert "qqqq" not in Redactor().text(f"log\n{end}\nmore")
    assert "rrrr" not in Redactor().text(f"log\n{end}\nmore")
    assert Redactor().text(f"log\n{end}\nmore").endswith("more")


@pytest.mark.parametrize(
    "line",
    [
        "tokens: 5120 of it",
        "sk-learn-abalone-preprocessing-job-of-main",
        "the password is not shown",
        "key = 12345",
    ],
)
def test_words_that_name_no_secret(line: str) -> None:
    assert Redactor().text(line) == line


@pytest.mark.parametrize("encode", [
    str, json.dumps, quote, lambda s: quote(s, safe=""), lambda s: quote(s, safe="").lower(),
    html.escape, lambda s: s.encode().hex(), lambda s: base64.b64encode(s.encode()).decode(),
    lambda s: base64.urlsafe_b64encode(s.encode()).decode(),
])  # fmt: skip
def test_forms_of_a_known_secret(encode: Callable[[str], str]) -> None:
    secret = 'p@ss"word/ü 1>>>???'
    assert Redactor([secret]).text(f"x {encode(secret)} y").count("[redacted]") == 1


@pytest.mark.parametrize("user", ["", "a", "ab", "abc"])
def test_a_secret_inside_of_something_encoded(user: str) -> None:
    """`Authorization: Basic` holds user and password as one: the password begins anywhere."""
    secret = "correct horse battery"
    encoded = base64.b64encode(f"{user}:{secret}:more".encode()).decode()
    shown = Redactor([secret]).text(f"x {encoded} y")
    assert "[redacted]" in shown
    kept = shown.replace("x ", "").replace(" y", "").split("[redacted]")
    assert sum(map(len, kept)) <= len(encoded) - len(secret)


@pytest.mark.parametrize("width", [5, 16, 40])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\\\n", "\n    ", "\n  | "])
def test_a_secret_over_several_lines(width: int, end: str) -> None:
    secret = "s3cr3t-" + "0123456789abcdef" * 4
    wrapped = end.join(secret[at : at + width] for at in range(0, len(secret), width))
    assert Redactor([secret]).text(f"x {wrapped} y") == "x [redacted] y"


def test_lines_of_a_long_secret_count_each() -> None:
    redactor = Redactor(["first-line-of-it\nsecond-line-of-it\nlast-one\nbrief"])
    assert redactor.text("log: second-line-of-it") == "log: [redacted]"
    assert redactor.text("log: last-one, brief") == "log: [redacted], brief"


def test_half_a_character_is_no_text_to_write() -> None:
    broken = replace(REPORTS["success"], pipeline="a\ud800b", notes=("\udfff",))
    for shown in renderings(broken).values():
        assert shown.encode("utf-8")


def test_short_and_empty_values_are_left() -> None:
    assert Redactor(["", " ", "1", "dev"]).text("1 dev run") == "1 dev run"
    assert "hunter" not in repr(Redactor(["hunter22"]))


def test_accounts_by_option() -> None:
    line = "arn:aws:iam::111122223333:role/x s3://sagemaker-us-east-1-111122223333/k 1111222233334"
    assert Redactor().text(line) == line
    masked = Redactor(mask_accounts=True).text(line)
    assert "111122223333:" not in masked
    assert masked.endswith("1111222233334")
    commit = "a111122223333b"
    assert Redactor(mask_accounts=True).text(commit) == commit


SECRET = "s3cr3t`|<&>@x#1"


@pytest.mark.parametrize("name", sorted(REPORTS))
def test_no_rendering_shows_a_secret(name: str) -> None:
    report = REPORTS[name]
    leaky = replace(
        report,
        pipeline_name=f"p-{SECRET}",
        problems=(f"problem {SECRET}", "AKIA" + "IOSFODNN7EXAMPLE"),
        logs=(*report.logs, LogTail(step="Prepare", text=f"a\n{SECRET}\n{KEY}\nb")),
    )
    for shown in renderings(leaky, Redactor([SECRET], mask_accounts=True)).values():
        assert "s3cr3t" not in shown
        assert "IOSFODNN7EXAMPLE" not in shown
        assert "MIIEp" not in shown
        assert "111122223333" not in shown


@given(st.text(min_size=4, max_size=20), st.text(max_size=40))
def test_redaction_is_stable(secret: str, value: str) -> None:
    redactor = Redactor([secret])
    bare = as_seen(secret.strip()).text
    shown = redactor.text(f"{value}{secret}{value}")
    pieces = as_seen(shown).text.split("[redacted]")
    assert len(bare) < 4 or all(bare not in piece for piece in pieces)
    assert redactor.text(shown) == shown


@pytest.mark.parametrize(
    ("hidden", "shown"),
    [
        ("\x1b[36mpassword\x1b[0m=\x1b[35mhunter22\x1b[0m next", "password=[redacted] next"),
        ("a hunt\x1b[1mer22\x1b[0mlong b", "a [redacted] b"),
        ("a hunter\u200b22long b", "a [redacted] b"),
        ("a hunter&#50;&#50;long b", "a [redacted] b"),
        ("AKIA\u00adIOSFODNN7EXAMPLE", "[redacted]"),
    ],
)
def test_a_secret_is_found_as_it_is_seen(hidden: str, shown: str) -> None:
    redacted = Redactor(["hunter22long"]).text(hidden)
    assert clean(redacted) == shown
    assert redacted.count("\x1b") == hidden.count("\x1b"), "no colour is left open"


def test_a_secret_that_looks_like_an_escape_is_found_as_it_stands() -> None:
    assert "Zm9v" not in Redactor(["Zm9v-secret"]).text("a \x1bZm9v-secret b")


def test_of_secrets_that_overlap_none_is_left_in_part() -> None:
    redactor = Redactor(["first-second", "second-third", "cond-thi"])
    assert redactor.text("a first-second-third b") == "a [redacted] b"
    assert redactor.text("a first-second second-third b") == "a [redacted] [redacted] b"


@pytest.mark.parametrize("length", range(30))
def test_what_a_cut_leaves_of_a_secret_is_one(length: int) -> None:
    """A verdict's sentence and a plan's values are cut before anyone knows what is secret."""
    secret, token = "correct-horse-battery-staple", "ghp_" + "a1B2" * 9
    shown = Redactor([secret]).text(f"say {secret[:length]}… and {token[:length]}…")
    assert shown.startswith(f"say {'[redacted]' if length >= 6 else secret[:length]}… and ")
    assert shown.endswith(f" and {'[redacted]' if length >= 8 else token[:length]}…")


def test_accounts_in_an_address() -> None:
    masked = Redactor(mask_accounts=True)
    for colon in (":", "%3A", "%3a", "$253A", "%253a", "/", "%2F"):
        shown = masked.text(f"https://x.example/arn{colon}111122223333{colon}role")
        assert shown == f"https://x.example/arn{colon}xxxxxxxxxxxx{colon}role"


@pytest.mark.parametrize(
    "piece",
    [
        "…", "\u200b", "&#64;", "some-s…",
        "A" * 64 + "\n", "\n", "a.", "eyJ-", "eyJaaaaaaaa.", "://a:", "password ", "-----END ",
        "-----BEGIN RSA PRIVATE KEY-----\n", "password=", "some-", "s\n", "x-api_key ", "sk-a-",
        "\x1b]", "`", "1", " ", "@", ":a",
    ],
)  # fmt: skip
def test_time_grows_with_length_alone(piece: str) -> None:
    """A megabyte takes a fraction of a second; what is quadratic takes minutes."""
    long = piece * (1_000_000 // len(piece))
    began = time.process_time()
    shown = Redactor(["some-secret-of-length", "aaaa aaaa aaaa aaaa"]).text(long)
    escape.fence(shown)
    escape.text(shown)
    assert time.process_time() - began < 15


def test_what_is_learnt_later_is_redacted_from_then_on() -> None:
    redactor = Redactor(["known-before"])
    assert redactor.text("learnt-later") == "learnt-later"
    redactor.learn("learnt-later")
    assert redactor.text("known-before learnt-later") == "[redacted] [redacted]"
    redactor.learn("")
    assert redactor.text("plain") == "plain"
    assert "learnt" not in repr(redactor)


def test_long_secrets_are_known_in_no_time_and_found_over_lines() -> None:
    """Session tokens of AWS and of a runner: a second for each would be one of every start."""
    numbers = random.Random(7)
    tokens = ["".join(numbers.choices(string.ascii_letters, k=1_500)) for _ in range(4)]
    began = time.process_time()
    redactor = Redactor(tokens)
    assert redactor.text("nothing of them") == "nothing of them"
    assert time.process_time() - began < 1.0
    for token in tokens:
        wrapped = "\n".join(token[at : at + 76] for at in range(0, 1_500, 76))
        assert redactor.text(f"a {wrapped} b {token[:16]}-other") == (
            f"a [redacted] b {token[:16]}-other"
        )
