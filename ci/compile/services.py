"""What the AWS services answer while a source compiles: just enough, and by name where not.

The account exists, the bucket exists, nothing else does. Uploads and Lambda functions are kept;
what reads or changes anything beyond is refused, and remembered for the error message.
"""

import base64
import binascii
import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote
from xml.sax.saxutils import escape

_TIME = "2020-01-01T00:00:00.000Z"
_READS = ("Describe", "Get", "List", "Search", "Head", "Query", "BatchGet", "Lookup")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """`service` is the one that the signature names, in botocore's spelling of a signing name."""

    service: str
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class CapturedFunction:
    """`configuration` is CreateFunction's request but for name and code; `code` is a zip."""

    configuration: dict[str, Any]
    code: bytes


@dataclass(slots=True, kw_only=True)
class Capture:
    """What was put, and what was refused (`service:Operation detail`)."""

    role: str
    account: str
    region: str
    bucket: str
    objects: dict[tuple[str, str], bytes] = field(default_factory=dict)
    functions: dict[str, CapturedFunction] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    parts: dict[str, dict[int, bytes]] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def note(self, what: str) -> None:
        if what not in self.refused:
            self.refused.append(what)


def answer(capture: Capture, request: Request) -> Answer:
    """The answer to one request."""
    with capture.lock:
        match request.service:
            case "s3":
                return _s3(capture, request)
            case "sts" | "iam":
                return _query(capture, request)
            case "lambda":
                return _lambda(capture, request)
            case _:
                return _other(capture, request)


# S3


def _s3(capture: Capture, request: Request) -> Answer:
    bucket, _, key = request.path.lstrip("/").partition("/")
    if not bucket:
        names = "".join(
            f"<Bucket><Name>{escape(name)}</Name><CreationDate>{_TIME}</CreationDate></Bucket>"
            for name in sorted({capture.bucket} | {place[0] for place in capture.objects})
        )
        return _xml(f"<ListAllMyBucketsResult><Buckets>{names}</Buckets></ListAllMyBucketsResult>")
    if not key:
        return _s3_bucket(capture, request, bucket)
    match request.method:
        case "PUT":
            return _put(capture, request, bucket, key)
        case "POST":
            return _multipart(capture, request, bucket, key)
        case "DELETE":
            capture.objects.pop((bucket, key), None)
            return Answer(status=204)
        case _:
            return _get(capture, request, bucket, key)


def _s3_bucket(capture: Capture, request: Request, bucket: str) -> Answer:
    if request.method in ("HEAD", "PUT"):
        return Answer(headers={"x-amz-bucket-region": capture.region})
    if "location" in request.query:
        region = "" if capture.region == "us-east-1" else capture.region
        return _xml(f"<LocationConstraint>{region}</LocationConstraint>")
    if request.method == "GET" and not set(request.query) & {"versioning", "policy", "tagging"}:
        return _list(capture, request, bucket)
    return _refuse_s3(capture, request, f"s3://{bucket}")


def _list(capture: Capture, request: Request, bucket: str) -> Answer:
    prefix = request.query.get("prefix", "")
    found = sorted(
        (key, body)
        for (owner, key), body in capture.objects.items()
        if owner == bucket and key.startswith(prefix)
    )
    if not found and prefix:
        capture.note(f"s3:ListObjects s3://{bucket}/{prefix}")
    items = "".join(
        f"<Contents><Key>{escape(key)}</Key><Size>{len(body)}</Size>"
        f"<LastModified>{_TIME}</LastModified><ETag>{_etag(body)}</ETag></Contents>"
        for key, body in found
    )
    return _xml(
        f"<ListBucketResult><Name>{escape(bucket)}</Name><Prefix>{escape(prefix)}</Prefix>"
        f"<KeyCount>{len(found)}</KeyCount><IsTruncated>false</IsTruncated>{items}"
        "</ListBucketResult>"
    )


def _put(capture: Capture, request: Request, bucket: str, key: str) -> Answer:
    if "uploadId" in request.query:
        part = int(request.query.get("partNumber", "1"))
        capture.parts.setdefault(request.query["uploadId"], {})[part] = request.body
        return Answer(headers={"ETag": _etag(request.body)})
    if "x-amz-copy-source" in request.headers:
        source = unquote(request.headers["x-amz-copy-source"]).lstrip("/").split("?")[0]
        owner, _, name = source.partition("/")
        body = capture.objects.get((owner, name))
        if body is None:
            return _missing(capture, "CopyObject", owner, name)
        capture.objects[bucket, key] = body
        return _xml(f"<CopyObjectResult><ETag>{_etag(body)}</ETag></CopyObjectResult>")
    if set(request.query) & {"tagging", "acl", "retention", "legal-hold"}:
        return Answer()
    capture.objects[bucket, key] = request.body
    return Answer(headers={"ETag": _etag(request.body)})


