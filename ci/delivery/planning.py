"""What a commit changes. On a pull request: what merging it would change on `main`."""

from collections.abc import Mapping
from dataclasses import replace

from ci.compile.bundle import Bundle
from ci.compile.compile import compile_pipeline
from ci.delivery.job import Job
from ci.delivery.session import Session
from ci.errors import AwsError
from ci.execution.start import TAG
from ci.plan.diff import plan_changes
from ci.plan.model import Files, Plan
from ci.plan.render import render_markdown
from ci.plan.states import deployed_state, wanted_state
from ci.plan.words import summary
from ci.project.model import Target
from ci.report.model import PlanSection
from ci.sagemaker.adapter import SageMaker
from ci.sagemaker.model import DeployedPipeline

MAIN = "main"
PULL_REQUEST = "pull_request"
_LARGEST_FOLDER = 200  # files of one artifact that are read for a diff


def plan_job(session: Session, adapter: SageMaker, job: Job) -> Plan:
    """A pull request runs apart from production, so its own target is compiled once more as
    `main` would have it; any other job is planned as it is."""
    if session.environment != PULL_REQUEST:
        return plan_against_deployed(adapter, job.target, job.bundle)
    target = replace(session, environment=MAIN).target(job.name)
    bundle = compile_pipeline(target, environ=session.environ, root=session.project.root)
    return plan_against_deployed(adapter, target, bundle)


def plan_against_deployed(adapter: SageMaker, target: Target, bundle: Bundle) -> Plan:
    """The plan for one target. This program's own tags change with every commit: left out."""
    deployed = adapter.pipelines.find(target.pipeline_name)
    return plan_changes(
        wanted_state(bundle, role=target.role, tags=_foreign(target.tags)),
        None if deployed is None else deployed_state(_without_own(deployed), files=_files(adapter)),
        pipeline=target.pipeline_name,
        volatile=bundle.volatile,
    )


def describe_plan(plan: Plan) -> PlanSection:
    """The plan as a report carries it. A terminal gets the headline: `plan` shows it whole."""
    markdown = "" if plan.empty else render_markdown(plan)
    return PlanSection(headline=summary(plan), markdown=markdown)


def _without_own(deployed: DeployedPipeline) -> DeployedPipeline:
    return replace(deployed, tags=_foreign(deployed.tags))


def _foreign(tags: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in tags.items() if not key.startswith(TAG)}


def _files(adapter: SageMaker) -> Files:
    """Reads deployed artifacts from S3. What cannot be read is told in the plan as out of reach:
    a reviewer's role need not see the bucket."""

    def read(address: str) -> Mapping[str, bytes] | None:
        root = address.rstrip("/") + "/"
        try:
            uris = list(adapter.artifacts.keys(root))[: _LARGEST_FOLDER + 1]
            if not uris or len(uris) > _LARGEST_FOLDER:
                return None
            return {uri.removeprefix(root): adapter.artifacts.read(uri) for uri in uris}
        except AwsError:
            return None

    return read
