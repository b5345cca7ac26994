"""Checks of credentials, permissions and what has to stand in the account. Reads only."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import product

from ci.bootstrap.model import Duty, RoleNeed, Setup, Statement
from ci.bootstrap.policies import statements_of
from ci.bootstrap.resources import BUCKET, fill_resource
from ci.bootstrap.scope import default_name, plan_setup
from ci.doctor.model import Finding, Site, State, fail, ok, warn
from ci.errors import AwsError
from ci.project.model import Project
from ci.sagemaker.clients import Clients
from ci.sagemaker.identity import Caller, Identity, Lifetime
from ci.sagemaker.translate import DENIED

_HOUR = 3600.0
_SHOWN = 5
_RENEW = "role-to-assume: ARN   # renewed by the run itself"
_SIGN_IN = "aws sso login, or in GitHub Actions: role-to-assume and permissions: id-token: write"


def check_credentials(site: Site) -> Iterator[Finding]:
    """Whether there are any, and whether they outlast what a run may take."""
    if site.local:
        yield ok("the local endpoint takes any")
        return
    found = _identity(site).lifetime()
    if found is None:
        yield _unsigned("no AWS credentials are at hand")
        return
    yield judge_lifetime(found, deadline=site.deadline, now=datetime.now(UTC), door=site.renews)


def judge_lifetime(
    found: Lifetime, *, deadline: float | None, now: datetime, door: bool = False
) -> Finding:
    """`door`: the job can ask for new credentials by itself."""
    told = f"credentials from {found.method}"
    if door or found.renews:
        return ok(f"{told}, renewed while the run goes on")
    if not found.temporary:
        return warn(
            f"{told} do not expire: whoever finds them keeps them",
            fix="a role: aws sso login, or OIDC in GitHub Actions (sagemaker-gitops bootstrap)",
        )
    if found.ends is None:
        return _unknown_end(told, deadline)
    left = (found.ends - now).total_seconds()
    if left <= 0:
        return _unsigned(f"{told} have expired")
    if deadline is not None and left < deadline:
        return warn(
            f"{told} end in {left / 60:.0f} minutes, the deadline is {deadline / 60:.0f}",
            fix=_RENEW,
        )
    return ok(f"{told}, good for {left / 60:.0f} minutes")


def _unsigned(what: str) -> Finding:
    return Finding(state=State.FAIL, what=what, fix=_SIGN_IN, unsigned=True)


def _unknown_end(told: str, deadline: float | None) -> Finding:
    """A role that was assumed by another role ends after an hour, whatever was asked for (IAM
    User Guide, "Role chaining")."""
    if deadline is not None and deadline <= _HOUR:
        return ok(f"{told}, temporary")
    span = "no deadline is set" if deadline is None else f"the deadline is {deadline / 60:g} min"
    return warn(
        f"{told} are temporary and nothing tells how long they last; {span}. An assumed role"
        " lasts an hour by default, and never longer where a role assumed it",
        fix=_RENEW,
    )


def check_identity(site: Site) -> Iterator[Finding]:
    """Whose credentials they are: the account has to be the execution role's."""
    caller = _identity(site).caller()
    if site.account is not None and caller.account != site.account and not site.local:
        yield fail(
            f"the credentials are of the account {caller.account}, the project's role is of"
            f" {site.account}",
            where=caller.arn,
            fix=f"role: arn:aws:iam::{caller.account}:role/NAME\nor credentials of {site.account}",
        )
        return
    yield ok(f"{caller.arn}")


def check_permissions(site: Site) -> Iterator[Finding]:
    """Every action that the environment's commands call, on the project's own names."""
    if site.project is None or site.clients is None or site.environment is None:
        return
    if site.local:
        yield ok("the local endpoint checks none")
        return
    identity = _identity(site)
    caller = identity.caller()
    if caller.arn.endswith(":root"):
        yield warn("these are the account's root credentials: they may do everything", fix=_SIGN_IN)
        return
    setup = _setup(site, site.project, site.clients)
    need = next(each for each in setup.roles if each.environment == site.environment.name)
    try:
        refused = list(_refused(identity, caller, need, setup, site))
    except AwsError as error:
        if error.code not in DENIED:
            raise
        yield from _tried(identity)
        return
    refused = list(dict.fromkeys(refused))
    for action, resource in refused[:_SHOWN]:
        yield fail(f"{action} is not allowed", where=resource, fix=_allow(setup, need))
    if len(refused) > _SHOWN:
        yield fail(f"and {len(refused) - _SHOWN} more are not allowed", fix=_allow(setup, need))
    if not refused:
        count = len({each for made in _certain(need) for each in made.actions})
        yield ok(f"{count} actions are allowed, as IAM simulates them", where=caller.principal)


