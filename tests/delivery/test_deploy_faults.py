"""The whole `deploy` while AWS and the forge break, and two of them at once."""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.faults import Fault, Phase, Rule
from support.github import Fault as ForgeFault
from support.jobs import Site, ended, new_site
from support.scratch import Result, quality_definition

from ci.report.marker import parse_marker

pytestmark = pytest.mark.endpoint


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with new_site(tmp_path_factory.mktemp("site")) as made:
        yield made


@pytest.fixture
def site(shared: Site) -> Iterator[Site]:
    shared.scratch.define(quality_definition(1.5))
    yield shared
    shared.aws.rules = []
    shared.aws.hook = None
    shared.github.faults = []


def run(site: Site, *rules: Rule) -> tuple[int, Result]:
    """A pull request of its own, deployed while `rules` break calls."""
    number = site.next_number()
    commit = site.scratch.commit(f"pull request {number}")
    site.aws.rules = list(rules)
    return number, site.deploy(site.job(number, commit))


def check(site: Site, number: int, done: Result) -> None:
    assert done.code == 0, done.err
    assert "Traceback" not in done.err
    assert done.report["verdict"]["outcome"] == "approval_pending"
    arns = [each["PipelineExecutionArn"] for each in site.executions(f"quality-pr-{number}")]
    assert arns == [done.report["execution"]["arn"]]
    [body] = site.github.bodies(number)
    marker = parse_marker(body)
    assert marker is not None
    assert (marker.execution, marker.state) == (arns[0], "final")


CHANGING = ("CreatePipeline", "StartPipelineExecution", "UpdateModelPackage", "AddTags")


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault",
    [Fault.THROTTLE, Fault.UNAVAILABLE, Fault.RESET_AFTER, Fault.TRUNCATED, Fault.SLOW],
)
def test_every_call_that_changes_something_breaks_once(site: Site, fault: Fault) -> None:
    rules = [Rule(fault=fault, operation=operation) for operation in CHANGING]
    number, done = run(site, *rules)
    check(site, number, done)
    assert {operation for operation, _ in site.aws.injected} >= set(CHANGING)


@pytest.mark.slow
@pytest.mark.parametrize("fault", [Fault.THROTTLE, Fault.RESET, Fault.GARBLED, Fault.RATE])
def test_every_fourth_call_breaks(site: Site, fault: Fault) -> None:
    number, done = run(site, Rule(fault=fault, every=4))
    check(site, number, done)


def test_credentials_that_expire_while_following_are_looked_up_anew(site: Site) -> None:
    rule = Rule(fault=Fault.EXPIRED, operation="DescribePipelineExecution", skip=1)
    number, done = run(site, rule)
    check(site, number, done)
    assert "going on" in done.err


def test_credentials_that_expire_before_reading_back_are_looked_up_anew(site: Site) -> None:
    number, done = run(site, Rule(fault=Fault.EXPIRED, operation="DescribeModelPackage"))
    check(site, number, done)


def test_a_denied_reading_back_claims_no_more_than_was_read(site: Site) -> None:
    rule = Rule(fault=Fault.DENIED, operation="DescribeModelPackage", times=99)
    number, done = run(site, rule)
    assert done.code == 6
    assert done.report["execution"]["status"] == "Succeeded"
    assert done.report["verdict"]["outcome"] == "unverified"
    [body] = site.github.bodies(number)
    assert "could not be read" in body
    assert "AccessDenied" in done.err
    site.aws.rules = []
    commit = done.report["trigger"]["commit"]
    check(site, number, site.deploy(site.job(number, commit)))


def test_a_denied_following_ends_with_the_way_on(site: Site) -> None:
    rule = Rule(fault=Fault.DENIED, operation="*PipelineExecution*", times=99, skip=6)
    number, done = run(site, rule)
    assert done.code == 6, done.err
    [execution] = site.executions(f"quality-pr-{number}")
    [body] = site.github.bodies(number)
    assert f"sagemaker-gitops attach {execution['PipelineExecutionArn']}" in body


def test_a_denied_start_names_the_action_and_the_policy(site: Site) -> None:
    number, done = run(site, Rule(fault=Fault.DENIED, operation="StartPipeline*", times=99))
    assert done.code == 6
    assert "Traceback" not in done.err
    assert "Effect" in json.loads(done.out)["error"]["fix"]
    assert site.executions(f"quality-pr-{number}") == []


def test_a_forge_that_is_away_costs_a_warning_only(site: Site) -> None:
    site.github.faults = [ForgeFault("POST", "comments", 403, count=99)]
    number, done = run(site)
    assert done.code == 0, done.err
    assert done.report["verdict"]["outcome"] == "approval_pending"
    assert done.err.count("warning: could not post a comment") == 1
    assert site.github.bodies(number) == []


def test_two_jobs_of_one_commit_at_once_are_one_execution(site: Site) -> None:
    number = site.next_number()
    environ = site.job(number, site.scratch.commit("twice at once"))
    folder = Path(environ["HOME"])
    children = [site.begin(environ, "--report", str(folder / f"report-{n}")) for n in range(3)]
    results = [ended(child) for child in children]
    for done in results:
        check(site, number, done)
    assert len({done.report["execution"]["arn"] for done in results}) == 1


