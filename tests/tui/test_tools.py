"""Tools on the screen: asked about, folded in the transcript, switched on and off."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from qwenchat.chat.errors import ConfigInvalid
from qwenchat.chat.invisible import spelled_out
from qwenchat.chat.messages import Message, Role, TextPart, ToolCallPart, ToolResultPart
from qwenchat.chat.tools import BUILT_IN, ToolSettings
from qwenchat.library.library import Library
from qwenchat.tools.registry import builtins
from qwenchat.tui.screens import permission
from qwenchat.tui.screens.permission import PermissionScreen
from tests.support.chat_driver import Chat, chat
from tests.support.fake_engine import FakeEngine, Script
from tests.support.fake_tools import CAPABLE, FakeTools, call
from tests.tui.test_hostile import ESCAPES, MARKUP, SHOWN, _clean

ANSWER = Script("It rains in Paris.")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys count at once, unless a test says otherwise."""
    monkeypatch.setattr(permission, "PAUSE_S", 0.0)


@asynccontextmanager
async def chatting(
    *scripts: Script, tools: FakeTools | None = None, size: tuple[int, int] = (100, 30), library: Library | None = None
) -> AsyncIterator[tuple[Chat, FakeTools]]:
    runner = tools or FakeTools()
    engine = FakeEngine(list(scripts) or [Script("", calls=(call(),)), ANSWER], model=CAPABLE)
    async with chat(engine=engine, tools=runner, size=size, library=library) as it:
        it.session.switch_tools(("weather", "clock"))
        yield it, runner


async def test_a_call_is_asked_about_with_its_arguments_run_and_folded() -> None:
    async with chatting() as (it, tools):
        await it.send("Weather?")
        await it.sees("The model wants to call weather", "city: Paris", "yes, this once", "waits for your permission")
        assert not tools.runs
        await it.press("y")
        await it.idle()
        await it.sees("▸ weather(Paris) → Rain.", "It rains in Paris.")
        assert it.session.conversation.path[-1].text == "It rains in Paris."
        await it.click_text("▸ weather(Paris)")
        await it.sees("▾ weather(Paris)", "city: Paris")
        await it.click_text("▾ weather(Paris)")
        await it.no_longer_sees("city: Paris")


@pytest.mark.parametrize(
    ("keys", "ran"),
    [(("n",), 0), (("escape",), 0), (("enter",), 0), (("c",), 1), (("a",), 1), (("down", "enter"), 1), (("x", "y"), 1)],
    ids=["no", "escape", "enter", "chat", "always", "moved", "after another key"],
)
async def test_answers_by_key(keys: tuple[str, ...], ran: int) -> None:
    async with chatting() as (it, tools):
        await it.send("Weather?")
        await it.sees("yes, this once")
        await it.press(*keys)
        await it.idle()
        assert len(tools.runs) == ran
        await it.sees("→ Rain." if ran else "failed: The user did not allow this call.", "It rains in Paris.")
        assert tools.allowed == ({"weather"} if keys == ("a",) else set())


async def test_always_that_cannot_be_written_is_said_on_the_screen_and_stays() -> None:
    class Readonly(FakeTools):
        def allow_always(self, name: str) -> None:
            raise ConfigInvalid("config.toml cannot be changed: it is full.")

    async with chatting(tools=Readonly()) as (it, tools):
        await it.send("Weather?")
        await it.sees("yes, this once")
        await it.press("a")
        await it.idle()
        assert len(tools.runs) == 1
        await it.sees("cannot be changed: it is full. The tool runs without asking until qwenchat ends.")


async def test_an_answer_by_a_click() -> None:
    async with chatting() as (it, tools):
        await it.send("Weather?")
        await it.click_text("yes, in this chat")
        await it.idle()
        assert len(tools.runs) == 1


async def test_letters_of_a_message_that_is_being_written_allow_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(permission, "PAUSE_S", 60.0)
    async with chatting() as (it, tools):
        await it.send("Weather?")
        await it.sees("yes, this once")
        await it.press(*"yes always can", "enter")
        await it.sees("yes, this once")
        assert not tools.runs
        screen = it.app.screen
        assert isinstance(screen, PermissionScreen)
        screen._last_key -= 61  # a minute later
        await it.press("y")
        await it.idle()
        assert len(tools.runs) == 1


async def test_several_calls_are_asked_about_one_after_the_other() -> None:
    both = (call(), call("clock", "{}", "c2"))
    async with chatting(Script("I look.", calls=both), ANSWER) as (it, _):
        await it.send("Both?")
        await it.sees("wants to call weather")
        await it.press("y")
        await it.sees("wants to call clock", "without arguments")
        await it.press("n")
        await it.idle()
        await it.sees("I look.", "▸ weather(Paris) → Rain.", "▸ clock() failed: The user did not allow this call.")
        await it.press("ctrl+up", "ctrl+up", "alt+e")
        await it.sees("▾ weather", "▾ clock")
        await it.press("alt+e")
        await it.sees("▸ weather", "▸ clock")


async def test_stopping_a_tool_that_runs() -> None:
    async with chatting(tools=FakeTools(holds=True, allowed={"weather"})) as (it, _):
        await it.send("Weather?")
        await it.sees("▸ weather(Paris) runs", "Esc stops")
        await it.press("escape")
        await it.until(lambda: not it.session.busy)
        await it.sees("failed: The user stopped it.", "/continue lets the model go on from its tools")
        await it.send("/continue")
        await it.idle()
        await it.sees("It rains in Paris.")


