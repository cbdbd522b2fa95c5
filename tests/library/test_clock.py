"""A clock that is wrong by centuries costs nothing that is said."""

import math
import subprocess
import sys
import time
from pathlib import Path

import pytest

from qwenchat.chat.messages import Message, Role, TextPart
from qwenchat.cli.commands import conversations
from qwenchat.library.library import Library
from qwenchat.library.maintenance import Maintenance
from qwenchat.system import clock
from qwenchat.tui.text import dates
from qwenchat.tui.widgets.conversation_row import grouped

CLOCKS = [-1e10, -1.0, 0.0, 1.0, 9.2e9, 1e10, 2.5e11, 1e15, math.nan, math.inf]


@pytest.mark.parametrize("now", CLOCKS)
def test_whatever_the_clock_shows_what_is_said_is_saved_listed_and_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, now: float
) -> None:
    monkeypatch.setattr(time, "time", lambda: now)
    path = tmp_path / "c.sqlite3"
    library = Library.open(path)
    library.save("a", Message(Role.USER, (TextPart("said"),), created=now))
    library.save("b", Message(Role.USER, (TextPart("deleted"),), created=now))
    library.delete("b")
    upkeep = Maintenance(path, 0)
    assert upkeep.wait(20)
    upkeep.close()
    library.close()
    library = Library.open(path)
    assert library.notice == ""
    (row,) = library.conversations()
    assert len(library.search("said")) == 1
    assert conversations._when(row.updated)
    assert len(list(grouped([row], None))) == 2
    for then in CLOCKS:
        for reported in (dates.age, dates.day, dates.moment):
            assert isinstance(reported(then, now), str)
    library.statistics(now)


def test_a_clock_that_python_cannot_read_is_said_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_late() -> float:
        raise OverflowError("timestamp too large to convert to C _PyTime_t")

    assert clock.clock_is_usable()
    monkeypatch.setattr(time, "time", too_late)
    assert not clock.clock_is_usable()


def test_the_program_asks_for_the_clock_before_anything_that_needs_it() -> None:
    code = """
import time
def too_late():
    raise OverflowError("timestamp too large to convert to C _PyTime_t")
time.time = too_late
from qwenchat.__main__ import main
main()
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert ran.stderr.startswith("qwenchat: The clock")
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("allowed", [8, 12])
def test_too_few_open_files_are_said_in_a_sentence(allowed: int) -> None:
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({allowed}, {allowed}))"
    code = f"{limit}; from qwenchat.__main__ import main; main()"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert ran.stderr == (
        f"qwenchat: Only {allowed} files may be open at once here, which is too few. "
        "Allow more: `ulimit -n 256`, in a new shell.\n"
    )


def test_a_low_limit_of_open_files_is_raised_where_the_system_lets_it_be() -> None:
    code = """
import resource
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (10, hard))
from qwenchat.system.open_files import open_files_allowed
print(open_files_allowed() > 16, resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 16)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.stdout == "True True\n"
