"""Decides whether a model package is this project's, and which job it is of.

A package that nobody stamped (its job ended early: detached, a deadline, a runner that was killed)
is stamped here, once the execution that registered it has been found.
"""

from dataclasses import dataclass, replace

from ci.approval.origin import Origin, Unknown, find_origin
from ci.delivery.pickup import pick_up
from ci.errors import AwsError, UsageError
from ci.project.target import is_isolated
from ci.registry.decisions import ApprovalError
from ci.registry.packages import read_provenance, safe_metadata, stamp_package
from ci.sagemaker.adapter import SageMaker
from ci.sagemaker.arn import region_of
from ci.sagemaker.model import ModelPackage
from ci.sagemaker.retry import is_gone
from ci.session.job import Job
from ci.session.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A package, the execution that registered it, and the job which that was of. The session is
    as it was for that job."""

    session: Session
    job: Job
    package: ModelPackage
    execution: str

    @property
    def adapter(self) -> SageMaker:
        return self.session.adapter(self.job.target.region)


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """A package that is not this project's to follow; `reason` says why."""

    package: str
    reason: str


def find_subject(session: Session, package_arn: str) -> Subject | Foreign:
    """The package with all that it is of."""
    adapter = session.adapter(region_of(package_arn) or "")
    package = adapter.packages.find(package_arn)
    if package is None:
        return Foreign(package=package_arn, reason="it is gone")
    found = _subject(session, adapter, package)
    return Foreign(package=package_arn, reason=found) if isinstance(found, str) else found


def refuse_elsewhere(
    subject: Subject, *, environment: str | None, pull_request: int | None
) -> None:
    """ApprovalError where the package is of another environment or pull request than those that a
    decision names: it would be kept as something that nobody has meant."""
    place, made = subject.job.target.environment, subject.session.trigger.pull_request
    if environment and environment != place.name:
        of, named = f"environment {place.name}", environment
    elif is_isolated(place) and None not in {made, pull_request} and made != pull_request:
        of, named = f"pull request {made}", str(pull_request)
    else:
        return
    raise ApprovalError(
        f"The package is of {of}, not {named}: nothing was changed", where=subject.package.arn
    )


def _subject(session: Session, adapter: SageMaker, package: ModelPackage) -> Subject | str:
    """Or why it is none. Nothing is written before all of it is shown."""
    made = read_provenance(package)
    stranger = _stranger(session, made.repository if made else None)
    if stranger is not None:
        return stranger
    origin = find_origin(session, adapter, package)
    if isinstance(origin, Unknown):
        return origin.reason
    explained = _explain(session, adapter, origin)
    if isinstance(explained, str):
        return explained
    if made is None:
        package = _stamped(adapter, package, origin)
    picked, job = explained
    return Subject(session=picked, job=job, package=package, execution=origin.execution)


def _explain(session: Session, adapter: SageMaker, origin: Origin) -> tuple[Session, Job] | str:
    """The job of an execution of this project, and the session as it was for it."""
    record = origin.record
    stranger = _stranger(session, record.repository)
    if stranger is not None:
        return stranger
    if record.environment not in session.project.environments:
        return f"the project file has no environment {record.environment}"
    try:
        return pick_up(session, adapter, origin.execution)
    except UsageError as error:
        return error.what
    except AwsError as error:
        if is_gone(error):
            return f"its execution {origin.execution} is gone"
        raise


def _stranger(session: Session, made_by: str | None) -> str | None:
    """What shows that another repository made it, None where nothing does."""
    ours = session.trigger.repository
    if ours is None or made_by is None:
        return None
    # Stored names have lost what the API does not take.
    stored = [safe_metadata({"": name})[""].lower() for name in (ours, made_by)]
    return f"it was made by {made_by}: run this there" if stored[0] != stored[1] else None


def _stamped(adapter: SageMaker, package: ModelPackage, origin: Origin) -> ModelPackage:
    """Who changed it last stays whom SageMaker named before this."""
    stamp_package(adapter.packages, package.arn, origin.provenance)
    after = adapter.packages.describe(package.arn)
    return replace(after, modified=package.modified, modified_by=package.modified_by)
