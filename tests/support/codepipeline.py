"""A stateful CodePipeline on loopback, in front of another endpoint that serves all else.

Requests and answers are held to botocore's model of the service. A job is answered once; one that
is answered with a continuation token is followed by another job with that token, as in the
service. The artifact bucket opens to the job's own credentials alone.
"""

import http.client
import json
import re
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from botocore.loaders import Loader

from ci.local.service import ServiceModel
from ci.local.shapes import as_validation_message, find_misfits

MODEL = ServiceModel(Loader().load_service_model("codepipeline", "service-2"))
BUCKET = "codepipeline-artifacts"
OWN_KEY, ARTIFACT_KEY = "AKIAFUNCTION", "ASIAARTIFACTS"
EMULATED_KEY = "000000000000"  # the account: of every function that the endpoint itself runs
ENVIRONMENT = {"AWS_ACCESS_KEY_ID": OWN_KEY, "AWS_SECRET_ACCESS_KEY": "test"}
_KEY = re.compile(r"Credential=([^/]+)/")
_DROPPED = {"connection", "transfer-encoding", "content-length", "keep-alive"}


class Refused(Exception):
    """The service's answer to a request that it does not take."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


@dataclass(slots=True, kw_only=True)
class Job:
    """`answer` is what the job was answered with: the operation and its request."""

    id: str
    data: dict[str, Any]
    answer: tuple[str, dict[str, Any]] | None = None

    @property
    def event(self) -> dict[str, Any]:
        return {"CodePipeline.job": {"id": self.id, "accountId": "000000000000", "data": self.data}}


@dataclass(slots=True, kw_only=True)
class Pipeline:
    """`approvals` are the waiting ones, by (stage, action): pipeline execution and token."""

    approvals: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    decided: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    actions: list[dict[str, Any]] = field(default_factory=list)
    revisions: dict[str, list[str]] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class FakeCodePipeline:
    """`fault` is asked before each operation takes effect, and may raise Refused."""

    address: str = ""
    jobs: list[Job] = field(default_factory=list)
    pipelines: dict[str, Pipeline] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    uploads: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    fault: Callable[[str], None] = lambda _operation: None
    problems: list[str] = field(default_factory=list)
    lock: Any = field(default_factory=threading.RLock)

    def start(
        self,
        parameters: object,
        *,
        inputs: Mapping[str, str],
        outputs: Mapping[str, str] | None = None,
        revision: str | None = None,
        key: str | None = None,
    ) -> Job:
        """A first job. `inputs` and `outputs` map an artifact's name to its key."""
        text = parameters if isinstance(parameters, str) else json.dumps(parameters)
        data: dict[str, Any] = {
            "actionConfiguration": {
                "configuration": {"FunctionName": "gitops", "UserParameters": text}
            },
            "inputArtifacts": [_artifact(name, key, revision) for name, key in inputs.items()],
            "outputArtifacts": [_artifact(n, k, None) for n, k in (outputs or {}).items()],
            "artifactCredentials": {
                "accessKeyId": ARTIFACT_KEY,
                "secretAccessKey": "artifact-secret-key",
                "sessionToken": "artifact-session-token",
            },
        }
        if key is not None:
            data["encryptionKey"] = {"id": key, "type": "KMS"}
        return self._add(data)

    def following(self, job: Job) -> Job | None:
        """The job that continues an answered one."""
        operation, request = job.answer or ("", {})
        token = request.get("continuationToken")
        if operation != "PutJobSuccessResult" or token is None:
            return None
        number = self.jobs.index(job)
        if number + 1 < len(self.jobs):
            return self.jobs[number + 1]
        return self._add({**job.data, "continuationToken": token})

    def _add(self, data: dict[str, Any]) -> Job:
        job = Job(id=str(uuid.uuid4()), data=data)
        self.jobs.append(job)
        return job

    def call(self, operation: str, request: dict[str, Any], *, signer: str) -> dict[str, Any]:
        if signer not in {OWN_KEY, EMULATED_KEY}:
            raise Refused("AccessDeniedException", "not the function's role", 403)
        misfits = find_misfits(MODEL, MODEL.input(operation), request)
        if misfits:
            raise Refused("ValidationException", as_validation_message(misfits))
        self.fault(operation)
        with self.lock:
            self.calls.append(operation)
            answer: dict[str, Any] = getattr(self, f"_{operation}")(request)
        for misfit in find_misfits(MODEL, MODEL.output(operation), answer):
            self.problems.append(f"{operation}: {misfit.path}: {misfit.message}")
        return answer

    def _PutJobSuccessResult(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        size = sum(len(k) + len(v) for k, v in request.get("outputVariables", {}).items())
        if size > 122_880:
            raise Refused("OutputVariablesSizeExceededException", "too large")
        if "continuationToken" in request and "outputVariables" in request:
            raise Refused("ValidationException", "a job that goes on has no output yet")
        return self._answer("PutJobSuccessResult", request)

    def _PutJobFailureResult(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return self._answer("PutJobFailureResult", request)

    def _answer(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        job = next((job for job in self.jobs if job.id == request["jobId"]), None)
        if job is None:
            raise Refused("JobNotFoundException", "there is no such job")
        if job.answer is not None:
            raise Refused("InvalidJobStateException", "the job is not in progress")
        job.answer = (operation, request)
        return {}

    def _GetPipelineState(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        held = self._pipeline(request["name"])
        stages = []
        for (stage, action), (execution, token) in held.approvals.items():
            latest = {"status": "InProgress", "token": token, "lastStatusChange": 1.8e9}
            done = held.decided.get((stage, action))
            if done is not None:
                latest = {"status": "Succeeded" if done["status"] == "Approved" else "Failed"}
            stages.append(
                {
                    "stageName": stage,
                    "latestExecution": {"pipelineExecutionId": execution, "status": "InProgress"},
                    "actionStates": [{"actionName": action, "latestExecution": latest}],
                }
            )
        return {"pipelineName": request["name"], "pipelineVersion": 1, "stageStates": stages}

    def _PutApprovalResult(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        held = self._pipeline(request["pipelineName"])
        place = (request["stageName"], request["actionName"])
        if place not in held.approvals:
            raise Refused("ActionNotFoundException", "there is no such action")
        if held.approvals[place][1] != request["token"]:
            raise Refused("InvalidApprovalTokenException", "not this approval's token")
        if place in held.decided:
            raise Refused("ApprovalAlreadyCompletedException", "it has been answered")
        held.decided[place] = request["result"]
        return {"approvedAt": 1.8e9}

    def _ListActionExecutions(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        held = self._pipeline(request["pipelineName"])
        wanted = request.get("filter", {}).get("pipelineExecutionId")
        found = [each for each in held.actions if each["pipelineExecutionId"] == wanted]
        first = int(request.get("nextToken", "0"))
        page: dict[str, Any] = {"actionExecutionDetails": found[first : first + 1]}
        if first + 1 < len(found):
            page["nextToken"] = str(first + 1)
        return page

    def _GetPipelineExecution(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        held, execution = self._pipeline(request["pipelineName"]), request["pipelineExecutionId"]
        if execution not in held.revisions:
            raise Refused("PipelineExecutionNotFoundException", "there is no such execution")
        revisions = [{"name": "Source", "revisionId": each} for each in held.revisions[execution]]
        return {
            "pipelineExecution": {
                "pipelineName": request["pipelineName"],
                "pipelineExecutionId": execution,
                "artifactRevisions": revisions,
            }
        }

    def _pipeline(self, name: str) -> Pipeline:
        if name not in self.pipelines:
            raise Refused("PipelineNotFoundException", "there is no such pipeline")
        return self.pipelines[name]


def _artifact(name: str, key: str, revision: str | None) -> dict[str, Any]:
    place = {"type": "S3", "s3Location": {"bucketName": BUCKET, "objectKey": key}}
    return {"name": name, "revision": revision, "location": place}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, fake: FakeCodePipeline, behind: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.fake = fake
        self.behind = urlsplit(behind)


@contextmanager
def serve_codepipeline(behind: str) -> Iterator[FakeCodePipeline]:
    """`behind` is the address of the endpoint that everything else goes to."""
    fake = FakeCodePipeline()
    server = _Server(fake, behind)
    fake.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield fake
        assert not fake.problems
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        target = self.headers.get("X-Amz-Target", "")
        service, _, operation = target.partition(".")
        if service == MODEL.target_prefix:
            self._own(operation, json.loads(body or b"{}"))
        else:
            self._pass(body)

    def do_GET(self) -> None:
        self.do_POST()

    def do_PUT(self) -> None:
        self.do_POST()

    def do_HEAD(self) -> None:
        self.do_POST()

    def do_DELETE(self) -> None:
        self.do_POST()

    def _own(self, operation: str, request: dict[str, Any]) -> None:
        try:
            answer = self.server.fake.call(operation, request, signer=self._signer())
            self._send(200, json.dumps(answer).encode())
        except Refused as no:
            document = {"__type": no.code, "message": no.message}
            self._send(no.status, json.dumps(document).encode())

    def _pass(self, body: bytes) -> None:
        path = urlsplit(self.path).path
        if path.startswith(f"/{BUCKET}/"):
            if self._signer() not in {ARTIFACT_KEY, "test"}:
                text = "<Error><Code>AccessDenied</Code><Message>no</Message></Error>"
                self._send(403, text.encode(), "application/xml")
                return
            if self.command == "PUT":
                self.server.fake.uploads.append((path, dict(self.headers)))
        place = self.server.behind
        there = http.client.HTTPConnection(str(place.hostname), place.port, timeout=60)
        kept = {k: v for k, v in self.headers.items() if k.lower() not in _DROPPED}
        there.request(self.command, self.path, body, kept)
        answer = there.getresponse()
        data = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _DROPPED:
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else None
        self.send_header("Content-Length", length or str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        there.close()

    def _signer(self) -> str:
        found = _KEY.search(self.headers.get("Authorization", ""))
        return found[1] if found else ""

    def _send(self, status: int, body: bytes, kind: str = "application/x-amz-json-1.1") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_words: object) -> None:
        pass
