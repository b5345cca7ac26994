"""The action, the buildspec, the settings in code and the examples are one contract."""

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from support.acting import STANDINS
from support.pages import parts, settled

from ci.cli.arguments import Parser, add_global_options, load_command
from ci.cli.commands import COMMANDS
from ci.cli.settings import SETTINGS
from ci.cli.workflow import OUTPUT_FILE, OUTPUTS, variable_of
from ci.door.settings import SETTINGS as ACTION
from ci.door.settings import Settings

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
EXAMPLES = sorted((ROOT / "examples" / "github").glob("*.yml"))
PLACEHOLDER = "your-org/sagemaker-gitops@" + "0" * 40


def read(name: str) -> dict[str, Any]:
    document = yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))
    assert isinstance(document, dict)
    return document


def test_the_inputs_are_the_settings() -> None:
    action = read("action.yml")
    assert list(action["inputs"]) == [setting.name for setting in SETTINGS]
    environment = action["runs"]["steps"][0]["env"]
    for setting in SETTINGS:
        assert environment[setting.variable] == f"${{{{ inputs.{setting.name} }}}}"
        if setting.default:
            assert action["inputs"][setting.name]["default"] == setting.default
    assert set(environment) - {setting.variable for setting in SETTINGS} == {
        "SAGEMAKER_GITOPS_ACTION"
    }


def test_the_outputs_are_those_that_the_program_writes() -> None:
    outputs = read("action.yml")["outputs"]
    assert list(outputs) == list(OUTPUTS)
    for name, output in outputs.items():
        assert output["value"] == f"${{{{ steps.run.outputs.{name} }}}}"


def test_no_expression_ever_meets_a_shell_and_the_last_line_is_exec() -> None:
    for step in read("action.yml")["runs"]["steps"]:
        assert "${{" not in step["run"]
        assert step["run"].strip().splitlines()[-1].startswith("exec ")
        assert "uses" not in step


def test_the_exported_variables_are_the_outputs() -> None:
    spec = read("buildspec.yml")
    assert spec["env"]["exported-variables"] == [variable_of(name) for name in OUTPUTS]
    assert OUTPUT_FILE in spec["env"]["variables"]
    for phase in spec["phases"].values():
        for command in phase["commands"]:
            assert isinstance(command, str)
            subprocess.run(["bash", "-n", "-c", command], check=True)


def _only(**members: object) -> dict[str, object]:
    return {"type": "object", "properties": members, "additionalProperties": False}


TEXTS = {"type": "array", "items": {"type": "string"}, "minItems": 1}
PHASE = _only(
    **{"run-as": {"type": "string"}, "on-failure": {"enum": ["ABORT", "CONTINUE", "RETRY"]}},
    **{"runtime-versions": {"type": "object"}, "commands": TEXTS, "finally": TEXTS},
)
# CodeBuild User Guide, "Build specification reference for CodeBuild", as far as it is used here.
BUILDSPEC = _only(
    version={"const": 0.2},
    env=_only(
        shell={"enum": ["bash", "/bin/sh"]},
        variables={"type": "object", "additionalProperties": {"type": "string"}},
        **{"exported-variables": TEXTS},
    ),
    phases=_only(install=PHASE, pre_build=PHASE, build=PHASE, post_build=PHASE),
    reports={
        "type": "object",
        "additionalProperties": _only(
            files=TEXTS,
            **{"base-directory": {"type": "string"}, "discard-paths": {"enum": ["yes", "no"]}},
            **{"file-format": {"enum": ["CUCUMBERJSON", "JUNITXML", "NUNITXML", "TESTNGXML"]}},
        ),
    },
    cache=_only(paths=TEXTS),
)


