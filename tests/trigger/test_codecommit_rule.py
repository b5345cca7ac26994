"""The rule that `bootstrap` writes hands a build what the trigger is read from."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ci.bootstrap.events import events_template
from ci.bootstrap.scope import plan_setup
from ci.project.load import load_project
from ci.trigger.codebuild import parse_codebuild
from ci.trigger.model import Event

HEAD = "a" * 40
# As CodeCommit sends it (AWS CodeCommit user guide, "Monitoring CodeCommit events").
DETAIL = {
    "event": "pullRequestSourceBranchUpdated",
    "pullRequestId": "34",
    "pullRequestStatus": "Open",
    "isMerged": "False",
    "sourceReference": "refs/heads/deeper",
    "destinationReference": "refs/heads/main",
    "sourceCommit": HEAD,
    "destinationCommit": "b" * 40,
    "repositoryNames": ["mlops"],
}


def transformed(transformer: Any, event: Any) -> Any:
    """What EventBridge makes of an event: paths become JSON values in the template."""
    values = {}
    for name, path in transformer["InputPathsMap"].items():
        value = event
        for part in path.removeprefix("$.").split("."):
            value = value[part]
        values[name] = json.dumps(value)
    text = re.sub(r"<(\w+)>", lambda found: values[found[1]], transformer["InputTemplate"])
    return json.loads(text)


def started(rule: Any, **changes: str) -> dict[str, str]:
    """The environment of the build that the rule starts."""
    event = {"detail": {**DETAIL, **changes}}
    asked = transformed(rule["Targets"][0]["InputTransformer"], event)
    told = {each["name"]: each["value"] for each in asked["environmentVariablesOverride"]}
    return {
        **told,
        "CODEBUILD_BUILD_ID": "mlops:1",
        "CODEBUILD_INITIATOR": "rule/mlops-pull-requests",
        "CODEBUILD_SOURCE_VERSION": asked["sourceVersion"],
        "CODEBUILD_RESOLVED_SOURCE_VERSION": asked["sourceVersion"],
        "CODEBUILD_SOURCE_REPO_URL": "https://git-codecommit.us-east-1.amazonaws.com/v1/repos/mlops",
    }


@pytest.fixture
def rule(tmp_path: Path) -> Any:
    (tmp_path / "d.json").write_text("{}")
    file = tmp_path / "sagemaker-gitops.yaml"
    file.write_text("version: 1\npipelines: {q: {definition: d.json}}\n")
    setup = plan_setup(load_project(file), name="mlops", repository="mlops", default_branch="main")
    return events_template(setup).resources["PullRequestRule"].properties


def test_an_open_pull_request_is_built(rule: Any) -> None:
    trigger = parse_codebuild(started(rule), heads={"main": "b" * 40})
    assert (trigger.event, trigger.pull_request) == (Event.PULL_REQUEST, 34)
    assert (trigger.commit, trigger.branch, trigger.from_fork) == (HEAD, "deeper", False)


@pytest.mark.parametrize(
    ("event", "merged"),
    [("pullRequestStatusChanged", "False"), ("pullRequestMergeStatusUpdated", "True")],
)
def test_a_closed_or_merged_one_is_cleaned_up_after(rule: Any, event: str, merged: str) -> None:
    closed = started(rule, event=event, isMerged=merged, pullRequestStatus="Closed")
    assert parse_codebuild(closed).event is Event.PULL_REQUEST_CLOSED
    assert event in rule["EventPattern"]["detail"]["event"]


def test_a_branch_with_quotes_in_its_name_stays_one_value(rule: Any) -> None:
    told = started(rule, sourceReference='refs/heads/a"b, "x')
    assert parse_codebuild(told).branch == 'a"b, "x'
