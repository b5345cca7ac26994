"""Brings a decision on a model package home to the endpoint, where the environment asks for it.

Whoever decided, and wherever: the package is read, never the event that told of it. Registry and
endpoint are read anew after every wait and once more right before the call, and everything may be
done twice.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice

from ci.approval.calling import Call, deploying_step, make_call
from ci.approval.consequence import Consequence, asks_for_more, choose_consequence
from ci.approval.origin import of_pipeline
from ci.approval.subject import Subject
from ci.definition.parse import parse_definition
from ci.delivery.evidence import Waiting, settled_endpoint
from ci.errors import AwsError, ExitCode, GitOpsError, UsageError
from ci.execution.ownership import PULL_REQUEST, owner_tags, same_owner
from ci.metrics.facts import EndpointFact
from ci.registry.decisions import BY_COMMAND, read_decision
from ci.registry.elsewhere import ELSEWHERE
from ci.registry.packages import MOST_APPROVED
from ci.sagemaker.arn import resource_name
from ci.sagemaker.model import ApprovalStatus, ModelPackage

# How often it is decided anew because registry or endpoint changed meanwhile.
_MOST_TURNS = 5


class NotServed(GitOpsError):
    """The endpoint does not serve what the environment wants it to."""

    exit_code = ExitCode.FAILED


@dataclass(frozen=True, slots=True, kw_only=True)
class Aftermath:
    """What came of a decision: `package` as it was read last, `notes` for the report, and what kept
    the environment's wish from coming true."""

    package: ModelPackage
    notes: tuple[str, ...] = ()
    error: GitOpsError | None = None


def follow_up(subject: Subject, *, waiting: Waiting, tell: Callable[[str], None]) -> Aftermath:
    """Deploy or roll back where the environment asks for it, and read the endpoint back. What
    fails is kept, so that the report comes first."""
    package = subject.package
    if not asks_for_more(subject.job.target.environment, package):
        return Aftermath(package=package, notes=_notes(package, None))
    pursuit = _Pursuit(subject=subject, waiting=waiting, tell=tell)
    try:
        consequence = pursuit.run()
    except (AwsError, UsageError, NotServed) as error:
        held = pursuit.package
        notes = (*_notes(held, pursuit.endpoint), _told(error))
        return Aftermath(package=held, notes=notes, error=error)
    held, endpoint = pursuit.package, pursuit.endpoint
    return Aftermath(
        package=held,
        notes=(*_notes(held, endpoint), *_remarks(consequence)),
        error=_missing(subject, consequence, endpoint, answer=pursuit.answer),
    )


@dataclass(slots=True, kw_only=True)
class _Pursuit:
    """Decides, acts, and decides again, until what was decided on is what is held. `package` and
    `endpoint` are as they were read last, `answer` is the function's last one, `awaited` says that
    the wait was told of."""

    subject: Subject
    waiting: Waiting
    tell: Callable[[str], None]
    package: ModelPackage = field(init=False)
    endpoint: EndpointFact | None = None
    answer: str = ""
    awaited: bool = False

    def __post_init__(self) -> None:
        self.package = self.subject.package

    def run(self) -> Consequence:
        for _ in range(_MOST_TURNS):
            consequence, execution = self._decide()
            wanted = consequence.package
            if wanted is None:
                return consequence
            if self._perform(wanted, execution) and self._still_wanted(wanted):
                return consequence
            self.tell("It was changed meanwhile: decided anew")
        raise NotServed(
            f"{_name(self.package)} was changed again and again while it was followed",
            where=self.package.arn,
            fix=_again(self.subject, self.package),
        )

    def _decide(self) -> tuple[Consequence, str]:
        """What is to be done, and the execution that registered what is to be deployed."""
        self.endpoint = self._settled()
        self.package = self._describe(self.package)
        newest, execution = self._newest() or (None, self.subject.execution)
        environment = self.subject.job.target.environment
        consequence = choose_consequence(
            environment, self.package, newest=newest, endpoint=self.endpoint
        )
        approval, act = self.package.approval, consequence.act
        self.tell(f"{_name(self.package)} is {approval}: {act}, {consequence.reason}")
        wanted = consequence.package
        if wanted is not None and wanted.arn == self.package.arn:
            execution = self.subject.execution
        return consequence, execution

    def _newest(self) -> tuple[ModelPackage, str] | None:
        """The newest approved package of the group that comes from the subject's own pipeline and
        environment, and the execution that registered it."""
        subject = self.subject
        for package in self._approved():
            if package.arn == subject.package.arn:
                return package, subject.execution
            origin = of_pipeline(
                subject.adapter,
                package,
                like=subject.execution,
                environment=subject.job.target.environment.name,
            )
            if origin is not None:
                return package, origin.execution
        return None

    def _approved(self) -> Iterator[ModelPackage]:
        packages, group = self.subject.adapter.packages, self.subject.package.group
        listed = packages.in_group(group, approval=ApprovalStatus.APPROVED)
        for each in islice(listed, MOST_APPROVED):
            package = packages.describe(each.arn)
            if package.approval is ApprovalStatus.APPROVED:
                yield package

    def _perform(self, wanted: ModelPackage, execution: str) -> bool:
        """Call the function that deploys `wanted`, and wait for the endpoint. False where nothing
        was called, because what this was decided on is not so any more."""
        self._refuse_moving(wanted)
        call = _call_of(self.subject, execution, wanted)
        _refuse_others_function(self.subject, call)
        if self._endpoint_now() != self.endpoint or not self._still_wanted(wanted):
            return False
        served = _served(self.endpoint)
        self.tell(
            f"Calling {resource_name(call.function)} as step {call.step} would, for {_name(wanted)}"
            + (f" in place of {served}" if served else "")
        )
        self._invoke(call, wanted)
        return True

    def _invoke(self, call: Call, wanted: ModelPackage) -> None:
        """A call that fails is forgiven where the endpoint serves the package all the same: the
        same decision may be brought home twice at the same moment, and one of the two finds the
        endpoint busy."""
        functions = self.subject.adapter.functions
        try:
            self.answer = functions.invoke(call.function, call.inputs)
        except AwsError as error:
            self.endpoint = self._settled()
            if self.endpoint is None or not self.endpoint.serves(wanted.arn):
                raise
            self.tell(f"It failed, and the endpoint serves {_name(wanted)}: {error.what}")
        else:
            self.endpoint = self._settled()

    def _still_wanted(self, wanted: ModelPackage) -> bool:
        """Whether the decision stands, and what is deployed for it is approved."""
        before, self.package = self.package, self._describe(self.package)
        if self.package.approval is not before.approval:
            return False
        if wanted.arn == self.package.arn:
            return True
        return self._describe(wanted).approval is ApprovalStatus.APPROVED

    def _refuse_moving(self, wanted: ModelPackage) -> None:
        """Where it goes is not known before it is there."""
        endpoint = self.endpoint
        if endpoint is not None and endpoint.moving:
            raise NotServed(
                f"The endpoint does not serve {_name(wanted)}: it is still {endpoint.status}",
                where=endpoint.name,
                why="Another change of it has not ended in time: nothing was called.",
                fix=_again(self.subject, self.package),
            )

    def _describe(self, package: ModelPackage) -> ModelPackage:
        return self.subject.adapter.packages.describe(package.arn)

    def _settled(self) -> EndpointFact | None:
        return self._endpoint(replace(self.waiting, sleep=self._pause))

    def _pause(self, seconds: float) -> None:
        if not self.awaited:
            self.tell(f"Waiting for the endpoint {self.subject.job.target.pipeline.endpoint}")
        self.awaited = True
        self.waiting.sleep(seconds)

    def _endpoint_now(self) -> EndpointFact | None:
        return self._endpoint(Waiting(sleep=self.waiting.sleep, left=lambda: 0.0))

    def _endpoint(self, waiting: Waiting) -> EndpointFact | None:
        name = self.subject.job.target.pipeline.endpoint
        if name is None:
            return None
        return settled_endpoint(self.subject.adapter, name, waiting=waiting)


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


