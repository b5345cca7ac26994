"""A decision made elsewhere comes home: endpoint, comment, metadata; twice, late, or for others."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.approving import APPROVALS, ApprovalLab
from support.endpoint import running_endpoint
from support.forking import warm_process
from support.github import serve_github
from support.scratch import new_scratch

pytestmark = pytest.mark.endpoint
QUICK = ("--poll", "0.1")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApprovalLab]:
    folder: Path = tmp_path_factory.mktemp("approvals")
    (folder / "job").mkdir()
    with (
        running_endpoint(folder / "endpoint", images=()) as endpoint,
        serve_github() as github,
        warm_process(folder / "forks") as forks,
    ):
        lab = ApprovalLab(
            scratch=new_scratch(folder / "repository", APPROVALS),
            github=github,
            address=endpoint.address,
            forks=forks,
            folder=folder / "job",
        )
        lab.begin()
        yield lab


def test_from_registration_to_the_endpoint_and_back(lab: ApprovalLab) -> None:
    lab.merged("one", 1)
    first = lab.deploy()
    [body] = lab.github.bodies(1)
    assert "awaiting approval" in body

    lab.decide(first, "Approved", ApprovalDescription="looks *good* to @me")
    done = lab.run("approvals", "sync", first, "--json", *QUICK)
    assert done.code == 0, done.err
    assert lab.answer() == "one"
    assert done.document["approval"] == "Approved"
    assert done.report["verdict"]["outcome"] == "succeeded"
    [body] = lab.github.bodies(1)
    assert "approved and deployed" in body
    assert "in SageMaker" in body
    assert "deployed to the endpoint quality" in body
    assert lab.outputs()["approval"] == "Approved"
    held = lab.sagemaker.describe_model_package(ModelPackageName=first)
    assert held["CustomerMetadataProperties"]["sagemaker-gitops:decision"] == "Approved"

    before = len(lab.github.writes())
    again = lab.run("approvals", "sync", first, *QUICK)
    assert again.code == 0, again.err
    assert "nothing, the endpoint quality serves it" in again.out
    assert len(lab.github.writes()) == before

    lab.merged("two", 2)
    second = lab.deploy()
    done = lab.run("approve", "--commit", lab.scratch.git("rev-parse", "HEAD"), "--json", *QUICK)
    assert done.code == 0, done.err
    assert lab.answer() == "two"
    assert "Approved by octocat" in lab.github.bodies(2)[0]

    # An old event that comes late does not bring the old model back.
    late = lab.run("approvals", "sync", first, *QUICK)
    assert late.code == 0, late.err
    assert lab.answer() == "two"
    assert "Left as it is: v2 is newer, and approved as well" in lab.github.bodies(1)[0]

    lab.decide(second, "Rejected", ApprovalDescription="wrong for old shells")
    done = lab.run("approvals", "sync", second, *QUICK)
    assert done.code == 0, done.err
    assert lab.answer() == "one"
    [body] = lab.github.bodies(2)
    assert "was rejected: wrong for old shells" in body
    assert "the endpoint quality serves quality v1" in body
    assert lab.run("approvals", "sync", second, *QUICK).code == 0
    assert lab.answer() == "one"
