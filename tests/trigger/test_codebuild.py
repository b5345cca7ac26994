"""CodeBuild by webhook, by hand and by rule; CodePipeline's stage."""

from pathlib import Path

import pytest

from ci.errors import TriggerError
from ci.trigger.codebuild import parse_codebuild, parse_codepipeline
from ci.trigger.detect import detect_trigger
from ci.trigger.model import Door, Event

HEAD, OLD = "a" * 40, "d" * 40


def environ(**more: str) -> dict[str, str]:
    return {
        "CODEBUILD_BUILD_ID": "mlops:1",
        "CODEBUILD_BUILD_URL": "https://console/build/1",
        "CODEBUILD_RESOLVED_SOURCE_VERSION": HEAD,
        "CODEBUILD_SOURCE_REPO_URL": "https://github.com/acme/mlops.git",
        **more,
    }


def webhook(event: str = "PULL_REQUEST_CREATED") -> dict[str, str]:
    return environ(
        CODEBUILD_INITIATOR="GitHub-Hookshot/1",
        CODEBUILD_SOURCE_VERSION="pr/12",
        CODEBUILD_WEBHOOK_EVENT=event,
        CODEBUILD_WEBHOOK_TRIGGER="pr/12",
        CODEBUILD_WEBHOOK_HEAD_REF="refs/heads/topic",
        CODEBUILD_WEBHOOK_BASE_REF="refs/heads/main",
        CODEBUILD_WEBHOOK_ACTOR_ACCOUNT_ID="583231",
    )


def test_a_pull_request_whose_commit_is_a_branch_of_ours() -> None:
    trigger = parse_codebuild(webhook(), default_branch="main", heads={"topic": HEAD})
    assert (trigger.door, trigger.event) == (Door.CODEBUILD, Event.PULL_REQUEST)
    assert (trigger.commit, trigger.branch, trigger.pull_request) == (HEAD, "topic", 12)
    assert trigger.repository == "acme/mlops"
    assert trigger.run_url == "https://console/build/1"
    assert not trigger.from_fork


PACKAGE = "arn:aws:sagemaker:us-east-1:123456789012:model-package/abalone/7"


def test_a_rule_that_names_a_package_is_about_its_approval() -> None:
    started = environ(CODEBUILD_INITIATOR="rule/approvals", CODEBUILD_SOURCE_VERSION="main")
    ordinary = parse_codebuild(started, default_branch="main")
    assert (ordinary.event, ordinary.package) == (Event.SCHEDULE, None)
    named = {**started, "SAGEMAKER_GITOPS_EVENT_PACKAGE": PACKAGE}
    trigger = parse_codebuild(named, default_branch="main")
    assert (trigger.event, trigger.package) == (Event.APPROVAL, PACKAGE)
    with pytest.raises(TriggerError, match="SAGEMAKER_GITOPS_EVENT_PACKAGE"):
        parse_codebuild({**started, "SAGEMAKER_GITOPS_EVENT_PACKAGE": "$(x)"})


@pytest.mark.parametrize("heads", [{}, {"topic": OLD}, {"main": HEAD}])
def test_a_pull_request_that_nothing_vouches_for_is_foreign(heads: dict[str, str]) -> None:
    assert parse_codebuild(webhook(), heads=heads).from_fork
    vouched = {**webhook(), "SAGEMAKER_GITOPS_TRUST_PULL_REQUESTS": "true"}
    assert not parse_codebuild(vouched, heads=heads).from_fork


@pytest.mark.parametrize("event", ["PULL_REQUEST_MERGED", "PULL_REQUEST_CLOSED"])
def test_a_closed_pull_request(event: str) -> None:
    assert parse_codebuild(webhook(event)).event is Event.PULL_REQUEST_CLOSED


def test_a_push_to_the_default_branch() -> None:
    variables = environ(
        CODEBUILD_WEBHOOK_EVENT="PUSH",
        CODEBUILD_WEBHOOK_TRIGGER="branch/main",
        CODEBUILD_WEBHOOK_HEAD_REF="refs/heads/main",
        CODEBUILD_WEBHOOK_PREV_COMMIT=OLD,
        CODEBUILD_SOURCE_VERSION=HEAD,
    )
    trigger = parse_codebuild(variables, default_branch="main")
    assert (trigger.event, trigger.is_default_branch, trigger.base) == (Event.PUSH, True, OLD)
    assert not trigger.from_fork


