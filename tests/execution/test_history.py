"""What past executions teach is read in few calls, and missing it does no harm."""

import time
from pathlib import Path

import pytest
from support.executing import adapter, condition_definition, make_bundle, make_run
from support.faults import Fault, Rule, faulty_proxy

from ci.execution.find import fetch_history, learn_histories
from ci.execution.start import deploy, start
from ci.sagemaker.adapter import SageMaker

pytestmark = pytest.mark.endpoint


def run(aws: SageMaker, folder: Path, name: str, count: int, *, passes: bool = True) -> None:
    bundle = make_bundle(condition_definition(passes=passes, steps=2), folder)
    version = deploy(aws, bundle, make_run(bundle, name=name)).version_id
    arns = [
        start(
            aws.executions,
            make_run(bundle, name=name, commit=f"{number:040x}"),
            version_id=version,
        )
        for number in range(count)
    ]
    until = time.monotonic() + 60
    for arn in arns:
        while not aws.executions.snapshot(arn).status.terminal:
            assert time.monotonic() < until
            time.sleep(0.05)


def test_six_calls_teach_the_steps(address: str, aws: SageMaker, tmp_path: Path) -> None:
    run(aws, tmp_path, "learned", 8)
    with faulty_proxy(address) as faults:
        history = fetch_history(adapter(faults.address).executions, "learned")
        assert len(faults.calls) == 6
    assert history is not None
    assert {name for name, _ in history.certain} == {"", "check-0", "check-1"}


def test_what_failed_teaches_nothing(aws: SageMaker, tmp_path: Path) -> None:
    run(aws, tmp_path, "all-failed", 2, passes=False)
    assert fetch_history(aws.executions, "all-failed") is None
    assert fetch_history(aws.executions, "never-made") is None


@pytest.mark.parametrize("operation", ["ListPipelineExecutions", "ListPipelineExecutionSteps"])
def test_what_cannot_be_read_is_done_without(
    address: str, aws: SageMaker, tmp_path: Path, operation: str
) -> None:
    run(aws, tmp_path, "unread", 2)
    with faulty_proxy(address) as faults:
        faults.rules = [Rule(fault=Fault.DENIED, operation=operation, times=9)]
        assert fetch_history(adapter(faults.address).executions, "unread") is None
        assert len(faults.calls) <= 2


def test_many_pipelines_are_not_asked_for(address: str) -> None:
    with faulty_proxy(address) as faults:
        names = [f"p{number}" for number in range(100)]
        assert learn_histories(adapter(faults.address).executions, names) == {}
        assert faults.calls == []
