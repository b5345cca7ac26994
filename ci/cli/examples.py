"""What stands below a command's options: examples, and what its exit codes mean of its own."""

from collections.abc import Iterator, Mapping

EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "init": ("--region eu-west-1", "--yes --reviewed"),
    "validate": ("", "abalone --compile"),
    "deploy": ("abalone --local", "--plan build/plan"),
    "auto": ("", "--deadline 6h"),
    "plan": ("--out build/plan", "abalone --pull-request 7 --markdown plan.md"),
    "status": ("abalone --executions 10",),
    "drift": ("", "abalone --fix"),
    "promote": ("abalone --to 7", "abalone --to 1a2b3c4 --alias staging"),
    "rollback": ("abalone", "abalone --to 6"),
    "attach": ("abalone", "--commit 1a2b3c4 --logs"),
    "report": ("abalone --format markdown", "build/report.json --format html --out report.html"),
    "stop": ("abalone", "--pull-request 7"),
    "cleanup": ("--pull-request 7",),
    "post": ("comments/",),
    "approve": ("abalone", '--pull-request 7 --reason "fits the tail as well"'),
    "reject": ('abalone --commit 1a2b3c4 --reason "old data"',),
    "approvals": ("sync", "sync --since 12h"),
    "package": ("--out function.zip",),
    "prices": ("--out prices.json",),
    "doctor": ("", "--environment main --seconds 60"),
    "bootstrap": ("--out templates", "--deploy --yes"),
    "local": ("up", "reset"),
}

# Where they say something else than the general ones, or less.
CODES: Mapping[str, str] = {
    "plan": "0 also where something changes; 1 there with --detailed-exitcode",
    "status": "0 whatever stands there",
    "drift": "1 where what is deployed differs from git, with --fix: still differs",
    "stop": "0 it has stopped; else those of the execution's end",
    "report": "0 whatever the report says",
    "approve": "0 it is decided, whatever the verdict was; 5 nothing was changed",
    "reject": "0 it is decided, whatever the verdict was; 5 nothing was changed",
    "doctor": "2 a check of project or machine fails, 6 one of AWS or forge",
}


def epilog(command: str) -> str:
    """The lines below the options of a command's help."""
    return "\n".join(_lines(command))


def _lines(command: str) -> Iterator[str]:
    yield "examples:"
    for words in EXAMPLES[command]:
        yield f"  sagemaker-gitops {command} {words}".rstrip()
    if command in CODES:
        yield f"\nexit codes: {CODES[command]}"
