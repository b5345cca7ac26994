"""How the child says no."""

from __future__ import annotations

from typing import Any


class Refused(Exception):
    """A source that cannot become a definition; `kind` tells the parent which sentence to use."""

    def __init__(self, kind: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.details = details


class Blocked(ConnectionRefusedError):
    """A connection to something other than the capture endpoint."""


class Forbidden(PermissionError):
    """A path that a compile neither writes nor reads."""
