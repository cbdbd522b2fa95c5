"""Messages that are there already, as text to be read."""

from collections.abc import Sequence

from qwenchat.chat.calls import calls_in
from qwenchat.chat.messages import Message, Role, Status, ToolResultPart
from qwenchat.chat.text import safe, safe_line
from qwenchat.console.permission import call_in_words, result_in_words
from qwenchat.i18n.texts import say

SHOWN = 1_000
"""Characters of a tool's result."""


def as_text(messages: Sequence[Message]) -> str:
    """Messages to read; partial replies say so."""
    return "\n\n".join(_message(message) for message in messages)


def last_exchange(messages: Sequence[Message]) -> Sequence[Message]:
    """The last message of the user's, and what came after it."""
    asked = (at for at in reversed(range(len(messages))) if messages[at].role is Role.USER)
    return messages[next(asked, 0) :]


def who(message: Message) -> str:
    """Whose message it is."""
    if message.provenance is not None:
        return safe_line(message.provenance.model.name)
    match message.role:
        case Role.USER:
            return say("You")
        case Role.ASSISTANT:
            return say("Model")
        case Role.SYSTEM:
            return say("System")
        case Role.TOOL:
            return say("Tool")


def _message(message: Message) -> str:
    mark = "" if message.status is Status.COMPLETE else f" [{message.status.in_words}]"
    if message.status is Status.FAILED and message.note:
        mark = f" [{say('failed: {text}', text=safe_line(message.note, 1000))}]"
    thought = f"<think>\n{safe(message.reasoning)}\n</think>\n\n" if message.reasoning else ""
    tools = [say("calls {call}", call=call_in_words(call)) for call in calls_in(message)]
    tools += [result_in_words(part, SHOWN) for part in message.parts if isinstance(part, ToolResultPart)]
    said = "\n".join(filter(None, (safe(message.text), *tools)))
    if not thought and not said.strip():
        said = say("({note})", note=say("empty"))
    heading = say("{name}:", name=f"{who(message)}{mark}")
    return f"{heading}\n{thought}{said}".rstrip()
