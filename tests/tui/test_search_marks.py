"""The hits of a search in the conversation: come to, marked, and walked along."""

import pytest
from rich.segment import Segment

from qwenchat.chat.draft import PASTED
from qwenchat.chat.messages import Message, Role, TextPart, ToolCallPart, ToolResultPart
from qwenchat.library.library import Library
from qwenchat.tui.screens.search import SearchScreen
from qwenchat.tui.transcript.passage import line_of
from tests.support.chat_driver import Chat, chat
from tests.support.fake_engine import Script
from tests.support.saved_conversations import put
from tests.tui.test_hostile import ESCAPES, MARKUP

FILLING = "\n\n".join(f"Paragraph {n} speaks of many other things, and of nothing in particular." for n in range(30))
LONG = "\n\n".join([*[FILLING] * 4, "Here stands the needle.", FILLING])
"""About 3,000 tokens."""
TWO = "A first needle here.\n\nBetween them.\n\nThe second needle there."


def conversation(*texts: str, name: str = "c", library: Library | None = None) -> Library:
    """A library with a conversation of these, said by the user and the model in turn."""
    library = library or Library.in_memory()
    parent = None
    for at, text in enumerate(texts):
        role = Role.ASSISTANT if at % 2 else Role.USER
        message = Message(role, (TextPart(text),), parent=parent)
        library.save(name, message)
        parent = message.id
    return library


async def search(it: Chat, words: str, *keys: str) -> None:
    """Search, and open the first hit."""
    await it.press("ctrl+f", *("space" if key == " " else key for key in words), *keys)
    await it.until(lambda: isinstance(it.app.screen, SearchScreen), "the search")
    await it.sees("1 hit") if "1 hit" in it.screen else None
    await it.press("enter")
    await it.until(lambda: not isinstance(it.app.screen, SearchScreen), "the search closed")


def segments(it: Chat) -> list[Segment]:
    return [segment for strip in it.app.screen._compositor.render_strips() for segment in strip]


def marked(it: Chat, *, at: bool = False) -> list[str]:
    """The texts on the screen that are marked; with `at` that which the reader is at."""
    ground = it.app.theme_variables["warning"].lower()
    plain = it.app.theme_variables["background"].lower()
    found = []
    for segment in segments(it):
        style = segment.style
        if style is None or style.bgcolor is None or style.color is None:
            continue
        here = style.bgcolor.get_truecolor().hex == ground and style.color.get_truecolor().hex == plain
        red, green, blue = style.bgcolor.get_truecolor()
        other = not here and red > blue + 20 and green > blue + 10
        if here if at else other:
            found.append(segment.text)
    return found


async def comes_to(it: Chat, text: str, before: str = "") -> None:
    """Wait until the reader is at a hit, in a line that has `before`."""
    await it.until(lambda: marked(it, at=True) == [text], f"the reader at {text}")
    await it.sees(before)


