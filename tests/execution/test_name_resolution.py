"""The endpoint's name does not resolve, and then it does: for real, in a mount namespace."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.executing import adapter, condition_definition, make_bundle, make_run

from ci.execution.start import deploy, start

_CHILD = """
import json, sys, time
from ci.execution.follow import Surroundings, follow
from ci.sagemaker.adapter import SageMaker
from ci.sagemaker.clients import open_clients

address, arn = sys.argv[1:]
aws = SageMaker(open_clients("us-east-1", {}, endpoint=address))

def emit(change):
    print(json.dumps([change.kind, change.status]), flush=True)

around = Surroundings(sleep=lambda seconds: time.sleep(min(seconds, 0.1)))
follow(aws.executions, [arn], emit=emit, deadline=60, surroundings=around)
"""


def may_unshare() -> bool:
    if shutil.which("unshare") is None or os.geteuid() != 0:
        return False
    return (
        subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode == 0
    )


@pytest.mark.endpoint
@pytest.mark.skipif(not may_unshare(), reason="needs a mount namespace")
def test_a_name_that_comes_back(address: str, tmp_path: Path) -> None:
    aws = adapter(address)
    bundle = make_bundle(condition_definition(), tmp_path)
    version = deploy(aws, bundle, make_run(bundle, name="resolved")).version_id
    arn = start(aws.executions, make_run(bundle, name="resolved"), version_id=version)
    hosts, resolver, script = (tmp_path / name for name in ("hosts", "resolv.conf", "child.py"))
    hosts.write_text("")
    resolver.write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    script.write_text(_CHILD)
    mounted = (
        f'mount --bind {hosts} /etc/hosts && mount --bind {resolver} /etc/resolv.conf && exec "$@"'
    )
    named = f"http://localhost:{urlsplit(address).port}"
    process = subprocess.Popen(
        ["unshare", "-m", "sh", "-c", mounted, "sh", sys.executable, str(script), named, arn],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    try:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        time.sleep(1.0)
        assert process.poll() is None
        with hosts.open("a") as file:
            file.write("127.0.0.1 localhost\n")
        out, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert first == ["trouble", "EndpointConnectionError"]
    told = [json.loads(line) for line in out.splitlines()]
    assert ["recovered", None] in told
    assert ["status", "Succeeded"] in told
    assert process.returncode == 0
