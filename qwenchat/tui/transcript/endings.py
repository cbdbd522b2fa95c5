"""How a reply ended and what can be done next, in the words of the full-screen chat."""

from typing import assert_never

from textual.dom import DOMNode

from qwenchat.chat.endings import Ending, NextStep, ending_of
from qwenchat.chat.messages import Message
from qwenchat.chat.sampling import PENALTY_ON_REPETITION
from qwenchat.chat.text import safe_line
from qwenchat.i18n.texts import say
from qwenchat.tui.keys.bindings import key_shown


def ending_in_words(reply: Message) -> str:
    """What is to be said of how a reply ended; nothing of one that ended well, or has not ended."""
    match ending_of(reply):
        case Ending.GROWING | Ending.WHOLE | Ending.CALLED:
            return ""
        case Ending.EMPTY:
            return say("no answer")
        case Ending.IN_THOUGHT:
            return say("ended inside its thought")
        case Ending.CUT_OFF:
            return say("cut off at the length limit")
        case Ending.REPETITIVE:
            return say("ended, since it repeated itself")
        case Ending.STOPPED:
            return say("stopped")
        case Ending.INTERRUPTED:
            return say("interrupted")
        case Ending.FAILED:
            return say("failed: {why}", why=safe_line(reply.note))
        case ending:
            assert_never(ending)


def step_in_words(step: NextStep, node: DOMNode) -> str:
    """By which key or command something is done next."""
    match step:
        case NextStep.ANSWER:
            return say("{key} makes it answer", key=key_shown(node, "chat.answer", "ctrl+s"))
        case NextStep.RETRY_WITH_PENALTY:
            key = key_shown(node, "chat.retry", "ctrl+r")
            return say("{key} asks again with presence penalty {penalty}", key=key, penalty=PENALTY_ON_REPETITION)
        case NextStep.FOLLOW_TOOLS:
            return say("/continue lets the model go on from its tools")
        case NextStep.CONTINUE:
            return say("/continue goes on with it")
        case NextStep.RETRY_THOUGHT | NextStep.RETRY:
            return say("{key} asks again", key=key_shown(node, "chat.retry", "ctrl+r"))
        case _:
            assert_never(step)
