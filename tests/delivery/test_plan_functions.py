"""Lambda functions of a bundle in plan, deploy and drift; live compiles and forks."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.endpoint import client, running_endpoint
from support.github_job import pull_request_environ
from support.scratch import Scratch, new_scratch, quality_definition

from ci.sagemaker.functions import as_wanted, differs

MODULE = """
import boto3, io, json, zipfile

DEFINITION = json.loads(DOCUMENT)

class Pipeline:
    def definition(self):
        return json.dumps(DEFINITION)

def get_pipeline(role):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(zipfile.ZipInfo("index.py", (1999, 1, 1, 0, 0, 0)), CODE)
    boto3.client("lambda").create_function(
        FunctionName="announce", Runtime="python3.12", Role=role, Handler="index.handler",
        Timeout=TIMEOUT, Environment={"Variables": {"STAGE": "main"}},
        Code={"ZipFile": out.getvalue()})
    return Pipeline()
"""
PROJECT = f"""
version: 1
region: us-east-1
pipelines:
  announcing:
    source: pipeline.py:get_pipeline
    python: {sys.executable}
"""


def write_module(scratch: Scratch, code: str, *, timeout: int = 30) -> None:
    document = quality_definition(1.0)
    head = f"DOCUMENT = {json.dumps(document)!r}\nCODE = {code!r}\nTIMEOUT = {timeout}\n"
    (scratch.root / "pipeline.py").write_text(head + MODULE)


@pytest.fixture(scope="module")
def announcing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scratch]:
    from ci.local.lifecycle import down

    root = tmp_path_factory.mktemp("functions") / "repository"
    yield new_scratch(root, PROJECT)
    down(root / ".sagemaker-gitops" / "local")


def only_plan(scratch: Scratch) -> Any:
    done = scratch.run("plan", "--local", "--json")
    assert done.code == 0, done.err
    return done.document["plans"][0]


@pytest.mark.endpoint
def test_a_change_of_code_alone_is_planned_and_applied(announcing: Scratch) -> None:
    write_module(announcing, "def handler(event, context):\n    return 1\n")
    announcing.commit("first")
    assert [each["kind"] for each in only_plan(announcing)["functions"]] == ["added"]
    assert announcing.deploy("--detach").code == 0
    assert only_plan(announcing)["empty"]

    write_module(announcing, "def handler(event, context):\n    return 2\n", timeout=60)
    announcing.commit("other code")
    plan = only_plan(announcing)
    assert not plan["steps"]
    assert "1 function changed" in plan["summary"]
    (function,) = plan["functions"]
    (file,) = function["code"]["files"]
    assert "-    return 1" in file["diff"]
    assert "+    return 2" in file["diff"]
    assert (function["old"]["Timeout"], function["new"]["Timeout"]) == (30, 60)
    done = announcing.deploy("--detach")
    assert done.code == 0, done.err
    assert "Function announce: updated" in done.err
    assert "1 function changed" in done.report["plan"]["headline"]
    assert only_plan(announcing)["empty"]


@pytest.mark.endpoint
def test_a_function_that_was_edited_by_hand_has_drifted(announcing: Scratch) -> None:
    write_module(announcing, "def handler(event, context):\n    return 3\n")
    announcing.commit("before the edit")
    assert announcing.deploy("--detach").code == 0
    address = announcing.run("local", "status", "--json").document["address"]
    functions = client(address, "lambda")
    functions.update_function_configuration(
        FunctionName="announce",
        Timeout=9,
        Environment={"Variables": {"STAGE": "mine", "SECRET": "hunter2"}},
    )
    done = announcing.run("drift", "--local", "--json")
    assert done.code == 1
    (function,) = done.document["pipelines"][0]["plan"]["functions"]
    assert function["old"]["Timeout"] == 9
    assert function["old"]["Environment"] == {"Variables": {"STAGE": "mine"}}
    assert "hunter2" not in done.out
    assert announcing.run("drift", "--local", "--json", "--fix").code == 0
    held = functions.get_function_configuration(FunctionName="announce")
    assert held["Timeout"] == 30


@pytest.mark.endpoint
def test_a_fork_compiles_nothing_live(tmp_path: Path) -> None:
    project = PROJECT.replace("python:", "compile: live\n    python:") + (
        "role: arn:aws:iam::000000000000:role/any\n"
    )
    scratch = new_scratch(tmp_path / "fork", project)
    write_module(scratch, "raise SystemExit")
    proof = tmp_path / "ran"
    source = scratch.root / "pipeline.py"
    source.write_text(source.read_text() + f"open({str(proof)!r}, 'w')\n")
    head = scratch.commit("hostile")
    with running_endpoint(tmp_path / "aws") as aws:
        environ = pull_request_environ(
            tmp_path / "job", number=1, commit=head, forge="http://127.0.0.1:9", aws=aws.address
        )
        event = Path(environ["GITHUB_EVENT_PATH"])
        body = json.loads(event.read_text())
        body["pull_request"]["head"]["repo"]["id"] = 2
        event.write_text(json.dumps(body))
        scratch.environ.update(environ)
        for command in (("plan",), ("deploy",), ("validate", "--compile")):
            done = scratch.run(*command, "--json")
            assert done.code == 2
            assert "not compiled for a pull request from a fork" in done.document["error"]["what"]
    assert not proof.exists()


SCALARS = st.none() | st.integers(0, 2) | st.sampled_from(["", "a"])
SETTINGS = st.dictionaries(
    st.sampled_from(["Timeout", "Handler", "Environment", "Extra"]),
    SCALARS | st.dictionaries(st.sampled_from("ab"), SCALARS, max_size=2),
    max_size=4,
)


@given(SETTINGS, SETTINGS)
def test_a_plan_sees_what_a_deploy_would_do(wanted: dict[str, Any], held: dict[str, Any]) -> None:
    assert (as_wanted(wanted, held) != wanted) == differs(wanted, held)


def test_layers_read_as_they_are_wanted() -> None:
    held = {"Layers": [{"Arn": "one", "CodeSize": 3}], "Tags": None}
    wanted = {"Layers": ["one"], "Tags": {"a": "b"}}
    assert as_wanted(wanted, held) == wanted
    assert as_wanted({"Layers": ["two"]}, held) == {"Layers": ["one"]}
