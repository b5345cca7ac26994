"""How a step fails: the reason in the service's words, and what a retry policy calls it."""

from enum import StrEnum

_LONGEST = 1024


class ExceptionType(StrEnum):
    """What a RetryPolicy's ExceptionType may name."""

    SERVICE_FAULT = "Step.SERVICE_FAULT"
    THROTTLING = "Step.THROTTLING"
    JOB_INTERNAL_ERROR = "SageMaker.JOB_INTERNAL_ERROR"
    CAPACITY_ERROR = "SageMaker.CAPACITY_ERROR"
    RESOURCE_LIMIT = "SageMaker.RESOURCE_LIMIT"


class StepFailure(Exception):
    """A step failed. The text becomes FailureReason (at most 1,024 characters, the API's bound).

    `kind` is what retry policies are held against; None is a failure no policy retries, as a
    script that exits with 1.
    """

    def __init__(self, reason: str, *, kind: ExceptionType | None = None) -> None:
        super().__init__(reason)
        self.kind = kind

    @property
    def reason(self) -> str:
        text = str(self)
        return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"

    @classmethod
    def internal(cls, reason: str) -> "StepFailure":
        return cls(f"InternalServerError: {reason}", kind=ExceptionType.JOB_INTERNAL_ERROR)


class StepStopped(Exception):
    """The step was stopped on request."""
