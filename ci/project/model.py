"""What a project file says, as values. Reads nothing and decides nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from ci.metrics.model import Gate, MetricSource


class CompileMode(StrEnum):
    HERMETIC = "hermetic"
    LIVE = "live"


class OnUnreviewed(StrEnum):
    """What a deploy does that would apply something else than the plan that was reviewed."""

    WARN = "warn"
    REFUSE = "refuse"


class CommentPolicy(StrEnum):
    """What becomes of a pull request's comment when a newer commit reports."""

    UPDATE = "update"
    HIDE_AND_NEW = "hide-and-new"
    DELETE_AND_NEW = "delete-and-new"
    NEW = "new"


class OnApproved(StrEnum):
    """What follows when a model package is approved."""

    DEPLOY = "deploy"
    NOTHING = "nothing"


class OnRejected(StrEnum):
    """What follows when a model package is rejected that the endpoint serves."""

    ROLLBACK = "rollback"
    NOTHING = "nothing"


class OnCancel(StrEnum):
    STOP = "stop"
    DETACH = "detach"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleSource:
    """`path/to/pipeline.py:get_pipeline`: a file and the callable that returns the pipeline."""

    file: Path
    function: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DefinitionSource:
    """A pipeline definition in JSON or YAML, compiled by whatever made it."""

    file: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """One entry under `pipelines:`. Paths are absolute; `line` is where the entry stands.
    `champion` is a named one: `group/version` or an ARN."""

    name: str
    source: ModuleSource | DefinitionSource
    line: int
    kwargs: Mapping[str, object] = field(default_factory=dict)
    python: str | None = None
    working_directory: Path | None = None
    compile: CompileMode = CompileMode.HERMETIC
    pass_environment: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    parameters: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    model_package_group: str | None = None
    champion: str | None = None
    endpoint: str | None = None
    metrics: tuple[MetricSource, ...] = ()
    gates: tuple[Gate, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Where a commit goes.

    `pipeline_name` is a template over `{pipeline}`, `{pull_request}` and `{environment}`.
    `endpoint` serves approved models here; without one the pipeline's own does, but for
    `pull_request`, where none does. `kwargs` and `parameters` overlay the pipeline's; in their
    texts the same fields are filled in. `deadline` is in seconds, None for no deadline. `run` False
    means plan only. `parallelism` is how many steps run at once, None where that is left as it is
    deployed.
    """

    name: str
    pipeline_name: str
    role: str | None = None
    region: str | None = None
    endpoint: str | None = None
    kwargs: Mapping[str, object] = field(default_factory=dict)
    parameters: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    run: bool = True
    require_approval: bool = False
    touches_production: bool = False
    deadline: float | None = None
    on_cancel: OnCancel = OnCancel.DETACH
    on_unreviewed: OnUnreviewed = OnUnreviewed.WARN
    on_approved: OnApproved = OnApproved.NOTHING
    on_rejected: OnRejected = OnRejected.NOTHING
    parallelism: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactStore:
    """Where bundles put their artifacts. `bucket` None means `sagemaker-<region>-<account>`."""

    bucket: str | None = None
    prefix: str = "sagemaker-gitops"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSettings:
    """How the local endpoint runs containers: the first pattern that matches an image URI names
    the Python environment (the folder that holds `bin/`) that stands for it."""

    images: tuple[tuple[str, Path], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSettings:
    """What reports show, and where they go. `trend` counts earlier models of main, `prices` is a
    file (None: no estimate), `approvers` says in words who may approve. `check_run` stands for
    the commit status as well."""

    comment: CommentPolicy = CommentPolicy.UPDATE
    check_run: bool = True
    deployments: bool = True
    labels: bool = False
    mask_accounts: bool = False
    studio_domain: str | None = None
    approvers: str | None = None
    trend: int = 10
    prices: Path | None = None


class ForgeKind(StrEnum):
    GITHUB = "github"
    CODECOMMIT = "codecommit"
    GITLAB = "gitlab"
    BITBUCKET = "bitbucket"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSource:
    """Where a token is kept: in a secret (`key` of it, where that is a JSON object), or in a
    parameter of Parameter Store. One of the two is set."""

    secret: str | None = None
    key: str | None = None
    parameter: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgeSettings:
    """What the file says of the repository's host. `api_url` gets `token` and no other."""

    kind: ForgeKind | None = None
    repository: str | None = None
    api_url: str | None = None
    token: TokenSource | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project file. `root` is the folder it stands in; every relative path counts from there."""

    file: Path
    root: Path
    pipelines: Mapping[str, Pipeline]
    environments: Mapping[str, Environment]
    region: str | None = None
    role: str | None = None
    artifacts: ArtifactStore = field(default_factory=ArtifactStore)
    local: LocalSettings = field(default_factory=LocalSettings)
    report: ReportSettings = field(default_factory=ReportSettings)
    forge: ForgeSettings = field(default_factory=ForgeSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One pipeline in one environment: everything a command needs to know of where it goes.

    Pure result of `resolve_target`: `pipeline_name` is the deployed name (at most 82 characters
    as execution display names are; 256 for pipelines), `account` comes from the role's ARN,
    `parameters` are the pipeline's overlaid by the environment's and the command line's.
    """

    pipeline: Pipeline
    environment: Environment
    pipeline_name: str
    role: str
    account: str
    region: str
    bucket: str
    prefix: str
    parameters: Mapping[str, str | int | float | bool]
    tags: Mapping[str, str]
