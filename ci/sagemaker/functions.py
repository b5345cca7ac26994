"""Lambda functions of a bundle: read, created or brought up to date, never touched when equal."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ci.compile.bundle import Function
from ci.errors import AwsError
from ci.project.names import OWN
from ci.sagemaker.clients import Clients
from ci.sagemaker.retry import THROTTLED, Patience, is_gone, persist
from ci.sagemaker.translate import translated

_SERVICE = "lambda"
_BUSY = frozenset({"ResourceConflictException", "TooManyRequestsException"})
# A role made moments ago is not yet known to Lambda.
_BUSY_ROLE = _BUSY | {"InvalidParameterValueException"}
_WAIT = Patience(attempts=123, first=0.1, ceiling=1.0)  # two minutes in all
# A function may run for 15 minutes.
_LONGEST_CALL = 930.0
_LARGEST_CODE = 64 * 1024 * 1024
# What only CreateFunction takes.
_CREATE_ONLY = frozenset(
    {"Publish", "Tags", "PackageType", "Architectures", "CodeSigningConfigArn"}
)


class Put(StrEnum):
    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldFunction:
    """A function as Lambda holds it: its code's SHA-256 in hex, its tags, and of its settings those
    that were asked for, in CreateFunction's words."""

    sha256: str
    tags: Mapping[str, str]
    configuration: Mapping[str, object] = field(default_factory=dict)


class Functions:
    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def held(self, function: Function) -> HeldFunction | None:
        """What Lambda holds under this function's name, of the settings that the bundle states;
        None where there is no such function."""
        found = self._find(function.name)
        if found is None:
            return None
        return HeldFunction(
            sha256=_hex_sha256(found.get("CodeSha256") or ""),
            tags=self._tags(found["FunctionArn"]),
            configuration=as_wanted(function.configuration, found),
        )

    def code(self, name: str) -> bytes | None:
        """The deployed zip; None where it cannot be read or is larger than a diff needs."""
        import requests

        try:
            answer = self._clients.call(_SERVICE, "GetFunction", {"FunctionName": name}, where=name)
            place = (answer.get("Code") or {}).get("Location") or ""
            if not place.startswith(("https://", "http://")):
                return None
            with requests.get(place, timeout=20, stream=True) as response:
                response.raise_for_status()
                data = response.raw.read(_LARGEST_CODE + 1, decode_content=True)
        except (AwsError, requests.RequestException, OSError):
            return None
        return bytes(data) if len(data) <= _LARGEST_CODE else None

    def put(
        self, function: Function, code: bytes, *, owner: Mapping[str, str] | None = None
    ) -> Put:
        """Make the function what the bundle says. `code` is the zip file's bytes, `owner` are
        the tags that say whose it is."""
        held = self._find(function.name)
        if held is None:
            return self._create(function, code, owner or {})
        if owner:
            self._own(held["FunctionArn"], owner)
        return self._update(function, code, held)

    def equal(self, function: Function) -> bool:
        """Whether the function is there and is what the bundle says."""
        held = self._find(function.name)
        return (
            held is not None
            and held.get("CodeSha256") == _code_sha256(function.sha256)
            and not differs(_wanted(function), held)
        )

    def invoke(self, name: str, inputs: Mapping[str, object]) -> str:
        """Call it, once, and wait for its answer: JSON. What was throttled has not run, and is
        called again. AwsError where the function failed, with what it says of that."""
        client = self._clients.lasting(_LONGEST_CALL).client(_SERVICE)
        body = json.dumps(inputs, default=str).encode()

        def call() -> tuple[dict[str, Any], bytes]:
            with translated(_SERVICE, "Invoke", name):
                answer = client.invoke(FunctionName=name, Payload=body)
                return answer, answer["Payload"].read()

        answer, payload = persist(
            call, sleep=self._clients.sleep, codes=THROTTLED, faults=frozenset()
        )
        text = payload.decode("utf-8", "replace")
        if answer.get("FunctionError"):
            raise AwsError(
                "The Lambda function failed",
                code=str(answer["FunctionError"]),
                operation="Invoke",
                where=name,
                why=_told_error(text),
            )
        return text

    def tags(self, name: str) -> dict[str, str] | None:
        """The function's tags; None if there is no such function."""
        held = self._find(name)
        return None if held is None else self._tags(held["FunctionArn"])

    def _tags(self, arn: str) -> dict[str, str]:
        answer = self._clients.call(_SERVICE, "ListTags", {"Resource": arn}, where=arn)
        return dict(answer.get("Tags") or {})

    def _own(self, arn: str, owner: Mapping[str, str]) -> None:
        held = self._tags(arn)
        missing = {key: value for key, value in owner.items() if held.get(key) != value}
        if missing:
            self._clients.call(
                _SERVICE, "TagResource", {"Resource": arn, "Tags": missing}, where=arn
            )
        stale = [key for key in held if key.startswith(OWN) and key not in owner]
        if stale:
            self._clients.call(
                _SERVICE, "UntagResource", {"Resource": arn, "TagKeys": stale}, where=arn
            )

    def _update(self, function: Function, code: bytes, held: Mapping[str, Any]) -> Put:
        done = Put.UNCHANGED
        if held.get("CodeSha256") != _code_sha256(function.sha256):
            self._call(
                "UpdateFunctionCode", function, {"ZipFile": code, **_pick_architectures(function)}
            )
            self._wait(function.name)
            done = Put.UPDATED
        wanted = _wanted(function)
        if differs(wanted, held):
            self._call("UpdateFunctionConfiguration", function, wanted)
            done = Put.UPDATED
        if done is Put.UPDATED or held.get("State") == "Pending":
            self._wait(function.name)
        return done

    def _create(self, function: Function, code: bytes, owner: Mapping[str, str]) -> Put:
        arguments: dict[str, object] = {**function.configuration, "Code": {"ZipFile": code}}
        if owner:
            named = function.configuration.get("Tags")
            arguments["Tags"] = {**(named if isinstance(named, Mapping) else {}), **owner}
        try:
            self._call(
                "CreateFunction",
                function,
                arguments,
                retry_on=_BUSY_ROLE - {"ResourceConflictException"},
            )
        except AwsError as error:
            if error.code != "ResourceConflictException":
                raise
            # Another job made it in between: what it made is brought up to date.
            return self.put(function, code, owner=owner)
        self._wait(function.name)
        return Put.CREATED

    def _find(self, name: str) -> dict[str, Any] | None:
        try:
            return self._clients.call(
                _SERVICE, "GetFunctionConfiguration", {"FunctionName": name}, where=name
            )
        except AwsError as error:
            if is_gone(error):
                return None
            raise

    def _call(
        self,
        operation: str,
        function: Function,
        arguments: Mapping[str, object],
        *,
        retry_on: frozenset[str] = _BUSY,
    ) -> None:
        self._clients.call(
            _SERVICE,
            operation,
            {"FunctionName": function.name, **arguments},
            where=function.arn or function.name,
            retry_on=retry_on,
        )

    def _wait(self, name: str) -> None:
        """Until it is Active and its last update is done."""
        for attempt in range(_WAIT.attempts):
            held = self._find(name) or {}
            state, update = held.get("State", "Active"), held.get("LastUpdateStatus", "Successful")
            if state in {"Active", "Inactive"} and update == "Successful":
                return
            if state == "Failed" or update == "Failed":
                reason = (
                    held.get("StateReason") or held.get("LastUpdateStatusReason") or "no reason"
                )
                raise AwsError(
                    f"The Lambda function did not become active: {reason}",
                    code=str(held.get("StateReasonCode") or "Failed"),
                    operation="GetFunctionConfiguration",
                    where=name,
                )
            self._clients.sleep(_WAIT.pause(attempt))
        raise AwsError(
            "The Lambda function was still not active after two minutes",
            code="Timeout",
            operation="GetFunctionConfiguration",
            where=name,
        )


