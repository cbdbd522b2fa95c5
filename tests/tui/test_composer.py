"""The composer: keys in their order, whole characters, a height that grows with the text."""

import pytest
from textual.events import Key, Paste

from tests.support.chat_driver import Chat, chat
from tests.support.fake_engine import Script


def burst(it: Chat, *events: str | Paste) -> None:
    """Keys and pastes that arrive at once, as when a program types."""
    for event in events:
        it.app.post_message(event if isinstance(event, Paste) else Key(event, event if len(event) == 1 else None))


BURSTS = [
    (("a", "b", "ctrl+j", "c"), "ab\nc"),
    (("a", "b", "backspace", "c"), "ac"),
    (("a", "b", "left", "c", "home", "d", "end", "e"), "dacbe"),
    (("a", "ctrl+a", "b", "ctrl+k", "c"), "bc"),
    (("a", Paste("x\ny"), "b", "backspace", "ctrl+j", Paste("z"), "left", "c"), "ax\ny\ncz"),
]


class TestOrder:
    async def test_keys_and_pastes_of_one_burst_are_heeded_in_their_order(self):
        async with chat() as it:
            for keys, draft in BURSTS:
                it.composer.write("")
                burst(it, *keys)
                await it.until(lambda draft=draft: it.draft == draft, f"{draft!r}")

    async def test_a_message_sent_in_a_burst_has_all_that_was_written_before_and_nothing_after(self):
        async with chat() as it:
            burst(it, "h", "i", Paste(" there"), "!", "enter", "n", "e", "x", "t")
            await it.until(lambda: it.draft == "next", "the rest in the draft")
            await it.idle()
            assert [turn.messages[-1].text for turn in it.engine.turns] == ["hi there!"]

    async def test_what_is_written_before_and_after_a_new_conversation_belongs_to_each(self):
        async with chat(Script("Paris.")) as it:
            await it.ask("Go")
            first = it.session.conversation.id
            burst(it, "o", "l", "d", "ctrl+n", "n", "e", "w")
            await it.until(lambda: it.draft == "new", "the new draft")
            assert it.session.library.draft(first).whole == "old"


FAMILY = "👨‍👩‍👧"
CLUSTERS = [FAMILY, "👍🏽", "🇩🇪", "e\u0301", "中", "한", "ᄒ\u1161ᆫ", "क्षि", "❤️"]


class TestWholeCharacters:
    async def test_backspace_and_delete_take_a_whole_character_and_the_cursor_moves_over_it(self):
        async with chat() as it:
            for cluster in CLUSTERS:
                it.composer.write(f"a{cluster}b")
                await it.press("left", "backspace")
                assert it.draft == "ab", cluster
                it.composer.write(f"a{cluster}")
                await it.press("left", "delete")
                assert it.draft == "a", cluster
                it.composer.write(cluster * 3)
                await it.press("left", "left", "a", "right", "b")
                assert it.draft == f"{cluster}a{cluster}b{cluster}"

    async def test_the_cursor_comes_from_another_line_to_no_place_inside_a_character(self):
        async with chat() as it:
            await it.paste(f"abcdefghi\n{FAMILY}{FAMILY}{FAMILY}")
            await it.press("up", "home", *["right"] * 3, "down", "x")
            assert it.draft.replace("x", "") == f"abcdefghi\n{FAMILY}{FAMILY}{FAMILY}"
            assert it.draft.splitlines()[1].replace(FAMILY, "F") in ("xFFF", "FxFF", "FFxF", "FFFx")

    async def test_the_edge_stays_straight_where_the_cursor_is_on_an_emoji(self):
        async with chat(size=(60, 20)) as it:
            await it.paste(f"one {FAMILY} two 中文 three")
            for _ in range(14):
                await it.press("left")
                strips = it.app.screen._compositor.render_strips()
                assert {strip.cell_length for strip in strips} == {60}

    async def test_an_input_method_writes_several_characters_at_once(self):
        async with chat() as it:
            burst(it, *"你好", Paste("，世界"), "。", "enter")
            await it.idle()
            await it.until(lambda: it.engine.turns, "the turn")
            assert it.engine.turns[0].messages[-1].text == "你好，世界。"


class TestHeight:
    async def test_it_grows_with_its_text_to_a_third_of_the_screen_and_scrolls_then(self):
        async with chat(size=(80, 36)) as it:
            assert it.composer.outer_size.height == 3
            await it.press("a", "ctrl+j", "b")
            await it.until(lambda: it.composer.outer_size.height == 4, "one more line")
            await it.press(*["ctrl+j"] * 30)
            await it.press("e", "n", "d")
            await it.until(lambda: it.composer.outer_size.height == 12, "a third")
            await it.sees("end")

    @pytest.mark.parametrize("size", [(80, 24), (100, 40), (60, 12), (80, 17)])
    async def test_however_much_is_written_it_stays_at_the_foot_of_the_screen(self, size: tuple[int, int]):
        async with chat(size=size) as it:
            written = "".join(f"line {number}\n" for number in range(30))
            await it.paste(written + "end")
            await it.sees("end")
            await it.paste("\n".join(f"pasted {number}" for number in range(120)))
            await it.press("alt+e")
            await it.sees("pasted 0")
            assert it.composer.region.bottom == size[1] - 1
            assert "Qwen/Qwen3-0.6B" in it.status


async def test_the_draft_takes_one_line_again_once_it_is_empty():
    async with chat(size=(80, 24)) as it:
        height = it.app._chat._composer.outer_size.height
        for empty in ("ctrl+c", "enter"):
            await it.press("a", *["ctrl+j", "b"] * 4)
            await it.until(lambda: it.app._chat._composer.outer_size.height == height + 4, "a taller draft")
            await it.press(empty)
            await it.until(lambda: it.app._chat._composer.outer_size.height == height, "a draft of one line")


async def test_what_is_written_after_an_undo_is_undone_by_itself():
    async with chat() as it:
        await it.press(*"message", "ctrl+a", *"Oh", "space", "ctrl+underscore")
        await it.until(lambda: it.draft == "message", "the first undone")
        await it.press(*"My", "space", "ctrl+underscore")
        await it.until(lambda: it.draft == "message", "the second undone")


async def test_alt_with_a_letter_writes_nothing():
    async with chat() as it:
        await it.press(*"two", "space", *"words", "ctrl+a", "alt+d", "alt+x")
        await it.until(lambda: it.draft == " words", "the first word deleted")
