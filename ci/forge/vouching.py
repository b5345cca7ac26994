"""Decides whether a pull request that may come from a fork does: the forge knows."""

from dataclasses import replace

from ci.forge.model import Forge
from ci.trigger.model import Door, Trigger


def is_doubtful(trigger: Trigger) -> bool:
    """Whether it counts as a fork's only because nothing shows the contrary."""
    doubtful = trigger.door is Door.CODEBUILD and trigger.pull_request is not None
    return doubtful and trigger.from_fork


def ask_where_from(forge: Forge, trigger: Trigger) -> Trigger:
    """The trigger with the forge's answer. A pull request never changes the repository that it
    comes from, so that its head may have moved on. ForgeError where the forge does not tell."""
    if trigger.pull_request is None:
        return trigger
    found = forge.pull_request(trigger.pull_request)
    branch = trigger.branch or found.branch or None
    return replace(trigger, from_fork=found.from_fork, branch=branch)
