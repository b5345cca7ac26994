"""One pipeline at one commit, ready to go: compiled, valid, and its run identified."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ci.compile.bundle import Bundle
from ci.compile.compile import compile_pipeline
from ci.definition.model import Definition, Problem
from ci.definition.parse import parse_definition
from ci.definition.validate import find_problems
from ci.errors import CompileError, DefinitionError
from ci.execution.identity import (
    ExecutionRecord,
    Identity,
    describe,
    display_name,
    execution_parameters,
    execution_token,
    name_checks,
)
from ci.project.model import CompileMode, Target
from ci.project.names import OWN
from ci.session.parameters import own_parameters, refuse_gates, refuse_parameters
from ci.session.session import Session
from ci.session.trusting import refuse_foreign_settings
from ci.trigger.model import Event, Trigger

if TYPE_CHECKING:
    from ci.execution.upsert import Run

_PROBLEMS_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """`judged_by` says whose metrics and gates judge it, where they are not, or need not be, those
    that it was started with."""

    target: Target
    trigger: Trigger
    bundle: Bundle
    definition: Definition
    identity: Identity
    judged_by: str | None = None

    @property
    def name(self) -> str:
        return self.target.pipeline.name

    @property
    def run(self) -> "Run":
        """What the execution core is asked for."""
        from ci.execution.upsert import Run, ownership_tags  # brings what a plan has no use for

        target, trigger, token = self.target, self.trigger, execution_token(self.identity)
        record = ExecutionRecord(
            commit=trigger.commit,
            environment=target.environment.name,
            digest=self.bundle.digest,
            token=token,
            branch=trigger.branch,
            pull_request=trigger.pull_request,
            repository=trigger.repository,
            run_url=trigger.run_url,
            checks=name_checks(target.pipeline.metrics, target.pipeline.gates),
        )
        tags = ownership_tags(
            project=target.tags[f"{OWN}project"],
            pipeline=target.pipeline.name,
            environment=target.environment.name,
            commit=trigger.commit,
            digest=self.bundle.digest,
        )
        return Run(
            pipeline_name=target.pipeline_name,
            role=target.role,
            tags={**target.tags, **tags},
            token=token,
            display_name=display_name(
                commit=trigger.commit, branch=trigger.branch, pull_request=trigger.pull_request
            ),
            description=describe(record),
            parameters=self.identity.parameters,
            parallelism=target.environment.parallelism,
        )

    def rerun(self, again: int) -> "Job":
        """The same job as a deliberate rerun: another identity, another execution."""
        return replace(self, identity=replace(self.identity, again=again))


def prepare_job(session: Session, pipeline: str, overrides: Mapping[str, str]) -> Job:
    """Compile and check one pipeline. Raises CompileError, DefinitionError, ProjectError."""
    target = session.target(pipeline, overrides)
    refuse_live_compile(target, session.trigger)
    refuse_foreign_settings(session, target)
    bundle = compile_pipeline(target, environ=session.environ, root=session.project.root)
    return make_job(session, target, bundle, overrides)


def make_job(session: Session, target: Target, bundle: Bundle, overrides: Mapping[str, str]) -> Job:
    """Check a bundle, and identify the run of it. DefinitionError, ProjectError."""
    pipeline = target.pipeline.name
    definition = parse_definition(bundle.definition, where=f"definition of {pipeline}")
    given = own_parameters(
        target.parameters,
        definition,
        target.pipeline,
        overrides=overrides,
        alone=len(session.project.pipelines) == 1,
    )
    target = replace(target, parameters=given)
    parameters = execution_parameters(definition.parameters, given, commit=session.trigger.commit)
    refuse_problems(pipeline, find_problems(definition, given=parameters))
    file = session.project.file
    refuse_parameters(
        definition,
        target.pipeline,
        target.environment,
        parameters,
        overrides=overrides,
        file=file,
    )
    refuse_gates(definition, target.pipeline, file=file)
    return Job(
        target=target,
        trigger=session.trigger,
        bundle=bundle,
        definition=definition,
        identity=Identity(
            pipeline_name=target.pipeline_name,
            environment=target.environment.name,
            commit=session.trigger.commit,
            digest=bundle.digest,
            parameters=parameters,
            occasion=(session.trigger.run_url or "")
            if session.trigger.event is Event.SCHEDULE
            else "",
        ),
    )


def refuse_live_compile(target: Target, trigger: Trigger) -> None:
    """A live compile runs the pull request's code with this job's own credentials: never for
    code that someone without write access wrote."""
    pipeline = target.pipeline
    if pipeline.compile is CompileMode.LIVE and trigger.from_fork:
        raise CompileError(
            f"{pipeline.name} is not compiled for a pull request from a fork",
            where=f"sagemaker-gitops.yaml:{pipeline.line}",
            why="`compile: live` runs the fork's code with this job's credentials",
            fix="Let it compile without AWS (`compile: hermetic`), or have someone with write\n"
            "access push the commit to a branch of this repository.",
        )


def refuse_problems(pipeline: str, problems: tuple[Problem, ...]) -> None:
    """DefinitionError that lists what SageMaker would refuse."""
    if not problems:
        return
    lines = [_told(problem) for problem in problems[:_PROBLEMS_SHOWN]]
    if len(problems) > _PROBLEMS_SHOWN:
        lines.append(f"and {len(problems) - _PROBLEMS_SHOWN} more")
    first = problems[0]
    raise DefinitionError(
        f"the definition of {pipeline} has {len(problems)} problem"
        + ("s" if len(problems) > 1 else "")
        + "".join(f"\n  - {line}" for line in lines),
        where=f"step {first.step}, {first.path}" if first.step else first.path,
        fix=first.fix,
    )


def _told(problem: Problem) -> str:
    place = f"{problem.step} ({problem.path})" if problem.step else problem.path
    return f"{place}: {problem.message} [{problem.rule}]"
