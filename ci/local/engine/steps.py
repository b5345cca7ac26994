"""What each type of step does, once its arguments are resolved."""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ci.definition.model import Step
from ci.definition.resolve import Scope, resolve, to_text
from ci.local.context import ApiError
from ci.local.engine import conditions, processing, training
from ci.local.engine.containers import Attempt, Host
from ci.local.engine.failure import ExceptionType, StepFailure, StepStopped
from ci.local.store import Document, Store

CONTAINERS = frozenset({"Processing", "Training"})
JobRecord = tuple[str, str, Document]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a step leaves: the API's metadata, what references to it resolve in, a condition's
    outcome, and the record (kind, key, body) of the job it ran."""

    metadata: Document = field(default_factory=dict)
    properties: Document = field(default_factory=dict)
    outcome: bool | None = None
    job: JobRecord | None = None


class Announce(Protocol):
    """Told the metadata of a step as soon as it is known, and the record of the job it runs."""

    def __call__(self, metadata: Document, job: JobRecord | None = None) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One attempt at one step. `arguments` are resolved, but for a condition's."""

    step: Step
    arguments: Mapping[str, Any]
    scope: Scope
    attempt: Attempt
    execution: str
    announce: Announce


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    store: Store
    host: Host
    call: Callable[[str, Document], Document]
    make_client: Callable[[str], Any]


def perform(task: Task, services: Services) -> Result:
    """Do the step. StepFailure, StepStopped and Unresolved tell why it has no result."""
    match task.step.type:
        case "Processing" | "Training":
            return _job(task, services)
        case "Condition":
            outcome = conditions.evaluate(task.step.arguments["Conditions"], task.scope)  # type: ignore[arg-type]
            text = "True" if outcome else "False"
            return Result(
                metadata={"Condition": {"Outcome": text}},
                properties={"Outcome": text},
                outcome=outcome,
            )
        case "Lambda":
            return _lambda(task, services)
        case "RegisterModel":
            return _register(task, services)
        case "Model":
            return _model(task, services)
        case "Fail":
            message = to_text(task.arguments.get("ErrorMessage", ""))
            task.announce({"Fail": {"ErrorMessage": message}})
            raise StepFailure(message)
        case other:
            raise StepFailure(f"ClientError: steps of type {other} cannot run here.")


