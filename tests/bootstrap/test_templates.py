"""Templates: valid for CloudFormation's own linter in every variant, the same every time."""

import json
import re
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ci.approval.manual_approval import PLACES
from ci.bootstrap.codebuild import buildspec, plan_buildspec
from ci.bootstrap.compact import compact
from ci.bootstrap.documents import LARGEST_POLICY, MOST_POLICIES, pack, size_of
from ci.bootstrap.model import Duty, Setup, Statement
from ci.bootstrap.policies import statements_of
from ci.bootstrap.reference import render_page
from ci.bootstrap.scope import default_name, plan_setup
from ci.bootstrap.template import Template, render_template
from ci.bootstrap.templates import CONCERNS
from ci.door.packaging import HANDLER, RUNTIMES, Architecture
from ci.door.settings import parse_settings
from ci.errors import ProjectError
from ci.project.load import load_project

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "iam.md"
SMALL = """
version: 1
region: eu-west-1
role: arn:aws:iam::123456789012:role/sagemaker-execution
pipelines:
  abalone:
    definition: definition.json
    model_package_group: abalone
    endpoint: abalone
environments:
  pull_request:
    kwargs:
      model_package_group: abalone-pr-{pull_request}
      champion_group: abalone
      endpoint_name: abalone-pr-{pull_request}
"""
WIDE = """
version: 1
pipelines:
  Churn_Model: {definition: definition.json, model_package_group: Churn}
  fraud: {definition: definition.json}
artifacts: {bucket: acme-artifacts, prefix: builds/ml}
environments:
  main: {role: "arn:aws:iam::123456789012:role/service/main", region: us-east-1}
  staging: {role: "arn:aws:iam::123456789012:role/staging", region: us-west-2}
  pull_request: {pipeline_name: "{pull_request}-{pipeline}"}
"""


def setup(text: str, folder: Path, **more: Any) -> Setup:
    (folder / "definition.json").write_text("{}")
    file = folder / "sagemaker-gitops.yaml"
    file.write_text(text)
    given_ = {"repository": "acme/mlops", "default_branch": "main", **more}
    return plan_setup(load_project(file), **given_)


def many(count: int) -> str:
    """A project of this many pipelines: all names differ, and pull requests have their own."""
    names = "".join(
        f"  pipeline-{number:03}: {{definition: definition.json, model_package_group:"
        f" group-{number:03}, endpoint: endpoint-{number:03}}}\n"
        for number in range(count)
    )
    own = "{pipeline}-pr-{pull_request}"
    kwargs = f'kwargs: {{model_package_group: "{own}", endpoint_name: "{own}"}}'
    return (
        f"version: 1\nregion: eu-west-1\nrole: arn:aws:iam::123456789012:role/execution\n"
        f"pipelines:\n{names}environments:\n  pull_request:\n    {kwargs}\n"
    )


class Loader(yaml.SafeLoader):
    """Reads the short forms of intrinsic functions as (tag, value)."""


def _intrinsic(loader: Any, suffix: str, node: Any) -> Any:
    match node:
        case yaml.ScalarNode():
            return (suffix, loader.construct_scalar(node))
        case _:
            return (suffix, *loader.construct_sequence(node, deep=True))


Loader.add_multi_constructor("!", _intrinsic)


def read(text: str) -> Mapping[str, Any]:
    document: Mapping[str, Any] = yaml.load(text, Loader=Loader)
    return document


def lint(*files: Path) -> "subprocess.CompletedProcess[str]":
    """cfn-lint's errors and warnings: it reads no network."""
    program = Path(sys.executable).with_name("cfn-lint")
    command: list[str | Path] = [program, "--non-zero-exit-code", "warning", *files]
    return subprocess.run(command, capture_output=True, text=True, check=False)


VARIANTS = {"small": SMALL, "wide": WIDE}


@pytest.mark.slow
def test_the_linter_of_cloudformation_has_nothing_to_say(tmp_path: Path) -> None:
    files = []
    for variant, text in VARIANTS.items():
        made = setup(text, tmp_path)
        for name, concern in CONCERNS.items():
            body = render_template(concern.build(made))
            assert body == render_template(concern.build(made))
            files.append(tmp_path / f"{variant}-{name}.yaml")
            files[-1].write_text(body)
    # One in which every name is wrong goes along: CloudFormation's schema of each type is known.
    broken = misspelt([each.build(setup(SMALL, tmp_path)) for each in CONCERNS.values()])
    (tmp_path / "broken.yaml").write_text(render_template(broken))
    done = lint(*files, tmp_path / "broken.yaml")
    assert [file.name for file in files if file.name in done.stdout] == []
    for resource in broken.resources.values():
        for name in resource.properties:
            assert f"'{name}' was unexpected" in done.stdout, (resource.kind, name)


