"""Whether a turn is answered with thinking: the hard switch, the soft switches, and what the model can do."""

import re
from collections.abc import Iterable

from qwenchat.chat.messages import Message, Role
from qwenchat.chat.provenance import ThinkingSupport

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


def thinks(support: ThinkingSupport, hard: bool, messages: Iterable[Message]) -> bool:
    """Whether the model will think about the last of `messages`; with the hard switch off, soft ones do nothing."""
    if support is not ThinkingSupport.SWITCHED:
        return support is ThinkingSupport.ALWAYS
    return hard and soft_switch_in_force(messages) is not False
