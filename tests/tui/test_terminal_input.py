"""What a terminal sends: keys and pastes however they are cut, and nothing that is neither becomes text."""

import os
import threading
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from textual._xterm_parser import XTermParser
from textual.events import Key, MouseEvent, Paste, Resize
from textual.geometry import Size
from textual.message import Message

from qwenchat.chat.text import safe
from qwenchat.tui.base.key_layouts import us_key
from qwenchat.tui.base.terminal_driver import HIGHEST, WIDEST, TerminalDriver, sane
from qwenchat.tui.base.terminal_input import TerminalParser

BEGIN, END = "\x1b[200~", "\x1b[201~"
PIECES = st.sampled_from(
    [
        "a",
        "é中",
        "\n",
        "\r",
        "\x1b[A",
        "\x1b[1;5C",
        "\x1b[97;5u",
        "\x1bOP",
        "~",
        "x" * 9,
        f"{BEGIN}p\nq{END}",
        f"{BEGIN}{END}",
    ]
)
REPORTS = [
    "\x1b[?62;4;22c", "\x1b[>41;354;0c", "\x1b[0n", "\x1b[?13n", "\x1b[24;80R", "\x1b[?24;80;1R",
    "\x1b[?2026;2$y", "\x1b[?2048;0$y", "\x1b[?25u", "\x1b[8;24;80t", "\x1b[4;600;800t", "\x1b[6;16;8t", "\x1b[?1;2S",
    "\x1b]10;rgb:ffff/ffff/ffff\x1b\\", "\x1b]11;rgb:0000/0000/0000\x07", "\x1b]4;1;rgb:cdcd/0000/0000\x1b\\",
    "\x1b]52;c;aGVsbG8gd29ybGQ=\x07", "\x1b]l title\x1b\\", "\x1b]99;i=1:p=?;body\x1b\\", "\x1bP>|XTerm(390)\x1b\\",
    "\x1bP1$r0 q\x1b\\", "\x1bP1+r544e=787465726d\x1b\\", "\x1bP0+r\x1b\\", "\x1bP!|00000000\x1b\\",
    "\x1b_Gi=31;OK\x1b\\", "\x1b_Gi=31;ENOENT:no such file\x1b\\", "\x1b^private\x1b\\", "\x1bXsome string\x1b\\",
    "\x9b?62;4c", "\x9d11;rgb:0/0/0\x9c", "\x90>|x\x9c", "\x9fGi=1;OK\x9c", "\udc9b?62;4c", "\udc9d11;rgb:0/0/0\udc9c",
    "\x1b[<35;10;20M", "\x1b[<0;10;20m", "\x1b[<32;NaN;NaNM", "\x1b[<0;-5;3M", "\x1b[<0;1e3;inf;M", "\x1b[<0;false;{}M",
    "\x1b[32;NaN;3M", "\x1b[<undefined;1;1M", "\x1b[NaN;NaNR", "\x1b[?NaN;0$y", "\x1b[48;NaN;80;0;0t",
    "\x1b[<99999999999999999999;1;1M",
    "\x1b[M !!", "\x1b[M\x1b!!", "\x1b[I", "\x1b[O", "\x1b[1114112;5u", "\x1b[55296u", "\x1b[57344u", "\x1b[57441;2u",
    "\x1b[57358;65u", "\x1b[0u", "\x1b[1u", "\x1b[97;1:3u", "\x1b[99999999999999999999u", "\x1b[-97u", "\x1b[99~",
    "\x1b[0~", "\x1b[5H", "\x1b[97;5;99999999u", "\x1b[31m", "\x1b[201~", "\x80", "\x85", "\udcff", "\ud800",
]  # fmt: skip
"""Complete, broken and unknown: none of them is a key that writes."""


def events(parser: XTermParser, chunks: Iterable[str]) -> list[str]:
    found = [event for chunk in chunks for event in parser.feed(chunk)]
    return [
        repr(event.text) if isinstance(event, Paste) else event.key for event in found if isinstance(event, Key | Paste)
    ]


