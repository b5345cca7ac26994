"""Durations as people write them: `90`, `90s`, `30m`, `6h`, `1h30m`, `2d`."""

import re

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smhd])")
LONGEST = 366 * 86400.0


def parse_duration(text: str | float) -> float:
    """Seconds. ValueError, in words, for what is no duration, is not above zero or above a year."""
    seconds = _seconds(str(text).strip())
    if not 0 < seconds <= LONGEST:
        raise ValueError(f"`{text}` is not between one second and a year")
    return seconds


def _seconds(text: str) -> float:
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) and len(text) < 20:
        return float(text)
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"`{text}` is not a duration; write 90, 90s, 30m, 6h, 1h30m or 7d")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)
