"""Every kind of thing that commands do on AWS, played against the local endpoint and recorded.

A scene is what one role does: `plan` looks, `pull_request` runs apart, `main` deploys.
"""

from ci.approval.manual_approval import PLACES
from support.codepipeline import ENVIRONMENT, serve_codepipeline
from support.function_scene import waiting
from support.github import REPOSITORY
from support.recording import Request
from support.stage import Stage


def play_main(stage: Stage) -> list[Request]:
    """Everything that is done on the default branch."""
    follow = ("--environment", "main", "--poll", "0.1")
    stage.shape(2.0, size=9 * 1024 * 1024)
    stage.scratch.commit("first")
    first = stage.deployed("deploy", *follow)
    package = first["model_package"]["arn"]
    stage.serve("quality", package, {})
    stage.edit_function("quality-announce")
    stage.tag_function("quality-announce", "9")
    stage.shape(1.9, code="def handler(event, context):\n    return 2\n", timeout=60)
    stage.scratch.commit("another function")
    stage.deployed("deploy", *follow[:2], *stage.by_queue, "--logs")
    stage.shape(1.8, filler=120_000)
    stage.scratch.commit("a large definition")
    stage.run("deploy", *follow, "--detach")
    stage.deployed("attach", *follow, "quality")
    stage.shape(1.7, script="raise SystemExit('broken')")
    stage.scratch.commit("fails")
    stage.run("deploy", *follow, code=1)
    stage.run("deploy", *follow, "--retry-failed", code=None)
    stage.shape(1.6, script="import time; time.sleep(60)")
    stage.scratch.commit("hangs")
    stage.run("deploy", *follow, "--detach")
    stage.run("stop", "--environment", "main", "--poll", "0.1", "quality")
    stage.run("promote", "quality", "--to", "1")
    stage.run("promote", "quality", "--to", "2")
    stage.run("rollback", "quality")
    stage.run("status", "--environment", "main")
    stage.run("reject", package, "--from", "Approved", "--reason", "too old", code=None)
    stage.run("approve", package, "--from", "Rejected", code=None)
    stage.run("approvals", "sync", package, "--environment", "main", code=None)
    stage.run("approvals", "sync", "--since", "1h", "--environment", "main", code=None)
    with serve_codepipeline(stage.endpoint.address) as service:
        held = waiting(stage, service, package)
        told = {**ENVIRONMENT, PLACES: "mlops", "AWS_ENDPOINT_URL": service.address}
        stage.run("approvals", "sync", package, "--environment", "main", code=None, **told)
        assert held.decided["Approve", "Model"]["status"] == "Approved"
    stage.edit_function("quality-announce")
    stage.run("drift", "--environment", "main", "--fix", code=None)
    return [*stage.recorder.take(), *_play_orders(stage, 30)]


def _play_orders(stage: Stage, number: int) -> list[Request]:
    """What comments on a pull request order, obeyed with main's role: what the pull request's own
    role does in between is left out."""
    stage.shape(1.5)
    commit = stage.scratch.commit("to be approved", branch=f"topic-{number}")
    stage.github.add_pull(number, commit)
    stage.pull_request(number, "--poll", "0.1")
    approved = stage.order(number, f"/sagemaker approve --commit {commit}")
    stage.scratch.git("checkout", "-q", f"topic-{number}")
    stage.shape(1.4, script="import time; time.sleep(60)")
    commit = stage.scratch.commit("to be stopped")
    stage.github.add_pull(number, commit)
    stage.pull_request(number, "--poll", "0.1", "--detach")
    return approved + stage.order(number, "/sagemaker stop")


def play_pull_request(stage: Stage, number: int) -> list[Request]:
    """What happens from a pull request's opening to its end."""
    stage.edit_function("quality-announce")
    stage.shape(1.5, size=9 * 1024 * 1024 + 1)
    stage.scratch.commit("pull request", branch=f"topic-{number}")
    done = stage.pull_request(number, "--poll", "0.1").report
    tags = {
        "sagemaker-gitops:project": REPOSITORY,
        "sagemaker-gitops:environment": "pull_request",
        "sagemaker-gitops:pull-request": str(number),
    }
    stage.serve(f"quality-pr-{number}", done["model_package"]["arn"], tags)
    stage.edit_function(f"quality-pr-{number}-announce")
    code = "def handler(event, context):\n    return 3\n"
    stage.shape(1.4, code=code, timeout=90, script="import time; time.sleep(5)")
    stage.scratch.commit("better; runs when it is first looked at, so that the queue tells the end")
    stage.client("sqs").purge_queue(QueueUrl=stage.queue)
    stage.pull_request(number, *stage.by_queue)
    stage.shape(1.3, script="import time; time.sleep(60)")
    stage.scratch.commit("hangs")
    stage.pull_request(number, "--poll", "0.1", "--detach")
    stage.shape(1.2, script="raise SystemExit('broken')")
    stage.scratch.commit("fails; the one that hangs is superseded")
    stage.pull_request(number, "--poll", "0.1", code=1)
    done = stage.pull_request(number, "--poll", "0.1", action="closed").document
    kinds = {each.partition(" ")[0] for each in done["deleted"]}
    assert kinds >= {"pipeline", "function", "endpoint"}, done
    stage.scratch.git("checkout", "-q", "main")
    return stage.recorder.take()


def play_plan(stage: Stage) -> list[Request]:
    """Looking and no more: plans of pull requests, and the nightly drift."""
    stage.edit_function("quality-announce")
    stage.shape(1.1, code="def handler(event, context):\n    return 4\n", size=20)
    stage.scratch.commit("planned", branch="topic-planned")
    stage.run("plan", "--environment", "main")
    stage.run("plan", "--pull-request", "77")
    stage.run("drift", "--environment", "main", code=1)
    stage.scratch.git("checkout", "-q", "main")
    return stage.recorder.take()
