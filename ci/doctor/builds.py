"""The check of builds in CodeBuild: whether a run ends its following before it is cut off.

Three places have a say: the buildspec of the repository, the project that `bootstrap` makes, and
the build that this is. CodeBuild takes a project's variable before the buildspec's (its user guide,
"Environment variables in build environments").
"""

from collections.abc import Iterator
from dataclasses import replace

from ci.bootstrap.scope import default_name
from ci.doctor.documents import Document, mapping, read, seconds
from ci.doctor.model import Finding, Site, fail, ok, warn
from ci.errors import AwsError
from ci.sagemaker.builds import BuildLimit, Builds
from ci.sagemaker.retry import lacks_credentials
from ci.sagemaker.translate import DENIED

MARGIN = 600.0  # seconds that a job needs beside what it follows
_MOST = 36 * 3600.0
_DEADLINE = "SAGEMAKER_GITOPS_DEADLINE"
_BUILD = "CODEBUILD_BUILD_ID"


def check_builds(site: Site) -> Iterator[Finding]:
    """A build that runs this program has to end its following before it is cut off."""
    files = (site.root / name for name in ("buildspec.yml", "buildspec.yaml"))
    file = next((each for each in files if each.is_file()), None)
    document, problem = (None, None) if file is None else read(file)
    if file is not None and document is None:
        yield fail(problem or "the buildspec is empty", where=file.name)
        return
    runs = any(word in str(document) for word in ("sagemaker-gitops", "SAGEMAKER_GITOPS"))
    runs = runs or bool(site.environ.get(_BUILD))
    limit = None
    try:
        limit = _limit(site)
    except AwsError as error:
        if runs:
            yield _unasked(site, error)
    if limit is not None:
        yield judge_build(_deadline(site, document, limit), limit.minutes, where=limit.name)
    elif runs:
        where = file.name if file is not None else site.environ[_BUILD]
        yield judge_build(_deadline(site, document, None), None, where=where)
    else:
        told = "no buildspec" if file is None else "the buildspec does not run sagemaker-gitops"
        yield ok(told, where=file.name if file is not None else None)


def judge_build(deadline: float | None, minutes: int | None, *, where: str) -> Finding:
    """`deadline` is in seconds, None for as long as it takes; `minutes` is the timeout, None where
    it is not known."""
    cut_off = "its project's timeout" if minutes is None else f"{minutes} minutes"
    if deadline is None:
        most = 480 if minutes is None else minutes
        return warn(
            f"no deadline: a build is cut off at {cut_off} without a report",
            where=where,
            fix=f"{_DEADLINE}: {max(1, int(most - 2 * MARGIN / 60))}m   # below the timeout",
        )
    if deadline > _MOST:
        return fail(
            f"the deadline of {deadline / 3600:g} hours is longer than any build may take (36)",
            where=where,
            fix=f"{_DEADLINE}: 35h",
        )
    if minutes is not None and deadline + MARGIN > minutes * 60:
        return fail(
            f"a deadline of {deadline / 60:g} minutes is not {MARGIN / 60:g} minutes before the"
            f" build's timeout of {minutes}: it would be cut off without a report",
            where=where,
            fix=f"TimeoutInMinutes: {int((deadline + MARGIN) / 60) + 1}   # of the project",
        )
    known = "" if minutes is None else f", the build's timeout {minutes / 60:.2g} h"
    return ok(f"the deadline is {deadline / 3600:.2g} h{known}", where=where)


def _limit(site: Site) -> BuildLimit | None:
    """Of this build; elsewhere of the project that `bootstrap codebuild` makes, if there is one."""
    if site.clients is None or site.local:
        return None
    builds = Builds(site.clients)
    build = site.environ.get(_BUILD)
    if build:
        return builds.of_build(build)
    if site.repository is None or site.environment is None:
        return None
    return builds.of_project(f"{default_name(site.repository)}-{site.environment.name}")


def _deadline(site: Site, document: Document | None, limit: BuildLimit | None) -> float | None:
    """In a build its variables are settled; elsewhere a project's go before the buildspec's."""
    if site.environ.get(_BUILD):
        return site.deadline
    given = mapping(mapping((document or {}).get("env")).get("variables"))
    project = limit.variables if limit is not None else {}
    told = (project.get(_DEADLINE), given.get(_DEADLINE), site.environ.get(_DEADLINE))
    found = next((each for each in map(seconds, told) if each is not None), None)
    return site.deadline if found is None else found


def _unasked(site: Site, error: AwsError) -> Finding:
    if error.code not in DENIED:
        found = warn(f"the build's timeout is not known: {error.what}", where=error.where)
        return replace(found, unsigned=lacks_credentials(error))
    name = "BatchGetBuilds" if site.environ.get(_BUILD) else "BatchGetProjects"
    return warn(
        "the build's timeout is not known: CodeBuild may not be asked",
        where=error.where,
        fix=f"Allow codebuild:{name} on the project, or see that its timeout is"
        f" {MARGIN / 60:g} minutes above the deadline",
    )
