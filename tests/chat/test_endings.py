"""How a reply ended is one value, and every surface has words for every value."""

from dataclasses import replace

import pytest

from qwenchat.chat.endings import Ending, NextStep, ending_of
from qwenchat.chat.messages import Message, ReasoningPart, Role, Status, TextPart, ToolCallPart
from qwenchat.chat.provenance import FinishReason
from qwenchat.console.ask import what_helps
from qwenchat.plain.answering import _by_command
from qwenchat.reports.message_details import _ending
from qwenchat.tui.transcript.endings import ending_in_words, step_in_words
from tests.support.chat_driver import chat
from tests.support.fake_engine import Script

SAID = Message(Role.ASSISTANT, (TextPart("Fine."),))


@pytest.mark.parametrize(
    ("reply", "ending"),
    [
        (SAID, Ending.WHOLE),
        (replace(SAID, parts=()), Ending.EMPTY),
        (replace(SAID, parts=(ToolCallPart("1", "clock", "{}"),)), Ending.CALLED),
        (replace(SAID, parts=(ReasoningPart("Hm", closed=False),)), Ending.IN_THOUGHT),
        *((replace(SAID, status=status), Ending[status.name]) for status in (
            Status.STOPPED, Status.INTERRUPTED, Status.FAILED)),
        (replace(SAID, status=Status.STREAMING), Ending.GROWING),
    ],
)  # fmt: skip
def test_a_reply_ended_in_one_way(reply: Message, ending: Ending) -> None:
    assert ending_of(reply) is ending
    assert _ending(reply)
    assert bool(ending_in_words(reply)) is (ending not in (Ending.WHOLE, Ending.CALLED, Ending.GROWING))


async def test_every_surface_says_what_can_be_done_next() -> None:
    cut = Script("One two", finish=FinishReason.LENGTH)
    again = Script("and and and", finish=FinishReason.REPETITION)
    thought = Script(thought="Hm", answer="", breaks_off=True, finish=FinishReason.LENGTH)
    async with chat(cut, again, thought, Script("Whole.")) as it:
        replies = it.session.replies
        await it.ask("A")
        assert replies.next_steps == (NextStep.CONTINUE,)
        await it.ask("B")
        assert replies.next_steps == (NextStep.RETRY_WITH_PENALTY,)
        await it.ask("C")
        assert replies.next_steps == (NextStep.ANSWER, NextStep.CONTINUE)
        await it.sees("Ctrl+S makes it answer · /continue goes on with it")
        await it.ask("D")
        assert replies.next_steps == ()
        for step in NextStep:
            assert step_in_words(step, it.transcript) and _by_command(step)
            assert bool(what_helps(step)) is (step not in (NextStep.FOLLOW_TOOLS, NextStep.CONTINUE, NextStep.RETRY))
