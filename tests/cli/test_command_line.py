"""The frame: arguments, exit codes, JSON, annotations, masks, and real processes."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from ci import __version__
from ci.cli.arguments import load_command
from ci.cli.commands import COMMANDS
from ci.cli.main import main
from ci.cli.settings import SETTINGS, settings_in
from ci.cli.shell import wants_color
from ci.cli.workflow import workflow_command, write_outputs

COMMAND = [str(Path(sys.executable).parent / "sagemaker-gitops")]
GOOD = {"Version": "2020-12-01", "Steps": [{"Name": "F", "Type": "Fail", "Arguments": {}}]}
PIPELINE_ARN = "arn:aws:sagemaker:us-east-1:123456789012:pipeline/ready"
FAIL = {"Name": "F", "Type": "Fail", "Arguments": {"ErrorMessage": "no"}}


class Run:
    """One call of `main`: its code and what it wrote."""

    def __init__(self, cwd: Path, *argv: str, environ: Mapping[str, str] | None = None) -> None:
        out, err = io.StringIO(), io.StringIO()
        self.code = main(argv, environ or {}, stdout=out, stderr=err, cwd=cwd)
        self.out, self.err = out.getvalue(), err.getvalue()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "sagemaker-gitops.yaml").write_text(
        "version: 1\npipelines:\n"
        "  ready: {definition: good.json}\n  written: {source: 'pipeline.py:get_pipeline'}\n"
    )
    (tmp_path / "good.json").write_text(json.dumps({**GOOD, "Steps": [FAIL]}))
    (tmp_path / "pipeline.py").write_text(
        "raise SystemExit('never imported')\ndef get_pipeline(): ..."
    )
    return tmp_path


def test_help_and_version(tmp_path: Path) -> None:
    for argv in ([], ["-h"], ["--help"]):
        run = Run(tmp_path, *argv)
        assert run.code == 0
        assert all(f"  {name} " in run.out for name in COMMANDS)
    assert json.loads(Run(tmp_path, "--json").out)["commands"] == dict(COMMANDS)
    assert Run(tmp_path, "--json").code == 0
    assert Run(tmp_path, "--version").out == f"sagemaker-gitops {__version__}\n"


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_is_there_and_helps(tmp_path: Path, name: str) -> None:
    assert callable(load_command(name).run)
    run = Run(tmp_path, name, "--help")
    assert run.code == 0
    assert f"usage: sagemaker-gitops {name}" in run.out
    assert "--json" in run.out


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["valdate"], "did you mean `validate`?"),
        (["validate", "--nope"], "unrecognized arguments: --nope"),
        (["validate", "--js"], "unrecognized arguments"),
        (["local", "sideways"], "invalid choice"),
        (["local", "up", "--port", "99999"], "not a port"),
        (["--project-file", "x"], "a command is missing"),
        (["deploy", "--lokal"], "unrecognized arguments: --lokal; did you mean `--local`?"),
        (["deploy", "--enviroment=main"], "did you mean `--environment`?"),
        (["--jsno", "validate"], "did you mean `--json`?"),
        (["deploy", "--pull-request", "x"], "'x' is no number"),
        (["local", "up", "--port", "x"], "'x' is not a port"),
        (["local", "up", "--image", "*=nowhere"], "holds no bin/python"),
        (["local", "env", "extra"], "unrecognized arguments: extra"),
        (["attach", PIPELINE_ARN], "this is not the ARN of an execution"),
        (["report", f"{PIPELINE_ARN}/execution"], "this is not the ARN of an execution"),
        (["stop", PIPELINE_ARN, "--json"], "pipeline/NAME/execution/ID"),
        (["report", "ready", "--commit", "no such"], "'no such' is not a commit"),
        (["../../etc"], "there is no command"),
        (["stauts"], "did you mean `status`?"),
        (["status", "--executions", "51"], "is not between 0 and 50"),
        (["plan", "--detailed-exit"], "did you mean `--detailed-exitcode`?"),
        (["validate", "ready", "nope"], "there is no pipeline 'nope'"),
    ],
)
def test_bad_usage_ends_in_two(root: Path, argv: list[str], said: str) -> None:
    run = Run(root, *argv)
    assert run.code == 2
    assert said in run.err
    assert "Traceback" not in run.err


@pytest.mark.parametrize("argv", [["validate"], ["local", "status"], ["local", "down"]])
def test_json_is_all_that_is_told_to_programs(root: Path, argv: list[str]) -> None:
    assert Run(root, *argv).out
    run = Run(root, *argv, "--json")
    assert json.loads(run.out)
    assert run.err == ""


def test_variables_for_aws_tools_need_an_endpoint(root: Path) -> None:
    run = Run(root, "local", "env")
    assert (run.code, run.out) == (6, "")
    assert "sagemaker-gitops local up" in run.err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\ndef get_pipeline(:\n", "pipeline.py:2"),
        ("def other(): ...\ndef make(): ...", "fix:   source: pipeline.py:make"),
        ("a = get_pipeline", "The module has no function 'get_pipeline'"),
        ("\0", "is no Python"),
    ],
)
def test_what_a_module_text_shows_is_told_without_running_it(
    root: Path, text: str, said: str
) -> None:
    (root / "pipeline.py").write_text(text)
    run = Run(root, "validate", environ={"PATH": os.environ["PATH"]})
    assert run.code == 2
    assert said in run.err


@pytest.mark.parametrize(
    "text",
    [
        "from made import get_pipeline",
        "import made as get_pipeline",
        "from made import *",
        "if True:\n  get_pipeline = print",
        "globals().update(made)",
        "class get_pipeline: ...",
        "def __getattr__(name): ...",
    ],
)
def test_a_module_that_may_have_the_function_passes(root: Path, text: str) -> None:
    (root / "pipeline.py").write_text(text)
    assert Run(root, "validate").code == 0


@pytest.mark.parametrize(
    ("python", "fix"),
    [
        (".venv/bin/python", "python3 -m venv .venv && .venv/bin/pip install sagemaker"),
        ("my envs/", "install it, or name another"),
        ("envs/one/bin/python3.12", "python3 -m venv envs/one && envs/one/bin/pip"),
        ("python9.99", "install it, or name another"),
    ],
)
def test_a_python_that_is_not_there_is_told_with_a_way_to_make_it(
    root: Path, python: str, fix: str
) -> None:
    run = Run(root, "validate", "written", "--python", python)
    assert run.code == 2
    assert f"There is no Python {python!r}" in run.err
    assert fix in run.err


def test_json_is_one_document_also_for_errors(root: Path) -> None:
    for argv in (["validate", "--json"], ["--json", "validate"]):
        document = json.loads(Run(root, *argv).out)
        assert document["valid"] is True
        assert [each["checked"] for each in document["pipelines"]] == [True, False]
    error = json.loads(Run(root, "validate", "nope", "--json").out)["error"]
    assert (error["type"], error["exit_code"]) == ("UsageError", 2)
    assert json.loads(Run(root, "nope", "--json").out)["error"]["exit_code"] == 2


def test_the_project_file_may_be_named_anywhere(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    file = str(root / "sagemaker-gitops.yaml")
    assert Run(elsewhere, "validate").code == 2
    assert Run(elsewhere, "validate", "--project-file", file).code == 0
    assert Run(elsewhere, "--project-file", file, "validate").code == 0
    named = {"SAGEMAKER_GITOPS_PROJECT_FILE": file}
    assert Run(elsewhere, "validate", environ=named).code == 0


def test_definitions_with_problems_end_in_two_and_are_annotated(root: Path) -> None:
    (root / "good.json").write_text(json.dumps({**GOOD, "Steps": [FAIL, FAIL]}))
    run = Run(root, "validate", environ={"GITHUB_ACTIONS": "true"})
    assert run.code == 2
    assert "$.Steps[1].Name" in run.out
    assert "::error file=good.json,title=" in run.err


def test_problems_of_the_project_file_are_annotated_with_their_lines(root: Path) -> None:
    file = root / "sagemaker-gitops.yaml"
    file.write_text("version: 1\nregoin: x\npipelines: {}\n")
    environ = {"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": str(root)}
    run = Run(root, "validate", "--json", environ=environ)
    assert run.code == 2
    assert "::error file=sagemaker-gitops.yaml,line=2,col=1::there is no key `regoin`" in run.err
    problems = json.loads(run.out)["error"]["problems"]
    assert [each["line"] for each in problems] == [2, 3]


def test_the_settings_of_the_action_are_the_options_defaults(root: Path) -> None:
    environ = {
        "SAGEMAKER_GITOPS_COMMAND": "validate",
        "SAGEMAKER_GITOPS_PIPELINES": "written, ready",
        "SAGEMAKER_GITOPS_ARGS": "--json",
        "SAGEMAKER_GITOPS_DEADLINE": "",
    }
    document = json.loads(Run(root, environ=environ).out)
    assert [each["name"] for each in document["pipelines"]] == ["written", "ready"]
    assert Run(root, "validate", "ready", environ=environ).out.startswith("ready:")
    assert Run(root, environ={**environ, "SAGEMAKER_GITOPS_ARGS": "'"}).code == 2


def test_settings_are_split_as_they_are_meant() -> None:
    assert settings_in(
        {"SAGEMAKER_GITOPS_PARAMETERS": "A=1 2\n\n B=x,y \n", "SAGEMAKER_GITOPS_REGION": " eu "}
    ) == {"parameter": ["A=1 2", "B=x,y"], "region": "eu"}
    assert len({each.variable for each in SETTINGS}) == len(SETTINGS)


def test_a_bug_is_told_as_one_and_kept_in_a_file(root: Path) -> None:
    class Broken(io.StringIO):
        def isatty(self) -> bool:
            return False

        def write(self, text: str) -> int:
            if "ready" in text:
                raise ZeroDivisionError("the secret is hunter2hunter2")
            return super().write(text)

    out, err = Broken(), io.StringIO()
    environ = {"MY_TOKEN": "hunter2hunter2"}
    code = main(["validate"], environ, stdout=out, stderr=err, cwd=root)
    assert code == 3
    assert "a bug in this program: ZeroDivisionError" in err.getvalue()
    assert "hunter2" not in err.getvalue()
    assert "Traceback" not in err.getvalue()
    kept = Path(err.getvalue().partition("with ")[2].partition(";")[0])
    assert "Traceback" in kept.read_text()
    assert "hunter2" not in kept.read_text()
    assert kept.stat().st_mode & 0o077 == 0
    kept.unlink()
    err = io.StringIO()
    main(["validate"], {"SAGEMAKER_GITOPS_DEBUG": "1"}, stdout=Broken(), stderr=err, cwd=root)
    assert "Traceback" in err.getvalue()


@pytest.mark.parametrize(
    ("environ", "is_tty", "color"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": "0"}, True, False),
        ({"TERM": "dumb"}, True, False),
    ],
)
def test_color(environ: dict[str, str], is_tty: bool, color: bool) -> None:
    assert wants_color(environ, is_tty=is_tty) is color


def test_workflow_commands_are_escaped() -> None:
    line = workflow_command("error", "50%\nof", {"file": "a,b:c", "line": 3, "col": None})
    assert line == "::error file=a%2Cb%3Ac,line=3::50%25%0Aof"


def test_outputs_cannot_be_forged(tmp_path: Path) -> None:
    github, build = tmp_path / "github", tmp_path / "build"
    environ = {"GITHUB_OUTPUT": str(github), "SAGEMAKER_GITOPS_OUTPUT": str(build)}
    hostile = "a\nverdict=x\nEOF\n'; touch pwned; echo '$(touch pwned)"
    write_outputs(environ, {"status": "Succeeded", "metrics": hostile})
    first, *rest = github.read_text().split("\n")
    assert first.startswith("status<<end-")
    assert rest[0] == "Succeeded"
    done = subprocess.run(
        ["bash", "-c", '. ./build; printf %s "$SAGEMAKER_GITOPS_METRICS"'],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == hostile
    assert not (tmp_path / "pwned").exists()
    with pytest.raises(KeyError):
        write_outputs(environ, {"nope": "x"})


def test_a_build_exports_what_codepipeline_keeps(tmp_path: Path) -> None:
    file = tmp_path / "build"
    for length, exported in ((122_000, True), (123_000, False)):
        file.unlink(missing_ok=True)
        outputs = {"status": "Succeeded", "metrics": "ü" * (length // 2), "verdict": "succeeded"}
        write_outputs({"SAGEMAKER_GITOPS_OUTPUT": str(file)}, outputs)
        written = file.read_text()
        assert ("SAGEMAKER_GITOPS_METRICS=" in written) is exported
        assert "SAGEMAKER_GITOPS_STATUS=Succeeded\n" in written
        assert "SAGEMAKER_GITOPS_VERDICT=succeeded\n" in written


def test_the_installed_command_runs_where_names_collide(root: Path) -> None:
    for name in ("json.py", "yaml.py", "argparse.py"):
        (root / name).write_text("raise SystemExit('the wrong one')")
    (root / "ci").mkdir()
    (root / "ci" / "__init__.py").write_text("raise SystemExit('the wrong one')")
    done = subprocess.run(
        [*COMMAND, "validate"], check=False, cwd=root, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_reader_that_leaves_is_no_error(root: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*COMMAND, "--help"],
        check=False,
        cwd=root,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writer)
    assert done.stderr == ""


def test_an_interrupt_ends_in_130(root: Path) -> None:
    os.mkfifo(root / "slow.yaml")
    process = subprocess.Popen(
        [*COMMAND, "validate", "--project-file", "slow.yaml"],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    # Opening the pipe for writing waits until the command reads from it.
    with (root / "slow.yaml").open("w"):
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err == "interrupted\n"


def test_text_that_the_terminal_cannot_show_is_no_error(root: Path) -> None:
    (root / "sagemaker-gitops.yaml").write_text("ü日本: 1\n", encoding="utf-8")
    environ = {
        "PATH": os.environ["PATH"],
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONIOENCODING": "ascii",
    }
    done = subprocess.run(
        [*COMMAND, "validate"], check=False, cwd=root, env=environ, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "\\xfc" in done.stderr


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    script = (
        "import sys; from ci.cli.main import run_process; sys.argv[1:] = ['--help']; run_process();"
        "heavy = {'boto3', 'botocore', 'jsonschema', 'yaml', 'git', 'rich', 'requests', 'aiohttp',"
        " 'jsonpath'} & set(sys.modules); sys.exit(' '.join(heavy) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", script],
        check=False,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    script = f'cd "{gone}" && rmdir "{gone}" && exec "{COMMAND[0]}" validate'
    done = subprocess.run(["bash", "-c", script], check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert "the current folder is gone" in done.stderr