class TestComing:
    async def test_a_hit_deep_in_a_long_reply_is_in_view_and_marked(self):
        async with chat(library=conversation("Question", LONG), size=(80, 24)) as it:
            await search(it, "needle")
            await it.sees("Here stands the needle.")
            await comes_to(it, "needle")

    async def test_so_it_is_in_the_conversation_that_is_open_already(self):
        async with chat(library=conversation("Question", LONG), resume="c", size=(80, 24)) as it:
            await it.sees("Paragraph 29")
            await search(it, "needle")
            await comes_to(it, "needle", "Here stands the needle.")

    async def test_a_hit_among_many_messages_is_come_to(self):
        texts = [f"message {n}" for n in range(130)]
        texts[21] = f"{FILLING}\n\nThe needle.\n\n{FILLING}"
        async with chat(library=conversation(*texts), resume="c", size=(80, 24)) as it:
            await it.sees("message 129")
            await search(it, "needle")
            await comes_to(it, "needle", "The needle.")

    async def test_a_hit_in_a_folded_thought_unfolds_it(self):
        library = Library.in_memory()
        put(library, "Plums", reply="An answer.", thought=f"{FILLING}\n\nI think of a needle.\n\n{FILLING}")
        async with chat(library=library, size=(80, 24)) as it:
            await search(it, "needle", "alt+t")
            await comes_to(it, "needle", "I think of a needle.")

    async def test_a_thought_stays_folded_where_thoughts_are_not_searched(self):
        library = Library.in_memory()
        put(library, "Plums", reply="The needle is here.", thought="A needle?")
        async with chat(library=library) as it:
            await search(it, "needle")
            await comes_to(it, "needle", "The needle is here.")
            await it.sees("▸ thought")

    async def test_a_hit_in_what_was_pasted_unfolds_it(self):
        library = Library.in_memory()
        pasted = TextPart("\n".join(f"line {n}" for n in range(300)) + "\nthe needle\nand more", PASTED)
        library.save("c", Message(Role.USER, (TextPart("Read this: "), pasted)))
        async with chat(library=library, size=(80, 24)) as it:
            await search(it, "needle")
            await comes_to(it, "needle", "the needle")

    async def test_a_hit_in_what_a_tool_gave_opens_its_call(self):
        library = Library.in_memory()
        asked = Message(Role.USER, (TextPart("Go"),))
        call = Message(Role.ASSISTANT, (ToolCallPart("1", "look", "{}"),), parent=asked.id)
        gave = Message(Role.TOOL, (ToolResultPart("1", "look", "in the haystack\na needle"),), parent=call.id)
        for message in (asked, call, gave):
            library.save("c", message)
        async with chat(library=library) as it:
            await search(it, "needle")
            await comes_to(it, "needle", "a needle")

    async def test_a_hit_in_anything_that_a_reply_may_have_is_in_view(self):
        parts = (
            "- one\n- a needle in a list",
            "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | a needle |",
            "```python\n" + "x = 1\n" * 40 + "a = 'needle'\n```",
            "## The needle",
            "> it quotes a needle",
            f"{'字' * 300}needle{'字' * 300}",
        )
        reply = "\n\n".join(f"{FILLING}\n\n{part}" for part in parts)
        async with chat(library=conversation("Question", f"{reply}\n\n{FILLING}"), size=(80, 24)) as it:
            await search(it, "needle")
            for before in ("a needle in a list", "│ 3", "a = 'needle'", "The needle", "it quotes", "字needle字"):
                await comes_to(it, "needle", before)
                await it.press("n")

    async def test_code_beyond_the_edge_is_scrolled_to(self):
        reply = "```\n" + "x" * 200 + " the needle " + "y" * 200 + "\n```"
        async with chat(library=conversation("Question", reply), size=(80, 24)) as it:
            await search(it, "needle")
            await comes_to(it, "needle")

    async def test_chinese_words_are_marked(self):
        async with chat(library=conversation("问题", "月の引力によって起こります。")) as it:
            from textual.events import Paste

            await it.press("ctrl+f")
            await it.until(lambda: isinstance(it.app.screen, SearchScreen), "the search")
            it.app.post_message(Paste("引力"))
            await it.sees("1 hit")
            await it.press("enter")
            await comes_to(it, "引力")

    async def test_what_is_found_but_not_shown_opens_the_message(self):
        async with chat(library=conversation("Question", "[a page](https://example.org/needle)")) as it:
            await search(it, "needle")
            await it.sees("a page")
            await it.until(lambda: it.transcript.chosen is not None, "the message chosen")


class TestMarking:
    async def test_all_hits_in_view_are_marked_and_one_otherwise(self):
        async with chat(library=conversation("A needle?", TWO)) as it:
            await search(it, "needle")
            await comes_to(it, "needle")
            await it.until(lambda: marked(it) == ["needle"] * 2, "the others marked")

    async def test_code_that_is_coloured_anew_is_marked_again(self):
        async with chat(library=conversation("A needle?", "A needle.\n\n```python\nneedle = 1\n```")) as it:
            await search(it, "a needle")
            await comes_to(it, "A")
            await it.press("up", "n", "n", "n")
            await it.until(lambda: marked(it).count("needle") == 2, "all but one marked")

    async def test_messages_without_all_words_are_not_marked(self):
        async with chat(library=conversation("The sea", "The moon pulls at the sea.", "The moon")) as it:
            await search(it, "moon sea")
            await comes_to(it, "moon")
            await it.until(lambda: marked(it) == ["sea"], "the other word marked")

    @pytest.mark.parametrize("keys", [["escape"], ["e", "x"]], ids=["escape", "changing"])
    async def test_marks_stay_until_esc_or_the_next_edit(self, keys):
        async with chat(library=conversation("A needle?", TWO)) as it:
            await search(it, "needle")
            await comes_to(it, "needle")
            await it.press("up", "down", "ctrl+home")
            assert marked(it)
            await it.press("up", *keys)
            await it.until(lambda: not marked(it) and not marked(it, at=True), "no marks")
            assert "needle" in it.screen

    async def test_they_end_when_a_message_is_sent(self):
        async with chat(Script("No such thing."), library=conversation("A needle?", TWO)) as it:
            await search(it, "needle")
            await comes_to(it, "needle")
            it.composer.focus()
            it.composer.write("More")  # and it is sent before anything is drawn
            await it.app._chat.action_send()
            await it.until(lambda: not marked(it) and not marked(it, at=True), "no marks")
            await it.sees("No such thing.")

    async def test_esc_takes_the_marks_away_before_it_stops_a_reply(self):
        script = Script("word " * 40, hold_at=3)
        async with chat(script, library=conversation("A needle?", TWO), resume="c") as it:
            await it.send("Go")
            await it.sees("word word")
            await search(it, "needle")
            await comes_to(it, "needle")
            await it.press("escape")
            assert it.session.busy
            await it.press("escape")
            await it.idle()
            await it.sees("stopped")

    async def test_without_colours_they_are_underlined_and_reversed(self, monkeypatch):
        monkeypatch.setenv("NO_COLOR", "1")
        async with chat(library=conversation("A needle?", TWO)) as it:
            await search(it, "needle")
            await it.until(
                lambda: [s.text for s in segments(it) if s.style and s.style.reverse and s.text == "needle"],
                "the hit reversed",
            )
            assert [s.text for s in segments(it) if s.style and s.style.underline] == ["needle"] * 2

    async def test_hostile_text_stays_text(self):
        async with chat(library=conversation(f"needle {ESCAPES}", f"{MARKUP} needle"), size=(120, 40)) as it:
            await search(it, "needle")
            await it.sees("[red]x[/red]")
            await comes_to(it, "needle")
            assert "\x1b" not in it.screen

    async def test_a_small_terminal_shows_the_hit_and_another_size_does_no_harm(self):
        async with chat(library=conversation("Question", f"{FILLING}\n\nA needle.\n\n{FILLING}"), size=(40, 12)) as it:
            await search(it, "needle")
            await comes_to(it, "needle")
            for other in ((1, 1), (3, 2), (100, 30)):
                await it.pilot.resize_terminal(*other)
                await it.pilot.pause()
                await it.press("n")
            await comes_to(it, "needle")


