"""Choosing messages, and what is done to them, on the screen."""

from dataclasses import replace

from textual.events import Key
from textual.geometry import Offset

from qwenchat.chat.messages import Message, Role, Status, TextPart
from qwenchat.library.library import Library
from qwenchat.tui.transcript.message_base import MessageWidget
from tests.support.chat_driver import Chat, chat
from tests.support.fake_engine import MODEL, FakeEngine, Script

WORDS = " ".join(f"word{n}" for n in range(40))
KEY = "ctrl+up"


def chosen(it: Chat) -> str:
    """The text of the chosen message."""
    focused = it.app._chat.focused
    return it.session.conversation.tree[focused.message_id].text if isinstance(focused, MessageWidget) else ""


async def choose(it: Chat, text: str) -> None:
    """Walk up to the message that says `text`."""
    for _ in range(20):
        await it.press(KEY)
        await it.pilot.pause()
        if chosen(it) == text:
            return
    raise AssertionError(f"{text!r} was not come to\n{it.screen}")


class TestChoosing:
    async def test_ctrl_up_walks_up_and_down_leads_back_to_the_draft(self):
        async with chat(Script("First."), Script("Second.")) as it:
            await it.ask("One")
            await it.ask("Two")
            for text in ("Second.", "Two", "First.", "One", "One"):
                await it.press(KEY)
                await it.until(lambda text=text: chosen(it) == text, text)
            for text in ("First.", "Two", "Second.", ""):
                await it.press("down")
                await it.until(lambda text=text: chosen(it) == text, text)
            await it.press("h", "i")
            assert it.draft == "hi"

    async def test_escape_leads_back_to_the_draft_and_stops_nothing(self):
        async with chat(Script(WORDS, hold_at=3)) as it:
            await it.send("Go")
            await it.sees("word2")
            await it.press(KEY)
            await it.until(lambda: chosen(it), "a choice")
            await it.press("escape")
            await it.until(lambda: not chosen(it), "the draft")
            assert it.session.busy

    async def test_a_key_that_means_nothing_on_a_message_begins_the_next_one(self):
        async with chat() as it:
            await it.ask("One")
            await it.press(KEY)
            await it.until(lambda: chosen(it), "a choice")
            await it.press("W", "h", "y", "question_mark")
            assert it.draft == "Why?"

    async def test_what_is_typed_right_after_e_deletes_nothing(self):
        async with chat(Script("First."), Script("Second.")) as it:
            await it.ask("One")
            await it.ask("Two")
            it.app.post_message(Key(KEY, None))
            it.app.post_message(Key(KEY, None))
            await it.until(lambda: chosen(it) == "Two", "the message")
            for character in "edD":
                it.app.post_message(Key(character, character))
            await it.until(lambda: it.draft.startswith("Two"), "the message to be changed")
            await it.pilot.pause()
            assert len(it.session.conversation.path) == 4

    async def test_a_click_chooses_and_a_selection_with_the_mouse_does_not(self):
        async with chat(Script("First answer.")) as it:
            await it.ask("One question")
            await it.click_text("One question")
            await it.until(lambda: chosen(it) == "One question", "the choice")
            await it.press("escape")
            lines = it.screen.splitlines()
            y = next(n for n, line in enumerate(lines) if "First answer." in line)
            x = lines[y].index("First")
            await it.pilot.mouse_down(offset=(x, y))
            await it.pilot.hover(offset=(x + 5, y))
            await it.pilot.mouse_up(offset=(x + 5, y))
            await it.pilot.pause()
            assert not chosen(it)

    async def test_with_no_message_nothing_is_chosen(self):
        async with chat() as it:
            await it.press(KEY, "x")
            assert it.draft == "x"

    async def test_tab_does_not_lead_to_the_messages(self):
        async with chat() as it:
            await it.ask("One")
            await it.press(KEY, "escape", "tab", "shift+tab", "x")
            assert it.draft == "x"

    async def test_the_keys_are_said_while_a_message_is_chosen(self):
        async with chat(size=(70, 24)) as it:
            await it.ask("One")
            await it.press(KEY)
            await it.sees("m all  y copy  r again  i inspect  l lens  d delete  Esc", "Shift+D delete from here")
            await it.press(KEY)
            await it.sees("m all  y copy  e change  r again  i inspect  d delete  Esc", "Shift+Y copy plain")

    async def test_messages_that_are_not_mounted_are_come_to(self):
        library = Library.in_memory()
        parent, messages = None, []
        for n in range(130):
            role = Role.ASSISTANT if n % 2 else Role.USER
            messages.append(Message(role, (TextPart(f"Message {n}."),), parent))
            parent = messages[-1].id
        library.save_all("c", messages)
        async with chat(library=library, resume="c") as it:
            await it.sees("Message 129.")
            await it.app._chat.query_one("#transcript").go_to(messages[20].id)
            await it.until(lambda: chosen(it) == "Message 20.", "the message")
            await it.sees("Message 20.")
            await it.app._chat.query_one("#transcript").go_to("no such message")
            assert chosen(it) == "Message 20."

    async def test_a_conversation_opens_at_a_message_of_another_branch(self):
        async with chat(Script("First."), Script("Second.")) as it:
            await it.ask("Go")
            first = it.session.conversation.path[-1].id
            await it.press("ctrl+r")
            await it.sees("Second.")
            await it.idle()
            conversation = it.session.conversation.id
            await it.press("ctrl+n")
            it.app._chat.opening.open(conversation, first)
            await it.sees("First.", "‹ 1/2 ›")
            await it.until(lambda: chosen(it) == "First.", "the choice")


