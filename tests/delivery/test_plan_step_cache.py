"""The step cache: compiled twice by the plain SDK it is missed, twice through this project hit."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.compiling import BUCKET, sdk_python
from support.endpoint import client, endpoint_environ
from support.scratch import Scratch, new_scratch

from ci.local.lifecycle import Endpoint, down, up

pytestmark = [pytest.mark.sdk, pytest.mark.endpoint, pytest.mark.slow]

PIPELINE = """
from pathlib import Path

from sagemaker.core.training.configs import Compute, SourceCode
from sagemaker.core.workflow.pipeline_context import PipelineSession
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.mlops.workflow.steps import CacheConfig, TrainingStep
from sagemaker.train import ModelTrainer


def get_pipeline(role, default_bucket, pipeline_name):
    session = PipelineSession(default_bucket=default_bucket)
    trainer = ModelTrainer(
        training_image="000000000000.dkr.ecr.us-east-1.amazonaws.com/any:1",
        source_code=SourceCode(
            source_dir=str(Path(__file__).parent / "code"), entry_script="train.py"
        ),
        compute=Compute(instance_type="ml.m5.large", instance_count=1),
        base_job_name="cached",
        role=role,
        sagemaker_session=session,
    )
    step = TrainingStep(
        name="Train",
        step_args=trainer.train(),
        cache_config=CacheConfig(enable_caching=True, expire_after="P1D"),
    )
    return Pipeline(name=pipeline_name, steps=[step], sagemaker_session=session)
"""
PLAIN = """
import sys, json
sys.path.insert(0, ".")
from pipeline import get_pipeline
role, bucket = sys.argv[1:]
pipeline = get_pipeline(role, bucket, "plain")
pipeline.upsert(role_arn=role)
execution = pipeline.start()
execution.wait(delay=1, max_attempts=120)
print(json.dumps(execution.list_steps(), default=str))
"""
TRAIN = "from pathlib import Path\nPath('/opt/ml/model/model.txt').write_text('a model')\n"
ROLE = "arn:aws:iam::000000000000:role/sagemaker-gitops-local"


@pytest.fixture(scope="module")
def python() -> str:
    return sdk_python("v3")


@pytest.fixture(scope="module")
def cached(python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scratch]:
    project = f"""
    version: 1
    region: us-east-1
    pipelines:
      cached: {{source: pipeline.py:get_pipeline, python: {python}}}
    local:
      images: {{"*": {sys.prefix}}}
    """
    scratch = new_scratch(tmp_path_factory.mktemp("cache") / "repository", project)
    scratch.write("pipeline.py", PIPELINE)
    scratch.write("code/train.py", TRAIN)
    yield scratch
    down(scratch.root / ".sagemaker-gitops" / "local")


@pytest.fixture(scope="module")
def endpoint(cached: Scratch) -> Endpoint:
    home = cached.root / ".sagemaker-gitops" / "local"
    running = up(home, images=(("*", Path(sys.prefix)),), region="us-east-1")
    client(running, "s3").create_bucket(Bucket=BUCKET)
    return running


def test_plain_upserts_of_one_source_miss_the_cache(
    cached: Scratch, endpoint: Endpoint, python: str
) -> None:
    # Telemetry goes out over HTTPS past AWS_ENDPOINT_URL: this proxy takes it nowhere.
    environ = endpoint_environ(endpoint) | {"HTTPS_PROXY": "http://127.0.0.1:9"}
    for _ in range(2):
        done = subprocess.run(
            [python, "-c", PLAIN, ROLE, BUCKET],
            cwd=cached.root,
            env=environ,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        (step,) = json.loads(done.stdout.splitlines()[-1])
        assert step["StepStatus"] == "Succeeded"
        assert "CacheHitResult" not in step


def test_commits_of_one_source_hit_the_cache_and_the_plan_foretells_it(cached: Scratch) -> None:
    first = deploy(cached, "first")
    assert "CacheHitResult" not in first
    plan = cached.run("plan", "--local", "--json").document["plans"][0]
    assert plan["empty"]
    assert [run["verdict"] for run in plan["runs"]] == ["cache"]
    second = deploy(cached, "second")
    assert second["CacheHitResult"]["SourcePipelineExecutionArn"]

    cached.write("code/train.py", TRAIN.replace("a model", "another model"))
    plan = cached.run("plan", "--local", "--json").document["plans"][0]
    assert [(run["verdict"], run["reasons"]) for run in plan["runs"]] == [
        ("run", ["code changed (train.py)"])
    ]
    assert "CacheHitResult" not in deploy(cached, "third, with other code")


def deploy(scratch: Scratch, message: str) -> Any:
    scratch.commit(message)
    done = scratch.deploy()
    assert done.code == 0, done.err
    aws = client(scratch.run("local", "status", "--json").document["address"], "sagemaker")
    arn = done.report["execution"]["arn"]
    (step,) = aws.list_pipeline_execution_steps(PipelineExecutionArn=arn)["PipelineExecutionSteps"]
    assert step["StepStatus"] == "Succeeded"
    return step
