"""What `main` has of a pipeline: its name there, and the parameters that it runs with, for a report
to tell which of its own differ."""

from ci.definition.model import Definition
from ci.definition.parse import parse_definition
from ci.delivery.account import effective_parameters
from ci.errors import GitOpsError
from ci.execution.identity import parameter_text
from ci.project.target import deployed_name
from ci.sagemaker.adapter import SageMaker
from ci.session.job import Job
from ci.session.session import MAIN, Session


def main_parameters(session: Session, adapter: SageMaker, job: Job) -> dict[str, str] | None:
    """None where this run is of `main` itself. Values are the project file's over the defaults of
    the pipeline that is deployed there; where that cannot be read, over this run's own defaults.
    """
    if session.environment == MAIN:
        return None
    main = session.project.environments[MAIN].parameters
    given = {**job.target.pipeline.parameters, **main}
    texts = {name: parameter_text(value) for name, value in given.items()}
    return effective_parameters(_deployed(session, adapter, job) or job.definition, texts)


def main_pipeline(session: Session, job: Job) -> str | None:
    """The name of the deployed pipeline on `main`; None where this run cannot tell it."""
    try:
        main = session.project.environments[MAIN]
        return deployed_name(job.target.pipeline, main, session.trigger)
    except GitOpsError:
        return None


def _deployed(session: Session, adapter: SageMaker, job: Job) -> Definition | None:
    """The definition that main runs; None where it is in another account or region, not there, or
    not to be read."""
    project, target = session.project, job.target
    main = project.environments[MAIN]
    role, region = main.role or project.role, main.region or project.region
    if (role and role.split(":")[4] != target.account) or (region and region != target.region):
        return None
    try:
        name = deployed_name(target.pipeline, main, session.trigger)
        found = adapter.pipelines.find(name)
        return None if found is None else parse_definition(found.definition, where=name)
    except GitOpsError:
        return None
