"""Jobs of CodePipeline that cannot be done: refused by what they say, hold, or go on from."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.lambda_job import OURS, Stage, open_stage, zipped

pytestmark = pytest.mark.endpoint


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with open_stage(tmp_path_factory.mktemp("lambda")) as opened:
        yield opened


@pytest.fixture(scope="module")
def artifact(stage: Stage) -> str:
    """The repository, for jobs that never come to deploy it."""
    return stage.deliver(1.8)[1]


REFUSED = [
    ({"commit": "1" * 40, "repository": ""}, "which repository", "ConfigurationError"),
    ({"comit": "x"}, "did you mean `commit`", "ConfigurationError"),
    ("{", "not JSON", "ConfigurationError"),
    ('{"commit": "a", "commit": "b"}', "there twice", "ConfigurationError"),
    ({"commit": "main"}, "not the hash of a commit", "ConfigurationError"),
    ({}, "nothing tells which commit", "ConfigurationError"),
    ({"commit": "1" * 40, "pipelines": ["qualty"]}, "quality", "ConfigurationError"),
    ({"commit": "1" * 40, "source": "Other"}, "no input artifact", "ConfigurationError"),
    ({"commit": "1" * 40, "plan": "Source:../.."}, "leads out", "ConfigurationError"),
    ({"commit": "1" * 40, "project-file": "/etc/passwd"}, "leads out", "ConfigurationError"),
    ({"commit": "1" * 40, "deadline": "soon"}, "duration", "ConfigurationError"),
    ({"commit": "1" * 40, "parameters": {"A": [1]}}, "is not a text", "ConfigurationError"),
]


@pytest.mark.parametrize(("given", "told", "kind"), REFUSED, ids=lambda value: str(value)[:24])
def test_what_cannot_be_done_is_told_once(
    stage: Stage, artifact: str, given: object, told: str, kind: str
) -> None:
    whole = {**OURS, **given} if isinstance(given, dict) else given
    job = stage.service.start(whole, inputs={"Source": artifact})
    stage.invoke(job)
    assert job.answer is not None
    operation, request = job.answer
    assert operation == "PutJobFailureResult"
    assert told in request["failureDetails"]["message"]
    assert request["failureDetails"]["type"] == kind


CLONE = json.dumps({"repository": "https://github.com/acme/mlops", "commit": "x"}).encode()
ARCHIVES = [
    (zipped({"../../evil": "x"}), "reaches out"),
    (zipped({"/tmp/evil": "x"}), "reaches out"),
    (zipped({"a": "x"}, {"link": "/etc"}), "reaches out"),
    (zipped({"d/x": "x"}, {"d/up": "..", "d/out": "up/../.."}), "reaches out"),
    (zipped({"link/x": "x"}, {"link": "d"}), "cannot be unpacked"),
    (zipped({"a": "x"}, {"loop": "loop"}), "cannot be unpacked"),
    (zipped({"a": "x"})[:-30], "no zip file"),
    (zipped({"a": "x" * 9999})[:40] + zipped({"a": "x" * 9999})[60:], "cannot be unpacked"),
    (CLONE, "full clone"),
    (b"", "no zip file"),
    (zipped({"README.md": "x"}), "there is no sagemaker-gitops.yaml"),
]


@pytest.mark.parametrize(("data", "told"), ARCHIVES, ids=lambda value: str(value)[-24:])
def test_archives_that_nobody_vouches_for(stage: Stage, data: bytes, told: str) -> None:
    outside = set(Path("/tmp").iterdir())
    job = stage.service.start({**OURS, "commit": "1" * 40}, inputs={"Source": stage.put(data)})
    stage.invoke(job)
    assert job.answer is not None
    assert told in job.answer[1]["failureDetails"]["message"]
    assert not [each for each in set(Path("/tmp").iterdir()) - outside if each.name == "evil"]


def test_links_that_stay_inside_are_kept(stage: Stage) -> None:
    commit, _ = stage.deliver(1.75)
    files = {
        name: (stage.scratch.root / name).read_bytes()
        for name in ("sagemaker-gitops.yaml", "definition.json")
    }
    held = {
        "sagemaker-gitops.yaml": files["sagemaker-gitops.yaml"],
        "d/real": files["definition.json"],
    }
    key = stage.put(zipped(held, {"definition.json": "d/real"}))
    job = stage.service.start({**OURS, "commit": commit}, inputs={"Source": key})
    stage.invoke(job)
    assert job.answer is not None
    assert job.answer[0] == "PutJobSuccessResult", job.answer


def test_an_artifact_that_is_gone_and_one_that_is_closed(stage: Stage) -> None:
    gone = stage.service.start({**OURS, "commit": "1" * 40}, inputs={"Source": "mlops/none"})
    stage.invoke(gone)
    assert gone.answer is not None
    assert gone.answer[1]["failureDetails"]["type"] == "RevisionUnavailable"
    _, key = stage.deliver(1.7)
    closed = stage.service.start({**OURS, "commit": "1" * 40}, inputs={"Source": key})
    closed.data["artifactCredentials"]["accessKeyId"] = "ASIASOMEBODY"
    stage.invoke(closed)
    assert closed.answer is not None
    details = closed.answer[1]["failureDetails"]
    assert details["type"] == "PermissionError"
    assert "s3:GetObject" in details["message"]
    assert "artifact-secret-key" not in details["message"]


def test_a_token_of_somebody_else_is_refused(stage: Stage) -> None:
    commit, key = stage.deliver(1.65)
    first = stage.service.start({**OURS, "commit": commit}, inputs={"Source": key})
    stage.invoke(first)
    following = stage.service.following(first)
    assert following is not None
    other, key = stage.deliver(1.6)
    token = following.data["continuationToken"]
    for text, told in ((token, "of another commit"), ("{}", "was not written by"), ("zzz", "not")):
        job = stage.service.start({**OURS, "commit": other}, inputs={"Source": key})
        job.data["continuationToken"] = text
        stage.invoke(job)
        assert job.answer is not None
        assert told in job.answer[1]["failureDetails"]["message"]
