"""A long paste is one label in the draft; all of it is saved, sent and shown folded."""

from textual.events import Key

from qwenchat.chat.draft import Draft, PastedBlock
from qwenchat.library.library import Library
from tests.support.chat_driver import chat

BOOK = "".join(f"line {n} of the book\n" for n in range(1, 1205))
LABEL = "[Pasted 1,204 lines, 25 kB #1]"


def test_a_draft_is_its_typed_text_and_its_blocks_in_order():
    draft = Draft.of(
        "a [1] b [2][1]", [PastedBlock("[1]", "one"), PastedBlock("[2]", "two"), PastedBlock("[3]", "three")]
    )
    assert draft.whole == "a one b twoone"
    assert [part.text for part in draft.parts() if part.origin] == ["one", "two", "one"]
    assert Draft().parts() == ()


class TestInTheDraft:
    async def test_a_long_paste_is_a_label_and_a_short_one_is_text(self):
        async with chat() as it:
            await it.paste("short\ntext ")
            await it.paste(BOOK)
            await it.sees(LABEL)
            await it.paste(BOOK)
            await it.press("!")
            assert it.draft == f"short\ntext {LABEL}{LABEL.replace('#1', '#2')}!"
            await it.press("enter")
            await it.idle()
            assert it.engine.turns[0].messages[-1].text == f"short\ntext {BOOK}{BOOK}!"

    async def test_it_is_deleted_and_passed_over_as_one_and_undo_brings_it_back(self):
        async with chat() as it:
            await it.paste(BOOK)
            await it.press("a", "left", "left", "b", "right", "backspace")
            assert it.draft == "ba"
            await it.press("ctrl+underscore")
            assert it.draft == f"b{LABEL}a"
            assert it.composer.draft.whole == f"b{BOOK}a"

    async def test_alt_e_enter_and_a_click_make_it_text_again(self):
        async with chat() as it:
            await it.paste(BOOK)
            it.app.post_message(Key("alt+e", "e"))  # as terminals send it
            await it.until(lambda: it.draft == BOOK, "the text")
            it.composer.write("")
            await it.paste(BOOK)
            await it.press("left", "enter")
            assert it.draft == BOOK
            assert it.engine.turns == []
            it.composer.write("")
            await it.paste(BOOK)
            await it.click_text("Pasted")
            await it.until(lambda: it.draft == BOOK, "the text")

    async def test_what_is_too_long_to_be_written_in_can_be_read(self):
        async with chat() as it:
            await it.paste(BOOK * 10 + "\x1b[31m[red]the end[/red]")
            await it.press("alt+e")
            await it.sees("Esc closes", "line 1 of the book")
            await it.press("end")
            await it.sees("[red]the end[/red]")
            for size in ((1, 1), (40, 12)):
                await it.pilot.resize_terminal(*size)
                await it.pilot.pause()
            await it.press("escape")
            await it.until(lambda: it.draft.startswith("[Pasted 12,041 lines"), "the label")

    async def test_it_survives_with_the_draft_and_goes_with_it(self, tmp_path):
        async with chat(library=Library.open(tmp_path / "db")) as it:
            await it.paste(BOOK)
            await it.press("?")
            await it.until(lambda: it.session.library.draft(None).whole == f"{BOOK}?", "the draft on disk")
        async with chat(library=Library.open(tmp_path / "db")) as it:
            await it.sees(f"{LABEL}?")
            await it.paste(BOOK)
            await it.press("enter")
            await it.idle()
            assert it.engine.turns[0].messages[-1].text == f"{BOOK}?{BOOK}"
            rows = it.session.library._connection.execute("select count(*) from blocks").fetchone()
            assert rows == (0,)

    async def test_a_message_that_is_changed_has_its_labels_again(self):
        async with chat() as it:
            await it.paste(BOOK)
            await it.press("a", "enter")
            await it.idle()
            await it.press("up")
            assert it.draft == f"{LABEL}a"
            await it.press("ctrl+c", "ctrl+up", "ctrl+up", "e")
            assert it.draft == f"{LABEL}a"
            await it.press("b", "enter")
            await it.idle()
            assert it.engine.turns[-1].messages[-1].text == f"{BOOK}ab"
            assert [part.origin for part in it.session.conversation.path[0].parts] == ["pasted", ""]


class TestHistory:
    async def test_up_goes_back_through_all_conversations_and_down_forward_again(self):
        async with chat() as it:
            for text in ("first", "second\nof two lines"):
                await it.ask(text)
            await it.press("ctrl+n")
            for text in ("third", "first", "third"):
                await it.ask(text)
            seen = []
            for _ in range(4):
                await it.press("up")
                seen.append(it.draft)
            assert seen == ["third", "first", "second\nof two lines", "second\nof two lines"]
            await it.press("down")
            assert it.draft == "first"
            await it.press("down", "down")
            assert it.draft == ""

    async def test_typing_leaves_the_history(self):
        async with chat() as it:
            await it.ask("one line\nand another")
            await it.press("x", "up")
            assert it.draft == "x"
            await it.press("ctrl+c", "up", "!", "up", "?")
            assert it.draft == "one line?\nand another!"

    async def test_what_was_deleted_does_not_come_back_and_an_empty_library_gives_nothing(self):
        async with chat() as it:
            await it.press("up", "down", "a")
            assert it.draft == "a"
            await it.press("ctrl+c")
            await it.ask("kept")
            await it.ask("taken back")
            await it.press("ctrl+up", "ctrl+up", "d", "escape", "up")
            assert it.draft == "kept"


class TestInTheTranscript:
    async def test_what_was_pasted_is_folded_and_opens_by_click_and_by_key(self):
        async with chat() as it:
            await it.paste("Sum this up: ")
            await it.paste(f"\x1b[31m[red]first line[/red]\n{BOOK}")
            await it.press(*"thanks", "enter")
            await it.idle()
            await it.sees("Sum this up:", "▸ Pasted  1,205 lines", "thanks")
            assert "first line" not in it.screen
            await it.press("ctrl+up", "ctrl+up", "alt+e")
            await it.sees("[red]first line[/red]", "line 5 of the book")
            await it.click_text("▾ Pasted")
            await it.no_longer_sees("line 5 of the book")
            await it.sees("thanks")
