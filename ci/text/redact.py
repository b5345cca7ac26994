"""Decides what must never be shown: known secrets, what looks like a credential, account ids.

The report's values are redacted before they are rendered, so that no escaping can hide a secret
from the search; a rendering made of a redacted report holds none.
"""

import base64
import dataclasses
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import Any, TypeVar, cast
from urllib.parse import quote

from ci.text.seen import as_seen, unseen_of

_MASK = "[redacted]"
_SHORTEST = 4
_SHORTEST_LINE = 8
_SHORTEST_PART = 12
_SHORTEST_WRAPPED = 16
_WRAP = r"(?:[ \t]{0,8}\\?\r?\n[ \t|>]{0,16})?"
_URL_ALPHABET = str.maketrans("+/", "-_")
_LOWER_PERCENT = re.compile("%[0-9A-F]{2}")

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
    # Tokens with a prefix of their issuer: GitHub ("About authentication to GitHub"), GitLab
    # ("Token overview"), Slack, Atlassian, Hugging Face, npm, PyPI, OpenAI and its like, Google.
    re.compile(r"\bgh[pousr]_[A-Za-z0-9]{20,255}\b"),
    re.compile(r"\bgithub_pat_[A-Za-z0-9_]{20,255}\b"),
    re.compile(r"\bgl(?:pat|dt|rt|rtr|ptt|cbt|ft|soat|imt|agent|oas|wt)-[A-Za-z0-9_.-]{16,300}"),
    re.compile(r"\b(?:xox[abeoprs]|xapp)-[A-Za-z0-9-]{10,300}"),
    re.compile(r"\bhooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9/_-]{10,300}"),
    re.compile(r"\b(?:ATBB|ATCTT3xFfG|ATATT3xFfG)[A-Za-z0-9_=.-]{20,300}"),
    re.compile(r"\b(?:hf_|npm_)[A-Za-z0-9]{30,100}\b"),
    re.compile(r"\bpypi-[A-Za-z0-9_-]{50,400}"),
    re.compile(r"\bsk-(?:[a-z0-9]{1,12}-){0,3}[A-Za-z0-9_]{32,300}"),
    re.compile(r"\bAIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])"),
    # JSON Web Tokens: two JSON objects and a signature.
    re.compile(r"\beyJ[A-Za-z0-9_-]{8,2000}\.eyJ[A-Za-z0-9_-]{8,8000}\.[A-Za-z0-9_-]+"),
)
# A name that says what its value is: only the value goes. `WANDB_API_KEY=…`, `"SecretKey": "…"`,
# and the parts of a presigned URL that let anyone use it.
_NAMED = re.compile(
    r"""(?ix) ((?<![\w-]) [\w-]{0,40} (?: secret_?access_?key | session_?token | secret_?key
        | security-token | x-amz-signature | password | passwd | passphrase | client_?secret
        | api_?key | api-key | private_?key | access_?token | refresh_?token | auth_?token
        | authorization | (?<![\w-])signature (?==))
        \\?["']? [^\S\n]* (?:%3d|[:=]) [^\S\n]* \\?["']? )
        ( (?: (?:bearer|basic|token) [^\S\n]+ )? [^\s"'&,;\\]{4,} )"""
)
_URL_PASSWORD = re.compile(
    r"(\b[a-z][a-z0-9+.-]{0,20}://[^\s/:@]{0,200}:)([^\s/@]{1,500})(@)", re.IGNORECASE
)
# Where a text was cut within a token that its issuer's prefix gives away.
_CUT = re.compile(
    r"\b(?:AKIA|ASIA|gh[pousr]_|github_pat_|gl[a-z]{2,5}-|xox[abeoprs]-|xapp-|AT[AC]TT3|ATBB|hf_"
    r"|npm_|pypi-|sk-|AIza|eyJ)[A-Za-z0-9_.=-]{4,400}(?=…)"
)
_ELLIPSIS = "…"
_SHORTEST_CUT = 6
# Also after what a URL writes for a colon or a slash, once or twice encoded.
_ACCOUNT = re.compile(
    r"(?:(?<![0-9A-Za-z])|(?<=[%$][0-9A-Fa-f]{2})|(?<=[%$]25[0-9A-Fa-f]{2}))"
    r"\d{12}(?![0-9A-Za-z])"
)
ACCOUNT_MASK = "x" * 12
# What goes of each: all of it, or the part behind a name.
_GROUPS = (*((pattern, 0) for pattern in (*_PATTERNS, _CUT)), (_NAMED, 2), (_URL_PASSWORD, 2))
# Half a character, which no file and no request could carry.
_SURROGATE = re.compile("[\ud800-\udfff]")

