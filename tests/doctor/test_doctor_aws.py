"""Checks of credentials, permissions and the account, against the emulator's own IAM."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.doctor_account import Account, open_account
from support.doctoring import findings, only, repository

from ci.bootstrap.model import Statement
from ci.doctor.aws import contexts_of, judge_lifetime
from ci.doctor.model import State
from ci.project.load import load_project
from ci.sagemaker.clients import open_clients
from ci.sagemaker.identity import Identity, Lifetime, principal_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("lifetime", "deadline", "door", "state", "said"),
    [
        ({"renews": True, "temporary": True}, 9e9, False, State.OK, "renewed"),
        ({"renews": False, "temporary": True}, 9e9, True, State.OK, "renewed"),
        ({"renews": False, "temporary": False}, None, False, State.WARN, "do not expire"),
        ({"renews": False, "temporary": True}, None, False, State.WARN, "no deadline is set"),
        ({"renews": False, "temporary": True}, 7200, False, State.WARN, "an hour by default"),
        ({"renews": False, "temporary": True}, 1800, False, State.OK, "temporary"),
        ({"ends": 3000}, 1800, False, State.OK, "good for 50 minutes"),
        ({"ends": 3000}, 7200, False, State.WARN, "end in 50 minutes, the deadline is 120"),
        ({"ends": -1}, 7200, False, State.FAIL, "have expired"),
    ],
)
def test_lifetime_against_the_deadline(
    lifetime: dict[str, Any], deadline: float | None, door: bool, state: State, said: str
) -> None:
    settled = {"method": "env", "renews": False, "temporary": True, **lifetime}
    if "ends" in settled:
        settled["ends"] = NOW + timedelta(seconds=settled["ends"])
    found = judge_lifetime(Lifetime(**settled), deadline=deadline, now=NOW, door=door)
    assert (found.state, said in found.what) == (state, True), found.what


def test_credentials(tmp_path: Path) -> None:
    scratch = repository(tmp_path)
    none = {
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    script = (
        "import os, sys, json\nfrom ci.sagemaker.clients import open_clients\n"
        "from ci.sagemaker.identity import Identity\n"
        "print(Identity(open_clients('us-east-1', dict(os.environ))).lifetime() is None)"
    )
    kept = {**scratch.environment(), **none}
    done = subprocess.run(
        [sys.executable, "-c", script], env=kept, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "True"
    keys = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "s", **none}
    lasting = Identity(open_clients("us-east-1", keys)).lifetime()
    assert lasting is not None
    assert (lasting.temporary, lasting.renews) == (False, False)
    session = Identity(open_clients("us-east-1", {**keys, "AWS_SESSION_TOKEN": "t"})).lifetime()
    assert session is not None
    assert session.temporary


def test_the_principal_of_a_session_is_its_role() -> None:
    assert (
        principal_of("arn:aws:sts::123456789012:assumed-role/mlops-main/run-1")
        == "arn:aws:iam::123456789012:role/mlops-main"
    )
    user = "arn:aws:iam::123456789012:user/jane"
    assert principal_of(user) == user


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with open_account(tmp_path_factory.mktemp("account")) as made:
        made.role("lacking", without="sagemaker:UpdatePipeline")
        made.role("passing", without="iam:PassRole")
        made.role("foreign", trusts="lambda")
        yield made


@pytest.mark.endpoint
def test_identity(account: Account) -> None:
    good = only("identity", account.site("whole"))
    assert (good.state, "assumed-role/whole/job" in good.what) == (State.OK, True)
    other = only("identity", account.site("whole", account="999999999999"))
    assert (other.state, "999999999999" in other.what) == (State.FAIL, True)


@pytest.mark.endpoint
def test_permissions(account: Account) -> None:
    assert only("permissions", account.site("whole")).state is State.OK
    found = only("permissions", account.site("lacking"))
    assert found.state is State.FAIL
    assert found.what == "sagemaker:UpdatePipeline is not allowed"
    assert found.where == "arn:aws:sagemaker:us-east-1:000000000000:pipeline/quality"
    # Asked with each service that the role is passed to, and told once.
    found = only("permissions", account.site("passing"))
    assert (found.state, found.what) == (State.FAIL, "iam:PassRole is not allowed")
    assert (found.where or "").endswith(":role/sagemaker-gitops-local")
    assert "bootstrap github-oidc" in (found.fix or "")
    # What main may do is not what a pull request's role has to do.
    isolated = load_project(account.scratch.root / "sagemaker-gitops.yaml").environments
    refused = findings("permissions", account.site("whole", environment=isolated["pull_request"]))
    assert all(each.state is State.FAIL for each in refused)
    assert "more are not allowed" in refused[-1].what


def test_a_condition_is_asked_with_what_the_call_brings() -> None:
    condition = (("StringEquals", "iam:PassedToService", ("lambda", "sagemaker")),)
    statement = Statement(sid="S", actions=("a:B",), resources=("*",), condition=condition)
    key = "iam:PassedToService"
    assert list(contexts_of(statement)) == [{key: "lambda"}, {key: "sagemaker"}]
    assert list(contexts_of(replace(statement, condition=()))) == [{}]


@pytest.mark.endpoint
def test_execution_role(account: Account) -> None:
    def told(**more: Any) -> tuple[State, str]:
        found = only("execution-role", account.site("whole", **more))
        return found.state, found.what

    assert told()[0] is State.OK
    foreign = "arn:aws:iam::000000000000:role/foreign"
    assert told(role=foreign) == (State.FAIL, "SageMaker may not assume the execution role")
    missing = "arn:aws:iam::000000000000:role/nobody"
    assert told(role=missing) == (State.FAIL, "the execution role does not exist")
    assert told(role=None)[0] is State.FAIL


@pytest.mark.endpoint
def test_bucket(account: Account) -> None:
    def told(**more: Any) -> tuple[State, str]:
        found = only("bucket", account.site("whole", **more))
        return found.state, found.what

    assert told()[0] is State.OK
    assert told(bucket="nobody-has-this")[0] is State.FAIL
    assert told(bucket="sagemaker-us-east-1-000000000000")[0] is State.WARN
    assert told(bucket="sagemaker-us-east-1-000000000000", local=True)[0] is State.OK
    assert told(bucket=None)[0] is State.WARN
    assert told(region="eu-west-1")[0] is State.FAIL
