"""The report of what runs is brought up to date as it goes on, and not too often."""

import sys
import time
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.scratch import Scratch, quality_definition
from support.simulated import Simulated, execution_arn

from ci.delivery.deploy import Options, deploy
from ci.delivery.progress import Progress
from ci.delivery.stage import Stage
from ci.errors import ExitCode
from ci.execution.follow import Means, Surroundings, follow
from ci.execution.show import PlainShow
from ci.project.load import load_project
from ci.report.model import Report, State
from ci.sagemaker.model import ExecutionSnapshot
from ci.session.preparing import prepare_jobs
from ci.session.session import open_session
from ci.trigger.laptop import parse_checkout, read_checkout

ARN = execution_arn("pl", 1)


@given(st.lists(st.integers(1, 600), min_size=1, max_size=12))
def test_a_report_comes_for_what_moved_and_once_a_minute_at_most(seconds: list[int]) -> None:
    service = Simulated(plans={ARN: [float(each) for each in seconds]})
    progress = Progress(lambda: service.now)
    shown: list[tuple[float, int]] = []

    def seen(execution: ExecutionSnapshot) -> None:
        if progress.is_due(execution):
            progress.show(execution)
            ended = sum(step.status == "Succeeded" for step in execution.steps)
            shown.append((service.now, 2 * ended - len(execution.steps)))
            assert not progress.is_due(execution)

    surroundings = service.surroundings()
    follow(service, [ARN], emit=print, surroundings=surroundings, means=Means(seen=seen))
    assert len({state for _, state in shown}) == len(shown)
    moments = [at for at, _ in shown]
    assert all(later - at >= 60 for at, later in pairwise(moments))


@pytest.mark.endpoint
def test_what_runs_is_shown_as_it_goes_on(scratch: Scratch) -> None:
    """The comment of a run of hours would else name the step of its first minute. Here a minute
    takes a second."""
    document = quality_definition(1.5)
    [evaluate, *others] = document["Steps"]
    environment = evaluate["Arguments"]["Environment"]

    def waiting(seconds: float) -> dict[str, object]:
        first = f"import time; time.sleep({seconds})"
        return {**evaluate["Arguments"], "Environment": {**environment, "FIRST": first}}

    prepare = {"Name": "Prepare", "Type": "Processing", "Arguments": waiting(1.5)}
    evaluate = {**evaluate, "Arguments": waiting(1.5), "DependsOn": ["Prepare"]}
    scratch.define({**document, "Steps": [prepare, evaluate, *others]})
    scratch.commit("two steps")
    session = open_session(
        load_project(scratch.root / "sagemaker-gitops.yaml"),
        parse_checkout(read_checkout(scratch.root)),
        environ=scratch.environment(),
        environment="main",
        local=True,
    )
    published: list[tuple[float, Report]] = []
    stage = Stage(
        tell=print,
        show=PlainShow(sys.stdout, title="", groups=False),
        publish=lambda report: published.append((time.monotonic(), report)),
        now=lambda: datetime.now(UTC),
        surroundings=Surroundings(clock=lambda: 60 * time.monotonic(), interval=0.1),
    )
    ended = deploy(session, prepare_jobs(session, ["quality"], {}), Options(), stage)
    assert ended.code is ExitCode.OK, ended
    *running, (_, last) = published
    assert last.state is State.FINAL
    assert {report.state for _, report in running} == {State.RUNNING}
    assert any(_status(report, "Evaluate") == "Executing" for _, report in running)
    moments = [at for at, _ in running]
    assert all(later - at >= 0.99 for at, later in pairwise(moments))


def _status(report: Report, step: str) -> str | None:
    steps = report.execution.steps if report.execution else ()
    return next((each.status for each in steps if each.name == step), None)
