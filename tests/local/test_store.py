"""Records: all or nothing, shared texts, and a kill at any moment."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.local.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(tmp_path / "state.db")) as opened:
        yield opened


def test_a_failed_transaction_leaves_nothing_and_the_store_goes_on(store: Store) -> None:
    def fail() -> None:
        with store.transaction():
            store.put("k", "a", {"n": 1})
            with store.transaction():
                store.put("k", "b", {"n": 2})
                raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert store.all("k") == []
    store.put("k", "c", {"n": 3})
    assert store.all("k") == [{"n": 3}]


def test_what_fails_inside_and_is_caught_keeps_the_rest(store: Store) -> None:
    with store.transaction():
        store.put("k", "a", {"n": 1})
        with pytest.raises(KeyError):
            store.update("k", "none", n=2)
        store.put("k", "b", {"n": 3})
    assert store.all("k") == [{"n": 1}, {"n": 3}]


def test_a_replaced_record_keeps_its_place_and_parent(store: Store) -> None:
    store.put("k", "a", {"n": 1}, parent="p")
    store.put("k", "b", {"n": 2}, parent="p")
    store.put("k", "a", {"n": 9})
    assert store.all("k", parent="p") == [{"n": 9}, {"n": 2}]
    assert store.count("k", parent="p") == 2
    store.delete_all("k", parent="p")
    assert store.all("k") == []


@given(text=st.text(st.characters(exclude_categories=["Cs"])), other=st.integers())
def test_a_shared_text_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, text: str, other: int
) -> None:
    store = Store(tmp_path_factory.mktemp("store") / "state.db")
    for member in ("Definition", "PipelineDefinition"):
        store.put("k", member, {member: text, "n": other})
        store.put("k", member + "2", {member: text})
        assert store.get("k", member) == {member: text, "n": other}
    assert store.all("k")[0] == {"Definition": text, "n": other}
    store.close()


def test_what_only_looks_like_a_reference_is_left_alone(store: Store) -> None:
    body = {"Definition": {"other": "x"}, "Nested": {"Definition": "y"}}
    store.put("k", "a", body)
    assert store.get("k", "a") == body


def test_threads_see_whole_transactions_only(store: Store) -> None:
    store.put("k", "a", {"n": 0})
    store.put("k", "b", {"n": 0})
    torn: list[tuple[int, int]] = []

    def write() -> None:
        for number in range(200):
            with store.transaction():
                store.update("k", "a", n=number)
                store.update("k", "b", n=number)

    def read() -> None:
        for _ in range(200):
            first, second = store.all("k")
            if first["n"] != second["n"]:
                torn.append((first["n"], second["n"]))

    threads = [threading.Thread(target=target) for target in (write, read, write)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert torn == []


def test_a_kill_in_the_middle_of_writing_loses_no_finished_transaction(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom ci.local.store import Store\n"
        "store = Store(Path(sys.argv[1]))\n"
        "for number in range(10**9):\n"
        "    with store.transaction():\n"
        "        store.put('k', 'a', {'n': number})\n"
        "        store.put('k', 'b', {'n': number, 'Definition': 'x' * number})\n"
        "    print(number, flush=True)\n"
    )
    file = tmp_path / "state.db"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(file)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        told = [int(writer.stdout.readline()) for _ in range(50)][-1]
        os.kill(writer.pid, signal.SIGKILL)
    with closing(Store(file)) as store:
        first, second = store.all("k")
    assert first["n"] == second["n"] >= told
    assert second["Definition"] == "x" * second["n"]
