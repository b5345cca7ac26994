"""Where a pipeline goes: names, roles, regions, parameters; and which pipelines a commit takes."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.errors import ProjectError, UsageError
from ci.project.model import ArtifactStore, DefinitionSource, Environment, Pipeline, Project
from ci.project.names import safe_name
from ci.project.select import matches_glob, select_pipelines, touches
from ci.project.target import choose_environment, resolve_target
from ci.trigger.model import Door, Event, Trigger

ROLE = "arn:aws:iam::123456789012:role/execution"
COMMIT = "a" * 40
SAFE = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,81}")


def pipeline(name: str, **changes: object) -> Pipeline:
    plain = Pipeline(name=name, source=DefinitionSource(file=Path("/r/d.json")), line=1)
    return replace(plain, **changes)  # type: ignore[arg-type]


def project(**changes: object) -> Project:
    plain = Project(
        file=Path("/r/sagemaker-gitops.yaml"),
        root=Path("/r"),
        pipelines={
            "abalone": pipeline("abalone", parameters={"A": 1, "B": 2, "C": 3}, paths=("a/**",)),
            "shared_model": pipeline("shared_model", paths=("b/**", "!b/docs/**")),
            "always": pipeline("always"),
        },
        environments={
            "main": Environment(name="main", pipeline_name="{pipeline}"),
            "pull_request": Environment(
                name="pull_request", pipeline_name="{pipeline}-pr-{pull_request}"
            ),
            "dev": Environment(
                name="dev",
                pipeline_name="{pipeline}-{branch}",
                role="arn:aws:iam::210987654321:role/dev",
                region="eu-central-1",
                parameters={"B": 20, "C": 30},
                tags={"team": "rings"},
            ),
        },
        region="us-east-1",
        role=ROLE,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def trigger(**changes: object) -> Trigger:
    plain = Trigger(door=Door.LAPTOP, event=Event.MANUAL, commit=COMMIT, branch="main")
    return replace(plain, **changes)  # type: ignore[arg-type]


def test_the_environment_goes_before_the_file_and_the_command_line_before_both() -> None:
    target = resolve_target(
        project(),
        pipeline="abalone",
        environment="dev",
        trigger=trigger(branch="topic"),
        overrides={"C": "300"},
        region_default="us-west-2",
        role_default="arn:aws:iam::000000000000:role/local",
    )
    assert target.parameters == {"A": 1, "B": 20, "C": "300"}
    assert (target.role, target.account) == ("arn:aws:iam::210987654321:role/dev", "210987654321")
    assert target.region == "eu-central-1"
    assert target.bucket == "sagemaker-eu-central-1-210987654321"
    assert target.pipeline_name == "abalone-topic"
    assert target.tags == {
        "team": "rings",
        "sagemaker-gitops:project": "r",
        "sagemaker-gitops:pipeline": "abalone",
        "sagemaker-gitops:environment": "dev",
    }


def test_the_bucket_of_the_file_counts() -> None:
    named = project(artifacts=ArtifactStore(bucket="acme", prefix="x"))
    target = resolve_target(named, pipeline="abalone", environment="main", trigger=trigger())
    assert (target.bucket, target.prefix) == ("acme", "x")


@pytest.mark.parametrize("missing", ["role", "region"])
def test_a_missing_role_or_region_is_told_with_its_place(missing: str) -> None:
    with pytest.raises(ProjectError, match=f"no {missing} for the environment `main`") as caught:
        resolve_target(
            project(**{missing: None}), pipeline="abalone", environment="main", trigger=trigger()
        )
    assert f"  main:\n    {missing}: " in str(caught.value.fix)


def test_defaults_fill_what_the_file_leaves_open() -> None:
    target = resolve_target(
        project(role=None, region=None),
        pipeline="abalone",
        environment="main",
        trigger=trigger(),
        region_default="us-west-2",
        role_default="arn:aws:iam::000000000000:role/local",
    )
    assert (target.account, target.region) == ("000000000000", "us-west-2")


def test_unknown_names_are_told_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"'ablone'; did you mean `abalone`"):
        resolve_target(project(), pipeline="ablone", environment="main", trigger=trigger())
    with pytest.raises(UsageError, match=r"'pull-request'; did you mean `pull_request`"):
        resolve_target(project(), pipeline="abalone", environment="pull-request", trigger=trigger())
    with pytest.raises(UsageError, match="no name of a parameter"):
        resolve_target(
            project(),
            pipeline="abalone",
            environment="main",
            trigger=trigger(),
            overrides={"a b": "1"},
        )


def test_a_pull_request_environment_needs_a_pull_request() -> None:
    with pytest.raises(UsageError, match="needs a pull request"):
        resolve_target(project(), pipeline="abalone", environment="pull_request", trigger=trigger())
    with pytest.raises(UsageError, match="needs a branch"):
        resolve_target(
            project(), pipeline="abalone", environment="dev", trigger=trigger(branch=None)
        )


def test_underscores_become_hyphens_and_a_pull_request_is_numbered() -> None:
    target = resolve_target(
        project(),
        pipeline="shared_model",
        environment="pull_request",
        trigger=trigger(pull_request=12),
    )
    assert target.pipeline_name == "shared-model-pr-12"


def name_on(branch: str) -> str:
    return resolve_target(
        project(), pipeline="abalone", environment="dev", trigger=trigger(branch=branch)
    ).pipeline_name


def test_branches_that_lose_characters_keep_different_names() -> None:
    hostile = ["f/x", "f-x", "f.x", "$(rm -rf /)", "`id`", "ä", "x" * 300, "x" * 301, "-x", "a\nb"]
    names = [name_on(branch) for branch in hostile]
    assert len(set(names)) == len(hostile)
    assert all(SAFE.fullmatch(name) for name in names)


@given(st.text(), st.integers(min_value=10, max_value=82))
def test_any_text_becomes_a_safe_name(text: str, longest: int) -> None:
    name = safe_name(text, longest=longest)
    assert SAFE.fullmatch(name)
    assert len(name) <= longest
    if SAFE.fullmatch(text) and len(text) <= longest:
        assert name == text
    else:
        assert name != text


@pytest.mark.parametrize(
    ("changes", "named", "chosen"),
    [
        ({"is_default_branch": True}, None, "main"),
        ({"is_default_branch": True}, "dev", "dev"),
        ({"pull_request": 1}, None, "pull_request"),
        ({"event": Event.PULL_REQUEST_CLOSED, "pull_request": 1}, None, "pull_request"),
    ],
)
def test_the_environment_follows_from_the_trigger(
    changes: dict[str, object], named: str | None, chosen: str
) -> None:
    assert choose_environment(project(), trigger(**changes), named) == chosen


def test_where_no_environment_follows_it_is_asked_for() -> None:
    with pytest.raises(UsageError, match="the branch 'topic'"):
        choose_environment(project(), trigger(branch="topic"))
    with pytest.raises(UsageError, match="no environment 'stagin'"):
        choose_environment(project(), trigger(), "stagin")


def test_an_environment_of_pull_requests_is_told_with_its_number() -> None:
    with pytest.raises(UsageError) as refused:
        choose_environment(project(), trigger(branch="topic"))
    fix = str(refused.value.fix).splitlines()
    assert "--environment main" in fix[0]
    assert "pull_request" not in fix[0]
    assert fix[1] == "or --environment pull_request --pull-request NUMBER"


@pytest.mark.parametrize(
    ("changed", "chosen"),
    [
        (["a/x.py"], ["abalone", "always"]),
        (["a/deep/er/x.py"], ["abalone", "always"]),
        (["b/docs/x.md"], ["always"]),
        (["b/docs/x.md", "b/train.py"], ["shared_model", "always"]),
        (["sagemaker-gitops.yaml"], ["abalone", "shared_model", "always"]),
        (["ab/x", "README.md"], ["always"]),
        ([], ["always"]),
        (None, ["abalone", "shared_model", "always"]),
    ],
)
def test_paths_choose_the_pipelines(changed: list[str] | None, chosen: list[str]) -> None:
    assert [each.name for each in select_pipelines(project(), (), changed)] == chosen


def test_names_choose_alone_and_once() -> None:
    chosen = select_pipelines(project(), ["always", "abalone", "always"], ["b/x"])
    assert [each.name for each in chosen] == ["always", "abalone"]
    with pytest.raises(UsageError, match="did you mean"):
        select_pipelines(project(), ["abalonee"])


@pytest.mark.parametrize(
    ("pattern", "path", "taken"),
    [
        ("a/**", "a/b", True),
        ("a/**", "a/b/c", True),
        ("a/**", "a", False),
        ("a", "a/b/c", True),
        ("a/", "a/b", True),
        ("/a/*.py", "a/x.py", True),
        ("a/*.py", "a/b/x.py", False),
        ("**/*.py", "x.py", True),
        ("**/*.py", "a/b/x.py", True),
        ("a/**/c", "a/c", True),
        ("a/**/c", "a/b/b/c", True),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("[!a]x", "bx", True),
        ("[!a]x", "ax", False),
        ("[a-c]", "b", True),
        ("a.py", "axpy", False),
        ("**", "any/thing", True),
        ("./a/*", "a/x", True),
        ("[", "[", True),
        ("[]]", "]", True),
        ("[b-a]", "[b-a]", True),
        ("a*b*c", "a__b__c", True),
    ],
)
def test_globs_are_gits(pattern: str, path: str, taken: bool) -> None:
    assert matches_glob(pattern, path) is taken


@given(st.text("ab/*?[]!^-.\\()", max_size=25), st.text("ab/.-\n", max_size=25))
def test_any_glob_answers(pattern: str, path: str) -> None:
    assert touches([pattern], path) in {True, False}


def test_a_glob_of_many_stars_answers_at_once() -> None:
    assert not matches_glob("*" * 50 + "x", "a" * 5000)


def test_what_a_pull_request_has_of_its_own_carries_its_number() -> None:
    def tags(environment: str) -> dict[str, str]:
        pull = replace(trigger(branch="topic"), pull_request=7)
        target = resolve_target(
            project(), pipeline="abalone", environment=environment, trigger=pull
        )
        return dict(target.tags)

    assert tags("pull_request")["sagemaker-gitops:pull-request"] == "7"
    assert "sagemaker-gitops:pull-request" not in tags("main")


def test_pull_requests_write_beside_what_production_reads() -> None:
    own = resolve_target(
        project(),
        pipeline="always",
        environment="pull_request",
        trigger=trigger(pull_request=7),
    )
    main = resolve_target(project(), pipeline="always", environment="main", trigger=trigger())
    assert main.prefix == "sagemaker-gitops"
    assert own.prefix == "sagemaker-gitops/pull_request"
