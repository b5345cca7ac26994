"""One execution for one identity: run again, run twice at once, killed anywhere."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.executing import COMMIT, adapter, condition_definition, make_bundle, make_run
from support.faults import Fault, Phase, Rule, faulty_proxy

from ci.execution.find import find_executions, next_again, superseded_executions
from ci.execution.follow import Surroundings, follow
from ci.execution.identity import Identity, parse_description
from ci.execution.start import ensure_execution
from ci.execution.upsert import UpsertKind, deploy, plan_upsert, same_definition
from ci.sagemaker.adapter import SageMaker
from ci.sagemaker.model import ExecutionStatus

pytestmark = pytest.mark.endpoint

QUICK = Surroundings(sleep=lambda seconds: time.sleep(min(seconds, 0.02)))


def test_a_rerun_attaches_and_touches_nothing(aws: SageMaker, tmp_path: Path) -> None:
    bundle = make_bundle(condition_definition(), tmp_path)
    run = make_run(bundle, name="rerun")
    first = ensure_execution(aws, bundle, run)
    second = ensure_execution(aws, bundle, run)
    assert (first.created, second.created) == (True, False)
    assert first.arn == second.arn
    assert len(aws.pipelines.versions("rerun")) == 1


def test_an_old_commit_run_again_does_not_put_its_definition_back(
    aws: SageMaker, tmp_path: Path
) -> None:
    old = make_bundle(condition_definition(), tmp_path)
    new = make_bundle(condition_definition(steps=2), tmp_path)
    first = ensure_execution(aws, old, make_run(old, name="order", commit="a" * 40))
    ensure_execution(aws, new, make_run(new, name="order", commit="b" * 40))
    again = ensure_execution(aws, old, make_run(old, name="order", commit="a" * 40))
    held = aws.pipelines.find("order")
    assert again.arn == first.arn
    assert held is not None
    assert held.definition == new.definition
    assert held.tags["sagemaker-gitops:commit"] == "b" * 40


def test_an_execution_is_pinned_to_its_own_definition(aws: SageMaker, tmp_path: Path) -> None:
    one = make_bundle(condition_definition(), tmp_path)
    two = make_bundle(condition_definition(steps=2), tmp_path)
    deployed = deploy(aws, one, make_run(one, name="pinned"))
    deploy(aws, two, make_run(two, name="pinned"))
    back = deploy(aws, one, make_run(one, name="pinned", commit="d" * 40))
    assert deployed.version_id == 1
    assert back.upsert.kind is UpsertKind.UPDATE
    assert back.version_id == 3
    arn = ensure_execution(aws, two, make_run(two, name="pinned")).arn
    assert aws.executions.definition(arn) == two.definition


def test_unchanged_is_not_updated_but_its_tags_are_repaired(aws: SageMaker, tmp_path: Path) -> None:
    bundle = make_bundle(condition_definition(), tmp_path)
    deploy(aws, bundle, make_run(bundle, name="same"))
    again = deploy(aws, bundle, make_run(bundle, name="same", commit="e" * 40))
    held = aws.pipelines.find("same")
    assert again.upsert.kind is UpsertKind.UNCHANGED
    assert held is not None
    assert held.version_id == again.version_id == 1
    assert held.tags["sagemaker-gitops:commit"] == "e" * 40
    assert plan_upsert(bundle, held, make_run(bundle, name="same", commit="e" * 40)).tags == {}


def test_numbers_that_python_takes_for_equal_are_another_definition(
    aws: SageMaker, tmp_path: Path
) -> None:
    whole = condition_definition().replace(b'"go"', b'"1"').replace(b'"Mode"', b'"Mode","Max":1')
    deploy(aws, bundle := make_bundle(whole, tmp_path), make_run(bundle, name="equal"))
    for other in (b'"Max":1.0', b'"Max":true'):
        moved = make_bundle(whole.replace(b'"Max":1', other), tmp_path)
        assert not same_definition(whole, moved.definition)
        assert deploy(aws, moved, make_run(moved, name="equal")).upsert.kind is UpsertKind.UPDATE
    assert same_definition(whole, json.dumps(json.loads(whole), indent=2).encode())


def test_a_label_that_could_not_be_written_is_written_by_the_next_run(
    address: str, tmp_path: Path
) -> None:
    bundle = make_bundle(condition_definition(), tmp_path)
    with faulty_proxy(address) as faults:
        faults.rules = [Rule(fault=Fault.DENIED, operation="UpdatePipelineVersion")]
        deploy(adapter(faults.address), bundle, make_run(bundle, name="label"))
    aws = adapter(address)
    assert [each.description for each in aws.pipelines.versions("label")] == [None]
    deploy(aws, bundle, make_run(bundle, name="label"))
    deploy(aws, bundle, make_run(bundle, name="label", commit="e" * 40))
    [version] = aws.pipelines.versions("label")
    record = parse_description(version.description)
    assert record is not None
    assert record.commit == COMMIT


def test_two_jobs_at_once_make_one_execution(address: str, tmp_path: Path) -> None:
    bundle = make_bundle(condition_definition(), tmp_path, {"code.py": b"print()"})

    def job(number: int) -> str:
        run = make_run(bundle, name="twice", run_url=f"https://ci.example/{number}")
        return ensure_execution(adapter(address), bundle, run).arn

    with ThreadPoolExecutor(4) as pool:
        arns = set(pool.map(job, range(4)))
    assert len(arns) == 1
    assert len(list(adapter(address).executions.summaries("twice"))) == 1


def test_a_deliberate_rerun_is_another_execution(aws: SageMaker, tmp_path: Path) -> None:
    bundle = make_bundle(condition_definition(), tmp_path)
    first = ensure_execution(aws, bundle, make_run(bundle, name="again"))
    identity = Identity(
        pipeline_name="again",
        environment="main",
        commit=COMMIT,
        digest=bundle.digest,
        parameters={},
    )
    assert next_again(aws.executions, identity) == 1
    second = ensure_execution(aws, bundle, make_run(bundle, name="again", again=1))
    assert second.arn != first.arn
    assert next_again(aws.executions, identity) == 2


def test_executions_are_found_by_commit_and_pull_request(aws: SageMaker, tmp_path: Path) -> None:
    bundle = make_bundle(condition_definition(), tmp_path)
    arn = ensure_execution(
        aws, bundle, make_run(bundle, name="found", commit="f" * 40, pull_request=7)
    ).arn
    ensure_execution(aws, bundle, make_run(bundle, name="found", commit="9" * 40, pull_request=8))
    by_commit = [item.arn for item, _ in find_executions(aws, "found", commit="fffffff")]
    by_number = [item.arn for item, _ in find_executions(aws, "found", pull_request=7)]
    assert by_commit == by_number == [arn]
    assert list(find_executions(aws, "nowhere", pull_request=7)) == []
    follow(aws.executions, [arn], emit=lambda _change: None, surroundings=QUICK)
    assert superseded_executions(aws.executions, "found", pull_request=7, commit="0" * 40) == []


def test_a_definition_over_the_inline_limit_goes_through_s3(aws: SageMaker, tmp_path: Path) -> None:
    bundle = make_bundle(condition_definition(filler=150_000), tmp_path)
    arn = ensure_execution(aws, bundle, make_run(bundle, name="large")).arn
    assert aws.executions.definition(arn) == bundle.definition


def test_an_answer_lost_after_the_start_took_effect(address: str, tmp_path: Path) -> None:
    bundle = make_bundle(condition_definition(), tmp_path, {"code.py": b"x = 1"})
    with faulty_proxy(address) as faults:
        faults.rules = [
            Rule(fault=Fault.RESET_AFTER, operation="CreatePipeline"),
            Rule(fault=Fault.GARBLED, operation="StartPipelineExecution"),
            Rule(fault=Fault.THROTTLE, operation="ListPipelineExecutions"),
            Rule(fault=Fault.UNAVAILABLE, operation="s3:PUT"),
        ]
        run = make_run(bundle, name="lost")
        ensure_execution(adapter(faults.address), bundle, run)
        struck = {operation for operation, _ in faults.injected}
    assert struck >= {"CreatePipeline", "StartPipelineExecution", "s3:PUT"}
    assert len(list(adapter(address).executions.summaries("lost"))) == 1


def test_execution_tags_that_are_refused_never_fail_a_start(address: str, tmp_path: Path) -> None:
    bundle = make_bundle(condition_definition(), tmp_path)
    with faulty_proxy(address) as faults:
        faults.rules = [Rule(fault=Fault.DENIED, operation="AddTags", times=99)]
        started = ensure_execution(
            adapter(faults.address), bundle, make_run(bundle, name="tagless")
        )
    assert started.created


_CHILD = """
import sys
from pathlib import Path
from support.executing import *
from ci.execution.start import ensure_execution
bundle = make_bundle(condition_definition(), Path(sys.argv[2]), {"code.py": b"kill me"})
run = make_run(bundle, name=sys.argv[3])
print(ensure_execution(adapter(sys.argv[1]), bundle, run).arn)
"""


def _child(address: str, folder: Path, name: str) -> subprocess.Popen[str]:
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    return subprocess.Popen(
        [sys.executable, "-c", _CHILD, address, str(folder), name],
        env=environ,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_killed_at_every_call_before_and_after_its_effect(address: str, tmp_path: Path) -> None:
    aws = adapter(address)
    points = 0
    for phase in Phase:
        number = 1
        while True:
            name = f"kill-{phase}-{number}"
            with faulty_proxy(address) as faults:
                child = _child(faults.address, tmp_path, name)

                def hook(
                    call: int,
                    _operation: str,
                    now: Phase,
                    at: tuple[int, Phase] = (number, phase),
                    victim: subprocess.Popen[str] = child,
                ) -> None:
                    if (call, now) == at:
                        victim.send_signal(signal.SIGKILL)
                        victim.wait()

                faults.hook = hook
                child.communicate(timeout=60)
                killed = child.returncode == -signal.SIGKILL
            bundle = make_bundle(condition_definition(), tmp_path, {"code.py": b"kill me"})
            again = ensure_execution(aws, bundle, make_run(bundle, name=name))
            arns = [item.arn for item in aws.executions.summaries(name)]
            held = aws.pipelines.find(name)
            assert arns == [again.arn], (phase, number)
            assert held is not None
            [version] = aws.pipelines.versions(name)
            assert parse_description(version.description) is not None, (phase, number)
            if not killed:
                assert child.returncode == 0
                break
            points += 1
            number += 1
    print(json.dumps({"kill points": points}))
    assert points >= 16


def test_the_end_of_an_execution_is_read_with_its_steps(aws: SageMaker, tmp_path: Path) -> None:
    bundle = make_bundle(condition_definition(steps=130), tmp_path)
    run = make_run(bundle, name="many-steps")
    arn = ensure_execution(aws, bundle, run).arn
    seen = follow(aws.executions, [arn], emit=lambda _change: None, surroundings=QUICK)[arn]
    assert seen.status is ExecutionStatus.SUCCEEDED
    assert len({step.name for step in seen.steps}) == len(seen.steps) == 130
