"""What an endpoint is started with, and the names of the files in its folder."""

import json
from dataclasses import dataclass
from pathlib import Path

BIND = "127.0.0.1"
LOCK_NAME = "endpoint.lock"
RECORD_NAME = "endpoint.json"
LOG_NAME = "endpoint.log"
STATE_NAME = "state.db"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`port` 0 takes the port of last time where it is free, else any."""

    home: Path
    region: str = "us-east-1"
    port: int = 0
    images: tuple[tuple[str, Path], ...] = ()


def read_record(home: Path) -> dict[str, object]:
    """What the last server of this folder wrote of itself; empty where none ever ran."""
    try:
        record = json.loads((home / RECORD_NAME).read_text())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def last_port(home: Path) -> int:
    """The port of last time, 0 where there was none: records hold URLs with it."""
    port = read_record(home).get("port")
    return port if isinstance(port, int) else 0