class TestVersions:
    async def test_the_switcher_counts_and_the_arrow_keys_walk(self):
        async with chat(Script("First."), Script("Second."), Script("Third.")) as it:
            await it.ask("Go")
            assert "1/1" not in it.screen
            for text in ("Second.", "Third."):
                await it.press("ctrl+r")
                await it.sees(text)
                await it.idle()
            await it.sees("‹ 3/3 ›")
            await it.press(KEY, "left")
            await it.sees("‹ 2/3 ›", "Second.")
            await it.press("left")
            await it.sees("‹ 1/3 ›", "First.")
            await it.press("left", "right")
            await it.sees("‹ 2/3 ›", "Second.")
            await it.press("escape")
            await it.ask("And then?")
            assert [m.text for m in it.engine.turns[-1].messages] == ["Go", "Second.", "And then?"]

    async def test_the_switcher_is_clicked(self):
        async with chat(Script("First."), Script("Second.")) as it:
            await it.ask("Go")
            await it.press("ctrl+r")
            await it.sees("‹ 2/2 ›")
            await it.idle()
            y, line = next((y, line) for y, line in enumerate(it.screen.splitlines()) if "2/2" in line)
            await it.pilot.click(offset=Offset(line.index("‹"), y))
            await it.sees("‹ 1/2 ›", "First.")
            await it.pilot.click(offset=Offset(line.index("›"), y))
            await it.sees("‹ 2/2 ›", "Second.")

    async def test_a_version_comes_back_with_what_followed_it(self):
        async with chat(Script("First."), Script("More."), Script("Second.")) as it:
            await it.ask("One")
            await it.ask("Two")
            await choose(it, "One")
            await it.press("e")
            await it.press(*" more")
            await it.press("enter")
            await it.sees("One more", "Second.", "‹ 2/2 ›")
            await it.idle()
            assert "Two" not in it.screen
            await choose(it, "One more")
            await it.press("left")
            await it.sees("First.", "Two", "More.", "‹ 1/2 ›")


