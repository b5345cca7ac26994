"""What a verdict rests on: everything that was read back after an execution, as one value."""

from dataclasses import dataclass

from ci.metrics.model import GateResult, MetricValue
from ci.sagemaker.model import ENDPOINT_MOVES, ExecutionSnapshot, ModelPackage

MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointFact:
    """An endpoint as it was read back. `package` is the ARN of the model package it serves, None
    where its model does not come from one. `status` is the service's word (`InService`),
    or MISSING."""

    name: str
    status: str
    package: str | None = None
    failure_reason: str | None = None

    @property
    def moving(self) -> bool:
        """Whether it is on its way to another state by itself."""
        return self.status in ENDPOINT_MOVES

    def serves(self, package: str) -> bool:
        """Whether it answers with the model of the package that the ARN names."""
        return self.status == "InService" and self.package == package


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of an execution when its verdict is due.

    `expected_group` is the model package group in which a package was wanted, None where the
    environment does not register. `champion` is the latest approved package from before the
    execution, or the one that the project file names. `endpoint` is None where nothing was to be
    deployed. `deleted` is the ARN of the package that the execution registered, where it is gone
    since. `raised` is the exception that the log of the first failed step ends in. `unread` says
    what kept this program from reading the rest: then nothing but the execution is known.
    """

    execution: ExecutionSnapshot
    metrics: tuple[MetricValue, ...] = ()
    gates: tuple[GateResult, ...] = ()
    expected_group: str | None = None
    package: ModelPackage | None = None
    champion: ModelPackage | None = None
    endpoint: EndpointFact | None = None
    deleted: str | None = None
    raised: str | None = None
    unread: str | None = None

    @property
    def production(self) -> ModelPackage | None:
        """The champion, unless it is the very package this execution registered."""
        if self.champion and self.package and self.champion.arn == self.package.arn:
            return None
        return self.champion
