"""Everything that can be done from the chat, for the command palette: in groups, the most useful first."""

from collections.abc import Iterator
from functools import partial

from textual.app import SystemCommand

from qwenchat.console.commands import GROUPS, Command
from qwenchat.i18n.texts import say
from qwenchat.tui.chat.screen import ChatScreen
from qwenchat.tui.keys.bindings import key_shown

_HIDDEN = frozenset({"app.palette"})


def commands(chat: ChatScreen) -> Iterator[SystemCommand]:
    """What can be done, in groups: what is done at once, and the commands that want something behind them."""
    for group, rows in GROUPS.items():
        available = [command for command in rows if command.screen and command.name not in _HIDDEN]
        for command in available:
            if command.keys or not command.argument:
                details = (say(group), *_details(command, chat))
                on_message = command.place == "message"  # what cannot be done is no action there, and would say nothing
                run = partial(chat.action_act, command.id) if on_message else partial(chat.run_action, command.run)
                yield SystemCommand(say(command.title), " · ".join(filter(None, details)), run)
        for command in available:
            if command.argument:
                begin = partial(chat.begin_command, f"/{command.slash} ")
                yield SystemCommand(command.usage, f"{say(group)} · {say(command.title)}", begin)


def _details(command: Command, chat: ChatScreen) -> Iterator[str]:
    """Its key, how it is written as a message, and what else helps."""
    if command.keys:
        key = key_shown(chat, command.name, command.keys)
        on_message = command.place == "message"
        yield say("{key} on a chosen message; else on the latest", key=key) if on_message else key
    if command.name == "app.quit":
        kept = chat.session.library.in_memory_only
        yield say("Nothing is saved") if kept else say("Everything is saved")
    if command.slash and not command.argument:
        yield f"/{command.slash}"
