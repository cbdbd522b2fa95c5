"""Statistics count what was said, by day, by model and by hour, and show it."""

import json
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from qwenchat.chat.messages import Message, ReasoningPart, Role, TextPart
from qwenchat.chat.provenance import ModelInfo, Provenance, Timing, Usage
from qwenchat.chat.sampling import THINKING
from qwenchat.cli.main import cli
from qwenchat.library.library import Library
from qwenchat.system.paths import Paths
from tests.support.chat_driver import chat

DAY_S = 86_400
MADE = Provenance(ModelInfo("Qwen3"), THINKING, True, Usage(20, 0, 60, 40), Timing(0.5, 1.5, 2.5, 50.0))


def fill(library: Library, *, model: str = "Qwen3", days_ago: float = 0, turns: int = 2) -> None:
    when = time.time() - days_ago * DAY_S
    made = replace(MADE, model=ModelInfo(model))
    parent = None
    for n in range(turns):
        asked = Message(Role.USER, (TextPart(f"Question {n}"),), parent=parent, created=when)
        parts = (ReasoningPart("Hm"), TextPart("Yes."))
        said = Message(Role.ASSISTANT, parts, parent=asked.id, created=when, provenance=made)
        for message in (asked, said):
            library.save(f"{model}{days_ago}", message)
        parent = said.id


def test_sums_are_by_day_by_model_and_by_hour() -> None:
    library = Library.in_memory()
    fill(library)
    fill(library, model="SmolLM2", days_ago=3, turns=3)
    fill(library, days_ago=90)
    found = library.statistics(time.time() - 30 * DAY_S)
    assert [figures.replies for _, figures in found.days] == [3, 2]
    assert found.days[1][0] == datetime.now().strftime("%Y-%m-%d")
    assert [name for name, _ in found.models] == ["SmolLM2", "Qwen3"]
    assert (found.conversations, found.questions, sum(found.hours)) == (2, 5, 5)
    assert (found.total.thinking_tokens, found.total.answer_tokens) == (300, 200)
    assert found.total.tokens_per_s == pytest.approx(50)
    assert found.total.mean_first_token_s == pytest.approx(0.5)
    assert library.statistics(0.0).total.replies == 7


def test_what_was_deleted_does_not_count_and_damaged_accounts_do_no_harm() -> None:
    library = Library.in_memory()
    fill(library)
    library._connection.execute("update messages set provenance = x'ff00' where role = 'assistant' and number < 3")
    assert library.statistics(0.0).total.replies == 1
    library.hide([row[0] for row in library._connection.execute("select id from messages")])
    assert library.statistics(0.0).total.replies == 0
    assert library.statistics(0.0).questions == 0


def test_the_shell_prints_them_as_rows_and_as_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QWENCHAT_HOME", str(tmp_path))
    empty = CliRunner().invoke(cli, ["stats"])
    assert "Nothing was answered" in empty.stdout
    library = Library.open(Paths.of_user().database)
    fill(library, model="Q\x1b[31m3")
    library.close()
    ran = CliRunner().invoke(cli, ["stats"])
    assert "2 replies · 1 conversation" in ran.stdout
    assert "\x1b" not in ran.stdout
    found = json.loads(CliRunner().invoke(cli, ["stats", "--all", "--json"]).stdout)
    assert found["models"][0][1]["thinking_tokens"] == 120


async def test_the_screen_shows_plots_and_numbers(tmp_path: Path) -> None:
    library = Library.open(tmp_path / "library.sqlite3")
    fill(library)
    fill(library, days_ago=100, turns=5)
    async with chat(library=library, size=(100, 40)) as it:
        await it.press("f9")
        await it.sees("The last 30 days", "2 replies", "MODEL", "Your messages by hour")
        assert "Tokens by day" not in it.screen  # one day makes no curve
        await it.press("right", "right")
        await it.sees("All time", "7 replies", "Tokens by day")
        await it.press("t")
        await it.sees("DAY", datetime.now().strftime("%Y-%m-%d"))
        await it.no_longer_sees("Tokens by day")
        await it.press("escape")
        await it.no_longer_sees("All time")


async def test_the_plots_are_as_high_as_there_is_room() -> None:
    library = Library.in_memory()
    fill(library)
    for height, least in ((70, 40), (24, 10)):
        async with chat(library=library, size=(100, height)) as it:
            await it.press("f9")
            await it.until(lambda: it.app.screen.query("#hours"), "the screen")
            hours = it.app.screen.query_one("#hours")
            await it.until(lambda hours=hours, least=least: hours.size.height >= least, "a plot of that height")


@pytest.mark.parametrize("size", [(40, 12), (1, 1), (80, 24)])
async def test_it_fits_every_screen_and_an_empty_library(size: tuple[int, int]) -> None:
    async with chat(size=size) as it:
        await it.press("f9")
        await it.pilot.pause(0.1)
        await it.pilot.resize_terminal(100, 30)
        await it.sees("Nothing was answered in this time.")
