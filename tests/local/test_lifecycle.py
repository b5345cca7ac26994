"""Up, down, killed, and up again: one server for a folder, and nothing it kept is lost."""

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from support.dispatched import ROLE, definition
from support.endpoint import client, running_endpoint

from ci.errors import LocalError
from ci.local.lifecycle import Endpoint, down, reset, status, up
from ci.local.main import take_lock
from ci.local.settings import LOCK_NAME

pytestmark = pytest.mark.endpoint


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "local"
    yield folder
    down(folder)


def kill(endpoint: Endpoint) -> None:
    os.kill(endpoint.pid, signal.SIGKILL)


def test_killed_and_started_again_it_has_everything_at_the_same_address(home: Path) -> None:
    first = up(home)
    assert first.started
    sagemaker, s3, ssm = (client(first, name) for name in ("sagemaker", "s3", "ssm"))
    sagemaker.create_pipeline(PipelineName="kept", PipelineDefinition=definition(), RoleArn=ROLE)
    s3.create_bucket(Bucket="kept")
    s3.put_object(Bucket="kept", Key="a", Body=b"object")
    ssm.put_parameter(Name="kept", Value="v", Type="String")
    kill(first)
    second = up(home)
    assert second.pid != first.pid
    assert second.address == first.address
    assert sagemaker.describe_pipeline(PipelineName="kept")["PipelineDefinition"] == definition()
    assert s3.get_object(Bucket="kept", Key="a")["Body"].read() == b"object"
    assert ssm.get_parameter(Name="kept")["Parameter"]["Value"] == "v"
    for made in (sagemaker, s3, ssm):
        made.close()


def test_a_running_endpoint_is_taken_as_it_is(home: Path) -> None:
    first = up(home)
    again = up(home)
    assert (again.pid, again.address, again.started) == (first.pid, first.address, False)
    assert status(home).ready
    with pytest.raises(LocalError, match="port 1"):
        up(home, port=1)
    with pytest.raises(LocalError, match="region eu-west-1"):
        up(home, region="eu-west-1")


def test_other_images_start_it_anew_and_go_on(home: Path, tmp_path: Path) -> None:
    first = up(home, images=(("*", tmp_path / "one"),))
    assert up(home).pid == first.pid
    assert up(home, images=(("*", tmp_path / "one"),)).pid == first.pid
    second = up(home, images=(("*", tmp_path / "two"),))
    assert second.pid != first.pid
    assert second.address == first.address


def test_damaged_state_is_told_with_the_way_out(home: Path) -> None:
    home.mkdir()
    (home / "state.db").write_bytes(b"no database at all " * 1000)
    with pytest.raises(LocalError) as caught:
        up(home)
    assert "state.db" in str(caught.value)
    assert "local reset" in str(caught.value)
    assert "Traceback" not in str(caught.value)
    reset(home)
    assert up(home).started


def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(LocalError, match="cannot keep its state"):
        up(tmp_path / "file" / "local")


def test_two_at_once_get_one_server(home: Path) -> None:
    found: list[Endpoint] = []
    threads = [threading.Thread(target=lambda: found.append(up(home))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({endpoint.pid for endpoint in found}) == 1
    assert [endpoint.started for endpoint in found].count(True) == 1


def test_whoever_looks_is_no_server_and_keeps_none_from_starting(home: Path) -> None:
    home.mkdir()
    with (home / LOCK_NAME).open("w") as looked, (home / LOCK_NAME).open("a") as lock:
        fcntl.flock(looked, fcntl.LOCK_SH)
        assert status(home).endpoint is None
        assert not down(home)
        looks_away = threading.Timer(0.05, fcntl.flock, (looked, fcntl.LOCK_UN))
        looks_away.start()
        assert take_lock(lock)
        with (home / LOCK_NAME).open("a") as second:
            assert not take_lock(second)
        looks_away.join()


def test_down_ends_it_and_its_emulator(home: Path) -> None:
    endpoint = up(home)
    emulator = int((home / "emulator.pid").read_text())
    assert down(home)
    assert not down(home)
    assert status(home).endpoint is None
    _wait_for_end(emulator)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(endpoint.address.rsplit(":", 1)[1]))) != 0


def test_the_emulator_of_a_killed_server_ends_too(home: Path) -> None:
    endpoint = up(home)
    emulator = int((home / "emulator.pid").read_text())
    kill(endpoint)
    _wait_for_end(emulator)


def test_a_killed_emulator_comes_back(home: Path) -> None:
    with running_endpoint(home) as endpoint:
        s3 = client(endpoint, "s3")
        s3.create_bucket(Bucket="kept")
        s3.put_object(Bucket="kept", Key="a", Body=b"object")
        os.kill(int((home / "emulator.pid").read_text()), signal.SIGKILL)
        patient = client(endpoint, "s3", config=Config(retries={"total_max_attempts": 8}))
        assert patient.get_object(Bucket="kept", Key="a")["Body"].read() == b"object"
        s3.close()
        patient.close()


