"""The function's log, its answers and its last words hold no secret, from the first line on."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from support.codepipeline import Job, Refused
from support.lambda_job import OURS, Stage, open_stage

from ci.door.codepipeline import Unanswered, answer_event
from ci.door.invocation import secrets_of

pytestmark = pytest.mark.endpoint
ACCOUNT = "000000000000"
HIDDEN = "hunter2-and-more"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with open_stage(tmp_path_factory.mktemp("lambda"), "report: {mask_accounts: true}\n") as opened:
        yield opened


@pytest.fixture(autouse=True)
def clean_log(stage: Stage) -> None:
    stage.said.clear()


def told(stage: Stage, job: Job) -> str:
    """All that anybody can read of one call: log, return value, answer."""
    world = stage.world(event=job.event)
    returned = answer_event(job.event, world)
    return "\n".join([*stage.said, str(returned), str(job.answer)])


def test_accounts_are_masked_in_the_log_and_the_answer_names_the_execution(stage: Stage) -> None:
    commit, key = stage.deliver(2.5)
    job = stage.service.start({**OURS, "commit": commit}, inputs={"Source": key})
    returned = answer_event(job.event, stage.world(event=job.event))
    assert job.answer is not None
    assert ACCOUNT in job.answer[1]["executionDetails"]["externalExecutionId"]
    log = "\n".join([*stage.said, str(returned)])
    assert "quality" in log
    assert ACCOUNT not in log


def test_secrets_of_the_environment_and_of_parameters(stage: Stage) -> None:
    commit, key = stage.deliver(2.4)
    watched = replace(stage, more={"MODEL_API_KEY": "key-of-the-function"})
    # Values that the program repeats: a setting that is refused, and a path that is not there.
    for given in (
        {"pipelines": ["key-of-the-function", HIDDEN]},
        {"project-file": f"key-of-the-function/{HIDDEN}"},
        {"deadline": {"key-of-the-function": HIDDEN * 5}},
    ):
        parameters = {"parameters": {"StoreToken": HIDDEN}}
        settings = {**OURS, "commit": commit, **parameters, **given}
        job = stage.service.start(settings, inputs={"Source": key})
        seen = told(watched, job)
        assert "[redacted]" in seen
        assert HIDDEN not in seen
        assert "key-of-the-function" not in seen


def test_a_parameter_that_the_pipeline_does_not_have(stage: Stage) -> None:
    commit, key = stage.deliver(2.3)
    settings = {**OURS, "commit": commit, "parameters": {"StoreToken": HIDDEN}}
    job = stage.service.start(settings, inputs={"Source": key})
    seen = told(stage, job)
    assert "StoreToken" in seen
    assert HIDDEN not in seen


def test_a_bug_is_told_once_and_hides_what_is_secret(stage: Stage) -> None:
    commit, key = stage.deliver(1.55)
    job = stage.service.start({**OURS, "commit": commit}, inputs={"Source": key})
    blocked = stage.folder / "artifact-session-token"
    blocked.write_text("in the way")
    world = replace(stage.world(event=job.event), scratch=blocked)
    stage.invoke(job, world)
    assert job.answer is not None
    operation, request = job.answer
    assert operation == "PutJobFailureResult"
    assert "a bug in this program" in request["failureDetails"]["message"]
    assert any("Traceback" in line for line in stage.said)
    assert "artifact-session-token" not in "\n".join([*stage.said, str(job.answer)])


def test_the_last_words_of_an_invocation_that_fails(stage: Stage) -> None:
    """Lambda itself writes into the log what a handler raises."""
    commit, key = stage.deliver(1.5)
    job = stage.service.start({**OURS, "commit": commit}, inputs={"Source": key})

    def away(_operation: str) -> None:
        raise Refused("AccessDeniedException", "artifact-session-token is not welcome", 403)

    stage.service.fault = away
    try:
        with pytest.raises(Unanswered) as raised:
            answer_event(job.event, stage.world(event=job.event))
    finally:
        stage.service.fault = lambda _operation: None
    assert "[redacted] is not welcome" in str(raised.value)
    assert raised.value.__suppress_context__
    with pytest.raises(Unanswered, match="none that this function knows"):
        answer_event({"detail-type": "?"}, stage.world())


def test_an_event_that_is_broken_elsewhere_still_tells_what_to_hide() -> None:
    configuration = {"UserParameters": '{"parameters": {"ApiToken": "t0p-secret", "Rate": 3}}'}
    data: dict[str, Any] = {
        "artifactCredentials": {"secretAccessKey": "artifact-secret-key", "sessionToken": None},
        "actionConfiguration": {"configuration": configuration},
        "inputArtifacts": "broken",
    }
    assert secrets_of({"CodePipeline.job": {"data": data}}) == ("artifact-secret-key", "t0p-secret")
    nothing: tuple[Any, ...] = (
        {},
        None,
        {"CodePipeline.job": 1},
        {"CodePipeline.job": {"data": {}}},
    )
    for broken in nothing:
        assert secrets_of(broken) == ()
    data["actionConfiguration"] = {"configuration": {"UserParameters": "{"}}
    assert secrets_of({"CodePipeline.job": {"data": data}}) == ("artifact-secret-key",)
