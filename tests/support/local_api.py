"""Operations of the local endpoint, called in the process and checked against botocore's model."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

from ci.local.context import Context, Operation
from ci.local.store import Document, Store, Teller


class Clock:
    """Seconds since the epoch; each reading is `step` later than the one before."""

    def __init__(self, start: float = 1800000000.0, step: float = 1.0) -> None:
        self.now = start
        self.step = step

    def __call__(self) -> float:
        self.now += self.step
        return self.now - self.step


class NoEngine:
    def submit(self, execution_arn: str) -> None:
        raise AssertionError(execution_arn)

    stop = retry = submit


@cache
def service_model() -> Any:
    import botocore.session

    return botocore.session.get_session().get_service_model("sagemaker")


def assert_shape(body: Document, operation: str, *, side: str) -> None:
    """Hold a request or response against the operation's own shape."""
    from botocore.validate import ParamValidator

    shape = getattr(service_model().operation_model(operation), f"{side}_shape")
    if shape is None:
        assert body == {}
        return
    report = ParamValidator().validate(body, shape)
    assert not report.has_errors(), f"{operation} {side}: {report.generate_report()}"


class Api:
    """`api("DescribeModel", ModelName="x")` with every response held against the service model."""

    def __init__(
        self,
        home: Path,
        *,
        address: str = "http://127.0.0.1:9",
        images: tuple[tuple[str, Path], ...] = (),
        operations: Mapping[str, Operation] | None = None,
        tellers: Mapping[str, Teller] | None = None,
    ) -> None:
        from ci.local.api import registry

        self.clock = Clock()
        self.store = Store(home / "state.db", tellers=tellers)
        self.operations = registry.OPERATIONS if operations is None else operations
        self.context = Context(
            store=self.store,
            clock=self.clock,
            call=self.call,
            engine=NoEngine(),
            address=address,
            home=home,
            region="us-east-1",
            images=images,
        )

    def call(self, operation: str, request: Document) -> Document:
        assert_shape(request, operation, side="input")
        response = self.operations[operation](self.context, request)
        assert_shape(response, operation, side="output")
        return response

    def __call__(self, operation: str, **request: Any) -> Document:
        return self.call(operation, request)

    def __enter__(self) -> "Api":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.store.close()
