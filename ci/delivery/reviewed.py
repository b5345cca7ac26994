"""Holds what is about to be applied against what was reviewed.

Two ways to name a review: explicitly, by digest or folder (`deploy --plan`), which refuses every
difference; or the plan in the comment of the pull request that was merged, where the environment
says what a difference means (`on_unreviewed`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ci.definition.parse import parse_definition
from ci.delivery.planning import PULL_REQUEST, Planned
from ci.delivery.recorded import Recorded, find_recorded
from ci.errors import ForgeError, NotReviewed, UsageError
from ci.forge.comments import find_comments
from ci.plan.diff import plan_changes
from ci.plan.model import PipelineState, Plan
from ci.plan.naming import Moved, digest_state, is_plan_name, what_moved
from ci.plan.states import wanted_state
from ci.plan.words import differences, summary
from ci.posting.forging import Comments
from ci.project.model import OnUnreviewed
from ci.report.marker import Marker, short_project
from ci.report.model import State
from ci.session.job import Job

_AGAIN = "Review it anew: sagemaker-gitops plan"
_SHOWN = 20
_WANTED = "the source compiles to something else, or the execution is given other parameters"


def require_reviewed(
    jobs: Sequence[Job], planned: Mapping[str, Planned], reviews: Sequence[str], cwd: Path
) -> tuple[Job, ...]:
    """The jobs with the very bundles that were reviewed. NotReviewed says what moved since.

    `reviews` are digests of plans and folders of `plan --out`.
    """
    environment = jobs[0].target.environment.name
    if environment == PULL_REQUEST:
        raise UsageError(
            "a pull request's own run is apart from what its plan is of",
            where="--plan",
            fix="--environment main",
        )
    digests = [review for review in reviews if is_plan_name(review)]
    folders = [_folder(review, cwd) for review in reviews if not is_plan_name(review)]
    return tuple(_require(job, planned[job.name], digests, folders) for job in jobs)


def compare_with_comment(
    planned: Planned, comments: Comments | None, policy: OnUnreviewed
) -> tuple[str, ...]:
    """What a report has to say of a merge that applies something else than its pull request's
    comment showed; nothing where it is the same. NotReviewed where the policy refuses.

    Without a pull request, or without a plan in its comment, nothing is said, but `refuse`
    refuses: nobody has seen this plan.
    """
    problem, said = _comment_problem(planned, comments)
    if problem is None:
        return ()
    if policy is OnUnreviewed.REFUSE:
        raise NotReviewed(
            problem,
            where=planned.plan.pipeline,
            why=f"now: {summary(planned.plan)}",
            fix="Deploy the plan by its name, once it was looked at, with this run's parameters:\n"
            f"sagemaker-gitops deploy --plan {planned.plan.digest}",
        )
    return (f"{problem[:1].upper()}{problem[1:]}. Now: {summary(planned.plan)}",) if said else ()


def _comment_problem(planned: Planned, comments: Comments | None) -> tuple[str | None, bool]:
    """What is not as it was reviewed, and whether a report has to tell it."""
    if comments is None:
        return "no pull request is known in which this was reviewed", False
    name = f"pull request {comments.pull_request}"
    try:
        digest = recorded_digest(comments, planned.target.pipeline.name)
    except ForgeError as error:
        return f"the plan on {name} could not be read: {error.what}", True
    if digest is None:
        return f"{name} shows no plan of {planned.target.pipeline.name}", False
    moved = what_moved(digest, planned.plan)
    if moved.wanted:
        return f"what is merged is not what {name} showed: {_WANTED}", True
    if moved.deployed:
        return f"what is deployed has moved since {name} was planned", True
    return None, False


def recorded_digest(comments: Comments, pipeline: str) -> str | None:
    """The name of the plan that the pull request's own comment shows; None where it shows none."""
    subject = Marker(
        pipeline=pipeline,
        environment=PULL_REQUEST,
        commit="",
        execution=None,
        digest=None,
        state=State.PLANNED,
        project=short_project(comments.place),
    )
    found = find_comments(comments.forge, comments.pull_request, subject)
    names = [marker.plan for _, marker in found if marker.plan and is_plan_name(marker.plan)]
    return names[-1] if names else None


