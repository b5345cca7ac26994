"""The function that CodePipeline invokes: `ci.door.codepipeline.handler`.

Every job is answered, and answered once: by what came of it, by a timer where the function's time
is nearly up, or by a failure where something breaks. An invocation that comes twice finds the
execution of the first, and an answer that comes second changes nothing.
"""

import os
import tempfile
import time
import traceback
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from ci.delivery.polling import is_passing
from ci.door.answer import Answer, answer_bug, answer_error, answer_late, answer_trouble
from ci.door.approving import answer_approval, follow_event
from ci.door.delivering import Delivering
from ci.door.invocation import Invocation, job_of, parse_invocation, secrets_of
from ci.door.once import Once
from ci.door.progress import Progress, decode
from ci.door.settings import Command, parse_settings
from ci.door.source import sweep
from ci.door.world import World, open_world
from ci.errors import AwsError, GitOpsError
from ci.sagemaker.codepipeline import CodePipeline, Success


class Context(Protocol):
    """What Lambda hands to a handler beside the event."""

    def get_remaining_time_in_millis(self) -> int: ...


class Unanswered(Exception):
    """An event came to no answer. Its words are masked."""


def handler(event: Mapping[str, Any], context: Context) -> dict[str, object]:
    """Answer one event. It returns what was answered; it raises where no answer could be given,
    so that Lambda invokes it again."""

    def left() -> float:
        return context.get_remaining_time_in_millis() / 1000

    world = open_world(os.environ, left, secrets_of(event))
    sweep(Path(tempfile.gettempdir()), now=time.time())
    return answer_event(event, world)


def answer_event(event: Mapping[str, Any], world: World) -> dict[str, object]:
    """As `handler`, in this world. What Lambda writes into the log by itself, the last words of an
    invocation that failed, holds no secret either: Unanswered."""
    job = job_of(event)
    try:
        done = follow_event(event, world) if job is None else answer_job(job, event, world)
        return world.redactor.value(done)
    except Exception as error:  # noqa: BLE001  # whatever it is, its words are masked
        if not isinstance(error, GitOpsError):
            world.say(traceback.format_exc())
        raise Unanswered(world.hidden(f"{type(error).__name__}: {error}")) from None


def answer_job(job: str, event: Mapping[str, Any], world: World) -> dict[str, object]:
    """Do one call's part of a job, and answer it."""
    work = _Work(world)
    service = CodePipeline(world.clients())
    hide = world.redactor.text
    with Once(service, job, left=world.left(), late=work.late, hide=hide) as once:
        taken = once.give(work.answer(event))
    told = world.hidden(_shown(once.given))
    world.say(f"Job {job}: {told}" + ("" if taken else " (answered before)"))
    return {"job": job, "answer": told, "taken": taken}


class _Work:
    """What is known of a job at any moment, for whoever has to answer it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._seconds = world.left()
        self._began = Progress(began=world.clock())
        self._delivering: Delivering | None = None

    def answer(self, event: Mapping[str, Any]) -> Answer:
        try:
            return self._answer(parse_invocation(event))
        except AwsError as error:
            if is_passing(error):
                return answer_trouble(self._progress, error, now=self._world.clock())
            return answer_error(error, self._started)
        except GitOpsError as error:
            return answer_error(error, self._started)
        except Exception as error:  # noqa: BLE001  # whatever it is, the job is answered
            self._world.say(traceback.format_exc())
            return answer_bug(error, self._started)

    def late(self) -> Answer:
        return answer_late(self._progress, seconds=self._seconds)

    def _answer(self, invocation: Invocation) -> Answer:
        now = self._world.clock()
        self._began = decode(invocation.continuation, now=now)
        settings = parse_settings(invocation.parameters)
        if settings.command is Command.APPROVE:
            return answer_approval(settings, self._world)
        self._delivering = Delivering(
            invocation=invocation, settings=settings, world=self._world, progress=self._began
        )
        return self._delivering.answer()

    @property
    def _progress(self) -> Progress:
        return self._began if self._delivering is None else self._delivering.progress

    @property
    def _started(self) -> Progress:
        """With what was started so far, also where that is not all."""
        if self._delivering is None or not self._delivering.started:
            return self._progress
        return replace(self._progress, executions=tuple(self._delivering.started))


def _shown(answer: Answer | None) -> str:
    match answer:
        case None:
            return "none"
        case Success(continuation=None):
            return f"succeeded: {answer.summary}"
        case Success():
            return f"goes on: {answer.summary}"
        case _:
            return f"{answer.kind}: {answer.message}"
