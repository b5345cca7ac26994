"""`plan` and `deploy --plan` as a user meets them, on the local endpoint."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from support.endpoint import client
from support.scratch import PROJECT, Result, Scratch, new_scratch, quality_definition

pytestmark = pytest.mark.endpoint


def plan(scratch: Scratch, *arguments: str) -> Result:
    return scratch.run("plan", "--local", "--json", *arguments)


def only_plan(result: Result) -> Any:
    assert result.code == 0, result.err
    (found,) = result.document["plans"]
    return found


def sagemaker(scratch: Scratch) -> Any:
    address = scratch.run("local", "status", "--json").document["address"]
    return client(address, "sagemaker")


def start(scratch: Scratch, *arguments: str) -> Result:
    return scratch.deploy("--detach", *arguments)


def test_applying_a_plan_makes_the_next_plan_empty(scratch: Scratch) -> None:
    scratch.define(quality_definition(2.0))
    scratch.commit("first")
    before = only_plan(plan(scratch))
    assert not before["empty"]
    assert start(scratch).code == 0
    after = only_plan(plan(scratch))
    assert after["empty"], after
    assert after["baseline"] == "deployed"
    scratch.commit("another commit with the same pipeline")
    assert only_plan(plan(scratch))["digest"] == after["digest"]


def test_scripts_can_ask_whether_anything_changes(scratch: Scratch) -> None:
    scratch.define(quality_definition(1.95))
    scratch.commit("asked")
    ask = ("plan", "--local", "--detailed-exitcode")
    assert scratch.run(*ask).code == 1
    assert scratch.run(*ask[:2]).code == 0
    assert start(scratch).code == 0
    assert scratch.run(*ask).code == 0
    assert scratch.run(*ask, "--parameter", "nameless").code == 2


def test_settings_of_the_environment_are_planned_and_deployed(scratch: Scratch) -> None:
    scratch.define(quality_definition(2.0))
    scratch.commit("settings")
    assert start(scratch).code == 0
    file = scratch.root / "sagemaker-gitops.yaml"
    kept = file.read_text()
    role = "arn:aws:iam::000000000000:role/other"
    file.write_text(
        kept.replace("main: {", f"main: {{role: '{role}', parallelism: 3, tags: {{team: a}}, ")
    )
    try:
        scratch.commit("other settings")
        found = {each["name"]: each for each in only_plan(plan(scratch))["settings"]}
        assert set(found) == {"role", "parallelism", "tag team"}
        assert found["role"]["new"] == role
        assert start(scratch).code == 0
        assert only_plan(plan(scratch))["empty"]
        held = sagemaker(scratch).describe_pipeline(PipelineName="quality")
        assert held["RoleArn"] == role
        assert held["ParallelismConfiguration"] == {"MaxParallelExecutionSteps": 3}
    finally:
        file.write_text(kept)
        scratch.commit("settings again as they were")


def test_a_reviewed_plan_is_applied_by_digest_and_by_folder(scratch: Scratch) -> None:
    scratch.define(quality_definition(1.9))
    commit = scratch.commit("reviewed")
    digest = only_plan(plan(scratch, "--out", "out/plan"))["digest"]
    assert scratch.git("status", "--porcelain", "out/plan") == ""
    scratch.commit("merged, with the same source")
    done = start(scratch, "--plan", digest)
    assert done.code == 0, done.err
    assert done.report["trigger"]["commit"] != commit
    again = start(scratch, "--plan", str(scratch.root / "out" / "plan"))
    assert again.code == 0, again.err
    assert again.report["execution"]["arn"] == done.report["execution"]["arn"]


def test_a_plan_says_where_it_is_for_and_how_it_is_applied(scratch: Scratch) -> None:
    scratch.define(quality_definition(1.85))
    commit = scratch.commit("told")
    quiet = plan(scratch)
    found = only_plan(quiet)
    assert quiet.err == ""
    done = scratch.run("plan", "--local", "--out", "out/told", "--markdown", "out/told.md")
    assert (found["environment"], found["region"], found["commit"]) == ("main", "us-east-1", commit)
    assert (found["dirty"], found["merged"]) == (False, False)
    subject = f"For main, as quality in us-east-1, at commit {commit[:12]}"
    assert done.out.splitlines()[0].startswith(subject)
    assert "  sagemaker-gitops deploy --plan out/told --local" in done.out.splitlines()
    assert subject in (scratch.root / "out" / "told.md").read_text().splitlines()
    assert only_plan(plan(scratch, "--pull-request", "7"))["merged"]
    merged = scratch.run("plan", "--local", "--pull-request", "7").out
    assert "What merging would change on main, as quality in us-east-1, at commit" in merged


def test_a_source_that_moved_is_refused_and_told(scratch: Scratch) -> None:
    scratch.define(quality_definition(1.8))
    scratch.commit("reviewed")
    digest = only_plan(plan(scratch, "--out", "out/moved"))["digest"]
    scratch.define(quality_definition(1.7))
    scratch.commit("not reviewed")
    versions = len(sagemaker(scratch).list_pipeline_versions(PipelineName="quality")[VERSIONS])
    for review in (digest, "out/moved"):
        done = start(scratch, "--plan", review)
        assert done.code == 2
        error = done.document["error"]
        assert error["type"] == "NotReviewed"
        assert "source" in error["what"]
        assert "deployed" not in error["what"]
    assert "source: step Evaluate changed: Environment.REPORT" in error["why"]
    now = len(sagemaker(scratch).list_pipeline_versions(PipelineName="quality")[VERSIONS])
    assert now == versions


def test_a_plan_holds_the_values_that_its_execution_is_given(scratch: Scratch) -> None:
    scratch.define(quality_definition(1.65))
    scratch.commit("reviewed with a parameter")
    given = ("--parameter", "Group=reviewed")
    digest = only_plan(plan(scratch, *given, "--out", "out/given"))["digest"]
    assert digest != only_plan(plan(scratch))["digest"]
    for review in (digest, "out/given"):
        for other in ((), ("--parameter", "Group=another")):
            done = start(scratch, "--plan", review, *other)
            assert done.code == 2
            assert "is given other parameters" in done.document["error"]["what"]
    assert "source: the same" in done.document["error"]["why"]
    for review in (digest, "out/given"):
        done = start(scratch, "--plan", review, *given)
        assert done.code == 0, done.err


VERSIONS = "PipelineVersionSummaries"


def test_a_deployed_pipeline_that_moved_is_refused_and_told(scratch: Scratch) -> None:
    scratch.define(quality_definition(1.6))
    scratch.commit("deployed")
    assert start(scratch).code == 0
    scratch.define(quality_definition(1.5))
    scratch.commit("reviewed")
    digest = only_plan(plan(scratch, "--out", "out/stale"))["digest"]
    by_hand = quality_definition(1.6, threshold=2.5)
    sagemaker(scratch).update_pipeline(
        PipelineName="quality", PipelineDefinition=json.dumps(by_hand)
    )
    for review in (digest, "out/stale"):
        done = start(scratch, "--plan", review)
        assert done.code == 2
        assert "what is deployed has moved" in done.document["error"]["what"]
    assert "deployed: step Check changed" in done.document["error"]["why"]


@pytest.mark.parametrize(
    ("review", "said"),
    [
        ("0123abcd", "neither the digest of a plan nor a folder"),
        ("f" * 64, "source compiles to something else"),
        ("empty", "none of the plans given is of quality"),
    ],
)
def test_what_is_no_review_is_refused(scratch: Scratch, review: str, said: str) -> None:
    (scratch.root / "empty").mkdir(exist_ok=True)
    scratch.define(quality_definition(1.4))
    scratch.commit("never reviewed")
    done = start(scratch, "--plan", review)
    assert done.code == 2
    assert said in done.document["error"]["what"]


def test_a_pull_request_is_planned_as_main_and_never_deployed_by_a_plan(scratch: Scratch) -> None:
    scratch.commit("on main")
    scratch.define(quality_definition(1.3))
    scratch.commit("on a branch", branch="planned")
    found = only_plan(plan(scratch, "--pull-request", "7"))
    done = start(scratch, "--pull-request", "7", "--plan", found["digest"])
    scratch.git("checkout", "-q", "main")
    assert found["pipeline"] == "quality"
    assert "Evaluate" in [step["name"] for step in found["steps"]]
    assert done.code == 2
    assert "apart from what its plan is of" in done.document["error"]["what"]


def test_a_changed_bundle_is_refused(scratch: Scratch) -> None:
    scratch.define(quality_definition(1.2))
    scratch.commit("to be forged")
    only_plan(plan(scratch, "--out", "out/forged"))
    definition = scratch.root / "out" / "forged" / "quality" / "definition.json"
    definition.write_text(definition.read_text().replace("pass", "evil"))
    done = start(scratch, "--plan", "out/forged")
    assert done.code == 2
    assert "was changed" in done.document["error"]["what"]


def test_a_plan_that_was_half_written_over_is_refused(scratch: Scratch) -> None:
    folder = scratch.root / "out" / "halved" / "quality"
    scratch.define(quality_definition(0.98))
    scratch.commit("reviewed")
    only_plan(plan(scratch, "--out", "out/halved"))
    reviewed = (folder / "plan.json").read_bytes()
    scratch.define(quality_definition(0.97))
    only_plan(plan(scratch, "--out", "out/halved"))
    (folder / "plan.json").write_bytes(reviewed)
    scratch.define(quality_definition(0.98))
    done = start(scratch, "--plan", "out/halved")
    assert done.code == 2
    assert "bundle is not the one that its plan is of" in done.out + done.err


def test_a_plan_needs_no_credentials_and_says_so(scratch: Scratch, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    elsewhere = Scratch(
        root=tmp_path / "copy", environ={"HOME": str(home), "AWS_EC2_METADATA_DISABLED": "true"}
    )
    scratch.define(quality_definition(1.1))
    scratch.commit("seen by anyone")
    shutil.copytree(scratch.root, elsewhere.root, ignore=shutil.ignore_patterns(".sagemaker*"))
    file = elsewhere.root / "sagemaker-gitops.yaml"
    file.write_text(file.read_text() + "role: arn:aws:iam::000000000000:role/any\n")
    done = elsewhere.run("plan", "--json", "--out", "out/base", "--markdown", "out/plan.md")
    found = only_plan(done)
    assert found["baseline"] == "nothing"
    assert found["runs"] == []
    assert "no AWS credentials" in done.err
    assert "out of reach" in (elsewhere.root / "out" / "plan.md").read_text()
    refused = elsewhere.run("deploy", "--json", "--plan", found["digest"])
    assert refused.code == 2
    assert "not made against what is deployed" in refused.document["error"]["what"]

    definition = elsewhere.root / "definition.json"
    definition.write_text(definition.read_text().replace("1.1", "1.05"))
    recorded = only_plan(elsewhere.run("plan", "--json", "--against", "out/base"))
    assert recorded["baseline"] == "recorded"
    assert [step["name"] for step in recorded["steps"]] == ["Evaluate"]
    assert not recorded["settings"]
    same = elsewhere.run("plan", "--against", "out/base")
    assert "Compared with a recorded bundle" in same.out
    missing = elsewhere.run("plan", "--json", "--against", "out/none")
    assert missing.code == 2


def test_plan_finds_what_validate_compiled(scratch: Scratch, tmp_path: Path) -> None:
    scratch.define(quality_definition(1.45))
    scratch.write(
        "pipeline.py",
        """
        from pathlib import Path

        class Pipeline:
            def definition(self):
                return (Path(__file__).parent / "definition.json").read_text()

        get_pipeline = Pipeline
        """,
    )
    file = scratch.root / "sagemaker-gitops.yaml"
    kept = file.read_text()
    source = f"source: pipeline.py:get_pipeline\n    python: {sys.executable}"
    file.write_text(kept.replace("definition: definition.json", source))
    scratch.commit("a module, and a role named nowhere")
    assert scratch.run("local", "up").code == 0
    scratch.environ |= {
        "XDG_CACHE_HOME": str(tmp_path),
        "SAGEMAKER_GITOPS_COMPILE_CACHE": "on",
        "AWS_REGION": "eu-west-1",
    }
    try:
        done = scratch.run("validate", "--compile")
        assert done.code == 0, done.err
        only_plan(plan(scratch, "--environment", "main"))
    finally:
        scratch.environ.clear()
        file.write_text(kept)
        scratch.commit("the definition again")
    assert len(list((tmp_path / "sagemaker-gitops" / "compile").iterdir())) == 1


def test_a_name_that_holds_the_branch_is_valid_where_none_is_checked_out(tmp_path: Path) -> None:
    names = 'environments: {main: {pipeline_name: "quality-{branch}"}}\n'
    source = f"source: pipeline.py:get_pipeline\n    python: {sys.executable}"
    head = PROJECT.partition("environments:")[0]
    scratch = new_scratch(tmp_path, head.replace("definition: definition.json", source) + names)
    text = json.dumps(quality_definition(2.0))
    module = f"class Pipeline:\n    def definition(self):\n        return {text!r}\n"
    scratch.write("pipeline.py", f"{module}get_pipeline = Pipeline\n")
    scratch.commit("a module")
    scratch.git("checkout", "-q", "--detach")
    done = scratch.run("validate", "--compile")
    assert done.code == 0, done.err
    assert "quality: pipeline.py: valid" in done.out
