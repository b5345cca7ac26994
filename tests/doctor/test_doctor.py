"""`doctor`: each check where it passes and where it finds fault, with real parts."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel
from support.endpoint import client, running_endpoint
from support.github_job import aws_environ
from support.scratch import Scratch, new_scratch, quality_definition

from ci.bootstrap.documents import policy_document
from ci.bootstrap.model import Statement
from ci.bootstrap.policies import statements_of
from ci.bootstrap.resources import fill_resource
from ci.bootstrap.scope import plan_setup
from ci.compile.isolation import IsolationLevel, isolation_level
from ci.doctor.aws import contexts_of, judge_lifetime
from ci.doctor.checks import CHECKS
from ci.doctor.machine import judge_aliases, judge_isolation, judge_local
from ci.doctor.model import Check, Finding, Site, State, Topic, fail, ok
from ci.doctor.render import document, render_lines, render_page, summary
from ci.doctor.run import exit_code, run_checks
from ci.errors import ExitCode, ProjectError
from ci.project.load import load_project
from ci.sagemaker.clients import open_clients
from ci.sagemaker.identity import Identity, Lifetime, principal_of
from ci.trigger.laptop import parse_checkout, read_checkout

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "doctor.md"
BY_NAME = {check.name: check for check in CHECKS}
PROJECT = """
version: 1
region: us-east-1
role: arn:aws:iam::000000000000:role/sagemaker-gitops-local
pipelines:
  quality: {definition: definition.json, model_package_group: quality, endpoint: quality}
artifacts: {bucket: acme-artifacts}
environments:
  pull_request: {parameters: {Group: "quality-pr-{pull_request}"}}
