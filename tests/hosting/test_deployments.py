"""One deployment of an endpoint after another, updates and kills in between."""

import os
import signal
import threading
import time
from pathlib import Path

from support.hosting import ECHO, Hosting, folders, refused
from support.loopback_s3 import LoopbackS3
from support.processes import gone

from ci.local.api import hosting


def test_a_killed_process_is_started_again_by_the_next_request(api: Hosting) -> None:
    api.model("one")
    api.create("one")
    pid = api.ask(1)[1]["pid"]
    os.killpg(pid, signal.SIGKILL)
    assert gone(pid)
    status, answer = api.ask(2)
    assert (status, answer["name"]) == (200, "one")
    assert answer["pid"] != pid


def test_an_endpoint_survives_its_server(tmp_path: Path, s3: LoopbackS3) -> None:
    with Hosting(tmp_path, s3) as api:
        api.model("one")
        api.create("one")
        pid = api.ask(1)[1]["pid"]
        hosting.close(api.context)
        assert gone(pid)
    s3.objects.clear()
    with Hosting(tmp_path, s3) as api:
        assert api.ask(2)[1]["ErrorCode"] == "ServiceUnavailable"
        hosting.resume(api.context)
        assert api("DescribeEndpoint", EndpointName="e")["EndpointStatus"] == "InService"
        assert api.ask(2)[1]["name"] == "one"
        hosting.close(api.context)


def test_files_that_a_kill_left_behind_go_at_the_next_start(api: Hosting) -> None:
    api.model("one")
    api.create("one")
    (served,) = folders(api.context.home)
    for name in ("e/0123456789ab", "deleted/0123456789ab"):
        (api.context.home / "endpoints" / name / "v-0").mkdir(parents=True)
    hosting.close(api.context)
    hosting.resume(api.context)
    assert folders(api.context.home) == [served]
    assert api.ask(1)[0] == 200


def test_a_creation_that_was_cut_off_is_finished(tmp_path: Path, s3: LoopbackS3) -> None:
    slow = f"import os, time\nif not os.path.exists({str(tmp_path / 'go')!r}): time.sleep(60)\n"
    with Hosting(tmp_path, s3) as api:
        api.model("slow", {"code/inference.py": slow + ECHO, "name": "slow"})
        api("CreateEndpoint", EndpointName="e", EndpointConfigName="slow")
        time.sleep(0.5)
        hosting.close(api.context)
        assert api.store.get("endpoint", "e")["EndpointStatus"] == "Creating"  # type: ignore[index]
    (tmp_path / "go").touch()
    with Hosting(tmp_path, s3) as api:
        hosting.resume(api.context)
        assert api.settle()["EndpointStatus"] == "InService"
        hosting.close(api.context)


def test_an_update_keeps_the_old_until_the_new_is_up(api: Hosting) -> None:
    slow = "import time; time.sleep(1.5)\n" + ECHO
    api.model("old")
    api.model("new", {"code/inference.py": slow, "name": "new"})
    api.create("old")
    pid = api.ask(0)[1]["pid"]
    api("UpdateEndpoint", EndpointName="e", EndpointConfigName="new")
    body = api("DescribeEndpoint", EndpointName="e")
    assert body["EndpointStatus"] == "Updating"
    assert body["EndpointConfigName"] == "old"
    assert body["PendingDeploymentSummary"]["EndpointConfigName"] == "new"
    assert api.ask(0)[1]["name"] == "old"
    refused(api, "UpdateEndpoint", EndpointName="e", EndpointConfigName="old")
    body = api.settle()
    assert (body["EndpointStatus"], body["EndpointConfigName"]) == ("InService", "new")
    assert "PendingDeploymentSummary" not in body
    assert api.ask(0)[1]["name"] == "new"
    assert gone(pid)
    end = time.monotonic() + 5
    while len(kept := folders(api.context.home)) > 1 and time.monotonic() < end:
        time.sleep(0.02)
    assert len(kept) == 1


def test_a_failed_update_goes_on_with_the_old(api: Hosting) -> None:
    api.model("old")
    api.model("bad", {"code/inference.py": "raise SystemExit('broken')"})
    api.create("old")
    api("UpdateEndpoint", EndpointName="e", EndpointConfigName="bad")
    body = api.settle()
    assert (body["EndpointStatus"], body["EndpointConfigName"]) == ("InService", "old")
    assert "broken" in body["FailureReason"]
    assert api.ask(0)[1]["name"] == "old"


def test_answers_never_fail_while_an_endpoint_is_updated(api: Hosting) -> None:
    api.model("a")
    api.model("b")
    api.create("a")
    seen: list[tuple[int, str]] = []
    over = threading.Event()

    def ask_on() -> None:
        while not over.is_set():
            status, answer = api.ask(1)
            seen.append((status, answer.get("name", "")))

    thread = threading.Thread(target=ask_on)
    thread.start()
    for config in ("b", "a", "b"):
        api("UpdateEndpoint", EndpointName="e", EndpointConfigName=config)
        api.settle()
    over.set()
    thread.join()
    assert {status for status, _ in seen} == {200}
    assert {name for _, name in seen} == {"a", "b"}


def test_a_running_endpoint_needs_neither_config_nor_model(api: Hosting) -> None:
    api.model("one")
    api.create("one")
    api("DeleteEndpointConfig", EndpointConfigName="one")
    api("DeleteModel", ModelName="one")
    os.killpg(api.ask(1)[1]["pid"], signal.SIGKILL)
    time.sleep(0.1)
    assert api.ask(2)[0] == 200
