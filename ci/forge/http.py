"""The one door to a forge's HTTP API: pages, time limits, and the one policy for trying again.

Tried again: any request that a rate limit turned away (429, or 403 that says so; it was not
carried out), and what can be done twice without harm (GET, PATCH, PUT, DELETE, a POST of which the
caller says so) after 5xx or a broken connection. Any other POST that got no clear answer is not
repeated: UncertainWrite leaves it to the caller to look first.
"""

import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests

from ci.errors import ForgeError
from ci.forge.answers import json_of, no_answer, rate_limited, refusal

_ATTEMPTS = 6
_TIMEOUT = (5.0, 30.0)
_LONGEST_WAIT = 60.0
# Where a limit tells no end: "wait for at least one minute before retrying", then longer each time
# (GitHub REST API, "Exceeding the rate limit").
_LIMITED = 60.0
_PATIENCE = 200.0
_MOST_PAGES = 300
_NEXT = re.compile(r'<([^>]+)>\s*;[^,]*\brel="?next"?')


@dataclass(frozen=True, slots=True)
class HeaderAuth(requests.auth.AuthBase):
    """A token in a header. Given as `auth`, so that a .netrc file can not put another password in
    its place."""

    header: str
    value: str

    def __repr__(self) -> str:
        return f"HeaderAuth({self.header!r}, ...)"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers[self.header] = self.value
        return request


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """How a forge is spoken to: the header that shows the token, with what stands before it, and
    the other headers. `advice` is what to do where a right is missing; without one it is GitHub's.
    """

    header: str = "Authorization"
    prefix: str = "Bearer "
    headers: Mapping[str, str] = field(default_factory=lambda: {"Accept": "application/json"})
    advice: str | None = None


GITHUB = Manners(
    headers={"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
)


def checked_token(token: str, source: str) -> str:
    """A token as a header can carry it. ForgeError names where it is from, and does not show it:
    what was pasted brings line ends along, and characters that nobody sees."""
    if re.fullmatch(r"[!-~]+", token):
        return token
    place = next(at for at, each in enumerate(token, 1) if not "!" <= each <= "~")
    raise ForgeError(
        f"{source} holds no token",
        why=f"its character {place} of {len(token)} is white space, or no printable ASCII",
        fix="Set it again, without what was pasted along with it.",
    )


class Client:
    """JSON over HTTP with a token, which is sent to `base_url`'s host alone.

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
        manners: Manners = GITHUB,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._auth = HeaderAuth(manners.header, f"{manners.prefix}{token}")
        self._advice = manners.advice
        self._sleep = sleep
        self._clock = clock
        self._jitter = jitter
        self._permissions = dict(permissions or {})
        self._session = requests.Session()
        self._session.headers.update({**manners.headers, "User-Agent": "sagemaker-gitops"})

    def __repr__(self) -> str:
        return f"Client({self.base_url!r})"

    def request(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        purpose: str,
        needs: Mapping[str, str] | None = None,
        again: bool = False,
    ) -> Any:
        """The JSON of the answer. `purpose` says in an error what was wanted (`post a comment`),
        `needs` which permissions it takes, where they are not those of the client, `again` that
        a POST can be done twice without harm."""
        answer = self._send(method, path, body, purpose, needs=needs, again=again)
        return json_of(answer, purpose)

    def pages(
        self,
        path: str,
        *,
        purpose: str,
        needs: Mapping[str, str] | None = None,
        within: str | None = None,
    ) -> Iterator[Any]:
        """The items of a list on all its pages, as the Link headers lead; `within` names the
        member that holds the list, where a page is an object."""
        url: str | None = path
        for _ in range(_MOST_PAGES):
            if url is None:
                return
            answer = self._send("GET", url, None, purpose, needs=needs)
            items = json_of(answer, purpose)
            if within is not None and isinstance(items, dict):
                items = items.get(within)
            if not isinstance(items, list):
                raise ForgeError(f"could not {purpose}: a list was expected", where=answer.url)
            yield from items
            following = _NEXT.search(answer.headers.get("Link", ""))
            url = following[1] if following else None

    def _send(
        self,
        method: str,
        path: str,
        body: object,
        purpose: str,
        *,
        needs: Mapping[str, str] | None = None,
        again: bool = False,
        hops: int = 3,
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
            pause = self._pause(again or method != "POST", answer, broken, attempt)
            if pause is None or attempt == _ATTEMPTS or waited + pause > _PATIENCE:
                break
            waited += pause
            self._sleep(pause)
        if answer is None:
            raise no_answer(method, url, purpose, broken)
        if answer.status_code >= 400:
            needed = self._permissions if needs is None else needs
            raise refusal(method, answer, purpose, needed, self._advice)
        if answer.is_redirect:
            # A renamed repository: 301 for reading, 307 for writing (GitHub REST API, "Redirects").
            if hops == 0 or (method != "GET" and answer.status_code not in {307, 308}):
                raise ForgeError(f"could not {purpose}: the address redirects", where=answer.url)
            target = urljoin(answer.url, answer.headers["Location"])
            return self._send(
                method, target, body, purpose, needs=needs, again=again, hops=hops - 1
            )
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
        repeatable: bool,
        answer: requests.Response | None,
        broken: Exception | None,
        attempt: int,
    ) -> float | None:
        """Seconds until the next try, None where there is none."""
        back_off = min(_LONGEST_WAIT, 2.0 ** (attempt - 1)) * (0.5 + self._jitter() / 2)
        if answer is None:
            never_sent = isinstance(broken, requests.ConnectTimeout)
            return back_off if repeatable or never_sent else None
        if rate_limited(answer):
            told = self._told_wait(answer)
            return _LIMITED * 2.0 ** (attempt - 1) + self._jitter() if told is None else told
        if answer.status_code >= 500 and repeatable:
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