def test_the_buildspec_has_the_form_that_codebuild_takes() -> None:
    judge = jsonschema.Draft202012Validator(BUILDSPEC)
    spec = read("buildspec.yml")
    judge.validate(spec)
    assert not judge.is_valid({**spec, "phases": {**spec["phases"], "after": {"commands": ["x"]}}})
    # YAML that reads a command as a mapping (a colon in it) is what CodeBuild refuses.
    assert not judge.is_valid({**spec, "phases": {"build": {"commands": [{"echo": "x"}]}}})


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_examples_are_what_init_writes(file: Path) -> None:
    packaged = ROOT / "ci" / "project" / "workflows" / file.name
    assert packaged.read_text() == file.read_text()


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_examples_are_pinned_and_name_inputs_that_exist(file: Path) -> None:
    workflow = yaml.safe_load(file.read_text())
    inputs = {setting.name for setting in SETTINGS}
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    assert steps
    for step in steps:
        assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}", step["uses"])
        assert step["uses"] in {PLACEHOLDER, *STANDINS}
        if step["uses"] == PLACEHOLDER:
            assert set(step["with"]) <= inputs


PAGES = tuple(
    ROOT / "docs" / f"{name}.md" for name in ("github-action", "codebuild", "codepipeline")
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_pages_show_the_files_and_the_tables_as_they_are(
    page: Path, request: pytest.FixtureRequest
) -> None:
    text = page.read_text(encoding="utf-8")
    if request.config.getoption("--update-golden"):
        page.write_text(settled(text), encoding="utf-8")
        text = page.read_text(encoding="utf-8")
    assert settled(text) == text


def test_every_example_is_named_on_a_page() -> None:
    pages = sorted((ROOT / "docs").glob("*.md"))
    text = "".join(page.read_text(encoding="utf-8") for page in pages)
    named = set(re.findall(r"\]\(\.\./examples/github/([\w-]+\.yml)\)", text))
    assert named == {file.name for file in EXAMPLES}
    assert set(parts(PAGES[0].read_text(encoding="utf-8"))) == {"inputs", "outputs"}
    shown = parts(PAGES[1].read_text(encoding="utf-8"))
    assert set(shown) == {"buildspec.yml", "exported", "variables"}
    shown = parts(PAGES[2].read_text(encoding="utf-8"))
    assert set(shown) == {"action", "exported"}
    assert {name.replace("-", "_") for name in ACTION} == {each.name for each in fields(Settings)}


def test_every_setting_is_an_option_of_a_command_and_auto_takes_them_all() -> None:
    taken = {name: options_of(name) for name in COMMANDS}
    for setting in SETTINGS:
        if setting.option is not None or setting.many:
            assert any(setting.destination in options for options in taken.values()), setting.name
            assert setting.destination in taken["auto"], setting.name
    assert "python" not in taken["stop"]
    assert "role_to_assume" in taken["attach"]


def options_of(command: str) -> set[str]:
    parser = Parser()
    add_global_options(parser)
    load_command(command).add_arguments(parser)
    return parser.destinations


def test_main_is_never_cancelled_and_closing_ends_what_runs() -> None:
    assert read("examples/github/main.yml")["concurrency"]["cancel-in-progress"] is False
    for name in ("chat", "approval", "approvals-sync", "drift"):
        workflow = read(f"examples/github/{name}.yml")
        held = [workflow, *workflow["jobs"].values()]
        groups = [each["concurrency"] for each in held if "concurrency" in each]
        assert groups
        assert not any(group["cancel-in-progress"] for group in groups), name
    closed, opened = read("examples/github/closed.yml"), read("examples/github/pull-request.yml")
    assert closed["concurrency"] == opened["concurrency"]
    assert closed["concurrency"]["cancel-in-progress"] is True


def test_the_linters_of_workflows_have_nothing_to_say() -> None:
    files = [str(file) for file in [*EXAMPLES, ROOT / ".github" / "workflows" / "ci.yml"]]
    subprocess.run([BIN / "actionlint", *files], check=True)
    subprocess.run(
        [BIN / "zizmor", "--offline", "--quiet", ROOT / "action.yml", *files], check=True
    )


def test_the_shell_script_parses() -> None:
    subprocess.run(["bash", "-n", ROOT / "doors" / "environment.sh"], check=True)
