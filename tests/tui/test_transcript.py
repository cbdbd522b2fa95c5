"""What stays in view of a transcript, and that none of it is lost, however one scrolls while it grows."""

import re
from itertools import cycle

from textual.widgets import Markdown, Static

from qwenchat.library.library import Library
from tests.support.chat_driver import chat
from tests.support.fake_engine import Script
from tests.support.saved_conversations import long_library

WORDS = " ".join(f"word{n}" for n in range(40))
LONG = "\n\n".join(f"Paragraph {n} of a long answer." for n in range(60))


def _all_text(widget) -> str:
    """What a widget and all below it say, also what is scrolled away."""
    return "\n".join(str(static.render()) for static in widget.query(Static))


async def test_the_composer_and_the_status_line_stand_at_the_foot_of_the_screen():
    async with chat(size=(80, 24)) as it:
        await it.sees("Qwen/Qwen3-0.6B")
        lines = it.screen.splitlines()
        assert "Qwen/Qwen3-0.6B" in lines[23]
        assert "╰" in lines[22]
        assert "Write a message" in lines[21]
        assert "╭" in lines[20]


async def test_the_answer_streams_as_markdown():
    async with chat(Script("A **bold** word and a list:\n\n- first\n- second\n\nmore to come", hold_at=9)) as it:
        await it.send("Go")
        await it.sees("A bold word", "• first", "• second", "more")
        assert it.session.busy
        assert "**" not in it.screen


async def test_a_code_fence_is_still_shown_after_the_stream_ends():
    async with chat(Script("Here:\n\n```python\nprint('hello')\nprint('bye')\n```\n\nDone.")) as it:
        await it.ask("Go")
        await it.sees("Here:", "print('hello')", "print('bye')", "Done.")


async def test_markdown_that_the_renderer_chokes_on_is_shown_all_the_same(monkeypatch):
    def choke(*args: object) -> None:
        raise UnboundLocalError("row_index")

    monkeypatch.setattr(Markdown, "append", choke)
    async with chat(Script(f"A **bold** word. {WORDS}", hold_at=9)) as it:
        await it.send("Go")
        await it.sees("A bold word. word0 word1")
        assert it.session.busy
        it.engine.release()
        await it.sees("word39")


async def test_a_long_block_of_code_is_all_there_while_it_streams_and_afterwards():
    code = "\n".join(f"line_{n} = {n}" for n in range(600))
    script = Script(f"Here:\n\n```python\n{code}\n```\n\nDone.", hold_at=1130)
    async with chat(script) as it:
        await it.send("Go")
        await it.sees("line_560 = 560")
        shown = _all_text(it.replies[-1].answer)
        assert it.session.busy
        assert [shown.count(f"line_{n} =") for n in range(560)] == [1] * 560
        it.engine.release()
        await it.idle()
        await it.sees("line_599 = 599", "Done.")
        shown = _all_text(it.replies[-1].answer)
        assert [shown.count(f"line_{n} =") for n in range(600)] == [1] * 600


async def test_a_long_reply_reads_the_same_while_it_streams_and_when_it_is_opened_again():
    text = LONG + "\n\n" + "\n".join(f"{n}. item {n} of the *list*" for n in range(1, 60)) + "\n\n# The end\n"
    async with chat(Script(text), size=(80, 300)) as it:
        await it.ask("Go")
        streamed = it.screen
        conversation = it.session.conversation.id
        await it.press("ctrl+n")
        it.app._chat.opening.open(conversation)
        await it.sees("The end")
        assert it.screen == streamed
        for n in range(1, 60):
            assert f" {n}. item {n} of the list" in streamed


async def test_a_link_that_is_defined_at_the_end_is_a_link():
    text = f"See [the page][1].\n\n{LONG}\n\n[1]: http://example.org"
    async with chat(Script(text), size=(80, 300)) as it:
        await it.ask("Go")
        await it.sees("See the page.")


