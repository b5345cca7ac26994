"""Model packages of the registry, and the endpoints that serve them."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from ci.errors import AwsError
from ci.sagemaker.clients import Clients
from ci.sagemaker.model import ApprovalStatus, Endpoint, ModelPackage
from ci.sagemaker.read import parse_package
from ci.sagemaker.retry import is_gone

_SERVICE = "sagemaker"
_CONFLICT = frozenset({"ConflictException"})


class Packages:
    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def describe(self, arn: str) -> ModelPackage:
        answer = self._clients.call(
            _SERVICE, "DescribeModelPackage", {"ModelPackageName": arn}, where=arn
        )
        return parse_package(answer)

    def find(self, arn: str) -> ModelPackage | None:
        """None where it is gone."""
        try:
            return self.describe(arn)
        except AwsError as error:
            if is_gone(error):
                return None
            raise

    def in_group(
        self,
        group: str,
        *,
        approval: ApprovalStatus | None = None,
        before: datetime | None = None,
    ) -> Iterator[ModelPackage]:
        """Newest first, without what only Describe tells (metadata, metrics, model data).

        A group that does not exist has no packages.
        """
        request: dict[str, object] = {
            "ModelPackageGroupName": group,
            "SortBy": "CreationTime",
            "SortOrder": "Descending",
        }
        if approval is not None:
            request["ModelApprovalStatus"] = approval.value
        if before is not None:
            request["CreationTimeBefore"] = before
        try:
            for item in self._clients.pages(
                _SERVICE, "ListModelPackages", request, items="ModelPackageSummaryList", where=group
            ):
                yield parse_package(item)
        except AwsError as error:
            if not is_gone(error):
                raise

    def groups(self) -> Iterator[str]:
        """The names of all groups, newest first."""
        request = {"SortBy": "CreationTime", "SortOrder": "Descending"}
        listing = "ModelPackageGroupSummaryList"
        for item in self._clients.pages(_SERVICE, "ListModelPackageGroups", request, items=listing):
            yield item["ModelPackageGroupName"]

    def update(
        self,
        arn: str,
        *,
        approval: ApprovalStatus | None = None,
        description: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Set the approval status, or metadata; metadata that is not named stays."""
        request: dict[str, object] = {"ModelPackageArn": arn}
        if approval is not None:
            request["ModelApprovalStatus"] = approval.value
        if description is not None:
            request["ApprovalDescription"] = description[:1024]
        if metadata:
            request["CustomerMetadataProperties"] = dict(metadata)
        self._clients.call(_SERVICE, "UpdateModelPackage", request, where=arn, retry_on=_CONFLICT)

    def endpoint(self, name: str) -> Endpoint | None:
        """The endpoint and the package behind it; None if there is none."""
        try:
            answer = self._clients.call(
                _SERVICE, "DescribeEndpoint", {"EndpointName": name}, where=name
            )
        except AwsError as error:
            if error.code == "ValidationException" and "could not find" in error.what.lower():
                return None
            raise
        config = answer.get("EndpointConfigName")
        model = self._first_model(config) if config else None
        return Endpoint(
            name=name,
            arn=answer["EndpointArn"],
            status=answer["EndpointStatus"],
            failure_reason=answer.get("FailureReason"),
            config=config,
            model_package=self._package_of(model) if model else None,
        )

    def _first_model(self, config: str) -> str | None:
        answer = self._clients.call(
            _SERVICE, "DescribeEndpointConfig", {"EndpointConfigName": config}, where=config
        )
        variants = answer.get("ProductionVariants") or ()
        return next((item["ModelName"] for item in variants if item.get("ModelName")), None)

    def _package_of(self, model: str) -> str | None:
        answer = self._clients.call(_SERVICE, "DescribeModel", {"ModelName": model}, where=model)
        containers = [answer.get("PrimaryContainer") or {}, *(answer.get("Containers") or ())]
        return next(
            (item["ModelPackageName"] for item in containers if "ModelPackageName" in item), None
        )
