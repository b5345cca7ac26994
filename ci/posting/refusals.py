"""Gathers what the forge refuses, and says it once: all that a job's token lacks in one message."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ci.errors import ForgeError
from ci.forge.answers import permissions_block
from ci.forge.model import PermissionMissing
from ci.project.model import ReportSettings

_WHY = (
    "most likely the job's token lacks a permission (a pull request from a fork or from Dependabot"
    " never has it). The run went on without."
)


@dataclass(slots=True)
class Refusals:
    """`wanted` are all permissions that the job has use for: what a job lists replaces what it had
    before, so that the whole list is told."""

    wanted: Mapping[str, str]
    _seen: dict[str, ForgeError] = field(default_factory=dict)

    def note(self, error: ForgeError) -> None:
        self._seen.setdefault(error.what, error)

    def told(self) -> Iterator[str]:
        """What there is to say, each thing once."""
        lacking = [error for error in self._seen.values() if isinstance(error, PermissionMissing)]
        named = [error for error in lacking if error.needs]
        if named:
            yield str(self._together(named))
        for error in self._seen.values():
            if error not in named:
                yield str(error)

    def _together(self, errors: list[PermissionMissing]) -> PermissionMissing:
        needs = {**self.wanted}
        for name, access in ((n, a) for error in errors for n, a in error.needs.items()):
            needs[name] = access if access == "write" else needs.get(name, access)
        return PermissionMissing(
            "; ".join(error.what for error in errors),
            where=errors[0].where,
            why=f"{errors[0].why.partition(';')[0]}; {_WHY}" if errors[0].why else _WHY,
            fix=permissions_block(dict(sorted(needs.items()))),
            needs=needs,
        )


def wanted_permissions(
    settings: ReportSettings, *, comment: bool, deploys: bool, oidc: bool
) -> dict[str, str]:
    """What a GitHub job needs for all that it does: `oidc` says that it assumes a role."""
    asked = {
        "contents": ("read", True),
        "id-token": ("write", oidc),
        "pull-requests": ("write", comment or settings.labels),
        "issues": ("write", settings.labels),
        "checks": ("write", settings.check_run),
        "deployments": ("write", settings.deployments and deploys),
    }
    return {name: access for name, (access, wanted) in asked.items() if wanted}
