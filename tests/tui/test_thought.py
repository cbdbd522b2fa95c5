"""Thinking under the user's control, on the screen."""

from qwenchat.chat.errors import EngineFailed
from qwenchat.chat.messages import Status
from qwenchat.chat.provenance import FinishReason, ThoughtCut
from qwenchat.library.library import Library
from tests.support.chat_driver import chat
from tests.support.fake_engine import FakeEngine, Script

THOUGHT = "Hm, let me see now. "
SENTENCE = "Considering the limited time by the user"
BROKEN = Script(thought=THOUGHT, answer="", breaks_off=True, finish=FinishReason.LENGTH)


class TestAnswerNow:
    async def test_the_key_is_named_while_the_model_thinks_and_ends_the_thought(self):
        async with chat(Script("Paris it is.", thought=THOUGHT, hold_at=2)) as it:
            await it.send("Go")
            await it.sees("Hm, let", "Ctrl+S answers now, Esc stops")
            await it.press("ctrl+s")
            await it.idle()
            await it.sees("Paris it is.", "thought ended by you")
            assert "Ctrl+S" not in it.screen
            reply = it.session.conversation.path[-1]
            assert reply.provenance is not None
            assert reply.provenance.thought_cut is ThoughtCut.USER
            await it.press("ctrl+o")
            await it.sees(SENTENCE)

    async def test_a_draft_is_left_alone_and_the_command_does_the_same(self):
        async with chat(Script("Paris it is.", thought=THOUGHT, hold_at=2)) as it:
            await it.send("Go")
            await it.sees("Hm, let")
            await it.send("/answer")
            await it.idle()
            await it.sees("Paris it is.")
            assert len(it.engine.turns) == 1

    async def test_while_it_answers_there_is_nothing_to_hurry(self):
        async with chat(Script("one two three", thought="Hm. ", hold_at=2)) as it:
            await it.send("Go")
            await it.sees("one", "Esc stops")
            assert "Ctrl+S" not in it.screen
            await it.press("d", "ctrl+s")
            await it.sees("The model is not thinking.")
            assert it.draft == "d"


class TestForcingTheAnswer:
    async def test_a_reply_that_broke_off_in_its_thought_offers_the_answer_and_goes_on_with_it(self):
        async with chat(BROKEN, Script("Paris it is.")) as it:
            await it.ask("Go")
            await it.sees("broken off", "cut off at the length limit", "Ctrl+S makes it answer")
            await it.press("ctrl+s")
            await it.idle()
            await it.sees("Paris it is.")
            assert "Ctrl+S" not in it.screen
            assert "broken off" not in it.screen
            assert len(it.replies) == 1
            assert it.replies[0].reasoning.text.startswith(f"{THOUGHT}\n\n{SENTENCE}")
            assert it.session.conversation.path[-1].status is Status.COMPLETE

    async def test_the_thought_grows_on_the_screen_while_it_goes_on(self):
        async with chat(BROKEN, Script("one two three", hold_at=1)) as it:
            reply = await it.ask("Go")
            await it.press("ctrl+s")
            await it.until(lambda: SENTENCE in reply.reasoning.text, "the sentence")
            await it.sees("Esc stops")
            assert reply.reasoning.text.count(THOUGHT) == 1
            assert it.replies == [reply]

    async def test_a_thought_that_was_stopped_can_be_answered_from(self):
        async with chat(Script(thought=THOUGHT, hold_at=2), Script("Paris it is.")) as it:
            await it.send("Go")
            await it.sees("Hm, let")
            await it.press("escape")
            await it.idle()
            await it.sees("stopped", "Ctrl+S makes it answer")
            await it.press("ctrl+s")
            await it.sees("Paris it is.")

    async def test_it_is_offered_again_when_the_conversation_is_opened_again_and_only_below_the_latest_reply(
        self, tmp_path
    ):
        file = tmp_path / "conversations.db"
        async with chat(BROKEN, library=Library.open(file)) as it:
            await it.ask("Go")
            conversation = it.session.conversation.id
        async with chat(
            Script("Berlin."), Script("Paris it is."), library=Library.open(file), resume=conversation
        ) as it:
            await it.sees("Ctrl+S makes it answer")
            await it.ask("And Germany?")
            await it.sees("Berlin.")
            assert "Ctrl+S" not in it.screen

    async def test_a_failure_while_it_goes_on_keeps_the_thought_and_offers_to_ask_again(self):
        async with chat(BROKEN, Script("x", error=EngineFailed("It broke.", "Again.")), Script("Paris it is.")) as it:
            await it.ask("Go")
            await it.press("ctrl+s")
            await it.sees("failed: It broke. Again.", "Ctrl+R asks again")
            assert it.replies[0].reasoning.text.strip() == THOUGHT.strip()
            await it.press("ctrl+s")
            await it.sees("Paris it is.")

    async def test_without_a_thought_the_key_says_so(self):
        async with chat() as it:
            await it.ask("Go")
            await it.press("ctrl+s")
            await it.sees("No reply was interrupted inside its thought.")


