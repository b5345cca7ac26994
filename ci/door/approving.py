"""Approvals through the function: an action after a manual approval, and two kinds of events.

An event is a hint that something has changed. What has, is read from CodePipeline and the
registry: an event that anybody made up changes nothing.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ci.approval.approval_actions import Kept, answer_waiting, bring_answer
from ci.approval.manual_approval import PLACES, Place, parse_places
from ci.door.answer import Answer
from ci.door.outputs import variables_of
from ci.door.settings import WHERE, Settings
from ci.door.world import World
from ci.errors import UsageError
from ci.registry.decisions import ApprovalError
from ci.sagemaker.codepipeline import CodePipeline, Success
from ci.sagemaker.packages import Packages
from ci.trigger.values import checked_package

_ACTION = "CodePipeline Action Execution State Change"
_PACKAGE = "SageMaker Model Package State Change"


def answer_approval(settings: Settings, world: World) -> Answer:
    """The action after a manual approval: the packages of this pipeline execution are set as the
    approval was answered. UsageError where the action does not say which execution that is."""
    if not settings.pipeline or not settings.execution:
        raise UsageError(
            "the action does not say which pipeline execution it is of",
            where=WHERE,
            fix='{"command": "approve", "pipeline": "NAME",'
            ' "execution": "#{codepipeline.PipelineExecutionId}"}',
        )
    place = _one_place(settings.pipeline)
    kept = _bring(place, settings.execution, world)
    named = [each for each in kept if each.approval is not None]
    if not named:
        raise _undecided(place, kept)
    told = ", ".join(f"{each.package} is {each.approval}" for each in named)
    outputs = {"model-package-arn": named[0].package, "approval": str(named[0].approval)}
    return Success(summary=told, percent=100, variables=variables_of(outputs))


def _undecided(place: Place, kept: Sequence[Kept]) -> ApprovalError:
    gone = [each.package for each in kept if each.package]
    if gone:
        return ApprovalError("The model package that was to be decided on is gone", where=gone[0])
    return ApprovalError(
        "There is no answered manual approval before this action",
        where=place.pipeline,
        why=kept[0].reason if kept else None,
        fix="Let this action come after the manual approval, in the same or a later stage.",
    )


def _one_place(text: str) -> Place:
    where = f"{WHERE}: pipeline"
    places = parse_places(text, where)
    if len(places) != 1:
        raise UsageError(
            f"{text!r} names {len(places)} pipelines",
            where=where,
            why="an action is of one pipeline execution",
            fix='{"pipeline": "#{codepipeline.PipelineName}"}, or "PIPELINE/STAGE/ACTION"',
        )
    return places[0]


def follow_event(event: Mapping[str, Any], world: World) -> dict[str, object]:
    """Act on an event of EventBridge. UsageError for one that no rule of this project sends."""
    kind, detail = event.get("detail-type"), event.get("detail")
    if isinstance(detail, Mapping) and kind == _ACTION:
        return _on_action(detail, world)
    if isinstance(detail, Mapping) and kind == _PACKAGE:
        return _on_package(detail, world)
    raise UsageError(
        "the event is none that this function knows",
        why=f"it is neither a job of CodePipeline nor {_ACTION!r} nor {_PACKAGE!r}",
        fix="docs/codepipeline.md names the events, and the rules that send them.",
    )


def _on_action(detail: Mapping[str, Any], world: World) -> dict[str, object]:
    """A manual approval was answered."""
    kind = detail.get("type")
    manual = isinstance(kind, Mapping) and kind.get("category") == "Approval"
    if not manual or detail.get("state") not in {"SUCCEEDED", "FAILED"}:
        return {"ignored": "the action is no manual approval that has ended"}
    pipeline, stage, action, execution = (
        _text(detail, name) for name in ("pipeline", "stage", "action", "execution-id")
    )
    place = Place(pipeline=pipeline, stage=stage, action=action)
    if not _is_watched(place, world):
        return {"ignored": f"{PLACES} does not name {pipeline}/{stage}/{action}"}
    kept = _bring(place, execution, world)
    return {"packages": [_shown(each) for each in kept]}


def _on_package(detail: Mapping[str, Any], world: World) -> dict[str, object]:
    """A model package was approved or rejected; it may be gone by now."""
    arn = checked_package(detail.get("ModelPackageArn"), "ModelPackageArn")
    clients = world.clients()
    packages = Packages(clients)
    held = packages.find(arn)
    if held is None:
        world.say(f"Ignored {arn}: it is gone")
        return {"package": arn, "ignored": "it is gone"}
    # Its reason is repeated to CodePipeline.
    package = world.redactor.value(held)
    places = _places(world)
    answered = answer_waiting(CodePipeline(clients), packages, package, places, world.say)
    return {"package": arn, "approval": package.approval.value, "answered": answered}


def _bring(place: Place, execution: str, world: World) -> Sequence[Kept]:
    clients = world.clients()
    now = datetime.fromtimestamp(world.clock(), UTC)
    kept = bring_answer(CodePipeline(clients), Packages(clients), place, execution, now=now)
    for each in kept:
        world.say(f"{each.package or place.pipeline}: {each.approval or each.reason}")
    return kept


def _places(world: World) -> tuple[Place, ...]:
    places = parse_places(world.environ.get(PLACES, ""), PLACES)
    if not places:
        raise UsageError(
            "this function is not told which manual approvals are meant",
            where=PLACES,
            fix=f"Set the function's variable {PLACES} to PIPELINE/STAGE/ACTION.",
        )
    return places


def _is_watched(place: Place, world: World) -> bool:
    stage, action = place.stage or "", place.action or ""
    return any(
        each.pipeline == place.pipeline and each.takes(stage, action) for each in _places(world)
    )


def _text(detail: Mapping[str, Any], name: str) -> str:
    value = detail.get(name)
    if not isinstance(value, str) or not value:
        raise UsageError("the event is not as CodePipeline sends it", where=f"detail.{name}")
    return value


def _shown(kept: Kept) -> dict[str, object]:
    return {
        "package": kept.package or None,
        "approval": kept.approval.value if kept.approval else None,
        "reason": kept.reason or None,
    }
