"""`Succeeded` is where the questions begin; the sentence says what was read back and no more."""

from dataclasses import replace

import pytest
from support.samples import execution, metric, package, step, steps

from ci.errors import ExitCode
from ci.metrics.facts import EndpointFact, Facts
from ci.metrics.gates import evaluate_gates
from ci.metrics.model import Gate, Outcome, Verdict
from ci.metrics.verdict import decide_verdict, exit_code
from ci.sagemaker.model import ApprovalStatus, ExecutionStatus

GATES = (Gate(metric="rmse", maximum=3.0, improve_by=0), Gate(metric="mae", maximum=2.0))
METRICS = (metric(), metric(1.5, 1.5, name="mae"))
SERVING = EndpointFact(name="abalone", status="InService", package=package().arn)
GOOD = Facts(
    execution=execution(),
    metrics=METRICS,
    gates=evaluate_gates(GATES, METRICS, package(12)),
    expected_group="abalone",
    package=package(),
    champion=package(12),
    endpoint=SERVING,
)


def decide(**changes: object) -> Verdict:
    return decide_verdict(replace(GOOD, **changes))  # type: ignore[arg-type]


def test_the_good_end() -> None:
    assert decide() == Verdict(
        outcome=Outcome.SUCCEEDED,
        sentence=(
            "rmse 2.05, 4.1 % better than production v12; all gates passed;"
            " v13 approved and deployed"
        ),
        metrics=GOOD.metrics,
        gates=GOOD.gates,
    )


def test_no_model_was_approved_before() -> None:
    first = (metric(2.05, None),)
    verdict = decide(champion=None, metrics=first, gates=evaluate_gates(GATES[:1], first, None))
    assert verdict.sentence == (
        "rmse 2.05, no earlier approved model to compare with; gate passed;"
        " v13 approved and deployed"
    )


def test_the_package_itself_is_not_its_own_champion() -> None:
    first = (metric(2.05, None),)
    verdict = decide(champion=package(), metrics=first, gates=())
    assert verdict.sentence == (
        "rmse 2.05, no earlier approved model to compare with; v13 approved and deployed"
    )


@pytest.mark.parametrize(
    ("approval", "reason", "outcome", "words"),
    [
        (ApprovalStatus.PENDING, None, Outcome.APPROVAL_PENDING, "v13 is awaiting approval"),
        (ApprovalStatus.REJECTED, "drift.", Outcome.REJECTED, "v13 was rejected: drift"),
    ],
)
def test_approval(
    approval: ApprovalStatus, reason: str | None, outcome: Outcome, words: str
) -> None:
    verdict = decide(package=package(approval=approval, approval_description=reason))
    assert verdict.outcome is outcome
    assert verdict.sentence.endswith(f"all gates passed; {words}")
    assert exit_code(verdict, require_approval=True) is ExitCode.APPROVAL
    assert exit_code(verdict, require_approval=False) is ExitCode.OK


@pytest.mark.parametrize(
    ("endpoint", "words"),
    [
        (
            EndpointFact(name="abalone", status="missing"),
            "v13 approved but not deployed: there is no endpoint abalone",
        ),
        (
            replace(SERVING, package=package(12).arn),
            "v13 approved but not deployed: the endpoint abalone serves abalone v12",
        ),
        (
            replace(SERVING, package=None),
            "the endpoint abalone serves a model that is not from the registry",
        ),
        (
            replace(SERVING, status="Failed", failure_reason="no capacity"),
            "the endpoint abalone is Failed (no capacity)",
        ),
    ],
)
def test_deployed_is_read_back(endpoint: EndpointFact, words: str) -> None:
    verdict = decide(endpoint=endpoint)
    assert verdict.outcome is Outcome.UNVERIFIED
    assert verdict.sentence.endswith(words)
    assert exit_code(verdict, require_approval=False) is ExitCode.FAILED


def test_approved_where_nothing_deploys() -> None:
    assert decide(endpoint=None).sentence.endswith("; v13 approved")