def _require(job: Job, planned: Planned, digests: Sequence[str], folders: Sequence[Path]) -> Job:
    for folder in folders:
        if _holds(folder, job.name):
            return _require_recorded(job, planned, find_recorded(folder, job.name))
    moves = {digest: what_moved(digest, planned.plan) for digest in digests}
    if any(not moved and moved.compared for moved in moves.values()):
        return job
    near = [moved for moved in moves.values() if not (moved.wanted and moved.deployed)]
    moved = near[0] if near else next(iter(moves.values()), None)
    if moved is None:
        raise NotReviewed(f"none of the plans given is of {job.name}", where="--plan", fix=_AGAIN)
    raise _refusal(planned.plan, moved)


def _require_recorded(job: Job, planned: Planned, recorded: Recorded) -> Job:
    if recorded.digest is None:
        raise NotReviewed(
            "the folder holds a bundle and no plan", where=str(recorded.folder), fix=_AGAIN
        )
    moved = what_moved(recorded.digest, planned.plan)
    if moved or not moved.compared:
        raise _refusal(planned.plan, moved, _told(planned, recorded, moved))
    bundle = recorded.bundle
    if bundle.digest != planned.bundle.digest:
        # Whoever was cut off while another plan was written over this one leaves both.
        raise NotReviewed(
            "the folder's bundle is not the one that its plan is of: nothing was applied",
            where=str(recorded.folder),
            fix=_AGAIN,
        )
    return replace(
        job,
        bundle=bundle,
        definition=parse_definition(bundle.definition, where=f"definition of {job.name}"),
    )


def _refusal(plan: Plan, moved: Moved, told: Sequence[str] = ()) -> NotReviewed:
    if not moved and not moved.compared:
        return NotReviewed(
            "this plan was not made against what is deployed",
            where=plan.pipeline,
            why="it was made without credentials, or against a recorded bundle",
            fix="Make it again with credentials: sagemaker-gitops plan",
        )
    parts = [
        text
        for text, holds in (
            (_WANTED, moved.wanted),
            ("what is deployed has moved", moved.deployed),
        )
        if holds
    ]
    lines = [f"Now: {summary(plan)}", *told]
    return NotReviewed(
        f"since the plan was reviewed, {' and '.join(parts)}: nothing was applied",
        where=plan.pipeline,
        why="\n".join(lines),
        fix=_AGAIN,
    )


def _told(planned: Planned, recorded: Recorded, moved: Moved) -> list[str]:
    lines: list[str] = []
    if moved.wanted:
        now = wanted_state(
            planned.bundle,
            role=planned.target.role,
            parallelism=planned.target.environment.parallelism,
            tags=planned.target.tags,
        )
        lines += _difference("source", recorded.wanted, now)
        if digest_state(recorded.wanted) == planned.plan.wanted:
            lines.append("source: the same; the execution is given other parameters")
    if moved.deployed:
        lines += _difference("deployed", recorded.before, planned.before)
    return lines


def _difference(side: str, old: PipelineState | None, new: PipelineState | None) -> list[str]:
    if new is None:
        return [f"{side}: the pipeline is gone"]
    if old is None:
        return [f"{side}: the pipeline was not there"]
    found = list(differences(plan_changes(new, old, pipeline="")))
    if len(found) > _SHOWN:
        found = [*found[:_SHOWN], f"and {len(found) - _SHOWN} more"]
    return [f"{side}: {line}" for line in found]


def _holds(folder: Path, pipeline: str) -> bool:
    return any((place / "bundle.json").is_file() for place in (folder / pipeline, folder))


def _folder(text: str, cwd: Path) -> Path:
    folder = cwd / text
    if folder.is_dir():
        return folder
    raise UsageError(
        f"{text!r} is neither the digest of a plan nor a folder",
        where="--plan",
        why="a digest has 64 hex digits; the plan shows it in its last line",
        fix="sagemaker-gitops plan --out build/plan && sagemaker-gitops deploy --plan build/plan",
    )
