"""Times for people: how long ago, and under which heading of a list."""

import math
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta


def age(then: float, now: float) -> str:
    """How long ago, in the largest unit that fits; the date when that is a week or more. Empty for no time at all."""
    seconds = now - then
    if seconds >= 7 * 86400 or seconds != seconds:
        return day(then, now)
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return "just now"


def day(then: float, now: float) -> str:
    """The date, without the year in the same year. Empty for no time at all."""
    local = _local(then)
    if local is None:
        return ""
    this_year = datetime.fromtimestamp(now).year
    return f"{local.day} {local:%b}" if local.year == this_year else f"{local.day} {local:%b} {local.year}"


@dataclass(frozen=True, slots=True)
class Period:
    """A heading of a list, and the time from which on it holds, in Unix seconds."""

    name: str
    since: float


def period(then: float, today: date) -> Period:
    """Today, Yesterday, This week, else the month; `Undated` for no time at all."""
    local = _local(then)
    if local is None:
        return Period("Undated", -math.inf)
    monday = today - timedelta(days=today.weekday())
    for name, start in (("Today", today), ("Yesterday", today - timedelta(days=1)), ("This week", monday)):
        if local >= start:
            return Period(name, _start(start))
    name = f"{local:%B}" if local.year == today.year else f"{local:%B} {local.year}"
    return Period(name, _start(local.replace(day=1)))


def _start(day: date) -> float:
    try:
        return datetime.combine(day, time()).timestamp()
    except (ValueError, OverflowError, OSError):
        return -math.inf


def _local(then: float) -> date | None:
    try:
        return datetime.fromtimestamp(then).date()
    except (ValueError, OverflowError, OSError):
        return None
