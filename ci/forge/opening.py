"""Decides which forge a repository is on, and opens it with the token that the job has for it.

A token and the address that it is sent to come from one place. The environment's token goes to
the forge's public address, to one that the environment names, or to the host that CodeBuild's
project builds from. The project file's address gets the project file's token. A pull request from
a fork brings its own project file, and a clone on a laptop may be anybody's: there the file names
neither.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ci.errors import AwsError, ForgeError
from ci.forge import bitbucket, github, gitlab
from ci.forge.http import checked_token
from ci.forge.model import Forge
from ci.project.model import ForgeKind, ForgeSettings, Project, TokenSource
from ci.project.target import region_of_job
from ci.trigger.model import Door, Trigger
from ci.trigger.values import codecommit_region, is_codecommit


@dataclass(frozen=True, slots=True, kw_only=True)
class _Host:
    """A forge behind HTTP: its own hosts, where its API is, the variables that hold a token and
    the API's address (`sites`: the host's alone), and the path of the API on one's own host,
    where there may be one."""

    hosts: frozenset[str]
    api: str
    tokens: tuple[str, ...]
    addresses: tuple[str, ...]
    path: str | None = None
    sites: tuple[str, ...] = ()


HOSTS = {
    ForgeKind.GITHUB: _Host(
        hosts=frozenset({"github.com", "ssh.github.com"}),
        api=github.API,
        tokens=("GITHUB_TOKEN", "GH_TOKEN"),
        addresses=("GITHUB_API_URL",),
        path="/api/v3",
        sites=("GITHUB_SERVER_URL",),
    ),
    ForgeKind.GITLAB: _Host(
        hosts=frozenset({"gitlab.com", "altssh.gitlab.com"}),
        api=gitlab.API,
        tokens=("GITLAB_TOKEN",),
        addresses=("GITLAB_API_URL", "CI_API_V4_URL"),
        path="/api/v4",
    ),
    ForgeKind.BITBUCKET: _Host(
        hosts=frozenset({"bitbucket.org", "altssh.bitbucket.org"}),
        api=bitbucket.API,
        tokens=("BITBUCKET_TOKEN",),
        addresses=("BITBUCKET_API_URL",),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """A repository on its forge, and what opens it. `address` and `token` are empty for
    CodeCommit, which takes the job's AWS credentials."""

    kind: ForgeKind
    repository: str
    address: str = ""
    token: str = field(default="", repr=False)


def open_forge(
    trigger: Trigger,
    environ: Mapping[str, str],
    *,
    sleep: Callable[[float], None],
    project: Project | None = None,
    learn: Callable[[str], None] = lambda _: None,
) -> Forge | None:
    """The forge of the trigger's repository; None where there is none, or no token for it.

    `learn` is told a token that was read from where the project file says, before it is used.
    ForgeError where what the environment or the file says of it cannot be right.
    """
    access = find_access(trigger, environ, sleep=sleep, project=project, learn=learn)
    if access is None:
        return None
    if access.kind is ForgeKind.CODECOMMIT:
        region = project.region if project is not None else None
        return _codecommit(trigger, environ, access.repository, region, sleep)
    return _open(access, environ, sleep)


def find_access(
    trigger: Trigger,
    environ: Mapping[str, str],
    *,
    sleep: Callable[[float], None],
    project: Project | None = None,
    learn: Callable[[str], None] = lambda _: None,
) -> Access | None:
    """As `open_forge`: which forge it opens, where, and with what."""
    trusted = project is not None and not trigger.from_fork and trigger.door is not Door.LAPTOP
    settings = project.forge if project is not None and trusted else ForgeSettings()
    repository = trigger.repository or settings.repository
    kind = settings.kind or kind_of(trigger, environ)
    if repository is None or kind is None:
        return None
    if kind is ForgeKind.CODECOMMIT:
        return Access(kind=kind, repository=repository)
    region = project.region if project is not None else None
    address = _address(kind, trigger, environ)
    token = _at_hand(kind, environ)
    if token is not None:
        _check_address(kind, settings.api_url, environ)
    elif settings.token is not None:
        address = settings.api_url or address
        token = None if address is None else _read(settings.token, environ, region, sleep)
        learn(token or "")
    if token is None or address is None:
        return None
    return Access(kind=kind, repository=repository, address=address, token=token)


def _at_hand(kind: ForgeKind, environ: Mapping[str, str]) -> str | None:
    """The environment's token. Bitbucket's API tokens go with an account."""
    held = ((name, environ.get(name, "").strip()) for name in HOSTS[kind].tokens)
    token = next((checked_token(value, name) for name, value in held if value), None)
    account = environ.get("BITBUCKET_USERNAME", "").strip()
    if kind is ForgeKind.BITBUCKET and token and account and ":" not in token:
        return f"{account}:{token}"
    return token


