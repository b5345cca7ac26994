"""Puts a report's marks on the forge: check run or commit status, deployment, label.

What the token may not do is tried once; what the forge is not there for ends the others of that
report, since they would wait as long.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ci.errors import ForgeError, GitOpsError
from ci.forge.checks import check_of, post_check, refused_check
from ci.forge.deploying import deployment_of, post_deployment
from ci.forge.labels import post_label
from ci.forge.marks import Annotation, Check, CheckRuns, Deployments, Labels
from ci.forge.model import Forge, PermissionMissing, Statuses
from ci.forge.status import is_plan, post_status, status_of
from ci.posting.annotating import annotate, annotate_error, read_texts
from ci.posting.place import Place
from ci.posting.refusals import Refusals
from ci.project.model import Project
from ci.report.model import Report
from ci.text.redact import Redactor
from ci.trigger.model import Trigger

PULL_REQUEST = "pull_request"


@dataclass(slots=True, kw_only=True)
class Marks:
    """`pull_request` is the one that labels are put on. The project's settings say which marks
    there are."""

    forge: Forge
    project: Project
    environment: str
    place: Place
    pull_request: int | None
    redactor: Redactor
    refusals: Refusals
    _refused: set[str] = field(default_factory=set)
    _executed: set[str] = field(default_factory=set)

    def post(self, report: Report) -> None:
        """Bring all of them to the report. Nothing is raised: a run is about its model."""
        for name, put in self._wanted(report):
            if name in self._refused:
                continue
            try:
                put()
            except PermissionMissing as error:
                self._refused.add(name)
                self.refusals.note(error)
            except ForgeError as error:
                self.refusals.note(error)
                return

    def refuse(
        self,
        error: GitOpsError,
        trigger: Trigger,
        pipelines: tuple[str, ...],
        *,
        planned: bool = False,
    ) -> None:
        """Say that nothing was started, and why, where the commit's check runs stand; `planned`
        where nothing was to be started."""
        forge = self.forge
        if not self.project.report.check_run or not isinstance(forge, CheckRuns):
            return
        for name in pipelines:
            check = refused_check(
                error,
                trigger,
                project=self.place.project,
                pipeline=name,
                environment=self.environment,
                redactor=self.redactor,
                annotations=annotate_error(
                    error, self.project, self.project.pipelines[name], self.place
                ),
                planned=planned,
            )
            try:
                post_check(forge, check)
            except ForgeError as refused:
                self.refusals.note(refused)
                return

    def _wanted(self, report: Report) -> Iterator[tuple[str, Callable[[], None]]]:
        settings = self.project.report
        if settings.check_run:
            yield "check", lambda: self._check(report)
        if settings.deployments and self.environment != PULL_REQUEST:
            yield "deployment", lambda: self._deployment(report)
        if settings.labels:
            yield "label", lambda: self._label(report)

    def _check(self, report: Report) -> None:
        """A commit status where there are no check runs, or none for this token."""
        forge = self.forge
        lacking: PermissionMissing | None = None
        if isinstance(forge, CheckRuns) and "check run" not in self._refused:
            try:
                posted = post_check(forge, self._check_of(report))
            except PermissionMissing as error:
                self._refused.add("check run")
                lacking = error
            else:
                self._note(report, posted=posted)
                return
        if not isinstance(forge, Statuses):
            return
        status = status_of(report, require_approval=self._asks, redactor=self.redactor)
        try:
            posted = post_status(forge, report.trigger.commit, status, planned=is_plan(report))
        except PermissionMissing as error:
            raise lacking or error from None
        self._note(report, posted=posted)

    def _note(self, report: Report, *, posted: bool) -> None:
        if not posted:
            self._executed.add(report.pipeline)

    @property
    def _asks(self) -> bool:
        return self.project.environments[self.environment].require_approval

    def _check_of(self, report: Report) -> Check:
        return check_of(
            report,
            require_approval=self._asks,
            redactor=self.redactor,
            annotations=self._annotations(report),
        )

    def _annotations(self, report: Report) -> tuple[Annotation, ...]:
        pipeline = self.project.pipelines.get(report.pipeline)
        if pipeline is None:
            return ()
        return annotate(report, pipeline, read_texts(self.project, pipeline, self.place))

    def _deployment(self, report: Report) -> None:
        deployment = deployment_of(report, redactor=self.redactor)
        if deployment is not None and isinstance(self.forge, Deployments):
            post_deployment(self.forge, deployment)

    def _label(self, report: Report) -> None:
        """An older commit of the pull request says nothing of how it stands, nor does a plan where
        the commit's execution has told."""
        number, forge = self.pull_request, self.forge
        if number is None or not isinstance(forge, Labels):
            return
        if is_plan(report) and report.pipeline in self._executed:
            return
        order = self.forge.commit_order(number)
        if report.trigger.commit not in order[:-1]:
            post_label(forge, number, report, alone=len(self.project.pipelines) == 1)