async def test_a_second_malformed_call_is_said() -> None:
    bad = [Script("", calls=(call("", "weather?", f"b{at}"),)) for at in range(2)]
    async with chatting(*bad, size=(120, 30)) as (it, _):
        await it.send("Weather?")
        await it.until(lambda: it.session.conversation.tree.leaf and not it.session.busy)
        await it.sees("▸ something that is no call(weather?) failed: That is no call of a tool.")
        await it.sees("A call is one JSON object")


async def test_a_saved_conversation_shows_its_calls() -> None:
    library = Library.in_memory()
    said = [
        Message(Role.USER, (TextPart("Weather?"),)),
        Message(Role.ASSISTANT, (TextPart("I look."), call())),
        Message(Role.TOOL, (ToolResultPart("c1", "weather", "Rain."),)),
        Message(Role.ASSISTANT, (TextPart("It rains."),)),
    ]
    parent = None
    for at, message in enumerate(said):
        said[at] = Message(message.role, message.parts, parent=parent, id=f"m{at}")
        parent = said[at].id
        library.save("c", said[at])
    async with chatting(library=library) as (it, _):
        it.app._chat.opening.open("c")
        await it.sees("I look.", "▸ weather(Paris) → Rain.", "It rains.")


async def test_tools_are_switched_in_a_list() -> None:
    async with chatting(ANSWER) as (it, _):
        await it.press("f10")
        await it.sees("● weather", "● clock", "asks each time")
        await it.press("space")
        await it.until(lambda: it.session.tools.on == ("clock",))
        await it.no_longer_sees("● weather")
        await it.press("enter")
        await it.until(lambda: set(it.session.tools.on) == {"clock", "weather"})
        await it.press("escape")
        await it.send("/tools off")
        await it.sees("The model may call: nothing.")
        await it.send("/tools weather")
        await it.until(lambda: it.session.tools.on == ("weather",))
        await it.send("/tools")
        await it.sees("● weather")


async def test_what_is_wrong_with_tools_is_said() -> None:
    async with chatting(ANSWER, tools=FakeTools(problems=("gone cannot be started.",))) as (it, _):
        await it.sees("gone cannot be started.")


async def test_a_turn_says_that_it_waits_for_tools() -> None:
    async with chatting(ANSWER, tools=FakeTools(listing_holds=True)) as (it, tools):
        await it.send("Hi")
        await it.sees("waiting for the tools")
        tools.release()
        await it.idle()
        await it.sees("It rains in Paris.")


@pytest.mark.parametrize(("hostile", "shown"), [(ESCAPES, SHOWN), (MARKUP, MARKUP)], ids=["escapes", "markup"])
async def test_hostile_text_of_calls_and_results(hostile: str, shown: str) -> None:
    import json

    asked = call("weather", json.dumps({hostile: hostile}))
    unknown = ToolCallPart("u", hostile, hostile)
    async with chatting(
        Script("", calls=(asked, unknown)), ANSWER, tools=FakeTools({"weather": hostile}), size=(140, 40)
    ) as (it, _):
        await it.send("Weather?")
        await it.sees(spelled_out(hostile)[:16], "yes, this once")
        await _clean(it)
        await it.press("y")
        await it.idle()
        await it.sees(f"→ {shown[:16]}")
        await it.press("ctrl+up", "ctrl+up", "alt+e")
        await it.sees("▾ weather")
        await _clean(it)


@pytest.mark.parametrize("size", [(1, 1), (40, 12)])
async def test_small_screens(size: tuple[int, int]) -> None:
    wide = '{"city": "%s"}' % ("你好👩‍👩‍👧" * 60)
    async with chatting(Script("", calls=(call(arguments=wide),)), ANSWER, size=size) as (it, tools):
        await it.send("Weather?")
        await it.until(lambda: isinstance(it.app.screen, PermissionScreen))
        await it.press("pagedown", "pageup", "up", "down", "y")
        await it.idle()
        assert len(tools.runs) == 1
        await it.press("f10", "down", "space", "escape", "ctrl+up", "alt+e")
        assert it.app.is_running


@pytest.mark.parametrize("size", [(1, 1), (6, 3)])
async def test_a_question_in_a_tiny_window_comes_to_rest(size: tuple[int, int], monkeypatch) -> None:
    laid_out = 0
    lay_out = PermissionScreen._refresh_layout

    def counted(self: PermissionScreen, *arguments: Any, **options: Any) -> None:
        nonlocal laid_out
        laid_out += 1
        lay_out(self, *arguments, **options)

    monkeypatch.setattr(PermissionScreen, "_refresh_layout", counted)
    async with chatting(Script("", calls=(call(arguments='{"city": "%s"}' % ("Paris " * 60)),)), size=size) as (it, _):
        await it.send("Weather?")
        await it.until(lambda: isinstance(it.app.screen, PermissionScreen))
        for _ in range(50):
            await it.pilot.pause(0.02)
        assert laid_out < 20


def test_the_names_are_those_of_the_tools() -> None:
    assert tuple(tool.spec.name for tool in builtins(ToolSettings())) == BUILT_IN