def _again(subject: Subject, package: ModelPackage) -> str:
    """The command that follows the decision once more, where this run was."""
    return " ".join(["sagemaker-gitops approvals sync", package.arn, *subject.session.reach])


def _missing(
    subject: Subject, consequence: Consequence, endpoint: EndpointFact | None, *, answer: str
) -> GitOpsError | None:
    wanted = consequence.package
    if consequence.missed and endpoint is None:
        return UsageError(consequence.reason)
    if consequence.missed:
        return NotServed(
            consequence.reason,
            fix="Approve a model that is to serve in its place, or delete the endpoint.",
        )
    if wanted is None or (endpoint is not None and endpoint.serves(wanted.arn)):
        return None
    shown = "missing" if endpoint is None else endpoint.status
    why = endpoint.failure_reason if endpoint is not None else None
    if why is None and answer:
        why = f"The function was called, and answered: {answer[:500]}"
    return NotServed(
        f"The endpoint does not serve {_name(wanted)}: it is {shown}",
        where=None if endpoint is None else endpoint.name,
        why=why,
        fix=_again(subject, wanted),
    )


def _remarks(consequence: Consequence) -> tuple[str, ...]:
    return (f"Left as it is: {consequence.reason}.",) if consequence.told else ()


def _notes(package: ModelPackage, endpoint: EndpointFact | None) -> tuple[str, ...]:
    """Who decided, and what the endpoint serves: as it was read, so that the same state of things
    gives the same words."""
    decided = read_decision(package)
    if decided is None:
        return ()
    how = {ELSEWHERE: "in", BY_COMMAND: "with"}.get(decided.place or "", "on")
    place = f" {how} {decided.place}" if decided.place else ""
    text = f"{package.approval} by {decided.actor}{place}, {decided.at}"
    if endpoint is None:
        return (f"{text}.",)
    if package.approval is ApprovalStatus.APPROVED and endpoint.serves(package.arn):
        return (f"{text}; deployed to the endpoint {endpoint.name}.",)
    served = _served(endpoint) or "no model package"
    return (f"{text}; the endpoint {endpoint.name} serves {served}.",)


def _served(endpoint: EndpointFact | None) -> str:
    """`quality v3`; empty where it serves nothing of the registry."""
    arn = endpoint.package if endpoint is not None else None
    return resource_name(arn).replace("/", " v") if arn else ""


def _told(error: GitOpsError) -> str:
    return f"What was to follow failed: {error.what}" + (f": {error.why}" if error.why else ".")


def _name(package: ModelPackage) -> str:
    return f"{package.group} v{package.version}"