class TestEditing:
    async def test_a_message_is_changed_and_sent_as_a_new_version(self):
        async with chat(Script("First."), Script("Second.")) as it:
            await it.ask("What is 2+2?")
            await it.paste("a draft")
            await choose(it, "What is 2+2?")
            await it.press("e")
            await it.sees("changing your message")
            assert it.draft == "What is 2+2?"
            await it.press("backspace", *"+2?", "enter")
            await it.sees("Second.", "What is 2+2+2?", "‹ 2/2 ›")
            await it.idle()
            assert [m.text for m in it.engine.turns[-1].messages] == ["What is 2+2+2?"]
            assert it.draft == "a draft"
            assert "changing your message" not in it.screen

    async def test_escape_leaves_the_message_as_it_is_and_brings_the_draft_back(self):
        async with chat() as it:
            await it.ask("Go")
            await it.paste("a draft")
            await choose(it, "Go")
            await it.press("e", "x", "escape")
            assert it.draft == "a draft"
            assert "changing your message" not in it.screen
            assert len(it.session.conversation.tree) == 2

    async def test_what_was_changed_is_kept_and_comes_back(self, tmp_path):
        async with chat(library=Library.open(tmp_path / "db")) as it:
            await it.ask("Go")
            conversation = it.session.conversation.id
            await it.paste("a draft")
            await choose(it, "Go")
            await it.press("e", *" on")
            await it.press("ctrl+q")
        async with chat(library=Library.open(tmp_path / "db"), resume=conversation) as it:
            await it.until(lambda: it.draft == "a draft", "the draft")
            await choose(it, "Go")
            await it.press("e")
            assert it.draft == "Go on"

    async def test_turning_to_another_conversation_leaves_the_change_and_keeps_both_drafts(self):
        async with chat() as it:
            await it.ask("Go")
            conversation = it.session.conversation.id
            await it.paste("a draft")
            await choose(it, "Go")
            await it.press("e", *" on", "ctrl+n")
            assert it.draft == ""
            await it.press(*"other")
            it.app._chat.opening.open(conversation)
            assert it.draft == "a draft"
            await it.press("ctrl+n")
            assert it.draft == "other"

    async def test_a_message_that_begins_like_a_command_can_be_changed_to(self):
        async with chat() as it:
            await it.ask("Go")
            await choose(it, "Go")
            await it.press("e", "ctrl+u", *"/new york", "enter")
            await it.idle()
            assert it.session.conversation.path[0].text == "/new york"

    async def test_a_reply_is_not_changed(self):
        async with chat() as it:
            await it.ask("Go")
            await it.press(KEY, "e")
            await it.until(lambda: it.draft == "e", "the letter in the draft")

    async def test_slash_edit_changes_the_last_message(self):
        async with chat() as it:
            await it.ask("Go")
            await it.send("/edit")
            await it.until(lambda: it.draft == "Go", "the message")
            await it.sees("changing your message")

    async def test_it_cannot_be_sent_while_the_model_answers(self):
        async with chat(Script(WORDS, hold_at=3)) as it:
            await it.send("Go")
            await it.sees("word2")
            await choose(it, "Go")
            await it.press("e", "x", "enter")
            await it.sees("still answering")
            assert it.draft == "Gox"


class TestRetry:
    async def test_an_earlier_reply_is_asked_for_again(self):
        async with chat(Script("First."), Script("Second."), Script("Again.")) as it:
            await it.ask("One")
            await it.ask("Two")
            await choose(it, "First.")
            await it.press("r")
            await it.sees("Again.", "‹ 2/2 ›")
            assert "Two" not in it.screen

    async def test_settings_for_one_time(self):
        async with chat(Script("First.", thought="Hm."), Script("Second."), Script("Third.", thought="Hm.")) as it:
            await it.ask("Go")
            await it.send("/retry temperature=0.1 think=off model=other/model")
            await it.sees("Second.", "● other/model")
            await it.idle()
            assert (it.engine.turns[1].thinking, it.engine.turns[1].sampling.temperature) == (False, 0.1)
            await it.press("ctrl+r")
            await it.sees("Third.")
            assert (it.engine.turns[2].thinking, it.engine.turns[2].sampling.temperature) == (True, 0.6)

    async def test_a_setting_that_makes_no_sense_asks_nothing(self):
        async with chat() as it:
            await it.ask("Go")
            await it.send("/retry warmth=3")
            await it.sees("warmth=3 is no setting of a reply.")
            assert len(it.engine.turns) == 1
            assert len(it.engine.loads) == 1


