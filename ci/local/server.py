"""The front of the local endpoint: which request is SageMaker's, which the emulator's.

An `X-Amz-Target` of SageMaker's goes to the dispatcher, an invocation of an endpoint to the
hosting of models, everything else through to the emulator. Signatures are not checked: whoever
reaches loopback on this machine is its user.
"""

import asyncio
import logging
import os
import re
import socket
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from aiohttp import web

from ci import __version__
from ci.local.api.invoke import Invocation, Response
from ci.local.context import ApiError
from ci.local.dispatch import Dispatcher
from ci.local.proxy import Proxy
from ci.local.wire import CONTENT_TYPE, decode_body, encode_body, encode_error

_LOG = logging.getLogger("ci.local")
HEALTH_PATH = "/_sagemaker-gitops/health"
_TARGET = "SageMaker."
_INVOCATION = re.compile(r"/endpoints/([^/?]+)/invocations")
_SAGEMAKER_SCOPE = "/sagemaker/aws4_request"
# A definition holds 1 MiB, which JSON's escapes make six times as long; an invocation 25 MiB.
_MOST_BYTES = 32 * 1024 * 1024
_THREADS = 16
# What is still asked for at the end: a call takes milliseconds, a long poll is cut off.
_GOODBYE_SECONDS = 0.5
_LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost"})
_MOST_HEADER = 64 * 1024


class Server:
    """Serves on one loopback socket until closed."""

    def __init__(
        self,
        *,
        dispatcher: Dispatcher,
        proxy: Proxy,
        invoke: Callable[[Invocation], Response],
        health: Callable[[], Mapping[str, object]],
    ) -> None:
        self._dispatcher = dispatcher
        self._proxy = proxy
        self._invoke = invoke
        self._health = health
        # Operations may call the endpoint themselves (a definition in S3), so never on the loop.
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="operation")
        self._server = web.Server(
            self._handle,
            auto_decompress=False,
            access_log=None,
            max_field_size=_MOST_HEADER,
            max_line_size=_MOST_HEADER,
        )
        self._runner = web.ServerRunner(self._server, shutdown_timeout=_GOODBYE_SECONDS)

    async def listen(self, listener: socket.socket) -> None:
        await self._runner.setup()
        await web.SockSite(self._runner, listener).start()

    async def close(self) -> None:
        await self._runner.cleanup()
        await self._proxy.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if not _is_local(request):
            return web.Response(status=403, text="This endpoint serves programs of this machine.")
        if request.headers.get("Expect", "").lower() == "100-continue":
            _continue(request)
        target = request.headers.get("X-Amz-Target", "")
        if target.startswith(_TARGET):
            return await self._sagemaker(request, target.removeprefix(_TARGET))
        invocation = _INVOCATION.fullmatch(request.path)
        scope = request.headers.get("Authorization", "")
        if _SAGEMAKER_SCOPE in scope:
            if request.method == "POST" and invocation:
                return await self._invocation(request, invocation.group(1))
            return _refusal(_not_served(request))
        if request.path == HEALTH_PATH:
            return web.json_response(self._health())
        return await self._proxy.forward(request)

    async def _sagemaker(self, request: web.BaseRequest, operation: str) -> web.Response:
        try:
            document = decode_body(await _read(request))
            loop = asyncio.get_running_loop()
            response = await loop.run_in_executor(
                self._threads, self._dispatcher.call, operation, document
            )
        except ApiError as error:
            return _refusal(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client is told and goes on
            return _bug(operation, error)
        return _answer(encode_body(response))

    async def _invocation(self, request: web.BaseRequest, endpoint: str) -> web.Response:
        try:
            asked = Invocation(
                endpoint=endpoint,
                headers={name.lower(): value for name, value in request.headers.items()},
                body=await _read(request),
            )
            loop = asyncio.get_running_loop()
            status, headers, body = await loop.run_in_executor(self._threads, self._invoke, asked)
        except ApiError as error:
            return _refusal(error)
        except Exception as error:  # noqa: BLE001 - as above
            return _bug("InvokeEndpoint", error)
        return web.Response(status=status, body=body, headers=headers)


def _is_local(request: web.BaseRequest) -> bool:
    """Not a web page's: a browser on this machine would carry any page's requests to loopback,
    and who can create a Lambda function here can run code. No SDK sends an Origin."""
    host = request.headers.get("Host", "").rsplit(":", 1)[0]
    if host not in _LOCAL_HOSTS and not host.endswith(".localhost"):
        return False
    return "Origin" not in request.headers and "Sec-Fetch-Site" not in request.headers


def _not_served(request: web.BaseRequest) -> ApiError:
    return ApiError(
        "UnsupportedOperationException",
        f"{request.method} {request.path} is a call of SageMaker's that the local endpoint does not"
        " serve. Run this against AWS.",
    )


def _continue(request: web.BaseRequest) -> None:
    if request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")


async def _read(request: web.BaseRequest) -> bytes:
    pieces, size = [], 0
    async for piece in request.content.iter_any():
        size += len(piece)
        if size > _MOST_BYTES:
            message = f"The request is larger than {_MOST_BYTES} bytes"
            raise ApiError("RequestEntityTooLargeException", message, status=413)
        pieces.append(piece)
    return b"".join(pieces)


def _answer(body: bytes, *, status: int = 200, code: str | None = None) -> web.Response:
    headers = {"Content-Type": CONTENT_TYPE, "x-amzn-RequestId": str(uuid.uuid4())}
    if code is not None:
        headers["x-amzn-ErrorType"] = code
    return web.Response(status=status, body=body, headers=headers)


def _refusal(error: ApiError) -> web.Response:
    return _answer(encode_error(error), status=error.status, code=error.code)


def _bug(operation: str, error: Exception) -> web.Response:
    _LOG.error("bug: %s failed", operation, exc_info=error)
    message = f"Bug in the local endpoint: {operation} ended in {type(error).__name__}: {error}"
    return _refusal(ApiError("InternalFailure", message, status=500))


def health_document(
    *, home: str, ready: bool, address: str, region: str, images: list[list[str]]
) -> dict[str, object]:
    """What `status` reads: which process answers here, for which folder, and whether all of it."""
    return {
        "service": "sagemaker-gitops",
        "version": __version__,
        "images": images,
        "home": home,
        "pid": os.getpid(),
        "ready": ready,
        "address": address,
        "region": region,
    }
