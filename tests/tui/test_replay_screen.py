"""What is typed in the composer is recorded, and F6 plays the open conversation."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import pytest

from qwenchat.chat.messages import Message, Role, Status, ToolResultPart
from qwenchat.chat.timeline import Tick
from qwenchat.replay.player import Replay
from qwenchat.tui.screens.replay import ReplayScreen
from tests.support.chat_driver import Chat, chat
from tests.support.fake_engine import Script
from tests.support.recordings import CONVERSATION, TIMELINES, Clock, reply, said, ticks


def recorded(it: Chat, message: Message) -> list[int]:
    return [tick.characters for tick in it.session.library.timeline(message.id)]


class TestRecording:
    async def test_what_is_typed_is_saved_with_its_pace_but_not_what_was_deleted(self):
        async with chat() as it:
            await it.press(*"Hix", "backspace", *" you")
            await it.press("enter")
            await it.idle()
            question = it.session.conversation.path[0]
            assert question.text == "Hi you"
            assert recorded(it, question) == [1, 1, 1, 1, 1, 1, 0]
            times = [tick.at_ms for tick in it.session.library.timeline(question.id)]
            assert times == sorted(times)
            assert times[0] == 0

    async def test_a_paste_is_one_piece_and_the_next_message_begins_anew(self):
        async with chat() as it:
            await it.ask("A whole pasted page")
            await it.ask("More")
            said = [recorded(it, message) for message in it.session.conversation.path[::2]]
            assert said == [[len("A whole pasted page"), 0], [4, 0]]


class Theatre:
    """A replay on the screen, over a clock that moves only by `at`."""

    def __init__(self, it: Chat, clock: Clock) -> None:
        self.it, self.clock = it, clock
        self._began = clock.now

    async def at(self, seconds: float, *wanted: str) -> None:
        """Let so many seconds have passed since the beginning, and see what is then on the screen."""
        self.clock.now = self._began + seconds
        await self.sees(*wanted)

    async def sees(self, *wanted: str) -> None:
        await self.it.sees(*wanted)

    async def press(self, *keys: str) -> None:
        await self.it.press(*keys)


@asynccontextmanager
async def theatre(
    messages: Sequence[Message] = CONVERSATION,
    timelines: Mapping[str, Sequence[Tick]] = TIMELINES,
    size: tuple[int, int] = (100, 40),
) -> AsyncIterator[Theatre]:
    clock = Clock()
    async with chat(size=size, ready=False) as it:
        await it.until(lambda: it.app._chat._begun, "the chat")
        replay = Replay(messages, timelines, clock=clock)
        it.app.push_screen(ReplayScreen(replay))
        await it.until(lambda: not replay.paused, "the replay")
        yield Theatre(it, clock)


class TestPlaying:
    async def test_it_looks_like_the_chat_while_it_happened(self):
        async with theatre() as on:
            await on.at(0.5, "│ What▏", "▸ playing 1×  0:00", "0:12  message 1 of 4")
            await on.at(1.2, "│ What is 2+2?▏")
            await on.at(1.7, "▌ What is 2+2?", "reading the prompt", "message 2 of 4")
            await on.at(2.2, "thinking for 0 s, 1 token", "Easy")
            await on.at(3.0, "thinking for 1 s, 2 tokens", "Easy sum.")
            await on.at(3.7, "▸ thought for", "It")
            await on.it.no_longer_sees("Easy sum.")
            await on.at(5.6, "It is four.", "Qwen/Qwen3-0.6B · 5 tokens")
            await on.at(9.0, "│ Thanks!▏")
            await on.at(11.6, "▌ Thanks!", "You're welcome.")
            await on.at(99, "■ ended", "0:12 ━", "message 4 of 4", "Space plays again")
            assert len(on.it.replies) == 0, "the chat below is as it was"

    async def test_space_holds_it_and_lets_it_go_on(self):
        async with theatre() as on:
            await on.at(2.2, "Easy", "Space pauses")
            await on.press("space")
            await on.sees("‖ paused", "Space plays")
            await on.at(900, "‖ paused 1×  0:02")
            assert "sum." not in on.it.screen
            await on.press("space")
            await on.at(903, "It is four.")

    async def test_steps_and_seeking_show_what_stood_there_and_nothing_else(self):
        async with theatre() as on:
            await on.press("space", "right", "right")
            await on.sees("It is four.", "Qwen/Qwen3-0.6B · 5 tokens", "message 3 of 4")
            await on.press("left")
            await on.it.no_longer_sees("It is four.")
            await on.sees("▌ What is 2+2?", "message 2 of 4", "reading the prompt")
            await on.press("left")
            await on.it.no_longer_sees("▌ What is 2+2?")
            await on.press("i")
            await on.sees("You're welcome.", "It is four.", "■ ended")
            await on.press("3")
            await on.sees("It", "message 2 of 4")
            await on.it.no_longer_sees("is four.")
            await on.press("end", "home")
            await on.it.no_longer_sees("▌ What")

    async def test_the_middle_of_a_reply_is_played_on_from_there(self):
        async with theatre() as on:
            await on.press("i")
            await on.sees("■ ended")
            await on.press("3")
            await on.sees("It")
            await on.at(2, "It is four.", "▸ playing")

    async def test_the_speed_is_shown_and_kept_within_bounds(self):
        async with theatre() as on:
            await on.press("up", "plus")
            await on.sees("4×")
            await on.press(*["up"] * 9)
            await on.sees("16×")
            await on.press(*["minus", "down"] * 9)
            await on.sees("0.25×")

    async def test_at_the_end_space_plays_it_again(self):
        async with theatre() as on:
            await on.press("i")
            await on.sees("■ ended")
            await on.press("space")
            await on.sees("▸ playing", "│ What▏")

    @pytest.mark.parametrize("key", ["escape", "q", "f6", "ctrl+c"])
    async def test_each_way_out_leads_back_to_the_chat(self, key: str):
        async with theatre() as on:
            await on.press(key)
            await on.it.until(lambda: on.it.app.screen is on.it.app._chat, "the chat")

    @pytest.mark.parametrize("size", [(100, 30), (60, 20), (36, 12), (12, 6), (3, 2)])
    async def test_any_size_of_screen_will_do(self, size: tuple[int, int]):
        async with theatre(size=size) as on:
            for at in (0.5, 3.0, 99):
                on.clock.now += at
                await on.it.pilot.pause(0.05)
            await on.press("left", "3")
            assert isinstance(on.it.app.screen, ReplayScreen)

    async def test_where_there_is_little_room_the_way_out_is_still_said(self):
        async with theatre(size=(60, 20)) as on:
            await on.sees("Space pauses   ←→ message   ↑↓ speed   Esc leaves")
            await on.it.pilot.resize_terminal(24, 20)
            await on.it.no_longer_sees("message")
            await on.sees("Esc leaves")

    async def test_hostile_text_is_shown_harmlessly(self):
        hostile = "a\x1b[2Jb\x1b]0;t\x07c[red]d[/red]\u202ee"
        path = (said(hostile, 0), reply(hostile, 0, thought=hostile, note="\x1b[31m[b]x", status=Status.FAILED))
        cuts = ticks(*[(n, channel, 1) for channel in "ta" for n in range(99)])
        async with theatre(path, {path[0].id: cuts, path[1].id: cuts}) as on:
            await on.at(0.05, "abc[red]d[/red]⟨RLO⟩e")
            await on.at(99, "failed: [b]x")
            assert "\x1b" not in on.it.screen

    async def test_replies_that_ended_early_say_how(self):
        path = (
            reply("Half", 0, status=Status.STOPPED),
            reply("", 0, thought="Hm", status=Status.INTERRUPTED, closed=False),
            Message(Role.TOOL, (ToolResultPart("1", "clock", "noon"),)),
            reply("", 0, status=Status.FAILED, note="out of memory"),
        )
        async with theatre(path, {}) as on:
            await on.at(99, "Half", "stopped", "broken off", "interrupted", "failed: out of memory")

    async def test_a_long_conversation_can_be_walked(self):
        path = [message for n in range(150) for message in (said(f"Question {n}.", n), reply(f"Reply {n}.", n))]
        async with theatre(path, {}) as on:
            await on.press("i")
            await on.sees("Reply 149.", "message 300 of 300")
            await on.press("5")
            await on.it.no_longer_sees("Reply 149.")
            await on.press("home")
            await on.it.no_longer_sees("Reply")
            assert isinstance(on.it.app.screen, ReplayScreen)


class TestTheKeyInTheChat:
    async def test_f6_plays_what_was_said_here(self):
        async with chat(Script("Paris it is.", thought="Hm, France.")) as it:
            await it.ask("Capital?")
            await it.press("f6")
            await it.sees("▸ playing", "of 2")
            await it.press("i")
            await it.sees("▌ Capital?", "Paris it is.", "■ ended")
            await it.press("escape")
            await it.sees("F1 help")

    async def test_a_reply_that_is_still_being_written_is_left_out(self):
        async with chat(Script("one two three", hold_at=1)) as it:
            await it.send("Count")
            await it.sees("one")
            await it.press("f6")
            await it.sees("message 1 of 1")
            it.engine.release()
            await it.until(lambda: not it.session.busy, "the end of the turn")
            await it.press("escape")
            await it.sees("one two three")

    async def test_with_nothing_said_there_is_nothing_to_play(self):
        async with chat() as it:
            await it.press("f6")
            await it.sees("There is nothing to play yet.")
