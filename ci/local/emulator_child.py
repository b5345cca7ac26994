"""The emulator's process: MiniStack, made to keep what it was told and to end with its parent.

Runs in the emulator's own environment (`python -I emulator_child.py`), so it imports nothing of
this package. MiniStack alone writes its state at an orderly end, answers 200 to a put that a full
disk did not take, and outlives a killed parent. Here it writes what changed within a second, says
so when a write failed, and gets SIGTERM, which saves everything, when the parent is gone.
"""

import contextvars
import ctypes
import importlib
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

_PR_SET_PDEATHSIG = 1
_SAVE_SECONDS = 1.0
# Everything a log event costs to save grows with all events before it.
_SAVE_LOGS_SECONDS = 5.0
# What a request to one service changes in others: rules and topics fill queues.
_FED_BY = {"events": frozenset({"sqs", "sns"}), "sns": frozenset({"sqs"})}
_CREDENTIAL = re.compile(rb"Credential=[^/]+/\d+/[^/]+/([^/]+)/aws4_request")
_NO_SPACE = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>InternalError</Code><Message>The local'
    b" endpoint could not write this object to disk. Free space, then try again.</Message></Error>"
)

_failed_writes: contextvars.ContextVar[list[str] | None] = contextvars.ContextVar(
    "failed_writes", default=None
)


def die_with(parent: int) -> None:
    """Be told to end when the process `parent` ends, however it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


class Keeper:
    """Saves the state of services that were written to."""

    def __init__(self, ministack: Any) -> None:
        self._ministack = ministack
        self._touched: set[str] = set()
        self._logs_saved = 0.0

    def note(self, scope: Message) -> None:
        """Remember that a request may have changed a service's state."""
        if scope["method"] in {"GET", "HEAD"}:
            return
        headers = dict(scope["headers"])
        found = _CREDENTIAL.search(headers.get(b"authorization", b""))
        service = found.group(1).decode() if found else "s3"
        is_object = scope["path"].strip("/").count("/") > 0 and not scope["query_string"]
        if service == "s3" and is_object:
            # Objects are files already; what they trigger is not.
            self._touched |= {"lambda", "logs"}
        else:
            self._touched |= {service, "lambda", "logs", "s3"} | _FED_BY.get(service, frozenset())

    def run(self) -> None:
        while True:
            time.sleep(_SAVE_SECONDS)
            if self._touched:
                self._save()

    def _save(self) -> None:
        touched, self._touched = self._touched, set()
        now = time.monotonic()
        if "logs" in touched and now - self._logs_saved < _SAVE_LOGS_SECONDS:
            self._touched.add("logs")
            touched.discard("logs")
        elif "logs" in touched:
            self._logs_saved = now
        names = {"events": "eventbridge", "logs": "cloudwatch_logs", "lambda": "lambda"}
        wanted = touched | {names.get(name, name) for name in touched}
        for name, get_state in self._ministack._build_persistence_save_dict().items():  # noqa: SLF001 - its only door
            if name in wanted:
                try:
                    state = get_state()
                except RuntimeError:
                    # A dictionary changed while it was copied: a request came in between.
                    self._touched.add(name)
                    continue
                if state is not None:
                    self._ministack.save_all({name: lambda kept=state: kept})


def keep_honest(app: App, keeper: Keeper) -> App:
    """The ASGI application, with a failed write told to whoever asked for it."""

    async def wrapped(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        failed: list[str] = []
        _failed_writes.set(failed)
        replaced = False

        async def told(message: Message) -> None:
            nonlocal replaced
            if message["type"] == "http.response.start" and failed:
                replaced = True
                headers = [
                    (b"content-type", b"application/xml"),
                    (b"content-length", str(len(_NO_SPACE)).encode()),
                ]
                await send({"type": "http.response.start", "status": 500, "headers": headers})
                await send({"type": "http.response.body", "body": _NO_SPACE})
            elif not replaced:
                await send(message)

        await app(scope, receive, told)
        keeper.note(scope)

    return wrapped


def watch_writes(s3: Any) -> None:
    """Have S3's file writer report what it could not write."""
    write = s3._atomic_write  # noqa: SLF001 - its only door

    def watched(path: str, *arguments: Any, **options: Any) -> None:
        try:
            write(path, *arguments, **options)
        except OSError:
            failed = _failed_writes.get()
            if failed is not None:
                failed.append(path)
            raise

    s3._atomic_write = watched  # noqa: SLF001


def let_sagemaker_tell(eventbridge: Any) -> None:
    """Take events from aws.sagemaker: behind this front SageMaker's own come through PutEvents.

    Events from any other `aws.` source are refused as before, and as on AWS.
    """
    put = eventbridge._put_events  # noqa: SLF001 - its only door

    def put_events(data: Any, allow_aws_source: bool = False) -> Any:
        sources = {entry.get("Source") for entry in data.get("Entries", [])}
        return put(data, allow_aws_source=allow_aws_source or sources == {"aws.sagemaker"})

    eventbridge._put_events = put_events  # noqa: SLF001


def main() -> None:
    die_with(os.getppid())
    ministack: Any = importlib.import_module("ministack.app")
    # At the end nobody asks any more but a long poll, which waits for nothing.
    importlib.import_module("hypercorn.config").Config.graceful_timeout = 0.1
    watch_writes(importlib.import_module("ministack.services.s3"))
    let_sagemaker_tell(importlib.import_module("ministack.services.eventbridge"))
    keeper = Keeper(ministack)
    ministack.app = keep_honest(ministack.app, keeper)
    threading.Thread(target=keeper.run, daemon=True).start()
    ministack.main()


if __name__ == "__main__":
    main()
