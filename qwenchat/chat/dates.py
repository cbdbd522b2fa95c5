"""Moments that every calendar can show, whatever a clock or a file says."""

import math
from datetime import datetime

_FIRST_DAY, _LAST_DAY = 86_400.0, 253_402_128_000.0
"""A day from either end of what `datetime` can show from 1970 on, so that it can in every time zone."""


def as_date(value: object) -> float:
    """A Unix time between 1970 and 9999, whatever is given; 0 for what is no time at all."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    try:
        seconds = float(value)
    except OverflowError:
        return _LAST_DAY if value > 0 else 0.0
    return min(max(seconds, 0.0), _LAST_DAY) if math.isfinite(seconds) else 0.0


def local_time(seconds: float) -> datetime:
    """That moment in the local time zone, naive; the nearest one that there is for those that are none."""
    try:
        return datetime.fromtimestamp(as_date(seconds))
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(_FIRST_DAY)
