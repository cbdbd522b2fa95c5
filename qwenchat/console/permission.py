"""Whether a call of a tool may run, asked and answered line by line."""

import json
import sys

from qwenchat.chat.messages import ToolCallPart, ToolResultPart
from qwenchat.chat.text import safe, safe_json, safe_line
from qwenchat.i18n.texts import count, say
from qwenchat.session.tool_calls import Permission

SHOWN = 2_000
"""Characters of the arguments that are shown; what is longer says so."""
_ANSWERS = {
    "y": Permission.ONCE,
    "yes": Permission.ONCE,
    "c": Permission.CHAT,
    "chat": Permission.CHAT,
    "a": Permission.ALWAYS,
    "always": Permission.ALWAYS,
    "n": Permission.REFUSE,
    "no": Permission.REFUSE,
}


def ask_by_line(call: ToolCallPart) -> Permission:
    """Ask on the terminal; where there is none nothing is asked, and nothing is allowed."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        _print(
            say(
                "qwenchat: {tool} was not allowed, since there is nobody to ask;"
                " `qwenchat tools allow --always {tool}` lets it run.",
                tool=safe_line(call.name),
            )
        )
        return Permission.REFUSE
    _print(say("The model wants to call {call}", call=in_words(call)))
    while True:
        _print(say("Allow it? y: once, c: in this chat, a: always, n: no "), end="")
        typed = sys.stdin.readline()
        if not typed:
            return Permission.REFUSE
        if permission := _ANSWERS.get(typed.strip().lower()):
            return permission


def in_words(call: ToolCallPart) -> str:
    """A call as a person reads it: its name, and its arguments in full, one a line; safe for a terminal."""
    lines = [safe_line(call.name) or say("something that is no call")]
    lines += (f"  {name}: {value}" for name, value in arguments_shown(call))
    return "\n".join(lines)


def arguments_shown(call: ToolCallPart) -> list[tuple[str, str]]:
    """The names and values of the arguments, safe to show; where they are no object, all of it without a name."""
    try:
        arguments = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        arguments = None
    if not isinstance(arguments, dict):
        return [("", _shown(safe(call.arguments)))]
    return [
        (safe_line(name), _shown(safe(value) if isinstance(value, str) else safe_json(value)))
        for name, value in arguments.items()
    ]


def result_in_words(result: ToolResultPart, limit: int = 200) -> str:
    """A result on one line; safe for a terminal."""
    name, text = safe_line(result.name) or say("the call"), safe_line(result.text, limit)
    return say("{tool} failed: {text}", tool=name, text=text) if result.failed else f"{name}: {text}"


def _shown(text: str) -> str:
    if len(text) <= SHOWN:
        return text
    more = len(text) - SHOWN
    rest = count("{number} more character", "{number} more characters", more)
    return f"{text[:SHOWN]}… ({rest})"


def _print(text: str, end: str = "\n") -> None:
    print(text, end=end, file=sys.stderr, flush=True)
