"""The front over HTTP, with unmodified clients."""

import http.client
import io
import json
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError
from support.dispatched import ROLE, definition
from support.endpoint import client, endpoint_environ, running_endpoint

from ci.local.lifecycle import Endpoint

pytestmark = pytest.mark.endpoint
AWS_CLI = Path(sys.executable).with_name("aws")


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    with running_endpoint(tmp_path_factory.mktemp("endpoint")) as running:
        yield running


@pytest.fixture
def sagemaker(endpoint: Endpoint) -> Iterator[Any]:
    made = client(endpoint, "sagemaker")
    yield made
    made.close()


@pytest.fixture
def s3(endpoint: Endpoint) -> Iterator[Any]:
    made = client(endpoint, "s3")
    made.create_bucket(Bucket="objects")
    yield made
    made.close()


def raw(
    endpoint: Endpoint,
    method: str,
    path: str,
    body: Any = None,
    headers: dict[str, str] | None = None,
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(
        "127.0.0.1", urlsplit(endpoint.address).port, timeout=30
    )
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def ask(endpoint: Endpoint, operation: str, body: bytes) -> tuple[int, dict[str, Any]]:
    headers = {
        "X-Amz-Target": f"SageMaker.{operation}",
        "Content-Type": "application/x-amz-json-1.1",
    }
    status, _, content = raw(endpoint, "POST", "/", body, headers)
    return status, json.loads(content)


def test_boto3_meets_typed_errors(sagemaker: Any) -> None:
    with pytest.raises(sagemaker.exceptions.ResourceNotFound) as caught:
        sagemaker.describe_pipeline(PipelineName="nope")
    assert caught.value.response["Error"]["Code"] == "ResourceNotFound"
    assert "pipeline/nope' does not exist" in caught.value.response["Error"]["Message"]


def test_boto3_pages_through_pipelines(sagemaker: Any) -> None:
    for number in range(13):
        sagemaker.create_pipeline(
            PipelineName=f"paged-{number}", PipelineDefinition=definition(), RoleArn=ROLE
        )
    pages = list(sagemaker.get_paginator("list_pipelines").paginate(PipelineNamePrefix="paged"))
    names = [item["PipelineName"] for page in pages for item in page["PipelineSummaries"]]
    assert sorted(names) == sorted(f"paged-{number}" for number in range(13))
    assert [len(page["PipelineSummaries"]) for page in pages] == [10, 3]


def test_a_definition_may_come_from_s3(sagemaker: Any, s3: Any) -> None:
    text = definition(Metadata={"note": "größe"})
    s3.put_object(Bucket="objects", Key="defs/a b+c.json", Body=text.encode())
    location = {"Bucket": "objects", "ObjectKey": "defs/a b+c.json"}
    sagemaker.create_pipeline(
        PipelineName="from-s3", PipelineDefinitionS3Location=location, RoleArn=ROLE
    )
    assert sagemaker.describe_pipeline(PipelineName="from-s3")["PipelineDefinition"] == text
    with pytest.raises(ClientError, match=r"s3://objects/none.*404"):
        sagemaker.create_pipeline(
            PipelineName="from-none",
            PipelineDefinitionS3Location=location | {"ObjectKey": "none"},
            RoleArn=ROLE,
        )


def test_the_aws_cli_works_unchanged(endpoint: Endpoint, sagemaker: Any, tmp_path: Path) -> None:
    sagemaker.create_pipeline(PipelineName="by-cli", PipelineDefinition=definition(), RoleArn=ROLE)

    def cli(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(AWS_CLI), *arguments],
            env=endpoint_environ(endpoint),
            capture_output=True,
            text=True,
            check=False,
        )

    name = ("--pipeline-name", "by-cli")
    found = cli("sagemaker", "describe-pipeline", *name)
    assert json.loads(found.stdout)["PipelineName"] == "by-cli"
    missing = cli("sagemaker", "describe-pipeline", "--pipeline-name", "none")
    assert missing.returncode != 0
    assert "ResourceNotFound" in missing.stderr
    assert "000000000000" in cli("sts", "get-caller-identity").stdout

    started = cli("sagemaker", "start-pipeline-execution", *name, "--output", "text")
    arn = ("--pipeline-execution-arn", started.stdout.strip())
    tagged = cli("sagemaker", "add-tags", "--resource-arn", arn[1], "--tags", "Key=k,Value=v w")
    assert json.loads(tagged.stdout) == {"Tags": [{"Key": "k", "Value": "v w"}]}
    query = ("--query", "PipelineExecutionSummaries[].PipelineExecutionArn", "--output", "text")
    assert cli("sagemaker", "list-pipeline-executions", *name, *query).stdout.strip() == arn[1]
    listed = json.loads(cli("sagemaker", "list-pipeline-execution-steps", *arn).stdout)
    assert isinstance(listed["PipelineExecutionSteps"], list)
    unknown = ("--pipeline-parameters", "Name=Nope,Value=1")
    refused = cli("sagemaker", "start-pipeline-execution", *name, *unknown)
    assert "ValidationException" in refused.stderr
    (tmp_path / "here.txt").write_text("from the CLI")
    assert cli("s3", "mb", "s3://by-cli").returncode == 0
    assert cli("s3", "cp", f"{tmp_path}/here.txt", "s3://by-cli/a/there.txt").returncode == 0
    assert cli("s3", "cp", "s3://by-cli/a/there.txt", "-").stdout == "from the CLI"
    assert cli("sagemaker", "delete-pipeline", *name).returncode == 0


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "not JSON"),
        (b"[]", "Start of structure expected"),
        (b"\xff\xfe", "not JSON"),
        (b'{"MaxResults": NaN}', "NaN"),
        (b'{"NextToken": "\\ud800"}', "half a character"),
        (b"[" * 100_000, "not JSON"),
        (b'{"MaxResults": ' + b"9" * 10_000 + b"}", "not JSON"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(endpoint: Endpoint, body: bytes, said: str) -> None:
    status, answer = ask(endpoint, "ListPipelines", body)
    assert (status, answer["__type"]) == (400, "SerializationException")
    assert said in answer["message"]


def test_operations_that_are_not_there_are_told_apart(endpoint: Endpoint) -> None:
    assert ask(endpoint, "MakeTea", b"{}")[1]["__type"] == "UnknownOperationException"
    status, answer = ask(endpoint, "ListApps", b"{}")
    assert (status, answer["__type"]) == (400, "UnsupportedOperationException")
    assert "ListApps" in answer["message"]


def test_a_large_object_passes_both_ways_without_being_held(endpoint: Endpoint, s3: Any) -> None:
    content = bytes(range(256)) * (48 * 1024 * 4)
    before = _peak(endpoint.pid)
    s3.put_object(Bucket="objects", Key="large", Body=content)
    assert s3.get_object(Bucket="objects", Key="large")["Body"].read() == content
    assert s3.head_object(Bucket="objects", Key="large")["ContentLength"] == len(content)
    assert _peak(endpoint.pid) - before < 24 * 1024


def _peak(pid: int) -> int:
    """The most memory a process has held, in KiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1])
    raise AssertionError(pid)


@pytest.mark.parametrize(
    "key",
    [
        "a b+c%2Fd",
        "größe/東京",
        "a//b",
        "q?x=1&y#z",
        "endpoints/e/invocations",
        "~*'()!",
        "a" * 900,
    ],
)
def test_a_key_of_any_letters_comes_back_as_it_was(s3: Any, key: str) -> None:
    s3.put_object(Bucket="objects", Key=key, Body=b"here")
    assert s3.get_object(Bucket="objects", Key=key)["Body"].read() == b"here"
    listed = s3.list_objects_v2(Bucket="objects", Prefix=key)["Contents"]
    assert [item["Key"] for item in listed] == [key]


def test_a_bucket_named_endpoints_is_s3s(endpoint: Endpoint) -> None:
    s3 = client(endpoint, "s3")
    s3.create_bucket(Bucket="endpoints")
    s3.put_object(Bucket="endpoints", Key="x/invocations", Body=b"an object")
    assert s3.get_object(Bucket="endpoints", Key="x/invocations")["Body"].read() == b"an object"
    s3.close()


def test_an_upload_in_chunks_arrives_whole(endpoint: Endpoint, s3: Any) -> None:
    pieces = [b"one", b"two" * 100_000, b"three"]
    status, _, _ = raw(endpoint, "PUT", "/objects/chunked", iter(pieces))
    assert status == 200
    assert s3.get_object(Bucket="objects", Key="chunked")["Body"].read() == b"".join(pieces)


def test_a_client_that_goes_away_in_an_upload_leaves_no_object(endpoint: Endpoint, s3: Any) -> None:
    port = urlsplit(endpoint.address).port
    with socket.create_connection(("127.0.0.1", port or 0)) as connection:
        head = "PUT /objects/cut HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"
        connection.sendall(head.encode() + b"x" * 1000)
    time.sleep(0.5)
    listed = s3.list_objects_v2(Bucket="objects", Prefix="cut")
    assert listed["KeyCount"] == 0
    s3.put_object(Bucket="objects", Key="after", Body=b"still works")


@pytest.mark.parametrize("key", [None, "arn:aws:kms:us-east-1:000000000000:key/own"])
def test_sse_kms_without_a_key_takes_the_accounts_own(s3: Any, key: str | None) -> None:
    named = {} if key is None else {"SSEKMSKeyId": key}
    s3.put_object(Bucket="objects", Key="kms", Body=b"x", ServerSideEncryption="aws:kms", **named)
    head = s3.head_object(Bucket="objects", Key="kms")
    assert head["ServerSideEncryption"] == "aws:kms"
    assert head["SSEKMSKeyId"] == key or head["SSEKMSKeyId"].endswith(":alias/aws/s3")


def test_the_local_role_may_do_what_sdk_v3_asks_of_a_role(endpoint: Endpoint) -> None:
    iam = client(endpoint, "iam")
    trust = iam.get_role(RoleName="sagemaker-gitops-local")["Role"]["AssumeRolePolicyDocument"]
    assert "sagemaker.amazonaws.com" in json.dumps(trust)
    asked = iam.simulate_principal_policy(
        PolicySourceArn=ROLE, ActionNames=["ecr:GetAuthorizationToken", "sagemaker:CreatePipeline"]
    )
    assert {r["EvalDecision"] for r in asked["EvaluationResults"]} == {"allowed"}
    iam.close()


def test_expect_100_continue_is_answered_before_the_body(endpoint: Endpoint) -> None:
    port = urlsplit(endpoint.address).port
    with socket.create_connection(("127.0.0.1", port or 0), timeout=5) as connection:
        head = (
            "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: SageMaker.ListPipelines\r\n"
            "Content-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
        )
        connection.sendall(head.encode())
        assert connection.recv(1024).startswith(b"HTTP/1.1 100 Continue")
        connection.sendall(b"{}")
        assert b"PipelineSummaries" in b"".join(iter(lambda: connection.recv(4096), b""))


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://example.com"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "rebound.example.com"},
        {"Host": "localhost.example.com:80"},
    ],
)
def test_a_web_page_cannot_use_the_endpoint(endpoint: Endpoint, headers: dict[str, str]) -> None:
    target = {"X-Amz-Target": "SageMaker.ListPipelines"}
    assert raw(endpoint, "POST", "/", b"{}", target)[0] == 200
    assert raw(endpoint, "POST", "/", b"{}", target | headers)[0] == 403
    assert raw(endpoint, "GET", "/objects/large", None, headers)[0] == 403


def test_only_loopback_is_served(endpoint: Endpoint) -> None:
    port = urlsplit(endpoint.address).port or 0
    listening = {
        line.split()[1]
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        for line in Path(table).read_text().splitlines()[1:]
        if line.split()[3] == "0A" and line.split()[1].endswith(f":{port:04X}")
    }
    assert listening == {f"0100007F:{port:04X}"}


def test_a_sagemaker_call_costs_little(sagemaker: Any) -> None:
    """The best of many: on a busy machine the median tells of its other work."""
    times = []
    for _ in range(60):
        before = time.perf_counter()
        sagemaker.list_pipelines(PipelineNamePrefix="none")
        times.append(time.perf_counter() - before)
    assert min(times) < 0.005


def test_the_other_services_answer_behind_the_same_address(endpoint: Endpoint) -> None:
    with_clients = {
        name: client(endpoint, name)
        for name in ("sts", "events", "sns", "logs", "ssm", "secretsmanager")
    }
    assert with_clients["sts"].get_caller_identity()["Account"] == "000000000000"
    with_clients["events"].put_rule(Name="nightly", ScheduleExpression="rate(1 day)")
    assert with_clients["events"].list_rules()["Rules"][0]["Name"] == "nightly"
    assert with_clients["sns"].create_topic(Name="alerts")["TopicArn"].endswith(":alerts")
    with_clients["logs"].create_log_group(logGroupName="/aws/sagemaker/ProcessingJobs")
    with_clients["ssm"].put_parameter(Name="p", Value="v", Type="String")
    assert with_clients["ssm"].get_parameter(Name="p")["Parameter"]["Value"] == "v"
    with_clients["secretsmanager"].create_secret(Name="s", SecretString="hidden")
    for made in with_clients.values():
        made.close()


def test_a_lambda_function_reaches_sagemaker_here(endpoint: Endpoint, sagemaker: Any) -> None:
    sagemaker.create_pipeline(
        PipelineName="seen-by-lambda", PipelineDefinition=definition(), RoleArn=ROLE
    )
    code = (
        "import boto3\n"
        "def handler(event, context):\n"
        "    found = boto3.client('sagemaker').list_pipelines(PipelineNamePrefix=event['prefix'])\n"
        "    return [item['PipelineName'] for item in found['PipelineSummaries']]\n"
    )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("index.py", code)
    functions = client(endpoint, "lambda")
    functions.create_function(
        FunctionName="looks",
        Runtime="python3.11",
        Role=ROLE,
        Handler="index.handler",
        Code={"ZipFile": packed.getvalue()},
        Timeout=30,
    )
    answer = functions.invoke(FunctionName="looks", Payload=b'{"prefix": "seen-by"}')
    assert json.loads(answer["Payload"].read()) == ["seen-by-lambda"]
    functions.close()


def test_other_runtimes_of_sagemaker_are_refused_by_name(endpoint: Endpoint) -> None:
    runtime = client(endpoint, "sagemaker-runtime")
    with pytest.raises(ClientError, match="async-invocations") as caught:
        runtime.invoke_endpoint_async(EndpointName="e", InputLocation="s3://bucket/key")
    assert caught.value.response["Error"]["Code"] == "UnsupportedOperationException"
    runtime.close()


def test_an_endpoint_that_is_not_there_cannot_be_invoked(endpoint: Endpoint) -> None:
    runtime = client(endpoint, "sagemaker-runtime")
    with pytest.raises(ClientError, match="nowhere"):
        runtime.invoke_endpoint(EndpointName="nowhere", Body=b"1,2", ContentType="text/csv")
    runtime.close()
