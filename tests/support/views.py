"""Every screen of the program in its states, brought about by keys: a new one is one entry in VIEWS."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from qwenchat.chat.errors import EngineFailed
from qwenchat.library.library import Library
from qwenchat.settings.presets import built_in
from qwenchat.tui.screens import permission
from qwenchat.tui.transcript.reasoning import Reasoning
from tests.support import fake_engine
from tests.support.chat_driver import Chat, chat
from tests.support.fake_engine import MODEL, FakeEngine, Script
from tests.support.fake_tools import CAPABLE, FakeTools, call
from tests.support.saved_conversations import put

NOON = datetime(2026, 3, 5, 12)
SIZES = ((1, 1), (40, 12), (3, 2), (80, 24))

ANSWER = """\
Python's sort is **stable**: equal items keep their *old order*, see [the documentation](https://docs.python.org).

```python
def by_length(words: list[str]) -> list[str]:  # the longest last
    return sorted(words, key=len, reverse=False) or ["fig", 42]
```

| word | letters |
|------|--------:|
| fig  |       3 |
| plum |       4 |

> Sort twice: by name, then by age.

1. `sorted` makes a new list
2. `list.sort` does not
"""
THOUGHT = "They ask about ties. Timsort merges runs and never swaps equal items, so it is stable; I show an example."
QUESTION = "Why do words of the same length keep their order?"
REPLY = Script(ANSWER, thought=THOUGHT)
BRIEF = Script("It is **stable**.", thought=THOUGHT)
CALL, RAIN = Script("", calls=(call(),)), Script("It rains in Paris.")


@dataclass(frozen=True)
class View:
    """A state of the program and the way there."""

    name: str
    show: Callable[[Chat], Awaitable[None]]
    scripts: tuple[Script, ...] = (REPLY,)
    notices: tuple[str, ...] = ()
    saved: bool = False
    """Whether there are saved conversations."""
    tools: bool = False
    """Whether the model can call tools."""
    steady: bool = True
    """Whether it looks the same on every machine."""
    recolored: bool = True
    """Whether it takes on another theme while it is open."""

    def __str__(self) -> str:
        return self.name


def _keys(*keys: str, sees: str, ask: bool = False) -> Callable[[Chat], Awaitable[None]]:
    async def show(it: Chat) -> None:
        if ask:
            await it.ask(QUESTION)
        await it.press(*keys)
        await it.sees(sees)

    return show


async def _streaming(it: Chat) -> None:
    await it.send(QUESTION)
    await it.sees("thinking for", "Timsort")


async def _failed(it: Chat) -> None:
    await it.send(QUESTION)
    await it.sees("failed: The model failed")


async def _chosen(it: Chat) -> None:
    await it.ask(QUESTION)
    await it.press("ctrl+up", "ctrl+up")
    await it.until(lambda: it.transcript.chosen, "a choice")


async def _editing(it: Chat) -> None:
    await _chosen(it)
    await it.press("e")
    await it.until(lambda: it.draft == QUESTION, "the message to be changed")


async def _versions(it: Chat) -> None:
    await it.ask(QUESTION)
    await it.press("ctrl+r")
    await it.sees("2/2")
    await it.idle()


async def _selected(it: Chat) -> None:
    await it.paste("A draft of some words")
    await it.press(*["shift+left"] * 5)


async def _replay(it: Chat) -> None:
    await it.ask("Go")
    await it.press("f6", "i")
    await it.sees("ended")


async def _search(it: Chat) -> None:
    await it.press("ctrl+f", *"tides")
    await it.sees("About tides")


async def _permission(it: Chat) -> None:
    it.session.switch_tools(("weather", "clock"))
    await it.send("Weather?")
    await it.sees("The model wants to call weather")


async def _called(it: Chat) -> None:
    await _permission(it)
    await it.press("y")
    await it.sees("Rain.", "It rains in Paris.")
    await it.idle()


async def _compare(it: Chat) -> None:
    await it.send("/compare lab/first lab/second\n" + QUESTION)
    await it.sees("It is", "▸ thought for", "Another", "answering")


async def _reported(it: Chat) -> None:
    it.app._chat._chat.notify_user("The draft is kept.")
    it.app._chat._chat.notify_user("Nothing can be saved.", "warning")
    it.app.notify("The disk is full.", severity="error")
    await it.sees("The draft is kept.", "Nothing can be saved.", "The disk is full.")


VIEWS = (
    View("welcome", _keys(sees="Qwen")),
    View("chat", _keys(sees="list.sort", ask=True)),
    View("thought", _keys("ctrl+o", sees="Timsort", ask=True), (BRIEF,)),
    View("streaming", _streaming, (Script("An answer.", thought=THOUGHT, hold_at=14),)),
    View("failed", _failed, (Script(ANSWER, error=EngineFailed("The model failed."), error_at=3),)),
    View("chosen", _chosen, (BRIEF,)),
    View("editing", _editing, (BRIEF,)),
    View("versions", _versions, (Script("One way."), Script("Another way."))),
    View("selected", _selected),
    View("completion", _keys("slash", "r", sees="/retry")),
    View("notices", _keys(sees="A notice of some length"), notices=("A notice of some length.", "Another one.")),
    View("told", _reported),
    View("sidebar", _keys("ctrl+b", "down", sees="Sorting"), saved=True),
    View("search", _search, saved=True),
    View("replay", _replay, (Script(thought="A short thought."),)),
    View("help", _keys("f1", sees="Ctrl")),
    View("palette", _keys("ctrl+p", sees="New conversation"), recolored=False),
    View("settings", _keys("f2", "down", sees="temperature")),
    View("models", _keys("f3", sees="qwen3-0.6b"), steady=False),
    View("inspect", _keys("f4", sees="Model", ask=True), (BRIEF,), steady=False),
    View("statistics", _keys("f9", sees="The last 30 days", ask=True), (BRIEF,), steady=False),
    View("tools", _keys("f10", "down", sees="weather"), tools=True),
    View("permission", _permission, (CALL, RAIN), tools=True),
    View("called", _called, (CALL, RAIN), tools=True),
    View("rivals", _keys("f7", sees="Qwen/Qwen3-0.6B"), steady=False),
    View("compare", _compare, (Script("It is **stable**.", thought=THOUGHT), Script("Another answer.", hold_at=1))),
    View("presets", _keys("f5", "down", sees="Balanced")),
)


@pytest.fixture
def still(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user who has nothing, at noon of a certain day; the engine takes no time."""
    monkeypatch.setenv("QWENCHAT_HOME", str(tmp_path))
    monkeypatch.setattr(time, "time", NOON.timestamp)
    monkeypatch.setattr(fake_engine, "time", _Still)
    monkeypatch.setattr(permission, "PAUSE_S", 0.0)
    monkeypatch.setattr(Reasoning.__init__, "__defaults__", (lambda: 0.0,))


