from hypothesis import given
from hypothesis import strategies as st

from qwenchat.engine.local.detokenize import Detokenizer


class Bytes:
    """A tokenizer whose tokens are single bytes."""

    def decode(self, ids: list[int]) -> str:
        return bytes(ids).decode("utf-8", errors="replace")


@given(st.text(max_size=40))
def test_pieces_join_to_the_text_and_no_character_is_broken(text: str) -> None:
    detokenizer = Detokenizer(Bytes())
    pieces = [detokenizer.feed(byte) for byte in text.encode()]
    assert "".join(pieces) + detokenizer.flush() == text
    if "\ufffd" not in text:
        assert not any("\ufffd" in piece for piece in pieces)


@given(st.binary(max_size=60))
def test_invalid_bytes_are_neither_lost_nor_repeated(data: bytes) -> None:
    detokenizer = Detokenizer(Bytes())
    pieces = [detokenizer.feed(byte) for byte in data]
    assert "".join(pieces) + detokenizer.flush() == Bytes().decode(list(data))


def test_character_comes_out_with_its_last_byte() -> None:
    detokenizer = Detokenizer(Bytes())
    assert [detokenizer.feed(byte) for byte in "a😀b".encode()] == ["a", "", "", "", "😀", "b"]
