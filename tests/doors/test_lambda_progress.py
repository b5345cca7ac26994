"""What a call of the function leaves for the next: its token, and its disk."""

import os
import time
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from ci.door.invocation import job_of
from ci.door.progress import LIMIT, Progress, decode, encode
from ci.door.source import sweep
from ci.errors import UsageError


def test_an_event_without_a_job_is_no_job() -> None:
    for event in ({}, {"CodePipeline.job": None}, {"CodePipeline.job": {"id": "x"}}):
        assert job_of(event) is None


@given(st.lists(st.integers(0, 16**12 - 1), max_size=60), st.floats(0, 2e9))
def test_progress_comes_back_as_it_was(ids: list[int], began: float) -> None:
    place = "arn:aws:sagemaker:eu-west-1:111122223333:pipeline/some-pipeline-name/execution"
    progress = Progress(
        began=round(began, 3),
        executions=tuple(f"{place}/{each:012x}" for each in ids),
        seen="0" * 8,
    )
    try:
        token = encode(progress)
    except UsageError:
        assert len(ids) > 25
        return
    assert len(token) <= LIMIT
    assert decode(token, now=0.0) == progress


@given(st.text())
def test_no_token_breaks_the_program(text: str) -> None:
    try:
        decode(text, now=1.0)
    except UsageError:
        return
    assert not text


def test_what_earlier_calls_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    names = ("sagemaker-gitops-old", "sagemaker-gitops-new", "other-old", "sagemaker-gitops")
    for name in names:
        (tmp_path / name).mkdir()
        if not name.endswith("new"):
            os.utime(tmp_path / name, (0, 0))
    (tmp_path / "sagemaker-gitops-bug.txt").write_text("a file")
    sweep(tmp_path, now=time.time())
    left = {each.name for each in tmp_path.iterdir()}
    assert left == {*names[1:], "sagemaker-gitops-bug.txt"}