_T = TypeVar("_T")


class Redactor:
    """Replaces secrets in text, and in every text of a value.

    `secrets` are values, not names. Those shorter than four characters are left: taking `1` or
    `dev` out of every line would hide the report and not the secret. The lines of a longer
    secret count each. All are known in their JSON, URL, HTML, hex and base64 forms, base64 also
    from the middle of something encoded, and the longer ones where lines were wrapped.
    """

    def __init__(self, secrets: Iterable[str] = (), *, mask_accounts: bool = False) -> None:
        self._forms: set[str] = set()
        self._short: re.Pattern[str] | None = None
        self._heads: re.Pattern[str] | None = None
        self._long: dict[str, list[str]] = {}
        self._wrapped: dict[str, re.Pattern[str]] = {}
        self._cuts: re.Pattern[str] | None = None
        self._by_cut: dict[str, list[str]] = {}
        self._mask_accounts = mask_accounts
        self.learn(*secrets)

    def learn(self, *secrets: str) -> None:
        """Redact these values too from now on."""
        self._forms |= {form for secret in secrets for form in _forms(secret)}
        longest_first = sorted(self._forms, key=lambda form: (-len(form), form))
        long = [form for form in longest_first if len(form) >= _SHORTEST_WRAPPED]
        self._short = _any_of(map(re.escape, longest_first[len(long) :]))
        # A session token over line breaks is a pattern of 50 KB in each of its forms: what begins
        # like one is looked for, and the rest compiled where something does.
        heads = dict.fromkeys(form[:_SHORTEST_WRAPPED] for form in long)
        self._heads = _any_of(map(_over_lines, heads))
        self._long = {}
        for form in long:
            self._long.setdefault(form[0], []).append(form)
        self._by_cut = {}
        for form in longest_first:
            if len(form) > _SHORTEST_CUT:
                self._by_cut.setdefault(form[:_SHORTEST_CUT], []).append(form)
        self._cuts = _any_of(map(re.escape, self._by_cut))

    def __repr__(self) -> str:
        return "Redactor(...)"

    def text(self, value: str) -> str:
        """`value` with every secret replaced by `[redacted]`. Doing it twice shows no more: what
        stands right behind a masked value may go with it.

        Looked for is also what a reader sees; colours and the like within a secret are left.
        """
        seen = as_seen(_SURROGATE.sub("\ufffd", value))
        found = [(*seen.place(start, end), mask) for start, end, mask in self._spans(seen.text)]
        if seen.text != seen.raw:
            found += self._spans(seen.raw)
        shown, at = [], 0
        for start, end, mask in sorted(found):
            if start >= at:
                shown += [seen.raw[at:start], mask]
            if end > at:
                shown += unseen_of(seen.raw[max(at, start) : end])
                at = end
        return "".join([*shown, seen.raw[at:]])

    def _spans(self, text: str) -> Iterator[tuple[int, int, str]]:
        """Where secrets stand, and what is shown in their place."""
        if self._short is not None:
            yield from ((*found.span(1), _MASK) for found in self._short.finditer(text))
        if self._heads is not None:
            yield from ((*span, _MASK) for span in self._over_lines(self._heads, text))
        for pattern, group in _GROUPS:
            yield from ((*found.span(group), _MASK) for found in pattern.finditer(text))
        if _ELLIPSIS in text:
            yield from ((*span, _MASK) for span in self._cut(text))
        if self._mask_accounts:
            yield from ((*found.span(), ACCOUNT_MASK) for found in _ACCOUNT.finditer(text))

    def _over_lines(self, heads: re.Pattern[str], text: str) -> Iterator[tuple[int, int]]:
        """Where the longer forms stand."""
        for head in heads.finditer(text):
            for form in self._long[text[head.start()]]:
                if form not in self._wrapped:
                    self._wrapped[form] = re.compile(_over_lines(form))
                found = self._wrapped[form].match(text, head.start())
                if found is not None:
                    yield found.span()
                    break

    def _cut(self, text: str) -> Iterator[tuple[int, int]]:
        """What is left of secrets that an ellipsis cuts short: a text may be cut before it is known
        what is secret in it."""
        longest = max(map(len, self._forms), default=0)
        begin = 0
        for found in re.finditer(_ELLIPSIS, text):
            begin, end = max(begin, found.start() - longest), found.start()
            for head in self._cuts.finditer(text, begin, end) if self._cuts else ():
                rest = text[head.start() : end]
                if any(form.startswith(rest) for form in self._by_cut[head[1]]):
                    yield head.start(), end
                    break
            begin = found.end()

    def value(self, value: _T) -> _T:
        """The same value with every text in it redacted: dataclasses, mappings, sequences."""
        return cast(_T, self._walk(value, {}))

    def _walk(self, value: Any, seen: dict[str, str]) -> Any:
        """`seen` holds what was redacted before: a report says many things more than once."""
        if isinstance(value, Enum):
            return value
        if isinstance(value, str):
            if value not in seen:
                seen[value] = self.text(value)
            return seen[value]
        if isinstance(value, Mapping):
            pairs = value.items()
            return {self._walk(key, seen): self._walk(item, seen) for key, item in pairs}
        if isinstance(value, list | tuple):
            return type(value)(self._walk(item, seen) for item in value)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            changes = {
                field.name: self._walk(getattr(value, field.name), seen)
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
    for form in set(found):
        raw = form.encode("utf-8", "surrogatepass")
        found |= {json.dumps(form)[1:-1], json.dumps(form, ensure_ascii=False)[1:-1]}
        found |= {html.escape(form), html.escape(form, quote=False), raw.hex()}
        found |= {quote(raw, safe=safe) for safe in ("", "/")}
        found |= _base64_forms(raw)
    found |= {_LOWER_PERCENT.sub(lambda each: each[0].lower(), form) for form in found}
    seen = {as_seen(_SURROGATE.sub("\ufffd", form)).text for form in found}
    return {form for form in seen if len(form) >= _SHORTEST}


def _base64_forms(raw: bytes) -> set[str]:
    """`raw` encoded by itself, and what is sure to show of it where it begins at any byte of
    something larger: three characters hold two bytes, so that there are three ways to begin."""
    found = {base64.b64encode(raw).decode()}
    for before, shown_from in ((0, 0), (1, 2), (2, 3)):
        text = base64.b64encode(bytes(before) + raw).decode().rstrip("=")
        sure = text[shown_from : len(text) - bool((before + len(raw)) % 3)]
        if len(sure) >= _SHORTEST_PART:
            found.add(sure)
    return found | {form.translate(_URL_ALPHABET) for form in found}


def _over_lines(form: str) -> str:
    """Longer forms are found across line breaks: of 76-column base64, of a terminal, of YAML."""
    return _WRAP.join(map(re.escape, form))


def _any_of(patterns: Iterable[str]) -> re.Pattern[str] | None:
    """From each place on, so that of secrets that overlap none is left in part."""
    joined = "|".join(patterns)
    return re.compile(f"(?=({joined}))") if joined else None
