import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import pyte
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwenchat.chat.text import SafeStream, decode_input, is_web_link, safe, safe_line
from tests.support.examples import examples


@contextmanager
def gives_up_after(seconds: int) -> Iterator[None]:
    """Raises where the body hangs; what is tested takes milliseconds when it works and hours when it does not."""

    def give_up(number: int, frame: FrameType | None) -> None:
        raise TimeoutError("it hangs")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


HOSTILE = [
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07after",
    "\x1b]8;;file:///etc/passwd\x1b\\link\x1b]8;;\x1b\\",
    "\x1bP1$r\x1b\\after",
    "\x9b2Jgone",
    "\x9d52;c;aGk=\x9cafter",
    "\x1b[?1049h",
    "\x1bc\x1b7\x1b(0",
    "a\rb\x08c",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_escape_reaches_the_terminal(text: str) -> None:
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in safe(text).replace("\n", ""))


def test_the_words_around_a_sequence_stay() -> None:
    assert safe("a\x1b[31mred\x1b[0m b\n\tc") == "ared b\n\tc"
    assert safe("\x1b]0;title\x07after") == "after"
    assert safe("[red]x[/] [@click=app.quit]y[/]") == "[red]x[/] [@click=app.quit]y[/]"


@settings(max_examples=examples(300))
@given(
    st.text(alphabet=st.one_of(st.characters(max_codepoint=0xA0), st.sampled_from("\x1b[]P\\m;0\x07\x9c")), max_size=60)
)
def test_random_text_changes_nothing_but_characters(text: str) -> None:
    screen = pyte.Screen(200, 100)
    before = set(screen.mode)
    pyte.Stream(screen).feed(safe(text).replace("\n", "\r\n"))
    assert set(screen.mode) == before
    assert screen.title == ""
    assert all(not (c.bold or c.reverse or c.fg != "default") for row in screen.buffer.values() for c in row.values())


@given(st.lists(st.sampled_from([*HOSTILE, "plain ", "\x1b", "[", "3", "1m", "]0;", "\x07", "\r", "\n", "é"])))
def test_a_stream_cut_anywhere_lets_no_control_character_through(chunks: list[str]) -> None:
    stream = SafeStream()
    out = "".join(stream.feed(chunk) for chunk in chunks) + stream.finish()
    assert not any((ord(c) < 32 and c not in "\n\t") or 127 <= ord(c) < 160 for c in out)


def test_a_sequence_cut_in_two_is_still_removed() -> None:
    for text, left in (
        ("a\x1b[31mb", "ab"),
        ("a\x1b]0;title\x07b", "ab"),
        ("a\x1b]0;t\x1b\\b", "ab"),
        ("a\r\nb", "a\nb"),
    ):
        for cut in range(len(text)):
            stream = SafeStream()
            assert stream.feed(text[:cut]) + stream.feed(text[cut:]) + stream.finish() == left


def test_unterminated_sequence_does_not_swallow_the_rest() -> None:
    stream = SafeStream()
    out = "".join(stream.feed("\x1b]0;" + "x" * 50) for _ in range(500))
    assert len(out + stream.finish()) > 20_000


def test_bidi_and_zero_width_marks_are_shown_and_joiners_stay() -> None:
    assert safe("a\u202eb\u200bc") == "a⟨RLO⟩b⟨ZWSP⟩c"
    assert safe("👩\u200d👩\u200d👧") == "👩\u200d👩\u200d👧"


def test_one_line_of_untrusted_text() -> None:
    assert safe_line("a\n\x1b[2Jb\u2028c") == "a b c"
    assert len(safe_line("x" * 10_000, 50)) == 50


@pytest.mark.parametrize(
    ("address", "may"),
    [
        ("https://x.org", True),
        ("HTTP://x", True),
        ("file:///etc", False),
        ("javascript:1", False),
        ("https://a\x1b", False),
    ],
)
def test_only_web_links_open(address: str, may: bool) -> None:
    assert is_web_link(address) is may


def test_invalid_input_is_replaced_and_said() -> None:
    assert decode_input("é".encode()) == ("é", False)
    assert decode_input(b"a\xff\x00b") == ("a\ufffd\ufffdb", True)


@pytest.mark.parametrize("opener", ["\x1b", "\x1b]", "\x90", "\x9b", "\x1b]a\x1b", "\x1b[0", "\r", "\x1b "])
def test_a_megabyte_of_beginnings_is_gone_through_without_hanging(opener: str) -> None:
    hostile = opener * (1_000_000 // len(opener))
    stream = SafeStream()
    with gives_up_after(30):
        whole = safe(hostile)
        streamed = "".join(stream.feed(hostile[at : at + 50_000]) for at in range(0, len(hostile), 50_000))
    for text in (whole, streamed + stream.finish()):
        assert not any((ord(c) < 32 and c not in "\n\t") or 127 <= ord(c) < 160 for c in text)
