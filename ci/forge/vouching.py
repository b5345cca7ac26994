"""Asks the forge what CodeBuild does not tell of a pull request: whence and whither it goes."""

from dataclasses import replace
from typing import TYPE_CHECKING

from ci.trigger.model import Door, Trigger

if TYPE_CHECKING:
    from ci.forge.model import Forge


def is_doubtful(trigger: Trigger) -> bool:
    """Whether it counts as a fork's only because nothing shows the contrary, or what it counts
    from is not known."""
    if trigger.door is not Door.CODEBUILD or trigger.pull_request is None:
        return False
    return trigger.from_fork or trigger.base is None


def ask_where_from(forge: "Forge", trigger: Trigger) -> Trigger:
    """The trigger with the forge's answer. A pull request never changes the repository that it
    comes from, so that its head may have moved on. ForgeError where the forge does not tell."""
    if trigger.pull_request is None:
        return trigger
    found = forge.pull_request(trigger.pull_request)
    return replace(
        trigger,
        from_fork=trigger.from_fork and found.from_fork,
        branch=trigger.branch or found.branch or None,
        base=trigger.base or found.base or None,
    )
