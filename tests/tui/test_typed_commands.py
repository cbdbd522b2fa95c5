"""Commands and keys as a newcomer tries them: each does something, or says why it does not."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from qwenchat.chat.provenance import ThinkingSupport
from qwenchat.tui.keys.slash_commands import UnknownCommand, command_of
from tests.support.chat_driver import chat
from tests.support.fake_engine import MODEL, FakeEngine, Script


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QWENCHAT_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("typed", "command"),
    [
        ("/bye", ("quit", "")), ("/exit", ("quit", "")), ("/EXIT", ("quit", "")), ("/clear", ("new", "")),
        ("/New", ("new", "")), ("/rename A title", ("rename", "A title")), ("/think harder", None),
        ("/etc/passwd", None),
    ],
)  # fmt: skip
def test_commands_go_by_the_names_that_other_chats_have(typed: str, command: tuple[str, str] | None) -> None:
    assert command_of(typed) == command


@pytest.mark.parametrize(
    ("typed", "suggestion"),
    [("/nwe", "/new"), ("/no-think", "/no_think"), ("/modle x", "/model"), ("/exprot md", "/export")],
)
def test_an_unknown_command_says_which_may_be_meant(typed: str, suggestion: str) -> None:
    with pytest.raises(UnknownCommand, match=f"Did you mean {suggestion}?"):
        command_of(typed)


async def test_a_command_and_a_key_do_what_they_say_or_say_why_not(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with chat(Script("Fine.", thought="Well.")) as it:
        for typed, said in (
            ("/stop", "No reply is being written."),
            ("/pin", "Nothing was said in this conversation yet."),
        ):
            await it.send(typed)
            await it.sees(said)
        await it.press("ctrl+u", "ctrl+o")
        await it.sees("There is no reasoning to open here.")
        await it.press("alt+e")
        await it.sees("There is no paste at the cursor.")
        await it.press("ctrl+up")
        await it.sees("There is no message to choose yet.")

        await it.press(*'"""a', "enter", "b", "enter")
        await it.sees('""" ends the message')
        assert it.session.conversation.path == ()
        await it.press(*'c"""', "enter")
        await it.until(lambda: it.session.conversation.path, "the message")
        await it.idle()
        assert it.session.conversation.path[0].text == "a\nb\nc"

        library, id_ = it.session.library, it.session.conversation.id
        assert id_ is not None
        await it.send("/rename Letters")
        await it.sees("It is called “Letters”.")
        await it.send("/pin")
        await it.sees("It is pinned above the others.")
        await it.send("/archive")
        await it.sees("It is archived; /search still finds it.")
        stored = library.read(id_)
        assert (stored.title, stored.pinned, stored.archived) == ("Letters", True, True)
        await it.send("/archive off")
        await it.sees("It is archived no more.")

        it.app.action_picture()
        await it.sees("Written to")
        assert (home / "qwenchat.svg").read_text().startswith("<svg")
        gone = home / "gone"
        gone.mkdir()
        monkeypatch.chdir(gone)
        gone.rmdir()
        it.app.action_picture()
        await it.sees("The picture could not be saved.")
        await it.send("/export")
        await it.sees("The conversation could not be written.")
        os.chdir(home)

        await it.press("ctrl+u", "x", "left", "ctrl+d", "ctrl+d", "ctrl+d")
        assert it.draft == "" and not it.app._exit, "a key that is held down does not quit"
        await it.send("/exit")
        await it.until(lambda: it.app._exit, "the end")


async def test_ctrl_d_quits_from_an_empty_draft_alone() -> None:
    async with chat() as it:
        await it.press("a", "b", "ctrl+d")
        assert it.draft == "ab" and not it.app._exit
        await it.press("ctrl+u")
        it.composer._deleted_at = 0.0
        await it.press("ctrl+d")
        await it.until(lambda: it.app._exit, "the end")


async def test_think_in_a_message_turns_thinking_on_while_it_is_off() -> None:
    async with chat(Script("Fine.", thought="Well.")) as it:
        await it.press("ctrl+t")
        await it.ask("First")
        await it.ask("Second /think please")
        await it.ask("Third")
        assert [turn.thinking for turn in it.engine.turns] == [False, True, True]
        await it.press("ctrl+t")
        await it.ask("Fourth")
        assert it.engine.turns[-1].thinking is False
        await it.send("/think")
        await it.until(lambda: it.session.thinks, "thinking")
        await it.press("left")
        await it.sees("thinking on")


async def test_a_model_without_the_switch_is_not_offered_it_and_the_draft_stays_clean() -> None:
    engine = FakeEngine(model=replace(MODEL, thinking=ThinkingSupport.NONE))
    async with chat(engine=engine) as it:
        await it.press(*"/th")
        assert it.composer.dropdown.offer is not None
        assert [choice.insert.strip() for choice in it.composer.dropdown.offer.choices] == ["/theme"]
        await it.press("escape", "ctrl+u")
        for typed in ("/no_think", "/think"):
            await it.send(typed)
            await it.sees("This model does not think before it answers.")
            assert it.draft == ""
            it.app.clear_notifications()
            await it.no_longer_sees("does not think before")
        await it.ask("Why? /think")
        await it.sees("This model does not think before it answers.")


async def test_keys_that_count_later_speak_while_a_model_loads() -> None:
    async with chat(engine=FakeEngine(loading_holds=True), ready=False) as it:
        await it.press("ctrl+t")
        await it.sees("The next message is answered without thinking.")
        await it.press("alt+g")
        await it.sees("Thoughts end after 256 tokens.")
        await it.send("/stop")
        await it.sees("A model is being loaded, and no reply is written.")
