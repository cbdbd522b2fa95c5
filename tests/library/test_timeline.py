"""How a draft was written is known when it is sent, and nothing of what was deleted."""

from hypothesis import given
from hypothesis import strategies as st

from qwenchat.chat.events import Channel
from qwenchat.chat.timeline import Typing


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def written(*drafts: str, apart_s: float = 0.1) -> list[tuple[int, int]]:
    """Times and characters of what is recorded when the drafts followed each other."""
    clock = Clock()
    typing = Typing(clock)
    for draft in drafts:
        typing.changed(draft)
        clock.sleep(apart_s)
    assert all(tick.channel is Channel.ANSWER for tick in typing.ticks())
    return [(tick.at_ms, tick.characters) for tick in typing.ticks()]


def test_each_character_has_its_time_and_the_last_tick_is_the_sending() -> None:
    assert written("H", "He", "Hey") == [(0, 1), (100, 1), (200, 1), (300, 0)]


def test_what_was_deleted_leaves_no_trace() -> None:
    assert written("a", "ab", "abX", "abXY", "abX", "ab", "abc") == [(0, 1), (100, 1), (600, 1), (700, 0)]


def test_a_paste_comes_at_once_and_an_insertion_brings_what_follows_it_again() -> None:
    assert written("Hello world", "Hello big world") == [(0, 6), (100, 9), (200, 0)]


def test_a_draft_that_was_emptied_begins_anew() -> None:
    assert written("secret", "", "new") == [(0, 3), (100, 0)]


def test_nothing_written_is_nothing_recorded() -> None:
    assert Typing().ticks() == ()
    assert written("abc", "") == []


@given(st.lists(st.text("abc", max_size=8), max_size=12))
def test_the_record_of_any_editing_is_exactly_as_long_as_what_stands_at_the_end(drafts: list[str]) -> None:
    record = written(*drafts)
    assert sum(characters for _, characters in record) == (len(drafts[-1]) if drafts else 0)
    assert [at for at, _ in record] == sorted(at for at, _ in record)
    assert all(characters > 0 for _, characters in record[:-1])


@given(st.lists(st.text("ab", max_size=6), min_size=1, max_size=8))
def test_each_character_has_the_time_since_when_it_stood_there_with_all_before_it(drafts: list[str]) -> None:
    final = drafts[-1]

    def since(length: int) -> int:
        return next(n for n in range(len(drafts)) if all(draft.startswith(final[:length]) for draft in drafts[n:]))

    recorded = [at_ms // 1000 for at_ms, characters in written(*drafts, apart_s=1.0) for _ in range(characters)]
    assert recorded == [since(length) - since(1) for length in range(1, len(final) + 1)]