def misspelt(templates: Sequence[Template]) -> Template:
    """One resource of every type there is, all its properties called otherwise."""
    resources = {
        each.kind: replace(
            each, properties={f"{key}x": held for key, held in each.properties.items()}
        )
        for template in templates
        for each in template.resources.values()
    }
    return Template(
        name="misspelt",
        description="no name of a property is right",
        parameters={key: each for made in templates for key, each in made.parameters.items()},
        conditions={key: each for made in templates for key, each in made.conditions.items()},
        resources={re.sub(r"\W", "", kind): each for kind, each in resources.items()},
    )


def test_the_page_is_made_from_the_table(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    text = render_page(setup(SMALL, tmp_path))
    if request.config.getoption("--update-golden"):
        PAGE.write_text(text, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == text


def test_builds_run_the_buildspec_that_stands_at_the_root() -> None:
    assert buildspec() == (ROOT / "buildspec.yml").read_text(encoding="utf-8")


def test_the_page_has_every_parameter_that_the_project_file_does_not_say(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "bootstrap.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[^|]+) \| ([^|]+) \|", page.split("## Parameters")[1], re.MULTILINE)
    told = {
        (name, template)
        for names, of in rows
        for name in re.findall(r"`(\w+)`", names)
        for template in (
            set(CONCERNS) - {"events"} if "all but" in of else of.strip("`").split("`, `")
        )
    }
    made = setup(SMALL, tmp_path)
    taken = {
        (name, template)
        for template, concern in CONCERNS.items()
        for name, parameter in concern.build(made).parameters.items()
        if not parameter.settled
    }
    assert told == taken


def test_the_function_is_the_one_that_is_packaged(tmp_path: Path) -> None:
    document = read(render_template(CONCERNS["lambda"].build(setup(WIDE, tmp_path))))
    functions = {
        name: each["Properties"]
        for name, each in document["Resources"].items()
        if each["Type"] == "AWS::Lambda::Function"
    }
    assert set(functions) == {"MainFunction", "StagingFunction"}
    for name, each in functions.items():
        assert each["Handler"] == HANDLER
        assert each["Role"] == ("GetAtt", name.replace("Function", "Role.Arn"))
        assert set(each["Environment"]["Variables"]) == {PLACES}
    parameters = document["Parameters"]
    assert tuple(parameters["Runtime"]["AllowedValues"]) == RUNTIMES
    assert parameters["Architecture"]["AllowedValues"] == list(Architecture)
    (trust,) = document["Resources"]["MainRole"]["Properties"]["AssumeRolePolicyDocument"][
        "Statement"
    ]
    assert trust["Principal"] == {"Service": ["lambda.amazonaws.com"]}


def test_codepipeline_invokes_the_function_with_settings_it_takes(tmp_path: Path) -> None:
    document = read(render_template(CONCERNS["codepipeline"].build(setup(SMALL, tmp_path))))
    stages = document["Resources"]["Pipeline"]["Properties"]["Stages"]
    _, condition, invoked, built = stages[2]["Actions"][0]
    assert (condition, built["ActionTypeId"]["Provider"]) == ("HasFunction", "CodeBuild")
    assert invoked["ActionTypeId"]["Provider"] == "Lambda"
    _, _, (_, parameters), _ = invoked["Configuration"]["UserParameters"]
    values = {"${Name}": "mlops", "#{SourceVariables.CommitId}": "c" * 40}
    values |= {"#{SourceVariables.FullRepositoryName}": "acme/mlops"}
    values |= {"#{SourceVariables.BranchName}": "main"}
    values |= {"#{codepipeline.PipelineExecutionId}": str(uuid.UUID(int=1))}
    for variable, value in values.items():
        assert variable in parameters
        parameters = parameters.replace(variable, value)
    settings = parse_settings(parameters)
    assert (settings.pipeline, settings.branch, settings.commit) == ("mlops", "main", "c" * 40)
    # What the plan's build hands on is what the function is told to apply.
    _, _, plan, _ = stages[1]
    (planned,) = plan["Actions"]
    assert planned["OutputArtifacts"] == [{"Name": settings.plan}]
    assert ("If", "HasPlan", {"Name": settings.plan}, ("Ref", "AWS::NoValue")) in invoked[
        "InputArtifacts"
    ]
    told = json.loads(planned["Configuration"]["EnvironmentVariables"])
    variables = {each["name"]: each["value"] for each in told}
    assert variables["SAGEMAKER_GITOPS_COMMAND"] == "plan"
    handed_on = yaml.safe_load(plan_buildspec())["artifacts"]
    assert variables["SAGEMAKER_GITOPS_ARGS"] == f"--out {handed_on['base-directory']}"


def test_who_may_assume_which_role(tmp_path: Path) -> None:
    document = read(render_template(CONCERNS["github-oidc"].build(setup(WIDE, tmp_path))))
    subjects = {}
    for name, resource in document["Resources"].items():
        if name.endswith("Role"):
            (statement,) = resource["Properties"]["AssumeRolePolicyDocument"]["Statement"]
            equals = statement["Condition"]["StringEquals"]
            assert equals["token.actions.githubusercontent.com:aud"] == "sts.amazonaws.com"
            subjects[name] = equals["token.actions.githubusercontent.com:sub"]
            assert "*" not in str(subjects[name])
    branch = ("Sub", "repo:${Repository}:ref:refs/heads/${DefaultBranch}")
    pull_request = ("Sub", "repo:${Repository}:pull_request")
    guarded = ("Sub", "repo:${Repository}:environment:${MainEnvironment}")
    reviewed = ("Sub", "repo:${Repository}:environment:${ReviewEnvironment}")
    chat = ("Sub", "repo:${Repository}:environment:sagemaker-pull-request")
    assert subjects == {
        "PlanRole": [pull_request, branch],
        "MainRole": [
            ("If", "HasMainEnvironment", guarded, branch),
            ("If", "HasReviewEnvironment", reviewed, ("Ref", "AWS::NoValue")),
        ],
        "StagingRole": [("Sub", "repo:${Repository}:environment:staging")],
        "PullRequestRole": [pull_request, chat],
    }
    for name in ("MainEnvironment", "ReviewEnvironment"):
        pattern = document["Parameters"][name]["AllowedPattern"]
        assert re.fullmatch(pattern, "sagemaker-pull-request") is None
        assert re.fullmatch(pattern, "")
        assert re.fullmatch(pattern, "sagemaker-pull-requests")
    clash = WIDE.replace("  staging:", "  sagemaker-pull-request:")
    with pytest.raises(ProjectError, match="no environment may be called"):
        CONCERNS["github-oidc"].build(setup(clash, tmp_path))


def test_names_of_environments_and_regions_narrow_each_role(tmp_path: Path) -> None:
    made = setup(WIDE, tmp_path)
    roles = {each.name: each for each in made.roles}
    assert list(roles) == ["plan", "main", "pull-request", "staging"]
    assert roles["main"].own.pipelines == ("Churn-Model", "fraud")
    assert roles["staging"].own.pipelines == ("Churn-Model-staging", "fraud-staging")
    assert roles["staging"].own.regions == ("us-west-2",)
    assert roles["staging"].own.execution_roles == ("arn:aws:iam::123456789012:role/staging",)
    assert roles["pull-request"].duty is Duty.PULL_REQUEST
    writes = next(each for each in statements_of(roles["main"]) if each.sid == "WritePipeline")
    assert {each.rpartition("/")[2] for each in writes.resources} == {
        "Churn-Model",
        "churn-model",
        "fraud",
    }


def test_what_the_forge_needs_of_aws_is_allowed_where_it_needs_it(tmp_path: Path) -> None:
    def sids(more: str) -> dict[str, tuple[str, ...]]:
        made = setup(SMALL + more, tmp_path)
        return {each.sid: each.resources for each in statements_of(made.roles[1])}

    here = "${AWS::Partition}"
    assert not {"ReadSecret", "ReadParameter", "ReadRepository"} & set(sids(""))
    secret = sids("forge: {kind: gitlab, token: {secret: forge/token}}\n")["ReadSecret"]
    place = "eu-west-1:${AWS::AccountId}"
    assert secret == (f"arn:{here}:secretsmanager:{place}:secret:forge/token-*",)
    parameter = sids("forge: {kind: gitlab, token: {parameter: /forge/token}}\n")["ReadParameter"]
    assert parameter == (f"arn:{here}:ssm:{place}:parameter/forge/token",)
    made = sids("forge: {kind: codecommit}\n")
    assert made["ReadRepository"] == (f"arn:{here}:codecommit:{place}:mlops",)


def test_what_cannot_be_made_narrow_is_told(tmp_path: Path) -> None:
    remarks = "\n".join(setup(WIDE, tmp_path).remarks)
    assert "`pull_request` has no role" in remarks
    assert "`pull_request` names no model package group" in remarks
    assert "may touch 'fraud' of `main`" not in remarks
    assert setup(SMALL, tmp_path).remarks == ()
    clash = SMALL.replace("abalone-pr-{pull_request}", "abalone{pull_request}")
    assert "may touch 'abalone' of `main`" in "\n".join(setup(clash, tmp_path).remarks)


@pytest.mark.parametrize(
    ("line", "doubt"),
    [
        ('parameters: {RunTag: "p{pull_request}"}', "`RunTag: p{pull_request}`"),
        ('parameters: {RunTag: "abalone-{pull_request}"}', "speaks of no group"),
        ('kwargs: {group: "p{pull_request}"}', "names of others could begin like this"),
        ('kwargs: {group: "{pull_request}-abalone"}', "names of others could begin like this"),
        ('endpoint: "p{pull_request}"', "names of others could begin like this"),
    ],
)
def test_a_name_that_others_could_have_is_granted_to_nobody(
    line: str, doubt: str, tmp_path: Path
) -> None:
    head = SMALL.partition("    kwargs:")[0]
    made = setup(f"{head}    {line}\n", tmp_path)
    (role,) = [each for each in made.roles if each.duty is Duty.PULL_REQUEST]
    assert role.own.groups == role.own.hosted == ()
    assert doubt in "\n".join(made.remarks)


def test_a_project_that_no_role_can_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="and IAM attaches 10 to a role") as caught:
        CONCERNS["github-oidc"].build(setup(many(100), tmp_path))
    assert "--project-file and a --name of its own" in (caught.value.fix or "")


@pytest.mark.parametrize(("count", "most"), [(1, 1), (20, 4), (50, 9)])
def test_policies_fit_into_what_iam_takes(count: int, most: int, tmp_path: Path) -> None:
    made = setup(many(count), tmp_path)
    for need in (*made.roles, *made.functions):
        policies = pack(compact(statements_of(need)))
        assert all(sum(map(size_of, each)) <= LARGEST_POLICY for each in policies)
        assert len(policies) <= most < MOST_POLICIES
        sids = [statement.sid for policy in policies for statement in policy]
        assert len(set(sids)) == len(sids)
    for concern in CONCERNS.values():
        concern.build(made)


RESOURCES = st.lists(st.text("abc*:/", min_size=1, max_size=60), min_size=1, max_size=40)


@given(st.lists(RESOURCES, max_size=12), st.integers(400, 2000))
def test_packing_loses_and_doubles_nothing(lists: list[list[str]], limit: int) -> None:
    statements = [
        Statement(sid=f"S{number}", actions=("a:B",), resources=tuple(each))
        for number, each in enumerate(lists)
    ]
    policies = pack(statements, limit=limit)
    found = [
        (each.sid[:2], arn) for policy in policies for each in policy for arn in each.resources
    ]
    assert sorted(arn for _, arn in found) == sorted(arn for each in lists for arn in each)
    assert all(policies)
    for policy in policies:
        assert sum(map(size_of, policy)) <= limit or len(policy) == 1


@given(st.text(max_size=80))
def test_any_repository_gives_a_name_that_resources_can_have(text: str) -> None:
    assert re.fullmatch(r"[a-z]([a-z0-9-]{0,30}[a-z0-9])?", default_name(text))


def test_a_name_begins_as_stacks_may() -> None:
    assert default_name("acme/ML ops") == "ml-ops"
    assert default_name("acme/3d_models") == "sagemaker-3d-models"
    assert default_name("acme/..") == "sagemaker-gitops"
