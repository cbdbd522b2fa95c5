"""The search over the chat, driven by keys."""

from textual.widgets import Input

from qwenchat.chat.errors import LibraryError
from qwenchat.library.library import Library
from qwenchat.tui.base.terminal_input import TerminalParser
from qwenchat.tui.screens.search import SearchScreen
from tests.support.chat_driver import Chat, chat
from tests.support.fake_engine import Script
from tests.support.saved_conversations import LONG_AGO, NOW, YESTERDAY, long, put

WORDS = " ".join(f"word{n}" for n in range(40))


def some() -> Library:
    library = Library.in_memory()
    put(library, "Plums", when=LONG_AGO, reply="A plum cake needs butter.", thought="Which fruit is in season?")
    put(library, "Tides", when=YESTERDAY, reply="The moon pulls at the sea, and the sea follows.")
    put(library, "Sorting", when=NOW, reply="潮の満ち引きは月の引力によって起こります。")
    return library


async def search(it: Chat, words: str) -> None:
    await it.press("ctrl+f")
    await it.sees("Recent conversations")
    await it.press(*words)


async def leaves(it: Chat) -> None:
    await it.until(lambda: not isinstance(it.app.screen, SearchScreen), "the search closed")


def bold_texts(it: Chat) -> list[str]:
    strips = it.app.screen._compositor.render_strips()
    return [segment.text for strip in strips for segment in strip if segment.style and segment.style.bold]


class TestFinding:
    async def test_the_recent_conversations_are_there_before_anything_is_typed(self):
        async with chat(library=some()) as it:
            await search(it, "")
            await it.sees("Sorting", "Tides", "Plums", "5 Mar 2023")
            await it.press("down", "down", "enter")
            await it.sees("A plum cake needs butter.")
            await leaves(it)

    async def test_hits_come_as_one_types_with_title_date_and_excerpt(self):
        async with chat(library=some()) as it:
            await search(it, "butt")
            await it.sees("1 hit", "Plums", "5 Mar 2023", "Model: A plum cake needs butter.")
            assert "Tides" not in it.screen

    async def test_the_words_that_were_found_are_marked(self):
        async with chat(library=some()) as it:
            await search(it, "cake")
            await it.until(lambda: "cake" in bold_texts(it) and "A plum " not in bold_texts(it), "the word in bold")

    async def test_all_words_are_wanted_and_what_is_nowhere_says_so(self):
        async with chat(library=some()) as it:
            await search(it, "moon sea")
            await it.sees("1 hit", "The moon pulls")
            await it.press(*" butter")
            await it.sees("Nothing found")
            await it.press("enter")
            assert isinstance(it.app.screen, SearchScreen)

    async def test_words_of_a_script_without_spaces_are_found(self):
        async with chat(library=some()) as it:
            await it.press("ctrl+f")
            await it.sees("Recent conversations")
            from textual.events import Paste

            it.app.post_message(Paste("引力"))
            await it.sees("1 hit", "月の引力によって")

    async def test_alt_with_a_letter_writes_nothing(self):
        async with chat(library=some()) as it:
            await search(it, "tide")
            for letter in "acdefghijklmnopqrsuvwxyzт1.":
                for event in TerminalParser().feed(f"\x1b{letter}"):
                    it.app.post_message(event)
            await it.press("end", "s")
            await it.until(lambda: it.app.screen.query_one(Input).value.endswith("s"), "the last letter")
            assert set(it.app.screen.query_one(Input).value) <= set("tides")

    async def test_thoughts_are_searched_when_they_are_wanted(self):
        async with chat(library=some()) as it:
            await search(it, "season")
            await it.sees("Nothing found", "thoughts off")
            await it.press("alt+t")
            await it.sees("1 hit", "thoughts on", "Which fruit is in season?")
            await it.press("alt+t")
            await it.sees("Nothing found")

    async def test_old_hits_stay_until_the_new_ones_are_there(self):
        async with chat(library=some()) as it:
            await search(it, "the moon")
            await it.sees("The moon pulls")
            seen = []
            for key in " pulls at":
                await it.press("space" if key == " " else key)
                seen.append("The moon pulls" in it.screen)
            assert all(seen)

    async def test_hostile_text_stays_text(self):
        library = Library.in_memory()
        put(library, "[red]a[/red]", reply="before \x1b[31m needle\x1b[0m\x07 \u202eafter [bold]x[/bold]")
        async with chat(library=library) as it:
            await search(it, "needle")
            await it.sees("1 hit", "[red]a[/red]", "needle", "⟨RLO⟩after [bold]x[/bold]")
            assert "\x1b" not in it.screen

    async def test_a_library_that_cannot_be_searched_says_why(self, monkeypatch):
        library = some()

        def broken(*args: object, **options: object) -> None:
            raise LibraryError("Saved conversations could not be read: disk I/O error.")

        monkeypatch.setattr(library, "search", broken)
        async with chat(library=library) as it:
            await search(it, "moon")
            await it.sees("disk I/O error")
            await it.press("escape")
            await leaves(it)

    async def test_while_older_messages_are_indexed_it_says_so_and_searches_again_then(self, monkeypatch):
        indexing = [True]
        monkeypatch.setattr(Library, "indexing", property(lambda self: indexing[0]))
        async with chat(library=some()) as it:
            await search(it, "moon")
            await it.sees("Nothing found, older messages are still being indexed")
            indexing[0] = False
            await it.sees("1 hit", "The moon pulls")
            await it.no_longer_sees("indexed")

    async def test_a_narrow_screen_still_shows_what_was_found(self):
        library = Library.in_memory()
        put(library, "Long", reply="many words stand here in front of the needle and more words after it")
        async with chat(library=library, size=(40, 12)) as it:
            await search(it, "needle")
            await it.sees("1 hit", "needle and")

    async def test_a_terminal_of_one_cell_and_back_does_no_harm(self):
        async with chat(library=some()) as it:
            await search(it, "moon")
            for size in ((1, 1), (3, 2), (120, 3), (2, 50), (100, 40)):
                await it.pilot.resize_terminal(*size)
                await it.pilot.pause()
            await it.sees("The moon pulls")


