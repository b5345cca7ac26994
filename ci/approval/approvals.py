"""Brings a decision on a model package home: to the endpoint, where the environment asks for it,
and to the pull request's comment.

Whoever decided, and wherever: the package is read, never the event that told of it. What it says
of its execution is held against that execution, and everything may be done twice.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from ci.approval.calling import Call, deploying_step, make_call
from ci.approval.consequence import Consequence, asks_for_more, choose_consequence
from ci.definition.parse import parse_definition
from ci.delivery.evidence import Waiting, settled_endpoint
from ci.delivery.pickup import pick_up
from ci.errors import AwsError, ExitCode, GitOpsError, UsageError
from ci.execution.ownership import PULL_REQUEST, owner_tags, same_owner
from ci.metrics.facts import EndpointFact
from ci.registry.decisions import ELSEWHERE, keep_decision, read_decision
from ci.registry.packages import champion, read_provenance, safe_metadata
from ci.sagemaker.adapter import SageMaker
from ci.sagemaker.arn import region_of, resource_name
from ci.sagemaker.model import ApprovalStatus, ModelPackage
from ci.session.job import Job
from ci.session.session import Session

_NOT_FOUND = frozenset({"ResourceNotFound", "ResourceNotFoundException"})


class NotServed(GitOpsError):
    """The endpoint does not serve what the environment wants it to."""

    exit_code = ExitCode.FAILED


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Aftermath:
    """What came of a decision: `notes` for the report, and what kept the environment's wish from
    coming true."""

    notes: tuple[str, ...] = ()
    error: GitOpsError | None = None


def find_subject(session: Session, package_arn: str, *, now: datetime) -> Subject | Foreign:
    """The package with all that it is of. Who decided elsewhere is kept with it on the way."""
    adapter = session.adapter(region_of(package_arn) or "")
    try:
        package = adapter.packages.describe(package_arn)
    except AwsError as error:
        if error.code == "ValidationException":
            return Foreign(package=package_arn, reason="it is gone")
        raise
    reason = _foreign(session, package)
    if reason is not None:
        return Foreign(package=package_arn, reason=reason)
    execution = _provenance_execution(package)
    try:
        picked, job = pick_up(session, adapter, execution)
    except UsageError as error:
        return Foreign(package=package_arn, reason=error.what)
    except AwsError as error:
        if error.code in _NOT_FOUND:
            return Foreign(package=package_arn, reason=f"its execution {execution} is gone")
        raise
    registered = [
        step.job
        for step in adapter.executions.snapshot(execution).steps
        if step.kind == "RegisterModel" and step.job
    ]
    if package.arn not in registered[-1:]:
        return Foreign(
            package=package_arn, reason=f"its execution {execution} did not register it last"
        )
    kept = keep_decision(adapter.packages, package, now=now)
    return Subject(session=picked, job=job, package=kept, execution=execution)


def follow_up(subject: Subject, *, waiting: Waiting, tell: Callable[[str], None]) -> Aftermath:
    """Deploy or roll back where the environment asks for it, and read the endpoint back. What
    fails is kept, so that the report comes first."""
    package, environment = subject.package, subject.job.target.environment
    if not asks_for_more(environment, package):
        return Aftermath(notes=_notes(package, None))
    endpoint: EndpointFact | None = None
    try:
        endpoint = _endpoint(subject, waiting)
        consequence = choose_consequence(
            environment, package, newest=_newest(subject), endpoint=endpoint
        )
        tell(f"{_name(package)} is {package.approval}: {consequence.act}, {consequence.reason}")
        if consequence.package is not None:
            endpoint = _perform(subject, consequence.package, waiting, tell)
        return Aftermath(
            notes=(*_notes(package, endpoint), *_remarks(consequence)),
            error=_missing(consequence, endpoint),
        )
    except (AwsError, UsageError) as error:
        return Aftermath(notes=(*_notes(package, endpoint), _told(error)), error=error)


def _foreign(session: Session, package: ModelPackage) -> str | None:
    """What shows that another project made the package, None where nothing does."""
    provenance = read_provenance(package)
    if provenance is None:
        return "its metadata names no execution of sagemaker-gitops"
    ours = session.trigger.repository
    if ours is None or provenance.repository is None:
        return None
    # Stored names have lost what the API does not take.
    stored = safe_metadata({"repository": ours})["repository"]
    if provenance.repository.lower() != stored.lower():
        return f"it was made by {provenance.repository}"
    return None


def _provenance_execution(package: ModelPackage) -> str:
    provenance = read_provenance(package)
    if provenance is None:
        raise ValueError("asked for the execution of a package that names none")
    return provenance.execution


def _endpoint(subject: Subject, waiting: Waiting) -> EndpointFact | None:
    name = subject.job.target.pipeline.endpoint
    return None if name is None else settled_endpoint(subject.adapter, name, waiting=waiting)


def _newest(subject: Subject) -> ModelPackage | None:
    packages = subject.adapter.packages
    return champion(packages, subject.package.group, challenger=None, before=None)


def _perform(
    subject: Subject, package: ModelPackage, waiting: Waiting, tell: Callable[[str], None]
) -> EndpointFact | None:
    """Call the function that deploys `package`; the endpoint as it is afterwards. A call that
    fails is forgiven where the endpoint serves the package all the same: the same decision may be
    brought home twice at the same moment, and one of the two finds the endpoint busy."""
    call = _call(subject, package)
    _refuse_others_function(subject, call)
    tell(f"Calling {call.function} as step {call.step} would, for {_name(package)}")
    try:
        tell(f"It answers: {subject.adapter.functions.invoke(call.function, call.inputs)[:500]}")
    except AwsError as error:
        endpoint = _endpoint(subject, waiting)
        if endpoint is None or not serves(endpoint, package):
            raise
        tell(f"It failed, and the endpoint serves {_name(package)}: {error.what}")
        return endpoint
    return _endpoint(subject, waiting)


def _call(subject: Subject, package: ModelPackage) -> Call:
    """As the execution that registered `package` had it; the subject's own where there is none
    any more."""
    provenance = read_provenance(package)
    if provenance is not None and provenance.execution != subject.execution:
        try:
            return _call_of(subject, provenance.execution, package)
        except AwsError as error:
            if error.code not in _NOT_FOUND:
                raise
    return _call_of(subject, subject.execution, package)


def _call_of(subject: Subject, execution: str, package: ModelPackage) -> Call:
    executions = subject.adapter.executions
    definition = parse_definition(executions.definition(execution), where=execution)
    return make_call(
        definition,
        deploying_step(definition, where=execution),
        execution=execution,
        package=package.arn,
        parameters=executions.parameters(execution),
    )


def _refuse_others_function(subject: Subject, call: Call) -> None:
    """A pull request's own definition says which function is called: it must be its own."""
    owner = owner_tags(subject.job.target.tags)
    if PULL_REQUEST not in owner:
        return
    name = resource_name(call.function)
    held: Mapping[str, str] | None = subject.adapter.functions.tags(name)
    if held is not None and not same_owner(held, owner):
        raise UsageError(
            f"the function {name} is not pull request {owner[PULL_REQUEST]}'s own:"
            " it is not called",
            where=call.function,
            fix="Give the pull request's function a name of its own, or on_approved: nothing.",
        )