def _multipart(capture: Capture, request: Request, bucket: str, key: str) -> Answer:
    place = f"<Bucket>{escape(bucket)}</Bucket><Key>{escape(key)}</Key>"
    if "uploads" in request.query:
        upload = str(len(capture.parts) + 1)
        capture.parts[upload] = {}
        return _xml(
            f"<InitiateMultipartUploadResult>{place}<UploadId>{upload}</UploadId>"
            "</InitiateMultipartUploadResult>"
        )
    parts = capture.parts.get(request.query.get("uploadId", ""))
    if parts is None:
        return _refuse_s3(capture, request, f"s3://{bucket}/{key}")
    capture.objects[bucket, key] = b"".join(parts[number] for number in sorted(parts))
    tag = _etag(capture.objects[bucket, key])
    return _xml(
        f"<CompleteMultipartUploadResult>{place}<ETag>{tag}</ETag></CompleteMultipartUploadResult>"
    )


def _get(capture: Capture, request: Request, bucket: str, key: str) -> Answer:
    body = capture.objects.get((bucket, key))
    if body is None:
        operation = "HeadObject" if request.method == "HEAD" else "GetObject"
        return _missing(capture, operation, bucket, key)
    headers = {"ETag": _etag(body), "Last-Modified": "Wed, 01 Jan 2020 00:00:00 GMT"}
    if request.method == "HEAD":
        return Answer(headers={**headers, "Content-Length": str(len(body))})
    wanted = request.headers.get("range", "")
    if wanted.startswith("bytes="):
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start = int(first or 0)
        end = min(int(last or len(body) - 1), len(body) - 1)
        headers["Content-Range"] = f"bytes {start}-{end}/{len(body)}"
        return Answer(status=206, body=body[start : end + 1], headers=headers)
    return Answer(body=body, headers=headers)


def _missing(capture: Capture, operation: str, bucket: str, key: str) -> Answer:
    capture.note(f"s3:{operation} s3://{bucket}/{key}")
    return _xml(
        "<Error><Code>NoSuchKey</Code><Message>The specified key does not exist: compile is"
        f" hermetic and sees only what it uploaded.</Message><Key>{escape(key)}</Key></Error>",
        status=404,
    )


def _refuse_s3(capture: Capture, request: Request, where: str) -> Answer:
    capture.note(f"s3:{request.method} {where}")
    return _xml(
        f"<Error><Code>NotImplemented</Code><Message>{escape(_sentence('s3', request.method))}"
        "</Message></Error>",
        status=400,
    )


def _etag(body: bytes) -> str:
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'


def _xml(body: str, *, status: int = 200) -> Answer:
    return Answer(status=status, body=body.encode(), headers={"Content-Type": "application/xml"})


# STS and IAM


def _query(capture: Capture, request: Request) -> Answer:
    form = {key: values[0] for key, values in parse_qs(request.body.decode()).items()}
    operation = form.get("Action", "?")
    name = capture.role.rsplit("/", 1)[-1]
    match operation:
        case "GetCallerIdentity":
            partition = capture.role.split(":")[1] if capture.role.startswith("arn:") else "aws"
            arn = f"arn:{partition}:sts::{capture.account}:assumed-role/{name}/sagemaker-gitops"
            result = (
                f"<Arn>{escape(arn)}</Arn><UserId>AROA:sagemaker-gitops</UserId>"
                f"<Account>{capture.account}</Account>"
            )
        case "GetRole" if form.get("RoleName") == name:
            result = (
                f"<Role><Arn>{escape(capture.role)}</Arn><RoleName>{escape(name)}</RoleName>"
                f"<Path>/</Path><RoleId>AROA</RoleId><CreateDate>{_TIME}</CreateDate></Role>"
            )
        case "SimulatePrincipalPolicy":
            actions = [v for k, v in form.items() if k.startswith("ActionNames.member.")]
            members = "".join(
                f"<member><EvalActionName>{escape(action)}</EvalActionName>"
                "<EvalDecision>allowed</EvalDecision></member>"
                for action in actions
            )
            result = (
                f"<EvaluationResults>{members}</EvaluationResults><IsTruncated>false</IsTruncated>"
            )
        case _:
            capture.note(f"{request.service}:{operation}")
            return _xml(
                "<ErrorResponse><Error><Type>Sender</Type><Code>HermeticCompile</Code><Message>"
                f"{escape(_sentence(request.service, operation))}</Message></Error>"
                "</ErrorResponse>",
                status=400,
            )
    return _xml(
        f"<{operation}Response><{operation}Result>{result}</{operation}Result>"
        f"<ResponseMetadata><RequestId>0</RequestId></ResponseMetadata></{operation}Response>"
    )


