"""A step's log, its last lines or what is new: which CloudWatch group and stream, across pages."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ci.errors import AwsError
from ci.sagemaker.arn import resource_name
from ci.sagemaker.clients import Clients
from ci.sagemaker.model import StepSnapshot
from ci.sagemaker.retry import is_gone

_SERVICE = "logs"
_PAGES = 20  # at most, for one tail
_NEW_PAGES = 5  # at most, for what is new in one stream at once
_FIRST_LINES = 100  # of a stream that is met for the first time
_LOOK_AGAIN = 6  # every so many times, a step is asked for further streams

# Group by the resource type in the job's ARN; streams start with `<job name>/`.
_GROUPS: Mapping[str, str] = {
    "processing-job": "/aws/sagemaker/ProcessingJobs",
    "training-job": "/aws/sagemaker/TrainingJobs",
    "transform-job": "/aws/sagemaker/TransformJobs",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPlace:
    """`prefix` None: the group's streams in which something happened last (Lambda)."""

    group: str
    prefix: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogCursor:
    """How far a step's log was read: a token for each stream, and how often it was asked for."""

    tokens: Mapping[str, str | None] = field(default_factory=dict)
    asked: int = 0


def find_place(step: StepSnapshot) -> LogPlace | None:
    """Where the step's log is; None for steps that write none."""
    if step.job is None:
        return None
    if ":lambda:" in step.job:
        return LogPlace(group=f"/aws/lambda/{resource_name(step.job)}", prefix=None)
    kind = step.job.split(":", 5)[-1].partition("/")[0]
    group = _GROUPS.get(kind)
    return None if group is None else LogPlace(group=group, prefix=f"{resource_name(step.job)}/")


class Logs:
    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def tail(self, step: StepSnapshot, *, lines: int = 50) -> tuple[str, ...]:
        """The last `lines` of the step's log, oldest first; empty if it wrote none.

        Of several streams (hosts of one job) each gives its own last lines, under its name.
        """
        place = find_place(step)
        if place is None:
            return ()
        try:
            streams = self._streams(place, step)
            tails = [(name, self._tail(place.group, name, step, lines)) for name in streams]
        except AwsError as error:
            if is_gone(error):
                return ()
            raise
        if len(tails) == 1:
            return tails[0][1]
        return tuple(line for name, tail in tails if tail for line in (f"[{name}]", *tail))

    def advance(self, step: StepSnapshot, cursor: LogCursor) -> tuple[LogCursor, tuple[str, ...]]:
        """What the step wrote since `cursor`, and the cursor after it; at first its last lines.

        At most one listing and `_NEW_PAGES` pages a stream: more is there the next time. Of
        several streams each line bears its stream's name.
        """
        place = find_place(step)
        if place is None:
            return cursor, ()
        tokens = dict(cursor.tokens)
        lines: list[str] = []
        try:
            # A function may write each of its calls to another stream.
            if not tokens or place.prefix is None or cursor.asked % _LOOK_AGAIN == 0:
                tokens = dict.fromkeys(self._streams(place, step)) | tokens
            for stream, token in tokens.items():
                tokens[stream], found = self._new(place.group, stream, step, token)
                label = f"[{stream.rpartition('/')[2]}] " if len(tokens) > 1 else ""
                lines += [label + line for line in found]
        except AwsError as error:
            if not is_gone(error):
                raise
        return LogCursor(tokens=tokens, asked=cursor.asked + 1), tuple(lines)

    def _new(
        self, group: str, stream: str, step: StepSnapshot, token: str | None
    ) -> tuple[str | None, list[str]]:
        request = _events_request(group, stream, step)
        request |= {"limit": _FIRST_LINES} if token is None else {"nextToken": token}
        lines: list[str] = []
        for _ in range(_NEW_PAGES):
            answer = self._clients.call(
                _SERVICE, "GetLogEvents", request, where=f"{group}/{stream}"
            )
            lines += _lines(answer)
            following = answer.get("nextForwardToken") or token
            if token is None or following == token:
                return following, lines
            token = following
            request["nextToken"] = token
        return token, lines

    def _streams(self, place: LogPlace, step: StepSnapshot) -> list[str]:
        if place.prefix is not None:
            found = self._describe(place.group, {"logStreamNamePrefix": place.prefix})
            return [item["logStreamName"] for item in found][:8]
        since = 0 if step.started is None else int(step.started.timestamp() * 1000) - 1000
        names: list[str] = []
        for item in self._describe(place.group, {"orderBy": "LastEventTime", "descending": True}):
            last = item.get("lastEventTimestamp") or item.get("lastIngestionTime") or 0
            if (last and last < since) or len(names) >= 3:
                break
            names.append(item["logStreamName"])
        return names[::-1]

    def _describe(self, group: str, request: Mapping[str, object]) -> Iterator[dict[str, Any]]:
        return self._clients.pages(
            _SERVICE,
            "DescribeLogStreams",
            {"logGroupName": group, **request},
            items="logStreams",
            where=group,
            token=("nextToken", "nextToken"),
        )

    def _tail(self, group: str, stream: str, step: StepSnapshot, lines: int) -> tuple[str, ...]:
        """Pages from the end backwards: a page may be empty although earlier ones are not."""
        request = _events_request(group, stream, step) | {"limit": min(lines, 10_000)}
        found: list[str] = []
        for _ in range(_PAGES):
            answer = self._clients.call(
                _SERVICE, "GetLogEvents", request, where=f"{group}/{stream}"
            )
            found = _lines(answer) + found
            token = answer.get("nextBackwardToken")
            if len(found) >= lines or not token or token == request.get("nextToken"):
                break
            request["nextToken"] = token
        return tuple(found[-lines:])


def _events_request(group: str, stream: str, step: StepSnapshot) -> dict[str, object]:
    request: dict[str, object] = {
        "logGroupName": group,
        "logStreamName": stream,
        "startFromHead": False,
    }
    return request | _window(step) if ":lambda:" in (step.job or "") else request


def _lines(answer: Mapping[str, Any]) -> list[str]:
    messages = [event["message"].rstrip("\n") for event in answer.get("events") or ()]
    return [line for text in messages for line in text.splitlines()]


def _window(step: StepSnapshot) -> dict[str, object]:
    """A function's stream serves many calls: only those within the step's time count."""
    window: dict[str, object] = {}
    if step.started is not None:
        window["startTime"] = int(step.started.timestamp() * 1000) - 1000
    if step.ended is not None:
        window["endTime"] = int(step.ended.timestamp() * 1000) + 5000
    return window
