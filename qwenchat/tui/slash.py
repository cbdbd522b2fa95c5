"""The program's own commands in a message, as against Qwen's soft switches, which stay in it."""

import re

from qwenchat.chat.errors import QwenchatError

COMMANDS = {
    "new": ("new", "Begin a new conversation"),
    "retry": ("retry", "Ask again, as it is or as in /retry temperature=0.2 think=off model=NAME"),
    "edit": ("act('edit')", "Change your last message and send it again"),
    "continue": ("act('continue')", "Let the last reply, if it broke off, go on from where it stopped"),
    "delete": ("act('delete')", "Delete the last message"),
    "undo": ("act('undo')", "Bring back what was deleted last"),
    "stop": ("stop", "Stop the reply"),
    "answer": ("answer", "Answer now, from what was thought so far"),
    "budget": ("budget", "Limit thoughts, /budget TOKENS, or lift the limit, /budget off"),
    "model": ("model", "Load another model, /model NAME, or try the last one again"),
    "export": ("export", "Write this conversation into a file here, /export md, json or jsonl"),
    "copy": ("copy_reply", "Copy the last reply"),
    "help": ("app.help", "Show all keys and commands"),
    "quit": ("app.quit", "Quit; everything is saved"),
}
"""Name to action and description."""

_SOFT_SWITCHES = frozenset({"think", "no_think", "nothink"})
_COMMAND = re.compile(r"/([A-Za-z_-]+)(?=\s|$)")


class UnknownCommand(QwenchatError):
    """A message that begins with a command this program does not have."""


def command_of(text: str) -> tuple[str, str] | None:
    """The name of the command that `text` is, and what follows it; None for a message to the model.

    Raises UnknownCommand.
    """
    text = text.strip()
    found = _COMMAND.match(text)
    if found is None or found[1] in _SOFT_SWITCHES:
        return None
    if found[1] not in COMMANDS:
        known = ", ".join(f"/{name}" for name in COMMANDS)
        raise UnknownCommand(f"There is no command /{found[1]}.", f"There are {known}. The draft was kept.")
    return found[1], text[found.end() :].strip()