class _Still:
    sleep = staticmethod(time.sleep)

    @staticmethod
    def monotonic() -> float:
        return 0.0


@asynccontextmanager
async def view_of(view: View, size: tuple[int, int], theme: str = "qwenchat-dark") -> AsyncIterator[Chat]:
    """The program as `view` shows it, without motion."""
    library = Library.in_memory()
    if view.saved:
        for title, days in (("Plums", 400), ("Tides", 1), ("Sorting", 0)):
            put(library, title, when=NOON - timedelta(days=days), reply=f"About {title.lower()}.")
    async with chat(
        engine=FakeEngine(list(view.scripts), model=CAPABLE if view.tools else MODEL),
        tools=FakeTools() if view.tools else None, library=library, size=size, theme=theme, notices=view.notices,
        presets=built_in(), reduced_motion=True,
    ) as it:  # fmt: skip
        await view.show(it)
        await it.pilot.pause()
        yield it


async def looks_of(view: View, looks: Iterable[tuple[str, tuple[int, int]]]) -> AsyncGenerator[tuple[str, Chat], None]:
    """The program as `view` shows it in each theme and size, with the theme's name."""
    looks = list(looks)
    while looks:
        theme, size = looks.pop(0)
        async with view_of(view, size, theme) as it:
            yield theme, it
            while looks and view.recolored:
                theme, size = looks.pop(0)
                it.app.theme = theme
                await it.pilot.resize_terminal(*size)
                yield theme, it


async def lives_through_any_size(it: Chat) -> None:
    """Make the terminal larger and smaller while a reply streams: the screen stays, and no panel leaves it."""
    if not it.session.busy:
        it.engine._queue.append(Script(" ".join(["word"] * 400), delay_s=0.01))
        it.session.send("Go on")
    screen = it.app.screen
    for size in SIZES:
        await it.pilot.resize_terminal(*size)
    assert it.app.is_running
    assert it.app.screen is screen
    assert all(screen.region.contains_region(panel.region) for panel in screen.query("#panel"))
    it.session.stop()