"""


def repository(folder: Path, project: str = PROJECT) -> Scratch:
    scratch = new_scratch(folder / "repository", project)
    scratch.define(quality_definition(1.5))
    scratch.git("remote", "add", "origin", "https://github.com/acme/mlops.git")
    scratch.commit("first")
    return scratch


def site(scratch: Scratch, **more: Any) -> Site:
    project = load_project(scratch.root / "sagemaker-gitops.yaml")
    found = Site(
        root=scratch.root,
        environ=scratch.environment(),
        project=project,
        trigger=parse_checkout(read_checkout(scratch.root)),
        environment=project.environments["main"],
        region="us-east-1",
        account="000000000000",
        role=project.role,
        bucket=project.artifacts.bucket,
        repository="acme/mlops",
    )
    return replace(found, **more)


def findings(name: str, looked_at: Site) -> list[Finding]:
    return list(BY_NAME[name].look(looked_at))


def only(name: str, looked_at: Site) -> Finding:
    (found,) = findings(name, looked_at)
    return found


# The project and this machine


def test_project_file(tmp_path: Path) -> None:
    good = site(repository(tmp_path))
    assert only("project-file", good).state is State.OK
    (good.root / "definition.json").unlink()
    assert [each.state for each in findings("project-file", good)] == [State.OK, State.FAIL]
    broken = replace(good, project=None, problem=ProjectError("no good", fix="do this"))
    found = only("project-file", broken)
    assert (found.state, found.what, found.fix) == (State.FAIL, "no good", "do this")


@pytest.mark.parametrize(
    ("python", "state", "said"),
    [
        (sys.executable, State.WARN, "has no SageMaker SDK"),
        ("no/such/python", State.FAIL, "There is no Python"),
        ("/bin/false", State.FAIL, "does not run"),
        ("/bin/echo not json", State.FAIL, "does not run"),
    ],
)
def test_python(tmp_path: Path, python: str, state: State, said: str) -> None:
    scratch = repository(tmp_path)
    (scratch.root / "pipeline.py").write_text("")
    text = PROJECT.replace(
        "definition: definition.json", f"source: pipeline.py:f, python: {python}"
    )
    scratch.write("sagemaker-gitops.yaml", text)
    found = only("python", site(scratch))
    assert (found.state, said in found.what) == (state, True), found.what
    assert found.fix


def test_python_with_an_sdk(tmp_path: Path) -> None:
    """A Python whose packages hold one called sagemaker, and a project that compiles nothing."""
    packages = tmp_path / "packages" / "sagemaker-9.8.7.dist-info"
    packages.mkdir(parents=True)
    (packages / "METADATA").write_text("Metadata-Version: 2.1\nName: sagemaker\nVersion: 9.8.7\n")
    scratch = repository(tmp_path)
    assert only("python", site(scratch)).state is State.OK
    (scratch.root / "pipeline.py").write_text("")
    text = PROJECT.replace(
        "definition: definition.json", f"source: pipeline.py:f, python: {sys.executable}"
    )
    scratch.write("sagemaker-gitops.yaml", text)
    # Its packages stand in its environment, and nothing of the job's reaches it.
    wrapper = tmp_path / "python"
    wrapper.write_text(
        f"#!/bin/sh\nenv > {tmp_path}/seen\n"
        f'PYTHONPATH={packages.parent} exec {sys.executable} "$@"\n'
    )
    wrapper.chmod(0o755)
    scratch.write("sagemaker-gitops.yaml", text.replace(sys.executable, str(wrapper)))
    scratch.environ["GITHUB_TOKEN"] = "t0ken"
    found = only("python", site(scratch))
    assert "t0ken" not in (tmp_path / "seen").read_text()
    assert (found.state, "SageMaker SDK 9.8.7" in found.what) == (State.OK, True)


def test_history(tmp_path: Path) -> None:
    scratch = repository(tmp_path)
    scratch.commit("second")
    assert only("history", site(scratch)).state is State.OK
    shallow = tmp_path / "shallow"
    subprocess.run(
        ["git", "clone", "-q", "--depth", "1", f"file://{scratch.root}", shallow], check=True
    )
    found = only("history", replace(site(scratch), root=shallow))
    assert (found.state, "fetch-depth: 0" in (found.fix or "")) == (State.WARN, True)
    assert only("history", replace(site(scratch), root=tmp_path)).state is State.FAIL


def test_isolation_aliases_and_the_local_endpoint(tmp_path: Path) -> None:
    here = site(repository(tmp_path))
    assert only("isolation", here).state in {State.OK, State.WARN}
    assert only("aliases", here).state is State.OK
    assert only("local-endpoint", here).state is State.OK


@pytest.mark.parametrize("level", list(IsolationLevel)[1:])
def test_isolation_that_is_less_than_it_could_be(tmp_path: Path, level: IsolationLevel) -> None:
    environ = repository(tmp_path).environment()
    found = isolation_level(environ, levels=(level.value,))
    judged = judge_isolation(found)
    assert found.level is level
    assert (judged.state, judged.what) == (State.WARN, found.told)
    assert judged.fix


def test_a_botocore_that_knows_no_aliases() -> None:
    known = Loader().load_service_model("sagemaker", "service-2")
    assert judge_aliases(ServiceModel(known), "1").state is State.OK
    shapes, operations = known["shapes"], known["operations"]
    request = operations["UpdatePipelineVersion"]["input"]["shape"]
    members = dict(shapes[request]["members"])
    del members["PipelineVersionAliasOperations"]
    older = {**known, "shapes": {**shapes, request: {**shapes[request], "members": members}}}
    oldest = {
        **known,
        "operations": {
            name: each for name, each in operations.items() if name != "UpdatePipelineVersion"
        },
    }
    for model in (older, oldest):
        found = judge_aliases(ServiceModel(model), "1.2.3")
        assert (found.state, found.fix) == (State.WARN, "pip install --upgrade boto3")
        assert "botocore 1.2.3 knows no aliases" in found.what


@pytest.mark.parametrize(
    ("platform", "missing", "namespaces", "said"),
    [
        ("darwin", [], True, "this is darwin"),
        ("linux", ["aiohttp", "uv"], True, "needs aiohttp and uv"),
        ("linux", [], False, "no mount namespace"),
    ],
)
def test_a_machine_that_cannot_hold_the_local_endpoint(
    platform: str, missing: list[str], namespaces: bool, said: str
) -> None:
    found = judge_local(platform=platform, missing=missing, namespaces=namespaces)
    assert found.state is State.WARN
    assert said in found.what


# AWS

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("lifetime", "deadline", "door", "state", "said"),
    [
        ({"renews": True, "temporary": True}, 9e9, False, State.OK, "renewed"),
        ({"renews": False, "temporary": True}, 9e9, True, State.OK, "renewed"),
        ({"renews": False, "temporary": False}, None, False, State.WARN, "do not expire"),
        ({"renews": False, "temporary": True}, None, False, State.WARN, "no deadline is set"),
        ({"renews": False, "temporary": True}, 7200, False, State.WARN, "an hour by default"),
        ({"renews": False, "temporary": True}, 1800, False, State.OK, "temporary"),
        ({"ends": 3000}, 1800, False, State.OK, "good for 50 minutes"),
        ({"ends": 3000}, 7200, False, State.WARN, "end in 50 minutes, the deadline is 120"),
        ({"ends": -1}, 7200, False, State.FAIL, "have expired"),
    ],
)
def test_lifetime_against_the_deadline(
    lifetime: dict[str, Any], deadline: float | None, door: bool, state: State, said: str
) -> None:
    settled = {"method": "env", "renews": False, "temporary": True, **lifetime}
    if "ends" in settled:
        settled["ends"] = NOW + timedelta(seconds=settled["ends"])
    found = judge_lifetime(Lifetime(**settled), deadline=deadline, now=NOW, door=door)
    assert (found.state, said in found.what) == (state, True), found.what


def test_credentials(tmp_path: Path) -> None:
    scratch = repository(tmp_path)
    none = {
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    script = (
        "import os, sys, json\nfrom ci.sagemaker.clients import open_clients\n"
        "from ci.sagemaker.identity import Identity\n"
        "print(Identity(open_clients('us-east-1', dict(os.environ))).lifetime() is None)"
    )
    kept = {**scratch.environment(), **none}
    done = subprocess.run(
        [sys.executable, "-c", script], env=kept, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "True"
    keys = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "s", **none}
    lasting = Identity(open_clients("us-east-1", keys)).lifetime()
    assert lasting is not None
    assert (lasting.temporary, lasting.renews) == (False, False)
    session = Identity(open_clients("us-east-1", {**keys, "AWS_SESSION_TOKEN": "t"})).lifetime()
    assert session is not None
    assert session.temporary


def test_the_principal_of_a_session_is_its_role() -> None:
    assert (
        principal_of("arn:aws:sts::123456789012:assumed-role/mlops-main/run-1")
        == "arn:aws:iam::123456789012:role/mlops-main"
    )
    user = "arn:aws:iam::123456789012:user/jane"
    assert principal_of(user) == user


class Account:
    """The emulator's IAM: roles with and without what is needed."""

    def __init__(self, folder: Path, address: str) -> None:
        self.scratch = repository(folder)
        self.address = address
        self.iam = client(address, "iam")
        client(address, "s3").create_bucket(Bucket="acme-artifacts")

    def role(self, name: str, *, without: str = "", trusts: str = "sagemaker") -> None:
        setup = plan_setup(
            load_project(self.scratch.root / "sagemaker-gitops.yaml"),
            repository="acme/mlops",
            default_branch="main",
        )
        need = next(each for each in setup.roles if each.environment == "main")
        made = [
            replace(each, actions=tuple(name for name in each.actions if name != without))
            for each in statements_of(need)
        ]
        policy = policy_document([each for each in made if each.actions])
        for statement in policy["Statement"]:  # type: ignore[attr-defined]
            # The emulator's simulator takes no context.
            statement.pop("Condition", None)
            statement["Resource"] = [
                fill_resource(
                    getattr(each, "text", each),
                    account="000000000000",
                    region="us-east-1",
                    bucket="acme-artifacts",
                    prefix="sagemaker-gitops",
                    queue="mlops-events",
                )
                for each in statement["Resource"]
            ]
        service = {"Service": f"{trusts}.amazonaws.com"}
        trust = {"Statement": [{"Effect": "Allow", "Principal": service}]}
        self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
        self.iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(policy))

    def assumed(self, name: str) -> dict[str, str]:
        """The environment of a job that assumed the role."""
        found = client(self.address, "sts").assume_role(
            RoleArn=f"arn:aws:iam::000000000000:role/{name}", RoleSessionName="job"
        )["Credentials"]
        return {
            **aws_environ(self.address),
            "AWS_ACCESS_KEY_ID": found["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": found["SecretAccessKey"],
            "AWS_SESSION_TOKEN": found["SessionToken"],
        }

    def site(self, caller: str, /, **more: Any) -> Site:
        clients = open_clients("us-east-1", self.assumed(caller))
        return site(self.scratch, **{"clients": clients, **more})


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    folder = tmp_path_factory.mktemp("account")
    with running_endpoint(folder / "local") as endpoint:
        made = Account(folder, endpoint.address)
        made.role("whole")
        made.role("lacking", without="sagemaker:UpdatePipeline")
        made.role("passing", without="iam:PassRole")
        made.role("foreign", trusts="lambda")
        yield made


@pytest.mark.endpoint
def test_identity(account: Account) -> None:
    good = only("identity", account.site("whole"))
    assert (good.state, "assumed-role/whole/job" in good.what) == (State.OK, True)
    other = only("identity", account.site("whole", account="999999999999"))
    assert (other.state, "999999999999" in other.what) == (State.FAIL, True)


@pytest.mark.endpoint
def test_permissions(account: Account) -> None:
    assert only("permissions", account.site("whole")).state is State.OK
    found = only("permissions", account.site("lacking"))
    assert found.state is State.FAIL
    assert found.what == "sagemaker:UpdatePipeline is not allowed"
    assert found.where == "arn:aws:sagemaker:us-east-1:000000000000:pipeline/quality"
    # Asked with each service that the role is passed to, and told once.
    found = only("permissions", account.site("passing"))
    assert (found.state, found.what) == (State.FAIL, "iam:PassRole is not allowed")
    assert (found.where or "").endswith(":role/sagemaker-gitops-local")
    assert "bootstrap github-oidc" in (found.fix or "")
    # What main may do is not what a pull request's role has to do.
    isolated = load_project(account.scratch.root / "sagemaker-gitops.yaml").environments
    refused = findings("permissions", account.site("whole", environment=isolated["pull_request"]))
    assert all(each.state is State.FAIL for each in refused)
    assert "more are not allowed" in refused[-1].what


def test_a_condition_is_asked_with_what_the_call_brings() -> None:
    condition = (("StringEquals", "iam:PassedToService", ("lambda", "sagemaker")),)
    statement = Statement(sid="S", actions=("a:B",), resources=("*",), condition=condition)
    key = "iam:PassedToService"
    assert list(contexts_of(statement)) == [{key: "lambda"}, {key: "sagemaker"}]
    assert list(contexts_of(replace(statement, condition=()))) == [{}]


@pytest.mark.endpoint
def test_execution_role(account: Account) -> None:
    def told(**more: Any) -> tuple[State, str]:
        found = only("execution-role", account.site("whole", **more))
        return found.state, found.what

    assert told()[0] is State.OK
    foreign = "arn:aws:iam::000000000000:role/foreign"
    assert told(role=foreign) == (State.FAIL, "SageMaker may not assume the execution role")
    missing = "arn:aws:iam::000000000000:role/nobody"
    assert told(role=missing) == (State.FAIL, "the execution role does not exist")
    assert told(role=None)[0] is State.FAIL


@pytest.mark.endpoint
def test_bucket(account: Account) -> None:
    def told(**more: Any) -> tuple[State, str]:
        found = only("bucket", account.site("whole", **more))
        return found.state, found.what

    assert told()[0] is State.OK
    assert told(bucket="nobody-has-this")[0] is State.FAIL
    assert told(bucket="sagemaker-us-east-1-000000000000")[0] is State.WARN
    assert told(bucket=None)[0] is State.WARN
    assert told(region="eu-west-1")[0] is State.FAIL


# The forge


class _Answers(BaseHTTPRequestHandler):
    status, body, headers_ = 200, {}, {}  # type: ignore[var-annotated]

    def do_GET(self) -> None:
        raw = json.dumps(self.body).encode()
        self.send_response(self.status)
        for name, value in {**self.headers_, "Content-Length": str(len(raw))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(
    ("status", "headers", "body", "state"),
    [
        (200, {}, {"permissions": {"push": True}}, State.OK),
        (200, {}, {"permissions": {"push": False, "pull": True}}, State.WARN),
        (200, {"X-OAuth-Scopes": "repo, gist"}, {"permissions": {"push": True}}, State.OK),
        (200, {"X-OAuth-Scopes": "gist"}, {"permissions": {"push": True}}, State.FAIL),
        (200, {}, {}, State.OK),
        (200, {}, [], State.OK),
        (401, {}, {}, State.FAIL),
        (404, {}, {}, State.FAIL),
        (301, {"Location": "/x"}, {}, State.WARN),
        (503, {}, {}, State.WARN),
    ],
)
def test_token(
    tmp_path: Path, status: int, headers: dict[str, str], body: Any, state: State
) -> None:
    given = {"status": status, "body": body, "headers_": headers}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Answers,), given))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        environ = {
            "GITHUB_TOKEN": "t0ken",
            "GITHUB_API_URL": f"http://127.0.0.1:{server.server_address[1]}",
        }
        here = Site(root=tmp_path, environ=environ, repository="acme/mlops")
        found = only("token", here)
        assert found.state is state
        if status == 404:
            assert "  checks: write\n" in str(found.fix)
            assert "  deployments: write" in str(found.fix)
    finally:
        server.shutdown()
        server.server_close()


