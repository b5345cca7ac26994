"""A GitLab of one project on loopback: notes, merge requests, members, statuses. Pages by two,
checks roles and lengths, obeys quick actions as GitLab does. Asserted by its state."""

import re
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import unquote

from support.loopback_forge import PAGE, Answer, Loopback, Request, routed

PROJECT = "acme/ml/mlops"
NOTE_LIMIT = 1_000_000
# Not parsed as Markdown, as in versions before 15: a line in a fence counts where the fence is
# longer than three marks.
_COMMAND = re.compile(r"(?m)^/(close|merge|approve|assign|label)\b")
_FENCE = re.compile(r"(?ms)^```\n.+?^```$")


@dataclass
class FakeGitLab(Loopback):
    """`tokens` maps a token to a username; `readers` may not write. `members` are (username,
    access level, state). `own` is what a token tells of itself, by username; `levels` are the
    access levels of tokens."""

    tokens: dict[str, str] = field(default_factory=lambda: {"t0ken": "project_7_bot"})
    readers: set[str] = field(default_factory=set)
    notes: dict[int, dict[str, Any]] = field(default_factory=dict)
    merge_requests: dict[int, dict[str, Any]] = field(default_factory=dict)
    commits: dict[int, list[str]] = field(default_factory=dict)
    of_commit: dict[str, list[int]] = field(default_factory=dict)
    members: list[tuple[str, int, str]] = field(default_factory=list)
    labels: dict[str, dict[str, Any]] = field(default_factory=dict)
    statuses: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=dict)
    own: dict[str, dict[str, Any]] = field(default_factory=dict)
    levels: dict[str, int] = field(default_factory=dict)
    obeyed: list[str] = field(default_factory=list)
    number: int = 300

    def add_note(self, iid: int, author: str, body: str, *, system: bool = False) -> int:
        with self.lock:
            self.number += 1
            self.notes[self.number] = {
                "id": self.number,
                "body": body,
                "author": {"username": author, "id": len(author)},
                "system": system,
                "noteable_iid": iid,
            }
            return self.number

    def answer(self, request: Request) -> Answer:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        login = self.tokens.get(token)
        if login is None:
            return Answer(status=401, body={"message": "401 Unauthorized"})
        if request.method != "GET" and login in self.readers:
            return Answer(status=403, body={"message": "403 Forbidden"})
        routes = {
            "/api/v4/user": lambda: Answer(body={"username": login, "bot": True}),
            "/api/v4/personal_access_tokens/self": partial(self._self, login),
            r"/api/v4/projects/([^/]+)": partial(self._root, login),
            r"/api/v4/projects/([^/]+)(/.*)": partial(self._project, login, request),
        }
        return routed(routes, request.path) or _not_found("Project")

    def _self(self, login: str) -> Answer:
        """Of other kinds of tokens GitLab says 401 here."""
        found = self.own.get(login)
        return Answer(body=found) if found else Answer(status=401, body={"message": "401"})

    def _root(self, login: str, name: str) -> Answer:
        if unquote(name) != PROJECT:
            return _not_found("Project")
        level = self.levels.get(login)
        held = {"access_level": level, "notification_level": 3} if level is not None else None
        rights = {"project_access": held, "group_access": None}
        return Answer(body={"path_with_namespace": PROJECT, "permissions": rights})

    def _project(self, login: str, request: Request, name: str, path: str) -> Answer:
        if unquote(name) != PROJECT:
            return _not_found("Project")
        routes = {
            r"/merge_requests/(\d+)": partial(self._one, request),
            "/labels": partial(self._label, request),
            r"/merge_requests/(\d+)/commits": partial(self._commits, request),
            r"/merge_requests/(\d+)/notes": partial(self._notes, login, request),
            r"/merge_requests/(\d+)/notes/(\d+)": partial(self._note, login, request),
            r"/repository/commits/([^/]+)/merge_requests": partial(self._of_commit, request),
            "/members/all": partial(self._members, request),
            r"/statuses/([^/]+)": partial(self._status, request),
            r"/repository/commits/([^/]+)/statuses": partial(self._statuses, request),
        }
        return routed(routes, path) or _not_found("Page")

    def _one(self, request: Request, iid: str) -> Answer:
        found = self.merge_requests.get(int(iid))
        if found is None:
            return _not_found("Merge Request")
        if request.method == "PUT":
            for name in filter(None, [request.body.get("add_labels")]):
                found["labels"] = [*dict.fromkeys([*found["labels"], name])]
                self.labels.setdefault(name, {"name": name, "color": "#chosen"})
            gone = request.body.get("remove_labels")
            found["labels"] = [name for name in found["labels"] if name != gone]
        return Answer(body=found)

    def _label(self, request: Request) -> Answer:
        if request.body["name"] in self.labels:
            return Answer(status=409, body={"message": "Label already exists"})
        self.labels[request.body["name"]] = request.body
        return Answer(status=201, body=request.body)

    def _commits(self, request: Request, iid: str) -> Answer:
        newest_first = [{"id": sha} for sha in reversed(self.commits.get(int(iid), []))]
        return self._page(newest_first, request)

    def _of_commit(self, request: Request, sha: str) -> Answer:
        if sha not in self.of_commit:
            return _not_found("Commit")
        return self._page([self.merge_requests[n] for n in self.of_commit[sha]], request)

    def _members(self, request: Request) -> Answer:
        asked = request.query.get("query", "").lower()
        shown = [
            {"username": name, "access_level": level, "state": state}
            for name, level, state in self.members
            if asked in name.lower()
        ]
        return self._page(shown, request)

    def _notes(self, login: str, request: Request, iid: str) -> Answer:
        if request.method == "POST":
            return self._write(self.add_note(int(iid), login, ""), login, request)
        found = [note for note in self.notes.values() if note["noteable_iid"] == int(iid)]
        return self._page(found, request)

    def _note(self, login: str, request: Request, iid: str, number: str) -> Answer:
        note = self.notes.get(int(number))
        if note is None or note["noteable_iid"] != int(iid):
            return _not_found("Note")
        if request.method == "DELETE":
            del self.notes[int(number)]
            return Answer(status=204)
        return self._write(int(number), login, request)

    def _write(self, number: int, login: str, request: Request) -> Answer:
        note, body = self.notes[number], request.body["body"]
        if note["author"]["username"] != login:
            return Answer(status=403, body={"message": "403 Forbidden"})
        if len(body) > NOTE_LIMIT:
            if request.method == "POST":
                del self.notes[number]
            said = {"note": [f"is too long (maximum is {NOTE_LIMIT} characters)"]}
            return Answer(status=400, body={"message": said})
        self.obeyed += _COMMAND.findall(_FENCE.sub("", body))
        note["body"] = body
        return Answer(status=201 if request.method == "POST" else 200, body=note)

    def _status(self, request: Request, commit: str) -> Answer:
        body = request.body
        posted = self.statuses.setdefault((commit, body["name"]), [])
        if posted and posted[-1]["state"] == body["state"]:
            state = body["state"]
            said = f"Cannot transition status via :run from :{state} (Reason(s): Status cannot ...)"
            return Answer(status=400, body={"message": said})
        posted.append(body)
        return Answer(status=201, body=body)

    def _statuses(self, request: Request, commit: str) -> Answer:
        posted = self.statuses.get((commit, request.query["name"]), [])
        listed = [
            {**each, "id": number, "status": each["state"]} for number, each in enumerate(posted)
        ]
        return self._page(listed[-1:], request)

    def _page(self, items: list[Any], request: Request) -> Answer:
        page = int(request.query.get("page", "1"))
        shown = items[(page - 1) * PAGE : page * PAGE]
        if page * PAGE >= len(items):
            return Answer(body=shown)
        following = f"{self.address}{request.path}?page={page + 1}"
        if "query" in request.query:
            following += f"&query={request.query['query']}"
        return Answer(body=shown, headers={"Link": f'<{following}>; rel="next"'})


def _not_found(what: str) -> Answer:
    return Answer(status=404, body={"message": f"404 {what} Not Found"})


def merge_request(number: int, state: str = "opened", **more: object) -> dict[str, Any]:
    """A merge request as GitLab tells it."""
    return {
        "iid": number,
        "state": state,
        "title": "Deeper trees",
        "sha": "b" * 40,
        "diff_refs": {"base_sha": "0f" * 20, "head_sha": "b" * 40},
        "source_branch": "deeper",
        "target_branch": "main",
        "source_project_id": 7,
        "target_project_id": 7,
        "author": {"username": "mlee"},
        "web_url": f"https://gitlab.example/{PROJECT}/-/merge_requests/{number}",
        "merge_commit_sha": None,
        "squash_commit_sha": None,
        "labels": [],
        **more,
    }
