"""Which comments of a pull request tell what is reported there."""

from dataclasses import replace

from support.github import REPOSITORY, serve_github

from ci.approval.reported import shown_markers
from ci.forge.github import PERMISSIONS, GitHub
from ci.forge.http import Client
from ci.report.marker import Marker, render_marker, short_project
from ci.report.model import State

ROOT = Marker(
    pipeline="abalone",
    environment="main",
    commit="a" * 40,
    execution="arn:root",
    digest=None,
    state=State.FINAL,
)
DEEP = "/".join(["a-long-name-of-a-folder"] * 9) + "/sagemaker-gitops.yaml"


def test_each_project_file_has_its_own_and_nobody_else_counts() -> None:
    near = replace(ROOT, project="team/sagemaker-gitops.yaml", execution="arn:near")
    far = replace(ROOT, project=short_project(DEEP), execution="arn:far")
    newer = replace(ROOT, execution="arn:newer")
    with serve_github() as github:
        for marker in (ROOT, near, far, newer):
            github.add_comment(7, "github-actions[bot]", f"{render_marker(marker)}\nreport")
        forged = replace(ROOT, execution="arn:forged")
        github.add_comment(7, "mallory", render_marker(forged))
        forge = GitHub(Client(github.address, "t0ken", permissions=PERMISSIONS), REPOSITORY)
        assert shown_markers(forge, 7, None) == (newer,)
        assert shown_markers(forge, 7, "team/sagemaker-gitops.yaml") == (near,)
        assert shown_markers(forge, 7, DEEP) == (far,)
        assert shown_markers(forge, 7, "other/sagemaker-gitops.yaml") == ()
