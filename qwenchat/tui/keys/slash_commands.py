"""The program's own commands in a message, as against Qwen's soft switches, which stay in it."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields

from qwenchat.chat.errors import QwenchatError
from qwenchat.chat.sampling import SamplingOverrides
from qwenchat.chat.suggest import did_you_mean
from qwenchat.console.command_names import ALIASES
from qwenchat.i18n.texts import later, say, sentences
from qwenchat.session.answer_settings import NAMES
from qwenchat.system.paths import Paths


@dataclass(frozen=True, slots=True)
class Command:
    """What can be written as a message and is heeded by the program."""

    action: str
    """The screen's action that it stands for, unless `Commands` heeds it itself."""
    description: str
    argument: str = ""
    """What may follow it, for the reader; several of it where it ends in "..."."""
    choices: Callable[[], Iterable[str]] = tuple
    """What may follow it, where that is known; one that ends in "=" wants a value behind it."""


def _models() -> Iterable[str]:
    from qwenchat.engine.local.catalog import KNOWN  # the worker's thread has loaded it, if a model is wanted at all
    from qwenchat.settings.config import read

    return (*(known.name for known in KNOWN), "smollm2", *read(Paths.of_user().config_file)[0].servers)


def _presets() -> Iterable[str]:
    from qwenchat.settings.presets import read  # seldom wanted

    return (preset.name for preset in read(Paths.of_user().presets)[0])


def _tools() -> Iterable[str]:
    from qwenchat.chat.tools import BUILT_IN  # seldom wanted

    return (*BUILT_IN, "all", "off")


def _formats() -> Iterable[str]:
    return "md", "json", "jsonl"


def _settings() -> Iterable[str]:
    return (*(f"{field.name}=" for field in fields(SamplingOverrides)), "think=on", "think=off", "model=")


def _names() -> Iterable[str]:
    from qwenchat.settings.schema import schema

    return dict.fromkeys((*NAMES, *(setting.key.rpartition(".")[2] for setting in schema())))


def _off() -> Iterable[str]:
    return ("off",)


def _themes() -> Iterable[str]:
    from qwenchat.tui.base.themes import OTHERS, read_themes

    return sorted({*OTHERS, *(theme.name for theme in read_themes((Paths.of_user().themes,))[0])})


COMMANDS = {
    "new": Command("new", later("Begin a new conversation")),
    "retry": Command(
        "retry", later("Ask again, for this one time with other settings"), later("SETTING=VALUE ..."), _settings
    ),
    "edit": Command("act('edit')", later("Change your last message and send it again")),
    "continue": Command("act('continue')", later("Let the last reply, if it broke off, go on from where it stopped")),
    "delete": Command("act('delete')", later("Delete the last message")),
    "undo": Command("act('undo')", later("Bring back what was deleted last")),
    "stop": Command("stop", later("Stop the reply")),
    "answer": Command("answer", later("Answer now, from what was thought so far")),
    "budget": Command("budget", later("Limit thoughts, or lift the limit"), later("TOKENS or off"), _off),
    "set": Command("settings", later("Change any setting, or see all settings"), later("NAME VALUE"), _names),
    "settings": Command("settings", later("Show all settings")),
    "system": Command("system", later("Change the system prompt, or say it"), later("TEXT")),
    "preset": Command("presets", later("Turn to a preset, or choose one"), later("NAME"), _presets),
    "model": Command("models", later("Load another model, or choose one"), later("NAME, SERVER or URL"), _models),
    "models": Command("models", later("Show the models")),
    "compare": Command("compare", later("Let several models answer side by side"), later("NAME NAME ..."), _models),
    "tools": Command("tools", later("Let the model call tools, or choose them"), later("NAMES or off"), _tools),
    "export": Command(
        "export", later("Write this conversation into a file here"), later("md, json or jsonl"), _formats
    ),
    "search": Command("search", later("Search in all conversations"), later("WORDS")),
    "find": Command("find", later("Find in this conversation"), later("WORDS")),
    "rename": Command("rename", later("Give this conversation another title, or say it"), later("TITLE")),
    "pin": Command("pin", later("Keep this conversation above the others, or no more"), later("off"), _off),
    "archive": Command("archive", later("Put this conversation away, or bring it back"), later("off"), _off),
    "theme": Command("app.change_theme", later("Change the colours, or choose them"), later("NAME"), _themes),
    "copy": Command("copy_reply", later("Copy the last reply")),
    "help": Command("app.help", later("Show all keys and commands")),
    "quit": Command("app.quit", later("Quit; everything is saved")),
}
"""The commands by their names; completion, help and documentation go by this table."""

SOFT_SWITCHES = {
    "think": later("Let the model think from this message on"),
    "no_think": later("Let it answer without thinking from this message on"),
}
"""What Qwen itself heeds, anywhere in a message."""

_SOFT_SWITCHES = frozenset({*SOFT_SWITCHES, "nothink"})
_COMMAND = re.compile(r"/([A-Za-z_-]+)(?=\s|$)")


def usage(name: str) -> str:
    """How a command is written, with what may follow it."""
    argument = COMMANDS[name].argument
    return f"/{name} {say(argument)}" if argument else f"/{name}"


class UnknownCommand(QwenchatError):
    """A message that begins with a command this program does not have."""


def switch_of(text: str) -> tuple[str, str] | None:
    """The command that a soft switch stands for which is all of a message; None for any other message."""
    name = text.strip().removeprefix("/")
    if name not in _SOFT_SWITCHES or name == text.strip():
        return None
    return "set", f"think {'on' if name == 'think' else 'off'}"


def command_of(text: str) -> tuple[str, str] | None:
    """The name of the command that `text` is, and what follows it; None for a message to the model.

    Raises UnknownCommand.
    """
    text = text.strip()
    found = _COMMAND.match(text)
    if found is None or found[1] in _SOFT_SWITCHES:
        return None
    name = ALIASES.get(found[1].lower(), found[1].lower())
    if name not in COMMANDS:
        known = ", ".join(f"/{name}" for name in COMMANDS)
        raise UnknownCommand(
            say("There is no command /{found}.", found=found[1]),
            sentences(
                did_you_mean(found[1], (*COMMANDS, *SOFT_SWITCHES), mark="/") or say("There are {names}.", names=known),
                say("The draft was kept."),
            ),
        )
    return name, text[found.end() :].strip()
