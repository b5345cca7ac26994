"""Decides that pipelines are compiled side by side, and what a compile that fails means for all."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

from ci.compile.running import end_compiles
from ci.session.job import Job, prepare_job
from ci.session.parameters import find_undeclared
from ci.session.session import Session


def _nobody(_: str) -> None:
    """For who has no one to tell."""


def prepare_jobs(
    session: Session,
    names: Sequence[str],
    overrides: Mapping[str, str],
    *,
    warn: Callable[[str], None] = _nobody,
) -> tuple[Job, ...]:
    """Compile several pipelines side by side. The first that cannot be compiled is raised; that,
    or a signal, ends the others at once. ProjectError for a parameter of an environment that none
    of them declares; `warn` is told of one where not all were compiled that could."""
    jobs = _compile(session, names, overrides)
    require_declared(session, jobs, warn=warn)
    return jobs


def require_declared(
    session: Session, jobs: Sequence[Job], *, warn: Callable[[str], None] = _nobody
) -> None:
    """What `prepare_jobs` refuses, and warns of, for jobs that were compiled elsewhere."""
    project = session.project
    here = project.environments[session.environment]
    for found in find_undeclared(project, here, {job.name: job.definition for job in jobs}):
        refusal = found.refusal(project.file)
        if found.known:
            raise refusal
        if found.likely:  # else it is most likely another pipeline's
            warn(f"warning: {refusal.where}: {refusal.what}; did you mean {found.likely}?")


def _compile(
    session: Session, names: Sequence[str], overrides: Mapping[str, str]
) -> tuple[Job, ...]:
    with ThreadPoolExecutor(max_workers=4) as pool:
        made = [pool.submit(prepare_job, session, name, overrides) for name in names]
        try:
            return tuple(each.result() for each in made)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            # `wait` alone never counts what was cancelled before a thread took it.
            while left := [each for each in made if not each.done()]:
                end_compiles()
                wait(left, timeout=0.1)
            raise
