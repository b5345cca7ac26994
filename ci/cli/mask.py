"""Which values of the environment are secrets, and text without them."""

import re
from collections.abc import Mapping, Sequence

HIDDEN = "***"
_SHORTEST = 8
_SECRET = re.compile(
    r"TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|PRIVATE_?KEY|API_?KEY|ACCESS_?KEY|CREDENTIALS?$",
    re.IGNORECASE,
)
_HARMLESS = re.compile(r"(_URL|_URI|_PATH|_FILE|_NAME|_ARN|_TYPE|_DIR|_HEADER)$", re.IGNORECASE)
_AWS_KEY = re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")


def secrets_in(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The secret values, longest first; of a value in lines also each line."""
    found: set[str] = set()
    for name, value in environ.items():
        if _SECRET.search(name) and not _HARMLESS.search(name):
            found.update(part.strip() for part in (value, *value.splitlines()))
    return tuple(sorted((each for each in found if len(each) >= _SHORTEST), key=len, reverse=True))


def masked(text: str, secrets: Sequence[str]) -> str:
    """`text` with every secret, and whatever looks like an AWS access key, replaced."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return _AWS_KEY.sub(HIDDEN, text)


def masked_document(value: object, secrets: Sequence[str]) -> object:
    """A JSON document with every text in it masked."""
    if isinstance(value, str):
        return masked(value, secrets)
    if isinstance(value, Mapping):
        return {
            masked(str(key), secrets): masked_document(each, secrets) for key, each in value.items()
        }
    if isinstance(value, Sequence):
        return [masked_document(each, secrets) for each in value]
    return value
