"""`post`: post the comments that a fork's job left in files. Needs no checkout."""

import argparse

from ci.cli.shell import Shell
from ci.errors import ExitCode, TriggerError, UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "places", nargs="+", metavar="FOLDER|FILE", help="what the fork's job uploaded"
    )


def run(arguments: argparse.Namespace, shell: Shell) -> int:
    from ci.forge.github import github_from_environment
    from ci.posting.posting import comment_files, find_pull_request, post_file
    from ci.trigger.detect import detect_trigger, read_event

    if shell.environ.get("GITHUB_EVENT_NAME") != "workflow_run":
        raise TriggerError(
            "`post` answers a workflow_run event alone",
            why="that event says which commit and pull request the files may be about",
            fix="on:\n  workflow_run:\n    types: [completed]\n"
            "    workflows: [SageMaker fork plan]",
        )
    trigger = detect_trigger(shell.environ, shell.cwd)
    forge = None
    if trigger.repository is not None:
        forge = github_from_environment(shell.environ, trigger.repository, sleep=shell.pause)
    if forge is None:
        raise UsageError("there is no token to post with", fix="github-token: ${{ github.token }}")
    files = comment_files([shell.cwd / place for place in arguments.places])
    if not files:
        return _nothing(shell, "the other workflow left no plan")
    number = find_pull_request(forge, trigger, read_event(shell.environ))
    if number is None:
        told = f"no open pull request has its head at {trigger.commit[:12]}"
        return _nothing(shell, f"{told}; a newer commit's own run posts")
    results = []
    for file in files:
        result = post_file(forge, number, file, commit=trigger.commit)
        shell.show(f"{file.name}: {result.action} on pull request {number} {result.url or ''}")
        results.append({"file": file.name, "action": result.action.value, "url": result.url})
    shell.emit({"pull_request": number, "comments": results})
    return int(ExitCode.OK)


def _nothing(shell: Shell, why: str) -> int:
    shell.show(f"Nothing to post: {why}")
    shell.emit({"pull_request": None, "comments": []})
    return int(ExitCode.OK)
