"""Everything of a run that stands on the repository's host, posted beside it.

A thread of its own posts, one report after the other: no start and no signal waits for the forge.
The comment comes first: it is what people read, and a job that is cancelled has seconds.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from ci.errors import GitOpsError
from ci.forge.model import Forge
from ci.posting.forging import Comments, find_number
from ci.posting.marking import PULL_REQUEST, Marks
from ci.posting.place import Place
from ci.posting.refusals import Refusals, wanted_permissions
from ci.report.model import Report
from ci.session.session import Session
from ci.text.redact import Redactor
from ci.trigger.model import Trigger


@dataclass(slots=True, kw_only=True)
class Board:
    """`comments` and `marks` are None where there are none."""

    comments: Comments | None
    marks: Marks | None
    refusals: Refusals
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(max_workers=1))
    _begun: list[Future[None]] = field(default_factory=list)
    _order: Sequence[str] | None = None

    def commit_order(self) -> Sequence[str]:
        """As it was at the first question: the connection belongs to the thread afterwards."""
        if self._order is None:
            self._order = () if self.comments is None else self.comments.commit_order()
        return self._order

    def post(self, report: Report) -> None:
        if self.comments is not None:
            self._begun.append(self._pool.submit(self.comments.post, report))
        if self.marks is not None:
            self._begun.append(self._pool.submit(self.marks.post, report))

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
            self._begun.append(self._pool.submit(refuse))

    def close(self, tell: Callable[[str], None]) -> None:
        """Wait for what is being posted, then tell what the forge refused, and what went wrong
        beside that. Nothing is raised: a run is about its model."""
        self._pool.shutdown()
        broken = [error for error in (done.exception() for done in self._begun) if error]
        told = [*self.refusals.told(), *(_bug(error) for error in broken)]
        for problem in dict.fromkeys(told):
            tell(problem)


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
) -> Board:
    """`comment` False: none is wanted; `oidc` says that the job assumes a role with its token."""
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
    return Board(comments=comments, marks=marks, refusals=refusals)


def marks_commits(session: Session) -> bool:
    """Nobody's work tree is a commit, and what a fork's job says of a commit anyone can say."""
    settings, trigger = session.project.report, session.trigger
    wanted = settings.check_run or settings.deployments or settings.labels
    return wanted and not trigger.from_fork and not trigger.dirty
