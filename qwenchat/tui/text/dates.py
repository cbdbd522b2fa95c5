"""Times for people: how long ago, and under which heading of a list."""

import math
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from qwenchat.chat.dates import local_time
from qwenchat.i18n.texts import say


def age(then: float, now: float) -> str:
    """How long ago, in the largest unit that fits; the date when that is a week or more. Empty for no time at all."""
    seconds = now - then
    if seconds >= 7 * 86400 or seconds != seconds:
        return day(then, now)
    if seconds >= 86400:
        return say("{days} d ago", days=int(seconds // 86400))
    if seconds >= 3600:
        return say("{hours} h ago", hours=int(seconds // 3600))
    return say("{minutes} min ago", minutes=int(seconds // 60)) if seconds >= 60 else say("just now")


def day(then: float, now: float) -> str:
    """The date, without the year in the same year. Empty for no time at all."""
    local = _local(then)
    if local is None:
        return ""
    this_year = local_time(now).year
    if local.year == this_year:
        return say("{when.day} {when:%b}", when=local)
    return say("{when.day} {when:%b} {when.year}", when=local)


def moment(then: float, now: float) -> str:
    """The time of today, or the date. Empty for no time at all."""
    today = local_time(now).date()
    return f"{local_time(then):%H:%M}" if _local(then) == today else day(then, now)


@dataclass(frozen=True, slots=True)
class Period:
    """A heading of a list, and the time from which on it holds, in Unix seconds."""

    name: str
    since: float


def period(then: float, today: date) -> Period:
    """Today, Yesterday, This week, else the month; `Undated` for no time at all."""
    local = _local(then)
    if local is None:
        return Period(say("Undated"), -math.inf)
    monday = today - timedelta(days=today.weekday())
    days = ((say("Today"), today), (say("Yesterday"), today - timedelta(days=1)), (say("This week"), monday))
    for name, start in days:
        if local >= start:
            return Period(name, _start(start))
    name = say("{when:%B}", when=local) if local.year == today.year else say("{when:%B} {when.year}", when=local)
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
