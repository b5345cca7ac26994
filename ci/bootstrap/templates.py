"""The templates there are, by the order in which they are deployed: one concern each, so that a
team owns what it needs and leaves the rest."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ci.bootstrap import artifacts, codebuild, codepipeline, events, execution, function, github
from ci.bootstrap.model import Setup
from ci.bootstrap.template import Template


@dataclass(frozen=True, slots=True, kw_only=True)
class Concern:
    """A template, and what it is for in one line. `usual`: made where none is named."""

    build: Callable[[Setup], Template]
    summary: str
    usual: bool = False


CONCERNS: Mapping[str, Concern] = {
    artifacts.NAME: Concern(
        build=artifacts.artifacts_template,
        summary="the bucket of artifacts: private, encrypted, by TLS alone",
        usual=True,
    ),
    execution.NAME: Concern(
        build=execution.execution_template,
        summary="the role that pipelines run as: the least the reference pipeline needs",
    ),
    github.NAME: Concern(
        build=github.github_template,
        summary="GitHub's OIDC provider, and a role for plans and for each environment",
        usual=True,
    ),
    events.NAME: Concern(
        build=events.events_template,
        summary="SageMaker's events to a queue; approvals to a build or to GitHub",
        usual=True,
    ),
    codebuild.NAME: Concern(
        build=codebuild.codebuild_template,
        summary="a CodeBuild project for each environment, with webhooks",
    ),
    function.NAME: Concern(
        build=function.lambda_template,
        summary="the Lambda function that CodePipeline invokes, and the rules of approvals",
    ),
    codepipeline.NAME: Concern(
        build=codepipeline.codepipeline_template,
        summary="a CodePipeline that takes the default branch through CodeBuild or the function",
    ),
}
USUAL = tuple(name for name, concern in CONCERNS.items() if concern.usual)