def test_no_token_no_forge_and_no_repository(tmp_path: Path) -> None:
    here = Site(root=tmp_path, environ={}, repository="acme/mlops")
    assert "no token" in only("token", here).what
    away = replace(here, environ={"GH_TOKEN": "t", "GITHUB_API_URL": "http://127.0.0.1:9"})
    assert "cannot be reached" in only("token", away).what
    assert only("token", replace(away, repository=None)).state is State.WARN
    elsewhere = repository(tmp_path, PROJECT + "forge: {kind: gitlab}\n")
    found = only("token", replace(site(elsewhere), environ={"GITHUB_TOKEN": "t"}))
    assert (found.state, "gitlab is not looked at" in found.what) == (State.SKIPPED, True)


# The runner of checks, and the command


def check(name: str, look: Any, *, code: ExitCode = ExitCode.USAGE, **more: Any) -> Check:
    return Check(name=name, topic=Topic.AWS, question="", look=look, code=code, **more)


def test_checks_run_side_by_side_and_none_hides_another(tmp_path: Path) -> None:
    barrier = threading.Barrier(3, timeout=10)

    def meets(_: Site) -> Iterator[Finding]:
        barrier.wait()
        yield ok("met")

    def breaks(_: Site) -> Iterator[Finding]:
        raise ZeroDivisionError("x")

    def refuses(_: Site) -> Iterator[Finding]:
        raise ProjectError("of two\nlines", fix="y")

    def hangs(_: Site) -> Iterator[Finding]:
        time.sleep(30)
        yield ok("never")

    checks = [check(str(n), meets) for n in range(3)]
    checks += [check("b", breaks), check("r", refuses), check("h", hangs)]
    checks.append(check("n", meets, needs=("project",)))
    begun = time.monotonic()
    answers = run_checks(checks, Site(root=tmp_path, environ={}), seconds=3, clock=time.monotonic)
    assert time.monotonic() - begun < 10
    states = [each.finding.state.value for each in answers]
    assert states == ["ok", "ok", "ok", "warn", "fail", "warn", "skipped"]
    assert answers[4].finding.what == "of two lines"
    assert answers[5].finding.what == "no answer within 3 s"
    lines = "\n".join(render_lines(answers, color=False))
    assert "fail r               of two lines" in lines
    assert summary(answers) == "3 ok, 2 to look at, 1 fail, 1 not looked at"
    assert document(answers)["healthy"] is False
    assert "\x1b[31m" in "\n".join(render_lines(answers, color=True))


