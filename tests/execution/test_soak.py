"""Many executions at once against the endpoint while one call in twenty breaks."""

import resource
import threading
import time
from pathlib import Path

import pytest
from support.executing import adapter, condition_definition, make_bundle, make_run
from support.faults import Fault, Rule, faulty_proxy

from ci.execution.follow import Surroundings, follow
from ci.execution.start import deploy, start
from ci.sagemaker.model import ExecutionStatus

pytestmark = [pytest.mark.endpoint, pytest.mark.slow]

KINDS = (Fault.THROTTLE, Fault.UNAVAILABLE, Fault.RESET, Fault.GARBLED, Fault.EXPIRED)


def test_two_hundred_executions_with_five_percent_faults(address: str, tmp_path: Path) -> None:
    aws = adapter(address)
    wanted = {}
    for name, passes in (("soak-good", True), ("soak-bad", False)):
        bundle = make_bundle(condition_definition(passes=passes), tmp_path)
        version = deploy(aws, bundle, make_run(bundle, name=name)).version_id
        for number in range(100):
            run = make_run(bundle, name=name, commit=f"{number:040x}")
            arn = start(aws.executions, run, version_id=version)
            wanted[arn] = ExecutionStatus.SUCCEEDED if passes else ExecutionStatus.FAILED
    threads = []
    with faulty_proxy(address) as faults:
        # Each kind breaks one call in a hundred, at moments of its own.
        faults.rules = [
            Rule(fault=kind, every=100, seen=20 * number) for number, kind in enumerate(KINDS)
        ]
        watcher = adapter(faults.address)
        before = threading.active_count()
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        seen = follow(
            watcher.executions,
            list(wanted),
            emit=lambda _change: threads.append(threading.active_count() - before),
            surroundings=Surroundings(sleep=lambda seconds: time.sleep(min(seconds, 0.01))),
            deadline=120,
        )
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
        injected = len(faults.injected)
        calls = len(faults.calls)
    assert {arn: item.status for arn, item in seen.items()} == wanted
    assert injected >= calls * 0.04
    # The proxy in this process holds a thread for each connection; following holds none.
    assert max(threads) <= 40
    assert grown < 64 * 1024  # KiB, of which the proxy's and botocore's share is the most
