"""The commands: one module each, imported when it is called.

A module has `add_arguments(parser)` and `run(arguments, shell) -> int`. Its own imports are
light; what is heavy is imported inside `run`, so that `--help` costs nothing.
"""

from collections.abc import Mapping

COMMANDS: Mapping[str, str] = {
    "init": "find the pipelines of this repository; write the project file and the workflows",
    "validate": "check the project file and the definitions it names, without AWS",
    "deploy": "compile, upsert, start the execution of this commit, follow it, judge, report",
    "local": "the local endpoint: up, down, status, reset",
}
