"""A serving process finds its model where a container does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ci.local.engine.isolate import enclosing
from ci.local.serving.deployment import Container
from ci.local.serving.launch import launch

SCRIPT = """
import json, os
import subprocess
MODEL = "/opt/ml/model"
def model_fn(model_dir):
    return open(f"{MODEL}/name").read(), os.path.samefile(MODEL, model_dir)
def transform_fn(model, body, content_type, accept):
    return json.dumps(model), accept
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="a mount needs root, or user namespaces")
def test_each_process_has_its_own_model_at_opt_ml(tmp_path: Path) -> None:
    running = []
    try:
        for name in ("one", "two"):
            folder = tmp_path / name
            (folder / "model/code").mkdir(parents=True)
            (folder / "model/name").write_text(name)
            (folder / "model/code/inference.py").write_text(SCRIPT)
            running.append(
                launch(
                    Container(image="image", hostname="", model_data=None, environment={}),
                    folder,
                    s3=None,
                    images=(("image", Path(sys.executable).parent.parent),),
                    address="http://127.0.0.1:1",
                    region="us-east-1",
                    follow=lambda _: lambda: None,
                )
            )
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        for process, name in zip(running, ("one", "two"), strict=True):
            process.wait_ready(20)
            answer = process.invoke(b"{}", headers, 10)
            assert json.loads(answer.body) == [name, True], answer.body
    finally:
        for process in running:
            process.stop()
    assert not Path("/opt/ml/model").exists()


def test_a_program_runs_even_where_its_folder_cannot_be_put_there(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    command = [*enclosing(missing), sys.executable, "-c", "print('ran')"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "ran\n")
