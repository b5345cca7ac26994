"""A plan, as values: what deploying would change, and what the next execution would do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ci.definition.model import Definition

Files = Callable[[str], Mapping[str, bytes] | None]
"""The files at a content address, by relative path. The address is the S3 URI up to and with the
hash (`s3://bucket/prefix/<64 hex digits>`), or the bare hash where the definition builds the URI
from pieces. None where they cannot be read."""


def no_files(_: str) -> None:
    """For a side whose artifacts are out of reach."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionState:
    """A Lambda function as it is or should be: the hash of its code, CreateFunction's arguments."""

    sha256: str
    configuration: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineState:
    """One side of a plan. None for a setting means: not told, so not compared.

    `identity` stands for the definition in the plan's digest where the definition itself is never
    the same twice (the bundle's digest masks what is volatile), and `masks` are the texts in which
    that shows: a text that differs in them alone is no change.
    """

    definition: Definition
    files: Files = no_files
    role: str | None = None
    parallelism: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    functions: Mapping[str, FunctionState] | None = None
    identity: str | None = None
    masks: tuple[str, ...] = ()


class Kind(StrEnum):
    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    RENAMED = "renamed"


@dataclass(frozen=True, slots=True)
class Item:
    """An element of a list that is told by its name: `Outputs['train']` by `OutputName`."""

    field: str
    name: str


PathPart = str | int | Item


class _Missing:
    """What stands on the side where there is nothing; JSON's null is a value."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING = _Missing()


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A value that differs: `old` or `new` is MISSING where one side has none.

    For an element added to a plain list the last part of `path` counts in the new list, for one
    removed in the old one.
    """

    path: tuple[PathPart, ...]
    old: object
    new: object

    @property
    def kind(self) -> Kind:
        if self.old is MISSING:
            return Kind.ADDED
        return Kind.REMOVED if self.new is MISSING else Kind.CHANGED


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """A file of an artifact. `diff` is a unified diff, empty for binary files; `note` says what a
    diff cannot (binary, sizes)."""

    path: str
    kind: Kind
    diff: str = ""
    added: int = 0
    removed: int = 0
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeChange:
    """An artifact that differs, told by its files. `unreadable` says which side's files could not
    be read (`old`, `new`); then `files` is empty and the hashes are all that is known."""

    name: str
    paths: tuple[tuple[PathPart, ...], ...]
    old: str | None
    new: str | None
    files: tuple[FileChange, ...] = ()
    unreadable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StepChange:
    """What becomes of a step. `old_name` is set where it was renamed. For an added or removed step
    `changes` is empty: `content` has its arguments; of an added one `instances` and `image` are
    what it runs on."""

    name: str
    type: str
    kind: Kind
    old_name: str | None = None
    changes: tuple[Change, ...] = ()
    code: tuple[CodeChange, ...] = ()
    content: Mapping[str, object] = field(default_factory=dict)
    instances: str | None = None
    image: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedChange:
    """A parameter, a setting of the pipeline, a tag or a function that differs."""

    name: str
    kind: Kind
    old: object = None
    new: object = None
    code: CodeChange | None = None


class Verdict(StrEnum):
    RUN = "run"
    CACHE = "cache"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRun:
    """What the next execution does with a step: RUN because of `reasons`, CACHE (can be taken
    from an earlier execution that succeeded, while that is not older than the cache's expiry),
    ALWAYS (no cache is configured). `stale` names upstream steps that run again and write to the
    same place as before: this step's arguments stay equal, so the cache spares it although its
    input is new.
    `branch_of` names the condition step that decides whether it is reached at all. `instances`
    and `image` are what it runs on (`ci.plan.compute`).
    """

    name: str
    type: str
    verdict: Verdict
    reasons: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()
    branch_of: str | None = None
    instances: str | None = None
    image: str | None = None


class Baseline(StrEnum):
    """What the wanted side was compared with: what the service holds, a bundle that was recorded
    earlier, or nothing (what is deployed was out of reach)."""

    DEPLOYED = "deployed"
    RECORDED = "recorded"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The difference between what is wanted and what is deployed.

    `digest` names the plan in 64 hex digits, one half for each side (`ci.plan.naming`): it changes
    when the source or the deployed pipeline moves. `wanted` and `deployed` are the digests of each
    side (`deployed` None where there is no pipeline to compare with). `unread` names what is
    deployed and could not be read, and so is not compared.
    """

    pipeline: str
    exists: bool
    digest: str
    wanted: str
    deployed: str | None
    steps: tuple[StepChange, ...] = ()
    parameters: tuple[NamedChange, ...] = ()
    settings: tuple[NamedChange, ...] = ()
    functions: tuple[NamedChange, ...] = ()
    runs: tuple[StepRun, ...] = ()
    volatile: tuple[str, ...] = ()
    baseline: Baseline = Baseline.DEPLOYED
    unread: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether deploying changes nothing that matters."""
        return self.exists and not (
            self.steps or self.parameters or self.settings or self.functions
        )
