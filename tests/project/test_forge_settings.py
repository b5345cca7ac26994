"""`forge:` in the project file."""

from pathlib import Path

import pytest

from ci.errors import ProjectError
from ci.project.load import load_project
from ci.project.model import ForgeKind, ForgeSettings, Project, TokenSource


def load(folder: Path, forge: str) -> Project:
    (folder / "d.json").write_text("{}")
    file = folder / "sagemaker-gitops.yaml"
    file.write_text(f"version: 1\npipelines: {{q: {{definition: d.json}}}}\n{forge}")
    return load_project(file)


def test_without_one_nothing_is_said(tmp_path: Path) -> None:
    assert load(tmp_path, "").forge == ForgeSettings()


def test_all_of_it(tmp_path: Path) -> None:
    forge = load(
        tmp_path,
        "forge: {kind: gitlab, repository: a/b/c, api_url: 'https://g.example/api/v4',"
        " token: {secret: s, key: k}}",
    ).forge
    assert forge == ForgeSettings(
        kind=ForgeKind.GITLAB,
        repository="a/b/c",
        api_url="https://g.example/api/v4",
        token=TokenSource(secret="s", key="k"),
    )


@pytest.mark.parametrize(
    ("forge", "said"),
    [
        ("{kind: gitlabb}", "did you mean `gitlab`?"),
        ("{token: {}}", "one of `secret`, `parameter` is needed"),
        ("{token: {secret: s, parameter: p}}", "exclude each other"),
        ("{token: {parameter: p, key: k}}", "`key` has no meaning beside `parameter`"),
        ("{token: ghp_x}", "it must be a mapping"),
        ("{api_url: 'ftp://x'}", "does not have the right form"),
        ("{repository: '../x y'}", "does not have the right form"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, forge: str, said: str) -> None:
    with pytest.raises(ProjectError) as refused:
        load(tmp_path, f"forge: {forge}")
    assert said in str(refused.value)