class TestGoingOn:
    async def test_a_stopped_reply_goes_on_in_its_place(self):
        async with chat(Script("one **two** three", hold_at=2), Script("three **four**")) as it:
            await it.send("Go")
            await it.sees("one two")
            await it.press("escape")
            await it.idle()
            await it.sees("stopped", "/continue goes on with it")
            await it.press(KEY, "c")
            await it.sees("one two three four")
            await it.idle()
            assert len(it.replies) == 1
            assert it.session.conversation.path[-1].status is Status.COMPLETE
            assert "stopped" not in it.screen
            assert "/continue" not in it.screen

    async def test_a_list_that_goes_on_reads_the_same_as_when_it_is_opened_again(self):
        whole = "A list:\n\n" + "\n".join(f"{n}. item {n} of it" for n in range(1, 30)) + "\n\nThe end."
        cut = whole.index("2. item 12") + 1
        async with chat(Script(whole[:cut], hold_at=42), Script(whole[cut:], hold_at=9), size=(80, 60)) as it:
            await it.send("Go")
            await it.until(lambda: it.engine.turns, "the turn")
            it.engine.release()
            await it.idle()
            it.session.library.save(
                str(it.session.conversation.id), replace(it.session.conversation.path[-1], status=Status.STOPPED)
            )
            it.app._chat.opening.new()
            it.app._chat.opening.open(it.session.library.latest())
            await it.sees("11. item 11")
            await it.send("/continue")
            await it.sees("The end.")
            await it.idle()
            streamed = it.screen
            conversation = it.session.conversation.id
            await it.press("ctrl+n")
            it.app._chat.opening.open(conversation)
            await it.sees("The end.")
            await it.idle()
            assert it.screen == streamed
            for n in range(1, 30):
                assert it.screen.count(f"{n}. item {n} of it") >= 1

    async def test_a_complete_reply_does_not_go_on(self):
        async with chat() as it:
            await it.ask("Go")
            await it.send("/continue")
            await it.sees("not an interrupted reply")

    async def test_only_the_latest_reply_goes_on(self):
        async with chat(Script("one two", hold_at=1), Script("fine")) as it:
            await it.send("Go")
            await it.sees("one")
            await it.press("escape")
            await it.idle()
            await it.ask("More")
            await choose(it, "one ")
            await it.press("c")
            await it.until(lambda: it.draft == "c", "the letter in the draft")


