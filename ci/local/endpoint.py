"""The composition of the local endpoint: store, operations, engine, emulator and front, as one.

The order of things: the front's port first (the emulator's Lambdas must know it), then the
emulator, then the operations; what was cut off goes on as soon as the emulator answers.
"""

import asyncio
import json
import logging
import os
import signal
import socket
import sqlite3
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

from ci.errors import LocalError
from ci.local.api import all_operations, hosting
from ci.local.api.invoke import invoke
from ci.local.clients import Clients
from ci.local.context import ACCOUNT, Context
from ci.local.dispatch import Dispatcher
from ci.local.emulator import Emulator, emulator_python
from ci.local.engine.engine import Engine
from ci.local.events import TELLERS
from ci.local.proxy import Proxy
from ci.local.publisher import Publisher
from ci.local.role import make_role
from ci.local.server import Server, health_document
from ci.local.service import sagemaker
from ci.local.settings import BIND, LOCK_NAME, RECORD_NAME, STATE_NAME, Settings, last_port
from ci.local.store import Store

_LOG = logging.getLogger("ci.local")
_LOOK_SECONDS = 2.0


class Endpoint:
    """Everything that runs while the endpoint does."""

    def __init__(self, settings: Settings, *, address: str, emulator: Emulator) -> None:
        self._settings = settings
        self._address = address
        self._emulator = emulator
        self._ready = False
        self._store = Store(settings.home / STATE_NAME, tellers=TELLERS)
        dispatcher = Dispatcher(sagemaker(), all_operations())
        # Through the front, not straight to the emulator: the front waits where that is restarted.
        clients = Clients(address, settings.region)
        self._publisher = Publisher(self._store, clients.get)
        self._engine = Engine(
            store=self._store,
            clock=time.time,
            call=dispatcher.call,
            home=settings.home,
            region=settings.region,
            address=address,
            clients=clients,
            images=settings.images,
        )
        self._context = Context(
            store=self._store,
            clock=time.time,
            call=dispatcher.call,
            engine=self._engine,
            address=address,
            home=settings.home,
            region=settings.region,
            images=settings.images,
        )
        dispatcher.bind(self._context)
        self._server = Server(
            dispatcher=dispatcher,
            proxy=Proxy(emulator, default_key=_default_key(settings.region)),
            invoke=partial(invoke, self._context),
            health=self._health,
        )

    async def run_until(self, ended: asyncio.Event, listener: socket.socket) -> None:
        """Answer, go on with what was cut off, and end in order once `ended` is set."""
        await self._server.listen(listener)
        going_on = asyncio.create_task(self._go_on())
        try:
            await ended.wait()
        finally:
            going_on.cancel()
            # Before the front: a model whose download breaks off at the end did not fail.
            await asyncio.to_thread(hosting.close, self._context)
            await self._server.close()
            await asyncio.to_thread(self._engine.close)
            await asyncio.to_thread(self._publisher.close)
            self._store.close()

    async def _go_on(self) -> None:
        await self._emulator.ready.wait()
        self._publisher.start()
        try:
            await asyncio.to_thread(make_role, self._emulator.address, self._settings.region)
            await asyncio.to_thread(hosting.resume, self._context)
            await asyncio.to_thread(self._engine.resume_all)
        except Exception:  # noqa: BLE001 - the endpoint answers all the same, and its log tells
            _LOG.exception("bug: what was cut off could not be taken up again")
        self._ready = True

    def _health(self) -> dict[str, object]:
        return health_document(
            home=str(self._settings.home),
            ready=self._ready and self._emulator.ready.is_set(),
            address=self._address,
            region=self._settings.region,
            images=[[pattern, str(folder)] for pattern, folder in self._settings.images],
        )


def _default_key(region: str) -> str:
    return f"arn:aws:kms:{region}:{ACCOUNT}:alias/aws/s3"


async def serve(settings: Settings) -> None:
    """Run the endpoint until SIGTERM or SIGINT. LocalError where it cannot start."""
    listener = _listen(settings)
    port = listener.getsockname()[1]
    address = f"http://{BIND}:{port}"
    python = await asyncio.to_thread(emulator_python, os.environ)
    emulator = Emulator(python=python, home=settings.home, region=settings.region, front=address)
    await emulator.start()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    watching = [
        asyncio.create_task(_end_with_folder(settings.home, ended)),
        asyncio.create_task(_end_with_emulator(emulator, ended)),
    ]
    try:
        endpoint = Endpoint(settings, address=address, emulator=emulator)
        _write_record(settings.home, port)
        await endpoint.run_until(ended, listener)
    except sqlite3.Error as error:
        raise LocalError(
            "The state of the local endpoint cannot be read",
            where=str(settings.home / STATE_NAME),
            why=str(error),
            fix="sagemaker-gitops local reset  # forgets all local pipelines, executions, models",
        ) from error
    finally:
        for task in watching:
            task.cancel()
        await emulator.stop()
    if emulator.failed.is_set():
        raise emulator.failure()


async def _end_with_emulator(emulator: Emulator, ended: asyncio.Event) -> None:
    await emulator.failed.wait()
    ended.set()


async def _end_with_folder(home: Path, ended: asyncio.Event) -> None:
    """Whoever deletes the folder of the state has no more use for the server."""
    lock = (home / LOCK_NAME).stat().st_ino
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        try:
            if (home / LOCK_NAME).stat().st_ino == lock:
                continue
        except OSError:
            pass
        _LOG.warning("%s was deleted: ending", home)
        ended.set()
        return


def _write_record(home: Path, port: int) -> None:
    record = {"pid": os.getpid(), "port": port, "address": f"http://{BIND}:{port}"}
    temporary = home / f"{RECORD_NAME}.new"
    temporary.write_text(json.dumps(record) + "\n")
    temporary.replace(home / RECORD_NAME)


def _listen(settings: Settings) -> socket.socket:
    """The front's socket: on the port asked for, else on last time's, else on any that is free."""
    if settings.port:
        try:
            return _bind(settings.port)
        except OSError as error:
            raise LocalError(
                f"Port {settings.port} is taken",
                why=str(error),
                fix="sagemaker-gitops local up  # without --port: any free port",
            ) from error
    with suppress(OSError):
        return _bind(last_port(settings.home))
    return _bind(0)


def _bind(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((BIND, port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener
