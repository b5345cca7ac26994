"""A job of CodePipeline, call by call: to its verdict, through faults, and twice."""

import io
import json
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace

import pytest
from support.codepipeline import BUCKET, OWN_KEY, Job, Refused
from support.endpoint import client
from support.github import REPOSITORY, serve_github
from support.lambda_job import OURS, Stage, open_stage
from support.scratch import quality_definition

from ci.door.codepipeline import _Work
from ci.errors import AwsError
from ci.sagemaker.codepipeline import Failure, FailureType, Success
from ci.text.redact import Redactor

DOWN = "http://127.0.0.1:9"
pytestmark = pytest.mark.endpoint


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with open_stage(tmp_path_factory.mktemp("lambda")) as opened:
        yield opened


def executions(stage: Stage) -> list[str]:
    sagemaker = client(stage.service.address, "sagemaker")
    try:
        listed = sagemaker.list_pipeline_executions(PipelineName="quality")
    except sagemaker.exceptions.ResourceNotFound:
        return []
    return [each["PipelineExecutionArn"] for each in listed["PipelineExecutionSummaries"]]


def test_a_job_from_its_first_call_to_its_verdict(stage: Stage) -> None:
    commit, key = stage.deliver(2.5)
    job = stage.service.start(
        {"commit": commit, "branch": "main", "repository": REPOSITORY},
        inputs={"Source": key},
        outputs={"Report": "mlops/Report/1"},
        key="arn:aws:kms:us-east-1:000000000000:key/1",
    )
    stage.invoke(job)
    assert job.answer is not None
    operation, first = job.answer
    assert operation == "PutJobSuccessResult"
    assert len(first["continuationToken"]) < 400
    assert "test" not in first["continuationToken"]
    assert ":pipeline/quality/execution/" in first["executionDetails"]["externalExecutionId"]
    following = stage.service.following(job)
    assert following is not None
    operation, last, _ = stage.run(following)
    assert operation == "PutJobSuccessResult", last
    variables = last["outputVariables"]
    assert variables["SAGEMAKER_GITOPS_VERDICT"] == "succeeded"
    assert variables["SAGEMAKER_GITOPS_APPROVAL"] == "Approved"
    assert json.loads(variables["SAGEMAKER_GITOPS_METRICS"])["rmse"]["value"] == 2.5
    assert variables["SAGEMAKER_GITOPS_REPORT"] == f"s3://{BUCKET}/mlops/Report/1"
    assert last["executionDetails"]["percentComplete"] == 100
    with zipfile.ZipFile(io.BytesIO(stage.read("mlops/Report/1"))) as held:
        [document] = [name for name in held.namelist() if name.endswith(".json")]
        report = json.loads(held.read(document))
    assert report["trigger"]["commit"] == commit
    assert report["verdict"]["outcome"] == "succeeded"
    headers = next(h for path, h in stage.service.uploads if path.endswith("/Report/1"))
    assert headers["x-amz-server-side-encryption"] == "aws:kms"
    assert headers["x-amz-server-side-encryption-aws-kms-key-id"].endswith("key/1")


def test_the_pull_request_that_was_merged_gets_its_comment(stage: Stage) -> None:
    commit, key = stage.deliver(2.45)
    secret = "t0ken-of-the-function"
    with serve_github() as github:
        github.tokens[secret] = "github-actions[bot]"
        github.pulls[commit] = [{"number": 7, "merge_commit_sha": commit, "merged_at": "now"}]
        watched = replace(stage, more={"GITHUB_TOKEN": secret, "GITHUB_API_URL": github.address})
        job = stage.service.start({**OURS, "commit": commit}, inputs={"Source": key})
        watched.invoke(job)
        [running] = github.bodies(7)
        assert "running" in running.lower()
        operation, last, _ = watched.run(stage.service.following(job) or job)
        [body] = github.bodies(7)
    assert operation == "PutJobSuccessResult", last
    assert "2.45" in body
    assert commit in body.splitlines()[0]
    assert not [line for line in watched.said if secret in line]


def test_what_is_never_started_is_told_beside_the_commit(stage: Stage) -> None:
    commit, key = stage.deliver(2.44)
    broken = stage.upload({**_files(stage), "definition.json": "{"})
    with serve_github() as github:
        watched = replace(stage, more={"GITHUB_TOKEN": "t0ken", "GITHUB_API_URL": github.address})
        for source, title in ((broken, "Not started: "), (key, "")):
            job = stage.service.start({**OURS, "commit": commit}, inputs={"Source": source})
            watched.invoke(job)
            run = github.checks(commit)[-1]
            assert run["name"] == "sagemaker-gitops/quality/main"
            assert run["title"].startswith(title)
            assert run["conclusion"] == ("failure" if title else None)


def _files(stage: Stage) -> dict[str, bytes | str]:
    names = ("sagemaker-gitops.yaml", "definition.json")
    return {name: (stage.scratch.root / name).read_bytes() for name in names}


def test_a_first_call_that_comes_twice_is_one_execution(stage: Stage) -> None:
    commit, key = stage.deliver(2.4)
    before = len(executions(stage))
    job = stage.service.start({**OURS, "commit": commit}, inputs={"Source": key})
    assert stage.invoke(job)["taken"] is True
    assert stage.invoke(job)["taken"] is False
    assert len(executions(stage)) == before + 1


def test_a_gate_that_fails_fails_the_job_with_its_sentence(stage: Stage) -> None:
    commit, key = stage.deliver(4.5)
    job = stage.service.start({**OURS, "commit": commit}, inputs={"Source": key})
    operation, last, _ = stage.run(job)
    assert operation == "PutJobFailureResult"
    details = last["failureDetails"]
    assert details["type"] == "JobFailed"
    assert "rmse" in details["message"]
    assert details["externalExecutionId"] in executions(stage)


def test_work_that_is_cut_short_goes_on_and_a_timeout_too_short_is_told(stage: Stage) -> None:
    commit, key = stage.deliver(2.3)
    job: Job | None = stage.service.start({**OURS, "commit": commit}, inputs={"Source": key})
    before, answers = len(executions(stage)), []
    while job is not None:
        held = threading.Event()
        world = replace(stage.world(seconds=0.5), redactor=Stuck(held))
        worker = threading.Thread(target=stage.invoke, args=(job, world), daemon=True)
        worker.start()
        ends = time.monotonic() + 10
        while job.answer is None and time.monotonic() < ends:
            time.sleep(0.01)
        assert job.answer is not None, "answered while the work is still held up"
        held.set()
        worker.join(30)
        answers.append(job.answer)
        job = stage.service.following(job)
    operations = [operation for operation, _ in answers]
    assert operations == ["PutJobSuccessResult"] * 4 + ["PutJobFailureResult"]
    details = answers[-1][1]["failureDetails"]
    assert details["type"] == "ConfigurationError"
    assert "timeout of" in details["message"]
    # What was being done when the time was up is done by now, and once.
    assert len(executions(stage)) <= before + 1


class Stuck(Redactor):
    """Holds up the work wherever it has something to say, as a slow AWS would; not the timer."""

    def __init__(self, held: threading.Event) -> None:
        super().__init__()
        self._held = held

    def text(self, value: str) -> str:
        if not isinstance(threading.current_thread(), threading.Timer):
            self._held.wait(20)
        return super().text(value)


def test_an_aws_that_is_away_is_waited_for_and_not_for_ever(stage: Stage) -> None:
    commit, key = stage.deliver(2.2)
    job = stage.service.start({**OURS, "commit": commit}, inputs={"Source": key})
    away = replace(stage.world(), environ={**stage.environ, "AWS_ENDPOINT_URL": DOWN})
    work = _Work(away)
    answer = work.answer(job.event)
    assert isinstance(answer, Success)
    assert answer.continuation is not None
    stage.clock += 3600
    try:
        late = replace(away, clock=stage.world().clock)
        job.data["continuationToken"] = answer.continuation
        given = _Work(late).answer(job.event)
    finally:
        stage.clock -= 3600
    assert isinstance(given, Failure)
    assert given.kind is FailureType.UNAVAILABLE


def test_an_answer_that_does_not_arrive_makes_lambda_call_again(stage: Stage) -> None:
    commit, key = stage.deliver(2.1)
    job = stage.service.start({**OURS, "commit": commit}, inputs={"Source": key})

    def away(_operation: str) -> None:
        raise Refused("AccessDeniedException", "no", 403)

    stage.service.fault = away
    try:
        with pytest.raises(AwsError, match="AccessDenied"):
            stage.invoke(job)
    finally:
        stage.service.fault = lambda _operation: None
    assert job.answer is None
    before = len(executions(stage))
    stage.invoke(job)
    assert job.answer is not None
    assert len(executions(stage)) == before, "the second call finds the first one's execution"


