"""Gathers what every command of the main job needs before it can decide anything."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ci.errors import UsageError
from ci.project.model import Project, Target
from ci.project.target import choose_environment, region_of_job, resolve_target
from ci.sagemaker.adapter import SageMaker
from ci.sagemaker.clients import open_clients
from ci.trigger.model import Trigger

if TYPE_CHECKING:
    from ci.forge.model import Forge

LOCAL_ROLE = "arn:aws:iam::000000000000:role/sagemaker-gitops-local"
LOCAL_REGION = "us-east-1"
MAIN = "main"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A project, a trigger, and the environment that the trigger is for.

    `environ` is the process's, pointed at the local endpoint where that was asked for. `proposed`
    says that the code is a pull request's, also where the trigger is what merging it would be.
    `reach` are the options that bring another command to the same place.
    """

    project: Project
    trigger: Trigger
    environment: str
    environ: Mapping[str, str]
    role_default: str | None
    region_default: str | None
    proposed: bool = False
    reach: tuple[str, ...] = ()
    _adapters: dict[str, SageMaker] = field(default_factory=dict, repr=False, compare=False)
    _forges: "list[Forge | None]" = field(default_factory=list, repr=False, compare=False)

    def target(self, pipeline: str, overrides: Mapping[str, str] | None = None) -> Target:
        return resolve_target(
            self.project,
            pipeline=pipeline,
            environment=self.environment,
            trigger=self.trigger,
            overrides=overrides,
            role_default=self.role_default,
            region_default=self.region_default,
        )

    def adapter(self, region: str) -> SageMaker:
        """One for each region: what it has opened serves every part of the job."""
        if region not in self._adapters:
            self._adapters[region] = SageMaker(open_clients(region, self.environ))
        return self._adapters[region]

    def forge(
        self, *, sleep: Callable[[float], None], learn: Callable[[str], None]
    ) -> "Forge | None":
        """The repository's, opened once: its token may have to be read. `learn` is told what was
        read. ForgeError where it cannot be opened."""
        from ci.forge.opening import open_forge

        if not self._forges:
            opened = open_forge(
                self.trigger, self.environ, sleep=sleep, project=self.project, learn=learn
            )
            if opened is None:
                return None
            self._forges.append(opened)
        return self._forges[0]


def open_session(
    project: Project,
    trigger: Trigger,
    *,
    environ: Mapping[str, str],
    environment: str | None,
    local: bool,
    anywhere: bool = False,
) -> Session:
    """`local` starts the local endpoint where none runs, and points every client at it.
    `anywhere` is for what names its own place (an ARN): a commit that is for no environment is
    as good there."""
    if local:
        environ = point_at_local(project, environ)
    if anywhere and environment is None and trigger.pull_request is None:
        environment = MAIN
    return Session(
        project=project,
        trigger=trigger,
        environment=choose_environment(project, trigger, environment),
        environ=environ,
        role_default=LOCAL_ROLE if local else None,
        region_default=region_of_job(environ),
        reach=("--local",) if local else (),
    )


def point_at_local(project: Project, environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` with the address of the local endpoint, and nobody's credentials. A project that
    maps no images takes an endpoint that runs as it is."""
    from ci.local.lifecycle import up

    endpoint = up(
        local_home(project),
        images=project.local.images or None,
        region=project.region or LOCAL_REGION,
        environ=environ,
    )
    return {**without_aws(environ), **client_environment(endpoint.address, endpoint.region)}


def local_home(project: Project) -> Path:
    return project.root / ".sagemaker-gitops" / "local"


def without_aws(environ: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in environ.items() if not key.startswith("AWS_")}


def client_environment(address: str, region: str) -> dict[str, str]:
    """What points any AWS client at a local endpoint."""
    return {
        "AWS_ENDPOINT_URL": address,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }


def parse_overrides(pairs: list[str]) -> dict[str, str]:
    """`Name=value` arguments. A value may hold further equals signs."""
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            what = "has no name" if equals else "has no value"
            raise UsageError(
                f"the parameter {pair!r} {what}", fix=f"--parameter {name or 'Name'}=value"
            )
        found[name] = value
    return found
