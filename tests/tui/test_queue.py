"""Messages that are sent while a reply comes wait for its end, in sight, and no word of them is lost."""

import signal
from collections.abc import Callable

from qwenchat.chat.draft import Draft, PastedBlock
from qwenchat.chat.errors import EngineFailed
from qwenchat.library.library import Library
from qwenchat.tui.text.pasted import joined
from tests.process.test_tui import Terminal
from tests.process.test_tui import terminals as terminals
from tests.support.chat_driver import Chat, chat
from tests.support.fake_engine import Script
from tests.tui.test_drafts import killed, saved
from tests.tui.test_hostile import ESCAPES, MARKUP, SHOWN

WORDS = " ".join(f"word{n}" for n in range(40))
HELD = Script(WORDS, hold_at=3)


async def answering(it: Chat) -> None:
    await it.send("Go")
    await it.sees("word2")


def said(it: Chat) -> list[str]:
    return [message.text for message in it.session.conversation.path if message.role == "user"]


class TestWaiting:
    async def test_a_message_waits_in_sight_and_is_sent_when_the_reply_ends(self):
        async with chat(HELD, Script("The second answer.")) as it:
            await answering(it)
            await it.send("And then?")
            await it.sees("Sent when this reply ends; Up takes it back", "And then?")
            assert it.draft == ""
            assert len(it.engine.turns) == 1
            it.engine.release()
            await it.sees("The second answer.")
            await it.idle()
            assert said(it) == ["Go", "And then?"]
            await it.no_longer_sees("Sent when")
            assert it.session.library.draft(it.session.conversation.id).whole == ""

    async def test_several_are_sent_in_their_order(self):
        scripts = [HELD, *(Script(f"Answer {n}.", hold_at=0) for n in (1, 2))]
        async with chat(*scripts) as it:
            await answering(it)
            await it.send("One")
            await it.send("Two")
            await it.sees("2 messages are sent when this reply ends; Up takes the last one back")
            it.engine.release()
            await it.sees("Answer 2.")
            await it.idle()
            assert said(it) == ["Go", "One", "Two"]

    async def test_what_is_written_meanwhile_stays_in_the_draft(self):
        async with chat(HELD, Script("The second answer.")) as it:
            await answering(it)
            await it.send("And then?")
            await it.press(*"more")
            it.engine.release()
            await it.sees("The second answer.")
            assert it.draft == "more"

    async def test_up_takes_the_last_one_back_to_be_changed(self):
        async with chat(HELD) as it:
            await answering(it)
            await it.send("One")
            await it.send("Two")
            await it.press("up")
            await it.until(lambda: it.draft == "Two", "the message in the draft")
            await it.sees("Sent when this reply ends", "One")
            await it.press("!", "enter")
            await it.sees("2 messages", "Two!")

    async def test_how_it_was_typed_is_known_in_the_replay(self):
        async with chat(HELD, Script("The second answer.")) as it:
            await answering(it)
            await it.press(*"And?", "enter")
            await it.sees("Sent when")
            it.engine.release()
            await it.sees("The second answer.")
            await it.idle()
            message = next(message for message in it.session.conversation.path if message.text == "And?")
            assert sum(tick.characters for tick in it.session.library.timeline(message.id)) == 4

    async def test_a_file_is_attached_as_it_was_when_the_message_was_written(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "notes.md").write_text("as it was")
        async with chat(HELD, Script("The second answer.")) as it:
            await answering(it)
            await it.send("Read @notes.md")
            await it.sees("Sent when")
            (tmp_path / "notes.md").write_text("as it is")
            it.engine.release()
            await it.sees("The second answer.")
            assert "as it was" in it.engine.turns[1].messages[-1].text

    async def test_the_reader_further_up_is_left_where_he_is(self):
        long = "\n\n".join(f"Paragraph {n}." for n in range(60))
        async with chat(Script(long, hold_at=50), Script("Short."), size=(80, 24)) as it:
            await it.send("Go")
            await it.sees("Paragraph 48")
            await it.send("More")
            await it.press("ctrl+home")
            await it.sees("Paragraph 1.")
            it.engine.release()
            await it.until(lambda: len(it.engine.turns) == 2, "the second turn")
            await it.idle()
            assert it.transcript.scroll_y == 0

    async def test_a_command_does_not_wait(self):
        async with chat(HELD) as it:
            await answering(it)
            await it.send("/settings")
            await it.sees("temperature")


