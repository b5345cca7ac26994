"""A serving process finds its model where a container does."""

import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from ci.local.engine.isolate import enclosing
from ci.local.serving.deployment import Container
from ci.local.serving.launch import CannotStart, fetch_model, launch

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


class Objects:
    """S3 by bucket and key, as far as a model is fetched from it."""

    def __init__(self, held: dict[tuple[str, str], bytes]) -> None:
        self._held = held

    def download_file(self, bucket: str, key: str, file: str) -> None:
        Path(file).write_bytes(self._held[bucket, key])


def archive(name: str, body: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(body)
        tar.addfile(member, io.BytesIO(body))
    return stream.getvalue()


@pytest.mark.parametrize("key", ["m/model.tar.gz", "run #3/model.tar.gz", "a?b/ü%20/model.tar.gz"])
def test_a_models_key_is_no_url(tmp_path: Path, key: str) -> None:
    s3 = Objects({("bucket", key): archive("name", b"one")})
    container = Container(image="i", hostname="", model_data=f"s3://bucket/{key}", environment={})
    assert (fetch_model(container, tmp_path, s3) / "name").read_bytes() == b"one"


@pytest.mark.parametrize("uri", ["https://bucket/key", "s3://bucket", "s3:///key", "bucket/key"])
def test_what_is_no_object_is_told(tmp_path: Path, uri: str) -> None:
    container = Container(image="i", hostname="", model_data=uri, environment={})
    with pytest.raises(CannotStart, match="is not an object or a prefix"):
        fetch_model(container, tmp_path, Objects({}))