def _check_address(kind: ForgeKind, wanted: str | None, environ: Mapping[str, str]) -> None:
    """ForgeError where the file names another host than the environment does."""
    named = _first(environ, HOSTS[kind].addresses)
    if wanted is None or urlsplit(named or "").hostname == urlsplit(wanted).hostname:
        return
    variable = HOSTS[kind].addresses[0]
    raise ForgeError(
        f"{HOSTS[kind].tokens[0]} is not sent to the project file's api_url",
        where=wanted,
        why="the environment's token goes where the environment says",
        fix=f"{variable}={wanted}",
    )


def kind_of(trigger: Trigger, environ: Mapping[str, str]) -> ForgeKind | None:
    """By the repository's host; where the door names none, by the token that is at hand. None
    for a host that nothing vouches for."""
    host = trigger.host
    if host is None:
        return _without_host(trigger, environ)
    if is_codecommit(host):
        return ForgeKind.CODECOMMIT
    for kind, known in HOSTS.items():
        names = (*known.addresses, *known.sites)
        named = (urlsplit(environ.get(name, "")).hostname for name in names)
        if host in known.hosts or host in set(named):
            return kind
    if trigger.door is not Door.CODEBUILD:
        return None
    own = (kind for kind, known in HOSTS.items() if known.path and host.startswith(f"{kind}."))
    return next(own, None)


def _without_host(trigger: Trigger, environ: Mapping[str, str]) -> ForgeKind | None:
    if trigger.door is not Door.GITHUB_ACTIONS:
        if "/" not in (trigger.repository or "/"):
            return ForgeKind.CODECOMMIT
        held = [kind for kind, known in HOSTS.items() if _first(environ, known.tokens)]
        if len(held) == 1:
            return held[0]
    return ForgeKind.GITHUB


def _address(kind: ForgeKind, trigger: Trigger, environ: Mapping[str, str]) -> str | None:
    """Where the API is: as the environment says, at the host that the build's source is on, or
    the public one. None where the repository is on another host than all of these."""
    known = HOSTS[kind]
    named = _first(environ, known.addresses)
    if named is not None:
        return named
    if trigger.host is None or trigger.host in known.hosts:
        return known.api
    if trigger.door is Door.CODEBUILD and known.path is not None:
        return f"https://{trigger.host}{known.path}"
    return None


def _open(
    access: Access, environ: Mapping[str, str], sleep: Callable[[float], None]
) -> Forge | None:
    address, token, repository = access.address, access.token, access.repository
    match access.kind:
        case ForgeKind.GITLAB:
            return gitlab.open_gitlab(address, token, repository, sleep=sleep)
        case ForgeKind.BITBUCKET:
            return bitbucket.open_bitbucket(address, token, repository, sleep=sleep)
        case _:
            settled = {**environ, "GITHUB_TOKEN": token, "GITHUB_API_URL": address}
            return github.github_from_environment(settled, repository, sleep=sleep)


def _codecommit(
    trigger: Trigger,
    environ: Mapping[str, str],
    repository: str,
    region: str | None,
    sleep: Callable[[float], None],
) -> Forge | None:
    """Credentials are always there: on a laptop, that a pull request was named says that its
    comment is wanted. An endpoint that stands for AWS has no CodeCommit unless one is named."""
    stands_in = environ.get("AWS_ENDPOINT_URL") and not environ.get("AWS_ENDPOINT_URL_CODECOMMIT")
    by_hand = trigger.door is Door.LAPTOP and trigger.pull_request is None
    if stands_in or by_hand:
        return None
    from ci.forge.codecommit import CodeCommit
    from ci.sagemaker.clients import open_clients
    from ci.sagemaker.codecommit import CodeCommit as Calls

    place = codecommit_region(trigger.host) or _region(environ, region)
    clients = open_clients(place, environ, sleep=sleep)
    return CodeCommit(Calls(clients, repository), repository)


def _read(
    source: TokenSource,
    environ: Mapping[str, str],
    region: str | None,
    sleep: Callable[[float], None],
) -> str:
    from ci.sagemaker.clients import open_clients
    from ci.sagemaker.tokens import read_parameter, read_secret

    name = source.secret or source.parameter or ""
    told = re.match(r"arn:[a-z-]+:[a-z]+:([a-z0-9-]+):", name)
    clients = open_clients(told[1] if told else _region(environ, region), environ, sleep=sleep)
    try:
        if source.secret is not None:
            token = read_secret(clients, source.secret, source.key)
        else:
            token = read_parameter(clients, name)
    except AwsError as error:
        raise ForgeError(
            f"the forge's token cannot be read: {error.what}",
            where=error.where,
            why=error.why,
            fix=error.fix,
        ) from error
    return checked_token(token, name)


def _region(environ: Mapping[str, str], region: str | None) -> str:
    """The job's own, else the project's."""
    found = region_of_job(environ) or region
    if not found:
        raise ForgeError("no AWS region is known", fix="region: us-east-1  # in the project file")
    return found


def _first(environ: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    values = (environ.get(name, "").strip() for name in names)
    return next((value for value in values if value), None)
