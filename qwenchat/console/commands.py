"""Everything that can be done from a chat: one table for keys, palette, help, written commands and the plain mode."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from qwenchat.i18n.texts import later, say

Handler = Callable[[str], None]
"""Carries out a command, given what follows it."""


@dataclass(frozen=True, slots=True)
class Command:
    """One thing that can be done; every text in it is shown through `say`."""

    name: str
    """With its place, "chat.retry": by it config.toml gives an action another key."""
    title: str
    keys: str = ""
    """The keys it has unless the user wants others, as Textual names them; empty for none."""
    action: str = ""
    """The action that does it, where that has another name than the command."""
    slash: str = ""
    """How it is written as a message, without the slash; empty where it cannot be."""
    argument: str = ""
    """What may follow it in a message of the full-screen chat; several of it where it ends in "..."."""
    plain: str | None = None
    """What may follow it in the plain mode; None where that mode does not have it."""
    screen: bool = True
    """Whether the full-screen chat has it."""
    priority: bool = True
    """Whether its key counts before those of what one writes in."""

    @property
    def place(self) -> str:
        """Where its key counts: "chat", "message" or "app"."""
        return self.name.partition(".")[0]

    @property
    def id(self) -> str:
        """Its name within its place."""
        return self.name.partition(".")[2]

    @property
    def run(self) -> str:
        """What the chat's screen runs, by the names that Textual has for actions."""
        if self.place == "message":
            return f"act({self.id!r})"
        return f"app.{self.action or self.id}" if self.place == "app" else self.action or self.id

    @property
    def usage(self) -> str:
        """How it is written in the full-screen chat, with what may follow."""
        return _usage(self.slash, self.argument)

    @property
    def plain_usage(self) -> str:
        """How it is written in the plain mode, with what may follow."""
        return _usage(self.slash, self.plain or "")


def _usage(slash: str, argument: str) -> str:
    return f"/{slash} {say(argument)}" if argument else f"/{slash}"


