"""With a botocore that is older than versions of pipelines and their aliases."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.scratch import PROJECT, Scratch, new_scratch, quality_definition

from ci.definition.shapes import read_model
from ci.session.session import client_environment

pytestmark = pytest.mark.endpoint

ROLE = "role: arn:aws:iam::000000000000:role/sagemaker-gitops-local\n"
MODEL = "sagemaker/2017-07-24/service-2.json"
NEW_OPERATIONS = ("ListPipelineVersions", "UpdatePipelineVersion")
NEW_MEMBERS = ("PipelineVersionId", "PipelineVersionAlias", "PipelineVersionAliasOperations")


def old_model(*, versions: bool) -> dict[str, Any]:
    """botocore's model of SageMaker without aliases, or without versions at all."""
    import botocore

    folder = Path(botocore.__file__).parent / "data" / MODEL
    found = next(folder.parent.glob(f"{folder.name}*"))
    model: dict[str, Any] = json.loads(json.dumps(read_model(found)))
    for name, shape in model["shapes"].items():
        if "Pipeline" in name:
            for member in NEW_MEMBERS[1:] if versions else NEW_MEMBERS:
                shape.get("members", {}).pop(member, None)
    for operation in () if versions else NEW_OPERATIONS:
        del model["operations"][operation]
    return model


def test_all_but_aliases_goes_on(tmp_path: Path) -> None:
    scratch = new_scratch(tmp_path / "work", ROLE + PROJECT)
    scratch.define(quality_definition(2.0))
    scratch.commit()
    try:
        address = scratch.run("local", "up", "--json").document["address"]
        old = Scratch(root=scratch.root, environ=client_environment(address, "us-east-1"))
        old.environ["HOME"] = str(tmp_path / "home")
        file = tmp_path / "home" / ".aws" / "models" / MODEL
        file.parent.mkdir(parents=True)

        file.write_text(json.dumps(old_model(versions=False)))
        done = old.run("deploy", "--json", "--poll", "0.1")
        assert done.code == 0, done.err
        assert done.report["state"] == "final"
        assert old.run("plan", "--json").document["plans"][0]["empty"]

        for versions, command in ((False, "promote"), (True, "rollback")):
            file.write_text(json.dumps(old_model(versions=versions)))
            refused = old.run(command, "quality", "--to", "1", "--json")
            assert refused.code == 2, refused.out
            assert "does not know aliases" in refused.document["error"]["what"]
            assert "boto3" in refused.document["error"]["fix"]
    finally:
        scratch.run("local", "down")
