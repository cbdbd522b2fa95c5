"""The table of commands: every key has its action, every command its way in each interface that has it."""

import pytest

from qwenchat.console.commands import COMMANDS, PLAIN, SOFT_SWITCHES, WRITTEN, Command
from qwenchat.library.library import Library
from qwenchat.plain.chat import PlainChat
from qwenchat.session.session import Session
from qwenchat.tui.app import QwenChat
from qwenchat.tui.chat.screen import ChatScreen
from qwenchat.tui.keys.slash_commands import ARGUMENTS
from tests.support.chat_driver import chat


def test_no_name_key_or_written_form_is_there_twice() -> None:
    names = [command.name for command in COMMANDS]
    written = [command.slash for command in COMMANDS if command.slash]
    assert len(names) == len(set(names))
    assert len(written) == len(set(written))
    for place in ("chat", "message", "app"):
        keys = [key for command in COMMANDS if command.place == place for key in command.keys.split(",") if key]
        assert len(keys) == len(set(keys))


@pytest.mark.parametrize(
    "command", [c for c in COMMANDS if c.screen and (c.keys or not c.argument)], ids=lambda c: c.name
)
def test_what_can_be_done_at_once_has_its_action(command: Command) -> None:
    if command.place != "message":
        owner = {"chat": ChatScreen, "app": QwenChat}[command.place]
        assert hasattr(owner, f"action_{command.run.removeprefix('app.').partition('(')[0]}")


async def test_what_can_be_done_to_a_message_is_done() -> None:
    async with chat() as it:
        controls = {c.action for c in COMMANDS if c.action.startswith("control(")}
        assert controls == {f"control({name!r})" for name in it.app._chat._model_actions.acts}
        assert set(it.app._chat._message_actions.acts) == {c.id for c in COMMANDS if c.place == "message"}


def test_the_plain_mode_has_each_of_its_commands_and_no_other() -> None:
    session = Session(None, Library.in_memory())  # type: ignore[arg-type]
    plain = PlainChat(session, None)  # type: ignore[arg-type]
    assert set(plain._handlers) == set(PLAIN) | set(SOFT_SWITCHES)


def test_what_may_follow_is_known_of_commands_alone_that_take_something() -> None:
    assert set(ARGUMENTS) <= {name for name, command in WRITTEN.items() if command.argument}
