"""What is being written survives anything."""

import os
import signal
from collections.abc import Callable

import pytest

from qwenchat.chat.draft import Draft
from qwenchat.library.library import Library
from qwenchat.tui.chat import drafts
from qwenchat.tui.chat.drafts import SAVED_AFTER_S, Drafts
from tests.process.test_tui import Terminal
from tests.process.test_tui import terminals as terminals
from tests.support.chat_driver import chat


class Paper:
    """A composer without a screen."""

    def __init__(self) -> None:
        self.text = ""

    @property
    def draft(self) -> Draft:
        return Draft(self.text)

    def write(self, draft: Draft) -> None:
        self.text = draft.text


def test_writing_on_and_on_does_not_keep_the_draft_from_being_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    library, paper, now = Library.in_memory(), Paper(), 100.0
    monkeypatch.setattr(drafts.time, "monotonic", lambda: now)
    kept = Drafts(library, paper, lambda text: None)  # type: ignore[arg-type]
    kept.enter(None)
    for _ in range(40):
        paper.text += "x"
        kept.changed()
        kept.keep_if_due()
        now += 0.05
        assert len(paper.text) - len(library.draft(None).whole) <= round(SAVED_AFTER_S / 0.05) + 1


def saved(terminal: Terminal, draft_of: Callable[[Library], str], text: str) -> None:
    """Wait until that draft is on disk."""
    library = terminal.library()
    for _ in range(600):
        if draft_of(library) == text:
            library.close()
            return
        terminal.read()
    raise AssertionError(f"never saved: {draft_of(library)!r}")


def killed(terminal: Terminal) -> None:
    os.kill(terminal.child.pid, signal.SIGKILL)
    terminal.child.wait()


def test_a_kill_leaves_the_draft_and_the_change_of_a_message(terminals: Callable[..., Terminal]) -> None:
    engine = {"scripts": [{"answer": "Paris."}]}
    terminal = terminals(engine)
    terminal.sees("thinking on")
    terminal.child.send("Capital of Frnce?\r")
    terminal.sees("Paris.")
    terminal.child.send("and the draft")
    conversation = terminal.library().latest()
    saved(terminal, lambda library: library.draft(conversation).whole, "and the draft")
    terminal.child.send("\x1b[1;5A")
    terminal.sees("r again")
    terminal.child.send("\x1b[1;5A")
    terminal.sees("e change")
    terminal.child.send("e")
    terminal.sees("changing your message")
    terminal.child.send("!")
    question = terminal.library().read(conversation).messages[0].id
    saved(terminal, lambda library: library.draft(question).whole, "Capital of Frnce?!")
    killed(terminal)

    again = terminals(engine, "--resume")
    again.sees("and the draft")
    again.sees("Capital of Frnce?")
    again.child.send("\x1b[1;5A\x1b[1;5A")
    again.sees("e change")
    again.child.send("e")
    again.sees("Capital of Frnce?!")
    again.child.send("\x1b")
    again.sees("and the draft")
    again.child.send("\x11")
    assert again.ends() == 0


async def test_a_change_that_was_sent_or_taken_back_leaves_no_draft() -> None:
    async with chat() as it:
        await it.ask("Go")
        message = it.session.conversation.path[0].id
        await it.press("ctrl+up", "ctrl+up", "e", "x", "backspace", "escape")
        assert it.session.library.draft(message).whole == ""
        await it.press("ctrl+up", "ctrl+up", "e", "x")
        await it.until(lambda: it.session.library.draft(message).whole == "Gox", "the draft")
        await it.press("enter")
        await it.idle()
        assert it.session.library.draft(message).whole == ""


async def test_what_was_written_in_a_deleted_message_goes_with_it(tmp_path) -> None:
    async with chat(library=Library.open(tmp_path / "db")) as it:
        await it.ask("Go")
        message, name = it.session.conversation.path[0].id, it.session.conversation.id
        await it.press("ctrl+up", "ctrl+up", "e", "x", "escape")
        assert it.session.library.draft(message).whole == "Gox"
        await it.ask("More")
        await it.press("ctrl+up", "ctrl+up", "ctrl+up", "ctrl+up", "d")
        await it.until(lambda: len(it.session.conversation.path) == 3, "the deletion")
    library = Library.open(tmp_path / "db")
    assert library.draft(message).whole == ""
    library.save_draft(library.read(name).messages[-1].id, "changed")
    library.delete(name)
    library.close()
    library = Library.open(tmp_path / "db")
    assert library._connection.execute("select count(*) from drafts where text != ''").fetchone()[0] == 0
    library.close()
