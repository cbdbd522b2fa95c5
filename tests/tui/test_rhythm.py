"""The curve of the speed of a reply."""

from qwenchat.tui.widgets.rhythm import SECONDS, SpeedGraph
from tests.support.chat_driver import chat
from tests.support.fake_engine import Script


def test_each_second_is_as_high_as_it_was_fast() -> None:
    now = 0.0
    rhythm = SpeedGraph(lambda: now)
    total = 1
    rhythm.take(total)
    for count in (8, 4, 0, 8):
        now += 1
        total += count
        rhythm.take(total)
    assert rhythm.curve() == "█▅▁█"
    now += 3  # the screen was held up for three seconds
    rhythm.take(total + 6)
    assert rhythm.curve() == "█▅▁█▃▃▃"


def test_only_the_last_seconds_are_shown_and_the_next_reply_begins_anew() -> None:
    now = 0.0
    rhythm = SpeedGraph(lambda: now)
    for second in range(40):
        now = float(second)
        rhythm.take(1 + 5 * second)
    assert rhythm.curve() == "█" * SECONDS
    rhythm.take(None)
    assert rhythm.curve() == ""


async def test_it_stands_in_the_status_line_while_a_reply_streams_and_not_where_nothing_shall_move() -> None:
    script = Script(" ".join(["word"] * 40), delay_s=0.06)
    async with chat(script) as it:
        await it.send("Go")
        await it.until(lambda: any(bar in it.status for bar in "▁▂▃▄▅▆▇█"), "the curve")
        await it.idle()
        await it.until(lambda: not any(bar in it.status for bar in "▁▂▃▄▅▆▇█"), "no curve")
    async with chat(script, reduced_motion=True) as it:
        await it.send("Go")
        await it.idle()
        assert not any(bar in it.status for bar in "▁▂▃▄▅▆▇█")
        assert not it.composer.cursor_blink


async def test_nothing_is_said_of_thinking_before_the_model_is_known() -> None:
    async with chat(engine=None, ready=False) as it:
        if it.session.model.info is None:
            assert "thinking" not in it.status
        await it.sees("thinking on")
