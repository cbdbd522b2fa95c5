"""How quick the list of 10,000 conversations and the search are on the screen, from the key to the drawn frame.

    python -m benchmarks.sidebar                  makes a library in a temporary folder, measures, removes it
    python -m benchmarks.sidebar --keep DIR       makes it there, or measures the one that is there

The program runs without a terminal, with all else as it is: its library on disk, its frames rendered. The search waits
80 ms after a key for the next one; that is in its figures.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from textual.events import Key
from textual.pilot import Pilot

from benchmarks.interface import COLUMNS, LINES, Streamer
from benchmarks.library import NEEDLE, make
from qwenchat.chat.engine_commands import LoadModel
from qwenchat.engine.worker import Worker
from qwenchat.library.library import Library
from qwenchat.session.session import Session
from qwenchat.tui import app
from qwenchat.tui.app import QwenChat
from qwenchat.tui.screens.search import SearchScreen
from qwenchat.tui.widgets.sidebar import Sidebar

PATIENCE_S = 60.0
OPENED, MOVED, SEARCHED = 15, 40, 5
QUERIES = (NEEDLE, "the", "th", "a", "con", "the of and", "的", "的人", "qqqq")


class Frames(QwenChat):
    """The program, noting when a frame that shows what is waited for is drawn."""

    CSS_PATH = Path(app.__file__).with_name("screens") / "chat.tcss"

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._wanted: Callable[[], bool] | None = None
        self._seen: asyncio.Future[float] | None = None

    def _display(self, screen: Any, renderable: Any) -> None:
        super()._display(screen, renderable)
        if hasattr(renderable, "render_segments"):
            renderable.render_segments(self.console)
        if self._wanted is not None and self._seen is not None and not self._seen.done() and self._wanted():
            self._seen.set_result(time.perf_counter())

    async def frame(self, key: str, character: str | None, wanted: Callable[[], bool]) -> float:
        """Milliseconds from a key until a frame is drawn at which `wanted` holds."""
        self._seen, self._wanted = asyncio.get_running_loop().create_future(), wanted
        event = Key(key, character)
        event.set_sender(self)
        began = time.perf_counter()
        self.post_message(event)
        drawn = await asyncio.wait_for(self._seen, PATIENCE_S)
        self._wanted = None
        return 1000 * (drawn - began)


async def measure(path: Path, count: int) -> dict[str, list[float]]:
    """All figures, in milliseconds."""
    session = Session(Worker(Streamer), Library.open(path))
    program = Frames(session, LoadModel())
    took: dict[str, list[float]] = {}
    async with program.run_test(size=(COLUMNS, LINES)) as pilot:
        await pilot.pause(0.5)
        await _list(program, pilot, count, took)
        await _search(program, pilot, took)
    program.save_and_close()
    return took


async def _list(program: Frames, pilot: Pilot[None], count: int, took: dict[str, list[float]]) -> None:
    sidebar = program.screen.query_one(Sidebar)
    rows = sidebar._list
    for _ in range(OPENED):
        took.setdefault("open the list", []).append(
            await program.frame("ctrl+b", None, lambda: sidebar.display and rows.highlighted is not None)
        )
        await program.frame("escape", None, lambda: not sidebar.display)
    began = time.perf_counter()
    await program.frame("ctrl+b", None, lambda: sidebar.display and rows.highlighted is not None)
    while not sidebar._list.complete and len(sidebar._list.summaries) < count * 0.97:
        await pilot.pause(0.005)
    took["all of them listed"] = [1000 * (time.perf_counter() - began)]
    for key, back in (("down", None), ("pagedown", None), ("end", "home"), ("home", "end")):
        if back is not None:
            before = rows.highlighted
            await program.frame(back, None, lambda before=before: rows.highlighted != before)
        for _ in range(MOVED if back is None else OPENED):
            before = rows.highlighted
            took.setdefault(f"scroll: {key}", []).append(
                await program.frame(key, None, lambda before=before: rows.highlighted != before)
            )
            if back is not None:
                await program.frame(back, None, lambda before=before: rows.highlighted == before)
    for word in ("con", "the", "xyz", "a b"):
        await program.frame("slash", "/", lambda: sidebar._filter.has_focus)
        for character in word:
            key = "space" if character == " " else character
            typed = sidebar._filter.value + character
            before = rows._rows
            took.setdefault("filter: a key", []).append(
                await program.frame(
                    key, character, lambda t=typed, b=before: sidebar._filter.value == t and rows._rows is not b
                )
            )
        await program.frame("escape", None, lambda: not sidebar._filter.display)
    await pilot.pause(1.0)
    for _ in range(OPENED):
        before = len(rows.rows)
        deleted = await program.frame("d", "d", lambda before=before: len(rows.rows) < before)
        undone = await program.frame("u", "u", lambda: bool(rows.rows) and not sidebar._deleted)
        took.setdefault("delete", []).append(deleted)
        took.setdefault("undo", []).append(undone)
    await program.frame("escape", None, lambda: not sidebar.display)


async def _search(program: Frames, pilot: Pilot[None], took: dict[str, list[float]]) -> None:
    for _ in range(SEARCHED):
        took.setdefault("open the search", []).append(
            await program.frame(
                "ctrl+f", None, lambda: isinstance(program.screen, SearchScreen) and bool(program.screen._hits.rows)
            )
        )
        await program.frame("escape", None, lambda: not isinstance(program.screen, SearchScreen))
    await program.frame(
        "ctrl+f", None, lambda: isinstance(program.screen, SearchScreen) and bool(program.screen._hits.rows)
    )
    screen = program.screen
    assert isinstance(screen, SearchScreen)
    for query in QUERIES:
        for _ in range(SEARCHED):
            screen._field.value = query[:-1]
            screen._field.cursor_position = len(query) - 1
            await pilot.pause(0.3)
            name = "search: index it all" if "search: index it all" not in took else f"search: {query}"
            took.setdefault(name, []).append(
                await program.frame(query[-1], query[-1], lambda query=query: screen._shown == (query, False))
            )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conversations", type=int, default=10_000)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where the library is made, or is")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = (given.keep or Path(folder)) / "conversations.sqlite3"
        if not path.exists():
            make(path, given.conversations)
        took = asyncio.run(measure(path, given.conversations))
    figures = {name: _summary(values) for name, values in took.items()}
    print(f"{'ms from the key to the frame':<30}{'p50':>9}{'p95':>9}{'worst':>9}{'n':>5}")
    for name, (middle, high, worst, number) in figures.items():
        print(f"{name:<30}{middle:>9,.1f}{high:>9,.1f}{worst:>9,.1f}{number:>5}")
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n")


def _summary(values: list[float]) -> tuple[float, float, float, int]:
    ordered = sorted(values)
    return statistics.median(ordered), ordered[int(0.95 * (len(ordered) - 1))], ordered[-1], len(ordered)


if __name__ == "__main__":
    main()
