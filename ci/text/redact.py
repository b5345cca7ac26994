"""Decides what must never be shown: known secrets, what looks like a credential, account ids.

The report's values are redacted before they are rendered, so that no escaping can hide a secret
from the search; a rendering made of a redacted report holds none.
"""

import base64
import dataclasses
import json
import re
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, TypeVar, cast
from urllib.parse import quote

_MASK = "[redacted]"
_SHORTEST = 4
_SHORTEST_LINE = 8

# Every repetition has an end: log lines are foreign, and time must grow with their length alone.
_PATTERNS = (
    # PEM private keys, also when a log tail begins or ends inside of one.
    re.compile(
        r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)",
        re.DOTALL,
    ),
    re.compile(
        r"(?:^[A-Za-z0-9+/=]{16,80}[ \t\r]*\n){0,100}(?:^[A-Za-z0-9+/=]{1,15}[ \t\r]*\n)?"
        r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----",
        re.MULTILINE,
    ),
    # AWS access key ids (IAM user guide, "Understanding unique ID prefixes").
    re.compile(r"(?<![A-Z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Z0-9])"),
    # GitHub tokens (GitHub docs, "About authentication to GitHub", token formats).
    re.compile(r"\bgh[pousr]_[A-Za-z0-9]{20,255}\b"),
    re.compile(r"\bgithub_pat_[A-Za-z0-9_]{20,255}\b"),
    re.compile(r"\bglpat-[A-Za-z0-9_-]{20,}\b"),
    re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{10,}\b"),
    # JSON Web Tokens: two JSON objects and a signature.
    re.compile(r"\beyJ[A-Za-z0-9_-]{8,2000}\.eyJ[A-Za-z0-9_-]{8,8000}\.[A-Za-z0-9_-]+"),
)
# A name that says what its value is: only the value goes.
_NAMED = re.compile(
    r"""(?ix) (\b (?: aws_secret_access_key | aws_session_token | secretaccesskey | sessiontoken
        | x-amz-security-token | x-amz-signature | password | passwd | client_secret
        | api[_-]?key | authorization) ["']? \s* [:=] \s* ["']?)
        ( (?: (?:bearer|basic|token) \s+ )? [^\s"'&,;]{4,} )"""
)
_URL_PASSWORD = re.compile(
    r"(\b[a-z][a-z0-9+.-]{0,20}://[^\s/:@]{0,200}:)([^\s/@]{1,500})(@)", re.IGNORECASE
)
_ACCOUNT = re.compile(r"(?<![0-9A-Za-z])\d{12}(?![0-9A-Za-z])")
_ACCOUNT_MASK = "x" * 12
# Half a character, which no file and no request could carry.
_SURROGATE = re.compile("[\ud800-\udfff]")

_T = TypeVar("_T")


class Redactor:
    """Replaces secrets in text, and in every text of a value.

    `secrets` are values, not names. Those shorter than four characters are left: taking `1` or
    `dev` out of every line would hide the report and not the secret. The lines of a longer
    secret count each, as do its JSON, URL and base64 forms.
    """

    def __init__(self, secrets: Iterable[str] = (), *, mask_accounts: bool = False) -> None:
        forms = {form for secret in secrets for form in _forms(secret)}
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        joined = "|".join(re.escape(form) for form in longest_first)
        self._secrets = re.compile(joined) if joined else None
        self._mask_accounts = mask_accounts

    def __repr__(self) -> str:
        return "Redactor(...)"

    def text(self, value: str) -> str:
        """`value` with every secret replaced by `[redacted]`; doing it twice changes nothing."""
        value = _SURROGATE.sub("\ufffd", value)
        if self._secrets is not None:
            value = self._secrets.sub(_MASK, value)
        for pattern in _PATTERNS:
            value = pattern.sub(_MASK, value)
        value = _NAMED.sub(rf"\1{_MASK}", value)
        value = _URL_PASSWORD.sub(rf"\1{_MASK}\3", value)
        return _ACCOUNT.sub(_ACCOUNT_MASK, value) if self._mask_accounts else value

    def value(self, value: _T) -> _T:
        """The same value with every text in it redacted: dataclasses, mappings, sequences."""
        return cast(_T, self._walk(value))

    def _walk(self, value: Any) -> Any:
        if isinstance(value, Enum):
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self._walk(key): self._walk(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self._walk(item) for item in value)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            changes = {
                field.name: self._walk(getattr(value, field.name))
                for field in dataclasses.fields(value)
            }
            return dataclasses.replace(value, **changes)
        return value


def _forms(secret: str) -> set[str]:
    whole = secret.strip()
    if len(whole) < _SHORTEST:
        return set()
    lines = {line.strip() for line in whole.splitlines()}
    found = {whole} | {line for line in lines if len(line) >= _SHORTEST_LINE}
    found |= {json.dumps(form)[1:-1] for form in set(found)}
    found |= {quote(form, safe=safe) for form in set(found) for safe in ("", "/")}
    found.add(base64.b64encode(whole.encode("utf-8", "surrogatepass")).decode())
    return found
