"""Pastes come through as Textual's own parser gives them, however they are cut, and at once."""

from hypothesis import given
from hypothesis import strategies as st
from textual._xterm_parser import XTermParser
from textual.events import Key, Paste

from qwenchat.tui.base.terminal_input import TerminalParser

BEGIN, END = "\x1b[200~", "\x1b[201~"
PIECES = st.sampled_from(
    ["a", "é中", "\n", "\r", "\x1b[A", "\x1b[31m", "\x00", "~", "x" * 9, f"{BEGIN}p\nq{END}", f"{BEGIN}{END}"]
)


def events(parser: XTermParser, chunks: list[str]) -> list[str]:
    found = [event for chunk in chunks for event in parser.feed(chunk)]
    return [
        repr(event.text) if isinstance(event, Paste) else event.key for event in found if isinstance(event, Key | Paste)
    ]


@given(st.lists(PIECES, max_size=12), st.integers(1, 9))
def test_keys_and_pastes_are_those_of_textual(pieces: list[str], size: int) -> None:
    text = "".join(pieces)
    chunks = [text[at : at + size] for at in range(0, len(text), size)]
    assert events(TerminalParser(), chunks) == events(XTermParser(), chunks)


def test_a_paste_holds_what_stands_between_its_ends_however_it_is_cut() -> None:
    pasted = "one\x1b[31m\x1b[20\ntwo\x1b[201"
    text = f"k{BEGIN}{pasted}{END}l"
    for size in range(1, len(text)):
        chunks = [text[at : at + size] for at in range(0, len(text), size)]
        if BEGIN in chunks[0]:
            assert events(TerminalParser(), chunks) == ["k", repr(pasted), "l"]


def test_alt_and_enter_are_one_key() -> None:
    parser = TerminalParser()
    assert events(parser, ["a\x1b\rb", "\x1b", "\n", "c\r"]) == ["a", "alt+enter", "b", "alt+enter", "c", "enter"]


def test_alt_and_letters_that_come_at_once_are_keys_and_no_text() -> None:
    parser = TerminalParser()
    assert events(parser, ["\x1bg\x1bg", "\x1bg", "a\x1be\x1b[Ab", "\x1bb"]) == [
        "alt+g", "alt+g", "alt+g", "a", "alt+e", "up", "b", "ctrl+left",
    ]  # fmt: skip
