"""What running steps log: every line once, across pages and streams, in bounded calls."""

import contextlib
import io
import json
import time
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from support.executing import ROLE, adapter
from support.faults import Fault, Rule, faulty_proxy

from ci.errors import AwsError
from ci.sagemaker.adapter import SageMaker
from ci.sagemaker.logs import LogCursor, Logs
from ci.sagemaker.model import StepSnapshot

pytestmark = pytest.mark.endpoint

GROUP = "/aws/sagemaker/TrainingJobs"


def training(name: str) -> StepSnapshot:
    job = f"arn:aws:sagemaker:us-east-1:000000000000:training-job/{name}"
    return StepSnapshot(name="train", status="Executing", job=job)


def write(aws: SageMaker, stream: str, lines: Sequence[str]) -> None:
    client = aws.clients.client("logs")
    with contextlib.suppress(client.exceptions.ResourceAlreadyExistsException):
        client.create_log_group(logGroupName=GROUP)
    with contextlib.suppress(client.exceptions.ResourceAlreadyExistsException):
        client.create_log_stream(logGroupName=GROUP, logStreamName=stream)
    now = int(time.time() * 1000)
    events = [{"timestamp": now, "message": line} for line in lines]
    client.put_log_events(logGroupName=GROUP, logStreamName=stream, logEvents=events)


def test_every_line_once_however_many_come_at_once(aws: SageMaker) -> None:
    logs, step = Logs(aws.clients.once), training("steady")
    cursor, lines = logs.advance(step, LogCursor())
    assert lines == ()
    write(aws, "steady/algo-1", [f"line {number}" for number in range(150)])
    cursor, lines = logs.advance(step, cursor)
    assert lines == tuple(f"line {number}" for number in range(50, 150))
    cursor, lines = logs.advance(step, cursor)
    assert lines == ()
    found: list[str] = []
    for begin in (150, 450, 451):
        write(aws, "steady/algo-1", [f"line {number}" for number in range(begin, begin + 300)])
        cursor, lines = logs.advance(step, cursor)
        found += lines
    expected = [*range(150, 450), *range(450, 750), *range(451, 751)]
    assert found == [f"line {number}" for number in expected]


def test_hosts_that_join_later_are_told_apart(aws: SageMaker) -> None:
    logs, step = Logs(aws.clients.once), training("hosts")
    write(aws, "hosts/algo-1", ["one"])
    cursor, lines = logs.advance(step, LogCursor())
    assert lines == ("one",)
    write(aws, "hosts/algo-2", ["two", "three\nfour"])
    found: list[str] = []
    for _ in range(7):
        cursor, lines = logs.advance(step, cursor)
        found += lines
    assert found == ["[algo-2] two", "[algo-2] three", "[algo-2] four"]


def test_calls_are_bounded(address: str, aws: SageMaker) -> None:
    write(aws, "bounded/algo-1", ["x"])
    with faulty_proxy(address) as faults:
        logs, step = Logs(adapter(faults.address).clients.once), training("bounded")
        cursor = LogCursor()
        for _ in range(12):
            cursor, _ = logs.advance(step, cursor)
        assert faults.count("DescribeLogStreams") == 2
        assert faults.count("GetLogEvents") <= 24


def test_a_fault_is_raised_and_loses_no_line(address: str, aws: SageMaker) -> None:
    write(aws, "faults/algo-1", ["first"])
    with faulty_proxy(address) as faults:
        logs, step = Logs(adapter(faults.address).clients.once), training("faults")
        cursor, lines = logs.advance(step, LogCursor())
        write(aws, "faults/algo-1", ["second"])
        faults.rules = [Rule(fault=Fault.THROTTLE, operation="GetLogEvents")]
        with pytest.raises(AwsError):
            logs.advance(step, cursor)
        cursor, more = logs.advance(step, cursor)
    assert (lines, more) == (("first",), ("second",))


def test_a_function_s_log_is_that_of_this_call(aws: SageMaker) -> None:
    """A function's streams serve every execution; only what it wrote since counts."""
    client = aws.clients.client("lambda")
    source = "def handler(event, context):\n    print('told:', event['word'])\n    return 1\n"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("main.py", source)
    made = client.create_function(
        FunctionName="talks",
        Runtime="python3.11",
        Role=ROLE,
        Handler="main.handler",
        Code={"ZipFile": buffer.getvalue()},
    )

    def call(word: str) -> None:
        payload = json.dumps({"word": word}).encode()
        answer = client.invoke(FunctionName="talks", Payload=payload)
        assert "FunctionError" not in answer

    call("earlier")
    time.sleep(2.5)
    begun = datetime.now(UTC)
    call("now")
    step = StepSnapshot(name="deploy", status="Executing", job=made["FunctionArn"], started=begun)
    told = [line for line in aws.logs.tail(step) if "told:" in line]
    assert [line.rpartition("told: ")[2] for line in told] == ["now"]
    logs = Logs(aws.clients.once)
    cursor, lines = logs.advance(step, LogCursor())
    assert [line.rpartition("told: ")[2] for line in lines if "told:" in line] == ["now"]
    call("again")
    cursor, lines = logs.advance(step, cursor)
    assert [line.rpartition("told: ")[2] for line in lines if "told:" in line] == ["again"]
