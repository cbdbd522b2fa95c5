"""The list of saved conversations, driven by keys and the mouse."""

import re
from datetime import timedelta

from qwenchat.chat.errors import LibraryUnwritable
from qwenchat.library.library import Library
from qwenchat.tui.widgets.conversation_list import PAGE
from qwenchat.tui.widgets.sidebar import Sidebar
from tests.support.chat_driver import Chat, chat
from tests.support.fake_engine import Script
from tests.support.saved_conversations import LONG_AGO, NOW, YESTERDAY, bare, put

WORDS = " ".join(f"word{n}" for n in range(40))


def listed(it: Chat) -> list[str]:
    """The lines of the sidebar that say something, without the marks of the list."""
    width = it.app.screen.query_one(Sidebar).region.width
    lines = (line[:width].strip(" ▁▂▃▄▅▆▇█▌") for line in it.screen.splitlines())
    return [line for line in lines if line]


def titles(it: Chat) -> list[str]:
    """The headings and titles that are listed, without the lines about them, the heading and the keys."""
    lines = listed(it)
    about = re.compile(r"\d message|opens|pins|archive|leaves")
    return [line.lstrip("● ") for line in lines[1:] if not about.search(line)]


def highlighted(it: Chat) -> str:
    row = it.app.screen.query_one(Sidebar)._list.summary
    return row.title if row else ""


def three() -> Library:
    library = Library.in_memory()
    for title, when in (("Plums", LONG_AGO), ("Tides", YESTERDAY), ("Sorting", NOW)):
        put(library, title, when=when, reply=f"About {title.lower()}.")
    return library


class TestTheList:
    async def test_conversations_stand_below_their_days_the_latest_first(self):
        async with chat(library=three()) as it:
            await it.press("ctrl+b")
            await it.sees("Conversations")
            assert titles(it) == ["Today", "Sorting", "Yesterday", "Tides", "March 2023", "Plums"]

    async def test_a_line_tells_age_messages_and_model(self):
        async with chat(size=(120, 40)) as it:
            await it.ask("Why is the sky blue?")
            await it.press("ctrl+b")
            await it.sees("just now · 2 messages · Qwen3-0.6B")

    async def test_the_open_one_is_marked_and_highlighted(self):
        library = three()
        async with chat(library=library, resume=library.conversations()[1].id) as it:
            await it.sees("About tides.")
            await it.press("ctrl+b")
            await it.sees("● Tides")
            assert it.screen.count("● ") == 2, "the other is the model's, in the status line"
            assert highlighted(it) == "Tides"

    async def test_it_opens_at_its_top_when_the_open_one_is_in_view_there(self):
        library = Library.in_memory()
        for number in range(3):
            put(library, f"Pinned {number}", when=LONG_AGO, pinned=True)
        ids = [put(library, f"Other {number}", when=YESTERDAY - timedelta(minutes=number)) for number in range(10)]
        async with chat(library=library, resume=ids[2], size=(100, 24)) as it:
            await it.sees("An answer.")
            await it.press("ctrl+b")
            await it.sees("● Other 2", "Pinned 0")
            await it.press("end", "enter", "ctrl+b")
            await it.sees("● Other 9")
            assert highlighted(it) == "Other 9"

    async def test_the_arrow_keys_pass_over_the_headings(self):
        async with chat(library=three()) as it:
            await it.press("ctrl+b")
            seen = [highlighted(it)]
            for key in ("down", "down", "down", "up", "home", "end", "pageup"):
                await it.press(key)
                seen.append(highlighted(it))
            assert seen == ["Sorting", "Tides", "Plums", "Plums", "Tides", "Sorting", "Plums", "Sorting"]

    async def test_a_click_opens_a_conversation_and_a_heading_is_none(self):
        async with chat(library=three()) as it:
            await it.press("ctrl+b")
            await it.click_text("March 2023")
            await it.pilot.pause()
            assert it.session.conversation.id is None
            await it.click_text("Plums")
            await it.sees("About plums.")

    async def test_hostile_titles_and_models_stay_text(self):
        library = Library.in_memory()
        put(library, "\x1b[31m[red]x[/red]\x07 \u202egpj", when=NOW)
        put(library, "[bold", when=NOW)
        async with chat(library=library) as it:
            await it.press("ctrl+b")
            await it.sees("[red]x[/red] ⟨RLO⟩gpj", "[bold")
            assert "\x1b" not in it.screen

    async def test_more_conversations_than_are_read_at_a_time_are_all_there(self):
        library = Library.in_memory()
        for number in range(PAGE + 30):
            library.import_conversation(bare(f"Number-{number}", number))
        async with chat(library=library) as it:
            await it.press("ctrl+b")
            await it.sees(f"Number-{PAGE + 29}")
            sidebar = it.app.screen.query_one(Sidebar)
            await it.until(lambda: len(sidebar._list.summaries) == PAGE + 30, "all of them")
            await it.press("end")
            await it.sees("Number-0")
            await it.press("slash", *"r-17")
            await it.until(lambda: "Number-0" not in titles(it), "those that match")
            assert titles(it)[2:5] == ["Number-179", "Number-178", "Number-177"]

    async def test_a_terminal_of_one_cell_and_back_does_no_harm(self):
        async with chat(library=three()) as it:
            await it.press("ctrl+b", "slash", "i", "escape", "r")
            for size in ((1, 1), (3, 2), (120, 3), (2, 50), (100, 40)):
                await it.pilot.resize_terminal(*size)
                await it.pilot.pause()
            await it.sees("Tides")

    async def test_the_list_follows_what_is_opened_beside_it(self):
        async with chat(library=three(), size=(120, 40)) as it:
            await it.press("ctrl+b")
            await it.click_text("Write a message")
            await it.ask("Something quite new?")
            await it.until(lambda: "Something quite new?" in titles(it), "the new conversation in the list")