def _refused(
    identity: Identity, caller: Caller, need: RoleNeed, setup: Setup, site: Site
) -> Iterator[tuple[str, str]]:
    for statement in _certain(need):
        resources = [_filled(each, caller, setup, site) for each in statement.resources]
        for context in contexts_of(statement):
            yield from identity.refused(caller.principal, statement.actions, resources, context)


def _certain(need: RoleNeed) -> Iterator[Statement]:
    """Without what a template's parameter switches on: no project file says whether it is."""
    return (each for each in statements_of(need) if each.when is None)


def contexts_of(statement: Statement) -> Iterator[dict[str, str]]:
    """What calls bring that the statement's conditions let through: each value by itself."""
    keys = [key for _, key, _ in statement.condition]
    for values in product(*(values for _, _, values in statement.condition)):
        yield dict(zip(keys, values, strict=True))


def _filled(resource: str, caller: Caller, setup: Setup, site: Site) -> str:
    """An ARN that could be: IAM simulates no patterns."""
    filled = fill_resource(
        resource,
        account=site.account or caller.account,
        region=site.region or "us-east-1",
        bucket=setup.bucket or BUCKET,
        prefix=setup.prefix,
        queue=f"{setup.name}-events",
    )
    return filled if filled == "*" else filled.replace("*", "0")


def _allow(setup: Setup, need: RoleNeed) -> str:
    duty = "" if need.duty is Duty.MAIN else f" (the role {setup.name}-{need.name})"
    return f"sagemaker-gitops bootstrap github-oidc --deploy{duty}\nor docs/iam.md"


def _tried(identity: Identity) -> Iterator[Finding]:
    """Where IAM may not be asked, the least of all calls is made."""
    identity.can_list_pipelines()
    yield warn(
        "IAM may not be asked what these credentials may do; listing pipelines is allowed",
        fix="Allow iam:SimulatePrincipalPolicy on the role itself, or compare with docs/iam.md",
    )


def check_execution_role(site: Site) -> Iterator[Finding]:
    """The role that pipelines run as: there, and trusting SageMaker."""
    if site.local:
        yield ok("the local endpoint assumes none")
        return
    if site.role is None:
        yield fail(
            "no execution role is named",
            fix="role: arn:aws:iam::ACCOUNT:role/NAME\nsagemaker-gitops bootstrap execution-role",
        )
        return
    name = site.role.rpartition("/")[2]
    try:
        services = _identity(site).trusted_services(name)
    except AwsError as error:
        if error.code not in DENIED:
            raise
        yield warn("the execution role cannot be read", where=site.role, fix="Allow iam:GetRole")
        return
    if services is None:
        yield fail(
            "the execution role does not exist",
            where=site.role,
            fix="sagemaker-gitops bootstrap execution-role --deploy",
        )
    elif "sagemaker.amazonaws.com" not in services:
        yield fail(
            "SageMaker may not assume the execution role",
            where=site.role,
            fix='{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"},'
            ' "Action": "sts:AssumeRole"}',
        )
    else:
        yield ok("SageMaker may assume the execution role", where=site.role)


def check_bucket(site: Site) -> Iterator[Finding]:
    """The artifact bucket: there, in this account and region. Nothing is written."""
    bucket = site.bucket
    if bucket is None:
        yield warn(
            "no artifact bucket is named, nor a role that tells the account of the default one",
            fix="artifacts:\n  bucket: NAME",
        )
        return
    where = f"s3://{bucket}"
    try:
        region = _identity(site).bucket_region(bucket, owner=None if site.local else site.account)
    except AwsError as error:
        if error.code not in DENIED:
            raise
        yield fail(
            "the artifact bucket is another account's, or may not be listed",
            where=where,
            fix="artifacts:\n  bucket: NAME   # one of this account",
        )
        return
    if region is None and site.local:
        yield ok("the first deploy makes the artifact bucket", where=where)
    elif region is None:
        kind = warn if bucket.startswith("sagemaker-") else fail
        yield kind(
            "the artifact bucket does not exist"
            + (": the first deploy makes it" if kind is warn else ""),
            where=where,
            fix="sagemaker-gitops bootstrap artifacts --deploy",
        )
    elif region and region != site.region:
        yield fail(
            f"the artifact bucket is in {region}, the pipelines are in {site.region}",
            where=where,
            fix=f"artifacts:\n  bucket: NAME   # one in {site.region}",
        )
    else:
        yield ok("the artifact bucket is there", where=where)


def _identity(site: Site) -> Identity:
    if site.clients is None:
        raise AwsError("no region is known", code="NoRegion", operation="", fix="region: eu-west-1")
    return Identity(site.clients)


def _setup(site: Site, project: Project, clients: Clients) -> Setup:
    repository = site.repository or project.root.name
    return plan_setup(
        project,
        repository=repository,
        default_branch="main",
        name=default_name(repository),
        bucket=site.bucket,
        region=clients.region,
    )