async def test_a_fence_that_never_closes_is_shown():
    async with chat(Script("```\nfirst line\nsecond line")) as it:
        await it.ask("Go")
        await it.sees("first line", "second line")


async def test_a_line_break_that_only_python_knows_does_not_lose_text():
    text = "one\u2028two\u0085three\x0bfour\x0cfive\n\n```\nsix\u2029seven\n```\n\neight"
    async with chat(Script(text)) as it:
        await it.ask("Go")
        await it.sees("one", "two", "three", "four", "five", "six", "seven", "eight")


async def test_the_view_follows_the_end_of_a_streaming_answer():
    async with chat(Script(LONG + " last words", hold_at=380), size=(80, 24)) as it:
        await it.send("Go")
        await it.sees("Paragraph 5")
        it.engine.release()
        await it.sees("last words")


async def test_scrolling_up_lets_go_of_the_end_and_ctrl_end_takes_hold_again():
    async with chat(Script(LONG + " last words", hold_at=200), size=(80, 24)) as it:
        await it.send("Go")
        await it.until(lambda: it.transcript.max_scroll_y > 40, "a long answer")
        await it.press("pageup", "pageup")
        await it.sees("Ctrl+End follows")
        await it.pilot.pause()
        top = it.transcript.scroll_offset.y
        seen = [line[:70].rstrip() for line in it.screen.splitlines()[:10]]
        it.engine.release()
        await it.idle()
        assert it.transcript.scroll_offset.y == top
        assert [line[:70].rstrip() for line in it.screen.splitlines()[:10]] == seen
        await it.press("ctrl+end")
        await it.sees("last words")


async def test_a_long_conversation_mounts_only_its_latest_messages():
    library = Library.in_memory()
    async with chat(library=library) as it:
        for n in range(70):
            it.session.send(f"Question {n}")
            while it.session.busy:
                it.session.wait(1)
        conversation = it.session.conversation.id
        await it.press("ctrl+n")
        it.app._chat.opening.open(conversation)
        await it.sees("Question 69")
        assert len(it.transcript._widgets) == 50
        await it.press("ctrl+home")
        await it.sees("Question 0")
        assert len(it.transcript._widgets) <= 100


async def test_the_window_moves_with_the_reader_and_nothing_jumps():
    async with chat(library=long_library(56), resume="long", size=(100, 100)) as it:
        await it.sees("Question 55")
        seen = set(re.findall(r"Question (\d+)", it.screen))
        for _ in range(150):
            await it.press("pageup")
            await it.pilot.pause()
            seen |= set(re.findall(r"Question (\d+)", it.screen))
            assert len(it.transcript._widgets) <= 100
            if "Question 0" in it.screen:
                break
        assert {int(n) for n in seen} == set(range(56))
        await it.press("ctrl+end")
        await it.sees("Question 55")
        await it.until(lambda: it.transcript.following, "the end again")


async def test_what_is_read_stays_in_place_when_earlier_messages_come():
    async with chat(library=long_library(100), resume="long") as it:
        await it.sees("Question 99")
        it.transcript.release_anchor()
        it.transcript.scroll_to(y=60, animate=False)
        await it.pilot.pause()
        before, mounted = [line[:90].rstrip() for line in it.screen.splitlines()], set(it.transcript._widgets)
        await it.transcript._show_earlier()
        await it.pilot.pause()
        assert set(it.transcript._widgets) != mounted
        assert [line[:90].rstrip() for line in it.screen.splitlines()][:30] == before[:30]


async def test_a_reply_that_grows_below_the_window_is_whole_when_one_comes_back():
    script = Script(WORDS, thought="Hm, well.", delay_s=0.003)
    async with chat(script, library=long_library(150), resume="long") as it:
        await it.sees("Question 149")
        await it.send("Go")
        await it.press("ctrl+home")
        await it.sees("Question 0")
        await it.press("ctrl+end")
        await it.sees("word39")
        await it.idle()
        await it.until(lambda: it.transcript.replies[-1].answer.text.split() == WORDS.split(), "every word")


