"""The page of permissions, from the table of calls. Pure."""

from collections.abc import Iterator, Sequence

from ci.bootstrap.compact import compact
from ci.bootstrap.documents import condition_document
from ci.bootstrap.execution import execution_statements
from ci.bootstrap.function import SUFFIX as FUNCTION_SUFFIX
from ci.bootstrap.github import NAME as GITHUB
from ci.bootstrap.model import Duty, RoleNeed, Setup, Statement
from ci.bootstrap.operations import operations_of
from ci.bootstrap.policies import statements_of

_PAGE = """\
# Permissions

Which calls each role makes, and what it is allowed, is one table in code
(`ci/bootstrap/operations.py`). A test runs every command against the local endpoint, records each
call, and holds the table against the record both ways: a call that is not in the table fails, and
so does a line of the table that nothing calls. IAM's verdict on each recorded call, on the
resource it was about, comes from an emulator's policy simulator; names of actions and their
resource types are held against the Service Authorization Reference. This page is made from the
table.

The example is a project `mlops` with one pipeline `abalone`, as the README shows it;
`sagemaker-gitops bootstrap {github}` renders the same for yours.

## Roles

A role is assumed by a job whose token has one of these subjects:

- `mlops-plan`, for plans and the nightly drift: `repo:acme/mlops:pull_request` and
  `repo:acme/mlops:ref:refs/heads/main`
- `mlops-pull-request`, for runs of pull requests and their cleanup: `repo:acme/mlops:pull_request`
  and, for runs that a comment asks for, `repo:acme/mlops:environment:sagemaker-pull-request`
- `mlops-main`, for deploys, promotions, drift and approvals: `repo:acme/mlops:ref:refs/heads/main`;
  with the parameter `MainEnvironment` instead `repo:acme/mlops:environment:NAME`; with
  `ReviewEnvironment` that environment's as well
- one for each further environment of the project file: `repo:acme/mlops:environment:NAME`

`mlops-main-function` is assumed by Lambda, for the function that CodePipeline invokes
([CodePipeline](codepipeline.md)).

The audience is `sts.amazonaws.com`. Jobs that an issue comment, a dispatch or a schedule starts
have the default branch as their subject, unless they name an environment. GitHub makes an
environment that does not exist, without any rule, for whichever branch's job names it: make those
that roles trust first, and restrict them to the default branch.

## What holds, and what does not

- The plan role writes nothing.
- The pull request role writes pipelines, functions, packages, endpoints of pull requests' names
  alone, as far as the environment gives them names of their own (`bootstrap` warns where it does
  not). It reads production's, to compare with.
- Roles are passed to SageMaker and Lambda alone, and only the execution role is.
- Pull requests write their artifacts below a prefix of their own, `<prefix>/pull_request`, and
  their role can write nowhere else: what production runs was put there by production's role.
- Both roles that run take events from the one queue, and may delete them. Events only hasten a
  look: where they are gone, executions are looked at within ten minutes ([polling](polling.md)).
- A pull request's pipeline runs as its environment's execution role. Where that is production's,
  its steps may do what production's may.
- Jobs of a pipeline with `use_custom_job_prefix` have other names than `pipelines-*`: add theirs.
- Orders in comments are obeyed with main's role: of what pull requests have of their own it may
  stop executions and decide on packages (`/sagemaker stop`, `approve`, `reject`), and no more.
- An action is about resources of its own types, whatever else a pattern would match:
  `…:*/abalone-pr-*` is what is called so, of each type that the statement's actions have. Tags are
  of any type: where a role may read or write those of one, it may of whatever is called alike.
- A role takes ten policies of 6,144 characters. At most they hold, by the number of pipelines
  whose groups and endpoints have other names: 1 pipeline 5,300 characters in 1 policy, 20
  pipelines 22,300 in 4, 50 pipelines 49,300 in 9. What needs more than ten, `bootstrap` refuses
  before it makes anything. Groups and endpoints that are called as their pipelines are share one
  pattern with them; past that (some 60 pipelines), split the project file, each part with a
  `--project-file` and a `--name` of its own.
- Statements about `${KmsKey}` and `${CodePipeline}` are there where the parameter is given.
- Nothing here was run against AWS itself yet.
"""
_EXECUTION = """\
What pipelines run as: the least that the reference pipeline needs (`bootstrap execution-role`).
"""


def render_page(setup: Setup) -> str:
    lines = [_PAGE.replace("{github}", GITHUB)]
    for duty in Duty:
        need = next(each for each in (*setup.roles, *setup.functions) if each.duty is duty)
        lines += _role(setup, need)
    lines += ["## The execution role\n", _EXECUTION, *_table(compact(execution_statements(setup)))]
    return "\n".join(lines).rstrip() + "\n"


def _role(setup: Setup, need: RoleNeed) -> Iterator[str]:
    suffix = FUNCTION_SUFFIX if need.duty is Duty.FUNCTION else ""
    yield f"## `{setup.name}-{need.name}{suffix}`\n"
    yield from _table(compact(statements_of(need)))
    yield "\nCalls and the actions they need:\n"
    yield "| call | actions |"
    yield "|---|---|"
    calls: dict[str, list[str]] = {}
    for operation in operations_of(need.duty):
        calls.setdefault(operation.name, []).extend(each.action for each in operation.needs)
    for name, actions in calls.items():
        yield f"| `{name}` | {_codes(sorted(set(actions)))} |"
    yield ""


def _table(statements: Sequence[Statement]) -> Iterator[str]:
    yield "| statement | actions | resources | condition |"
    yield "|---|---|---|---|"
    for each in statements:
        resources = "<br>".join(f"`{_short(arn)}`" for arn in each.resources)
        condition = condition_document(each)
        told = f"`{condition}`" if condition else ""
        yield f"| {each.sid} | {_codes(each.actions)} | {resources} | {told} |"


def _codes(names: Sequence[str]) -> str:
    return "<br>".join(f"`{name}`" for name in names)


def _short(arn: str) -> str:
    """Without what is the same in all of them."""
    return arn.replace("arn:${AWS::Partition}:", "arn:…:").replace("${AWS::AccountId}", "ACCOUNT")