class TestFinding:
    async def test_typing_narrows_the_list_and_enter_opens(self):
        async with chat(library=three()) as it:
            await it.press("ctrl+b", "slash", *"TID")
            await it.until(lambda: titles(it)[1:] == ["Yesterday", "Tides"], "one title")
            await it.press("enter")
            await it.sees("About tides.")

    async def test_escape_brings_all_of_them_back_then_closes(self):
        async with chat(library=three()) as it:
            await it.press("ctrl+b", "slash", *"plum")
            await it.until(lambda: "Tides" not in titles(it), "one title")
            await it.press("escape")
            await it.until(lambda: titles(it)[1] == "Sorting", "all of them")
            await it.press("escape")
            await it.no_longer_sees("Conversations")

    async def test_a_title_that_is_nowhere_says_so(self):
        async with chat(library=three()) as it:
            await it.press("ctrl+b", "slash", *"zzz")
            await it.sees("No such title")
            await it.press("enter", "p", "backspace", "backspace", "backspace", "backspace")
            await it.sees("Tides")

    async def test_after_finding_the_keys_of_the_list_count_again(self):
        async with chat(library=three()) as it:
            await it.press("ctrl+b", "slash", *"plum", "down", "p", "escape")
            await it.until(lambda: titles(it)[:2] == ["Pinned", "Plums"], "the pinned one")

    async def test_what_is_pasted_into_the_field_is_safe_text(self):
        from textual.events import Paste

        async with chat(library=three()) as it:
            await it.press("ctrl+b", "slash")
            it.app.post_message(Paste("\x1b[31mplu\x1b[0mm\nmore"))
            await it.sees("plum more")
            assert "\x1b" not in it.screen


