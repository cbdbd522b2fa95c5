"""What a chat records is enough to play it back: the waits, the thought, and the ends of the replies."""

import time
from collections.abc import Callable

from qwenchat.chat.engine_commands import LoadModel
from qwenchat.chat.events import Event, TurnEnded
from qwenchat.chat.messages import Status
from qwenchat.chat.scene import MessageSent, Moment, ReplyBegan, ReplyEnded
from qwenchat.chat.timeline import Tick
from qwenchat.engine.worker import Worker
from qwenchat.library.library import Library
from qwenchat.replay.player import INSTANT, Replay, timelines_of
from qwenchat.session.session import Session
from tests.replay.test_player import texts
from tests.support.fake_engine import FakeEngine, Script
from tests.support.patience import PATIENCE_S
from tests.support.recordings import ticks

TYPED: tuple[Tick, ...] = ticks((0, "a", 4), (300, "a", 6), (500, "a", 0))


def until(session: Session, condition: Callable[[list[Event]], object]) -> None:
    """Poll until the events since now satisfy the condition."""
    events: list[Event] = []
    deadline = time.monotonic() + PATIENCE_S
    while not condition(events):
        assert time.monotonic() < deadline, f"only {events} came"
        events += session.wait(0.01)


def ended(events: list[Event]) -> bool:
    return any(isinstance(event, TurnEnded) for event in events)


def recorded(engine: FakeEngine, talk: Callable[[Session], None]) -> list[Moment]:
    """All moments of the replay of a talk that was really had."""
    session = Session(Worker(lambda: engine), Library.in_memory())
    try:
        session.model.load(LoadModel())
        talk(session)
        return Replay(
            session.conversation.path,
            timelines_of(session.library, session.conversation.path),
            idle_limit_s=1e6,
            speed=INSTANT,
        ).due()
    finally:
        engine.release()
        session.close()


def at(moments: list[Moment], kind: type) -> float:
    """When the first such thing happened."""
    return next(moment.at_s for moment in moments if isinstance(moment.what, kind))


def test_a_talk_that_was_had_plays_back_word_for_word() -> None:
    def talk(session: Session) -> None:
        session.send("What is it?", TYPED)
        until(session, ended)

    moments = recorded(FakeEngine([Script("Paris it is.", thought="Hm, France.", delay_s=0.01)]), talk)
    assert texts(moments) == {"typed": "What is it?", "thought": "Hm, France.", "answer": "Paris it is."}
    assert [moment.at_s for moment in moments[:3]] == [0.0, 0.3, 0.5]
    pieces = [moment.at_s for moment in moments if moment.number == 1]
    assert pieces == sorted(pieces)
    assert pieces[-1] - pieces[0] > 0.05


def test_the_wait_for_a_model_is_a_pause_before_the_reply() -> None:
    engine = FakeEngine([Script("Paris.")], loading_holds=True)
    sent_at = 0.0

    def talk(session: Session) -> None:
        nonlocal sent_at
        sent_at = session.send("What is it?", TYPED).created
        until(session, lambda events: time.time() - sent_at >= 0.05)
        engine.release()
        until(session, ended)

    moments = recorded(engine, talk)
    assert at(moments, ReplyBegan) - at(moments, MessageSent) >= 0.05


def test_a_reply_that_was_stopped_ends_where_it_was_stopped() -> None:
    def talk(session: Session) -> None:
        session.send("Count", TYPED)
        until(session, lambda events: session.model.turn.growing and session.model.turn.growing.answer_tokens == 2)
        session.stop()
        until(session, ended)

    moments = recorded(FakeEngine([Script("one two three four", hold_at=2)]), talk)
    assert texts(moments)["answer"] == "one two "
    last = moments[-1].what
    assert isinstance(last, ReplyEnded)
    assert last.message.status is Status.STOPPED