GROUPS: Mapping[str, tuple[Command, ...]] = {
    later("Conversation"): (
        Command("chat.new", later("New conversation"), "ctrl+n", slash="new", plain=""),
        Command("chat.sidebar", later("Saved conversations"), "ctrl+b", slash="list", plain=""),
        Command("chat.resume", later("Go on with a saved conversation, by its number in the list or its id"),
                slash="resume", plain=later("NUMBER or ID"), screen=False),
        Command("chat.search", later("Search in all conversations"), "ctrl+f",
                slash="search", argument=later("WORDS"), plain=later("WORDS")),
        Command("chat.find", later("Find in this conversation; then to the next hit"), "f8",
                slash="find", argument=later("WORDS")),
        Command("chat.export", later("Write this conversation into a file here"),
                slash="export", argument=later("md, json or jsonl"), plain=later("md, json or jsonl")),
        Command("chat.rename", later("Give this conversation another title, or say it"),
                slash="rename", argument=later("TITLE"), plain=later("TITLE")),
        Command("chat.pin", later("Keep this conversation above the others, or no more"),
                slash="pin", argument=later("off"), plain=later("off")),
        Command("chat.archive", later("Put this conversation away, or bring it back"),
                slash="archive", argument=later("off"), plain=later("off")),
        Command("chat.replay", later("Play this conversation back"), "f6"),
        Command("chat.statistics", later("Statistics"), "f9", slash="stats", plain=""),
    ),
    later("Model"): (
        Command("chat.models", later("Models"), "f3", "control('models')", slash="models", plain=""),
        Command("chat.model", later("Load another model, or choose one"), action="control('models')",
                slash="model", argument=later("NAME, SERVER or URL"), plain=later("NAME, SERVER or URL")),
        Command("chat.thinking", later("Thinking on or off"), "ctrl+t", "control('thinking')"),
        Command("chat.budget", later("Limit thoughts, or lift the limit"), "alt+g", "control('budget')",
                slash="budget", argument=later("TOKENS or off"), plain=later("TOKENS or off")),
        Command("chat.thoughts", later("Read thoughts out, or leave them out"),
                slash="thoughts", plain=later("on or off"), screen=False),
        Command("chat.presets", later("Presets"), "f5", "control('presets')"),
        Command("chat.preset", later("Turn to a preset, or choose one"), action="control('presets')",
                slash="preset", argument=later("NAME"), plain=later("NAME")),
        Command("chat.settings", later("Settings"), "f2", "control('settings')", slash="settings"),
        Command("chat.set", later("Change any setting, or see all settings"), action="control('settings')",
                slash="set", argument=later("NAME VALUE"), plain=later("NAME VALUE")),
        Command("chat.save", later("Keep the settings that were changed in this chat in config.toml"),
                slash="save", plain="", screen=False),
        Command("chat.system", later("Change the system prompt, or say it"),
                slash="system", argument=later("TEXT"), plain=later("TEXT or off")),
        Command("chat.tools", later("What the model may call"), "f10", "control('tools')",
                slash="tools", argument=later("NAMES or off"), plain=later("NAMES or off")),
        Command("chat.compare", later("Let several models answer side by side"), "f7",
                slash="compare", argument=later("NAME NAME ...")),
    ),
    later("Reply"): (
        Command("chat.retry", later("Ask again for the last reply"), "ctrl+r",
                slash="retry", argument=later("SETTING=VALUE ..."), plain=later("NUMBER SETTING=VALUE ...")),
        Command("chat.stop", later("Stop the reply, or put notices away"), "escape", slash="stop", priority=False),
        Command("chat.answer", later("Answer now, from what was thought so far"), "ctrl+s", slash="answer", plain=""),
        Command("chat.copy_reply", later("Copy the last reply"), "ctrl+y", slash="copy", plain=later("NUMBER")),
        Command("chat.reasoning", later("Open or fold the latest reasoning"), "ctrl+o"),
        Command("chat.inspect", later("Everything that made the latest reply"), "f4",
                slash="details", plain=later("NUMBER")),
        Command("chat.read", later("Read the whole conversation, or one message of it"),
                slash="read", plain=later("NUMBER"), screen=False),
        Command("chat.versions", later("Number the messages and count their versions, or turn to a version"),
                slash="versions", plain=later("NUMBER VERSION"), screen=False),
    ),
    later("Program"): (
        Command("app.theme", later("Theme"), action="change_theme"),
        Command("app.set_theme", later("Change the colours, or choose them"), action="change_theme",
                slash="theme", argument=later("NAME")),
        Command("app.help", later("Keys and commands"), "f1", slash="help", plain=later("NAME")),
        Command("chat.editor", later("Write in your own editor"), "ctrl+g", slash="editor", plain=""),
        Command("app.screenshot", later("Save a picture of the screen"), action="picture"),
        Command("app.quit", later("Quit"), "ctrl+q", slash="quit", plain=""),
        Command("app.palette", later("Command palette"), "ctrl+p", action="command_palette"),
        Command("app.suspend", later("Back to the shell; `fg` returns"), "ctrl+z", action="suspend_process"),
    ),
    later("Message"): (
        Command("chat.choose", later("Choose a message, from the last one up"), "ctrl+up,alt+up", priority=False),
        Command("message.edit", later("Change your message and send it again, as a new version"), "e",
                slash="edit", plain=later("TEXT or NUMBER: TEXT")),
        Command("message.retry", later("Ask again for the reply; the old one is kept as a version"), "r"),
        Command("message.continue", later("Let an interrupted reply go on from where it stopped"), "c",
                slash="continue", plain=""),
        Command("message.copy", later("Copy the message as it was written"), "y"),
        Command("message.copy_plain", later("Copy the message as plain text, without the marks of Markdown"), "Y"),
        Command("message.code", later("Copy or save the code in the message"), "k"),
        Command("message.wrap", later("Wrap the long lines of its code, or no more"), "alt+z"),
        Command("message.inspect", later("Everything that made the message"), "i"),
        Command("message.lens", later("Token lens: how sure the model was of each word of the reply"), "l"),
        Command("message.delete", later("Delete the message; what comes after it stays"), "d,delete",
                slash="delete", plain=later("NUMBER or NUMBER on")),
        Command("message.delete_branch", later("Delete the message and all that comes after it"), "D"),
        Command("message.undo", later("Bring back what was deleted last"), "u,ctrl+z", slash="undo", plain=""),
        Command("message.menu", later("Everything that can be done with the message"), "m"),
        Command("chat.follow", later("Go to the end and follow it"), "ctrl+end"),
        Command("chat.top", later("Go to the beginning"), "ctrl+home"),
        Command("chat.copy", later("Copy the selection; else stop, clear the draft, or quit"), "ctrl+c,super+c",
                action="copy_text", priority=False),
    ),
}  # fmt: skip
"""What can be done, the most useful first; a test holds that every action exists in its place."""

COMMANDS = tuple(command for commands in GROUPS.values() for command in commands)
WRITTEN: Mapping[str, Command] = {command.slash: command for command in COMMANDS if command.slash and command.screen}
"""The commands that can be written as a message in the full-screen chat, by how they are written."""
PLAIN: Mapping[str, Command] = {command.slash: command for command in COMMANDS if command.plain is not None}
"""The commands of the plain mode, by how they are written."""

SOFT_SWITCHES = {
    "think": later("Let the model think from this message on"),
    "no_think": later("Let it answer without thinking from this message on"),
}
"""What Qwen itself reads, anywhere in a message."""

ALIASES = {"bye": "quit", "exit": "quit", "q": "quit", "clear": "new", "account": "details", "nothink": "no_think"}
"""A command by the name that other chats, or older versions, have for it."""