def _job(task: Task, services: Services) -> Result:
    kind = task.step.type
    module: Any = processing if kind == "Processing" else training
    record = "processing_job" if kind == "Processing" else "training_job"
    host, store, attempt = services.host, services.store, task.attempt
    body = module.describe(task.arguments, host, attempt.job)
    metadata = {f"{kind}Job": {"Arn": body[f"{kind}JobArn"]}}
    body[f"{kind}StartTime"] = host.clock()
    task.announce(metadata, (record, attempt.job, dict(body)))

    def finish(status: str, **changes: Any) -> JobRecord:
        now = host.clock()
        ended = {f"{kind}JobStatus": status, f"{kind}EndTime": now, "LastModifiedTime": now}
        if kind == "Training":
            seconds = max(1, round(now - body["TrainingStartTime"]))
            ended |= {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": seconds}
            ended["SecondaryStatus"] = changes.pop("SecondaryStatus", status)
        return record, attempt.job, body | ended | changes

    try:
        changes = module.execute(body, host, attempt)
    except StepStopped:
        store.put(*finish("Stopped"))
        raise
    except StepFailure as failure:
        timed_out = "MaxRuntimeExceeded" in failure.reason
        more = {"SecondaryStatus": "MaxRuntimeExceeded"} if timed_out else {}
        end = finish(
            "Stopped" if timed_out else "Failed",
            FailureReason=failure.reason.removeprefix("ClientError: "),
            **(more if kind == "Training" else {}),
        )
        store.put(*end)
        reason = failure.reason
        if reason.startswith("AlgorithmError"):
            reason = f"ClientError: {reason}"
        raise StepFailure(reason, kind=failure.kind) from None
    status = {"SecondaryStatus": "Completed"} if kind == "Training" else {}
    job = finish("Completed", **changes, **status)
    return Result(metadata=metadata, properties=job[2], job=job)


def _lambda(task: Task, services: Services) -> Result:
    arn = to_text(resolve(task.step.raw.get("FunctionArn", ""), task.scope))
    task.announce({"Lambda": {"Arn": arn}})
    answer = _invoke(arn, task.arguments, services)
    payload = _parsed(answer["Payload"].read())
    if answer.get("FunctionError"):
        raise StepFailure(_lambda_reason(payload, answer.get("LogResult")))
    outputs = _outputs(task.step.raw.get("OutputParameters") or (), payload)
    listed = [{"Name": name, "Value": to_text(value)} for name, value in outputs.items()]
    return Result(
        metadata={"Lambda": {"Arn": arn, "OutputParameters": listed}},
        properties={"OutputParameters": outputs},
    )


def _invoke(arn: str, payload: Mapping[str, Any], services: Services) -> Any:
    from botocore.exceptions import BotoCoreError, ClientError

    client = services.make_client("lambda")
    try:
        return client.invoke(FunctionName=arn, Payload=json.dumps(payload), LogType="Tail")
    except ClientError as error:
        detail = error.response.get("Error", {})
        code = str(detail.get("Code"))
        kind = ExceptionType.THROTTLING if code == "TooManyRequestsException" else None
        if code in ("ServiceException", "500", "503"):
            kind = ExceptionType.SERVICE_FAULT
        text = f"ClientError: Lambda answered {code} for {arn}: {detail.get('Message')}"
        raise StepFailure(text, kind=kind) from None
    except BotoCoreError as error:
        raise StepFailure(
            f"InternalServerError: Lambda could not be reached for {arn}: {error}",
            kind=ExceptionType.SERVICE_FAULT,
        ) from None


def _parsed(payload: bytes) -> Any:
    try:
        return json.loads(payload) if payload else None
    except ValueError:
        return payload.decode("utf-8", errors="replace")


def _lambda_reason(payload: Any, log: str | None) -> str:
    error = payload if isinstance(payload, Mapping) else {"errorMessage": payload}
    text = f"ClientError: Lambda function failed: {error.get('errorType', 'Error')}: "
    text += to_text(error.get("errorMessage"))[:500]
    lines = base64.b64decode(log or "").decode("utf-8", errors="replace").splitlines()
    shown = [line for line in lines if line.strip() and not line.startswith(_LAMBDA_NOISE)]
    return text + ("\n" + "\n".join(shown[-6:]) if shown else "")


_LAMBDA_NOISE = ("START RequestId", "END RequestId", "REPORT RequestId")
_TYPES: Mapping[str, tuple[type, ...]] = {
    "String": (str,),
    "Integer": (int,),
    "Float": (int, float),
    "Boolean": (bool,),
}


def _outputs(declared: Any, payload: Any) -> dict[str, Any]:
    """The declared output parameters of what a Lambda returned, each of its declared type."""
    found: dict[str, Any] = {}
    for item in declared:
        name, kind = str(item["OutputName"]), str(item.get("OutputType", "String"))
        if not isinstance(payload, Mapping) or name not in payload:
            raise StepFailure(
                f"ClientError: the Lambda function did not return the output parameter {name!r}."
            )
        value = payload[name]
        fits = isinstance(value, _TYPES[kind]) and (kind == "Boolean") == isinstance(value, bool)
        if not fits:
            raise StepFailure(
                f"ClientError: the Lambda function returned {value!r} for the output parameter "
                f"{name!r}, which is declared {kind}."
            )
        found[name] = value
    return found


def _register(task: Task, services: Services) -> Result:
    request = {key: value for key, value in task.arguments.items() if value is not None}
    request.setdefault("MetadataProperties", {"GeneratedBy": task.execution})
    identity = f"{task.execution}#{task.step.name}"
    request.setdefault("ClientToken", hashlib.sha256(identity.encode()).hexdigest()[:32])
    _make_group(request.get("ModelPackageGroupName"), services)
    arn = _called("CreateModelPackage", request, services)["ModelPackageArn"]
    properties = _called("DescribeModelPackage", {"ModelPackageName": arn}, services)
    return Result(metadata={"RegisterModel": {"Arn": arn}}, properties=properties)


def _make_group(name: str | None, services: Services) -> None:
    """A RegisterModel step makes the group it names; CreateModelPackage alone would refuse."""
    if name is None or name.startswith("arn:"):
        return
    try:
        services.call("CreateModelPackageGroup", {"ModelPackageGroupName": name})
    except ApiError as error:
        if "already exists" not in error.message:
            raise StepFailure(f"ClientError: {error.code}: {error.message}") from None


def _model(task: Task, services: Services) -> Result:
    request = {key: value for key, value in task.arguments.items() if value is not None}
    request.setdefault("ModelName", task.attempt.job)
    arn = _called("CreateModel", request, services)["ModelArn"]
    properties = _called("DescribeModel", {"ModelName": request["ModelName"]}, services)
    return Result(metadata={"Model": {"Arn": arn}}, properties=properties)


def _called(operation: str, request: Document, services: Services) -> Document:
    try:
        return services.call(operation, request)
    except ApiError as error:
        kind = ExceptionType.SERVICE_FAULT if error.status >= 500 else None
        if error.code == "ThrottlingException":
            kind = ExceptionType.THROTTLING
        text = f"ClientError: {operation} failed with {error.code}: {error.message}"
        raise StepFailure(text, kind=kind) from None