def test_else_branch_that_registers_nothing() -> None:
    steps_ = (*steps()[:3], step("CheckQuality", kind="Condition", outcome="False"))
    verdict = decide(package=None, endpoint=None, execution=execution(found=steps_))
    assert verdict.outcome is Outcome.NOT_REGISTERED
    assert verdict.sentence.endswith(
        "nothing was registered in abalone: CheckQuality took the else branch; nothing was deployed"
    )
    assert exit_code(verdict, require_approval=False) is ExitCode.FAILED


@pytest.mark.parametrize("status", [ExecutionStatus.SUCCEEDED, ExecutionStatus.FAILED])
def test_a_package_that_was_deleted_since_is_told(status: ExecutionStatus) -> None:
    ended = replace(GOOD.execution, status=status)
    verdict = decide(package=None, endpoint=None, execution=ended, deleted=package().arn)
    assert verdict.sentence.endswith("abalone v13 was registered, and has been deleted since")
    assert "nothing was registered" not in verdict.sentence
    assert exit_code(verdict, require_approval=False) is ExitCode.FAILED


def test_registering_nothing_is_fine_where_nothing_was_wanted() -> None:
    verdict = decide(package=None, endpoint=None, expected_group=None)
    assert verdict.outcome is Outcome.SUCCEEDED
    assert verdict.sentence == "rmse 2.05, 4.1 % better than production v12; all gates passed"


def fail_step(**changes: object) -> tuple[object, ...]:
    fail = step("NotGoodEnough", kind="Fail", status="Failed", **changes)
    return (*steps()[:3], step("CheckQuality", kind="Condition", outcome="False"), fail)


@pytest.mark.parametrize(
    "message",
    [
        {"failure_reason": "RMSE 2.31 above 2.2."},
        {"properties": {"Fail": {"ErrorMessage": "RMSE 2.31 above 2.2."}}},
        {"properties": {"ErrorMessage": "RMSE 2.31 above 2.2."}},
    ],
)
def test_a_fail_step_behind_a_condition_is_a_gate(message: dict[str, object]) -> None:
    verdict = decide(
        execution=execution(ExecutionStatus.FAILED, fail_step(**message)),  # type: ignore[arg-type]
        metrics=(metric(2.31, 2.16),),
        gates=(),
        package=None,
        endpoint=None,
    )
    assert verdict.outcome is Outcome.GATE_FAILED
    assert verdict.sentence == (
        "rmse 2.31, 6.9 % worse than production v12; the pipeline's condition CheckQuality"
        " refused it: RMSE 2.31 above 2.2; nothing was registered, nothing was deployed"
    )


def test_of_a_traceback_the_sentence_tells_what_was_raised() -> None:
    reason = (
        'AlgorithmError: Traceback (most recent call last):\n  File "utils.py", line 193, in run\n'
        "    raise error\nValueError: no such column: rings, exit code: 1"
    )
    failed = step("Train", status="Failed", failure_reason=reason)
    verdict = decide(execution=execution(ExecutionStatus.FAILED, (failed,)), package=None)
    told = "Step Train failed: AlgorithmError: ValueError: no such column: rings, exit code: 1;"
    assert verdict.sentence.startswith(told)


def test_a_fail_step_without_a_condition_is_a_failure() -> None:
    fail = step("Stop", kind="Fail", status="Failed", failure_reason="no data")
    verdict = decide(execution=execution(ExecutionStatus.FAILED, (fail,)), package=None)
    assert verdict.outcome is Outcome.FAILED
    assert verdict.sentence.startswith("Step Stop failed: no data; nothing was registered")


def test_a_failed_gate_after_registering_says_so() -> None:
    worse = (metric(2.5, 2.138),)
    verdict = decide(metrics=worse, gates=evaluate_gates(GATES[:1], worse, package(12)))
    assert verdict.outcome is Outcome.GATE_FAILED
    assert verdict.sentence.endswith(
        "v13 was registered all the same (Approved) and the endpoint abalone serves it"
    )


