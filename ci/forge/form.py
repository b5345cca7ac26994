"""What a comment must look like on a forge: how long it may be, and in which Markdown."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ci.report.fit import folded

_OUTDATED = "Outdated: a newer commit has a comment of its own"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommentForm:
    """`limits` are what a report is made to fit in, in UTF-16 units, tried in this order;
    `largest` is what the forge holds of the dressed comment. `dress` turns GitHub's Markdown into
    the forge's own, which has folds or none."""

    limits: tuple[int, ...]
    largest: int
    dress: Callable[[str], str]
    folds: bool = False


@runtime_checkable
class Formed(Protocol):
    """A forge whose comments are not GitHub's."""

    @property
    def form(self) -> CommentForm: ...


def _as_it_is(body: str) -> str:
    return body


GITHUB_FORM = CommentForm(limits=(65_000, 32_000), largest=262_144, dress=_as_it_is, folds=True)


def form_of(forge: object) -> CommentForm:
    return forge.form if isinstance(forge, Formed) else GITHUB_FORM


def outdated(body: str, form: CommentForm) -> str:
    """A comment of ours on forges that hide none: its marker stays, the rest is folded away, or
    cut to its headline where the forge has no folds. Doing it twice changes nothing."""
    marker, _, rest = body.partition("\n")
    rest = rest.strip("\n")
    if _OUTDATED in rest.split("\n\n")[0]:
        return body
    if form.folds:
        return f"{marker}\n{folded(_OUTDATED, rest)}\n"
    headline = next((line for line in rest.split("\n") if line.strip()), "").lstrip("# ")
    return f"{marker}\n\n_{_OUTDATED}._\n\n{headline}\n"