# Lambda


def _lambda(capture: Capture, request: Request) -> Answer:
    """REST over `/2015-03-31/functions[/{name}[/code|/configuration]]`."""
    match request.method, [part for part in request.path.split("/") if part][1:]:
        case "POST", ["functions"]:
            return _create_function(capture, _json_body(request))
        case ("PUT" | "GET") as method, ["functions", name, *what] if what in (
            [],
            ["code"],
            ["configuration"],
        ):
            name = name.split(":")[6] if name.startswith("arn:") else name
            return _known_function(capture, method, name, what, _json_body(request))
        case _:
            return _refuse(capture, "lambda", f"{request.method} {request.path}")


def _known_function(
    capture: Capture, method: str, name: str, what: list[str], body: dict[str, Any]
) -> Answer:
    known = capture.functions.get(name)
    if (method, what) == ("PUT", ["code"]):
        code = _code(capture, body)
        if isinstance(code, Answer):
            return code
        if known is None:
            known = capture.functions[name] = CapturedFunction(configuration={}, code=code)
        known.code = code
    elif known is None:
        capture.note(f"lambda:{method} {name}")
        return _error("ResourceNotFoundException", f"Function not found: {name}", status=404)
    elif (method, what) == ("PUT", ["configuration"]):
        known.configuration.update(body)
    told = _function(capture, name, known)
    return _json(told if what else {"Configuration": told})


def _create_function(capture: Capture, body: dict[str, Any]) -> Answer:
    name = str(body.get("FunctionName", "")).rsplit(":", 1)[-1]
    if name in capture.functions:
        return _error("ResourceConflictException", f"Function already exist: {name}", status=409)
    code = _code(capture, body.get("Code", {}))
    if isinstance(code, Answer):
        return code
    configuration = {k: v for k, v in body.items() if k not in ("FunctionName", "Code")}
    function = CapturedFunction(configuration=configuration, code=code)
    capture.functions[name] = function
    return _json(_function(capture, name, function), status=201)


def _code(capture: Capture, code: Mapping[str, Any]) -> bytes | Answer:
    if "ZipFile" in code:
        try:
            return base64.b64decode(code["ZipFile"], validate=True)
        except (binascii.Error, TypeError):
            return _error("InvalidParameterValueException", "ZipFile is not base64")
    place = (str(code.get("S3Bucket")), str(code.get("S3Key")))
    if place in capture.objects:
        return capture.objects[place]
    capture.note(f"lambda:code from s3://{place[0]}/{place[1]}")
    return _error(
        "InvalidParameterValueException",
        "compile is hermetic: the function's code must be a file of the repository",
    )


def _function(capture: Capture, name: str, function: CapturedFunction) -> dict[str, Any]:
    return {
        **function.configuration,
        "FunctionName": name,
        "FunctionArn": function_arn(capture, name),
        "State": "Active",
        "LastUpdateStatus": "Successful",
        "CodeSize": len(function.code),
        "Version": "$LATEST",
    }


def function_arn(capture: Capture, name: str) -> str:
    partition = capture.role.split(":")[1] if capture.role.startswith("arn:") else "aws"
    return f"arn:{partition}:lambda:{capture.region}:{capture.account}:function:{name}"


# All else


def _other(capture: Capture, request: Request) -> Answer:
    target = request.headers.get("x-amz-target", "")
    operation = target.rsplit(".", 1)[-1] or f"{request.method} {request.path}"
    if request.service == "sagemaker" and operation.startswith("Describe"):
        capture.note(f"sagemaker:{operation}")
        return _error("ValidationException", _sentence("sagemaker", operation))
    return _refuse(capture, request.service, operation)


def _refuse(capture: Capture, service: str, operation: str) -> Answer:
    capture.note(f"{service}:{operation}")
    return _error("HermeticCompile", _sentence(service, operation))


def _sentence(service: str, operation: str) -> str:
    if service == "sagemaker" and not operation.startswith(_READS):
        return f"compile only builds the definition: it does not call {service}:{operation}"
    return f"compile is hermetic: {service}:{operation} has no answer here"


def _error(code: str, message: str, *, status: int = 400) -> Answer:
    body = {"__type": code, "message": message, "Message": message}
    reply = _json(body, status=status)
    return Answer(
        status=status, body=reply.body, headers={**reply.headers, "x-amzn-ErrorType": code}
    )


def _json(value: object, *, status: int = 200) -> Answer:
    return Answer(
        status=status,
        body=json.dumps(value).encode(),
        headers={"Content-Type": "application/x-amz-json-1.1"},
    )


def _json_body(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(request.body or b"{}")
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
