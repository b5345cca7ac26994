"""What the loopback GitHub answers to each call, and what it refuses."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from support.github import REPOSITORY, Answer, FakeGitHub, Request

BODY_LIMIT = 65_536
SUMMARY_LIMIT = 65_535
# The most commits that GitHub lists of a pull request, the oldest.
LISTED = 250
SHAPES: dict[str, Any] = json.loads(Path(__file__).with_name("github_shapes.json").read_text())
WEB = f"https://github.example/{REPOSITORY}"
NOW = "2026-03-02T09:00:00Z"
Json = dict[str, Any]
Route = Callable[..., Answer]


def answer_user(request: Request) -> Answer:
    if request.login in request.github.apps:
        return _forbidden()
    return 200, {**SHAPES["public-user"], "login": request.login, "type": "User"}


def answer_repository(request: Request) -> Answer:
    for method, pattern, permission, route in ROUTES:
        found = re.fullmatch(pattern, request.path) if method == request.method else None
        if found is None:
            continue
        reads = request.method == "GET"
        if not reads and request.login in request.github.readers:
            return _forbidden()
        if permission in request.github.denied and not (reads and permission in _PUBLIC):
            return _forbidden()
        return route(request, *map(unquote, found.groups()))
    return _absent()


# Anyone may read these of a public repository.
_PUBLIC = frozenset(
    {"actions", "issues", "pull-requests", "contents", "checks", "deployments", "statuses"}
)


def _forbidden(said: str = "Resource not accessible by integration") -> Answer:
    return 403, {"message": said}


def _absent(said: str = "Not Found") -> Answer:
    return 404, {"message": said}


def _invalid(field: str, said: str, code: str = "custom") -> Answer:
    error = {"resource": "Resource", "code": code, "field": field, "message": said}
    about = "https://docs.github.com/rest"
    return 422, {"message": "Validation Failed", "errors": [error], "documentation_url": about}


def _full(name: str, *given: Mapping[str, Any]) -> Any:
    """A whole body of its kind, with what is given in it."""
    made = deepcopy(SHAPES[name])
    for each in given:
        _merge(made, each)
    return made


def _merge(made: Json, given: Mapping[str, Any]) -> None:
    for key, value in given.items():
        if isinstance(value, Mapping) and isinstance(made.get(key), dict):
            _merge(made[key], value)
        else:
            made[key] = value


def _user(github: FakeGitHub, login: str | None) -> Json | None:
    if login is None:
        return None
    kind = "Bot" if login in github.apps else "User"
    found: Json = _full("simple-user", {"login": login, "type": kind})
    return found


def list_comments(request: Request, number: str) -> Answer:
    found = [c for c in request.github.comments.values() if c["pull"] == int(number)]
    return 200, [_comment(request.github, each) for each in found]


def create_comment(request: Request, number: str) -> Answer:
    if len(request.body["body"]) > BODY_LIMIT:
        return _too_long()
    made = request.github.add_comment(int(number), request.login, request.body["body"])
    return 201, _comment(request.github, request.github.comments[made])


def read_comment(request: Request, number: str) -> Answer:
    found = request.github.comments.get(int(number))
    return _absent() if found is None else (200, _comment(request.github, found))


def update_comment(request: Request, number: str) -> Answer:
    found = request.github.comments.get(int(number))
    if found is None:
        return _absent()
    if len(request.body["body"]) > BODY_LIMIT:
        return _too_long()
    found["body"] = request.body["body"]
    request.github.date(int(number))
    return 200, _comment(request.github, found)


def delete_comment(request: Request, number: str) -> Answer:
    gone = request.github.comments.pop(int(number), None)
    return _absent() if gone is None else (204, None)


_TOLD = ("id", "node_id", "body", "html_url", "created_at", "updated_at")


def _comment(github: FakeGitHub, found: Json) -> Json:
    told = {key: found[key] for key in _TOLD}
    made: Json = _full("issue-comment", {**told, "user": _user(github, found["user"])})
    return made


def _too_long() -> Answer:
    return _invalid("data", f"Body is too long (maximum is {BODY_LIMIT} characters)")


def react(request: Request, number: str) -> Answer:
    if int(number) not in request.github.comments:
        return _absent()
    given = request.github.reactions.setdefault(int(number), [])
    mine = (request.login, request.body["content"])
    there = mine in given
    if not there:
        given.append(mine)
    made = {"user": _user(request.github, request.login), "content": request.body["content"]}
    return 200 if there else 201, _full("reaction", made)


def list_issue_labels(request: Request, number: str) -> Answer:
    return 200, [
        _label(request.github, name) for name in request.github.labelled.get(int(number), [])
    ]


def add_issue_labels(request: Request, number: str) -> Answer:
    there = request.github.labelled.setdefault(int(number), [])
    for name in request.body["labels"]:
        request.github.labels.setdefault(name, {"color": "ededed", "description": ""})
        if name.lower() not in {each.lower() for each in there}:
            there.append(name)
    return list_issue_labels(request, number)


def remove_issue_label(request: Request, number: str, name: str) -> Answer:
    there = request.github.labelled.get(int(number), [])
    if name not in there:
        return _absent("Label does not exist")
    there.remove(name)
    return list_issue_labels(request, number)


def read_label(request: Request, name: str) -> Answer:
    known = name in request.github.labels
    return (200, _label(request.github, name)) if known else _absent()


def create_label(request: Request) -> Answer:
    name = request.body["name"]
    if name in request.github.labels:
        return _invalid("name", "", code="already_exists")
    if len(name) > 50:
        return _invalid("name", "is too long (maximum is 50 characters)")
    request.github.labels[name] = {key: request.body[key] for key in ("color", "description")}
    return 201, _label(request.github, name)


def _label(github: FakeGitHub, name: str) -> Json:
    made: Json = _full("label", {"name": name, **github.labels[name]})
    return made


def list_pulls(request: Request) -> Answer:
    found = request.github.pulls.get(request.query["head"], [])
    return 200, [_full("pull-request-simple", _known_pull(each)) for each in found]


def read_pull(request: Request, number: str) -> Answer:
    found = request.github.requested.get(int(number))
    return _absent() if found is None else (200, _full("pull-request", _known_pull(found)))


def _known_pull(given: Json) -> Json:
    """Users are named alone by the tests; a whole one takes more."""
    user = given.get("user", {"login": "octocat"})
    whole = None if user is None else _full("simple-user", {"type": "User"}, user)
    return {"state": "open", "html_url": f"{WEB}/pull/{given['number']}", **given, "user": whole}


def list_pull_commits(request: Request, number: str) -> Answer:
    return 200, _commits(request.github.commits.get(int(number), [])[:LISTED])


def list_commit_pulls(request: Request, commit: str) -> Answer:
    if commit not in request.github.pulls:
        return 422, {"message": f"No commit found for SHA: {commit}"}
    found = request.github.pulls[commit]
    return 200, [_full("pull-request-simple", _known_pull(each)) for each in found]


def compare(request: Request, _base: str, head: str) -> Answer:
    for shas in request.github.commits.values():
        if shas and shas[-1] == head:
            return 200, _full("commit-comparison", {"commits": _commits(shas)})
    return _absent()


def _commits(shas: list[str]) -> list[Any]:
    return [_full("commit", {"sha": sha}) for sha in shas]


def list_statuses(request: Request, commit: str) -> Answer:
    newest_first = reversed(request.github.statuses.get(commit, []))
    return 200, [_full("status", each) for each in newest_first]


def create_status(request: Request, commit: str) -> Answer:
    if len(request.body["description"]) > 140:
        return _invalid("description", "is too long (maximum is 140 characters)")
    request.github.statuses.setdefault(commit, []).append(request.body)
    return 201, _full("status", request.body)


def list_check_runs(request: Request, commit: str) -> Answer:
    found = [
        run for run in request.github.checks(commit) if run["name"] == request.query["check_name"]
    ]
    newest_first = [_check_run(request.github, run) for run in reversed(found)]
    return 200, {"total_count": len(found), "check_runs": newest_first}


def create_check_run(request: Request) -> Answer:
    if request.login not in request.github.apps:
        return _forbidden("You must authenticate via a GitHub App.")
    number = request.github.next_number()
    made = {
        "id": number,
        "head_sha": request.body["head_sha"],
        "by": request.login,
        "annotations": [],
    }
    return _write_check_run(request, made, 201)


def update_check_run(request: Request, number: str) -> Answer:
    found = request.github.check_runs.get(int(number))
    if found is None:
        return _absent()
    if found["by"] != request.login:
        return _forbidden("Invalid app_id: check run can only be modified by its GitHub App.")
    return _write_check_run(request, found, 200)


def _write_check_run(request: Request, run: Json, status: int) -> Answer:
    output = request.body.get("output", {})
    if len(output.get("annotations", [])) > 50:
        return _invalid("annotations", "exceeds a maximum quantity of 50")
    if len(output.get("summary", "").encode()) > SUMMARY_LIMIT:
        return _invalid("summary", f"Only {SUMMARY_LIMIT} characters are allowed")
    written = {key: value for key, value in request.body.items() if key != "output"}
    if run.get("status") == "completed":
        # What is completed stays so, as it is.
        written = {
            key: value for key, value in written.items() if key not in {"status", "conclusion"}
        }
    run.update({"conclusion": None, **run, **written})
    run.update({key: output[key] for key in ("title", "summary") if key in output})
    run["annotations"] += output.get("annotations", [])
    request.github.check_runs[run["id"]] = run
    return status, _check_run(request.github, run)


def _check_run(github: FakeGitHub, run: Json) -> Json:
    told = ("id", "head_sha", "name", "external_id", "details_url", "status", "conclusion")
    known = {key: run[key] for key in told if key in run}
    output = {
        "title": run.get("title"),
        "summary": run.get("summary"),
        "annotations_count": len(run["annotations"]),
    }
    slug = run["by"].removesuffix("[bot]")
    app = _full("nullable-integration", {"slug": slug, "owner": _user(github, "octocat")})
    made: Json = _full("check-run", known, {"output": output, "app": app})
    return made


def list_annotations(request: Request, number: str) -> Answer:
    found = request.github.check_runs.get(int(number))
    if found is None:
        return _absent()
    return 200, [_full("check-annotation", each) for each in found["annotations"]]


def list_deployments(request: Request) -> Answer:
    wanted = {
        key: request.query[key] for key in ("environment", "task", "sha") if key in request.query
    }
    found = [
        each
        for each in request.github.deployments.values()
        if all(each[key] == value for key, value in wanted.items())
    ]
    return 200, [_deployment(request.github, each) for each in reversed(found)]


def create_deployment(request: Request) -> Answer:
    given = request.body
    if given.get("auto_merge", True) or given.get("required_contexts") != []:
        return 409, {"message": "Conflict: Commit status checks failed for main."}
    number = request.github.next_number()
    keys = ("task", "environment", "payload", "description", "production_environment")
    made = {"id": number, "sha": given["ref"], "by": request.login, "statuses": []}
    request.github.deployments[number] = {**made, **{key: given[key] for key in keys}}
    return 201, _deployment(request.github, request.github.deployments[number])


def _deployment(github: FakeGitHub, found: Json) -> Json:
    told = ("id", "sha", "task", "environment", "payload", "description", "production_environment")
    known = {key: found[key] for key in told}
    creator = _user(github, found["by"])
    made: Json = _full("deployment", {**known, "ref": found["sha"], "creator": creator})
    return made


def list_deployment_statuses(request: Request, number: str) -> Answer:
    found = request.github.deployments.get(int(number))
    if found is None:
        return _absent()
    return 200, [_full("deployment-status", each) for each in reversed(found["statuses"])]


def create_deployment_status(request: Request, number: str) -> Answer:
    found = request.github.deployments.get(int(number))
    if found is None:
        return _absent()
    given = {key: value for key, value in request.body.items() if key != "auto_inactive"}
    if len(given["description"]) > 140:
        return _invalid("description", "is too long (maximum is 140 characters)")
    found["statuses"].append(given)
    if given["state"] == "success" and request.body.get("auto_inactive", True):
        for other in request.github.deployments.values():
            if other is not found and other["environment"] == found["environment"]:
                other["statuses"].append({"state": "inactive", "description": ""})
    return 201, _full("deployment-status", given)


def read_permission(request: Request, login: str) -> Answer:
    role = request.github.roles.get(login)
    if role is None:
        return _absent(f"{login} is not a user")
    base = {"maintain": "write", "triage": "read"}.get(role, role)
    return 200, _full("repository-collaborator-permission", {"permission": base, "role_name": role})


def list_activity(request: Request) -> Answer:
    newest_first = reversed(request.github.pushes)
    found = [each for each in newest_first if each["ref"] == request.query["ref"]]
    return 200, [_full("activity", each) for each in found]


def list_run_approvals(request: Request, run: str) -> Answer:
    """GitHub lists the newest first."""
    given = reversed(request.github.reviews.get(int(run), []))
    return 200, [
        _full(
            "environment-approvals",
            {
                "state": state,
                "user": _user(request.github, login),
                "environments": [{"name": name} for name in places or ["production"]],
            },
        )
        for login, state, *places in given
    ]


def _routes() -> Iterator[tuple[str, str, str, Route]]:
    """Method, path, the permission it takes, and what answers."""
    yield "GET", r"/issues/(\d+)/comments", "pull-requests", list_comments
    yield "POST", r"/issues/(\d+)/comments", "pull-requests", create_comment
    yield "GET", r"/issues/comments/(\d+)", "pull-requests", read_comment
    yield "PATCH", r"/issues/comments/(\d+)", "pull-requests", update_comment
    yield "DELETE", r"/issues/comments/(\d+)", "pull-requests", delete_comment
    yield "POST", r"/issues/comments/(\d+)/reactions", "pull-requests", react
    yield "GET", r"/issues/(\d+)/labels", "issues", list_issue_labels
    yield "POST", r"/issues/(\d+)/labels", "issues", add_issue_labels
    yield "DELETE", r"/issues/(\d+)/labels/([^/]+)", "issues", remove_issue_label
    yield "GET", r"/labels/([^/]+)", "issues", read_label
    yield "POST", r"/labels", "issues", create_label
    yield "GET", r"/pulls", "pull-requests", list_pulls
    yield "GET", r"/pulls/(\d+)", "pull-requests", read_pull
    yield "GET", r"/pulls/(\d+)/commits", "pull-requests", list_pull_commits
    yield "GET", r"/commits/([^/]+)/pulls", "contents", list_commit_pulls
    yield "GET", r"/compare/([^/]+)\.\.\.([^/]+)", "contents", compare
    yield "GET", r"/commits/([^/]+)/statuses", "statuses", list_statuses
    yield "POST", r"/statuses/([^/]+)", "statuses", create_status
    yield "GET", r"/commits/([^/]+)/check-runs", "checks", list_check_runs
    yield "POST", r"/check-runs", "checks", create_check_run
    yield "PATCH", r"/check-runs/(\d+)", "checks", update_check_run
    yield "GET", r"/check-runs/(\d+)/annotations", "checks", list_annotations
    yield "GET", r"/deployments", "deployments", list_deployments
    yield "POST", r"/deployments", "deployments", create_deployment
    yield "GET", r"/deployments/(\d+)/statuses", "deployments", list_deployment_statuses
    yield "POST", r"/deployments/(\d+)/statuses", "deployments", create_deployment_status
    yield "GET", r"/collaborators/([^/]+)/permission", "metadata", read_permission
    yield "GET", r"/activity", "contents", list_activity
    yield "GET", r"/actions/runs/(\d+)/approvals", "actions", list_run_approvals


ROUTES = tuple(_routes())
