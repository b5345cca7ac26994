"""A report, as a value: all that any rendering shows, and nothing that one must look up."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from ci.cost.model import Estimate
from ci.metrics.facts import EndpointFact
from ci.metrics.model import Verdict
from ci.metrics.trend import Trend
from ci.sagemaker.model import ExecutionSnapshot, ModelPackage
from ci.trigger.model import Trigger


class State(StrEnum):
    """How far the report's subject is. Only a FINAL report carries a last verdict."""

    PLANNED = "planned"
    RUNNING = "running"
    FINAL = "final"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSection:
    """What would change, already rendered. `headline` is one plain line; `markdown` is safe to
    show as it is; `terminal` is plain text. `digest` names the plan (`ci.plan.naming`)."""

    headline: str
    markdown: str = ""
    terminal: str = ""
    digest: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterValue:
    """A parameter of the execution; `main` is its value on the default branch, where known."""

    name: str
    value: str
    main: str | None = None

    @property
    def differs(self) -> bool:
        return self.main is not None and self.main != self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphNode:
    """A step of the definition: its type and the steps it waits for."""

    name: str
    kind: str
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LogTail:
    """The last lines of a step's log, as one text. `group` and `stream` are CloudWatch's; `prefix`
    is what the names of its streams begin with. `raised` is the exception that the script's own
    lines end in."""

    step: str
    text: str
    group: str | None = None
    stream: str | None = None
    prefix: str | None = None
    raised: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """`url` is absolute, http or https; anything else is shown as text."""

    label: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command a reader may run, and what for (`Approve`)."""

    label: str
    line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One pipeline in one environment at one commit.

    `package` is the challenger, `champion` what was in production before. `superseded_by` is the
    newer commit. `approvers` says who may approve, in words. `attach` is the command that follows
    a running execution. `notes` are said once each at the end, `problems` near the top. `trends`
    are of the models before this one. `project` is the project file's place in its repository,
    None where it is the only one, at the root.
    """

    pipeline: str
    environment: str
    pipeline_name: str
    trigger: Trigger
    region: str
    state: State
    generated: datetime
    execution: ExecutionSnapshot | None = None
    verdict: Verdict | None = None
    package: ModelPackage | None = None
    champion: ModelPackage | None = None
    endpoint: EndpointFact | None = None
    plan: PlanSection | None = None
    parameters: tuple[ParameterValue, ...] = ()
    graph: tuple[GraphNode, ...] = ()
    logs: tuple[LogTail, ...] = ()
    links: tuple[Link, ...] = ()
    commands: tuple[Command, ...] = ()
    digest: str | None = None
    attach: str | None = None
    approvers: str | None = None
    superseded_by: str | None = None
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    trends: tuple[Trend, ...] = ()
    cost: Estimate | None = None
    project: str | None = None


def supersede(report: Report, by: str | None) -> Report:
    """The report of a run that a newer commit has put out of date: it no longer decides anything,
    and nobody is asked to follow, approve or reject. `by` is that commit, where it is known."""
    return replace(
        report, state=State.SUPERSEDED, superseded_by=by, attach=None, commands=(), approvers=None
    )
