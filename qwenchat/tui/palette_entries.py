"""Everything that can be done from the chat, for the command palette: in groups, the most useful first."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from textual.app import SystemCommand

from qwenchat.i18n.texts import later, say
from qwenchat.tui.keys.bindings import bindings_of, shown
from qwenchat.tui.keys.slash_commands import COMMANDS, usage
from qwenchat.tui.transcript.message_base import ACTS

if TYPE_CHECKING:
    from qwenchat.tui.app import QwenChat
    from qwenchat.tui.chat.screen import ChatScreen

GROUPS = {
    later("Conversation"): (
        "chat.new", "chat.sidebar", "chat.search", "chat.find", "/export", "chat.replay", "chat.statistics", "/search",
        "/find",
    ),
    later("Model"): (
        "chat.models", "chat.thinking", "chat.budget", "chat.presets", "chat.settings", "chat.tools", "chat.compare",
        "/model", "/preset", "/set", "/system", "/budget", "/tools", "/compare",
    ),
    later("Reply"): (
        "chat.retry", "chat.stop", "chat.answer", "chat.copy_reply", "chat.reasoning", "chat.inspect", "/retry",
    ),
    later("Program"): ("app.theme", "/theme", "app.help", "chat.editor", "app.screenshot", "app.quit"),
    later("Message"): tuple(f"message.{name}" for name in ACTS),
}  # fmt: skip
"""What is listed below what, in this order; all else comes last."""


@dataclass(frozen=True, slots=True)
class Doable:
    """One of the things that can be done."""

    name: str
    title: str
    run: Callable[[], Any]
    action: str
    """The action that it is, by which a command that does the same is known; empty for none."""
    details: tuple[str, ...] = ()
    """Its key, how it is written as a message, and what else helps."""

    def command(self, group: str) -> SystemCommand:
        """What Textual's palette is given."""
        return SystemCommand(self.title, " · ".join(filter(None, (group, *self.details))), self.run)


def commands(app: "QwenChat", chat: "ChatScreen") -> Iterator[SystemCommand]:
    """What can be done, in groups."""
    all_ = _with_commands((*_of_chat(chat), *_of_app(app, chat), *_of_message(chat)), chat)
    left = {doable.name: doable for doable in all_}
    for group, names in GROUPS.items():
        yield from (left.pop(name).command(say(group)) for name in names if name in left)
    yield from (doable.command(say("More")) for doable in left.values())


def _of_chat(chat: "ChatScreen") -> Iterator[Doable]:
    for binding in bindings_of(type(chat)).values():
        run = getattr(chat, f"action_{binding.action}", None)
        if binding.id and run is not None:
            key = shown(chat, binding.id, binding.key)
            yield Doable(binding.id, say(binding.description), run, binding.action, (key,))


def _of_app(app: "QwenChat", chat: "ChatScreen") -> Iterator[Doable]:
    change, picture = say("Change the colours"), say("Save a picture of the screen")
    yield Doable("app.theme", say("Theme"), app.action_change_theme, "app.change_theme", (change,))
    yield Doable("app.help", say("Keys and commands"), app.action_help, "app.help", (shown(chat, "app.help", "f1"),))
    yield Doable("app.screenshot", say("Screenshot"), app.save_picture, "", (picture,))
    kept = say("Nothing is saved") if chat.session.library.in_memory_only else say("Everything is saved")
    saved = (shown(chat, "app.quit", "ctrl+q"), kept)
    yield Doable("app.quit", say("Quit"), app.action_quit, "app.quit", saved)


def _of_message(chat: "ChatScreen") -> Iterator[Doable]:
    for name, (keys, description) in ACTS.items():
        where = say("{key} on a chosen message; else on the latest", key=shown(chat, f"message.{name}", keys))
        action = f"act({name!r})"
        yield Doable(f"message.{name}", say(description), partial(chat.action_act, name), action, (where,))


def _with_commands(others: Iterable[Doable], chat: "ChatScreen") -> Iterator[Doable]:
    """The others, which say by what command they are written too; and the commands that want something behind them."""
    alone = {command.action: f"/{name}" for name, command in COMMANDS.items() if not command.argument}
    for doable in others:
        written = alone.get(doable.action)
        yield replace(doable, details=(*doable.details, written)) if written else doable
    for name, command in COMMANDS.items():
        if command.argument:
            run = partial(chat.begin_command, f"/{name} ")
            yield Doable(f"/{name}", usage(name), run, "", (say(command.description),))
