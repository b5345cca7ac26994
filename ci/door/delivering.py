"""The main job as an action of CodePipeline: from one call's input to its answer.

The first call starts executions, every later one looks at them, none waits. Each finds the project
in the source artifact, and all else in the continuation token and in AWS: a call may be made
twice, and by another process.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from ci.delivery.pickup import pick_up
from ci.delivery.planning import Planned, describe_plan, plan_pipeline
from ci.delivery.polling import Polled, is_passing, look, start_and_look
from ci.delivery.recorded import find_recorded
from ci.delivery.reviewed import compare_with_comment, require_reviewed
from ci.delivery.stage import Stage
from ci.door.answer import Answer, answer_look
from ci.door.invocation import Invocation
from ci.door.outputs import variables_of
from ci.door.progress import Progress, require_room
from ci.door.publishing import Publisher
from ci.door.settings import Settings
from ci.door.source import choose_artifact, open_artifact
from ci.door.trigger import parse_trigger
from ci.door.world import Journal, World
from ci.errors import AwsError, CompileError, GitOpsError, ProjectError, UsageError
from ci.execution.follow import Surroundings
from ci.posting.forging import comments_on, job_outputs
from ci.project.load import FILE_NAME, load_project
from ci.project.model import ModuleSource, Project
from ci.project.select import select_pipelines
from ci.project.target import in_region
from ci.sagemaker.arn import region_of
from ci.session.job import Job, make_job
from ci.session.preparing import prepare_jobs, require_declared
from ci.session.session import Session, open_session
from ci.trigger.model import Trigger


@dataclass(slots=True, kw_only=True)
class Delivering:
    """One call. `progress` is what the next one may rely on so far, `started` what runs."""

    invocation: Invocation
    settings: Settings
    world: World
    progress: Progress
    started: list[str] = field(default_factory=list)

    def answer(self) -> Answer:
        """Do this call's part of the job. GitOpsError for what ends it."""
        project, trigger, root = self._open_source()
        session = open_session(
            project,
            trigger,
            environ=self.world.environ,
            environment=self.settings.environment,
            local=False,
        )
        jobs = self._pick_up(session)
        several = len(self.progress.executions or self._names(project)) > 1
        publisher = Publisher(
            self.world, session, root, comment=self.settings.comment, several=several
        )
        with closing(publisher):
            if jobs:
                polled = look(session, jobs, self._stage(publisher), seen=self.progress.seen)
            else:
                polled = self._start(session, publisher)
            return self._told(session, polled, publisher)

    def _told(self, session: Session, polled: Polled, publisher: Publisher) -> Answer:
        """The answer; what is reported is where it says before CodePipeline hears of it."""
        variables: Mapping[str, str] = {}
        reports = polled.ended.reports
        if reports and not polled.running:
            credentials = self.invocation.credentials
            place = publisher.upload(self.invocation, self.world.clients_with(credentials))
            outputs = job_outputs(reports, None, publisher.redactor)
            variables = variables_of({**outputs, **place})
        environment = session.project.environments[session.environment]
        deadline = self.settings.deadline
        return answer_look(
            self.progress,
            polled,
            variables,
            now=self.world.clock(),
            deadline=deadline if deadline is not None else environment.deadline,
        )

    def _open_source(self) -> tuple[Project, Trigger, Path]:
        clients = self.world.clients_with(self.invocation.credentials)
        artifact = choose_artifact(self.invocation.inputs, self.settings.source, "source")
        folder = open_artifact(clients, artifact, self.world.scratch)
        trigger = parse_trigger(self.settings, artifact, region=self.world.region)
        file = inside(folder, self.settings.project_file or FILE_NAME, "project-file")
        if not file.is_file():
            raise ProjectError(
                f"there is no {file.name} in the source artifact",
                where=artifact.uri,
                fix='Name the artifact that holds the repository: {"source": "SourceArtifact"}',
            )
        project = in_region(load_project(file), self.settings.region)
        if project.report.mask_accounts:
            self.world.mask_accounts()
        return self._with_python(project), trigger, folder

    def _with_python(self, project: Project) -> Project:
        """Modules compile with the Python that the action names: the project file's own is one of
        the repository's machines, and none of this function's."""
        python = self.settings.python
        if python is None:
            return project
        pipelines = {
            name: replace(pipeline, python=python)
            if isinstance(pipeline.source, ModuleSource)
            else pipeline
            for name, pipeline in project.pipelines.items()
        }
        return replace(project, pipelines=pipelines)

    def _names(self, project: Project) -> list[str]:
        return [each.name for each in select_pipelines(project, self.settings.pipelines)]

    def _pick_up(self, session: Session) -> dict[str, Job]:
        """The jobs of the executions that an earlier call started; none at the first call."""
        jobs: dict[str, Job] = {}
        for arn in self.progress.executions:
            adapter = session.adapter(region_of(arn) or self.world.region)
            found, jobs[arn] = pick_up(session, adapter, arn)
            if found.trigger.commit != session.trigger.commit:
                raise UsageError(
                    "the execution in the continuation token is of another commit",
                    where=arn,
                    why=f"it is of {found.trigger.commit}, this job of {session.trigger.commit}",
                )
            if found.environment != session.environment:
                raise UsageError(
                    f"the execution in the continuation token is of {found.environment}", where=arn
                )
        return jobs

    def _start(self, session: Session, publisher: Publisher) -> Polled:
        with self._told_on_checks(session, publisher):
            jobs, planned, remarks = self._prepare(session, publisher)
            targets = [job.target for job in jobs]
            require_room(
                self.progress.began,
                targets[0].region,
                targets[0].account or "",
                [target.pipeline_name for target in targets],
            )
        polled = start_and_look(
            session,
            jobs,
            self._stage(publisher),
            plans={name: describe_plan(each.plan) for name, each in planned.items()},
            remarks=remarks,
            started=self.started.append,
        )
        self.progress = replace(self.progress, executions=tuple(self.started))
        return polled

    @contextmanager
    def _told_on_checks(self, session: Session, publisher: Publisher) -> Iterator[None]:
        """Around what comes before anything is started: what ends the job is told beside the
        commit too. What may pass ends none: the next call tries again."""
        try:
            yield
        except GitOpsError as error:
            if not (isinstance(error, AwsError) and is_passing(error)):
                publisher.refuse(error, self._names(session.project))
            raise

    def _prepare(
        self, session: Session, publisher: Publisher
    ) -> tuple[tuple[Job, ...], Mapping[str, Planned], Mapping[str, Sequence[str]]]:
        """The jobs as they were reviewed, by the plan of an earlier stage or by the comment of
        the pull request that was merged."""
        names, overrides = self._names(session.project), self.settings.parameters
        folder = self._plan_folder()
        if folder is None:
            refuse_modules(session.project, names, python=self.settings.python)
            jobs = prepare_jobs(session, names, overrides, warn=self.world.say)
        else:
            found = {name: find_recorded(folder, name) for name in names}
            jobs = tuple(
                make_job(session, session.target(name, overrides), each.bundle, overrides)
                for name, each in found.items()
            )
            require_declared(session, jobs, warn=self.world.say)
        adapter = session.adapter(jobs[0].target.region)
        planned = {job.name: plan_pipeline(session, adapter, job) for job in jobs}
        if folder is not None:
            return require_reviewed(jobs, planned, [str(folder)], folder), planned, {}
        comments, say = None, self.world.say
        if publisher.forge is not None:
            forge, hide, place = publisher.forge, publisher.redactor, publisher.place
            comments = comments_on(forge, session.trigger, redactor=hide, warn=say, place=place)
        policy = session.project.environments[session.environment].on_unreviewed
        remarks = {name: compare_with_comment(p, comments, policy) for name, p in planned.items()}
        return jobs, planned, remarks

    def _plan_folder(self) -> Path | None:
        if self.settings.plan is None:
            return None
        name, _, below = self.settings.plan.partition(":")
        artifact = choose_artifact(self.invocation.inputs, name, "plan")
        clients = self.world.clients_with(self.invocation.credentials)
        return inside(open_artifact(clients, artifact, self.world.scratch), below or ".", "plan")

    def _stage(self, publisher: Publisher) -> Stage:
        world = self.world
        return Stage(
            tell=world.say,
            show=Journal(world.say),
            publish=publisher.publish,
            commit_order=publisher.commit_order,
            now=lambda: datetime.fromtimestamp(world.clock(), UTC),
            surroundings=Surroundings(wall=world.clock, sleep=world.sleep),
        )


def inside(folder: Path, name: str, setting: str) -> Path:
    """A file or folder of an artifact. UsageError for a name that leads out of it."""
    root = folder.resolve()
    found = (root / name).resolve()
    if root not in (found, *found.parents):
        raise UsageError(f"{name!r} leads out of the artifact", where=f"UserParameters: {setting}")
    return found


def refuse_modules(project: Project, names: Sequence[str], *, python: str | None) -> None:
    """A function has no SageMaker SDK, unless its image or a layer brings one and says where."""
    for name in names:
        pipeline = project.pipelines[name]
        if python is None and isinstance(pipeline.source, ModuleSource):
            raise CompileError(
                f"{name} is a pipeline module, and this function has no SageMaker SDK",
                where=f"{FILE_NAME}:{pipeline.line}",
                why="compiling it takes a Python that has the SDK",
                fix="Compile it in a stage of CodeBuild before this one, with\n"
                "`sagemaker-gitops plan --out plan`, and hand its output artifact over:\n"
                '{"plan": "PlanArtifact:plan"}; or name a Python of the function\'s image:\n'
                '{"python": "/opt/sdk/bin/python"}',
            )