def test_the_exit_code_says_where_to_mend(tmp_path: Path) -> None:
    here = Site(root=tmp_path, environ={})

    def code(*states: tuple[ExitCode, Finding]) -> ExitCode:
        checks = [
            check(str(number), lambda _, f=found: [f], code=of)
            for number, (of, found) in enumerate(states)
        ]
        return exit_code(run_checks(checks, here, seconds=5, clock=time.monotonic))

    assert code((ExitCode.USAGE, ok("x"))) is ExitCode.OK
    assert code((ExitCode.UNAVAILABLE, fail("x")), (ExitCode.USAGE, ok("y"))) is (
        ExitCode.UNAVAILABLE
    )
    assert code((ExitCode.UNAVAILABLE, fail("x")), (ExitCode.USAGE, fail("y"))) is ExitCode.USAGE


@pytest.mark.endpoint
def test_the_command_from_end_to_end(account: Account) -> None:
    account.scratch.environ = account.assumed("whole")
    done = account.scratch.run("doctor", "--json", "--environment", "main", "--deadline", "30m")
    states = {each["name"]: each["state"] for each in done.document["checks"]}
    assert done.code == 0, done.out
    assert set(states) == set(BY_NAME)
    assert states["permissions"] == states["bucket"] == states["execution-role"] == "ok"
    assert done.document["healthy"] is True
    account.scratch.environ = account.assumed("lacking")
    done = account.scratch.run("doctor")
    assert done.code == 6
    assert "sagemaker:UpdatePipeline is not allowed" in done.out


def test_a_broken_project_is_looked_at_as_far_as_it_goes(tmp_path: Path) -> None:
    scratch = new_scratch(tmp_path / "repository", "version: 1\npipelins: {}\n")
    scratch.commit("broken")
    done = scratch.run("doctor", "--json")
    states = {each["name"]: each["state"] for each in done.document["checks"]}
    assert done.code == 2
    assert states["project-file"] == "fail"
    assert states["permissions"] == "skipped"
    assert states["workflows"] == "ok"
    nowhere = tmp_path / "nowhere"
    nowhere.mkdir()
    assert scratch.run("doctor", "--json", cwd=nowhere).code == 2


def test_the_page_is_made_from_the_checks(request: pytest.FixtureRequest) -> None:
    text = render_page(CHECKS)
    if request.config.getoption("--update-golden"):
        PAGE.write_text(text, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == text