def test_an_advisory_gate_never_fails() -> None:
    worse = (metric(2.5, 2.138),)
    gate = replace(GATES[0], required=False)
    verdict = decide(metrics=worse, gates=evaluate_gates([gate], worse, package(12)))
    assert verdict.outcome is Outcome.SUCCEEDED
    assert "advisory gate on rmse not met" in verdict.sentence
    assert "all gates passed" not in verdict.sentence


def test_a_package_without_metrics() -> None:
    lost = (metric(None, None, problem="evaluation.json is empty"),)
    verdict = decide(metrics=lost, gates=evaluate_gates(GATES[:1], lost, package(12)))
    assert verdict.outcome is Outcome.UNVERIFIED
    assert "rmse is not known (evaluation.json is empty)" in verdict.sentence
    assert verdict.problems == ("rmse: evaluation.json is empty",)
    ungated = decide(metrics=lost, gates=())
    assert ungated.outcome is Outcome.UNVERIFIED
    assert ungated.sentence.endswith("v13 was registered without metrics")


def test_wrong_packages() -> None:
    other = decide(package=package(group="other"))
    assert other.outcome is Outcome.UNVERIFIED
    assert "registered in other, where abalone was expected" in other.sentence
    pending = decide(package=package(status="InProgress"))
    assert pending.outcome is Outcome.UNVERIFIED
    assert "model package v13 is InProgress, not Completed" in pending.sentence


def test_everything_from_the_cache_is_told() -> None:
    cached = tuple(
        replace(s, cache_hit="arn:x") if s.kind in {"Processing", "Training"} else s
        for s in steps()
    )
    verdict = decide(execution=execution(found=cached))
    assert verdict.outcome is Outcome.SUCCEEDED
    assert verdict.sentence.endswith("every step came from the cache, nothing was trained anew")


def test_failures_and_stops() -> None:
    broken = (
        *steps()[:1],
        step("Train", kind="Training", status="Failed", failure_reason="AlgorithmError: exit 1"),
    )
    failed = decide(execution=execution(ExecutionStatus.FAILED, broken), package=None)
    assert failed.outcome is Outcome.FAILED
    assert failed.sentence == (
        "Step Train failed: AlgorithmError: exit 1; nothing was registered, nothing was deployed"
    )
    silent = decide(execution=execution(ExecutionStatus.FAILED, ()), package=None)
    assert silent.sentence.startswith("Failed; the service gives no reason")
    half = decide(execution=execution(ExecutionStatus.COMPLETED_WITH_FAILURES, broken))
    assert half.outcome is Outcome.FAILED
    assert half.sentence.startswith("Completed with failures in Train: AlgorithmError: exit 1;")
    stopped = decide(
        execution=execution(ExecutionStatus.STOPPED, (step("Train", status="Stopped"),)),
        package=None,
    )
    assert stopped.outcome is Outcome.STOPPED
    assert stopped.sentence.startswith("Stopped in Train; nothing was registered")
    for verdict in (failed, silent, half, stopped):
        assert exit_code(verdict, require_approval=False) is ExitCode.FAILED


def test_running_and_unknown() -> None:
    now = (*steps()[:1], step("Train", status="Executing", ended=None))
    running = decide(execution=execution(ExecutionStatus.EXECUTING, now))
    assert running.sentence == "Running, 1 step ended, now in Train"
    assert exit_code(running, require_approval=True) is ExitCode.RUNNING
    odd = decide(execution=execution(ExecutionStatus.UNKNOWN, now, raw_status="Paused"))
    assert odd.outcome is Outcome.RUNNING
    assert odd.sentence.startswith("In status Paused, which this version does not know")


def test_a_success_with_a_failed_step_is_told() -> None:
    odd = (*steps(), step("Extra", status="Failed"))
    verdict = decide(execution=execution(found=odd))
    assert "the execution succeeded although step Extra failed" in verdict.problems