@pytest.mark.parametrize(
    ("event", "about"), [("PUSH", "tag/v1"), ("RELEASED", "release/v1"), ("PRERELEASED", "x")]
)
def test_a_tag_and_a_release_are_of_no_branch(event: str, about: str) -> None:
    variables = environ(
        CODEBUILD_WEBHOOK_EVENT=event,
        CODEBUILD_WEBHOOK_TRIGGER=about,
        CODEBUILD_SOURCE_VERSION="refs/tags/v1^{" + HEAD + "}",
    )
    trigger = parse_codebuild(variables, default_branch="main")
    assert trigger.event is (Event.PUSH if event == "PUSH" else Event.OTHER)
    assert (trigger.branch, trigger.is_default_branch) == (None, False)


@pytest.mark.parametrize(
    ("version", "branch"),
    [("main", "main"), ("refs/heads/a/b", "a/b"), ("refs/tags/v1", None), (HEAD, None)],
)
def test_builds_by_hand_and_by_rule(version: str, branch: str | None) -> None:
    variables = environ(CODEBUILD_SOURCE_VERSION=version, CODEBUILD_INITIATOR="rule/nightly")
    trigger = parse_codebuild(variables, default_branch="main")
    assert (trigger.branch, trigger.event) == (branch, Event.SCHEDULE)
    variables["CODEBUILD_INITIATOR"] = "someone"
    assert parse_codebuild(variables).event is Event.MANUAL


def test_a_version_that_is_no_commit_is_refused() -> None:
    with pytest.raises(TriggerError, match="is not the hash of a commit"):
        parse_codebuild({"CODEBUILD_SOURCE_VERSION": "main"})


@pytest.mark.parametrize(
    ("branch", "default", "is_default"),
    [("", None, True), ("main", None, True), ("main", "main", True), ("dev", "main", False)],
)
def test_a_stage_of_codepipeline(branch: str, default: str | None, is_default: bool) -> None:
    variables = environ(
        CODEBUILD_INITIATOR="codepipeline/mlops",
        SAGEMAKER_GITOPS_BRANCH=branch,
        SAGEMAKER_GITOPS_REPOSITORY="acme/mlops",
    )
    trigger = parse_codepipeline(variables, default_branch=default)
    assert (trigger.door, trigger.event, trigger.commit) == (Door.CODEPIPELINE, Event.PUSH, HEAD)
    assert (trigger.branch, trigger.is_default_branch) == (branch or None, is_default)
    assert (trigger.repository, trigger.run_url) == ("acme/mlops", "https://console/build/1")


def test_a_stage_without_a_repository_as_its_source_is_told_how_to_get_one() -> None:
    variables = environ(CODEBUILD_RESOLVED_SOURCE_VERSION="x3Jd.version-of-an-S3-object")
    with pytest.raises(TriggerError, match="primary source"):
        parse_codepipeline(variables)


def test_a_zip_file_without_history_is_enough(tmp_path: Path) -> None:
    trigger = detect_trigger(environ(CODEBUILD_INITIATOR="codepipeline/mlops"), tmp_path)
    assert (trigger.door, trigger.commit) == (Door.CODEPIPELINE, HEAD)


def test_a_pull_request_counts_from_the_branch_it_goes_to() -> None:
    environ = {
        "CODEBUILD_WEBHOOK_EVENT": "PULL_REQUEST_UPDATED",
        "CODEBUILD_WEBHOOK_TRIGGER": "pr/7",
        "CODEBUILD_WEBHOOK_BASE_REF": "refs/heads/main",
        "CODEBUILD_WEBHOOK_PREV_COMMIT": "b" * 40,
        "CODEBUILD_RESOLVED_SOURCE_VERSION": "a" * 40,
    }
    assert parse_codebuild(environ, heads={"main": "c" * 40}).base == "c" * 40
    assert parse_codebuild(environ).base is None


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ("PULL_REQUEST_CREATED", Event.PULL_REQUEST),
        ("PULL_REQUEST_UPDATED", Event.PULL_REQUEST),
        ("PULL_REQUEST_REOPENED", Event.PULL_REQUEST),
        ("PULL_REQUEST_MERGED", Event.PULL_REQUEST_CLOSED),
        ("PULL_REQUEST_CLOSED", Event.PULL_REQUEST_CLOSED),
    ],
)
@pytest.mark.parametrize(
    ("address", "repository", "host", "version", "webhook"),
    [
        ("https://github.com/acme/mlops.git", "acme/mlops", "github.com", "pr/12", "pr/12"),
        ("https://ghe.acme.example/ml/ops", "ml/ops", "ghe.acme.example", "pr/12", "pr/12"),
        ("https://gitlab.com/acme/ml/ops.git", "acme/ml/ops", "gitlab.com", HEAD, "pr/12"),
        ("https://gitlab.acme.example/a/b.git", "a/b", "gitlab.acme.example", HEAD, "mr/12"),
        ("https://bitbucket.org/acme/mlops", "acme/mlops", "bitbucket.org", HEAD, "pr/12"),
    ],
)
def test_pull_requests_of_every_webhook(
    event: str,
    expected: Event,
    address: str,
    repository: str,
    host: str,
    version: str,
    webhook: str,
) -> None:
    variables = {
        **environ(CODEBUILD_SOURCE_REPO_URL=address, CODEBUILD_SOURCE_VERSION=version),
        "CODEBUILD_WEBHOOK_EVENT": event,
        "CODEBUILD_WEBHOOK_TRIGGER": webhook,
        "CODEBUILD_WEBHOOK_HEAD_REF": "refs/heads/topic",
        "CODEBUILD_WEBHOOK_BASE_REF": "refs/heads/main",
    }
    trigger = parse_codebuild(variables, heads={"main": OLD})
    assert (trigger.event, trigger.pull_request, trigger.branch) == (expected, 12, "topic")
    assert (trigger.repository, trigger.host, trigger.base) == (repository, host, OLD)
    assert (trigger.commit, trigger.from_fork) == (HEAD, True)