def _told_error(payload: str) -> str:
    """`RuntimeError: endpoint is busy` of the payload that a failed function leaves."""
    try:
        found = json.loads(payload)
    except ValueError:
        return payload[:500]
    if not isinstance(found, dict):
        return payload[:500]
    return f"{found.get('errorType', 'Error')}: {found.get('errorMessage', '')}"[:500]


def _wanted(function: Function) -> dict[str, object]:
    """What an existing function can be brought to."""
    return {key: value for key, value in function.configuration.items() if key not in _CREATE_ONLY}


def differs(wanted: Mapping[str, object], held: Mapping[str, object]) -> bool:
    """Whether one of the wanted settings is not held. What is not named is left alone."""
    for key, value in wanted.items():
        other = held.get(key)
        if isinstance(value, Mapping) and isinstance(other, Mapping):
            if differs(value, other):
                return True
        elif key == "Layers" and isinstance(other, list):
            if value != [item.get("Arn") for item in other]:
                return True
        elif value != other and not (not value and other is None):
            return True
    return False


def as_wanted(wanted: Mapping[str, object], held: Mapping[str, object]) -> dict[str, object]:
    """What is held of the settings that are wanted, in the words in which they are wanted.

    Equal to `wanted` exactly where `put` has nothing to do: what only a create takes is never
    brought up to date, and so reads as wanted.
    """
    found = _of_wanted(wanted, held)
    return {
        key: value if key in _CREATE_ONLY else found[key]
        for key, value in wanted.items()
        if key in found or key in _CREATE_ONLY
    }


def _of_wanted(wanted: Mapping[str, object], held: Mapping[str, object]) -> dict[str, object]:
    result: dict[str, object] = {}
    for key, value in wanted.items():
        other = held.get(key)
        if isinstance(value, Mapping) and isinstance(other, Mapping):
            result[key] = _of_wanted(value, other)
        elif key == "Layers" and isinstance(other, list):
            result[key] = [item.get("Arn") for item in other]
        elif other is None and not value:
            result[key] = value
        elif key in held and not isinstance(other, Mapping):
            result[key] = other
    return result


def _pick_architectures(function: Function) -> dict[str, object]:
    wanted = function.configuration.get("Architectures")
    return {"Architectures": wanted} if wanted else {}


def _code_sha256(digest: str) -> str:
    """Lambda's CodeSha256 is base64 over the same hash."""
    return base64.b64encode(bytes.fromhex(digest)).decode()


def _hex_sha256(code_sha256: str) -> str:
    """Empty where Lambda answers something else than a hash."""
    try:
        return base64.b64decode(code_sha256, validate=True).hex()
    except (binascii.Error, ValueError):
        return ""