class TestChoosing:
    async def test_enter_opens_the_conversation_of_the_hit(self):
        async with chat(library=some()) as it:
            await search(it, "plum cake")
            await it.press("enter")
            await leaves(it)
            await it.sees("A plum cake needs butter.")
            await it.press("o", "k")
            assert it.draft == "ok"

    async def test_a_hit_far_above_the_end_is_brought_into_view(self):
        library = some()
        long(library, "Many questions", 80)
        async with chat(library=library, size=(80, 24)) as it:
            await search(it, "number03 answer")
            await it.sees("Answer number03")
            await it.press("enter")
            await leaves(it)
            await it.sees("Answer number03")

    async def test_a_hit_on_another_branch_opens_that_branch(self):
        library = some()
        conversation = long(library, "Many questions", 3)
        async with chat(library=library, resume=conversation) as it:
            await it.sees("Another ending")
            await search(it, "answer number02")
            await it.sees("1 hit")
            await it.press("enter")
            await leaves(it)
            await it.sees("Question number02", "Answer number02")
            assert "Another ending" not in it.screen

    async def test_the_arrow_keys_move_in_the_hits_while_one_types(self):
        async with chat(library=some()) as it:
            await search(it, "")
            await it.press("down", "down", "up", *"xx")
            await it.sees("Nothing found")
            await it.press("backspace")
            await it.press("backspace")
            await it.sees("Recent conversations")
            await it.press("down", "enter")
            await it.sees("The moon pulls")

    async def test_a_click_opens_a_hit(self):
        async with chat(library=some()) as it:
            await search(it, "moon")
            await it.click_text("The moon pulls")
            await leaves(it)
            await it.sees("The moon pulls at the sea")

    async def test_escape_leaves_everything_as_it_was(self):
        async with chat(library=some()) as it:
            await it.press("ctrl+b", "enter")
            await it.sees("Sorting")
            await it.paste("half a thought")
            before = it.session.conversation.id
            await search(it, "moon")
            await it.sees("The moon pulls")
            await it.press("down", "escape")
            await leaves(it)
            assert it.session.conversation.id == before
            assert it.draft == "half a thought"

    async def test_the_draft_is_kept_when_a_hit_is_opened(self):
        async with chat(library=some()) as it:
            await it.paste("half a thought")
            await search(it, "moon")
            await it.press("enter")
            await it.sees("The moon pulls")
            assert it.draft == ""
            await it.press("ctrl+n")
            await it.until(lambda: it.draft == "half a thought", "the draft")

    async def test_a_hit_in_the_conversation_that_is_being_answered_does_not_stop_it(self):
        async with chat(Script(WORDS, hold_at=5)) as it:
            await it.send("A needle in the question")
            await it.sees("word4")
            await search(it, "needle")
            await it.sees("1 hit")
            await it.press("enter")
            await leaves(it)
            assert it.session.busy
            it.engine.release()
            await it.sees("word39")