def test_a_deadline_fails_the_job_and_leaves_the_execution_running(stage: Stage) -> None:
    stage.scratch.define(quality_definition(2.0, script="import time; time.sleep(20)"))
    commit = stage.scratch.commit("slow")
    job = stage.service.start(
        {**OURS, "commit": commit, "deadline": "1h"}, inputs={"Source": stage.upload()}
    )
    stage.invoke(job)
    following = stage.service.following(job)
    assert following is not None
    stage.clock += 3700
    try:
        stage.invoke(following)
    finally:
        stage.clock -= 3700
    assert following.answer is not None
    operation, request = following.answer
    assert operation == "PutJobFailureResult"
    details = request["failureDetails"]
    assert "deadline" in details["message"]
    assert f"attach {details['externalExecutionId']}" in details["message"]
    described = client(stage.service.address, "sagemaker").describe_pipeline_execution(
        PipelineExecutionArn=details["externalExecutionId"]
    )
    assert described["PipelineExecutionStatus"] == "Executing"
    client(stage.service.address, "sagemaker").stop_pipeline_execution(
        PipelineExecutionArn=details["externalExecutionId"], ClientRequestToken="x" * 32
    )


def test_a_plan_of_an_earlier_stage_is_applied_and_nothing_else(stage: Stage) -> None:
    commit, key = stage.deliver(1.9)
    recorded = stage.folder / "planned"
    environ = {**stage.environ, "AWS_ACCESS_KEY_ID": OWN_KEY}
    stage.scratch.environ.update(environ)
    planned = stage.scratch.run("plan", "--environment", "main", "--out", str(recorded))
    stage.scratch.environ.clear()
    assert planned.code == 0, planned.err
    files = {
        f"build/plan/{file.relative_to(recorded)}": file.read_bytes()
        for file in recorded.rglob("*")
        if file.is_file()
    }
    # The source is a module here: it is not compiled, the plan's bundle is what counts.
    project = (stage.scratch.root / "sagemaker-gitops.yaml").read_text()
    module = project.replace("definition: definition.json", "source: pipeline.py:get_pipeline")
    source = stage.upload({"sagemaker-gitops.yaml": module, "pipeline.py": "def get_pipeline(): 1"})
    given: dict[str, object] = {**OURS, "commit": commit, "source": "Source"}
    refused = stage.service.start(given, inputs={"Source": source})
    stage.invoke(refused)
    assert refused.answer is not None
    assert "no SageMaker SDK" in refused.answer[1]["failureDetails"]["message"]
    given["plan"] = "Plan:build/plan"
    inputs = {"Source": source, "Plan": stage.upload(files)}
    misspelt = module.replace("{Group: ", "{Gruop: ")
    wrong = stage.upload({"sagemaker-gitops.yaml": misspelt, "pipeline.py": ""})
    undeclared = stage.service.start(given, inputs={**inputs, "Source": wrong})
    stage.invoke(undeclared)
    assert undeclared.answer is not None
    assert "declares a parameter Gruop" in undeclared.answer[1]["failureDetails"]["message"]
    operation, last, _ = stage.run(stage.service.start(given, inputs=inputs))
    assert operation == "PutJobSuccessResult", last
    # Applied by now, the same plan is the same execution: nothing is planned anew, or refused.
    twice, again, _ = stage.run(stage.service.start(given, inputs=inputs))
    assert twice == "PutJobSuccessResult", again
    name = "externalExecutionId"
    assert again["executionDetails"][name] == last["executionDetails"][name]
    # Something else was deployed since: what was reviewed is not what would be changed.
    other, key = stage.deliver(1.85)
    assert stage.run(stage.service.start({**OURS, "commit": other}, inputs={"Source": key}))[0] == (
        "PutJobSuccessResult"
    )
    operation, moved, _ = stage.run(stage.service.start(given, inputs=inputs))
    assert operation == "PutJobFailureResult"
    assert moved["failureDetails"]["type"] == "RevisionOutOfSync"
