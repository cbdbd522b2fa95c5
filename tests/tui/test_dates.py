"""Times as people say them."""

import math
from datetime import date, datetime

import pytest

from qwenchat.tui.text.dates import age, day, period

WEDNESDAY = date(2025, 9, 17)


@pytest.mark.parametrize(
    ("when", "said"),
    [
        (datetime(2025, 9, 17, 0, 0, 1), "Today"),
        (datetime(2025, 9, 19, 12), "Today"),  # a clock that was wrong
        (datetime(2025, 9, 16, 23, 59), "Yesterday"),
        (datetime(2025, 9, 15, 8), "This week"),
        (datetime(2025, 9, 14, 23), "September"),
        (datetime(2025, 1, 1), "January"),
        (datetime(2024, 12, 31), "December 2024"),
        (datetime(1970, 1, 2), "January 1970"),
    ],
)
def test_a_conversation_stands_below_the_heading_of_its_day(when: datetime, said: str) -> None:
    found = period(when.timestamp(), WEDNESDAY)
    assert found.name == said
    assert found.since <= when.timestamp()
    assert period(found.since, WEDNESDAY) == found
    assert period(found.since - 1, WEDNESDAY).name != said


def test_on_a_monday_the_day_before_is_yesterday_and_the_week_is_new() -> None:
    monday = date(2025, 9, 15)
    assert period(datetime(2025, 9, 14, 12).timestamp(), monday).name == "Yesterday"
    assert period(datetime(2025, 9, 13, 12).timestamp(), monday).name == "September"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-100, "just now"), (0, "just now"), (59, "just now"), (60, "1 min ago"), (3599, "59 min ago"), (7200, "2 h ago"),
     (86400, "1 d ago"), (6 * 86400, "6 d ago")],
)  # fmt: skip
def test_an_age_is_told_in_the_largest_unit_that_fits(seconds: float, said: str) -> None:
    now = datetime(2025, 9, 17, 12).timestamp()
    assert age(now - seconds, now) == said


def test_what_is_older_than_a_week_has_a_date() -> None:
    now = datetime(2025, 9, 17, 12).timestamp()
    assert age(datetime(2025, 9, 9, 12).timestamp(), now) == "9 Sep"
    assert day(datetime(2024, 9, 9, 12).timestamp(), now) == "9 Sep 2024"


@pytest.mark.parametrize("when", [math.nan, math.inf, -math.inf, 1e30, -1e30])
def test_a_time_that_makes_no_sense_is_none(when: float) -> None:
    now = datetime(2025, 9, 17, 12).timestamp()
    assert period(when, WEDNESDAY).name == "Undated"
    assert day(when, now) == ""
    assert age(when, now) in ("", "just now")
