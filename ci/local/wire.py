"""How SageMaker's requests and answers look on the wire: AWS JSON 1.1 over HTTP."""

import json
from typing import Any

from ci.local.context import ApiError
from ci.local.store import Document

CONTENT_TYPE = "application/x-amz-json-1.1"


def decode_body(body: bytes) -> Document:
    """The request's members. SerializationException where it is not one JSON object."""
    if not body:
        return {}
    try:
        value = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        message = f"The request body is not JSON: {error}"
        raise ApiError("SerializationException", message) from error
    if b"\\u" in body and _has_lone_surrogate(value):
        raise ApiError("SerializationException", "The request body holds half a character")
    if not isinstance(value, dict):
        raise ApiError("SerializationException", "Start of structure expected")
    return value


def _has_lone_surrogate(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def _refuse_constant(name: str) -> Any:
    message = f"{name} is not a JSON number"
    raise ValueError(message)


def encode_body(document: Document) -> bytes:
    return json.dumps(document, separators=(",", ":"), allow_nan=False).encode()


def encode_error(error: ApiError) -> bytes:
    # `__type` is what SDKs read the code from; ValidationException's message member is
    # lower case, as everywhere in SageMaker's model.
    return encode_body({"__type": error.code, "message": error.message})


def without_nulls(value: Any) -> Any:
    """Members that are null are absent: the API has no other meaning for null."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value
