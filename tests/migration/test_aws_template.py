"""A repository in the layout of AWS's MLOps template runs after `init`, without an edit.

`template/` has that layout: a package `pipelines` with `run_pipeline.py`, `_utils.py` and
`<name>/pipeline.py`, whose `get_pipeline` takes region, role, default_bucket and more.
"""

import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.compiling import sdk_python
from support.endpoint import client
from support.model_env import model_environment
from support.scratch import Scratch

from ci.local.lifecycle import down

pytestmark = [pytest.mark.endpoint, pytest.mark.sdk]

TEMPLATE = Path(__file__).parent / "template"
ROLE = "arn:aws:iam::123456789012:role/service-role/AmazonSageMakerServiceCatalogProductsUseRole"


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Scratch]:
    root = tmp_path / "repository"
    shutil.copytree(TEMPLATE, root, ignore=shutil.ignore_patterns("__pycache__"))
    python = Path(sdk_python("v2"))
    scratch = Scratch(root=root)
    scratch.environ["PATH"] = f"{python.parent}:{scratch.environment()['PATH']}"
    scratch.git("init", "-q", "-b", "main")
    scratch.commit("as AWS's template leaves it")
    yield scratch
    down(root / ".sagemaker-gitops" / "local")


def test_a_repository_of_awss_template_runs_without_an_edit(repository: Scratch) -> None:
    found = repository.run("init", "--role", ROLE, "--region", "us-east-1", "--json")
    assert found.code == 0, found.err
    assert found.document["pipelines"] == {"wine": "pipelines/wine/pipeline.py:get_pipeline"}
    changed = repository.git("status", "--short", "--untracked-files=no")
    assert changed == "", "init edits nothing that was there"
    repository.commit("sagemaker-gitops init")

    checked = repository.run("validate", "--compile")
    assert checked.code == 0, checked.out + checked.err

    up = repository.run("local", "up", "--json", "--image", f"*={model_environment()}")
    exports = repository.run("local", "env")
    names = "$AWS_ENDPOINT_URL $AWS_REGION $AWS_SECRET_ACCESS_KEY"
    shown = subprocess.run(
        ["sh", "-c", f'eval "$1"; echo "{names}"', "sh", exports.out],
        check=True,
        capture_output=True,
        text=True,
    )
    assert shown.stdout == f"{up.document['address']} us-east-1 local\n"
    s3 = client(up.document["address"], "s3")
    s3.create_bucket(Bucket="wine-data-us-east-1")
    s3.put_object(Bucket="wine-data-us-east-1", Key="dataset/wine.csv", Body=wine_data())

    ended = repository.deploy("--environment", "main")
    assert ended.code == 0, ended.err
    report = ended.report
    assert report["verdict"]["outcome"] == "approval_pending"
    assert report["model_package"]["group"] == "WinePackageGroup"
    (metric,) = report["verdict"]["metrics"]
    assert metric["name"] == "mse"
    assert 0 < metric["value"] < 0.1
    again = repository.deploy("--environment", "main")
    assert again.report["execution"]["arn"] == report["execution"]["arn"]


def wine_data() -> bytes:
    """Three features, and a quality that is nearly a sum of them."""
    chance = random.Random(0)
    rows = []
    for _ in range(200):
        features = [chance.random() for _ in range(3)]
        quality = 2 * features[0] - features[1] + chance.gauss(0, 0.05)
        rows.append(",".join(f"{value:.4f}" for value in (quality, *features)))
    return ("\n".join(rows) + "\n").encode()
