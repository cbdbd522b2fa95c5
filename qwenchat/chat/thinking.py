"""Whether a turn is answered with thinking: the hard switch, the soft switches, and what the model can do."""

import re
from collections.abc import Iterable, Sequence

from qwenchat.chat.errors import NoThought
from qwenchat.chat.messages import Message, ReasoningPart, Role, TextPart
from qwenchat.chat.provenance import ModelInfo, ThinkingSupport
from qwenchat.i18n.texts import say

CLOSING = (
    "\n\nConsidering the limited time by the user, I have to give the solution based on the thinking directly now.\n"
)
"""What the Qwen team ends a thought with that is cut short (thinking budget, Qwen3 technical report, arXiv:2505.09388);
the closing tag and a blank line come after it."""

_SOFT_SWITCH = re.compile(r"(?<![\w/.-])/(think|no_think|nothink)(?![\w/.-]*[\w/])")


def soft_switch(text: str) -> bool | None:
    """What the last soft switch in `text` asks for: True for /think, False for /no_think or /nothink, None without."""
    found = _SOFT_SWITCH.findall(text)
    return found[-1] == "think" if found else None


def soft_switch_in_force(messages: Iterable[Message]) -> bool | None:
    """The most recent soft switch of all user and system messages; it holds until the next one."""
    asked: bool | None = None
    for message in messages:
        if message.role in (Role.USER, Role.SYSTEM):
            here = soft_switch(message.text)
            asked = asked if here is None else here
    return asked


def open_thought(message: Message) -> ReasoningPart | None:
    """The thought of an interrupted reply inside it, so that it can be made to answer from there; else None."""
    match message.parts:
        case (ReasoningPart(closed=False) as thought,) if message.role is Role.ASSISTANT:
            return thought
    return None


def budget_kept(messages: Sequence[Message]) -> int | None:
    """The thinking budget under which a conversation was going on, None for no limit."""
    made = (message.provenance for message in reversed(messages) if message.provenance)
    return next((account.thinking_budget for account in made if account.thinking), None)


def support_of(model: ModelInfo | None) -> ThinkingSupport:
    """Which thinking switches a model has; those of Qwen3 for one that is not loaded yet."""
    return model.thinking if model else ThinkingSupport.SWITCHED


def thinks(support: ThinkingSupport, hard: bool, messages: Iterable[Message]) -> bool:
    """Whether the model will think about the last of `messages`; with the hard switch off, soft ones do nothing."""
    if support is not ThinkingSupport.SWITCHED:
        return support is ThinkingSupport.ALWAYS
    return hard and soft_switch_in_force(messages) is not False


def require_thinking(support: ThinkingSupport, asked: bool | None, path: Sequence[Message]) -> None:
    """Refuse what the model, or a switch in the messages, does not allow. Raises NoThought."""
    if asked is True and support is ThinkingSupport.NONE:
        raise NoThought(say("This model does not think before it answers."))
    if asked is False and support is ThinkingSupport.ALWAYS:
        raise NoThought(say("This model always thinks."))
    if asked is True and soft_switch_in_force(path) is False:
        raise NoThought(say("The message, or one before it, says /no_think."), say("Edit it to take that out."))


class ThinkingSwitch:
    """Whether the next message will be thought about, as its writer sees it and turns it on and off."""

    def __init__(self, on: bool) -> None:
        self.on = on
        """The hard switch."""
        self._asked = False
        """Whether the next message is to ask for thinking, against an earlier /no_think."""
        self._read: Sequence[Message] = ()
        self._soft: bool | None = None
        """The soft switch that `_read` leaves in force; long conversations are not read again at every look."""

    def thinks(self, support: ThinkingSupport, messages: Sequence[Message]) -> bool:
        """Whether the model will think about what comes after `messages`, unless that switches it."""
        if support is not ThinkingSupport.SWITCHED:
            return support is ThinkingSupport.ALWAYS
        return self._asked or (self.on and self._in_force(messages) is not False)

    def toggle(self, support: ThinkingSupport, messages: Sequence[Message]) -> None:
        """Turn thinking on or off for the next message, where the model has that switch."""
        if support is not ThinkingSupport.SWITCHED:
            return
        self.on = not self.thinks(support, messages)
        self._asked = self.on and self._in_force(messages) is False

    def said_in(self, parts: tuple[TextPart, ...]) -> tuple[TextPart, ...]:
        """What was written, with a visible /think at its end if it takes one to turn thinking on."""
        if not self._asked:
            return parts
        *before, last = parts
        if last.origin:
            return (*parts, TextPart("\n\n/think"))
        return (*before, TextPart(f"{last.text.rstrip()} /think"))

    def forget(self) -> None:
        """The message was sent, or another conversation is opened: nothing needs to be asked for any more."""
        self._asked = False

    def _in_force(self, messages: Sequence[Message]) -> bool | None:
        if messages is not self._read:
            self._read, self._soft = messages, soft_switch_in_force(messages)
        return self._soft
