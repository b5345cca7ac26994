"""Deletes single resources. What is gone already is no error: every method can be called twice."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ci.errors import AwsError
from ci.sagemaker.clients import Clients
from ci.sagemaker.retry import is_gone

_SAGEMAKER = "sagemaker"
_CONFLICT = frozenset({"ConflictException"})


@dataclass(frozen=True, slots=True, kw_only=True)
class HostedKind:
    """A kind of hosting resource: as the API's operations and members name it, and in words."""

    shape: str
    label: str


ENDPOINT = HostedKind(shape="Endpoint", label="endpoint")
CONFIG = HostedKind(shape="EndpointConfig", label="endpoint config")
MODEL = HostedKind(shape="Model", label="model")


class Removal:
    """Each method tells whether there was something to delete."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def package(self, arn: str) -> bool:
        return self._delete("DeleteModelPackage", {"ModelPackageName": arn}, arn)

    def group(self, name: str) -> bool:
        """Refused by the service while the group holds packages."""
        return self._delete("DeleteModelPackageGroup", {"ModelPackageGroupName": name}, name)

    def hosted(self, kind: HostedKind, name: str) -> bool:
        return self._delete(f"Delete{kind.shape}", {f"{kind.shape}Name": name}, name)

    def named_like(self, kind: HostedKind, text: str) -> Iterator[tuple[str, str]]:
        """Name and ARN of each whose name contains `text`."""
        operation = f"List{kind.shape}s"
        for item in self._clients.pages(
            _SAGEMAKER, operation, {"NameContains": text}, items=f"{kind.shape}s", where=text
        ):
            yield item[f"{kind.shape}Name"], item[f"{kind.shape}Arn"]

    def function(self, name: str) -> bool:
        return self._delete("DeleteFunction", {"FunctionName": name}, name, service="lambda")

    def describe(self, operation: str, key: str, name: str) -> dict[str, Any] | None:
        """A resource of SageMaker by its name; None if there is none."""
        try:
            return self._clients.call(_SAGEMAKER, operation, {key: name}, where=name)
        except AwsError as error:
            if is_gone(error):
                return None
            raise

    def _delete(
        self, operation: str, request: dict[str, object], where: str, *, service: str = _SAGEMAKER
    ) -> bool:
        try:
            self._clients.call(service, operation, request, where=where, retry_on=_CONFLICT)
        except AwsError as error:
            if is_gone(error):
                return False
            raise
        return True
