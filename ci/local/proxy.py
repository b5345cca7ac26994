"""Hands a request on to the emulator and its answer back, as bytes, without holding either.

Two things change on the way. SSE-KMS without a key id means the account's default key for S3, on
AWS as in the SDK's own uploads, and the emulator wants it named. And a Lambda function's ARN is
that of the endpoint's one account: modules name functions by the account of their role.
"""

import asyncio
import logging
import re

import aiohttp
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from ci.local.context import ACCOUNT
from ci.local.emulator import Emulator

_LOG = logging.getLogger("ci.local")
_HOP_BY_HOP = frozenset(
    {
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_BODILESS = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})
_ENCRYPTION = "x-amz-server-side-encryption"
_KEY_ID = "x-amz-server-side-encryption-aws-kms-key-id"
# In a path, and so with its colons as they are or quoted.
_FUNCTION = re.compile(
    r"^(/[0-9-]{10}/functions/arn(?::|%3A)[a-z-]+(?::|%3A)lambda"
    r"(?::|%3A)[a-z0-9-]+(?::|%3A))[0-9]{12}(?=:|%3A)",
    re.IGNORECASE,
)
_START_SECONDS = 60.0
_UNAVAILABLE = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>ServiceUnavailable</Code><Message>The'
    b" emulator behind the local endpoint does not answer; its log is emulator.log in the folder"
    b" of the endpoint's state.</Message></Error>"
)


class Proxy:
    """Bodies stream both ways: an object of any size passes in constant memory.

    `default_key` is the ARN of the key that encrypts where none is named.
    """

    def __init__(self, emulator: Emulator, *, default_key: str) -> None:
        self._emulator = emulator
        self._default_key = default_key
        self._session = aiohttp.ClientSession(
            auto_decompress=False,
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=5),
        )

    async def close(self) -> None:
        await self._session.close()

    async def forward(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            await asyncio.wait_for(self._emulator.ready.wait(), _START_SECONDS)
        except TimeoutError:
            return _unavailable()
        headers = _passed_on(request.headers)
        if headers.get(_ENCRYPTION) == "aws:kms":
            headers.setdefault(_KEY_ID, self._default_key)
        path = _FUNCTION.sub(rf"\g<1>{ACCOUNT}", request.raw_path)
        url = URL(self._emulator.address + path, encoded=True)
        try:
            async with self._session.request(
                request.method,
                url,
                headers=headers,
                data=request.content if _has_body(request) else None,
                allow_redirects=False,
            ) as answer:
                return await _give_back(request, answer)
        except aiohttp.ClientConnectionError as error:
            _LOG.warning("%s %s: %s", request.method, request.path, error)
            return _unavailable()


async def _give_back(
    request: web.BaseRequest, answer: aiohttp.ClientResponse
) -> web.StreamResponse:
    response = web.StreamResponse(
        status=answer.status, reason=answer.reason, headers=_passed_on(answer.headers)
    )
    await response.prepare(request)
    if request.method != "HEAD":
        async for chunk in answer.content.iter_any():
            await response.write(chunk)
    await response.write_eof()
    return response


def _passed_on(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    passed: CIMultiDict[str] = CIMultiDict()
    for name, value in headers.items():
        if name.lower() not in _HOP_BY_HOP:
            passed.add(name, value)
    return passed


def _has_body(request: web.BaseRequest) -> bool:
    return request.can_read_body or (
        request.method not in _BODILESS and request.headers.get("Content-Length", "0") != "0"
    )


def _unavailable() -> web.Response:
    return web.Response(status=503, body=_UNAVAILABLE, content_type="application/xml")
