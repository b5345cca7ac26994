"""Lines for a narrow terminal: nothing is lost, and nothing that is copied is broken."""

from hypothesis import given
from hypothesis import strategies as st

from ci.text.wrap import wrap_line

ARN = "arn:aws:sagemaker:us-east-1:000000000000:model-package/quality/12"


def test_a_line_goes_on_below_its_column() -> None:
    told = "  executions  Failed, commit 0123456789ab, 2 min ago, 12 s"
    assert wrap_line(told, 40, hang=18) == [
        "  executions  Failed, commit",
        "                  0123456789ab, 2 min",
        "                  ago, 12 s",
    ]
    assert wrap_line(told, None, hang=18) == [told]
    assert wrap_line(f"    approve {ARN}", 40, hang=8) == ["    approve", f"        {ARN}"]


@given(st.lists(st.text("abc-.:", min_size=1), min_size=1), st.integers(20, 60))
def test_all_words_stay_and_lines_fit_where_they_can(words: list[str], width: int) -> None:
    lines = wrap_line(f"  {' '.join(words)}", width, hang=8)
    assert [word for line in lines for word in line.split()] == words
    assert all(len(line) <= width or len(line.split()) == 1 for line in lines)
