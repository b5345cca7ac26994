"""Whose token GitHub gives to each job of the examples, and which role trusts it.

The subject follows from the event, the branch and the job's environment (GitHub Docs, "OpenID
Connect reference"); who trusts it from the template that `bootstrap` deploys.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from ci.bootstrap.scope import plan_setup
from ci.bootstrap.template import NO_VALUE, If, Sub
from ci.bootstrap.templates import CONCERNS
from ci.project.load import load_project

EXAMPLES = Path(__file__).parents[2] / "examples" / "github"
MAIN = "${{ vars.SAGEMAKER_GITOPS_MAIN_ROLE }}"
PULL_REQUEST = "${{ vars.SAGEMAKER_GITOPS_PULL_REQUEST_ROLE }}"
ROLES = {MAIN: "MainRole", PULL_REQUEST: "PullRequestRole"}
VARIABLE = "${{ vars.SAGEMAKER_GITOPS_MAIN_ENVIRONMENT }}"
PROJECT = """
version: 1
region: eu-west-1
pipelines: {abalone: {definition: definition.json, model_package_group: abalone}}
environments: {staging: {}, pull_request: {kwargs: {group: "abalone-pr-{pull_request}"}}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job that assumes a role. `fetches` says that it checks out what the event does not tell
    to be the default branch's."""

    id: str
    event: str
    role: str
    environment: str
    fetches: bool

    def subject(self, main: str) -> str:
        """`main` is the value of the variable that names main's environment."""
        environment = self.environment.replace(VARIABLE, main)
        if environment:
            return f"repo:acme/mlops:environment:{environment}"
        if self.event == "pull_request":
            return "repo:acme/mlops:pull_request"
        return "repo:acme/mlops:ref:refs/heads/main"


def jobs() -> list[Job]:
    found = []
    for file in sorted(EXAMPLES.glob("*.yml")):
        workflow: Mapping[Any, Any] = yaml.safe_load(file.read_text())
        for name, job in workflow["jobs"].items():
            given = [step.get("with", {}) for step in job["steps"]]
            roles = [each["role-to-assume"] for each in given if "role-to-assume" in each]
            refs = [str(each.get("ref", "${{ github.sha }}")) for each in given]
            found += [
                Job(
                    id=f"{file.stem}-{name}-{event}",
                    event=event,
                    role=ROLES[role],
                    environment=job.get("environment", ""),
                    fetches=any(ref != "${{ github.sha }}" for ref in refs),
                )
                for role in roles
                for event in workflow[True]
            ]
    return found


JOBS = jobs()


def trusted(folder: Path, **parameters: str) -> dict[str, list[str]]:
    """The subjects that each role trusts, as CloudFormation fills them in."""
    (folder / "definition.json").write_text("{}")
    (folder / "sagemaker-gitops.yaml").write_text(PROJECT)
    setup = plan_setup(
        load_project(folder / "sagemaker-gitops.yaml"),
        repository="acme/mlops",
        default_branch="main",
    )
    values = {"Repository": "acme/mlops", "DefaultBranch": "main", **parameters}

    def filled(value: object) -> str | None:
        match value:
            case If():
                name = value.condition.removeprefix("Has")
                return filled(value.then if values.get(name) else value.otherwise)
            case Sub():
                text = value.text
                for name, each in values.items():
                    text = text.replace(f"${{{name}}}", each)
                assert "${" not in text
                return text
        assert value is NO_VALUE
        return None

    found = {}
    for name, resource in CONCERNS["github-oidc"].build(setup).resources.items():
        if name.endswith("Role"):
            document: Any = resource.properties["AssumeRolePolicyDocument"]
            (statement,) = document["Statement"]
            subjects = statement["Condition"]["StringEquals"][
                "token.actions.githubusercontent.com:sub"
            ]
            found[name] = [text for each in subjects if (text := filled(each)) is not None]
    return found


@pytest.mark.parametrize("main", ["", "deploys"])
@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.id)
def test_a_job_is_trusted_by_the_role_that_it_names(tmp_path: Path, job: Job, main: str) -> None:
    roles = trusted(tmp_path, MainEnvironment=main, ReviewEnvironment="production")
    subject = job.subject(main)
    trusting = {name for name, subjects in roles.items() if subject in subjects}
    # The role that plans only reads, and may be everybody's.
    assert trusting - {"PlanRole"} == {job.role}
    assert job.role != "MainRole" or not job.fetches


def test_code_of_a_pull_request_has_never_the_subject_of_main(tmp_path: Path) -> None:
    """Whatever the parameters are: the jobs that check out what a pull request brings."""
    foreign = [job for job in JOBS if job.fetches]
    assert {job.id.rpartition("-")[0] for job in foreign} >= {"chat-run", "closed-cleanup"}
    for main in ("", "deploys"):
        for review in ("", "production"):
            roles = trusted(tmp_path, MainEnvironment=main, ReviewEnvironment=review)
            for job in foreign:
                trusting = {name for name, held in roles.items() if job.subject(main) in held}
                assert trusting & {"MainRole", "StagingRole"} == set(), job.id