async def test_the_end_stays_in_view_below_a_notice_and_as_wide():
    async with chat(library=long_library(60), resume="long", size=(80, 24)) as it:
        await it.sees("Question 59")
        width = it.transcript.size.width
        for text in ("Something that one should know. " * 6, ""):
            it.app._chat._notices.say("test", text)
            await it.pilot.pause(0.2)
            assert it.transcript.scroll_y == it.transcript.max_scroll_y
            assert it.transcript.size.width == width


async def test_a_notice_that_was_put_away_is_not_said_again_until_there_was_another():
    async with chat() as it:
        notices = it.app._chat._notices
        for text, seen in (
            ("One.", True),
            ("One.", False),
            ("Two.", True),
            ("One.", True),
            ("", False),
            ("One.", True),
        ):
            notices.say("test", text)
            assert notices.display is seen
            await it.press("escape")
            await it.until(lambda: not notices.display, "no notice")


async def test_a_reply_that_ends_since_another_conversation_is_opened_is_told():
    async with chat(Script(WORDS, hold_at=3), library=long_library(2)) as it:
        await it.send("Go")
        await it.sees("word2")
        it.app._chat.opening.open("long")
        await it.sees("The reply was stopped; what came is kept in its conversation.", "Question 1")


async def test_messages_that_are_put_away_leave_room_for_others():
    async with chat(size=(80, 24)) as it:
        for _ in range(12):
            await it.press("ctrl+y")
            await it.sees("There is no reply to copy yet")
            await it.press("escape")
            await it.no_longer_sees("There is no reply to copy yet")


async def test_no_line_is_lost_of_a_reply_that_grew_out_of_view():
    paragraphs = [f"Paragraph {at} " + "of many words " * 30 + f"end{at}." for at in range(12)]
    async with chat(Script("\n\n".join(paragraphs), delay_s=0.004), size=(80, 24)) as it:
        await it.send("Go")
        for wait_s in cycle((0.3, 0.9, 0.5, 0.7)):
            await it.press("pageup", "pageup")
            await it.pilot.pause(wait_s)
            await it.press("ctrl+end")
            await it.pilot.pause(wait_s / 3)
            if not it.session.busy:
                break
        await it.idle()
        seen = ""
        await it.press("ctrl+home")
        while "end11." not in seen:
            seen += it.screen
            await it.press("pagedown")
            await it.pilot.pause()
        assert [at for at in range(12) if f"end{at}." not in seen] == []


async def test_a_resize_keeps_what_is_read():
    library = long_library(60, reply="many words " * 60)
    async with chat(library=library, resume="long") as it:
        await it.sees("Question 59")
        await it.transcript.go_to(it.session.conversation.path[80].id)
        await it.sees("Question 40")
        for size in ((60, 30), (140, 50), (100, 40)):
            await it.pilot.resize_terminal(*size)
            await it.sees("Question 40")


async def test_a_resize_to_nothing_and_back_while_streaming_does_no_harm():
    async with chat(Script("| a | b |\n|---|---|\n| 1 | 2 |\n\n" + WORDS, thought=WORDS, delay_s=0.002)) as it:
        await it.send("Go")
        for size in ((1, 1), (3, 2), (120, 3), (2, 50), (100, 40)):
            await it.pilot.resize_terminal(*size)
            await it.pilot.pause()
        await it.idle()
        await it.sees("word39")


async def test_every_screen_survives_a_terminal_of_one_cell():
    async with chat() as it:
        await it.ask("Go")
        for key in ("f1", "ctrl+b", "ctrl+p"):
            await it.press(key)
            await it.pilot.resize_terminal(1, 1)
            await it.pilot.pause()
            await it.pilot.resize_terminal(100, 40)
            await it.press("escape")
        await it.sees("Paris is the capital")
