"""Decides how this program talks to AWS: one session, each client made once, when first needed."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, TypeVar
from urllib.parse import urlsplit

from ci import __version__
from ci.errors import AwsError
from ci.sagemaker.credentials import find_web_identity, install_web_identity
from ci.sagemaker.retry import is_expired, persist
from ci.sagemaker.translate import translated

T = TypeVar("T")

_ATTEMPTS = 5


class Clients:
    """Lazy boto3 clients and the two ways to call them; safe to share between threads.

    `once` is the same with a single attempt for each call: for pollers, whose next poll is the
    retry. `renew` forgets session and clients, so that credentials are looked up anew.
    """

    def __init__(
        self,
        region: str,
        *,
        environ: Mapping[str, str],
        endpoint: str | None,
        attempts: int = _ATTEMPTS,
        patience: float | None = None,
        sleep: Callable[[float], None] = time.sleep,
        parent: "Clients | None" = None,
    ) -> None:
        self.region = region
        self.endpoint = endpoint
        self.sleep = sleep
        self._environ = environ
        self._attempts = attempts
        self._patience = patience
        self._parent = parent
        self._lock: AbstractContextManager[Any] = (
            parent._lock if parent else threading.RLock()  # noqa: SLF001 - its own kind
        )
        self._session: Any = None
        self._made: dict[str, Any] = {}
        self._once: Clients | None = None

    @property
    def once(self) -> "Clients":
        if self._attempts == 1:
            return self
        with self._lock:
            if self._once is None:
                self._once = Clients(
                    self.region,
                    environ=self._environ,
                    endpoint=self.endpoint,
                    attempts=1,
                    sleep=self.sleep,
                    parent=self,
                )
            return self._once

    def lasting(self, seconds: float) -> "Clients":
        """The same with a single attempt for each call, whose answer may take that long."""
        return Clients(
            self.region,
            environ=self._environ,
            endpoint=self.endpoint,
            attempts=1,
            patience=seconds,
            sleep=self.sleep,
            parent=self,
        )

    def renew(self) -> None:
        with self._lock:
            self._session = None
            self._made.clear()
            once, self._once = self._once, None
        if once is not None:
            once.renew()

    def has_credentials(self) -> bool:
        """Whether any are at hand, looked for where AWS's own clients look; nothing is called."""
        return self.endpoint is not None or self.credentials() is not None

    def credentials(self) -> Any:
        """botocore's credentials of this run, looked up and not called with; None without any."""
        with self._lock, translated("sts", "credentials"):
            return self._opened().get_credentials()

    def client(self, service: str) -> Any:
        """botocore's client of this service: boto3's, but for what boto3 adds to S3's."""
        with self._lock:
            if service not in self._made:
                with translated(service, "credentials"):
                    self._made[service] = self._make(service)
            return self._made[service]

    def takes(self, service: str, operation: str, member: str) -> bool:
        """Whether the installed botocore knows this request member."""
        shape = self.client(service).meta.service_model.operation_model(operation).input_shape
        return shape is not None and member in shape.members

    def knows(self, service: str, operation: str) -> bool:
        """Whether the installed botocore knows this operation."""
        return operation in self.client(service).meta.service_model.operation_names

    def call(
        self,
        service: str,
        operation: str,
        parameters: Mapping[str, object],
        *,
        where: str | None = None,
        retry_on: frozenset[str] = frozenset(),
    ) -> dict[str, Any]:
        """One call; the answer as boto3 gives it. `retry_on` names refusals that pass."""

        def once() -> dict[str, Any]:
            with translated(service, operation, where):
                answer: dict[str, Any] = self._method(service, operation)(**parameters)
                return answer

        return self._persist(once, retry_on)

    def read(
        self, service: str, operation: str, parameters: Mapping[str, object], *, where: str
    ) -> bytes:
        """One call whose answer streams a `Body`, read to its end."""

        def once() -> bytes:
            with translated(service, operation, where):
                body: bytes = self._method(service, operation)(**parameters)["Body"].read()
                return body

        return self._persist(once, frozenset())

    def pages(
        self,
        service: str,
        operation: str,
        parameters: Mapping[str, object],
        *,
        items: str,
        where: str | None = None,
        token: tuple[str, str] = ("NextToken", "NextToken"),
    ) -> Iterator[dict[str, Any]]:
        """Every item of a listing, page after page. `token` names it in the answer, the request.

        Raises AwsError when the service hands out the same page token twice in a row.
        """
        request = dict(parameters)
        while True:
            answer = self.call(service, operation, request, where=where)
            yield from answer.get(items) or ()
            following = answer.get(token[0])
            if not following:
                return
            if following == request.get(token[1]):
                raise AwsError(
                    f"{operation} hands out the same page again and again",
                    code="PaginationError",
                    operation=operation,
                    where=where,
                )
            request[token[1]] = following

    def _persist(self, call: Callable[[], T], codes: frozenset[str]) -> T:
        if self._attempts == 1:
            return call()
        try:
            return persist(call, sleep=self.sleep, codes=codes)
        except AwsError as error:
            if not is_expired(error):
                raise
        # Keys that ended before their time: there may be new ones where they came from.
        self.renew()
        return persist(call, sleep=self.sleep, codes=codes)

    def _method(self, service: str, operation: str) -> Any:
        from botocore import xform_name

        return getattr(self.client(service), xform_name(operation))

    def _make(self, service: str) -> Any:
        client = self._opened().create_client(
            service,
            region_name=self.region,
            endpoint_url=self._endpoint_of(service),
            config=self._config(),
        )
        client.meta.events.register("before-parse", _refuse_broken_json)
        return client

    def _endpoint_of(self, service: str) -> str | None:
        """The service's own (AWS_ENDPOINT_URL_SECRETS_MANAGER), else the one for all: what is
        handed to a client explicitly hides the variable from botocore."""
        own = "AWS_ENDPOINT_URL_"
        if not any(name.startswith(own) for name in self._environ):
            return self.endpoint
        model = self._opened().get_service_model(service)
        name = model.service_id.hyphenize().upper().replace("-", "_")
        return self._environ.get(f"{own}{name}") or self.endpoint

    def _config(self) -> Any:
        from botocore.config import Config

        return Config(
            retries={"mode": "standard", "total_max_attempts": self._attempts},
            connect_timeout=5,
            # A long poll of a queue answers after 20 s by itself.
            read_timeout=self._patience or (30 if self._attempts == 1 else 60),
            # What lies between may forget a connection on which nothing is said for minutes.
            tcp_keepalive=self._patience is not None,
            max_pool_connections=16,
            # No proxy leads to this machine's own address.
            proxies={} if _is_loopback(self.endpoint) else None,
            user_agent_extra=f"sagemaker-gitops/{__version__}",
        )

    def _opened(self) -> Any:
        """One session for both ways to call: opening it, and reading a service's model in it,
        take longer than most calls."""
        if self._parent is not None:
            return self._parent._opened()  # noqa: SLF001 - its own kind
        if self._session is None:
            self._session = self._open_session()
        return self._session

    def _open_session(self) -> Any:
        """A botocore session: boto3's would add a second to it, for resources nobody asks for."""
        from ci.sagemaker.models import new_session

        # The profile of the environ that was handed in, not of this process.
        session = new_session(profile=self._environ.get("AWS_PROFILE"))
        keys = self._environ.get("AWS_ACCESS_KEY_ID"), self._environ.get("AWS_SECRET_ACCESS_KEY")
        identity = find_web_identity(self._environ)
        if all(keys) and not (identity and identity.chosen):
            # What is handed in counts, also where this process's own environment says otherwise.
            session.set_credentials(*keys, self._environ.get("AWS_SESSION_TOKEN"))
            return session
        if identity is not None:
            install_web_identity(session, identity, self._make_sts)
        elif self.endpoint is not None and session.get_credentials() is None:
            session.set_credentials("local", "local")
        return session

    def _make_sts(self) -> Any:
        """STS without credentials: AssumeRoleWithWebIdentity is not signed."""
        from botocore import UNSIGNED
        from botocore.config import Config

        from ci.sagemaker.models import new_session

        return new_session(profile=None).create_client(
            "sts",
            region_name=self.region,
            endpoint_url=self.endpoint,
            config=self._config().merge(Config(signature_version=UNSIGNED)),
        )


