"""Which forge the repository is on, and whether there is a token for it. What a token may do:
`ci.doctor.tokens`.
"""

import time
from collections.abc import Iterator

from ci.doctor.model import Finding, Site, State, fail, ok, warn
from ci.doctor.tokens import Held, ask_bitbucket, ask_github, ask_gitlab
from ci.errors import AwsError
from ci.forge.answers import permissions_block
from ci.forge.opening import HOSTS, Access, find_access, kind_of
from ci.posting.marking import PULL_REQUEST
from ci.posting.refusals import wanted_permissions
from ci.project.model import ForgeKind, ReportSettings
from ci.sagemaker.clients import open_clients
from ci.sagemaker.codecommit import CodeCommit
from ci.sagemaker.retry import lacks_credentials
from ci.sagemaker.translate import DENIED
from ci.trigger.model import Door, Trigger
from ci.trigger.values import codecommit_region


def check_token(site: Site) -> Iterator[Finding]:
    """Whether there is a token, whether it reads this repository, and what it says it may."""
    trigger = site.trigger
    if trigger is None or not site.repository:
        yield warn("which repository this is cannot be told: no comment is posted")
        return
    access = find_access(trigger, site.environ, sleep=time.sleep, project=site.project)
    yield _missing(site, trigger) if access is None else _ask(site, trigger, access)


def _ask(site: Site, trigger: Trigger, access: Access) -> Finding:
    match access.kind:
        case ForgeKind.GITHUB:
            # A job's own token: what it may do stands in the workflow, and nowhere else.
            job = trigger.door is Door.GITHUB_ACTIONS
            return ask_github(_held(access), wanted=_permissions(site), job=job)
        case ForgeKind.GITLAB:
            return ask_gitlab(_held(access), now=time.time())
        case ForgeKind.BITBUCKET:
            return ask_bitbucket(_held(access))
        case ForgeKind.CODECOMMIT:
            return _ask_codecommit(site, trigger, access.repository)


def _held(access: Access) -> Held:
    return Held(
        address=access.address.rstrip("/"), token=access.token, repository=access.repository
    )


def _missing(site: Site, trigger: Trigger) -> Finding:
    kind = kind_of(trigger, site.environ)
    settings = site.project.forge if site.project is not None else None
    if trigger.door is Door.LAPTOP and settings is not None and settings.token is not None:
        what = "the project file's token is read in CI alone: a laptop's clone may be anybody's"
        return Finding(state=State.SKIPPED, what=what)
    if kind is None:
        return warn(
            f"no forge is known at {trigger.host}: no comment is posted",
            fix="GITHUB_API_URL, GITLAB_API_URL: the address of its API   # docs/forges.md",
        )
    told = "there is no token: no comment is posted, nor is what was reviewed looked up"
    if kind is ForgeKind.GITHUB:
        return warn(told, fix=f"GITHUB_TOKEN: ${{{{ github.token }}}}\n{_permissions(site)}")
    return warn(told, fix=f"{HOSTS[kind].tokens[0]}: a token   # docs/forges.md, least rights")


def _permissions(site: Site) -> str:
    """What a job needs for all that the project file asks of the forge."""
    settings = site.project.report if site.project is not None else ReportSettings()
    deploys = site.environment is None or site.environment.name != PULL_REQUEST
    wanted = wanted_permissions(settings, comment=True, deploys=deploys, oidc=True)
    return permissions_block(wanted)


def _ask_codecommit(site: Site, trigger: Trigger, repository: str) -> Finding:
    """Credentials stand for a token. What they may write is asked of IAM (`permissions`)."""
    region = codecommit_region(trigger.host) or site.region
    environ = site.environ
    stands_in = environ.get("AWS_ENDPOINT_URL") and not environ.get("AWS_ENDPOINT_URL_CODECOMMIT")
    if region is None or stands_in:
        why = "the endpoint that stands for AWS has none" if stands_in else "no region is known"
        return Finding(state=State.SKIPPED, what=f"CodeCommit is not asked: {why}")
    try:
        any(CodeCommit(open_clients(region, environ).once, repository).pull_requests("OPEN"))
    except AwsError as error:
        if lacks_credentials(error):
            raise
        return _refused_by_codecommit(error, repository)
    return ok("these credentials read the repository's pull requests", where=repository)


def _refused_by_codecommit(error: AwsError, repository: str) -> Finding:
    if error.code in DENIED:
        return fail(
            "these credentials may not read the repository's pull requests: no comment is posted",
            where=repository,
            fix="codecommit:ListPullRequests and the others of docs/forges.md",
        )
    if error.code == "RepositoryDoesNotExistException":
        return fail(
            "there is no such repository in CodeCommit",
            where=repository,
            fix="git remote set-url origin ...",
        )
    return warn(f"CodeCommit does not answer: {error.code}", where=repository)
