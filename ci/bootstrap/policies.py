"""From the table of calls to the statements of a policy. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ci.bootstrap.model import Condition, RoleNeed, Scope, Statement
from ci.bootstrap.operations import Kind, Need, Reach, needs_of
from ci.bootstrap.resources import KEY, resources_of

HAS_KEY = "HasKey"
HAS_CODE_PIPELINE = "HasCodePipeline"
_VERBS = {Reach.OWN: "Write", Reach.SEEN: "Read", Reach.REVIEWED: "Order"}
# What an account has of its own accord or not: a parameter of the template says so.
_WHEN: Mapping[Kind, str] = {
    Kind.KEY: HAS_KEY,
    Kind.CODE_PIPELINE: HAS_CODE_PIPELINE,
    Kind.CODE_ACTION: HAS_CODE_PIPELINE,
}
_VIA_S3: Condition = (("StringEquals", "kms:ViaService", ("s3.${AWS::Region}.${AWS::URLSuffix}",)),)


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


def key_statement(*actions: str) -> Statement:
    """What an encrypted bucket asks of a role beside its own statements."""
    return Statement(sid="Key", actions=actions, resources=(KEY,), condition=_VIA_S3, when=HAS_KEY)


def scope_of(role: RoleNeed, reach: Reach) -> Scope:
    match reach:
        case Reach.OWN:
            return role.own
        case Reach.SEEN:
            return role.seen
        case Reach.REVIEWED:
            return role.reviewed


def _statement(place: _Place, needs: Sequence[Need], role: RoleNeed) -> Statement:
    verb = "Pass" if place.passed else _VERBS[place.reach]
    return Statement(
        sid=verb + place.kind.value.title().replace(" ", ""),
        actions=tuple(sorted({need.action for need in needs})),
        resources=resources_of(place.kind, scope_of(role, place.reach)),
        condition=_VIA_S3 if place.kind is Kind.KEY else _passed_to(needs),
        when=_WHEN.get(place.kind),
    )


def _passed_to(needs: Iterable[Need]) -> Condition:
    services = sorted({need.passed_to for need in needs if need.passed_to})
    return (("StringEquals", "iam:PassedToService", tuple(services)),) if services else ()
