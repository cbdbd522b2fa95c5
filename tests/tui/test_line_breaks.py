"""Line breaks of a reply, which carry meaning in verse, lyrics and addresses."""

import pytest

from qwenchat.tui.markdown.pieces import parser
from qwenchat.tui.markdown.plain_text import plain
from tests.support.chat_driver import chat
from tests.support.fake_engine import Script

VERSE = "The fog comes\non little cat feet.\n\nIt sits looking\nover *harbor and\ncity*\n"
BLOCKS = (
    "> Anna Muster\n> Am Ring 1\n> 8000 Zürich\n\n- first\n  second\n- third\n\n"
    "1. one\n   two\n\n   three\n   four\n\nTitle one\nTitle two\n=====\n\n"
    "| a | b |\n|---|---|\n| x<br>y | z<br/>**w**<BR> |\n"
)


def _lines(text: str) -> list[str]:
    lines = [""]
    for token in parser().parse(text):
        for child in token.children or ():
            if child.type == "hardbreak":
                lines.append("")
            lines[-1] += child.content
        if token.type == "inline":
            lines.append("")
    return lines[:-1]


def test_every_line_of_a_text_is_a_line_on_the_screen() -> None:
    assert _lines(VERSE) == ["The fog comes", "on little cat feet.", "It sits looking", "over harbor and", "city"]
    assert _lines(BLOCKS) == [
        "Anna Muster", "Am Ring 1", "8000 Zürich", "first", "second", "third", "one", "two", "three", "four",
        "Title one", "Title two", "a", "b", "x", "y", "z", "w", "",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["Use <br> here.", "`a<br>b`", "```\na<br>b\n```"])
def test_a_tag_outside_of_a_table_stays_the_text_it_is(text: str) -> None:
    assert "<br>" in plain(text)


def test_the_plain_text_of_a_table_has_a_line_for_each_row() -> None:
    assert plain("| a | b |\n|---|---|\n| x<br>y | z |\n") == "a    b\nx y  z"


async def test_lines_stay_while_a_reply_comes_and_when_it_has_ended() -> None:
    reply = f"{VERSE}\n{BLOCKS}"
    async with chat(Script(reply, hold_at=len(reply.split())), size=(60, 60)) as it:
        await it.send("Verse")
        for _ in range(2):
            await it.sees("city", "four", "│ y")
            shown = [line.strip() for line in it.screen.splitlines()]
            for line in (
                "The fog comes", "on little cat feet.", "over harbor and", "city", "Am Ring 1", "second", "two", "four",
            ):  # fmt: skip
                assert any(line in one and len(one) < len(line) + 6 for one in shown), (line, it.screen)
            it.engine.release()
            await it.idle()