@pytest.mark.parametrize(
    ("version", "number", "branch"),
    [
        (f"refs/pull/7/head^{{{HEAD}}}", 7, None),
        ("refs/pull/7/head", 7, None),
        ("refs/merge-requests/7/head", 7, None),
        (f"refs/heads/a/b^{{{HEAD}}}", None, "a/b"),
        ("pr/0", None, None),
        ("refs/tags/v1.0", None, None),
    ],
)
def test_source_versions_that_are_references(
    version: str, number: int | None, branch: str | None
) -> None:
    trigger = parse_codebuild(environ(CODEBUILD_SOURCE_VERSION=version))
    assert (trigger.pull_request, trigger.branch) == (number, branch)


def test_a_squash_may_have_lost_the_pull_request_s_commit() -> None:
    variables = {**webhook("PULL_REQUEST_MERGED"), "CODEBUILD_WEBHOOK_MERGE_COMMIT": OLD}
    del variables["CODEBUILD_RESOLVED_SOURCE_VERSION"]
    trigger = parse_codebuild(variables)
    assert (trigger.event, trigger.commit) == (Event.PULL_REQUEST_CLOSED, OLD)


def codecommit(status: str = "Open", **more: str) -> dict[str, str]:
    """What the rule on CodeCommit's pull requests gives a build."""
    return environ(
        CODEBUILD_INITIATOR="rule/mlops-pull-requests",
        CODEBUILD_SOURCE_REPO_URL="https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/mlops",
        CODEBUILD_SOURCE_VERSION=HEAD,
        SAGEMAKER_GITOPS_EVENT_PULL_REQUEST="34",
        SAGEMAKER_GITOPS_EVENT_PULL_REQUEST_STATUS=status,
        SAGEMAKER_GITOPS_BRANCH="refs/heads/topic",
        **more,
    )


def test_a_pull_request_in_codecommit_has_no_fork() -> None:
    trigger = parse_codebuild(codecommit())
    assert (trigger.event, trigger.pull_request) == (Event.PULL_REQUEST, 34)
    assert (trigger.commit, trigger.branch, trigger.from_fork) == (HEAD, "topic", False)
    assert (trigger.repository, trigger.host) == (
        "mlops",
        "git-codecommit.eu-west-1.amazonaws.com",
    )


def test_a_pull_request_in_codecommit_is_closed_or_merged() -> None:
    assert parse_codebuild(codecommit("Closed")).event is Event.PULL_REQUEST_CLOSED


def test_the_variables_of_codecommit_vouch_for_no_other_host() -> None:
    elsewhere = codecommit() | {"CODEBUILD_SOURCE_REPO_URL": "https://github.com/acme/mlops"}
    assert parse_codebuild(elsewhere).from_fork


@pytest.mark.parametrize("number", ["x", "-1", "0", "12; id", "9" * 40])
def test_a_number_that_is_none_is_refused(number: str) -> None:
    variables = codecommit() | {"SAGEMAKER_GITOPS_EVENT_PULL_REQUEST": number}
    with pytest.raises(TriggerError, match="is not the number of a pull request"):
        parse_codebuild(variables)
