"""A conversation plays back as it happened: by a clock that the tests move."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwenchat.chat.events import Channel, TextProduced, ThoughtEnded, ThoughtStarted
from qwenchat.chat.messages import Message, Role, Status, ToolResultPart
from qwenchat.chat.scene import MessageSent, Moment, ReplyBegan, ReplyEnded, TypedText
from qwenchat.chat.timeline import Tick
from qwenchat.replay.player import INSTANT, SPEEDS, Replay
from tests.support.recordings import (
    ANSWERED,
    CONVERSATION,
    QUESTION,
    THANKS,
    TIMELINES,
    WELCOME,
    Clock,
    reply,
    said,
    ticks,
)

Timelines = Mapping[str, Sequence[Tick]]


def replay(
    path: Sequence[Message] = CONVERSATION,
    timelines: Timelines = TIMELINES,
    clock: Clock | None = None,
    speed: float = 1.0,
    idle_limit_s: float = 3.0,
) -> Replay:
    return Replay(path, timelines, clock=clock or Clock(), speed=speed, idle_limit_s=idle_limit_s)


def played(player: Replay, clock: Clock) -> list[tuple[float, Moment]]:
    """Every moment with the clock's time when it came, the clock running on only as far as the replay asks."""
    began, seen = clock.now, []
    while True:
        seen += [(clock.now - began, moment) for moment in player.due()]
        wait_s = player.next_in_s()
        if wait_s is None:
            return seen
        clock.sleep(wait_s)


def texts(moments: Sequence[Moment]) -> dict[str, str]:
    """What was typed, thought and answered, all in all."""
    found = {"typed": "", "thought": "", "answer": ""}
    for moment in moments:
        if isinstance(moment.what, TypedText):
            found["typed"] += moment.what.text
        elif isinstance(moment.what, TextProduced):
            found[moment.what.channel.value] += moment.what.text
    return found


def story(moments: Sequence[Moment]) -> list[tuple[float, str]]:
    """Times and happenings in short."""
    found = []
    for moment in moments:
        match moment.what:
            case TypedText(text):
                short = f"typed {text}"
            case TextProduced() as produced:
                short = f"{produced.channel} {produced.text}"
            case MessageSent() | ReplyBegan() | ReplyEnded() | ThoughtStarted() | ThoughtEnded() as other:
                short = type(other).__name__
        found.append((round(moment.at_s, 3), short))
    return found


def test_everything_comes_in_order_at_its_recorded_time() -> None:
    clock = Clock()
    seen = played(replay(clock=clock), clock)
    assert story([moment for _, moment in seen]) == [
        (0.0, "typed What"), (1.0, "typed  is 2+2?"), (1.5, "MessageSent"),
        (1.5, "ReplyBegan"), (2.0, "ThoughtStarted"), (2.0, "thought Easy "), (2.5, "thought sum."),
        (3.5, "ThoughtEnded"), (3.5, "answer It "), (4.5, "answer is four."), (5.5, "ReplyEnded"),
        (8.5, "typed Thanks!"), (10.5, "MessageSent"),
        (10.5, "ReplyBegan"), (11.5, "answer You're welcome."), (12.5, "ReplyEnded"),
    ]  # fmt: skip


@pytest.mark.parametrize("speed", SPEEDS)
def test_every_speed_keeps_the_recorded_pace(speed: float) -> None:
    clock = Clock()
    seen = played(replay(clock=clock, speed=speed), clock)
    assert seen
    for came_s, moment in seen:
        assert came_s == pytest.approx(moment.at_s / speed)


def test_instant_brings_everything_at_once() -> None:
    player = replay(speed=INSTANT)
    assert texts(player.due()) == {
        "typed": "What is 2+2?Thanks!", "thought": "Easy sum.", "answer": "It is four.You're welcome.",
    }  # fmt: skip
    assert player.over
    assert player.next_in_s() is None


def test_a_screen_that_looks_now_and_then_misses_nothing_and_does_not_fall_behind() -> None:
    clock = Clock()
    player = replay(clock=clock)
    moments: list[Moment] = []
    while not player.over:
        clock.sleep(0.7)
        moments += player.due()
    assert texts(moments) == texts(replay(speed=INSTANT).due())
    assert clock.now - 50 < 12.5 + 0.7


@pytest.mark.parametrize(("limit", "expected"), [(0.0, 9.5 - 2.0 - 1.0 - 0.5), (1.0, 12.5 - 2.0 - 1.0), (5.0, 14.5)])
def test_long_pauses_of_the_user_are_shortened_to_the_limit_and_those_of_the_model_are_not(
    limit: float, expected: float
) -> None:
    assert replay(idle_limit_s=limit).length_s == pytest.approx(expected)


