"""Decides which texts of an environment name what is one pull request's own: a model package
group, an endpoint, a function. Roles may touch these names, and a cleanup deletes them. Pure.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ci.project.model import Environment, Project
from ci.project.target import is_isolated

_NUMBER = "{pull_request}"
_FIELD = re.compile(r"\{[a-z_]+\}")
# What groups and endpoints may be called; any other text (an S3 URI) names neither.
_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
_USES = re.compile("group|endpoint|function|lambda", re.IGNORECASE)
_TELLING = 6  # characters that a project's own names begin with, where they hold none of its names


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnName:
    """`text` has the number's field left. `doubt` says why the name is left out; None if not."""

    setting: str
    text: str
    doubt: str | None = None

    @property
    def pattern(self) -> str:
        """For every pull request: `*` stands for any text."""
        return _FIELD.sub("*", self.text)

    @property
    def form(self) -> re.Pattern[str]:
        """What fits it for any pull request; the first part in brackets is the number."""
        return re.compile("([0-9]+)".join(map(re.escape, self.text.split(_NUMBER))))

    def of(self, pull_request: str) -> str:
        return self.text.replace(_NUMBER, pull_request)


def own_names(project: Project, place: Environment) -> tuple[OwnName, ...]:
    """The names that an environment makes for each pull request, by a template."""
    return tuple(each for each in _every(project, place) if each.doubt is None)


def doubtful_names(project: Project, place: Environment) -> tuple[OwnName, ...]:
    """Texts that could be such names, and are not taken for them."""
    return tuple(each for each in _every(project, place) if each.doubt is not None)


def is_telling(pattern: str, project: Project) -> bool:
    """Whether a pattern begins with what no other project's names begin with by chance: a name of
    this project, or six characters."""
    head = pattern.partition("*")[0].strip("-")
    known = {
        name.lower()
        for each in project.pipelines.values()
        for name in (each.name, each.model_package_group, each.endpoint)
        if name
    }
    return len(head) >= _TELLING or any(name in head.lower() for name in known)


def _every(project: Project, place: Environment) -> Iterator[OwnName]:
    if not is_isolated(place):
        return
    settings = [*place.kwargs.items(), *place.parameters.items(), ("endpoint", place.endpoint)]
    seen: set[tuple[str, str]] = set()
    for setting, template in settings:
        if not isinstance(template, str) or _NUMBER not in template:
            continue
        for pipeline in project.pipelines:
            text = template.replace("{pipeline}", pipeline).replace("{environment}", place.name)
            if _NAME.fullmatch(_FIELD.sub("0", text)) and (setting, text) not in seen:
                seen.add((setting, text))
                yield OwnName(setting=setting, text=text, doubt=_doubt(setting, text, project))


def _doubt(setting: str, text: str, project: Project) -> str | None:
    if not _USES.search(setting):
        return "its name speaks of no group, endpoint or function"
    if not is_telling(_FIELD.sub("*", text), project):
        return "names of others could begin like this"
    return None
