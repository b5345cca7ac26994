"""Puts a report together from what is known. Reads nothing but what it is handed."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from ci.definition.graph import dependencies
from ci.definition.model import Definition
from ci.delivery.background import Background
from ci.delivery.onwards import attach_line, decision_commands
from ci.execution.identity import parameter_text
from ci.metrics.facts import Facts
from ci.metrics.model import Outcome, Verdict
from ci.metrics.steps import failed_steps
from ci.metrics.verdict import decide_verdict
from ci.project.model import ReportSettings
from ci.report.links import execution_link, model_link, object_link
from ci.report.model import (
    GraphNode,
    Link,
    LogTail,
    ParameterValue,
    PlanSection,
    Report,
    State,
    supersede,
)
from ci.sagemaker.model import ExecutionSnapshot
from ci.session.job import Job
from ci.trigger.model import Trigger


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """All that was learnt of one job so far. `notes` are remarks of this program itself, and
    `problems` those that a reader must not miss: that nobody follows what still runs;
    `superseded_by` is the newer commit that this run was stopped for, `chat` says that the
    repository obeys comments, `reach` are the options that bring a command to the same place."""

    job: Job
    facts: Facts | None = None
    plan: PlanSection | None = None
    main_parameters: Mapping[str, str] | None = None
    logs: tuple[LogTail, ...] = ()
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    background: Background = field(default_factory=Background)
    settings: ReportSettings = field(default_factory=ReportSettings)
    superseded_by: str | None = None
    chat: bool = False
    reach: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict | None:
        if self.facts is None:
            return None
        failed = failed_steps(self.facts.execution)[:1]
        raised = [log.raised for log in self.logs for step in failed if log.step == step.name]
        return decide_verdict(replace(self.facts, raised=next(iter(raised), None)))


def _checkout_notes(trigger: Trigger) -> Iterator[str]:
    """Where what was compiled is not the commit that the report is about."""
    if trigger.dirty:
        yield "The work tree held changes that are not in the commit."
    if trigger.checked_out is not None:
        yield (
            f"What was compiled is {trigger.checked_out[:12]}, which the job has checked out, as a"
            " rule the commit's merge with the base branch. For the commit itself give the checkout"
            " ref: ${{ github.event.pull_request.head.sha }}"
        )


def _judge_notes(job: Job) -> Iterator[str]:
    if job.judged_by:
        yield job.judged_by


def make_report(account: Account, *, generated: datetime) -> Report:
    job, facts, verdict = account.job, account.facts, account.verdict
    execution = _with_kinds(facts.execution, job.definition) if facts else None
    made = Report(
        pipeline=job.target.pipeline.name,
        environment=job.target.environment.name,
        pipeline_name=job.target.pipeline_name,
        trigger=job.trigger,
        region=job.target.region,
        state=_state(verdict),
        generated=generated,
        execution=execution,
        verdict=verdict,
        package=facts.package if facts else None,
        champion=facts.champion if facts else None,
        endpoint=facts.endpoint if facts else None,
        plan=account.plan,
        parameters=tuple(_parameters(account)),
        graph=tuple(draw_graph(job.definition)),
        logs=account.logs,
        links=tuple(_links(account)),
        commands=tuple(
            decision_commands(
                job,
                facts.package if facts else None,
                masked=account.settings.mask_accounts,
                chat=account.chat,
                reach=account.reach,
            )
        ),
        digest=job.bundle.digest,
        attach=_attach(account, execution) if execution else None,
        approvers=account.settings.approvers,
        problems=(*account.problems, *(verdict.problems if verdict else ())),
        notes=(*_checkout_notes(job.trigger), *account.notes, *_judge_notes(job)),
        trends=account.background.trends,
        cost=account.background.cost,
    )
    return supersede(made, account.superseded_by) if account.superseded_by else made


def effective_parameters(definition: Definition, given: Mapping[str, str]) -> dict[str, str]:
    """What an execution runs with: the given values over the defaults, as text."""
    defaults = {
        name: parameter_text(parameter.default)
        for name, parameter in definition.parameters.items()
        if parameter.default is not None
    }
    return {**defaults, **given}


def draw_graph(definition: Definition) -> Iterable[GraphNode]:
    waits_for = dependencies(definition)
    for step in definition.walk():
        yield GraphNode(
            name=step.name, kind=step.type, after=tuple(sorted(waits_for.get(step.name, ())))
        )


def _with_kinds(execution: ExecutionSnapshot, definition: Definition) -> ExecutionSnapshot:
    """The service tells a step's kind by what it made: of a step that failed before, not at all.
    The definition knows."""
    types = {step.name: step.type for step in definition.walk()}
    steps = tuple(replace(step, kind=step.kind or types.get(step.name)) for step in execution.steps)
    return replace(execution, steps=steps)


def _state(verdict: Verdict | None) -> State:
    """An execution that has ended is not the end where its endpoint still changes."""
    if verdict is None:
        return State.PLANNED
    return State.RUNNING if verdict.outcome is Outcome.RUNNING else State.FINAL


def _parameters(account: Account) -> Iterable[ParameterValue]:
    values = effective_parameters(account.job.definition, account.job.identity.parameters)
    main = account.main_parameters or {}
    for name, value in values.items():
        yield ParameterValue(name=name, value=value, main=main.get(name))


def _attach(account: Account, execution: ExecutionSnapshot) -> str | None:
    if account.verdict is None or account.verdict.outcome is not Outcome.RUNNING:
        return None
    masked = account.settings.mask_accounts
    return attach_line(account.job, execution.arn, masked=masked, reach=account.reach)


def _links(account: Account) -> Iterable[Link]:
    facts, domain = account.facts, account.settings.studio_domain
    if facts is None:
        return
    places = [execution_link(facts.execution.arn, studio_domain=domain)]
    if facts.package is not None:
        places.append(model_link(facts.package, studio_domain=domain))
        for label, uri in (
            ("Model artifact", facts.package.model_data),
            ("Metrics document", facts.package.metrics_uri),
        ):
            places.append(object_link(uri, facts.package.arn, label=label) if uri else None)
    yield from (place for place in places if place is not None)
