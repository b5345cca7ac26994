"""Lambda functions of a bundle: created or brought up to date, never touched when equal."""

import base64
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from ci.compile.bundle import Function
from ci.errors import AwsError
from ci.sagemaker.clients import Clients

_SERVICE = "lambda"
_BUSY = frozenset({"ResourceConflictException", "TooManyRequestsException"})
# A role made moments ago is not yet known to Lambda.
_BUSY_ROLE = _BUSY | {"InvalidParameterValueException"}
_WAIT = 120
# What only CreateFunction takes.
_CREATE_ONLY = frozenset(
    {"Publish", "Tags", "PackageType", "Architectures", "CodeSigningConfigArn"}
)


class Put(StrEnum):
    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


class Functions:
    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def put(self, function: Function, code: bytes) -> Put:
        """Make the function what the bundle says. `code` is the zip file's bytes."""
        held = self._find(function.name)
        if held is None:
            return self._create(function, code)
        done = Put.UNCHANGED
        if held.get("CodeSha256") != _code_sha256(function.sha256):
            self._call(
                "UpdateFunctionCode", function, {"ZipFile": code, **_pick_architectures(function)}
            )
            self._wait(function.name)
            done = Put.UPDATED
        wanted = {
            key: value for key, value in function.configuration.items() if key not in _CREATE_ONLY
        }
        if differs(wanted, held):
            self._call("UpdateFunctionConfiguration", function, wanted)
            done = Put.UPDATED
        if done is Put.UPDATED or held.get("State") == "Pending":
            self._wait(function.name)
        return done

    def _create(self, function: Function, code: bytes) -> Put:
        arguments = {**function.configuration, "Code": {"ZipFile": code}}
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
            return self.put(function, code)
        self._wait(function.name)
        return Put.CREATED

    def _find(self, name: str) -> dict[str, Any] | None:
        try:
            return self._clients.call(
                _SERVICE, "GetFunctionConfiguration", {"FunctionName": name}, where=name
            )
        except AwsError as error:
            if error.code in {"ResourceNotFoundException", "404"}:
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
        for _ in range(_WAIT):
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
            self._clients.sleep(1.0)
        raise AwsError(
            f"The Lambda function was still not active after {_WAIT} s",
            code="Timeout",
            operation="GetFunctionConfiguration",
            where=name,
        )


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


def _pick_architectures(function: Function) -> dict[str, object]:
    wanted = function.configuration.get("Architectures")
    return {"Architectures": wanted} if wanted else {}


def _code_sha256(digest: str) -> str:
    """Lambda's CodeSha256 is base64 over the same hash."""
    return base64.b64encode(bytes.fromhex(digest)).decode()
