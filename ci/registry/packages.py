"""Decides what ties a model package to its commit, and which package is the champion."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from ci.project.names import OWN
from ci.registry.elsewhere import decided_elsewhere
from ci.sagemaker.model import ApprovalStatus, ModelPackage
from ci.sagemaker.packages import Packages

# How many approved packages of a group are looked at; each takes a call.
MOST_APPROVED = 100
# What CustomerMetadataProperties holds, as the service's model says.
_MOST_ENTRIES = 50
_MAIN, _PULL_REQUEST = "main", "pull_request"
_VALUE_LIMIT = 256
_UNSAFE = re.compile(r"[^\w .:/=+\-@]", re.UNICODE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a model package comes from."""

    commit: str
    execution: str
    environment: str
    digest: str
    repository: str | None = None
    pull_request: int | None = None
    run_url: str | None = None


def stamp_package(packages: Packages, package: str, provenance: Provenance) -> bool:
    """Write where the package comes from; False where it says so already. Who has decided on it by
    then is kept in the same update: after it SageMaker names this program."""
    wanted = safe_metadata(_provenance_metadata(provenance))
    held = packages.describe(package)
    missing = {key: value for key, value in wanted.items() if held.metadata.get(key) != value}
    if not missing:
        return False
    return keep_metadata(packages, held, missing | decided_elsewhere(held))


def read_provenance(package: ModelPackage) -> Provenance | None:
    """What the package says of where it comes from; None where this project did not make it.

    Values come back as they were stored: in the alphabet that the API takes (`safe_metadata`).
    """
    held = {
        key.removeprefix(OWN): value
        for key, value in package.metadata.items()
        if key.startswith(OWN)
    }
    if not all(held.get(name) for name in ("commit", "execution", "environment", "digest")):
        return None
    number = held.get("pull-request", "")
    return Provenance(
        commit=held["commit"],
        execution=held["execution"],
        environment=held["environment"],
        digest=held["digest"],
        repository=held.get("repository"),
        pull_request=int(number) if number.isascii() and number.isdecimal() else None,
        run_url=held.get("run-url"),
    )


def champion(
    packages: Packages, group: str, *, challenger: str | None, before: datetime | None
) -> ModelPackage | None:
    """The newest Approved package of the group but the challenger, made before `before` (the
    execution's start). One that a pull request made is none, though it was approved; one that says
    nothing of where it comes from is. None: the first model ever, or none among the newest 100.

    What a package says is believed: one that says nothing counts as well, so that nothing is won by
    holding the others against their executions, and a pipeline that was deleted would lose its
    champion. Whoever may register Approved in the group is whom the gates trust.
    """
    listed = packages.in_group(group, approval=ApprovalStatus.APPROVED, before=before)
    for package in islice(listed, MOST_APPROVED):
        if package.arn == challenger or not _made_before(package, before):
            continue
        held = packages.describe(package.arn)
        if not of_pull_request(held):
            return held
    return None


def of_pull_request(package: ModelPackage) -> bool:
    """Whether the package says that it was made for a pull request, apart from main."""
    made = read_provenance(package)
    if made is None or made.environment == _MAIN:
        return False
    return made.pull_request is not None or made.environment == _PULL_REQUEST


def _made_before(package: ModelPackage, before: datetime | None) -> bool:
    return before is None or package.created is None or package.created < before


def named_champion(packages: Packages, name: str, *, execution: str) -> ModelPackage:
    """The package that `name` means: an ARN, or `group/version` in the account and region of this
    execution. AwsError where there is none."""
    arn = name
    if not name.startswith("arn:"):
        arn = f"{execution.rpartition(':pipeline/')[0]}:model-package/{name}"
    return packages.describe(arn)


def _provenance_metadata(provenance: Provenance) -> dict[str, str]:
    found = {
        "commit": provenance.commit,
        "execution": provenance.execution,
        "environment": provenance.environment,
        "digest": provenance.digest,
        "repository": provenance.repository,
        "pull-request": None if provenance.pull_request is None else str(provenance.pull_request),
        "run-url": provenance.run_url,
    }
    return {f"{OWN}{name}": value for name, value in found.items() if value}


def keep_metadata(
    packages: Packages, held: ModelPackage, wanted: Mapping[str, str], *, spare: int = 0
) -> bool:
    """Write of these entries what the package has room for; False where that is nothing."""
    found = with_room(held, wanted, spare=spare)
    if found:
        packages.update(held.arn, metadata=found)
    return bool(found)


def with_room(held: ModelPackage, wanted: Mapping[str, str], *, spare: int = 0) -> dict[str, str]:
    """These entries in the form that is stored, as many as the package has room for, the first
    first: it holds 50, and the team's own are among them. `spare` is how many are left free."""
    room = _MOST_ENTRIES - spare - len(held.metadata)
    safe = safe_metadata(wanted)
    new = [key for key in safe if key not in held.metadata]
    left_out = set(new[max(0, room) :])
    return {key: value for key, value in safe.items() if key not in left_out}


def safe_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """Values in the alphabet and length that CustomerMetadataProperties takes."""
    safe = {key: _UNSAFE.sub("-", value)[:_VALUE_LIMIT] for key, value in metadata.items()}
    return {key: value for key, value in safe.items() if value}
