"""The action itself, as a runner runs it: in host mode, on a real event, from a hostile folder."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ACT = Path(sys.executable).parent / "act"
WORKFLOW = """\
on: pull_request
jobs:
  check:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8
      - id: gitops
        uses: ./action
        with:
          command: validate
          pipelines: ${{ github.event.pull_request.title }}
          args: --json
      - if: always()
        run: echo "outcome=${{ steps.gitops.outcome }}"
"""
FAIL = {"Name": "F", "Type": "Fail", "Arguments": {"ErrorMessage": "no"}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """A repository that uses the action, and the caches that its runs share."""

    repository: Path
    cache: Path

    def run(self, title: str, *, path: str | None = None) -> "subprocess.CompletedProcess[str]":
        event = self.repository.parent / "event.json"
        event.write_text(json.dumps({"action": "opened", "pull_request": pull_request(title)}))
        return subprocess.run(
            [
                ACT, "pull_request", "-C", self.repository, "-e", event, "-j", "check",
                "-P", "ubuntu-latest=-self-hosted", "--no-cache-server", "-s", "GITHUB_TOKEN=token",
                "--env", f"RUNNER_TOOL_CACHE={self.cache}",
                *(["--env", f"PATH={path}"] if path else []),
            ],
            cwd=self.repository,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )  # fmt: skip


def pull_request(title: str) -> dict[str, object]:
    return {
        "number": 1,
        "title": title,
        "head": {"sha": "a" * 40, "ref": "topic", "repo": {"id": 1}},
        "base": {"sha": "b" * 40, "ref": "main", "repo": {"id": 1}},
    }


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    folder = tmp_path_factory.mktemp("action")
    repository = folder / "repository"
    for name in ("ci", "doors", "requirements"):
        skip = shutil.ignore_patterns("__pycache__")
        # As an archive leaves them: nothing of the action needs to be executable.
        shutil.copytree(
            ROOT / name, repository / "action" / name, ignore=skip, copy_function=shutil.copyfile
        )
    shutil.copy(ROOT / "action.yml", repository / "action")
    (repository / ".github" / "workflows").mkdir(parents=True)
    (repository / ".github" / "workflows" / "check.yml").write_text(WORKFLOW)
    (repository / "sagemaker-gitops.yaml").write_text(
        "version: 1\npipelines:\n  one: {definition: one.json}\n"
    )
    (repository / "one.json").write_text(json.dumps({"Version": "2020-12-01", "Steps": [FAIL]}))
    # What the repository calls its own modules must not reach the program.
    (repository / "json.py").write_text("raise SystemExit('the wrong json')")
    (repository / "ci").mkdir()
    (repository / "ci" / "__init__.py").write_text("raise SystemExit('the wrong ci')")
    git = ["git", "-C", str(repository), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for words in (["init", "-q", "-b", "main"], ["add", "--all"], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *words], check=True)
    return Runner(repository=repository, cache=folder / "cache")


@pytest.mark.slow
def test_the_action_runs_a_command(runner: Runner) -> None:
    done = runner.run("one")
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"valid": true' in done.stdout
    assert "outcome=success" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("title", ["$(touch pwned)", "`touch pwned`", "'; touch pwned; '", "a\nb"])
def test_a_hostile_title_meets_no_shell(runner: Runner, title: str) -> None:
    done = runner.run(title)
    assert done.returncode != 0
    assert "there is no pipeline" in done.stdout
    assert "outcome=failure" in done.stdout
    assert not (runner.repository / "pwned").exists()


def environment(tmp_path: Path, path: str) -> "subprocess.CompletedProcess[str]":
    environ = {**os.environ, "PATH": path}
    return subprocess.run(
        [shutil.which("bash") or "bash", ROOT / "doors" / "environment.sh", ROOT,
         tmp_path / "x", tmp_path / "cache"],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip


def only(tmp_path: Path, *programs: str) -> str:
    """A PATH with these programs and no other."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for program in programs:
        found = shutil.which(program)
        assert found
        (folder / program).symlink_to(found)
    return str(folder)


def test_what_is_missing_is_told_in_one_message(tmp_path: Path) -> None:
    done = environment(tmp_path, only(tmp_path, "mkdir"))
    assert done.returncode == 2
    assert "git is missing" in done.stderr
    assert len(done.stderr.splitlines()) == 2


def test_a_container_without_bash_is_told_by_the_step_itself(tmp_path: Path) -> None:
    (step,) = yaml.safe_load((ROOT / "action.yml").read_text())["runs"]["steps"]
    script = tmp_path / "step.sh"
    script.write_text(step["run"])
    shell = shutil.which(step["shell"])
    assert shell
    names = {"SAGEMAKER_GITOPS_ACTION": str(ROOT), "RUNNER_TEMP": str(tmp_path)}
    done = subprocess.run(
        [shell, "-e", script],  # as the runner does
        env={**names, "PATH": only(tmp_path, "git", "mkdir")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("::error title=sagemaker-gitops::bash is missing.")
    assert len(done.stderr.splitlines()) == 1
    # The step ends with the message of what it calls, too.
    (tmp_path / "bin" / "bash").symlink_to(shutil.which("bash") or "bash")
    (tmp_path / "bin" / "env").symlink_to(shutil.which("env") or "env")
    (tmp_path / "bin" / "git").unlink()
    done = subprocess.run(
        [shell, "-e", script],
        env={**names, "PATH": str(tmp_path / "bin")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "git is missing" in done.stderr


def test_an_old_python_is_told_with_its_version(tmp_path: Path) -> None:
    path = only(tmp_path, "git", "bash", "mkdir")
    script = "import sys; sys.version_info = (3, 9, 18, 'final', 0); exec(sys.argv[1])"
    old = Path(path) / "python3"
    old.write_text(
        f'#!{shutil.which("bash")}\nexec {sys.executable} -I -c "{script}" "${{@: -1}}"\n'
    )
    broken = Path(path) / "python3.11"
    broken.write_text("#!/bin/sh\nexit 127\n")
    for file in (old, broken):
        file.chmod(0o755)
    done = environment(tmp_path, path)
    assert done.returncode == 2
    assert "Python 3.11 or newer is missing: python3 is 3.9.18. Install it" in done.stderr
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 2


@pytest.mark.slow
def test_the_jobs_own_python_stays_as_it_is(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "own"], check=True)
    before = sorted(str(file) for file in (tmp_path / "own").rglob("*"))
    path = f"{tmp_path / 'own' / 'bin'}:{os.environ['PATH']}"
    done = environment(tmp_path, path)
    assert done.returncode == 0, done.stderr
    assert sorted(str(file) for file in (tmp_path / "own").rglob("*")) == before
    python = done.stdout.strip()
    answer = subprocess.run(
        [python, "-I", "-c", "import ci, sys; sys.stdout.write(ci.__file__)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(answer.stdout).resolve() == ROOT / "ci" / "__init__.py"
    refused = subprocess.run(
        [python, "-I", "-c", "import tests"], capture_output=True, text=True, check=False
    )
    assert "No module named 'tests'" in refused.stderr
