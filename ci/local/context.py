"""What every operation of the local endpoint is handed, and how it refuses."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ci.local.store import Document, Store

ACCOUNT = "000000000000"


class ApiError(Exception):
    """AWS's error code and message, as boto3 will raise them. `status` is the HTTP status."""

    def __init__(self, code: str, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


class ExecutionEngine(Protocol):
    """What the API needs of the step engine. Every call returns at once; records tell the rest."""

    def submit(self, execution_arn: str) -> None:
        """Begin, or go on with, the execution that is recorded under this ARN."""

    def stop(self, execution_arn: str) -> None:
        """Stop running steps; the execution goes Stopping, then Stopped."""

    def retry(self, execution_arn: str) -> None:
        """Go on from the failed or stopped steps of a terminal execution."""


Operation = Callable[["Context", Document], Document]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """`call` runs another operation in the process, checked against the service model as over
    HTTP. `address` is where the endpoint answers, `home` the folder of its state."""

    store: Store
    clock: Callable[[], float]
    call: Callable[[str, Document], Document]
    engine: ExecutionEngine
    address: str
    home: Path
    region: str
    images: tuple[tuple[str, Path], ...] = ()
    account: str = ACCOUNT

    def arn(self, resource: str) -> str:
        return f"arn:aws:sagemaker:{self.region}:{self.account}:{resource}"


Operations = Mapping[str, Operation]
