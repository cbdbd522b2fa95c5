"""A program that is killed at any moment, whatever it does, loses nothing that it said was saved."""

import random
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.support.library_kills import ACTIVITIES, trial


def kills(folder: Path, number: int, seed: int) -> Counter[str]:
    """So many kills, in turn over all that a program does with its library; and what was `saved` before them."""
    chance, made = random.Random(seed), dict[str, Path]()
    counts = Counter[str]()
    for at in range(number):
        activity = ACTIVITIES[at % len(ACTIVITIES)]
        try:
            counts["saved"] += trial(activity, folder, made, chance)
        except Exception as error:
            raise AssertionError(f"seed {seed}, kill {at}, {activity.name}") from error
        counts[activity.name] += 1
    return counts


def test_a_kill_in_whatever_the_program_does_loses_nothing(folder: Path) -> None:
    counts = kills(folder, len(ACTIVITIES), 1)
    assert len(counts) == len(ACTIVITIES) + 1


@pytest.mark.slow
def test_two_hundred_kills_lose_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counts = kills(folder, 200, 2)
    saved = counts.pop("saved")
    with capsys.disabled():
        said = ", ".join(f"{number} while {name}" for name, number in counts.items())
        sys.stdout.write(f"\n{counts.total()} kills, none of {saved} saved things lost: {said}\n")
