"""`auto`: from a trigger and the environments to one action."""

from pathlib import Path

import pytest
from support.scratch import PROJECT

from ci.delivery.choosing import Action, choose_action
from ci.errors import UsageError
from ci.project.load import load_project
from ci.project.model import Project
from ci.trigger.model import Door, Event, Trigger

MORE = """
  staging: {pipeline_name: "{pipeline}-staging"}
  preview: {pipeline_name: "{pipeline}-preview-{pull_request}", run: false}
  paper: {pipeline_name: "{pipeline}-paper", run: false}
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "sagemaker-gitops.yaml").write_text(PROJECT.rstrip() + MORE)
    (tmp_path / "definition.json").write_text("{}")
    return load_project(tmp_path / "sagemaker-gitops.yaml")


def trigger(event: Event, **more: object) -> Trigger:
    settled = {"door": Door.GITHUB_ACTIONS, "commit": "c" * 40, "branch": "topic", **more}
    return Trigger(event=event, **settled)  # type: ignore[arg-type]


PULL = {"pull_request": 7}
MAIN = {"branch": "main", "is_default_branch": True}
FORK = {"pull_request": 7, "from_fork": True}


@pytest.mark.parametrize(
    ("event", "more", "named", "action", "environment"),
    [
        (Event.PULL_REQUEST, PULL, None, Action.RUN, "pull_request"),
        (Event.PULL_REQUEST, PULL, "preview", Action.PLAN, "preview"),
        (Event.PULL_REQUEST, PULL, "main", Action.PLAN, "main"),
        (Event.PULL_REQUEST, PULL, "staging", Action.PLAN, "staging"),
        (Event.PULL_REQUEST, FORK, None, Action.PLAN, "pull_request"),
        (Event.PULL_REQUEST_CLOSED, PULL, None, Action.CLEANUP, "pull_request"),
        (Event.PULL_REQUEST_CLOSED, FORK, None, Action.NOTHING, None),
        (Event.PUSH, MAIN, None, Action.RUN, "main"),
        (Event.PUSH, MAIN, "paper", Action.PLAN, "paper"),
        (Event.PUSH, {}, None, Action.NOTHING, None),
        (Event.PUSH, {"branch": None}, None, Action.NOTHING, None),
        (Event.PUSH, {}, "staging", Action.RUN, "staging"),
        (Event.SCHEDULE, MAIN, None, Action.RUN, "main"),
        (Event.MANUAL, MAIN, None, Action.RUN, "main"),
        (Event.MANUAL, {}, "staging", Action.RUN, "staging"),
        (Event.MANUAL, PULL, None, Action.RUN, "pull_request"),
        (Event.MANUAL, PULL, "main", Action.PLAN, "main"),
        (Event.COMMENT, FORK, None, Action.CHAT, None),
        (Event.COMMENT, {"branch": None}, None, Action.NOTHING, None),
        (Event.DELETION, {}, "staging", Action.NOTHING, None),
        (Event.OTHER, MAIN, None, Action.NOTHING, None),
        (Event.OTHER, MAIN, "staging", Action.RUN, "staging"),
        (Event.APPROVAL, MAIN, None, Action.APPROVALS, None),
        (Event.MERGE_GROUP, PULL, None, Action.NOTHING, None),
        (Event.WORKFLOW_RUN, FORK, None, Action.NOTHING, None),
    ],
)
def test_what_a_trigger_asks_for(
    project: Project,
    event: Event,
    more: dict[str, object],
    named: str | None,
    action: Action,
    environment: str | None,
) -> None:
    credentials = not more.get("from_fork")
    choice = choose_action(project, trigger(event, **more), named=named, credentials=credentials)
    assert (choice.action, choice.environment) == (action, environment)
    assert choice.reason


@pytest.mark.parametrize("event", list(Event))
@pytest.mark.parametrize("named", [None, "main", "staging", "paper", "pull_request", "preview"])
def test_a_pull_request_never_runs_in_a_shared_environment(
    project: Project, event: Event, named: str | None
) -> None:
    choice = choose_action(project, trigger(event, **PULL), named=named)
    if choice.action is Action.RUN:
        assert choice.environment == "pull_request"
    fork = choose_action(project, trigger(event, **FORK), named=named)
    assert fork.action is not Action.RUN


def test_only_changes_of_code_look_at_what_they_touch(project: Project) -> None:
    def touched(event: Event, **more: object) -> bool:
        return choose_action(project, trigger(event, **more)).touched

    assert touched(Event.PUSH, **MAIN)
    assert touched(Event.PULL_REQUEST, **PULL)
    assert not touched(Event.SCHEDULE, **MAIN)


def test_an_unknown_environment_is_refused_before_anything_else(project: Project) -> None:
    with pytest.raises(UsageError, match="pull_requst"):
        choose_action(project, trigger(Event.COMMENT, **FORK), named="pull_requst")


def test_a_run_by_hand_on_a_branch_needs_an_environment(project: Project) -> None:
    with pytest.raises(UsageError, match="no environment follows"):
        choose_action(project, trigger(Event.MANUAL))