class TestGivenBack:
    async def test_a_stop_puts_it_back_into_the_draft_before_what_is_written(self):
        async with chat(HELD) as it:
            await answering(it)
            await it.send("One")
            await it.send("Two")
            await it.press(*"three", "escape")
            await it.until(lambda: it.draft == "One\n\nTwo\n\nthree", "the draft")
            await it.no_longer_sees("sent when")
            assert said(it) == ["Go"]

    async def test_so_does_a_reply_that_fails(self):
        async with chat(Script(WORDS, hold_at=3, error=EngineFailed("It broke."), error_at=4)) as it:
            await answering(it)
            await it.send("Two")
            it.engine.release()
            await it.until(lambda: it.draft == "Two", "the draft")
            await it.sees("It broke.")
            assert said(it) == ["Go"]

    async def test_another_conversation_leaves_it_as_the_draft_of_this_one(self):
        async with chat(HELD, Script("Elsewhere.")) as it:
            await answering(it)
            await it.send("Two")
            conversation = it.session.conversation.id
            await it.press(*"three", "ctrl+n")
            await it.until(lambda: it.draft == "", "the empty draft")
            await it.no_longer_sees("Sent when")
            assert it.session.library.draft(conversation).whole == "Two\n\nthree"
            it.app._chat.opening.open(conversation)
            await it.until(lambda: it.draft == "Two\n\nthree", "the draft")

    async def test_changing_another_message_does_not_mix_with_it(self):
        async with chat(HELD) as it:
            await answering(it)
            await it.send("Two")
            await it.press("ctrl+up", "ctrl+up", "e", "x")
            await it.sees("changing your message")
            assert it.draft == "Gox"
            await it.press("escape")
            await it.until(lambda: it.draft == "Two", "the draft")
            assert said(it) == ["Go"]

    async def test_what_cannot_be_sent_after_all_is_a_draft_again(self, monkeypatch):
        async with chat(HELD) as it:
            await answering(it)
            await it.send("Two")

            def refuses(*args: object) -> None:
                from qwenchat.chat.errors import LibraryUnwritable

                raise LibraryUnwritable("The disk is full.")

            monkeypatch.setattr(it.session, "send", refuses)
            it.engine.release()
            await it.sees("The disk is full.")
            await it.until(lambda: it.draft == "Two", "the draft")

    def test_a_kill_leaves_it_as_a_draft(self, terminals: Callable[..., Terminal]):
        terminal = terminals({"scripts": [{"answer": WORDS, "hold_at": 3}]})
        terminal.sees("thinking on")
        terminal.child.send("Go\r")
        terminal.sees("word2")
        terminal.child.send("One\r")
        terminal.sees("Sent when")
        terminal.child.send("two")
        conversation = terminal.library().latest()
        saved(terminal, lambda library: library.draft(conversation).whole, "One\n\ntwo")
        killed(terminal)

        again = terminals({"scripts": [{"answer": "Paris."}]}, "--resume")
        again.sees("One")
        again.sees("two")
        again.child.send("\x11")
        assert again.ends() == 0

    def test_a_signal_to_end_leaves_it_as_a_draft(self, terminals: Callable[..., Terminal]):
        terminal = terminals({"scripts": [{"answer": WORDS, "hold_at": 3}]})
        terminal.sees("thinking on")
        terminal.child.send("Go\r")
        terminal.sees("word2")
        terminal.child.send("One\r")
        terminal.sees("Sent when")
        terminal.child.kill(signal.SIGTERM)
        terminal.ends()
        library: Library = terminal.library()
        assert library.draft(library.latest()).whole == "One"


class TestLooks:
    async def test_hostile_text_stays_text(self):
        async with chat(HELD, size=(120, 40)) as it:
            await answering(it)
            for hostile, shown in ((ESCAPES, SHOWN), (MARKUP, MARKUP)):
                await it.send(hostile)
                await it.sees(shown)
            assert "\x1b" not in it.screen

    async def test_a_small_terminal_keeps_the_draft_and_the_reply_in_view(self):
        async with chat(HELD, size=(40, 12)) as it:
            await answering(it)
            for number in range(6):
                await it.send(f"Message {number} that is longer than a line of forty columns")
            await it.sees("6 messages", "word2")
            await it.press(*"draft")
            await it.sees("draft")
            for size in ((1, 1), (3, 2), (100, 40)):
                await it.pilot.resize_terminal(*size)
                await it.pilot.pause()
            await it.sees("Message 0", "draft")


def test_drafts_that_are_joined_keep_every_paste_apart():
    one = Draft("a [P #1] [P #2]", (PastedBlock("[P #1]", "x\ny"), PastedBlock("[P #2]", "x\nz")))
    two = Draft("[P #1]", (PastedBlock("[P #1]", "other"),))
    assert joined([one, Draft(" "), two]).whole == "a x\ny x\nz\n\nother"
    assert len({block.label for block in joined([one, two]).blocks}) == 3
