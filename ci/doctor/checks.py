"""The checks there are. The page docs/doctor.md is made from this table."""

from ci.doctor.aws import (
    check_bucket,
    check_credentials,
    check_execution_role,
    check_identity,
    check_permissions,
)
from ci.doctor.builds import check_builds
from ci.doctor.forge import check_token
from ci.doctor.machine import (
    check_aliases,
    check_history,
    check_isolation,
    check_local,
    check_project_file,
    check_python,
)
from ci.doctor.model import Check, Topic
from ci.doctor.workflows import check_workflows

_AWS = ("project", "clients")

CHECKS: tuple[Check, ...] = (
    Check(
        name="project-file",
        topic=Topic.PROJECT,
        question="Is the project file valid, and are the sources it names there?",
        look=check_project_file,
        fails="there is none, it does not fit the schema, a source is missing, or no region is"
        " named",
    ),
    Check(
        name="python",
        topic=Topic.PROJECT,
        question="Does the Python of each pipeline module run, and has it the SageMaker SDK?",
        look=check_python,
        fails="the interpreter is not there, does not run or is older than 3.9",
        warns="the SDK is not installed in it",
        needs=("project",),
    ),
    Check(
        name="history",
        topic=Topic.PROJECT,
        question="Is this a checkout of git with its whole history?",
        look=check_history,
        fails="it is no checkout",
        warns="the clone is shallow",
    ),
    Check(
        name="isolation",
        topic=Topic.MACHINE,
        question="How well is a pull request's code cut off while it compiles?",
        look=check_isolation,
        fails="no child can be started",
        warns="by Landlock or by audit hooks only",
    ),
    Check(
        name="aliases",
        topic=Topic.MACHINE,
        question="Does the installed botocore know pipeline versions and aliases?",
        look=check_aliases,
        warns="it does not: promote and rollback refuse",
    ),
    Check(
        name="local-endpoint",
        topic=Topic.MACHINE,
        question="Can the local endpoint run here?",
        look=check_local,
        warns="not Linux, no namespaces, or aiohttp or uv is missing",
    ),
    Check(
        name="credentials",
        topic=Topic.AWS,
        question="Are there AWS credentials, and do they outlast the deadline?",
        look=check_credentials,
        fails="there are none, or they have expired",
        warns="they end before the deadline, nothing tells when they end, or they never do",
        needs=("clients",),
    ),
    Check(
        name="identity",
        topic=Topic.AWS,
        question="Are the credentials of the account that the execution role is of?",
        look=check_identity,
        fails="they are of another account, or AWS refuses them",
        needs=_AWS,
    ),
    Check(
        name="permissions",
        topic=Topic.AWS,
        question="May they do all that the environment's commands call (docs/iam.md)?",
        look=check_permissions,
        fails="IAM's simulation refuses an action on the project's own names",
        warns="IAM may not be asked: only listing pipelines was tried",
        needs=_AWS,
    ),
    Check(
        name="execution-role",
        topic=Topic.AWS,
        question="Is the role that pipelines run as there, and does it trust SageMaker?",
        look=check_execution_role,
        fails="none is named, it does not exist, or SageMaker may not assume it",
        warns="it may not be read",
        needs=_AWS,
    ),
    Check(
        name="bucket",
        topic=Topic.AWS,
        question="Is the artifact bucket there, in this account and region?",
        look=check_bucket,
        fails="it is another account's, in another region, or missing",
        warns="it is the default bucket and missing: the first deploy makes it",
        needs=_AWS,
    ),
    Check(
        name="token",
        topic=Topic.FORGE,
        question="Does the forge's token (CodeCommit: do the credentials) read this repository, and"
        " may it write?",
        look=check_token,
        fails="it is not valid, does not see the repository, or has not the scope",
        warns="there is none, it may only read, its role is too low, it ends within two weeks, or"
        " the forge does not answer",
        needs=("trigger",),
    ),
    Check(
        name="workflows",
        topic=Topic.CI,
        question="Are the jobs that use the action set up as it needs?",
        look=check_workflows,
        fails="pull_request_target checks out foreign code, a comment's job runs a pull request's"
        " code with the default branch's identity, a permission without which nothing works is"
        " missing, the action is not named yet, a deploy of main can be cancelled, or the deadline"
        " is no earlier than the job's timeout",
        warns="a shallow checkout, no concurrency group, no deadline, an action that is not"
        " pinned, no comments, or forks without a condition",
    ),
    Check(
        name="buildspec",
        topic=Topic.CI,
        question="Does a build in CodeBuild end its following before it is cut off?",
        look=check_builds,
        fails="the buildspec cannot be read, or its deadline is no earlier than the timeout of the"
        " build or of the project that `bootstrap` makes, or longer than any build",
        warns="it sets no deadline, or CodeBuild may not be asked",
    ),
)
