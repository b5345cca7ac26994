"""Compiling with the plain SDK, and here: the same pipelines, the same Python, one after the other.

    SAGEMAKER_GITOPS_SDK_V3=build/envs/sdk-v3 .venv/bin/python benchmarks/compile.py

The plain SDK talks to the same capture endpoint, with its telemetry refused at once, so that it
waits for nothing: what is measured is work alone. Times are seconds of wall clock and of processor
(of the command and all that it starts), the import of the SDK included; the floor is that import
alone. The definitions of both ways are compared: they must be equal but for the keys of what was
uploaded. A whole `plan` is measured by `whole_plan.py`.
"""

import argparse
import json
import os
import re
import socket
import sys
import tempfile
from pathlib import Path

from metering import Used, timed

from ci.compile.capture import serve
from ci.compile.compile import compile_pipeline
from ci.compile.services import Capture
from ci.project.model import Environment, ModuleSource, Pipeline, Target

ROOT = Path(__file__).resolve().parents[1]
BUCKET = "sagemaker-us-east-1-000000000000"
ROLE = "arn:aws:iam::000000000000:role/sagemaker-gitops-local"

MODULE = """
from pathlib import Path
from sagemaker.core.processing import ScriptProcessor
from sagemaker.core.training.configs import Compute, SourceCode
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.mlops.workflow.steps import ProcessingStep, TrainingStep
from sagemaker.train import ModelTrainer

HERE = Path(__file__).parent
IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/image:1"

def processing(session, role, number):
    processor = ScriptProcessor(
        image_uri=IMAGE, command=["python3"], role=role, instance_count=1,
        instance_type="ml.m5.large", base_job_name=f"p{number}", sagemaker_session=session)
    arguments = processor.run(code=str(HERE / "code/main.py"))
    return ProcessingStep(name=f"P{number}", step_args=arguments)

def training(session, role, number):
    trainer = ModelTrainer(
        training_image=IMAGE, role=role, base_job_name=f"t{number}", sagemaker_session=session,
        source_code=SourceCode(source_dir=str(HERE / "code"), entry_script="main.py"),
        compute=Compute(instance_type="ml.m5.large", instance_count=1))
    return TrainingStep(name=f"T{number}", step_args=trainer.train())

def get_pipeline(role, kind, count, sagemaker_session):
    make = {"processing": processing, "training": training}[kind]
    steps = [make(sagemaker_session, role, number) for number in range(count)]
    return Pipeline(name="demo", steps=steps, sagemaker_session=sagemaker_session)
"""

PLAIN = """
import sys
sys.path.insert(0, sys.argv[1])
import pipeline
from sagemaker.core.workflow.pipeline_context import PipelineSession
session = PipelineSession(default_bucket=sys.argv[2])
built = pipeline.get_pipeline(sys.argv[3], sys.argv[4], int(sys.argv[5]), session)
open(sys.argv[6], "w").write(built.definition())
"""


def plain(python: str, folder: Path, kind: str, count: int) -> tuple[Used, str, int]:
    """What it took, the definition, and how many objects were uploaded."""
    capture = Capture(role=ROLE, account="0" * 12, region="us-east-1", bucket=BUCKET)
    listener = socket.create_server(("127.0.0.1", 0))
    port, out = listener.getsockname()[1], folder / "plain.json"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "SAGEMAKER_VALIDATE_ROLE": "false",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "AWS_MAX_ATTEMPTS": "1",
    }
    command = [python, "-c", PLAIN, str(folder), BUCKET, ROLE, kind, str(count), str(out)]
    with serve(listener, capture):
        used = timed(command, folder, environment)
    return used, out.read_text(), len(capture.objects)


def here(python: str, folder: Path, kind: str, count: int) -> tuple[Used, str]:
    """What it took, in a process of its own like the other, and the definition."""
    out = folder / "here.json"
    own = [sys.executable, __file__, "--here", python, str(folder), kind, str(count), str(out)]
    used = timed(own, ROOT, {**os.environ, "SAGEMAKER_GITOPS_COMPILE_CACHE": "off"})
    return used, out.read_text()


def compile_here(python: str, folder: Path, kind: str, count: int, out: Path) -> None:
    source = ModuleSource(file=folder / "pipeline.py", function="get_pipeline")
    target = Target(
        pipeline=Pipeline(
            name="demo", source=source, line=1, python=python, kwargs={"kind": kind, "count": count}
        ),
        environment=Environment(name="main", pipeline_name="{pipeline}"),
        pipeline_name="demo",
        role=ROLE,
        account="0" * 12,
        region="us-east-1",
        bucket=BUCKET,
        prefix="sagemaker-gitops",
        parameters={},
        tags={},
    )
    bundle = compile_pipeline(target, environ=os.environ, root=folder)
    out.write_bytes(bundle.definition)


def without_keys(definition: str) -> str:
    """The definition with every key of an upload masked, and its file's name kept."""
    text = json.dumps(json.loads(definition), sort_keys=True)
    text = re.sub(rf"{BUCKET}/sagemaker-gitops/[0-9a-f]{{64}}", f"{BUCKET}/KEY", text)
    text = re.sub(rf"{BUCKET}/[pt]\d+/[^/\"]+/input/(code|sm_drivers)", f"{BUCKET}/KEY", text)
    return re.sub(rf"{BUCKET}/demo/code/[0-9a-f]+", f"{BUCKET}/KEY", text)


def told(used: Used) -> str:
    """Wall clock (processor)."""
    return f"{used.wall:.1f} ({used.processor:.1f})"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--counts", type=int, nargs="+", default=[50, 200])
    parser.add_argument("--kinds", nargs="+", default=["processing", "training"])
    parser.add_argument("--here", nargs=5, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        python, folder, kind, count, out = arguments.here
        compile_here(python, Path(folder), kind, int(count), Path(out))
        return 0
    environment = os.environ.get("SAGEMAKER_GITOPS_SDK_V3", str(ROOT / "build/envs/sdk-v3"))
    python = str(Path(environment) / "bin" / "python")
    equal = True
    print("| | plain SDK | here | ratio | uploads | definitions |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        (folder / "code").mkdir()
        (folder / "code" / "main.py").write_text("print('work')\n")
        (folder / "pipeline.py").write_text(MODULE)
        floor = here(python, folder, "processing", 1)[0]
        for kind in arguments.kinds:
            for count in arguments.counts:
                other, theirs, uploads = plain(python, folder, kind, count)
                mine, ours = here(python, folder, kind, count)
                same = without_keys(theirs) == without_keys(ours)
                equal = equal and same
                print(
                    f"| {count} {kind} steps | {told(other)} | {told(mine)}"
                    f" | {mine.wall / other.wall:.2f} ({mine.processor / other.processor:.2f})"
                    f" | {uploads} | {'equal' if same else 'DIFFER'} |",
                    flush=True,
                )
        print(f"| one step (the import) | | {told(floor)} | | | |")
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