def pieces(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def written(found: Iterable[Message]) -> str:
    """What a field would take in."""
    return "".join(
        event.text if isinstance(event, Paste) else event.character or ""
        for event in found
        if isinstance(event, Paste) or (isinstance(event, Key) and event.is_printable)
    )


@given(st.lists(PIECES, max_size=12), st.integers(1, 9))
def test_keys_and_pastes_are_those_of_textual(parts: list[str], size: int) -> None:
    chunks = pieces("".join(parts), size)
    assert events(TerminalParser(), chunks) == events(XTermParser(), chunks)


def test_a_paste_holds_what_stands_between_its_ends_however_it_is_cut() -> None:
    pasted = "one\x1b[31m\x1b[20\ntwo\x1b[201"
    text = f"k{BEGIN}{pasted}{END}l"
    for size in range(1, len(text)):
        assert events(TerminalParser(), pieces(text, size)) == ["k", repr(safe(pasted)), "l"]


def test_alt_and_enter_are_one_key() -> None:
    parser = TerminalParser()
    assert events(parser, ["a\x1b\rb", "\x1b", "\n", "c\r"]) == ["a", "alt+enter", "b", "alt+enter", "c", "enter"]


def test_alt_and_letters_that_come_at_once_are_keys_and_no_text() -> None:
    parser = TerminalParser()
    assert events(parser, ["\x1bg\x1bg", "\x1bg", "a\x1be\x1b[Ab", "\x1bb"]) == [
        "alt+g", "alt+g", "alt+g", "a", "alt+e", "up", "b", "ctrl+left",
    ]  # fmt: skip


@pytest.mark.parametrize("key", [chr(point) for point in range(0x20, 0x7F)] + list("äßжשاㅁ中№"))
@pytest.mark.parametrize("cut", [False, True], ids=["at once", "Escape first"])
def test_alt_with_a_key_writes_nothing(key: str, cut: bool) -> None:
    parser = TerminalParser()
    spelled = ["\x1b", key] if cut else [f"\x1b{key}"]
    found = [event for chunk in (*spelled, "") for event in parser.feed(chunk)]
    assert len(found) == 1
    assert written(found) == ""
    kitty = f"\x1b[{ord(key)};3u\x1b[{ord(key)};3;{ord(key)}u\x1b[27;3;{ord(key)}~"
    assert written(TerminalParser().feed(kitty)) == ""


@pytest.mark.parametrize(
    ("sequence", "key"),
    [
        ("\x1b[1089;5u", "ctrl+c"), ("\x1b[1077;5u", "ctrl+t"), ("\x1b[1077::116;5u", "ctrl+t"),
        ("\x1b[1077:1045:116;6u", "ctrl+shift+t"), ("\x1b[1111;5u", "ctrl+right_square_bracket"),
        ("\x1b[1110;5u", "ctrl+s"), ("\x1b[968;5u", "ctrl+c"), ("\x1b[964;3u", "alt+t"), ("\x1b[1489;5u", "ctrl+c"),
        ("\x1b[1572;5u", "ctrl+c"), ("\x1b[3649;5u", "ctrl+c"), ("\x1b[12618;5u", "ctrl+c"), ("\x1bе", "alt+t"),
        ("\x1bЕ", "alt+shift+t"), ("\x1b[99:67;5u", "ctrl+c"), ("\x1b[1089;69u", "ctrl+c"), ("\x1b[27;5;99~", "ctrl+c"),
        ("\x1b[1089;9u", "super+c"), ("\x1b[1089;5;1089u", "ctrl+c"), ("\x1b[246::59;5u", "ctrl+ö"),
        ("\x1b[13;5u", "ctrl+enter"), ("\x1b[57414;1u", "enter"), ("\x1b[25~", "f13"), ("\x1b[24^", "ctrl+f12"),
        ("\x1b[3$", "shift+delete"), ("\x1b[[A", "f1"),
    ],
)  # fmt: skip
def test_a_command_is_known_by_its_key_whatever_the_layout(sequence: str, key: str) -> None:
    for size in range(1, len(sequence) + 1):
        parser = TerminalParser()
        assert events(parser, [*pieces(sequence, size), ""]) == [key]


@pytest.mark.parametrize(
    ("sequence", "text"),
    [
        ("\x1b[1089;1;1089u", "с"), ("\x1b[1089;2;1057u", "С"), ("\x1b[1089u", "с"), ("\x1b[1089:1057:99;2u", "С"),
        ("\x1b[97;65u", "A"), ("\x1b[97:65;2;65u", "A"), ("\x1b[0;;229u", "å"), ("\x1b[97;;97:98u", "ab"),
        ("\x1b[116;3;8224u", "†"), ("\x1b[57401;1;50u", "2"), ("\x1b[32;1u", " "), ("\x1bOp", "0"),
        ("\x1b[97;1;27:65u", "A"),
    ],
)  # fmt: skip
def test_text_stays_as_it_was_typed_whatever_the_layout(sequence: str, text: str) -> None:
    assert written(TerminalParser().feed(sequence)) == text


def test_every_layout_reaches_every_letter_that_has_a_key() -> None:
    for alphabet in (
        "йцукенгшщзфывапролдячсмить",
        "ςερτυθιοπασδφγηξκλζχψωβνμ",
        "ㅂㅈㄷㄱㅅㅛㅕㅑㅐㅔㅁㄴㅇㄹㅎㅗㅓㅏㅣㅋㅌㅊㅍㅠㅜㅡ",
    ):
        keys = [us_key(letter) for letter in alphabet]
        assert len(set(keys)) == len(keys)
        assert all(key.isascii() and key.isalpha() for key in keys)
    assert us_key("é") == "é"
    assert us_key("ы", "ö") == "s"
    assert us_key("٣") == "3"


@pytest.mark.parametrize("report", REPORTS)
def test_what_is_no_key_writes_nothing_and_takes_nothing_along(report: str) -> None:
    for size in range(1, len(report) + 1):
        parser = TerminalParser()
        found = [event for chunk in pieces(f"a{report}b", size) for event in parser.feed(chunk)]
        assert written(found) == "ab"


def test_what_breaks_off_is_forgotten_and_the_keys_after_it_count() -> None:
    for report in REPORTS:
        for end in range(3, len(report)):
            parser = TerminalParser()
            found = [*parser.feed(f"a{report[:end]}")]
            while parser._timeout_time is not None:
                parser._timeout_time = 0
                found += parser.tick()
            found += parser.feed("b\r")
            assert written(found) in ("ab", "a!b", "a!!b"), report[:end]
            assert events(parser, ["c"]) == ["c"]


def test_a_paste_that_never_ends_gives_the_keys_back() -> None:
    parser = TerminalParser()
    assert events(parser, [f"{BEGIN}half"]) == []
    parser._timeout_time = 0
    assert written(parser.tick()) == "half"
    assert events(parser, ["\x03"]) == ["ctrl+c"]


def test_a_paste_is_text_whatever_is_in_it() -> None:
    (paste,) = TerminalParser().feed(f"{BEGIN}a\udcffb\x00c{END}")
    assert isinstance(paste, Paste)
    assert paste.text == "a\N{REPLACEMENT CHARACTER}bc"


def test_an_escape_alone_and_twice_is_that_key() -> None:
    parser = TerminalParser()
    assert events(parser, ["\x1b\x1b[A", "\x1b"]) == ["escape", "up"]
    parser._timeout_time = 0
    assert [event.key for event in parser.tick() if isinstance(event, Key)] == ["escape"]


def test_the_mouse_is_heard_where_it_is() -> None:
    found = list(TerminalParser().feed("\x1b[<0;10;20M\x1b[<0;0;0M\x1b[<64;1;1M\x1b[<127;999999999;999999999M"))
    assert [(event.x, event.y) for event in found if isinstance(event, MouseEvent)][:2] == [(9, 19), (0, 0)]


def test_a_size_without_pixels_does_not_divide_by_them() -> None:
    found = list(TerminalParser().feed("\x1b[48;24;80;0;0t\x1b[<0;10;20M\x1b[48;0;0;0;0t"))
    assert [event.size for event in found if isinstance(event, Resize)] == [Size(80, 24)]
    assert isinstance(found[-1], MouseEvent)


_FUZZ = st.lists(
    st.one_of(
        st.sampled_from(REPORTS), st.sampled_from([text[:end] for text in REPORTS for end in range(len(text))]),
        st.text(st.sampled_from("\x1b[]P_^XO<>?;:0123456789-$M~uRmNaInf\x07\\\x9b\x9c \r\n\t\x00"), max_size=12),
        st.text(max_size=5), st.sampled_from([BEGIN, END, "word", "\udc9b", "\ud83d"]),
        st.integers(-1, 2**70).map(lambda n: f"\x1b[{n};{n % 300}u"),
    ),
    max_size=12,
)  # fmt: skip


def _survives(parts: list[str], size: int) -> None:
    text = "".join(parts)
    whole, cut = TerminalParser(), TerminalParser()
    found = [event for chunk in (*pieces(text, size), "") for event in cut.feed(chunk)]
    assert [repr(event) for event in (*whole.feed(text), *whole.feed(""))] == [repr(event) for event in found]
    for event in found:
        if isinstance(event, Key):
            assert not event.is_printable or event.key.count("+") == 0
        elif isinstance(event, Paste):
            event.text.encode()
    written(found).encode()


@given(_FUZZ, st.integers(1, 7))
def test_no_bytes_are_an_error_wherever_they_are_cut(parts: list[str], size: int) -> None:
    _survives(parts, size)


@pytest.mark.slow
@settings(max_examples=20_000)
@given(_FUZZ, st.integers(1, 7))
def test_no_bytes_are_an_error_among_many(parts: list[str], size: int) -> None:
    _survives(parts, size)


@pytest.mark.parametrize("said", [(0, 0), (1, 1), (65535, 24), (80, 65535), (65535, 65535), (120, 40)])
def test_a_size_is_one_that_can_be_drawn(said: tuple[int, int]) -> None:
    size = sane(Size(*said))
    assert 1 <= size.width <= WIDEST
    assert 1 <= size.height <= HIGHEST
    assert said != (120, 40) or size == Size(120, 40)


def test_bytes_that_are_no_text_do_not_end_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    there, here = os.pipe()
    driver = TerminalDriver.__new__(TerminalDriver)
    driver.fileno, driver.exit_event, driver._debug = there, threading.Event(), False
    found: list[Message] = []

    def take(message: Message) -> None:
        found.append(message)
        if isinstance(message, Key) and message.key == "z":
            driver.exit_event.set()

    monkeypatch.setattr(driver, "process_message", take)
    os.write(here, b"a\xff\xc3\x01\x9b31m\x9b31m\xe9b\xf0\x9f\x98\x80z")
    driver.run_input_thread()
    os.close(here)
    os.close(there)
    assert written(found) == "ab😀z"
