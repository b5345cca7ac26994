"""Decides which values of the environment are secrets: by their names."""

import re
from collections.abc import Mapping

_SHORTEST = 8
_SECRET = re.compile(
    r"TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|PRIVATE_?KEY|API_?KEY|ACCESS_?KEY|CREDENTIALS?$",
    re.IGNORECASE,
)
_HARMLESS = re.compile(r"(_URL|_URI|_PATH|_FILE|_NAME|_ARN|_TYPE|_DIR|_HEADER)$", re.IGNORECASE)


def secrets_in(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The secret values, longest first. Those shorter than eight characters are words (`local`,
    `test`) that a report would be unreadable without."""
    found = {
        value.strip()
        for name, value in environ.items()
        if _SECRET.search(name) and not _HARMLESS.search(name)
    }
    return tuple(sorted((each for each in found if len(each) >= _SHORTEST), key=len, reverse=True))
