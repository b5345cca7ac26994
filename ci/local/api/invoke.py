"""InvokeEndpoint: a request's way to a variant, through its containers, and back."""

import contextlib
import json
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from ci.local.api.hosting import DEPLOYMENT, KIND, resume_endpoint
from ci.local.api.launching import launcher, log_group
from ci.local.context import ApiError, Context
from ci.local.serving.deployment import Container, Deployment, Variant, from_document
from ci.local.serving.fleet import FleetClosed, StartFailed, fleet_at
from ci.local.serving.process import Answer, ServingProcess

BODY_LIMIT = 25 * 1024 * 1024
TIMEOUT = 60.0
_MESSAGE_LIMIT = 2048

_CUSTOM = "X-Amzn-SageMaker-Custom-Attributes"
_TARGET_VARIANT = "x-amzn-sagemaker-target-variant"
# What a container is told of the request's headers.
_TOLD = ("Accept", _CUSTOM, "X-Amzn-SageMaker-Inference-Id")

Response = tuple[int, dict[str, str], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """What an endpoint is asked: `headers` by their lower-case names."""

    endpoint: str
    headers: Mapping[str, str]
    body: bytes


def invoke(
    context: Context,
    asked: Invocation,
    *,
    timeout: float = TIMEOUT,
    chance: Callable[[], float] = random.random,
) -> Response:
    """`(status, headers, body)` to answer with, errors included. Blocks for up to `timeout`."""
    try:
        _check_size(asked.body)
        try:
            return _ask(context, asked, timeout, chance)
        except ConnectionRefusedError:
            # A process died between the look at it and the call, and was asked nothing.
            return _ask(context, asked, timeout, chance)
    except ConnectionRefusedError as error:
        return _error(503, "ServiceUnavailable", f"The model's process keeps ending: {error}")
    except ApiError as error:
        return _error(error.status, error.code, error.message)


def _ask(
    context: Context, asked: Invocation, timeout: float, chance: Callable[[], float]
) -> Response:
    target = asked.headers.get(_TARGET_VARIANT)
    with _asking(context, asked.endpoint, target, chance) as (variant, processes):
        status, headers, body = _through(
            context, asked, list(zip(variant.containers, processes, strict=True)), timeout
        )
    headers["x-Amzn-Invoked-Production-Variant"] = variant.name
    custom = asked.headers.get(_CUSTOM.lower())
    return status, headers if custom is None else {**headers, _CUSTOM: custom}, body


@contextlib.contextmanager
def _asking(
    context: Context, name: str, target: str | None, chance: Callable[[], float]
) -> Iterator[tuple[Variant, list[ServingProcess]]]:
    """The chosen variant and its processes, held against an update until this is over."""
    fleet = fleet_at(context.home)
    with contextlib.ExitStack() as stack:
        # One lock over both, so that no update comes between the choice and the processes.
        with fleet.lock(name):
            deployment = _served(context, name)
            variant = _choose(deployment, target, chance)
            try:
                processes = stack.enter_context(
                    fleet.asking(name, deployment, variant.name, launcher(context))
                )
            except (StartFailed, FleetClosed, OSError) as error:
                text = str(error) or "The local endpoint is going down."
                raise ApiError("ServiceUnavailable", text[:_MESSAGE_LIMIT], status=503) from error
        yield variant, processes


def _check_size(body: bytes) -> None:
    if len(body) > BODY_LIMIT:
        raise ApiError("ValidationError", f"The body is larger than {BODY_LIMIT} bytes.")


def _served(context: Context, name: str) -> Deployment:
    resume_endpoint(context, name)
    record = context.store.get(DEPLOYMENT, name)
    if record is None:
        raise ApiError(
            "ValidationError", f"Endpoint {name} of account {context.account} not found."
        )
    if record["current"] is None:
        body = context.store.get(KIND, name) or {"EndpointStatus": "Deleting"}
        raise ApiError(
            "ValidationError",
            f"Endpoint {name} of account {context.account} is not in service: its status is"
            f" {body['EndpointStatus']}.",
        )
    return from_document(record["current"])


def _choose(deployment: Deployment, target: str | None, chance: Callable[[], float]) -> Variant:
    """The variant that is asked for, or one by weight."""
    if target is not None:
        for variant in deployment.variants:
            if variant.name == target:
                return variant
        raise ApiError("ValidationError", f"Variant {target} not found for the endpoint.")
    point = chance() * sum(variant.weight for variant in deployment.variants)
    for variant in deployment.variants:
        point -= variant.weight
        if point < 0:
            return variant
    return deployment.variants[-1]


def _through(
    context: Context,
    asked: Invocation,
    serving: list[tuple[Container, ServingProcess]],
    timeout: float,
) -> Response:
    """One container after the other; what one answers is what the next is asked."""
    told = {name: asked.headers[name.lower()] for name in _TOLD if name.lower() in asked.headers}
    kind = asked.headers.get("content-type") or "application/json"
    answer = Answer(status=200, content_type=kind, body=asked.body)
    for container, process in serving:
        headers = {**told, "Content-Type": answer.content_type}
        try:
            answer = process.invoke(answer.body, headers, timeout)
        except ConnectionRefusedError:
            raise
        except OSError as error:
            answer = _no_answer(container, error, timeout)
        if not 200 <= answer.status < 300:
            return _model_error(context, asked.endpoint, container, answer)
    return 200, {"Content-Type": answer.content_type}, answer.body


def _no_answer(container: Container, error: OSError, timeout: float) -> Answer:
    text = (
        "Your invocation timed out while waiting for a response from container"
        f" {container.hostname} after {timeout:g} seconds."
        if isinstance(error, TimeoutError)
        else f"The process that serves the model went away: {error}"
    )
    return Answer(status=0, content_type="text/plain", body=text.encode())


def _model_error(context: Context, endpoint: str, container: Container, answer: Answer) -> Response:
    side = "client" if 400 <= answer.status < 500 else "server"
    original = answer.body.decode("utf-8", "replace")
    group = log_group(endpoint)
    message = (
        f"Received {side} error ({answer.status}) from {container.hostname} with message"
        f' "{original[:1024]}". See {group} in account {context.account} for more information.'
    )
    return _error(
        424,
        "ModelError",
        message,
        {
            "OriginalStatusCode": answer.status,
            "OriginalMessage": original[:_MESSAGE_LIMIT],
            "LogStreamArn": f"arn:aws:logs:{context.region}:{context.account}:log-group:{group}",
        },
    )


def _error(
    status: int, code: str, message: str, more: Mapping[str, object] | None = None
) -> Response:
    headers = {"Content-Type": "application/json", "x-amzn-ErrorType": code}
    body = {"ErrorCode": code, "Message": message, "message": message, **(more or {})}
    return status, headers, json.dumps(body).encode()
