"""Which comments of a pull request tell what is reported there."""

from dataclasses import replace

from support.github import REPOSITORY, serve_github

from ci.approval.reported import shown_reports
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
        assert shown(forge, None) == {newer: 4}
        assert shown(forge, "team/sagemaker-gitops.yaml") == {near: 2}
        assert shown(forge, DEEP) == {far: 3}
        assert shown(forge, "other/sagemaker-gitops.yaml") == {}
        forge.update_comment(forge.comments(7)[1], f"{render_marker(near)}\nother words")
        assert shown(forge, "team/sagemaker-gitops.yaml") == {near: 6}


def shown(forge: GitHub, place: str | None) -> dict[Marker, int]:
    """What comments are about, and in which second of the forge's clock they were written last."""
    found = shown_reports(forge, 7, place)
    return {each.marker: each.changed.second for each in found if each.changed is not None}
