"""Keys that end: the doors that give them, and a proxy that holds their end against every call."""

import base64
import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from support.faults import Faults, Refusal

_KEY = re.compile(r"Credential=([^/]+)/")
_GIVEN = re.compile(rb"<AccessKeyId>([^<]+)</AccessKeyId>")
_EXPIRATION = re.compile(rb"<Expiration>[^<]+</Expiration>")


class Leases:
    """Keys live `seconds`, and are said to live `said`. `tokens` counts GitHub's identity tokens,
    `given` has each key's end, `claims` what the tokens say. With `shut` the doors give nothing
    more."""

    def __init__(self, *, seconds: float, said: float | None = None) -> None:
        self.seconds = seconds
        self.said = seconds if said is None else said
        self.shut = False
        self.tokens = 0
        self.claims: dict[str, str] = {}
        self.given: dict[str, float] = {}
        self.refused = 0
        self.address = ""

    def watch(self, faults: Faults) -> None:
        """From now on the proxy takes only keys that were given here and have not ended."""
        faults.judge, faults.rewrite = self._judge, self._rewrite

    def github(self, role: str) -> dict[str, str]:
        """What a job that may ask for identity tokens finds around it."""
        return {
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{self.address}/token?api-version=2.0",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "runner-secret",
            "SAGEMAKER_GITOPS_ROLE_TO_ASSUME": role,
        }

    def container(self) -> dict[str, str]:
        return {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{self.address}/container"}

    def answer(self, path: str) -> tuple[int, Mapping[str, str]]:
        """The doors' own answers."""
        if self.shut:
            return 403, {"message": "no more"}
        if path.startswith("/token"):
            self.tokens += 1
            claims = json.dumps(self.claims | {"jti": str(self.tokens)}).encode()
            body = base64.urlsafe_b64encode(claims).decode().rstrip("=")
            return 200, {"value": f"e30.{body}.signature"}
        key = f"ASIACONTAINER{len(self.given)}"
        ends = self._lease(key)
        return 200, {"AccessKeyId": key, "SecretAccessKey": "s", "Token": "t", "Expiration": ends}

    def _lease(self, key: str) -> str:
        self.given[key] = time.time() + self.seconds
        said = datetime.now(UTC) + timedelta(seconds=self.said)
        return said.strftime("%Y-%m-%dT%H:%M:%SZ")

    def _judge(self, _operation: str, headers: Mapping[str, str]) -> Refusal | None:
        found = _KEY.search(headers.get("Authorization") or "")
        if found is None:
            return None  # AssumeRoleWithWebIdentity is not signed
        ends = self.given.get(found[1])
        if ends is not None and time.time() < ends:
            return None
        self.refused += 1
        if ends is None:
            return 403, "UnrecognizedClientException", "The security token is invalid"
        return 403, "ExpiredTokenException", "The security token included has expired"

    def _rewrite(self, body: bytes) -> bytes:
        given = _GIVEN.search(body)
        if given is None:
            return body
        ends = self._lease(given[1].decode())
        return _EXPIRATION.sub(f"<Expiration>{ends}</Expiration>".encode(), body)


@contextmanager
def open_leases(*, seconds: float, said: float | None = None) -> Iterator[Leases]:
    leases = Leases(seconds=seconds, said=said)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, document = leases.answer(self.path)
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    leases.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield leases
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
