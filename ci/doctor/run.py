"""Runs the checks side by side, each by itself, and all of them within a time.

A check that raises is a finding; one that does not come back in time is left behind. What keeps
several checks from their answers is told by the first of them.
"""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from ci.doctor.model import Answer, Check, Finding, Site, State, fail, warn
from ci.errors import AwsError, ExitCode, GitOpsError
from ci.sagemaker.retry import lacks_credentials

_NEEDS = {
    "project": "there is no valid project file",
    "trigger": "no commit of git is checked out here",
    "clients": "there is no region, or no valid project file",
}


def run_checks(
    checks: Sequence[Check], site: Site, *, seconds: float, clock: Callable[[], float]
) -> tuple[Answer, ...]:
    """What every check found, in the order of the checks."""
    found: queue.SimpleQueue[tuple[int, tuple[Finding, ...]]] = queue.SimpleQueue()
    for number, check in enumerate(checks):
        # Daemons: one that hangs must not keep the process.
        threading.Thread(
            target=lambda n=number, c=check: found.put((n, _look(c, site))), daemon=True
        ).start()
    ends = clock() + seconds
    answers: dict[int, tuple[Finding, ...]] = {}
    while len(answers) < len(checks):
        try:
            number, findings = found.get(timeout=max(0.0, ends - clock()))
        except queue.Empty:
            break
        answers[number] = findings
    late = (warn(f"no answer within {seconds:g} s"),)
    return tuple(
        _told_once(
            Answer(check=check, finding=finding)
            for number, check in enumerate(checks)
            for finding in answers.get(number, late)
        )
    )


def _told_once(answers: Iterable[Answer]) -> Iterator[Answer]:
    """Of those that had no credentials the first has the way out."""
    first: str | None = None
    for answer in answers:
        if not answer.finding.unsigned:
            yield answer
        elif first is None:
            first = answer.check.name
            yield answer
        else:
            told = Finding(state=State.SKIPPED, what=f"no usable credentials (see {first})")
            yield replace(answer, finding=told)


def _look(check: Check, site: Site) -> tuple[Finding, ...]:
    for need in check.needs:
        if getattr(site, need) is None:
            return (Finding(state=State.SKIPPED, what=_NEEDS[need]),)
    try:
        return tuple(check.look(site))
    except GitOpsError as error:
        found = fail(_one_line(error.what), where=error.where, fix=error.fix or error.why)
        return (replace(found, unsigned=isinstance(error, AwsError) and lacks_credentials(error)),)
    except Exception as error:  # noqa: BLE001 - one broken check must not hide the others
        return (warn(f"the check itself failed: {type(error).__name__}: {error}"),)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def exit_code(answers: Sequence[Answer]) -> ExitCode:
    """0 when nothing fails; the project's own faults go before those of the surroundings."""
    codes = {answer.check.topic.code for answer in answers if answer.finding.state is State.FAIL}
    return min(codes, default=ExitCode.OK)
