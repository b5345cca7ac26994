"""Everything of a run that stands on the repository's host, posted beside it.

A thread of its own posts, one report after the other: no start and no signal waits for the forge.
The comment comes first: it is what people read, and a job that is cancelled has seconds. What a
forge has not taken by then is left, and said; the next run finds the comment and puts it right.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from ci.errors import ForgeError, GitOpsError
from ci.forge.model import Forge
from ci.posting.errands import Errands
from ci.posting.forging import Comments, find_number
from ci.posting.marking import PULL_REQUEST, Marks
from ci.posting.place import Place
from ci.posting.refusals import Refusals, wanted_permissions
from ci.report.model import Report
from ci.session.session import Session
from ci.text.redact import Redactor
from ci.trigger.model import Trigger


@dataclass(frozen=True, slots=True, kw_only=True)
class Time:
    """`left` gives the seconds that all of it may still take, infinity before the job is ending;
    `hurry` says that it is ending."""

    left: Callable[[], float] = lambda: math.inf
    hurry: Callable[[], None] = lambda: None


@dataclass(slots=True, kw_only=True)
class Board:
    """`comments` and `marks` are None where there are none."""

    comments: Comments | None
    marks: Marks | None
    refusals: Refusals
    time: Time = field(default_factory=Time)
    _errands: Errands = field(init=False)
    _newest: dict[str, Report] = field(default_factory=dict)
    _order: Sequence[str] | None = None

    def __post_init__(self) -> None:
        self._errands = Errands(self.time.left)

    def commit_order(self) -> Sequence[str]:
        """As it was at the first question; none where the forge does not tell in time."""
        if self._order is None and self.comments is not None:
            asked = self._errands.submit(self.comments.commit_order)
            self._order = asked.result() if self._errands.wait() else ()
        return self._order or ()

    def post(self, report: Report) -> None:
        self._newest[report.pipeline] = report
        for place in (self.comments, self.marks):
            if place is not None:
                self._errands.submit(partial(self._post, place, report))

    def _post(self, place: Comments | Marks, report: Report) -> None:
        """A job that is ending has time for the newest report alone."""
        if self.time.left() == math.inf or self._newest[report.pipeline] is report:
            place.post(report)

    def refuse(
        self,
        error: GitOpsError,
        trigger: Trigger,
        pipelines: tuple[str, ...],
        *,
        planned: bool = False,
    ) -> None:
        """Say that nothing of these pipelines was started, and why; `planned` where nothing was to
        be started."""
        if self.marks is not None:
            refuse = partial(self.marks.refuse, error, trigger, pipelines, planned=planned)
            self._errands.submit(refuse)

    def wait(self) -> None:
        """Until what is being posted stands there, or no time is left."""
        self._errands.wait()

    def close(self, tell: Callable[[str], None]) -> None:
        """Wait for what is being posted, then tell what the forge refused, and what went wrong
        beside that. Nothing is raised but a KeyboardInterrupt: a run is about its model."""
        try:
            self._close(tell)
        except KeyboardInterrupt:
            self.time.hurry()
            self._close(tell)
            raise

    def _close(self, tell: Callable[[str], None]) -> None:
        done = self._errands.wait()
        told = [*self.refusals.told(), *(_bug(error) for error in self._errands.errors())]
        if not done:
            told.append(str(_unanswered()))
        for problem in dict.fromkeys(told):
            tell(problem)


def _unanswered() -> ForgeError:
    return ForgeError(
        "the forge did not answer before this job had to end",
        why="a runner that cancels a job kills it after seconds; what the forge shows may be old",
        fix="Run again: the comment is found and brought up to date. The report is in the files.",
    )


def _bug(error: BaseException) -> str:
    if isinstance(error, GitOpsError):
        return str(error)
    return f"a report could not be posted: a bug in this program: {type(error).__name__}: {error}"


def open_board(
    forge: Forge,
    session: Session,
    *,
    place: Place,
    redactor: Redactor,
    warn: Callable[[str], None],
    comment: bool,
    oidc: bool,
    time: Time | None = None,
) -> Board:
    """`comment` False: none is wanted; `oidc` says that the job assumes a role with its token;
    `time` None: there is time without end."""
    settings, trigger = session.project.report, session.trigger
    deploys = session.environment != PULL_REQUEST
    refusals = Refusals(wanted_permissions(settings, comment=comment, deploys=deploys, oidc=oidc))
    number = find_number(forge, trigger, warn=warn) if comment or settings.labels else None
    comments = None
    if comment and number is not None:
        comments = Comments(
            forge=forge,
            pull_request=number,
            redactor=redactor,
            warn=warn,
            policy=settings.comment,
            refuse=refusals.note,
            place=place.project,
        )
    marks = None
    if marks_commits(session):
        marks = Marks(
            forge=forge,
            project=session.project,
            environment=session.environment,
            place=place,
            pull_request=number,
            redactor=redactor,
            refusals=refusals,
        )
    return Board(comments=comments, marks=marks, refusals=refusals, time=time or Time())


def marks_commits(session: Session) -> bool:
    """Nobody's work tree is a commit, and what a fork's job says of a commit anyone can say."""
    settings, trigger = session.project.report, session.trigger
    wanted = settings.check_run or settings.deployments or settings.labels
    return wanted and not trigger.from_fork and not trigger.dirty