class TestKeeping:
    async def test_a_pinned_one_stands_above_all_until_it_is_pinned_no_more(self):
        library = three()
        async with chat(library=library) as it:
            await it.press("ctrl+b", "end", "p")
            await it.until(lambda: titles(it)[:2] == ["Pinned", "Plums"], "the pinned one first")
            assert highlighted(it) == "Plums"
            assert library.conversations()[0].pinned
            await it.press("p")
            await it.until(lambda: titles(it)[-2:] == ["March 2023", "Plums"], "back in its month")

    async def test_an_archived_one_is_out_of_the_way_and_comes_back(self):
        async with chat(library=three()) as it:
            await it.press("ctrl+b", "a")
            await it.sees("“Sorting” is archived")
            assert titles(it) == ["Yesterday", "Tides", "March 2023", "Plums"]
            assert highlighted(it) == "Tides"
            await it.press("v")
            await it.until(lambda: listed(it)[0] == "Archived", "the archive")
            assert titles(it) == ["Today", "Sorting"]
            await it.press("a")
            await it.sees("Nothing archived")
            await it.press("escape")
            await it.until(lambda: titles(it)[:2] == ["Today", "Sorting"], "all three")

    async def test_a_new_title_is_typed_in_place(self):
        library = three()
        async with chat(library=library) as it:
            await it.press("ctrl+b", "down", "r", *" and moon", "enter")
            await it.sees("Tides and moon")
            assert library.conversations()[1].title == "Tides and moon"
            assert highlighted(it) == "Tides and moon"
            await it.press("down", "enter")
            await it.sees("About plums.")

    async def test_escape_keeps_the_old_title(self):
        library = three()
        async with chat(library=library) as it:
            await it.press("ctrl+b", "r", *"xyz")
            await it.sees("Sortingxyz")
            await it.press("escape")
            await it.no_longer_sees("Sortingxyz")
            assert library.conversations()[0].title == "Sorting"
            assert it.app.screen.query_one(Sidebar).display

    async def test_an_emptied_title_gives_the_one_made_from_what_was_said(self):
        library = Library.in_memory()
        put(library, "Mine", said="How do tides come about?")
        async with chat(library=library) as it:
            await it.press("ctrl+b", "r", "ctrl+u", "enter")
            await it.sees("How do tides come about?")

    async def test_a_title_that_is_typed_is_kept_when_one_goes_on_elsewhere(self):
        library = three()
        async with chat(library=library, size=(120, 40)) as it:
            await it.press("ctrl+b", "r", "2")
            await it.click_text("Write a message")
            await it.sees("Sorting2")
            assert library.conversations()[0].title == "Sorting2"


class TestDeleting:
    async def test_a_deleted_one_is_gone_and_u_brings_it_back(self):
        library = three()
        async with chat(library=library) as it:
            await it.press("ctrl+b", "down", "d")
            await it.sees("“Tides” is deleted", "u in this list brings it back")
            assert "Tides" not in titles(it)
            assert highlighted(it) == "Plums"
            assert [row.title for row in library.conversations()] == ["Sorting", "Plums"]
            await it.press("u")
            await it.until(lambda: "Tides" in titles(it), "what was deleted")
            assert highlighted(it) == "Tides"
            await it.no_longer_sees("brings it back")

    async def test_several_come_back_in_turn_also_when_the_list_was_closed_meanwhile(self):
        library = three()
        async with chat(library=library) as it:
            await it.press("ctrl+b", "d", "d", "d")
            await it.sees("Nothing saved yet")
            await it.press("escape", "ctrl+b", "u", "u")
            await it.until(lambda: titles(it) == ["Yesterday", "Tides", "March 2023", "Plums"], "two of them")
            await it.press("u", "u")
            await it.sees("Nothing was deleted")
            assert len(library.conversations()) == 3

    async def test_deleting_the_open_one_begins_a_new_one_and_undo_opens_it_again(self):
        async with chat(library=three()) as it:
            await it.press("ctrl+b", "enter")
            await it.sees("About sorting.")
            await it.paste("half a thought")
            await it.press("ctrl+b", "d")
            await it.no_longer_sees("About sorting.")
            assert it.session.conversation.id is None
            assert it.draft == ""
            await it.press("u")
            await it.sees("About sorting.", "● Sorting")
            assert it.draft == "half a thought"

    async def test_deleting_the_one_that_is_being_answered_keeps_what_came_for_undo(self):
        async with chat(Script(WORDS, hold_at=5)) as it:
            await it.send("A question that goes on")
            await it.sees("word4")
            await it.press("ctrl+b", "d")
            await it.no_longer_sees("word4")
            await it.press("u")
            await it.sees("word4", "A question that goes on")

    async def test_undo_does_not_take_away_what_was_begun_since(self):
        async with chat(Script("Fresh."), library=three()) as it:
            await it.press("ctrl+b", "enter")
            await it.sees("About sorting.")
            await it.press("ctrl+b", "d", "escape")
            await it.ask("Another question altogether")
            await it.press("ctrl+b", "u")
            await it.until(lambda: "Sorting" in titles(it), "what was deleted")
            await it.sees("Fresh.")

    async def test_what_cannot_be_deleted_is_said_and_stays(self, monkeypatch):
        library = three()

        def full(*args: object) -> None:
            raise LibraryUnwritable("The disk is full.", "Free some space.")

        monkeypatch.setattr(library, "delete", full)
        async with chat(library=library) as it:
            await it.press("ctrl+b", "d")
            await it.sees("The disk is full. Free some space.")
            assert "Sorting" in titles(it)
