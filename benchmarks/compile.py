"""Compiling with the plain SDK, and here: the same pipelines, the same Python, one after the other.

    SAGEMAKER_GITOPS_SDK_V3=build/envs/sdk-v3 .venv/bin/python benchmarks/compile.py

The plain SDK talks to the same capture endpoint, with its telemetry refused at once, so that it
waits for nothing: what is measured is work alone. Times are seconds of wall clock, the import of
the SDK included; the floor is that import alone. The definitions of both ways are compared: they
must be equal but for the keys of what was uploaded. At the end, a whole `plan` that the compile
cache answers, beside a Python that makes one boto3 client.
"""

import argparse
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from threading import Thread

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


def plain(python: str, folder: Path, kind: str, count: int) -> tuple[float, str, int]:
    """Seconds, the definition, and how many objects were uploaded."""
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
        start = time.perf_counter()
        subprocess.run(command, env=environment, check=True, capture_output=True)
        seconds = time.perf_counter() - start
    return seconds, out.read_text(), len(capture.objects)


def here(python: str, folder: Path, kind: str, count: int) -> tuple[float, str]:
    """Seconds and the definition."""
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
    start = time.perf_counter()
    environ = os.environ | {"SAGEMAKER_GITOPS_COMPILE_CACHE": "off"}
    bundle = compile_pipeline(target, environ=environ, root=folder)
    return time.perf_counter() - start, bundle.definition.decode()


class NothingDeployed(BaseHTTPRequestHandler):
    """A SageMaker without pipelines."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b'{"__type": "ResourceNotFound", "Message": "Pipeline does not exist"}'
        self.send_response(400)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


def cached_plan(python: str, folder: Path, rounds: int) -> dict[str, float]:
    """Median seconds of a whole `plan`: the first compile, and those that the cache answers;
    beside them a Python that makes one boto3 client and nothing else."""
    project = folder / "project"
    (project / "code").mkdir(parents=True)
    (project / "code" / "main.py").write_text("print('work')\n")
    (project / "pipeline.py").write_text(MODULE)
    (project / "sagemaker-gitops.yaml").write_text(
        f"version: 1\nregion: us-east-1\nrole: {ROLE}\npipelines:\n  demo:\n"
        f"    source: pipeline.py:get_pipeline\n    python: {python}\n"
        "    kwargs: {kind: processing, count: 5}\n"
    )
    for command in (
        ["git", "init", "-q", "-b", "main"],
        ["git", "add", "."],
        ["git", "-c", "user.name=b", "-c", "user.email=b@example.com", "commit", "-qm", "first"],
    ):
        subprocess.run(command, cwd=project, check=True)
    with ThreadingHTTPServer(("127.0.0.1", 0), NothingDeployed) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_address[1]}",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "none",
            "AWS_SECRET_ACCESS_KEY": "none",
        }
        plan = [sys.executable, "-m", "ci", "plan"]
        client = [sys.executable, "-c", "import boto3; boto3.client('sagemaker')"]
        time.sleep(0.2)  # what was just written is older than the compile
        first = timed(plan, project, environment)
        times: dict[str, list[float]] = {"plan, cached": [], "one boto3 client": []}
        for _ in range(rounds):
            times["plan, cached"].append(timed(plan, project, environment))
            times["one boto3 client"].append(timed(client, project, environment))
        server.shutdown()
    return {"plan, first": first, **{name: median(each) for name, each in times.items()}}


def timed(command: list[str], folder: Path, environment: dict[str, str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    return time.perf_counter() - start


def without_keys(definition: str) -> str:
    """The definition with every key of an upload masked, and its file's name kept."""
    text = json.dumps(json.loads(definition), sort_keys=True)
    text = re.sub(rf"{BUCKET}/sagemaker-gitops/[0-9a-f]{{64}}", f"{BUCKET}/KEY", text)
    text = re.sub(rf"{BUCKET}/[pt]\d+/[^/\"]+/input/(code|sm_drivers)", f"{BUCKET}/KEY", text)
    return re.sub(rf"{BUCKET}/demo/code/[0-9a-f]+", f"{BUCKET}/KEY", text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--counts", type=int, nargs="+", default=[50, 200])
    parser.add_argument("--kinds", nargs="+", default=["processing", "training"])
    parser.add_argument("--rounds", type=int, default=9, help="of the cached plan; 0 for none")
    arguments = parser.parse_args()
    environment = os.environ.get("SAGEMAKER_GITOPS_SDK_V3", str(ROOT / "build/envs/sdk-v3"))
    python = str(Path(environment) / "bin" / "python")
    equal = True
    print(f"{'':24}{'plain':>8}{'here':>8}{'ratio':>8}  uploads  definitions")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        (folder / "code").mkdir()
        (folder / "code" / "main.py").write_text("print('work')\n")
        (folder / "pipeline.py").write_text(MODULE)
        floor = here(python, folder, "processing", 1)[0]
        for kind in arguments.kinds:
            for count in arguments.counts:
                seconds, theirs, uploads = plain(python, folder, kind, count)
                ours_seconds, ours = here(python, folder, kind, count)
                same = without_keys(theirs) == without_keys(ours)
                equal = equal and same
                told = f"{uploads:>9}  {'equal' if same else 'DIFFER'}"
                print(
                    f"{count:>4} {kind + ' steps':<19}{seconds:>8.1f}{ours_seconds:>8.1f}"
                    f"{ours_seconds / seconds:>8.2f}{told}",
                    flush=True,
                )
        print(f"{'one step (the import)':<24}{'':>8}{floor:>8.1f}")
        if arguments.rounds:
            found = cached_plan(python, folder, arguments.rounds)
            for what, seconds in found.items():
                print(f"{what:<24}{'':>8}{seconds:>8.2f}")
            print(f"{'ratio':<24}{'':>8}{found['plan, cached'] / found['one boto3 client']:>8.2f}")
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