def _refuse_broken_json(response_dict: Mapping[str, Any], **_event: object) -> None:
    """botocore takes a JSON body that breaks off for an empty answer, or for a refusal without a
    code: make it a body fault. It tries 5xx again by itself."""
    from botocore.parsers import ResponseParserError

    kind = str(response_dict["headers"].get("content-type") or "")
    body = response_dict["body"]
    if response_dict["status_code"] >= 500 or "json" not in kind or not isinstance(body, bytes):
        return
    try:
        json.loads(body or b"{}")
    except ValueError as error:
        raise ResponseParserError(f"The answer breaks off after {len(body)} bytes") from error


def open_clients(
    region: str,
    environ: Mapping[str, str],
    *,
    endpoint: str | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Clients:
    """The clients of this run. Makes no call and imports no botocore before one is needed.

    `endpoint` (else AWS_ENDPOINT_URL of `environ`) answers for every service; an endpoint
    without any credentials at hand gets made-up ones, which only a local endpoint takes.
    """
    return Clients(
        region,
        environ=environ,
        endpoint=endpoint or environ.get("AWS_ENDPOINT_URL") or None,
        sleep=sleep,
    )


def _is_loopback(endpoint: str | None) -> bool:
    return endpoint is not None and urlsplit(endpoint).hostname in {"127.0.0.1", "localhost", "::1"}
