"""Whose credentials these are, how long they last, and what IAM says they may do."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from ci.errors import AwsError
from ci.sagemaker.clients import Clients

_MISSING = frozenset({"NoSuchEntity", "NoSuchEntityException"})
_SIMULATED = 50  # actions of one call


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """`principal` is the ARN that policies hang on: of a session, its role's."""

    account: str
    arn: str
    principal: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetime:
    """`method` is where botocore found the credentials. `renews` says that it gets new ones by
    itself; `ends` is None where nothing tells."""

    method: str
    renews: bool
    temporary: bool
    ends: datetime | None = None


class Identity:
    """Reads only. One attempt for each call: who asks has little time."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def lifetime(self) -> Lifetime | None:
        """None without credentials."""
        found = self._clients.credentials()
        if found is None:
            return None
        frozen = found.get_frozen_credentials()
        renews = hasattr(found, "refresh_needed")
        return Lifetime(
            method=str(getattr(found, "method", None) or "unknown"),
            renews=renews,
            temporary=bool(frozen.token),
            ends=getattr(found, "_expiry_time", None) if renews else None,
        )

    def caller(self) -> Caller:
        answer = self._clients.once.call("sts", "GetCallerIdentity", {})
        arn = str(answer["Arn"])
        return Caller(account=str(answer["Account"]), arn=arn, principal=principal_of(arn))

    def refused(
        self,
        principal: str,
        actions: Sequence[str],
        resources: Sequence[str],
        context: Mapping[str, str] | None = None,
    ) -> Iterator[tuple[str, str]]:
        """Actions and resources that the principal's policies do not allow, as IAM simulates
        them. `context` are keys of conditions, with what the call would bring. AwsError where it
        may not be asked."""
        for first in range(0, len(actions), _SIMULATED):
            request: dict[str, object] = {
                "PolicySourceArn": principal,
                "ActionNames": list(actions[first : first + _SIMULATED]),
                "ResourceArns": list(resources),
            }
            if context:
                request["ContextEntries"] = [
                    {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "string"}
                    for key, value in context.items()
                ]
            while True:
                answer = self._clients.once.call("iam", "SimulatePrincipalPolicy", request)
                for result in answer.get("EvaluationResults") or ():
                    yield from _denied(result)
                if not answer.get("IsTruncated"):
                    break
                request["Marker"] = answer["Marker"]

    def trusted_services(self, role: str) -> frozenset[str] | None:
        """The services that may assume a role; None if there is no such role."""
        try:
            answer = self._clients.once.call("iam", "GetRole", {"RoleName": role}, where=role)
        except AwsError as error:
            if error.code in _MISSING:
                return None
            raise
        document = answer["Role"].get("AssumeRolePolicyDocument") or {}
        return frozenset(_services(document))

    def bucket_region(self, bucket: str, *, owner: str | None) -> str | None:
        """The region of a bucket; None if there is no such bucket. AwsError where it is another
        account's, or hidden."""
        request = {"Bucket": bucket, **({"ExpectedBucketOwner": owner} if owner else {})}
        try:
            answer = self._clients.once.call("s3", "HeadBucket", request, where=f"s3://{bucket}")
        except AwsError as error:
            if error.code in {"404", "NoSuchBucket", "NotFound"}:
                return None
            raise
        headers: Mapping[str, str] = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        return str(answer.get("BucketRegion") or headers.get("x-amz-bucket-region") or "") or ""

    def can_list_pipelines(self) -> None:
        """AwsError where the least of all calls is refused."""
        self._clients.once.call("sagemaker", "ListPipelines", {"MaxResults": 1})


def principal_of(arn: str) -> str:
    """`…:assumed-role/NAME/SESSION` -> the role's ARN; any other as it is."""
    head, mark, rest = arn.partition(":assumed-role/")
    if not mark:
        return arn
    return f"{head.replace(':sts:', ':iam:')}:role/{rest.partition('/')[0]}"


def _denied(result: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    action = result["EvalActionName"]
    single = result.get("ResourceSpecificResults") or ()
    if not single and result["EvalDecision"] != "allowed":
        yield action, result.get("EvalResourceName") or "*"
    for each in single:
        if each["EvalResourceDecision"] != "allowed":
            yield action, each["EvalResourceName"]


def _services(document: object) -> Iterator[str]:
    if isinstance(document, str):
        document = json.loads(unquote(document))
    statements = document.get("Statement") if isinstance(document, Mapping) else None
    for statement in statements if isinstance(statements, list) else [statements]:
        if not isinstance(statement, Mapping) or statement.get("Effect") != "Allow":
            continue
        principal = statement.get("Principal")
        services = principal.get("Service") if isinstance(principal, Mapping) else None
        yield from [services] if isinstance(services, str) else services or ()
