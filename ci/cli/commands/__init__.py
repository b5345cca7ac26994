"""The commands: one module each, imported when it is called.

A module has `add_arguments(parser)` and `run(arguments, shell) -> int`. Its own imports are
light; what is heavy is imported inside `run`, so that `--help` costs nothing.
"""

from collections.abc import Mapping

COMMANDS: Mapping[str, str] = {
    "init": "find the pipelines of this repository; write the project file and the workflows",
    "validate": "check the project file and the definitions it names, without AWS",
    "deploy": "compile, upsert, start the execution of this commit, follow it, judge, report",
    "auto": "read the event and pick: plan, run, deploy, clean up",
    "plan": "what a commit changes, and what will run again; changes nothing",
    "status": "what is deployed, ran, is approved or waits, and is served; changes nothing",
    "drift": "what is deployed and not in git; --fix applies git and starts nothing",
    "promote": "move a pipeline's alias to a version, by number or commit",
    "rollback": "move a pipeline's alias back to the version before, or to any",
    "attach": "follow an execution that was started before, to its report",
    "report": "show an execution's report again, or a report from its JSON",
    "stop": "stop a running execution, and wait until it has stopped",
    "cleanup": "stop and delete what a pull request made; nothing else",
    "post": "post the comments that a fork's job left in files (from workflow_run)",
    "approve": "set a model package Approved, with who and why",
    "reject": "set a model package Rejected, with who and why",
    "approvals": "bring back what was decided elsewhere: to the endpoint and the comment",
    "package": "make the zip of a Lambda function that CodePipeline invokes",
    "prices": "write the file of prices that cost estimates take, from AWS's price list",
    "doctor": "look for what would fail later, each with its fix; change nothing",
    "bootstrap": "print or deploy what the account needs: roles, bucket, events, builds",
    "local": "the local endpoint: up, env, down, status, reset",
}
