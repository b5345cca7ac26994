"""Whose a Lambda function is: what a pull request may overwrite, and who takes over."""

import hashlib
import io
import zipfile
from pathlib import Path

import pytest
from support.executing import adapter
from support.faults import Fault, Rule, faulty_proxy

from ci.compile.bundle import Artifact, Bundle, Function
from ci.errors import AwsError, DefinitionError
from ci.execution.ownership import claim, owner_tags
from ci.execution.upsert import Run, deploy
from ci.sagemaker.adapter import SageMaker
from ci.sagemaker.functions import Put

pytestmark = pytest.mark.endpoint
ROLE = "arn:aws:iam::000000000000:role/sagemaker-gitops-local"


def function(name: str, answer: int) -> tuple[Function, bytes]:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("main.py"), f"def handler(e, c): return {answer}")
    code = buffer.getvalue()
    return (
        Function(
            name=name,
            arn=f"arn:aws:lambda:us-east-1:000000000000:function:{name}",
            sha256=hashlib.sha256(code).hexdigest(),
            configuration={"Runtime": "python3.11", "Role": ROLE, "Handler": "main.handler"},
        ),
        code,
    )


def owner(environment: str, number: int | None = None, project: str = "acme/x") -> dict[str, str]:
    tags = {
        "sagemaker-gitops:project": project,
        "sagemaker-gitops:pipeline": "one",
        "sagemaker-gitops:environment": environment,
        "sagemaker-gitops:commit": "c" * 40,
        "team": "rings",
    }
    if number is not None:
        tags["sagemaker-gitops:pull-request"] = str(number)
    return owner_tags(tags)


def test_a_functions_tags_name_its_owner_and_no_commit(aws: SageMaker) -> None:
    made, code = function("owned", 1)
    assert aws.functions.put(made, code, owner=owner("pull_request", 5)) is Put.CREATED
    assert aws.functions.tags("owned") == {
        "sagemaker-gitops:project": "acme/x",
        "sagemaker-gitops:pipeline": "one",
        "sagemaker-gitops:environment": "pull_request",
        "sagemaker-gitops:pull-request": "5",
    }
    assert aws.functions.tags("never-made") is None


@pytest.mark.parametrize(
    ("name", "holder", "said"),
    [
        ("of-main", owner("main"), "the environment 'main' of acme/x"),
        ("of-another", owner("pull_request", 6), "pull request 6 of acme/x"),
        ("of-elsewhere", owner("pull_request", 5, "acme/y"), "pull request 5 of acme/y"),
        ("of-nobody", {}, "no environment of this project"),
    ],
)
def test_a_pull_request_overwrites_nothing_of_others(
    aws: SageMaker, name: str, holder: dict[str, str], said: str
) -> None:
    held, code = function(name, 1)
    aws.functions.put(held, code, owner=holder)
    with pytest.raises(DefinitionError, match=said) as caught:
        claim(aws.functions, function(name, 2)[0], owner("pull_request", 5))
    assert name in caught.value.what
    assert "-pr-{pull_request}" in str(caught.value.fix)
    assert claim(aws.functions, held, owner("pull_request", 5)) == {}
    aws.functions.put(held, code, owner={})
    assert aws.functions.tags(name) == holder


def test_a_pull_request_updates_its_own(aws: SageMaker) -> None:
    first, code = function("own", 1)
    mine = owner("pull_request", 5)
    aws.functions.put(first, code, owner=claim(aws.functions, first, mine))
    second, code = function("own", 2)
    assert aws.functions.put(second, code, owner=claim(aws.functions, second, mine)) is Put.UPDATED


def test_the_environment_that_stays_takes_over(aws: SageMaker) -> None:
    made, code = function("taken-over", 1)
    aws.functions.put(made, code, owner=owner("pull_request", 5))
    main = owner("main")
    assert aws.functions.put(made, code, owner=claim(aws.functions, made, main)) is Put.UNCHANGED
    assert aws.functions.tags("taken-over") == main


def test_a_refused_pull_request_leaves_nothing_behind(aws: SageMaker, tmp_path: Path) -> None:
    held, code = function("of-production", 1)
    aws.functions.put(held, code, owner=owner("main"))
    wanted, code = function("of-production", 2)
    file = tmp_path / "code.zip"
    file.write_bytes(code)
    artifact = Artifact(sha256=wanted.sha256, name="code.zip", size=len(code), path=file)
    bundle = Bundle(
        definition=b'{"Version": "2020-12-01", "Steps": []}',
        digest="d" * 64,
        bucket="refused",
        prefix="p",
        artifacts={artifact.location("p"): artifact},
        functions=(wanted,),
    )
    run = Run(
        pipeline_name="one-pr-5",
        role=ROLE,
        tags=owner("pull_request", 5),
        token="t" * 64,
        display_name="pr-5",
        description="x",
        parameters={},
    )
    with pytest.raises(DefinitionError, match="of-production"):
        deploy(aws, bundle, run)
    assert aws.pipelines.find("one-pr-5") is None
    assert aws.functions.tags("of-production") == owner("main")
    assert aws.functions.equal(held)
    buckets = aws.clients.client("s3").list_buckets()["Buckets"]
    assert "refused" not in {each["Name"] for each in buckets}


@pytest.mark.parametrize(
    ("fault", "calls"), [(Fault.THROTTLE, 3), (Fault.RESET_AFTER, 1), (Fault.TRUNCATED, 1)]
)
def test_a_throttled_function_is_called_again_and_no_other(
    aws: SageMaker, fault: Fault, calls: int
) -> None:
    """What was throttled has not run; of an answer that was lost nobody knows."""
    aws.functions.put(*function("called", 7))
    address = aws.clients.endpoint
    assert address is not None
    with faulty_proxy(address) as faults:
        faults.rules = [Rule(fault=fault, operation="lambda:POST", times=2)]
        through = adapter(faults.address)
        if calls > 1:
            assert through.functions.invoke("called", {}) == "7"
        else:
            with pytest.raises(AwsError):
                through.functions.invoke("called", {})
        assert faults.count("lambda:POST") == calls