def test_without_a_limit_lunch_takes_as_long_as_it_did() -> None:
    # The thanks were begun 2 s before they were sent, and the reply before them had ended after 4 s.
    assert replay(idle_limit_s=1e9).length_s == pytest.approx(1.5 + 4 + (1000 - 2 - 4) + 2 + 2)


def test_a_pause_holds_everything_and_going_on_loses_nothing() -> None:
    clock = Clock()
    player = replay(clock=clock)
    clock.sleep(1.2)
    before = player.due()
    player.pause()
    clock.sleep(3600)
    assert player.due() == []
    assert player.next_in_s() is None
    player.pause(False)
    assert player.position_s == pytest.approx(1.2)
    clock.sleep(0.3)
    assert [story([moment])[0][1] for moment in player.due()] == ["MessageSent", "ReplyBegan"]
    assert story(before) == [(0.0, "typed What"), (1.0, "typed  is 2+2?")]


def test_the_speed_changes_in_the_middle_without_a_jump_and_stays_within_bounds() -> None:
    clock = Clock()
    player = replay(clock=clock)
    clock.sleep(1)
    player.change_speed(+1)
    assert (player.speed, player.position_s) == (2.0, 1.0)
    clock.sleep(1)
    assert player.position_s == 3.0
    player.change_speed(+9)
    assert player.speed == 16
    player.change_speed(-99)
    assert player.speed == 0.25


def test_seeking_tells_what_stands_there() -> None:
    player = replay()
    player.seek(4.0)
    whole, partly = player.so_far()
    assert whole == (QUESTION,)
    assert texts(partly) == {"typed": "", "thought": "Easy sum.", "answer": "It "}
    player.seek(0.5)
    assert player.so_far()[0] == ()
    assert texts(player.so_far()[1])["typed"] == "What"
    player.seek(9999)
    assert player.over
    assert player.so_far() == (CONVERSATION, ())
    player.seek(-5)
    assert not player.over


def test_after_seeking_back_it_plays_on_to_the_same_end() -> None:
    clock = Clock()
    player = replay(clock=clock)
    played(player, clock)
    player.seek(2.2)
    shown = texts(player.so_far()[1])["thought"]
    rest = [moment for _, moment in played(player, clock)]
    assert shown + texts(rest)["thought"] == "Easy sum."
    assert player.over


def test_steps_lead_from_message_to_message_and_back_first_to_the_beginning_of_this_one() -> None:
    player = replay()
    player.pause()
    numbers = [player.number]
    for by in (1, 1, 1, -1, -1):
        player.step(by)
        numbers.append(player.number)
    assert numbers == [0, 1, 2, 3, 2, 1]
    player.seek(4.0)
    player.step(-1)
    assert player.position_s == 1.5
    player.step(+9)
    player.step(+1)
    player.step(+1)
    assert player.over
    for _ in range(9):
        player.step(-1)
    assert player.position_s == 0


def test_steps_pass_messages_that_take_no_time() -> None:
    system = said("Be brief.", -5, role=Role.SYSTEM)
    path = (system, said("a", 0), reply("b", 0), said("", 9, role=Role.TOOL), reply("c", 9))
    player = replay(path, {})
    player.pause()
    for _ in range(9):
        player.step(+1)
    assert player.over
    seen = []
    for _ in range(9):
        player.step(-1)
        seen.append(player.position_s)
    assert seen == sorted(seen, reverse=True)
    assert seen[-1] == 0


def test_it_can_begin_at_a_message() -> None:
    player = replay()
    player.go_to(2)
    assert player.number == 2
    assert player.so_far()[0] == (QUESTION, ANSWERED)


def test_a_message_without_a_recording_is_played_at_a_steady_pace() -> None:
    clock = Clock()
    path = (said("How are you today?", 0), reply("word " * 100, 0, thought="hm " * 50, total_s=20.0))
    seen = [moment for _, moment in played(replay(path, {}, clock), clock)]
    assert texts(seen) == {"typed": path[0].text, "thought": path[1].reasoning, "answer": path[1].text}
    pieces = [moment for moment in seen if isinstance(moment.what, TextProduced)]
    gaps = [later.at_s - earlier.at_s for earlier, later in pairwise(pieces)]
    assert 20 < len(pieces) < 1000
    assert max(gaps) < 2 * min(gap for gap in gaps if gap > 0)
    assert pieces[-1].at_s == pytest.approx(seen[-1].at_s, abs=0.1)
    typed_s = next(moment.at_s for moment in seen if isinstance(moment.what, MessageSent))
    assert 0.5 < typed_s < 5
    assert seen[-1].at_s - typed_s == pytest.approx(20.0)


def test_a_pasted_book_is_not_typed_for_hours() -> None:
    player = replay((said("word " * 200_000, 0), reply("word " * 200_000, 0)), {})
    assert player.length_s < 120
    assert len(player.scenes[0].moments()) < 1000