class TestWalking:
    async def test_n_and_shift_n_walk_along_the_hits_of_all_messages(self):
        texts = ["A needle?", TWO, "Nothing.", f"{FILLING}\n\nA last needle.\n\n{FILLING}"]
        async with chat(library=conversation(*texts), resume="c", size=(80, 24)) as it:
            await it.press("f8", *"last", "enter")
            await it.sees("A last needle.")
            await it.press("escape", "f8", *"needle")
            await it.sees("3 hits")
            await it.press("enter")
            await comes_to(it, "needle", "A needle?")
            for before in ("A first needle", "The second needle", "A last needle."):
                await it.press("n")
                await comes_to(it, "needle", before)
            await it.press("n")
            await it.sees("That was the last hit; here is the first.")
            await comes_to(it, "needle", "A needle?")
            await it.press("N")
            await comes_to(it, "needle", "A last needle.")
            await it.press("N")
            await comes_to(it, "needle", "The second needle")

    async def test_f8_leads_on_from_the_draft_too(self):
        async with chat(library=conversation("A needle?", TWO), resume="c") as it:
            await search(it, "needle")
            await comes_to(it, "needle")
            it.composer.focus()
            await it.sees("F8 next hit")
            await it.press("f8")
            await it.until(lambda: it.transcript.chosen is not None, "the message chosen")
            assert not isinstance(it.app.screen, SearchScreen)

    async def test_the_edge_of_the_draft_says_the_keys(self):
        async with chat(library=conversation("A needle?", TWO)) as it:
            await search(it, "needle")
            await it.sees("n next hit")
            await it.press("escape")
            await it.no_longer_sees("next hit")

    async def test_without_marks_n_begins_a_message(self):
        async with chat(library=conversation("A needle?", TWO), resume="c") as it:
            await it.press("ctrl+up", "n", "o")
            await it.until(lambda: it.draft == "no", "the draft")

    async def test_from_a_message_that_was_chosen_since_it_goes_on_there(self):
        async with chat(library=conversation("A needle?", "Nothing.", "One more needle.", TWO), resume="c") as it:
            await it.press("f8", *"needle", "enter")
            await comes_to(it, "needle", "A needle?")
            await it.press("down", "n")
            await comes_to(it, "needle", "One more needle.")


class TestHere:
    async def test_f8_finds_in_this_conversation_alone(self):
        library = conversation("A needle?", TWO)
        conversation("Another needle", name="d", library=library)
        async with chat(library=library, resume="c") as it:
            await it.press("f8")
            await it.sees("Find in this conversation", "F8 in all")
            await it.press(*"needle")
            await it.sees("2 hits", "A needle?", "A first needle here.")
            assert "Another needle" not in it.screen
            await it.press("f8")
            await it.sees("3 hits", "Another needle", "F8 in this one alone")

    async def test_a_command_opens_it_with_its_words(self):
        async with chat(library=conversation("A needle?", TWO), resume="c") as it:
            await it.send("/find second")
            await it.sees("1 hit", "Model: …first needle")
            await it.press("enter")
            await comes_to(it, "second", "The second needle there.")

    async def test_the_palette_has_it(self):
        async with chat(library=conversation("A needle?", TWO), resume="c") as it:
            await it.press("ctrl+p", *"find in")
            await it.sees("Find in this conversation")
            await it.press("enter")
            await it.sees("In this conversation")

    async def test_an_empty_chat_says_that_there_is_nothing(self):
        async with chat() as it:
            await it.press("f8")
            await it.sees("There is nothing in this conversation yet.")


@pytest.mark.parametrize(
    ("text", "word", "width", "line"),
    [
        ("one two three", "three", 8, 1),
        ("one\ntwo\n\nthree", "three", 80, 3),
        ("one two three\nfour five six", "six", 8, 3),
        ("x" * 30 + " end", "end", 10, 3),
        ("字" * 20 + "end", "end", 10, 4),
        ("\tone\ttwo", "two", 10, 1),
        ("one  two", "one", 3, 0),
    ],
)
def test_the_line_of_a_word_is_the_one_it_is_wrapped_to(text, word, width, line):
    assert line_of(text, text.index(word), width) == line
