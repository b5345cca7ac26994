"""Answers a comment on a pull request: obeys its order, or says why not.

    eyes        the order was read, and is obeyed
    +1          done
    -1          not done: the answer says why, to those who may give orders
    confused    meant for this program, and not understood

Code of a pull request is only run where the job has checked out exactly the commit that is meant.
In a job on the default branch `run` and `plan` name that commit as the output `checkout`, for a
job that checks it out and asks again.
"""

import argparse
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ci.cli.shell import Shell
from ci.errors import ExitCode, ForgeError, GitOpsError

if TYPE_CHECKING:
    from ci.delivery.chat import Order
    from ci.forge.model import Conversation, Forge, PullRequest
    from ci.project.model import Project
    from ci.trigger.model import Remark, Trigger


@dataclass(frozen=True, slots=True, kw_only=True)
class _Talk:
    """Where an order was given: `forge` twice, as what keeps comments and as what knows people."""

    shell: Shell
    arguments: argparse.Namespace
    trigger: "Trigger"
    remark: "Remark"
    forge: "Forge"
    people: "Conversation"

    @property
    def number(self) -> int:
        if self.trigger.pull_request is None:
            raise ValueError("a comment is on a pull request")
        return self.trigger.pull_request

    def react(self, content: str) -> None:
        """What the forge refuses is told: the order counts more than its sign."""
        try:
            self.people.react(self.remark.id, content)
        except ForgeError as error:
            self.shell.warn(f"warning: {error}")

    def reply(self, text: str) -> None:
        from ci.forge.replies import put_reply

        try:
            put_reply(self.forge, self.number, text)
        except ForgeError as error:
            self.shell.warn(f"warning: {error}")


def answer_comment(
    arguments: argparse.Namespace, shell: Shell, project: "Project", trigger: "Trigger"
) -> int:
    """What a comment's event leads to; the exit code. A comment without an order, of a bot, or of
    someone who may not write leads to nothing."""
    from ci.delivery.chat import WRITERS, Unclear, parse_order

    remark = trigger.comment
    order = None if remark is None or remark.automated else parse_order(remark.body)
    if remark is None or order is None:
        return _silent(shell, "the comment holds no order")
    talk = _open(arguments, shell, trigger, remark)
    if talk is None:
        return _silent(shell, "this forge's comments cannot give orders, or there is no token")
    if remark.author.lower() == talk.forge.whoami().lower():
        return _silent(shell, "the comment is this program's own")
    role = talk.people.permission_of(remark.author)
    if role not in WRITERS:
        talk.react("-1")
        return _silent(shell, f"{remark.author} may not write to the repository ({role})")
    if isinstance(order, Unclear):
        return _explain(talk, order.problem)
    return _obey(talk, project, order)


def _open(
    arguments: argparse.Namespace, shell: Shell, trigger: "Trigger", remark: "Remark"
) -> _Talk | None:
    from ci.forge.model import Conversation
    from ci.forge.opening import open_forge

    forge = open_forge(trigger, shell.environ, sleep=shell.pause)
    if forge is None or not isinstance(forge, Conversation):
        return None
    return _Talk(
        shell=shell,
        arguments=arguments,
        trigger=trigger,
        remark=remark,
        forge=forge,
        people=forge,
    )


def _silent(shell: Shell, reason: str) -> int:
    from ci.cli.workflow import write_outputs

    write_outputs(shell.environ, {"changes": "false"})
    shell.say(f"Nothing to do: {reason}")
    shell.emit({"reports": [], "reason": reason})
    return int(ExitCode.OK)


def _explain(talk: _Talk, problem: str) -> int:
    from ci.delivery.chat import HELP

    talk.react("confused")
    talk.reply(f"{_address(talk)}: {problem}.\n\n{HELP}")
    talk.shell.say(f"Not understood: {problem}")
    talk.shell.emit({"reports": [], "reason": problem})
    return int(ExitCode.USAGE)