def test_the_tokens_of_a_reply_are_all_counted() -> None:
    moments = replay(speed=INSTANT).due()
    counted = {channel: 0 for channel in Channel}
    for moment in moments:
        if moment.number == 1 and isinstance(moment.what, TextProduced):
            counted[moment.what.channel] += moment.what.tokens
    assert counted == {Channel.THOUGHT: 2, Channel.ANSWER: 3}


def test_an_empty_conversation_is_over_at_once() -> None:
    player = replay(())
    assert (player.due(), player.over, player.length_s, player.number) == ([], True, 0.0, 0)
    player.seek(5)
    player.step(1)
    player.step(-1)
    player.go_to(3)
    assert player.so_far() == ((), ())


@pytest.mark.parametrize("status", [Status.STOPPED, Status.INTERRUPTED, Status.FAILED, Status.STREAMING])
def test_a_reply_that_ended_early_ends_as_it_did(status: Status) -> None:
    broken = reply("", 0, thought="Let me", status=status, closed=False, note="out of memory")
    moments = replay((broken,), {broken.id: ticks((100, "t", 6))}, speed=INSTANT).due()
    assert [name for _, name in story(moments)] == ["ReplyBegan", "ThoughtStarted", "thought Let me", "ReplyEnded"]
    assert moments[-1].what == ReplyEnded(broken)


def test_a_reply_of_which_nothing_came_is_asked_and_ended() -> None:
    empty = reply("", 0, status=Status.STOPPED)
    assert [name for _, name in story(replay((empty,), {}, speed=INSTANT).due())] == ["ReplyBegan", "ReplyEnded"]


def test_messages_of_tools_and_system_stand_there_at_once() -> None:
    tool = Message(Role.TOOL, (ToolResultPart("1", "clock", "noon"),))
    moments = replay((said("Be brief.", 0, role=Role.SYSTEM), tool), {}, speed=INSTANT).due()
    assert [moment.what for moment in moments][1] == MessageSent(tool)


@pytest.mark.parametrize(
    "broken",
    [
        ticks((0, "a", 10**12)),
        ticks((-5000, "t", 3), (-9, "a", -4), (5, "t", 2)),
        ticks((10**30, "a", 3)),
        ticks((900, "a", 4), (100, "t", 3)),
        ticks((0, "a", 0)),
        ticks(*[(n, "t", 0) for n in range(1000)]),
        ticks((0, "t", 1), (5, "a", 1), (10, "t", 99), (15, "a", 99)),
    ],
)
def test_a_broken_recording_still_plays_the_whole_text_in_bounded_time(broken: tuple[Tick, ...]) -> None:
    timelines = {message.id: broken for message in CONVERSATION}
    clock = Clock()
    seen = played(replay(timelines=timelines, clock=clock), clock)
    assert texts([moment for _, moment in seen]) == texts(replay(speed=INSTANT).due())
    times = [moment.at_s for _, moment in seen]
    assert times == sorted(times)
    assert 0 <= times[0] <= times[-1] < 300


@pytest.mark.parametrize("created", [math.nan, math.inf, -math.inf, 0.0, -1e300, 1e300])
def test_dates_that_make_no_sense_give_no_endless_pause(created: float) -> None:
    path = tuple(replace(message, created=created) if message is THANKS else message for message in CONVERSATION)
    assert 9 < replay(path).length_s < 60


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -1.0, 1e300])
def test_timings_that_make_no_sense_give_no_endless_reply(seconds: float) -> None:
    path = tuple(reply("a b c", 0, total_s=seconds) for _ in range(2))
    assert 0 < replay(path, {}).length_s < 60
    assert replay(path, {message.id: ticks((10, "a", 5)) for message in path}).length_s < 60


_TICK = st.builds(
    Tick,
    st.integers(-(10**6), 10**6) | st.integers(),
    st.sampled_from(Channel),
    st.integers(-5, 20) | st.integers(),
)


@given(st.lists(_TICK, max_size=8), st.lists(_TICK, max_size=8), st.lists(st.integers(-2, 4), max_size=6))
def test_whatever_was_recorded_and_however_one_walks_all_of_the_text_is_there_at_the_end(
    typing: list[Tick], saying: list[Tick], steps: list[int]
) -> None:
    clock = Clock()
    timelines = {QUESTION.id: typing, ANSWERED.id: saying, THANKS.id: typing, WELCOME.id: saying}
    player = replay(timelines=timelines, clock=clock)
    for step in steps:
        clock.sleep(abs(step) / 3)
        player.due()
        player.step(step) if step else player.pause(not player.paused)
    player.pause(False)
    player.seek(player.position_s)
    whole, partly = player.so_far()
    rest = played(player, clock)
    seen = [*partly, *(moment for _, moment in rest)]
    expected = texts(replay(CONVERSATION[len(whole) :], timelines, speed=INSTANT).due())
    assert texts(seen) == expected
    assert player.so_far() == (CONVERSATION, ())