def test_a_server_ends_when_its_folder_is_deleted(home: Path) -> None:
    endpoint = up(home)
    emulator = int((home / "emulator.pid").read_text())
    shutil.rmtree(home)
    _wait_for_end(endpoint.pid)
    _wait_for_end(emulator)


def test_a_record_of_a_dead_server_harms_no_one(home: Path) -> None:
    """Its port belongs to another program by now, its number to another process."""
    home.mkdir()
    bystander = subprocess.Popen(["sleep", "60"])
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (home / "endpoint.json").write_text(json.dumps({"pid": bystander.pid, "port": port}))
        (home / "emulator.pid").write_text(f"{bystander.pid}\n")
        assert status(home).endpoint is None
        assert not down(home)
        endpoint = up(home)
        assert not endpoint.address.endswith(f":{port}")
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


@pytest.mark.parametrize("record", ["", "{", "[]", '{"pid": "x", "port": "y"}', "\x00"])
def test_a_broken_record_is_no_obstacle(home: Path, record: str) -> None:
    home.mkdir()
    (home / "endpoint.json").write_text(record)
    assert status(home).endpoint is None
    assert up(home).started


def test_an_endpoint_that_cannot_start_says_why(home: Path) -> None:
    environ = dict(os.environ) | {"SAGEMAKER_GITOPS_EMULATOR_PYTHON": "/nowhere/python"}
    with pytest.raises(LocalError) as caught:
        up(home, environ=environ)
    assert "/nowhere/python" in str(caught.value)
    assert str(home / "endpoint.log") in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_an_emulator_that_cannot_run_is_told_in_its_own_words(home: Path) -> None:
    """This Python has no MiniStack."""
    environ = dict(os.environ) | {"SAGEMAKER_GITOPS_EMULATOR_PYTHON": sys.executable}
    with pytest.raises(LocalError) as caught:
        up(home, environ=environ)
    assert "No module named 'ministack'" in str(caught.value)
    assert str(home / "emulator.log") in str(caught.value)
    assert status(home).endpoint is None


def test_a_port_that_is_taken_is_told(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LocalError, match=f"Port {port} is taken"):
            up(home, port=port)


