"""Whether a call of a tool may run, asked and answered line by line."""

import json
import sys

from qwenchat.chat.characters import well_formed_json
from qwenchat.chat.invisible import spelled_out
from qwenchat.chat.messages import ToolCallPart, ToolResultPart
from qwenchat.chat.text import safe_line
from qwenchat.i18n.texts import count, say
from qwenchat.session.tool_calls import Permission

SHOWN = 10_000
"""Characters of an argument that are shown; of what is longer its beginning and its end, and how much is between."""
SHOWN_END = 2_500
MOST_SHOWN = 20_000
"""Characters of all arguments after which no other is begun; how many are left is said."""
MOST_ROWS = 200
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
    _print(say("The model wants to call {call}", call=call_in_words(call)))
    while True:
        _print(say("Allow it? y: once, c: in this chat, a: always, n: no "), end="")
        typed = sys.stdin.readline()
        if not typed:
            return Permission.REFUSE
        if permission := _ANSWERS.get(typed.strip().lower()):
            return permission


def call_in_words(call: ToolCallPart) -> str:
    """A call as a person reads it: its name and its arguments, with every character visible; safe for a terminal."""
    lines = [name_shown(call) or say("something that is no call")]
    lines += (f"  {name}: {value}" for name, value in arguments_shown(call))
    return "\n".join(lines)


def name_shown(call: ToolCallPart) -> str:
    """The name of what is called, on one line, with every character visible."""
    return _spelled_line(call.name)


def arguments_shown(call: ToolCallPart) -> list[tuple[str, str]]:
    """The names and values of the arguments, every character visible; where they are no object, all without a name."""
    try:
        arguments = well_formed_json(call.arguments or "{}")
    except (ValueError, RecursionError):
        arguments = None
    if not isinstance(arguments, dict):
        return [("", _shown(call.arguments))]
    rows: list[tuple[str, str]] = []
    characters = 0
    for name, value in arguments.items():
        if characters >= MOST_SHOWN or len(rows) >= MOST_ROWS:
            left = len(arguments) - len(rows)
            return [*rows, ("…", count("{number} more argument", "{number} more arguments", left))]
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        characters += len(text)
        rows.append((_spelled_line(name), _shown(text)))
    return rows


def result_in_words(result: ToolResultPart, limit: int = 200) -> str:
    """A result on one line; safe for a terminal."""
    name, text = safe_line(result.name) or say("the call"), safe_line(result.text, limit)
    return say("{tool} failed: {text}", tool=name, text=text) if result.failed else f"{name}: {text}"


def _shown(text: str) -> str:
    if len(text) <= SHOWN:
        return spelled_out(text)
    between = len(text) - SHOWN
    rest = count("{number} more character", "{number} more characters", between)
    return f"{spelled_out(text[: SHOWN - SHOWN_END])}… ({rest}) …{spelled_out(text[-SHOWN_END:])}"


def _spelled_line(text: str) -> str:
    return spelled_out(text[:200]).replace("\n", "") + ("…" if len(text) > 200 else "")


def _print(text: str, end: str = "\n") -> None:
    print(text, end=end, file=sys.stderr, flush=True)
