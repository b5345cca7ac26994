"""The one door to a forge's HTTP API: pages, time limits, and the one policy for trying again.

Tried again: any request that a rate limit turned away (429, or 403 that says so; it was not
carried out), and what can be done twice without harm (GET, PATCH, PUT, DELETE) after 5xx or a
broken connection. A POST that got no clear answer is not repeated: UncertainWrite leaves it to
the caller to look first.
"""

import json
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests

from ci.errors import ForgeError
from ci.forge.model import CommentTooLong, PermissionMissing, UncertainWrite

_ATTEMPTS = 6
_TIMEOUT = (5.0, 30.0)
_LONGEST_WAIT = 60.0
_PATIENCE = 180.0
_MOST_PAGES = 300
_NEXT = re.compile(r'<([^>]+)>\s*;[^,]*\brel="?next"?')


@dataclass(frozen=True, slots=True)
class _BearerAuth(requests.auth.AuthBase):
    """Given as `auth`, so that a .netrc file can not put another password in its place."""

    token: str

    def __repr__(self) -> str:
        return "_BearerAuth(...)"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request


class Client:
    """JSON over HTTP with a bearer token, which is sent to `base_url`'s host alone.

    `sleep`, `clock` (epoch seconds) and `jitter` (0 to 1) are the outside world.
    """

    def __init__(
        self,
        base_url: str,
        token: str,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
        jitter: Callable[[], float] = random.random,
        permissions: Mapping[str, str] | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._auth = _BearerAuth(token)
        self._sleep = sleep
        self._clock = clock
        self._jitter = jitter
        self._permissions = dict(permissions or {})
        self._session = requests.Session()
        self._session.headers.update(
            {
                "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": "2022-11-28",
                "User-Agent": "sagemaker-gitops",
            }
        )

    def __repr__(self) -> str:
        return f"Client({self.base_url!r})"

    def request(self, method: str, path: str, *, body: object = None, purpose: str) -> Any:
        """The JSON of the answer. `purpose` says in an error what was wanted (`post a comment`)."""
        return _json(self._send(method, path, body, purpose), purpose)

    def pages(self, path: str, *, purpose: str) -> Iterator[Any]:
        """The items of a list on all its pages, as the Link headers lead."""
        url: str | None = path
        for _ in range(_MOST_PAGES):
            if url is None:
                return
            answer = self._send("GET", url, None, purpose)
            items = _json(answer, purpose)
            if not isinstance(items, list):
                raise ForgeError(f"could not {purpose}: a list was expected", where=answer.url)
            yield from items
            following = _NEXT.search(answer.headers.get("Link", ""))
            url = following[1] if following else None

    def _send(
        self, method: str, path: str, body: object, purpose: str, *, hops: int = 3
    ) -> requests.Response:
        url = path if path.startswith("http") else f"{self.base_url}{path}"
        if urlsplit(url)[:2] != urlsplit(self.base_url)[:2]:
            raise ForgeError(
                f"could not {purpose}: the forge points to another host",
                where=url,
                why="the token is sent to the host of the API address alone",
            )
        waited = 0.0
        for attempt in range(1, _ATTEMPTS + 1):
            answer, broken = self._once(method, url, body)
            pause = self._pause(method, answer, broken, attempt)
            if pause is None or attempt == _ATTEMPTS or waited + pause > _PATIENCE:
                break
            waited += pause
            self._sleep(pause)
        if answer is None:
            raise _no_answer(method, url, purpose, broken)
        if answer.status_code >= 400:
            raise self._refusal(method, answer, purpose)
        if answer.is_redirect:
            # A renamed repository: 301 for reading, 307 for writing (GitHub REST API, "Redirects").
            if hops == 0 or (method != "GET" and answer.status_code not in {307, 308}):
                raise ForgeError(f"could not {purpose}: the address redirects", where=answer.url)
            target = urljoin(answer.url, answer.headers["Location"])
            return self._send(method, target, body, purpose, hops=hops - 1)
        return answer

    def _once(
        self, method: str, url: str, body: object
    ) -> tuple[requests.Response | None, Exception | None]:
        try:
            answer = self._session.request(
                method, url, json=body, auth=self._auth, timeout=_TIMEOUT, allow_redirects=False
            )
        except requests.RequestException as error:
            return None, error
        return answer, None

    def _pause(
        self,
        method: str,
        answer: requests.Response | None,
        broken: Exception | None,
        attempt: int,
    ) -> float | None:
        """Seconds until the next try, None where there is none."""
        back_off = min(_LONGEST_WAIT, 2.0 ** (attempt - 1)) * (0.5 + self._jitter() / 2)
        if answer is None:
            never_sent = isinstance(broken, requests.ConnectTimeout)
            return back_off if method != "POST" or never_sent else None
        if _rate_limited(answer):
            return self._told_wait(answer) or back_off * 8
        if answer.status_code >= 500 and method != "POST":
            return back_off
        return None

    def _told_wait(self, answer: requests.Response) -> float | None:
        """What the forge asks for: Retry-After in seconds, else the time its limit ends at."""
        after = answer.headers.get("Retry-After", "")
        if after.strip().isdecimal():
            return float(after) + self._jitter()
        reset = answer.headers.get("X-RateLimit-Reset", "")
        if reset.isdecimal() and answer.headers.get("X-RateLimit-Remaining") == "0":
            return max(0.0, float(reset) - self._clock()) + 1.0 + self._jitter()
        return None

    def _refusal(self, method: str, answer: requests.Response, purpose: str) -> ForgeError:
        said = _message(answer)
        where = f"{method} {answer.url}"
        status = answer.status_code
        if _rate_limited(answer):
            return ForgeError(
                f"could not {purpose}: the forge's rate limit is used up",
                where=where,
                why=said,
                fix="run again later",
            )
        if status in {401, 403, 404}:
            return self._permission(status, where, purpose, said)
        if status == 422 and "too long" in said:
            return CommentTooLong(f"could not {purpose}: it is too long", where=where, why=said)
        if status >= 500 and method == "POST":
            return UncertainWrite(f"could not {purpose}: HTTP {status}", where=where, why=said)
        return ForgeError(f"could not {purpose}: HTTP {status}", where=where, why=said)

    def _permission(self, status: int, where: str, purpose: str, said: str) -> ForgeError:
        if status == 401:
            return PermissionMissing(
                f"could not {purpose}: the token is not valid",
                where=where,
                why=said,
                fix="env:\n  GITHUB_TOKEN: ${{ github.token }}",
            )
        lines = [f"  {name}: {access}" for name, access in self._permissions.items()]
        return PermissionMissing(
            f"could not {purpose}: HTTP {status}",
            where=where,
            why=f"{said}; most likely the token lacks a permission (a pull request from a fork or"
            " from Dependabot never has it)",
            fix="\n".join(["permissions:", *lines]) if lines else None,
        )


def _rate_limited(answer: requests.Response) -> bool:
    if answer.status_code == 429:
        return True
    if answer.status_code != 403:
        return False
    return (
        "Retry-After" in answer.headers
        or answer.headers.get("X-RateLimit-Remaining") == "0"
        or "rate limit" in _message(answer).lower()
    )


def _no_answer(method: str, url: str, purpose: str, broken: Exception | None) -> ForgeError:
    kind = UncertainWrite if method == "POST" else ForgeError
    why = type(broken).__name__ if broken else None
    return kind(f"could not {purpose}: no answer", where=f"{method} {url}", why=why)


def _message(answer: requests.Response) -> str:
    """The forge's own words, short; never the whole page of a proxy."""
    try:
        found = answer.json()
    except (ValueError, RecursionError):
        return f"HTTP {answer.status_code} {answer.reason}"
    if not isinstance(found, dict):
        return f"HTTP {answer.status_code} {answer.reason}"
    errors = found.get("errors")
    more = f" ({json.dumps(errors)})" if errors else ""
    return f"{found.get('message', answer.reason)}{more}"[:400]


def _json(answer: requests.Response, purpose: str) -> Any:
    if answer.status_code == 204 or not answer.content:
        return None
    try:
        return answer.json()
    except (ValueError, RecursionError):
        raise ForgeError(
            f"could not {purpose}: the answer is not JSON",
            where=answer.url,
            why="a proxy or a login page may stand in between",
        ) from None