def test_a_repository_with_modules_of_the_same_names_is_no_obstacle(
    home: Path, tmp_path: Path
) -> None:
    repository = tmp_path / "hostile"
    (repository / "ci").mkdir(parents=True)
    for name in ("ci/__init__.py", "json.py", "aiohttp.py", "socket.py"):
        (repository / name).write_text("raise SystemExit('the wrong module')\n")
    code = (
        "import sys; sys.path.insert(0, sys.argv[2]); from pathlib import Path;"
        "from ci.local.lifecycle import up; print(up(Path(sys.argv[1])).address)"
    )
    root = Path(__file__).parents[2]
    result = subprocess.run(
        [sys.executable, "-I", "-c", code, str(home), str(root)],
        cwd=repository,
        env=dict(os.environ) | {"PYTHONPATH": str(repository)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == up(home).address


def test_it_outlives_the_command_that_started_it(home: Path) -> None:
    code = (
        "import sys; from pathlib import Path;"
        "from ci.local.lifecycle import up; up(Path(sys.argv[1]))"
    )
    started = subprocess.run([sys.executable, "-c", code, str(home)], check=True)
    assert started.returncode == 0
    assert status(home).ready


def test_no_credential_of_the_caller_reaches_it(home: Path) -> None:
    environ = dict(os.environ) | {"AWS_SECRET_ACCESS_KEY": "real", "AWS_PROFILE": "prod"}
    endpoint = up(home, environ=environ)
    for pid in (endpoint.pid, int((home / "emulator.pid").read_text())):
        held = Path(f"/proc/{pid}/environ").read_bytes()
        assert b"real" not in held
        assert b"AWS_PROFILE" not in held


def test_reset_forgets_everything(home: Path) -> None:
    with running_endpoint(home) as endpoint:
        sagemaker, s3 = client(endpoint, "sagemaker"), client(endpoint, "s3")
        sagemaker.create_pipeline(PipelineName="p", PipelineDefinition=definition(), RoleArn=ROLE)
        s3.create_bucket(Bucket="bucket")
        sagemaker.close()
        s3.close()
    up(home)
    reset(home)
    assert status(home).endpoint is None
    with running_endpoint(home) as endpoint:
        sagemaker, s3 = client(endpoint, "sagemaker"), client(endpoint, "s3")
        assert sagemaker.list_pipelines()["PipelineSummaries"] == []
        assert s3.list_buckets()["Buckets"] == []
        sagemaker.close()
        s3.close()


def test_an_execution_that_was_cut_off_goes_on_and_repeats_no_finished_step(
    home: Path, tmp_path: Path
) -> None:
    def step(name: str, code: str, **more: object) -> dict[str, object]:
        cluster = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}
        code = f"open({str(tmp_path / name)!r}, 'a').write('x'); {code}"
        arguments = {
            "ProcessingResources": {"ClusterConfig": cluster},
            "AppSpecification": {
                "ImageUri": "000000000000.dkr.ecr.us-east-1.amazonaws.com/python:1",
                "ContainerEntrypoint": ["python3", "-c", code],
            },
            "RoleArn": ROLE,
        }
        return {"Name": name, "Type": "Processing", "Arguments": arguments, **more}

    steps = [step("one", "pass"), step("two", "import time; time.sleep(2)", DependsOn=["one"])]
    images = (("*", Path(sys.prefix)),)
    with running_endpoint(home, images=images) as endpoint:
        sagemaker = client(endpoint, "sagemaker")
        sagemaker.create_pipeline(
            PipelineName="p", PipelineDefinition=definition(Steps=steps), RoleArn=ROLE
        )
        token = "t" * 32
        started = sagemaker.start_pipeline_execution(PipelineName="p", ClientRequestToken=token)
        _wait_for((tmp_path / "two").exists)
        kill(endpoint)
        up(home, images=images)
        again = sagemaker.start_pipeline_execution(PipelineName="p", ClientRequestToken=token)
        assert again["PipelineExecutionArn"] == started["PipelineExecutionArn"]
        arn = started["PipelineExecutionArn"]

        def state() -> str:
            found = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
            return str(found["PipelineExecutionStatus"])

        _wait_for(lambda: state() != "Executing", seconds=30)
        assert state() == "Succeeded"
        found = sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=arn)
        statuses = {
            item["StepName"]: item["StepStatus"] for item in found["PipelineExecutionSteps"]
        }
        assert statuses == {"one": "Succeeded", "two": "Succeeded"}
        assert (tmp_path / "one").read_text() == "x"
        assert (tmp_path / "two").read_text() == "xx"
        sagemaker.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_is_told_and_loses_nothing(tmp_path: Path) -> None:
    home = tmp_path / "small"
    home.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(home)], check=False
    )
    if mounted.returncode != 0:
        pytest.skip("this system mounts no tmpfs")
    try:
        with running_endpoint(home) as endpoint:
            once = Config(retries={"total_max_attempts": 1})
            sagemaker = client(endpoint, "sagemaker", config=once)
            s3 = client(endpoint, "s3", config=once)
            sagemaker.create_pipeline(
                PipelineName="before", PipelineDefinition=definition(), RoleArn=ROLE
            )
            s3.create_bucket(Bucket="bucket")
            s3.put_object(Bucket="bucket", Key="before", Body=b"kept")
            filler = home / "filler"
            _fill(filler)
            with pytest.raises(ClientError) as refused:
                s3.put_object(Bucket="bucket", Key="lost", Body=b"x" * 500_000)
            assert refused.value.response["Error"]["Code"] == "InternalError"
            note = {"note": "x" * 600_000}
            with pytest.raises(ClientError) as refused:
                sagemaker.create_pipeline(
                    PipelineName="lost", PipelineDefinition=definition(Metadata=note), RoleArn=ROLE
                )
            assert refused.value.response["Error"]["Code"] == "ServiceUnavailable"
            assert "Free space" in refused.value.response["Error"]["Message"]
            assert s3.get_object(Bucket="bucket", Key="before")["Body"].read() == b"kept"
            filler.unlink()
            sagemaker.create_pipeline(
                PipelineName="after", PipelineDefinition=definition(), RoleArn=ROLE
            )
            s3.put_object(Bucket="bucket", Key="after", Body=b"kept")
            names = [
                item["PipelineName"] for item in sagemaker.list_pipelines()["PipelineSummaries"]
            ]
            assert names == ["after", "before"]
            kill(endpoint)
            up(home)
            names = [
                item["PipelineName"] for item in sagemaker.list_pipelines()["PipelineSummaries"]
            ]
            assert names == ["after", "before"]
            assert s3.get_object(Bucket="bucket", Key="after")["Body"].read() == b"kept"
            sagemaker.close()
            s3.close()
    finally:
        subprocess.run(["umount", "-l", str(home)], check=True)


def _fill(file: Path) -> None:
    """Take all the space there is."""
    with file.open("wb", buffering=0) as out:
        for size in (65536, 4096, 512):
            try:
                while out.write(b"\0" * size) == size:
                    pass
            except OSError:
                continue


def _wait_for(is_so: Callable[[], bool], *, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not come to be in time"
        time.sleep(0.05)


def _wait_for_end(pid: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            if "\tZ" in Path(f"/proc/{pid}/status").read_text().split("State:")[1][:4]:
                return
        except OSError:
            return
        time.sleep(0.05)
    raise AssertionError(f"process {pid} still runs")
