"""What the checks found, as lines and as a document; and the page of all checks. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from ci.doctor.model import Answer, Check, State

_WIDE = 15
_MARKS: Mapping[State, str] = {
    State.OK: "ok",
    State.WARN: "warn",
    State.FAIL: "fail",
    State.SKIPPED: "-",
}
_TINTS: Mapping[State, str] = {State.OK: "32", State.WARN: "33", State.FAIL: "31"}
_PAGE = """\
# doctor

`sagemaker-gitops doctor` looks for what would fail later, and changes nothing: it starts no
execution, writes no object and no comment. The checks run side by side and take 30 seconds at
most (`--seconds`).

    sagemaker-gitops doctor                         # for main
    sagemaker-gitops doctor --environment pull_request
    sagemaker-gitops doctor --local                 # starts the local endpoint, in AWS's place

Each finding is `ok`, `warn` or `fail`, with the way out as YAML or a command. The exit code is 0
where nothing fails, 2 where the project, this machine or its CI has to be mended, and 6 where AWS
or the forge refuses. `--json` gives the same as one document.

"""


def render_lines(answers: Sequence[Answer], *, color: bool) -> Iterator[str]:
    """One line a finding, its place and its fix below."""
    for topic, group in groupby(answers, key=lambda answer: answer.check.topic):
        yield topic.value
        for answer in group:
            finding = answer.finding
            mark = f"{_MARKS[finding.state]:<4}"
            if color and finding.state in _TINTS:
                mark = f"\x1b[{_TINTS[finding.state]}m{mark}\x1b[0m"
            yield f"  {mark} {answer.check.name:<{_WIDE}} {finding.what}"
            indent = " " * (_WIDE + 8)
            if finding.where:
                yield from (f"{indent}{place}" for place in finding.where.splitlines())
            for number, line in enumerate((finding.fix or "").splitlines()):
                yield f"{indent}{'fix: ' if number == 0 else '     '}{line}"


def summary(answers: Sequence[Answer]) -> str:
    counts = {state: sum(each.finding.state is state for each in answers) for state in State}
    return f"{counts[State.OK]} ok, {counts[State.WARN]} to look at, {counts[State.FAIL]} fail" + (
        f", {counts[State.SKIPPED]} not looked at" if counts[State.SKIPPED] else ""
    )


def document(answers: Sequence[Answer]) -> dict[str, object]:
    return {
        "healthy": all(each.finding.state is not State.FAIL for each in answers),
        "checks": [
            {
                "name": each.check.name,
                "topic": each.check.topic.value,
                "state": each.finding.state.value,
                "what": each.finding.what,
                "where": each.finding.where,
                "fix": each.finding.fix,
            }
            for each in answers
        ],
    }


def render_page(checks: Sequence[Check]) -> str:
    """The page of checks, in Markdown."""
    lines = ["| check | asks | fails where | warns where | code |", "|---|---|---|---|---|"]
    lines += [
        f"| `{each.name}` | {each.question} | {each.fails or '—'} | {each.warns or '—'}"
        f" | {each.topic.code.value} |"
        for each in checks
    ]
    return _PAGE + "\n".join(lines) + "\n"
