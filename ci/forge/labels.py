"""Decides the label that tells a pull request's outcome. Only labels of one's own are removed."""

from ci.forge.marks import Label, Labels
from ci.metrics.model import Outcome
from ci.report.model import Report, State
from ci.text.clean import clean

_PREFIX = "sagemaker"
# GitHub takes names of at most 50 characters.
_LONGEST = 50
_GREEN, _RED, _YELLOW, _GREY = "2da44e", "cf222e", "bf8700", "6e7781"
_WORDS = {
    Outcome.SUCCEEDED: ("passed", _GREEN, "The execution succeeded, and every gate passed"),
    Outcome.APPROVAL_PENDING: ("awaiting approval", _YELLOW, "The model waits for its approval"),
    Outcome.REJECTED: ("rejected", _RED, "The model was rejected"),
    Outcome.GATE_FAILED: ("gate failed", _RED, "A gate did not pass"),
    Outcome.NOT_REGISTERED: ("not registered", _RED, "No model was registered"),
    Outcome.FAILED: ("failed", _RED, "The execution failed"),
    Outcome.UNVERIFIED: ("unverified", _YELLOW, "What came of the execution cannot be read"),
    Outcome.STOPPED: ("stopped", _GREY, "The execution was stopped"),
}


def label_of(report: Report, *, alone: bool) -> Label | None:
    """None while nothing has come of it. Where the project has several pipelines (not `alone`)
    each has labels of its own."""
    if report.verdict is None or report.state is not State.FINAL:
        return None
    if report.verdict.outcome not in _WORDS:
        return None
    word, color, description = _WORDS[report.verdict.outcome]
    return Label(name=_name(report, word, alone=alone), color=color, description=description)


def post_label(forge: Labels, pull_request: int, report: Report, *, alone: bool) -> None:
    """Bring the pull request's own label to the report's. ForgeError where the forge refuses."""
    wanted = label_of(report, alone=alone)
    own = {_name(report, word, alone=alone).lower() for word, _, _ in _WORDS.values()}
    there = forge.labels(pull_request)
    for name in there:
        if name.lower() in own and (wanted is None or name.lower() != wanted.name.lower()):
            forge.remove_label(pull_request, name)
    if wanted is not None and wanted.name.lower() not in {name.lower() for name in there}:
        forge.add_label(pull_request, wanted)


def _name(report: Report, word: str, *, alone: bool) -> str:
    """`sagemaker: gate failed`, or `sagemaker abalone: gate failed`."""
    room = _LONGEST - len(_PREFIX) - len(word) - 3
    of = "" if alone else f" {clean(report.pipeline)[:room]}"
    return f"{_PREFIX}{of}: {word}"
