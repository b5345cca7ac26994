"""What a set-up is about, as values: who may do what, where. Reads nothing and decides nothing."""

from dataclasses import dataclass
from enum import StrEnum

# Operator, key and values: StringEquals, iam:PassedToService, (sagemaker.amazonaws.com,).
Condition = tuple[tuple[str, str, tuple[str, ...]], ...]


class Duty(StrEnum):
    """What a role is for. `plan` only reads; `function` is the Lambda function of CodePipeline."""

    PLAN = "plan"
    PULL_REQUEST = "pull_request"
    MAIN = "main"
    FUNCTION = "function"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The names that a role is about, as patterns in which `*` stands for any text.

    `groups` are model package groups, `hosted` endpoints and what serves them, `functions` Lambda
    functions. `execution_roles` are ARNs, `regions` names of regions. `secrets`, `parameters` hold
    the forge's token, `repositories` are CodeCommit's. `artifacts` are prefixes of keys,
    `code_pipelines` those of CodePipeline whose approvals are kept in step.
    """

    regions: tuple[str, ...] = ()
    pipelines: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    hosted: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    execution_roles: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    repositories: tuple[str, ...] = ()
    artifacts: tuple[str, ...] = ()
    code_pipelines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleNeed:
    """A role to make. It writes within `own` and reads within `seen`; orders in comments reach
    what pull requests have of their own, `reviewed`.

    `environment` is the project file's, None for the role that only plans.
    """

    name: str
    duty: Duty
    own: Scope
    seen: Scope
    reviewed: Scope = Scope()
    environment: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """A project as the templates see it.

    `name` begins the name of every resource, so that several projects fit into one account.
    `repository` is `owner/name`. `bucket` is None where it follows from nothing that is known.
    `execution_role` is the name of the role that pipelines run as, where the project names one.
    `roles` are those of jobs, `functions` those of functions, by the environment they deliver to.
    `remarks` tell what could not be made narrow.
    """

    name: str
    repository: str
    default_branch: str
    region: str | None
    bucket: str | None
    prefix: str
    execution_role: str | None
    roles: tuple[RoleNeed, ...]
    functions: tuple[RoleNeed, ...]
    seen: Scope
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A statement of a policy. Resources may hold `${AWS::AccountId}` and its like.

    `when` is the template's condition without which the statement is left out.
    """

    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    condition: Condition = ()
    when: str | None = None
