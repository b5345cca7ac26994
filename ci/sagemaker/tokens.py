"""Reads a token from Secrets Manager or Parameter Store. No error tells what was read."""

import json

from ci.errors import AwsError
from ci.sagemaker.clients import Clients


def read_secret(clients: Clients, name: str, key: str | None = None) -> str:
    """The secret's text, or the member `key` of it where that is a JSON object. AwsError for one
    that is missing, empty, or not told apart by `key`."""
    operation = "GetSecretValue"
    answer = clients.call("secretsmanager", operation, {"SecretId": name}, where=name)
    text = str(answer.get("SecretString") or "")
    document = _document(text)
    if key is None and document is None:
        return _checked(text, operation, name)
    keys = ", ".join(sorted(map(str, document or {}))) or "none"
    if key is None:
        raise _refused(
            "the secret is a JSON object, and no key of it is named",
            operation,
            name,
            fix=f"token:\n  secret: {name}\n  key: …  # one of: {keys}",
        )
    value = (document or {}).get(key)
    if not isinstance(value, str):
        why = "it is no JSON object" if document is None else f"its keys: {keys}"
        raise _refused(f"the secret has no text under the key {key!r}", operation, name, why=why)
    return _checked(value, operation, name)


def read_parameter(clients: Clients, name: str) -> str:
    """The parameter's value, decrypted. AwsError for one that is missing or empty."""
    operation = "GetParameter"
    asked = {"Name": name, "WithDecryption": True}
    answer = clients.call("ssm", operation, asked, where=name)
    return _checked(str((answer.get("Parameter") or {}).get("Value") or ""), operation, name)


def _document(text: str) -> dict[str, object] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _checked(value: str, operation: str, name: str) -> str:
    """A header holds one line of printable ASCII."""
    token = value.strip()
    if not token:
        raise _refused("the token is empty", operation, name)
    if not token.isascii() or not token.isprintable():
        raise _refused("the token is not one line of printable characters", operation, name)
    return token


def _refused(
    what: str, operation: str, name: str, *, why: str | None = None, fix: str | None = None
) -> AwsError:
    return AwsError(what, code="TokenUnusable", operation=operation, where=name, why=why, fix=fix)