def _obey(talk: _Talk, project: "Project", order: "Order") -> int:
    talk.react("eyes")
    try:
        code = _perform(talk, project, order)
    except GitOpsError as error:
        talk.react("-1")
        talk.reply(f"{_address(talk)}: {_shown(talk, error)}")
        raise
    if code is not None:
        talk.react("+1" if code == ExitCode.OK else "-1")
    return int(code or ExitCode.OK)


def _perform(talk: _Talk, project: "Project", order: "Order") -> int | None:
    """The exit code; None where the order was handed on to another job."""
    from ci.cli import ordered
    from ci.delivery.chat import HELP, Refused, Verb, needs_time, refusal, runs_code
    from ci.forge.model import Reviewed
    from ci.project.target import find_environment, find_pipeline

    if order.verb is Verb.HELP:
        talk.reply(HELP)
        talk.shell.emit({"reports": [], "reason": "help was asked for"})
        return int(ExitCode.OK)
    if order.pipeline is not None:
        find_pipeline(project, order.pipeline)
    if order.environment is not None:
        find_environment(project, order.environment)
    pull = talk.people.pull_request(talk.number)
    pushed = None
    if needs_time(order, pull) and isinstance(talk.people, Reviewed):
        pushed = talk.people.pushed_at(pull.branch, pull.head)
    reason = refusal(order, talk.remark, pull, pushed=pushed)
    if reason is not None:
        raise Refused(f"not done: {reason}", where=f"pull request {pull.number}")
    here, trigger = _checked_out(project) == pull.head, _as_pushed(talk, pull)
    if runs_code(order):
        if not here:
            _hand_on(talk.shell, pull)
            return None
        return ordered.run_code(
            talk.arguments, talk.shell, project, trigger, order, forge=talk.forge
        )
    if here and pull.open:
        raise Refused(
            f"{order.verb} is not done in a checkout of the pull request",
            why="its own project file would say what follows",
            fix="Check out the default branch in the job that answers comments.",
        )
    return ordered.decide_or_stop(
        talk.arguments,
        talk.shell,
        trigger,
        order,
        remark=talk.remark,
        pull=pull,
        forge=talk.forge,
    )


def _checked_out(project: "Project") -> str:
    from ci.trigger.laptop import read_checkout

    return read_checkout(project.root).commit


def _hand_on(shell: Shell, pull: "PullRequest") -> None:
    from ci.cli.workflow import write_outputs

    write_outputs(shell.environ, {"checkout": pull.head})
    shell.say(f"This job has not checked out {pull.head[:12]}: a job that has is to go on")
    shell.emit({"reports": [], "checkout": pull.head})


def _as_pushed(talk: _Talk, pull: "PullRequest") -> "Trigger":
    """The trigger that a push of the pull request's head would have been."""
    from ci.trigger.model import Event

    return replace(
        talk.trigger,
        event=Event.PULL_REQUEST,
        commit=pull.head,
        base=pull.base,
        branch=pull.branch,
        is_default_branch=False,
        from_fork=pull.from_fork,
        subject=pull.title,
        comment=None,
    )


def _address(talk: _Talk) -> str:
    """Whom the answer is for, and what of, as text that does nothing."""
    from ci.report.escape import code, text

    line = talk.remark.body.partition("\n")[0]
    return f"{text(talk.remark.author, limit=60)}, on {code(line, limit=200)}"


def _shown(talk: _Talk, error: GitOpsError) -> str:
    from ci.report.escape import code, text
    from ci.text.redact import Redactor

    hide = Redactor(talk.shell.secrets).text
    parts = [text(hide(error.what), limit=600)]
    if error.why:
        parts.append(text(hide(error.why), limit=600))
    parts += [code(hide(line), limit=300) for line in (error.fix or "").splitlines()[:5]]
    return "<br>\n".join(parts)
