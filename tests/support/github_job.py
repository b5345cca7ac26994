"""The environment of a GitHub job for a pull request, with the forge and AWS on loopback."""

import json
from pathlib import Path

from support.github import REPOSITORY


def pull_request_environ(
    folder: Path, *, number: int, commit: str, forge: str, aws: str
) -> dict[str, str]:
    """What a job of the event `pull_request` finds around it. `forge` and `aws` are addresses."""
    folder.mkdir(parents=True, exist_ok=True)
    event = {
        "action": "synchronize",
        "number": number,
        "pull_request": {
            "number": number,
            "title": "A better model",
            "head": {"sha": commit, "ref": "better", "repo": {"id": 1}},
            "base": {"sha": "0" * 40, "ref": "main", "repo": {"id": 1}},
            "user": {"login": "someone"},
        },
        "repository": {"id": 1, "full_name": REPOSITORY, "default_branch": "main"},
    }
    (folder / "event.json").write_text(json.dumps(event))
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": "pull_request",
        "GITHUB_EVENT_PATH": str(folder / "event.json"),
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_SHA": "1" * 40,
        "GITHUB_RUN_ID": str(number),
        "GITHUB_TOKEN": "t0ken",
        "GITHUB_API_URL": forge,
        "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
        "GITHUB_OUTPUT": str(folder / "outputs"),
        **aws_environ(aws),
    }


def aws_environ(address: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": address,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "AKIATEST",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "CI": "true",
    }