def _missing(consequence: Consequence, endpoint: EndpointFact | None) -> GitOpsError | None:
    wanted = consequence.package
    if consequence.missed:
        return UsageError(consequence.reason)
    if wanted is None or (endpoint is not None and serves(endpoint, wanted)):
        return None
    shown = "missing" if endpoint is None else endpoint.status
    why = endpoint.failure_reason if endpoint is not None else None
    return NotServed(
        f"The endpoint does not serve {_name(wanted)}: it is {shown}",
        where=None if endpoint is None else endpoint.name,
        why=why,
        fix=f"sagemaker-gitops approvals sync {wanted.arn}",
    )


def serves(endpoint: EndpointFact, package: ModelPackage) -> bool:
    return endpoint.status == "InService" and endpoint.package == package.arn


def _remarks(consequence: Consequence) -> tuple[str, ...]:
    return (f"Left as it is: {consequence.reason}.",) if consequence.told else ()


def _notes(package: ModelPackage, endpoint: EndpointFact | None) -> tuple[str, ...]:
    """Who decided, and what the endpoint serves: as it was read, so that the same state of things
    gives the same words."""
    decided = read_decision(package)
    if decided is None:
        return ()
    place = "in SageMaker" if decided.place == ELSEWHERE else f"on {decided.place}"
    text = f"{package.approval} by {decided.actor} {place}, {decided.at}"
    if endpoint is None:
        return (f"{text}.",)
    if package.approval is ApprovalStatus.APPROVED and serves(endpoint, package):
        return (f"{text}; deployed to the endpoint {endpoint.name}.",)
    served = endpoint.package or "no model package"
    version = served.rpartition(":model-package/")[2].replace("/", " v")
    return (f"{text}; the endpoint {endpoint.name} serves {version}.",)


def _told(error: GitOpsError) -> str:
    return f"What was to follow failed: {error.what}" + (f": {error.why}" if error.why else ".")


def _name(package: ModelPackage) -> str:
    return f"{package.group} v{package.version}"
