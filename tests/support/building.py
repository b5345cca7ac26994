"""buildspec.yml as CodeBuild runs it: phase by phase in one shell, and post_build always."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
_OTHERS = ("AWS_", "GITHUB_", "ACTIONS_", "CODEBUILD_", "SAGEMAKER_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A build that has ended. `exported` is what later stages get, `reports` what its report
    group does, by file name."""

    code: int
    out: str
    err: str
    exported: dict[str, str]
    reports: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """`source` is the primary source's folder, `home` the build's own, `cache` what CodeBuild
    keeps from one build to the next."""

    source: Path
    home: Path
    cache: Path

    def run(self, variables: Mapping[str, str], *, before_build: str = "true") -> Built:
        """`variables` are the project's and CodeBuild's own: they go before the buildspec's."""
        spec = yaml.safe_load((ROOT / "buildspec.yml").read_text())
        phases, shown = spec["phases"], self.home / "exported"
        self.home.mkdir(parents=True, exist_ok=True)
        lines = [f"{command} || exit 90" for command in phases["install"]["commands"]]
        lines += [before_build, "code=0"]
        lines += [
            f"[ $code != 0 ] || {command} || code=$?" for command in phases["build"]["commands"]
        ]
        lines.append("export CODEBUILD_BUILD_SUCCEEDING=$((code == 0))")
        lines += [f"{command} || code=91" for command in phases["post_build"]["commands"]]
        lines += [
            f'printf "%s=%s\\0" {name} "${name}" >> "$SHOWN"'
            for name in spec["env"]["exported-variables"]
        ]
        lines.append("exit $code")
        shown.unlink(missing_ok=True)
        kept = {key: value for key, value in os.environ.items() if not key.startswith(_OTHERS)}
        environ = {
            **kept,
            **spec["env"]["variables"],
            "SAGEMAKER_GITOPS_OUTPUT": str(self.home / "output"),
            "SAGEMAKER_GITOPS_CACHE": str(self.cache),
            "HOME": str(self.home),
            "SHOWN": str(shown),
            "CODEBUILD_SRC_DIR": str(self.source),
            "CODEBUILD_SRC_DIR_sagemaker_gitops": str(self._tools()),
            **variables,
        }
        done = subprocess.run(
            ["bash", "-c", "\n".join(lines)],
            cwd=self.source,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        pairs = shown.read_text().split("\0")[:-1] if shown.exists() else []
        return Built(
            code=done.returncode,
            out=done.stdout,
            err=done.stderr,
            exported=dict(pair.split("=", 1) for pair in pairs),
            reports=self._reports(spec["reports"]),
        )

    def _tools(self) -> Path:
        """This project as a secondary artifact brings it: a ZIP of CodePipeline's leaves no file
        executable."""
        tools = self.home / "tools"
        for name in ("doors", "requirements"):
            shutil.copytree(
                ROOT / name, tools / name, copy_function=shutil.copyfile, dirs_exist_ok=True
            )
        if not (tools / "ci").exists():
            (tools / "ci").symlink_to(ROOT / "ci")
        return tools

    def _reports(self, groups: Mapping[str, Any]) -> dict[str, str]:
        """The files that report groups find."""
        return {
            file.name: file.read_text(encoding="utf-8")
            for group in groups.values()
            for pattern in group["files"]
            for file in (self.source / group["base-directory"]).glob(pattern)
        }