def test_two_commits_at_once_run_their_own_definitions(site: Site) -> None:
    trees = {}
    # Whichever registers last is production to the tests below, whose models are better than both.
    for rmse in (2.25, 2.75):
        site.scratch.define(quality_definition(rmse))
        commit = site.scratch.commit(f"rmse {rmse}")
        tree = site.folder / f"tree-{rmse}"
        site.scratch.git("worktree", "add", "-q", "--detach", str(tree), commit)
        trees[rmse] = tree
    environ = site.job(None, "")
    children = {
        rmse: site.begin(environ, "--environment", "main", cwd=tree) for rmse, tree in trees.items()
    }
    for rmse, child in children.items():
        done = ended(child)
        assert done.code in {0, 1}, done.err
        arn = done.report["execution"]["arn"]
        held = site.sagemaker.describe_pipeline_definition_for_execution(PipelineExecutionArn=arn)
        assert f'\\"value\\": {rmse}' in held["PipelineDefinition"]
        assert done.report["verdict"]["metrics"][0]["value"] == rmse
    assert len(site.executions("quality")) == 2


def test_an_old_job_run_again_stops_nothing_newer(site: Site) -> None:
    number = site.next_number()
    old = site.scratch.commit("older")
    first = site.deploy(site.job(number, old))
    check(site, number, first)
    site.scratch.define(quality_definition(1.5, script="import time; time.sleep(8)"))
    new = site.scratch.commit("newer")
    site.github.commits[number] = [old, new]
    running = site.deploy(site.job(number, new), "--detach").report["execution"]["arn"]
    site.scratch.git("checkout", "-q", old)
    again = site.deploy(site.job(number, old))
    site.scratch.git("checkout", "-q", "main")
    assert again.code == 0, again.err
    assert again.report["execution"]["arn"] == first.report["execution"]["arn"]
    assert site.status(running) in {"Executing", "Succeeded"}
    [body] = site.github.bodies(number)
    assert new in body.splitlines()[0]
    assert "about a newer commit" in again.err


def test_a_newer_commit_stops_the_older_execution(site: Site) -> None:
    number = site.next_number()
    site.scratch.define(quality_definition(1.5, script="import time; time.sleep(60)"))
    old = site.scratch.commit("older and slow")
    running = site.deploy(site.job(number, old), "--detach").report["execution"]["arn"]
    site.scratch.define(quality_definition(1.4))
    new = site.scratch.commit("newer and quick")
    done = site.deploy(site.job(number, new))
    assert done.code == 0, done.err
    assert any(old[:12] in note for note in done.report["notes"])
    end = time.monotonic() + 20
    while site.status(running) != "Stopped":
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_second_pipeline_that_cannot_start_leaves_the_first_one_told(site: Site) -> None:
    project = site.scratch.root / "sagemaker-gitops.yaml"
    kept = project.read_text()
    site.scratch.define(quality_definition(1.5, script="import time; time.sleep(4)"))
    project.write_text(
        kept.replace("pipelines:\n", "pipelines:\n  beside:\n    definition: definition.json\n")
    )
    try:
        number = site.next_number()
        environ = site.job(number, site.scratch.commit("two pipelines"))
        site.aws.rules = [Rule(fault=Fault.DENIED, operation="StartPipeline*", skip=1, times=99)]
        done = site.deploy(environ)
        assert done.code == 6
        [report] = json.loads(done.out)["reports"]
        arn = report["execution"]["arn"]
        assert any(f"attach {arn}" in told for told in report["problems"])
        assert any(f"attach {arn}" in body for body in site.github.bodies(number))
        site.aws.rules = []
        again = site.deploy(environ)
        assert again.code == 0, again.err
        arns = {each["execution"]["arn"] for each in json.loads(again.out)["reports"]}
        assert len(arns) == 2
        assert arn in arns
        assert len(site.github.bodies(number)) == 2
    finally:
        project.write_text(kept)


def test_metrics_of_one_document_read_it_once(site: Site) -> None:
    project = site.scratch.root / "sagemaker-gitops.yaml"
    kept = project.read_text()
    metric = "      - {name: rmse, property_file: Report, path: $.regression_metrics.rmse.value}\n"
    assert metric in kept
    more = "".join(metric.replace("name: rmse", f"name: rmse-{n}") for n in range(5))
    project.write_text(kept.replace(metric, metric + more) + "report: {trend: 0}\n")
    try:
        site.aws.calls.clear()
        _, done = run(site)
    finally:
        project.write_text(kept)
    assert done.code == 0, done.err
    assert [each["value"] for each in done.report["verdict"]["metrics"]] == [1.5] * 6
    assert site.aws.count("DescribeProcessingJob") == 1
    assert site.aws.count("s3:GET") <= 2, "its own document, and the champion's where there is one"


@pytest.mark.parametrize("phase", list(Phase))
def test_retry_failed_goes_on_once_although_it_is_killed(
    site: Site, tmp_path: Path, phase: Phase
) -> None:
    broken = tmp_path / "broken"
    broken.touch()
    script = f"import os, sys\nsys.exit('broken') if os.path.exists({str(broken)!r}) else None"
    site.scratch.define(quality_definition(1.5, script=script))
    number = site.next_number()
    environ = site.job(number, site.scratch.commit(f"fails at first, {phase}"))
    failed = site.deploy(environ)
    assert failed.code == 1
    broken.unlink()
    assert site.deploy(environ).report["verdict"] == failed.report["verdict"]
    children: list[subprocess.Popen[str]] = []

    def hook(_number: int, operation: str, now: Phase) -> None:
        if operation == "RetryPipelineExecution" and now is phase:
            children[0].kill()
            children[0].wait()

    site.aws.hook = hook
    children.append(site.begin(environ, "--retry-failed"))
    assert ended(children[0]).code == -9
    site.aws.hook = None
    site.aws.rules = [Rule(fault=Fault.THROTTLE, operation="DescribePipelineExecution", every=3)]
    done = site.deploy(environ, "--retry-failed")
    check(site, number, done)
    assert done.report["execution"]["arn"] == failed.report["execution"]["arn"]
