"""The whole `deploy` outlives its keys, its name server and its clock; or says how to go on."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.faults import Fault, Refusal, Rule
from support.jobs import Site, ended, new_site
from support.leases import open_leases
from support.scratch import COMMAND, quality_definition

pytestmark = pytest.mark.endpoint

ROLE = "arn:aws:iam::000000000000:role/ci"
FAST_CLOCK = str(Path(__file__).parents[1] / "support" / "fast_clock")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with new_site(tmp_path_factory.mktemp("outlives")) as made:
        yield made


@pytest.fixture
def site(shared: Site) -> Iterator[Site]:
    shared.scratch.define(quality_definition(1.5, script="import time; time.sleep(4)"))
    yield shared
    shared.aws.rules = []
    shared.aws.judge = shared.aws.rewrite = None
    shared.aws.ahead = 0.0


def job(site: Site, *, keys: bool = True) -> tuple[int, dict[str, str]]:
    number = site.next_number()
    environ = site.job(number, site.scratch.commit(f"pull request {number}"))
    if not keys:
        environ = {name: environ[name] for name in environ if "ACCESS_KEY" not in name}
    return number, environ


def until(site: Site, child: "subprocess.Popen[str]", operation: str, count: int) -> None:
    site_calls = site.aws.count(operation)
    end = time.monotonic() + 60
    while site.aws.count(operation) < site_calls + count:
        assert child.poll() is None, ended(child).err
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("keys", [False, True], ids=["no keys", "keys of the job"])
def test_a_role_is_assumed_again_and_again(site: Site, keys: bool) -> None:
    """Keys of the job are not taken where a role was named."""
    with open_leases(seconds=2.0) as leases:
        leases.watch(site.aws)
        _, environ = job(site, keys=keys)
        done = site.deploy(environ | leases.github(ROLE))
    assert done.code == 0, done.err
    assert leases.refused == 0
    assert len(leases.given) == leases.tokens >= 4
    begun, over = min(leases.given.values()) - leases.seconds, time.time()
    assert over - begun > 2 * leases.seconds
    assert "runner-secret" not in done.out + done.err


def test_keys_that_end_before_their_time_are_replaced_in_the_middle(site: Site) -> None:
    with open_leases(seconds=1.5, said=3600.0) as leases:
        leases.watch(site.aws)
        _, environ = job(site, keys=False)
        done = site.deploy(environ | leases.github(ROLE))
    assert done.code == 0, done.err
    assert leases.refused >= 1
    assert leases.tokens == len(leases.given) >= 2


def test_keys_of_a_container_are_fetched_again(site: Site) -> None:
    with open_leases(seconds=3.0) as leases:
        leases.watch(site.aws)
        _, environ = job(site, keys=False)
        done = site.deploy(environ | leases.container())
    assert done.code == 0, done.err
    assert leases.refused == 0
    assert len(leases.given) >= 4


def test_a_door_that_shuts_ends_with_4_and_the_way_on(site: Site) -> None:
    """Five minutes pass in five seconds."""
    site.scratch.define(quality_definition(1.5, script="import time; time.sleep(15)"))
    with open_leases(seconds=2.5) as leases:
        leases.watch(site.aws)
        number, environ = job(site, keys=False)
        child = site.begin(environ | leases.github(ROLE) | {"PYTHONPATH": FAST_CLOCK})
        until(site, child, "ListPipelineExecutionSteps", 4)
        leases.shut = True
        done = ended(child)
    assert done.code == 4, done.err
    arn = done.report["execution"]["arn"]
    assert f"sagemaker-gitops attach {arn}" in done.err
    assert "Traceback" not in done.err
    [body] = site.github.bodies(number)
    assert f"sagemaker-gitops attach {arn}" in body
    site.aws.judge = None
    again = site.deploy(site.job(number, done.report["trigger"]["commit"]))
    assert (again.code, again.report["execution"]["arn"]) == (0, arn), again.err


class ServersClock:
    """Refuses what was signed by a clock that is more than five minutes off its own."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.refused = 0

    def __call__(self, _operation: str, headers: Mapping[str, str]) -> Refusal | None:
        if "X-Amz-Date" not in headers:
            return None
        signed = datetime.strptime(headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        now = time.time() + self.site.aws.ahead
        if abs(now - signed.timestamp()) < 300:
            return None
        self.refused += 1
        told = f"Signature expired: {headers['X-Amz-Date']} is now earlier than the server's time"
        return 403, "InvalidSignatureException", told


def test_a_clock_that_is_wrong_from_the_start_is_named(site: Site) -> None:
    site.aws.judge, site.aws.ahead = ServersClock(site), 3600.0
    _, environ = job(site)
    done = site.deploy(environ)
    assert done.code == 6
    assert "The clock of this machine is 60 minutes behind AWS's" in done.err
    assert "timedatectl" in done.err
    assert "Traceback" not in done.err


def test_a_clock_that_jumps_and_is_set_right_costs_nothing(site: Site, tmp_path: Path) -> None:
    """The execution ends after the clock was set right, however slow the machine is."""
    right = tmp_path / "right"
    waiting = f"import os, time\nwhile not os.path.exists({str(right)!r}): time.sleep(0.05)"
    site.scratch.define(quality_definition(1.5, script=waiting))
    site.aws.judge = clock = ServersClock(site)
    _, environ = job(site)
    child = site.begin(environ)
    until(site, child, "ListPipelineExecutionSteps", 4)
    site.aws.ahead = -7200.0
    end = time.monotonic() + 60
    while not clock.refused:
        assert child.poll() is None, ended(child).err
        assert time.monotonic() < end
        time.sleep(0.02)
    site.aws.ahead = 0.0
    right.touch()
    done = ended(child)
    assert done.code == 0, done.err
    assert "InvalidSignatureException" in done.err


def test_reading_back_outlasts_an_outage(site: Site) -> None:
    site.aws.rules = [Rule(fault=Fault.UNAVAILABLE, operation="DescribeModelPackage", times=12)]
    _, environ = job(site)
    done = site.deploy(environ)
    assert done.code == 0, done.err
    assert "going on: DescribeModelPackage" in done.err
    assert done.report["verdict"]["outcome"] == "approval_pending"


def may_unshare() -> bool:
    if shutil.which("unshare") is None or os.geteuid() != 0:
        return False
    return subprocess.run(["unshare", "-m", "true"], check=False).returncode == 0


@pytest.mark.skipif(not may_unshare(), reason="needs a mount namespace")
def test_ten_minutes_without_a_name_server(site: Site, tmp_path: Path) -> None:
    """AWS's name resolves, does not for ten minutes (of a clock sixty times as fast), and does."""
    hosts, resolver = tmp_path / "hosts", tmp_path / "resolv.conf"
    hosts.write_text("127.0.0.1 localhost\n")
    resolver.write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    mounted = (
        f'mount --bind {hosts} /etc/hosts && mount --bind {resolver} /etc/resolv.conf && exec "$@"'
    )
    _, environ = job(site)
    named = f"http://localhost:{urlsplit(site.aws.address).port}"
    environ |= {"AWS_ENDPOINT_URL": named, "PYTHONPATH": FAST_CLOCK}
    child = subprocess.Popen(
        ["unshare", "-m", "sh", "-c", mounted, "sh", str(COMMAND), "deploy", "--json"],
        cwd=site.scratch.root,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    site.children.append(child)
    until(site, child, "ListPipelineExecutionSteps", 3)
    hosts.write_text("")
    # A connection that is open needs no name.
    site.aws.rules = [Rule(fault=Fault.RESET, times=3)]
    calls = len(site.aws.calls)
    time.sleep(10.0)
    assert len(site.aws.calls) <= calls + 3
    assert child.poll() is None
    hosts.write_text("127.0.0.1 localhost\n")
    done = ended(child)
    assert done.code == 0, done.err
    assert "going on" in done.err
