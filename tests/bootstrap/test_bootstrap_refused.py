"""What `bootstrap` refuses: bad usage, before it calls anything, and another account's bucket."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from support.github_job import aws_environ
from support.scratch import new_scratch

from ci.bootstrap.scope import plan_setup
from ci.bootstrap.standing import stands_already
from ci.errors import AwsError
from ci.project.load import load_project
from ci.sagemaker.clients import open_clients

PROJECT = """
version: 1
region: us-east-1
role: arn:aws:iam::000000000000:role/sagemaker-gitops-local
pipelines:
  quality: {definition: definition.json, model_package_group: quality}
"""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nothing",), "there is no template 'nothing'"),
        (("--yes",), "--yes says so to --deploy alone"),
        (("--deploy", "--out", "x"), "two things"),
        (("--name", "3d_models"), "no stack can be called 3d_models-events"),
        (("--parameter", "Nothing=1"), "no template has a parameter 'Nothing'"),
        (("--parameter", "Nothing"), "has no value"),
    ],
)
def test_bad_usage_is_told_before_anything_is_called(
    arguments: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    scratch = new_scratch(tmp_path / "repository", PROJECT)
    scratch.define({})
    scratch.git("remote", "add", "origin", "https://github.com/acme/mlops")
    scratch.commit("first")
    scratch.environ.update(aws_environ("http://127.0.0.1:9"))
    done = scratch.run("bootstrap", "--json", *arguments)
    assert done.code == 2
    assert said in done.document["error"]["what"]


def test_a_checkout_without_a_remote_asks_for_the_repository(tmp_path: Path) -> None:
    scratch = new_scratch(tmp_path / "repository", PROJECT)
    scratch.define({})
    scratch.commit("first")
    done = scratch.run("bootstrap", "--json")
    assert (done.code, done.document["error"]["fix"]) == (2, "--repository OWNER/NAME")
    done = scratch.run("bootstrap", "--json", "--repository", "acme/other")
    assert done.document["templates"][0]["stack"] == "other-artifacts"


class _Refusing(BaseHTTPRequestHandler):
    """S3, as it answers a HEAD of a bucket that is another account's: without a reason."""

    def do_HEAD(self) -> None:
        self.send_response(403)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_a_bucket_of_another_account_is_told_as_such(tmp_path: Path) -> None:
    scratch = new_scratch(tmp_path / "repository", f"{PROJECT}artifacts: {{bucket: taken}}\n")
    scratch.define({})
    project = load_project(scratch.root / "sagemaker-gitops.yaml")
    setup = plan_setup(project, repository="acme/mlops", default_branch="main")
    with ThreadingHTTPServer(("127.0.0.1", 0), _Refusing) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        clients = open_clients("us-east-1", aws_environ(f"http://127.0.0.1:{server.server_port}"))
        with pytest.raises(AwsError) as caught:
            stands_already(clients, "artifacts", None, setup)
        server.shutdown()
        thread.join()
    assert caught.value.where == "s3://taken"
    assert "belongs to another account" in (caught.value.why or "")
    assert "bucket: NAME" in (caught.value.fix or "")
    assert '"s3:ListBucket"' in (caught.value.fix or "")
