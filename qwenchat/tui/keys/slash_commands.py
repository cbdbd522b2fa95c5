"""The program's own commands in a message, as against Qwen's soft switches, which stay in it."""

import re
from collections.abc import Callable, Iterable, Mapping

from qwenchat.chat.errors import QwenchatError
from qwenchat.chat.sampling import SAMPLING
from qwenchat.chat.suggest import did_you_mean
from qwenchat.chat.tools import BUILT_IN
from qwenchat.console.commands import ALIASES, SOFT_SWITCHES, WRITTEN
from qwenchat.engine.local.catalog import KNOWN
from qwenchat.i18n.texts import listed, say, sentences
from qwenchat.session.answer_settings import NAMES
from qwenchat.settings import config, presets
from qwenchat.settings.parameters import BY_NAME
from qwenchat.system.paths import Paths
from qwenchat.tui.base.themes import OTHERS, read_themes


def _models() -> Iterable[str]:

    return (*(known.name for known in KNOWN), "smollm2", *config.read(Paths.of_user().config_file)[0].servers)


def _presets() -> Iterable[str]:

    return (preset.name for preset in presets.read(Paths.of_user().presets)[0])


def _tools() -> Iterable[str]:

    return (*BUILT_IN, "all", "off")


def _formats() -> Iterable[str]:
    return "md", "json", "jsonl"


def _settings() -> Iterable[str]:
    return (*(f"{name}=" for name in SAMPLING), "think=on", "think=off", "model=")


def _names() -> Iterable[str]:
    return dict.fromkeys((*NAMES, *BY_NAME))


def _off() -> Iterable[str]:
    return ("off",)


def _themes() -> Iterable[str]:

    return sorted({*OTHERS, *(theme.name for theme in read_themes((Paths.of_user().themes,))[0])})


ARGUMENTS: Mapping[str, Callable[[], Iterable[str]]] = {
    "retry": _settings,
    "budget": _off,
    "set": _names,
    "preset": _presets,
    "model": _models,
    "compare": _models,
    "tools": _tools,
    "export": _formats,
    "pin": _off,
    "archive": _off,
    "theme": _themes,
}
"""What may follow a command, where that is known; one that ends in "=" wants a value behind it."""

_SOFT_SWITCHES = frozenset({*SOFT_SWITCHES, "nothink"})
_COMMAND = re.compile(r"/([A-Za-z_-]+)(?=\s|$)")


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
    if name not in WRITTEN:
        known = listed(f"/{name}" for name in WRITTEN)
        raise UnknownCommand(
            say("There is no command /{found}.", found=found[1]),
            sentences(
                did_you_mean(found[1], (*WRITTEN, *SOFT_SWITCHES), mark="/") or say("There are {names}.", names=known),
                say("The draft was kept."),
            ),
        )
    return name, text[found.end() :].strip()
