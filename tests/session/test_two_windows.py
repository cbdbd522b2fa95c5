"""Two windows on one conversation: each shows what the other writes, and nothing is lost."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qwenchat.chat.engine_commands import LoadModel
from qwenchat.engine.worker import Worker
from qwenchat.library.library import Library
from qwenchat.session.session import Session
from tests.support.chat_driver import chat
from tests.support.fake_engine import FakeEngine, Script


@pytest.fixture
def window(tmp_path: Path) -> Iterator[Callable[..., Session]]:
    opened = []

    def open_(*scripts: Script) -> Session:
        session = Session(Worker(lambda: FakeEngine(list(scripts))), Library.open(tmp_path / "library.db"))
        session.model.load(LoadModel())
        opened.append(session)
        return session

    yield open_
    for session in opened:
        session.close()


def ask(session: Session, text: str) -> None:
    session.send(text)
    while session.busy:
        session.wait(0.05)


def texts(session: Session) -> list[str]:
    return [message.text for message in session.conversation.path]


def test_what_one_window_writes_the_other_shows(window: Callable[..., Session]) -> None:
    one, other = window(Script("First."), Script("Third.")), window(Script("Second."), Script("Again."))
    ask(one, "A")
    assert one.conversation.id is not None
    other.resume(one.conversation.id)
    assert not other.conversation.catch_up()
    ask(other, "B")
    assert one.conversation.catch_up() and texts(one) == ["A", "First.", "B", "Second."]
    assert not one.conversation.catch_up()
    ask(one, "C")
    assert other.conversation.catch_up() and texts(other)[-2:] == ["C", "Third."]
    # Another version is counted, and what is read stays.
    other.edit(other.conversation.path[-2].id, "D")
    while other.busy:
        other.wait(0.05)
    assert one.conversation.catch_up() and texts(one)[-1] == "Third."
    assert len(one.conversation.tree.siblings(one.conversation.path[-2].id)) == 2
    # What is deleted there goes here, and comes back.
    other.conversation.delete(other.conversation.path[0].id)
    assert one.conversation.catch_up() and texts(one)[0] == "First."
    other.conversation.undo_delete()
    assert one.conversation.catch_up() and texts(one)[0] == "A"


def test_a_reply_that_grows_in_the_other_window_comes_when_it_has_ended(window: Callable[..., Session]) -> None:
    one, other = window(Script("First.")), window(Script("one two three", hold_at=2))
    ask(one, "A")
    assert one.conversation.id is not None
    other.resume(one.conversation.id)
    other.send("B")
    other.wait(0.2)
    other.poll()
    one.conversation.catch_up()
    assert texts(one) == ["A", "First.", "B"]
    other.stop()
    while other.busy:
        other.wait(0.05)
    assert one.conversation.catch_up() and len(texts(one)) == 4


@pytest.mark.parametrize("purged", [False, True])
def test_what_is_written_in_a_conversation_that_the_other_window_deleted_brings_it_back(
    window: Callable[..., Session], tmp_path: Path, purged: bool
) -> None:
    one = window(Script("First."), Script("Second."))
    ask(one, "A")
    here = one.conversation.id
    assert here is not None
    library = Library.open(tmp_path / "library.db")
    library.delete(here)
    if purged:
        library.close()
    assert not one.conversation.catch_up() and one.conversation.gone
    ask(one, "B")
    assert [message.text for message in Library.open(tmp_path / "library.db").read(here).messages] == [
        "A", "First.", "B", "Second.",
    ]  # fmt: skip
    assert not one.conversation.gone
    library.close()


async def test_the_screen_shows_it_within_a_second(window: Callable[..., Session], tmp_path: Path) -> None:
    other = window(Script("From there."))
    async with chat(Script("From here."), library=Library.open(tmp_path / "library.db")) as it:
        await it.ask("Hello")
        assert it.session.conversation.id is not None
        other.resume(it.session.conversation.id)
        ask(other, "And now?")
        await it.sees("And now?", "From there.")
        other.library.delete(it.session.conversation.id)
        await it.sees("This conversation was deleted in another window.")