class TestBudget:
    async def test_a_budget_is_shown_and_spent_and_said(self):
        async with chat(Script("Paris it is.", thought=THOUGHT)) as it:
            await it.send("/budget 2")
            await it.sees("Thoughts end after 2 tokens.", "thinking on, 2 tokens")
            await it.ask("Go")
            await it.sees("Paris it is.", "thinking budget spent")
            assert it.engine.turns[-1].thinking_budget == 2
            await it.send("/budget off")
            await it.sees("Thoughts have no limit.")
            await it.no_longer_sees("thinking on, 2 tokens")

    async def test_what_is_no_budget_is_refused(self):
        async with chat() as it:
            await it.send("/budget lots")
            await it.sees("lots is no thinking budget.")
            await it.press("ctrl+c")
            await it.send("/budget")
            await it.sees("Thoughts have no limit.")


class TestRepetition:
    async def test_a_reply_that_repeated_itself_says_so_and_is_asked_for_again_with_a_penalty(self):
        engine = FakeEngine([Script("again and again", finish=FinishReason.REPETITION), Script("fine")])
        async with chat(engine=engine) as it:
            await it.ask("Go")
            await it.sees("ended, since it repeated itself", "Ctrl+R asks again with presence penalty 1.5")
            await it.press("ctrl+r")
            await it.sees("fine")
            await it.idle()
            assert engine.turns[-1].sampling.presence_penalty == 1.5
            assert "presence penalty" not in it.screen

    async def test_a_thought_that_repeats_itself_can_also_be_answered_from(self):
        looping = Script(thought=THOUGHT, answer="", breaks_off=True, finish=FinishReason.REPETITION)
        async with chat(looping, Script("Paris it is.")) as it:
            await it.ask("Go")
            await it.sees("repeated itself", "Ctrl+S makes it answer · Ctrl+R asks again with presence penalty 1.5")
            await it.press("ctrl+s")
            await it.sees("Paris it is.")


async def test_a_thought_that_opens_with_room_to_spare_leaves_the_end_in_view():
    async with chat(Script("Yes.", thought="Let me see. It is so.")) as it:
        await it.ask("Go")
        await it.press("ctrl+o")
        await it.sees("Let me see.")
        await it.no_longer_sees("follows")


async def test_a_short_conversation_stays_at_the_foot_while_thoughts_open_and_fold():
    async with chat(Script("Yes.", thought="I think so. " * 20), size=(100, 40)) as it:
        await it.ask("Well?")
        for _ in range(8):
            await it.press("ctrl+o")
            await it.pilot.pause(0.1)
            rows = it.screen.splitlines()
            footer = next(at for at, line in enumerate(rows) if "tok/s" in line)
            assert footer == len(rows) - 6, it.screen