class TestDeleting:
    async def test_a_message_goes_alone_and_comes_back(self):
        async with chat(Script("First."), Script("Second.")) as it:
            await it.ask("One")
            await it.ask("Two")
            await choose(it, "First.")
            await it.press("d")
            await it.sees("One message deleted. /undo brings it back.")
            await it.no_longer_sees("First.")
            await it.until(lambda: chosen(it) == "Two", "the next message")
            assert "Second." in it.screen
            await it.press("ctrl+z")
            await it.sees("First.")
            await it.no_longer_sees("/undo brings it back")
            await it.until(lambda: chosen(it) == "First.", "the message")
            lines = [line.strip(" ▌⋯") for line in it.screen.splitlines()]
            assert [line for line in lines if line in ("One", "First.", "Two", "Second.")] == [
                "One", "First.", "Two", "Second.",
            ]  # fmt: skip

    async def test_a_branch_goes_with_all_after_it_and_comes_back(self):
        async with chat(Script("First."), Script("Second.")) as it:
            await it.ask("One")
            await it.ask("Two")
            await choose(it, "First.")
            await it.press("D")
            await it.sees("3 messages deleted.")
            await it.no_longer_sees("Two")
            await it.until(lambda: chosen(it) == "One", "what is left")
            await it.press("u")
            await it.sees("First.", "Two", "Second.")

    async def test_deleting_a_version_shows_another(self):
        async with chat(Script("First."), Script("Second.")) as it:
            await it.ask("Go")
            await it.press("ctrl+r")
            await it.sees("Second.")
            await it.idle()
            await it.press(KEY, "d")
            await it.sees("First.")
            await it.no_longer_sees("2/2")

    async def test_deleting_all_leads_to_the_draft_and_slash_undo_back(self):
        async with chat() as it:
            await it.ask("Go")
            await choose(it, "Go")
            await it.press("D")
            await it.sees("2 messages deleted. /undo brings them back.")
            await it.press("x")
            assert it.draft == "x"
            await it.press("backspace")
            await it.send("/undo")
            await it.sees("Paris is the capital")
            await it.send("/undo")
            await it.sees("nothing to bring back")

    async def test_slash_delete_deletes_the_last_message(self):
        async with chat() as it:
            await it.ask("Go")
            await it.send("/delete")
            await it.no_longer_sees("Paris is")
            assert [m.text for m in it.session.conversation.path] == ["Go"]

    async def test_nothing_is_deleted_while_the_model_answers(self):
        async with chat(Script(WORDS, hold_at=3)) as it:
            await it.send("Go")
            await it.sees("word2")
            await choose(it, "Go")
            await it.press("d")
            await it.sees("still answering")
            assert len(it.session.conversation.path) == 2

    async def test_a_message_that_is_being_changed_may_be_deleted(self):
        async with chat(Script("First."), Script("Second.")) as it:
            await it.ask("One")
            await it.paste("a draft")
            await choose(it, "One")
            await it.press("e")
            await choose(it, "One")
            await it.press("D")
            await it.no_longer_sees("First.")
            assert it.draft == "a draft"
            assert "changing your message" not in it.screen


class TestElsewhere:
    async def test_the_palette_has_what_can_be_done_to_messages(self):
        async with chat(Script("one two", hold_at=1), Script("two")) as it:
            await it.send("Go")
            await it.sees("one")
            await it.press("escape")
            await it.idle()
            await it.press("ctrl+p")
            await it.press(*"interrupted go on")
            await it.sees("Let an interrupted reply go on")
            await it.press("down", "enter")
            await it.until(lambda: it.session.conversation.path[-1].text == "one two", "the rest")

    async def test_the_palette_acts_on_the_chosen_message(self):
        async with chat(Script("First."), Script("Second.")) as it:
            await it.ask("One")
            await it.ask("Two")
            await choose(it, "First.")
            await it.press("ctrl+p")
            await it.press(*"Copy the message")
            await it.sees("Copy the message as it was written")
            await it.press("down", "enter")
            await it.until(lambda: it.app.clipboard == "First.", "the copy")

    async def test_ctrl_z_leads_to_the_shell_only_from_the_draft(self, monkeypatch):
        async with chat() as it:
            suspended = []
            monkeypatch.setattr(type(it.app), "action_suspend_process", lambda self: suspended.append(1))
            await it.ask("Go")
            await it.press("ctrl+z")
            assert suspended == [1]
            await it.press(KEY, "ctrl+z")
            await it.sees("nothing to bring back")
            assert suspended == [1]

    async def test_y_copies_what_was_written(self):
        async with chat(Script("A **bold** word.")) as it:
            await it.ask("Go")
            await it.press(KEY, "y")
            await it.until(lambda: it.app.clipboard == "A **bold** word.", "the copy")

    async def test_every_act_survives_a_terminal_of_one_cell(self):
        async with chat(engine=FakeEngine(model=MODEL)) as it:
            await it.ask("Go")
            await it.pilot.resize_terminal(1, 1)
            await it.press(KEY, "r")
            await it.idle()
            await it.press(KEY, "left", "right", "d", "u", KEY, "e", "escape")
            await it.pilot.resize_terminal(100, 40)
            await it.sees("Paris is the capital")
