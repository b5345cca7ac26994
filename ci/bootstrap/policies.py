"""From the table of calls to the statements of a policy. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ci.bootstrap.model import RoleNeed, Scope, Statement
from ci.bootstrap.operations import Kind, Need, Reach, needs_of
from ci.bootstrap.resources import resources_of

Condition = tuple[tuple[str, str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Actions on the same kind, within the same reach and under the same condition are one
    statement."""

    kind: Kind
    reach: Reach
    passed: bool


def statements_of(role: RoleNeed) -> tuple[Statement, ...]:
    """What the role is allowed. A kind that the project names nothing of has no statement."""
    groups: dict[_Place, list[Need]] = {}
    for need in needs_of(role.duty):
        place = _Place(kind=need.kind, reach=need.reach, passed=need.passed_to is not None)
        groups.setdefault(place, []).append(need)
    made = (_statement(place, needs, role) for place, needs in groups.items())
    return tuple(each for each in made if each.resources)


def _statement(place: _Place, needs: Sequence[Need], role: RoleNeed) -> Statement:
    scope: Scope = role.own if place.reach is Reach.OWN else role.seen
    verb = "Pass" if place.passed else "Write" if place.reach is Reach.OWN else "Read"
    return Statement(
        sid=verb + place.kind.value.title().replace(" ", ""),
        actions=tuple(sorted({need.action for need in needs})),
        resources=resources_of(place.kind, scope),
        condition=_passed_to(needs),
    )


def _passed_to(needs: Iterable[Need]) -> Condition:
    services = sorted({need.passed_to for need in needs if need.passed_to})
    return (("StringEquals", "iam:PassedToService", tuple(services)),) if services else ()
