"""Which operation a call is, and that its request and its response fit the service model."""

import logging
import sqlite3
from collections.abc import Mapping

from ci.local.context import ApiError, Context, Operation
from ci.local.service import ServiceModel
from ci.local.shapes import as_validation_message, find_misfits
from ci.local.store import Document
from ci.local.wire import without_nulls

_LOG = logging.getLogger("ci.local")


class Dispatcher:
    """Runs operations by name. Safe to call from many threads at once."""

    def __init__(self, model: ServiceModel, operations: Mapping[str, Operation]) -> None:
        unknown = [name for name in operations if not model.knows(name)]
        if unknown:
            message = f"not operations of the service model: {', '.join(unknown)}"
            raise ValueError(message)
        self._model = model
        self._operations = operations
        self._context: Context | None = None

    def bind(self, context: Context) -> None:
        """Give the context that operations run in; it holds `call`, so it comes second."""
        self._context = context

    def call(self, name: str, request: Document) -> Document:
        """Check the request, run the operation, check the response. ApiError tells a refusal."""
        operation = self._find(name)
        try:
            request = without_nulls(request)
            self._check_request(name, request)
        except RecursionError as error:
            raise ApiError("SerializationException", "The request is nested too deep") from error
        if self._context is None:
            raise ApiError("ServiceUnavailable", "The endpoint is starting", status=503)
        try:
            response: Document = without_nulls(operation(self._context, request))
        except sqlite3.Error as error:
            _LOG.exception("%s: the state could not be read or written", name)
            raise ApiError(
                "ServiceUnavailable",
                f"The local endpoint could not keep its state ({error}). Nothing was changed."
                " Free space on the disk of .sagemaker-gitops/local, then try again.",
                status=503,
            ) from error
        self._check_response(name, response)
        return response

    def _find(self, name: str) -> Operation:
        operation = self._operations.get(name)
        if operation is not None:
            return operation
        if self._model.knows(name):
            raise ApiError(
                "UnsupportedOperationException",
                f"{name} is an operation of SageMaker that the local endpoint does not serve."
                " Run this against AWS.",
            )
        raise ApiError("UnknownOperationException", f"{name} is not an operation of SageMaker")

    def _check_request(self, name: str, request: Document) -> None:
        misfits = find_misfits(self._model, self._model.input(name), request)
        malformed = next((misfit for misfit in misfits if misfit.malformed), None)
        if malformed is not None:
            where = f" (at '{malformed.path}')" if malformed.path else ""
            raise ApiError("SerializationException", malformed.message + where)
        if misfits:
            raise ApiError("ValidationException", as_validation_message(misfits))

    def _check_response(self, name: str, response: Document) -> None:
        misfits = find_misfits(self._model, self._model.output(name), response)
        if misfits:
            listed = "; ".join(f"{misfit.path}: {misfit.message}" for misfit in misfits)
            _LOG.error("bug: the response of %s does not fit the service model: %s", name, listed)
            message = f"Bug in the local endpoint: {name}'s response does not fit its model: "
            raise ApiError("InternalFailure", message + listed, status=500)
