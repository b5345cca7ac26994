"""The execution has ended, and its endpoint is still on its way: deadline, signal, attach."""

import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
from support.archives import model_archive
from support.endpoint import client
from support.faults import Phase
from support.jobs import Site, ended, new_site
from support.scratch import IMAGE, PROJECT, quality_definition

pytestmark = pytest.mark.endpoint

SLOW = """
import os, time
def model_fn(model_dir):
    while not os.path.exists({gate!r}): time.sleep(0.05)
    return None
"""
ROLE = "arn:aws:iam::000000000000:role/sagemaker-gitops-local"


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    project = PROJECT.replace(
        "    model_package_group: quality\n",
        "    model_package_group: quality\n    endpoint: quality\n",
    )
    with new_site(tmp_path_factory.mktemp("moving"), project) as made:
        made.scratch.define(quality_definition(1.5))
        made.scratch.commit("approved at once")
        yield made


def slow_endpoint(site: Site) -> Any:
    """An endpoint that comes up once the file `gate` is there."""
    address = site.sagemaker.meta.endpoint_url
    s3 = client(address, "s3")
    s3.create_bucket(Bucket="models")
    code = SLOW.format(gate=str(site.folder / "gate"))
    s3.put_object(
        Bucket="models", Key="slow.tar.gz", Body=model_archive({"code/inference.py": code})
    )
    site.sagemaker.create_model(
        ModelName="slow",
        PrimaryContainer={"Image": IMAGE, "ModelDataUrl": "s3://models/slow.tar.gz"},
        ExecutionRoleArn=ROLE,
    )
    variant = {"VariantName": "all", "ModelName": "slow", "InitialInstanceCount": 1}
    site.sagemaker.create_endpoint_config(
        EndpointConfigName="slow", ProductionVariants=[variant | {"InstanceType": "ml.m5.large"}]
    )
    site.sagemaker.create_endpoint(EndpointName="quality", EndpointConfigName="slow")


def test_a_deadline_before_it_serves_is_no_failure(site: Site) -> None:
    slow_endpoint(site)
    environ = site.job(None, "")
    done = site.deploy(environ, "--environment", "main", "--deadline", "5s")
    assert done.code == 4, done.err
    assert done.report["execution"]["status"] == "Succeeded"
    assert done.report["verdict"]["outcome"] == "running"
    assert "still Creating" in done.report["verdict"]["sentence"]
    arn = done.report["execution"]["arn"]
    assert f"sagemaker-gitops attach {arn}" in done.err
    assert any(f"attach {arn}" in told for told in done.report["problems"])
    (site.folder / "gate").touch()
    site.sagemaker.get_waiter("endpoint_in_service").wait(
        EndpointName="quality", WaiterConfig={"Delay": 1, "MaxAttempts": 30}
    )
    again = site.deploy(environ, "--environment", "main")
    assert again.code == 1, again.err
    assert again.report["execution"]["arn"] == arn
    assert "approved but not deployed" in again.report["verdict"]["sentence"]


def test_a_signal_meanwhile_ends_at_once(site: Site) -> None:
    """The wait between two looks ends, and nothing is waited for after it. Only the next look is
    timed: how long the rest takes tells of the machine."""
    slow_endpoint(site)
    answered: list[float] = []

    def hook(_number: int, operation: str, phase: Phase) -> None:
        if operation == "DescribeEndpoint" and phase is Phase.AFTER:
            answered.append(time.monotonic())

    site.aws.hook = hook
    child = site.begin(site.job(None, ""), "--environment", "main")
    end = time.monotonic() + 60
    while not answered:
        assert child.poll() is None
        assert time.monotonic() < end
        time.sleep(0.05)
    time.sleep(0.3)
    child.send_signal(signal.SIGINT)
    began = time.monotonic()
    done = ended(child)
    assert done.code == 130, done.err
    assert "still Creating" in done.err
    assert len(answered) <= 2
    # Looks are five seconds apart.
    assert all(moment - began < 3.0 for moment in answered[1:])
