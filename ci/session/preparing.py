"""Decides that pipelines are compiled side by side, and what a compile that fails means for all."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

from ci.compile.running import end_compiles
from ci.session.job import Job, prepare_job
from ci.session.session import Session


def prepare_jobs(
    session: Session, names: Sequence[str], overrides: Mapping[str, str]
) -> tuple[Job, ...]:
    """Compile several pipelines side by side. The first that cannot be compiled is raised; that,
    or a signal, ends the others at once."""
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
