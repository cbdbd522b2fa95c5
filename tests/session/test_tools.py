"""Tools in a chat: asked for, permitted, run, saved, and answered from."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from qwenchat.chat.engine_commands import LoadModel
from qwenchat.chat.errors import CallMalformed, ConfigInvalid, TurnInProgress
from qwenchat.chat.events import (
    CallReturned,
    CallStarted,
    Event,
    PermissionAsked,
    PermissionNotSaved,
    ToolsListed,
    TurnEnded,
    TurnFailed,
    TurnFinished,
    TurnStopped,
)
from qwenchat.chat.messages import Message, Role, Status, ToolResultPart
from qwenchat.chat.provenance import FinishReason
from qwenchat.chat.sampling import SamplingOverrides
from qwenchat.engine.worker import Worker
from qwenchat.library.library import Library
from qwenchat.session.session import Session
from qwenchat.session.tool_calls import STEPS, Permission
from qwenchat.session.turn import Phase
from tests.support.fake_engine import MODEL, FakeEngine, Script
from tests.support.fake_tools import CAPABLE, FakeTools, call
from tests.support.patience import PATIENCE_S

RAIN = Script("It rains in Paris.")


@contextmanager
def chatting(
    *scripts: Script,
    tools: FakeTools | None = None,
    on: tuple[str, ...] = ("weather", "clock"),
    model: Any = CAPABLE,
    library: Library | None = None,
) -> Iterator[tuple[Session, FakeEngine, FakeTools]]:
    engine, runner = FakeEngine(list(scripts), model=model), tools or FakeTools()
    session = Session(Worker(lambda: engine), library or Library.in_memory(), tools=runner)
    session.model.load(LoadModel())
    if on:
        session.switch_tools(on)
    try:
        yield session, engine, runner
    finally:
        engine.release()
        runner.release()
        session.close()


def until(session: Session, condition: Callable[[list[Event]], object]) -> list[Event]:
    seen: list[Event] = []
    deadline = time.monotonic() + PATIENCE_S
    while not condition(seen):
        assert time.monotonic() < deadline, f"only {seen} came"
        seen += session.wait(0.1)
    return seen


def idle(session: Session) -> list[Event]:
    return until(session, lambda seen: not session.busy)


def asked(session: Session) -> list[Event]:
    return until(session, lambda seen: session.tools.waiting)


def results(session: Session) -> list[str]:
    return [
        part.text for message in session.conversation.path for part in message.parts if isinstance(part, ToolResultPart)
    ]


def test_a_call_is_permitted_run_saved_and_answered_from() -> None:
    with chatting(Script("I look.", calls=(call(),)), RAIN) as (session, engine, tools):
        session.send("Weather?")
        seen = asked(session)
        assert session.tools.waiting == (call(),)
        assert (session.busy, session.phase) == (True, Phase.CALLING)
        assert not tools.runs, "nothing runs before it is permitted"
        assert any(isinstance(event, PermissionAsked) for event in seen)
        session.tools.permit("c1", Permission.ONCE)
        seen = idle(session)
        assert [type(event) for event in seen if not isinstance(event, TurnFinished)][:2] == [CallStarted, CallReturned]
        assert [str(message.role) for message in session.conversation.path] == [
            "user",
            "assistant",
            "tool",
            "assistant",
        ]
        assert results(session) == ["Rain."]
        assert session.conversation.path[-1].text == "It rains in Paris."
        assert engine.turns[1].messages[-1].role is Role.TOOL
        assert [tool.name for tool in engine.turns[0].tools] == ["weather", "clock"]
        made = session.conversation.path[-1].provenance
        assert made is not None
        assert [tool.name for tool in made.tools] == ["weather", "clock"]


def test_each_end_but_the_last_says_that_tools_were_called() -> None:
    with chatting(Script(calls=(call(),)), RAIN, tools=FakeTools(allowed={"weather"})) as (session, _, _):
        session.send("Weather?")
        ends = [event for event in idle(session) if isinstance(event, TurnEnded)]
        assert [event.reason for event in ends if isinstance(event, TurnFinished)] == [
            FinishReason.TOOL_CALLS,
            FinishReason.STOP,
        ]


def test_everything_is_on_disk_when_it_is_told(tmp_path: Path) -> None:
    library = Library.open(tmp_path / "a.sqlite3")
    with chatting(Script(calls=(call(),)), RAIN, library=library) as (session, _, _):
        session.send("Weather?")
        asked(session)
        other = Library.open(tmp_path / "a.sqlite3")
        saved = other.read(session.conversation.id or "")
        assert saved.messages[-1].parts[-1] == call()
        session.tools.permit("c1", Permission.ONCE)
        until(session, lambda seen: any(isinstance(event, CallReturned) for event in seen))
        saved = other.read(session.conversation.id or "")
        assert any(message.role is Role.TOOL for message in saved.messages)
        other.close()


def test_a_refused_call_is_told_to_the_model() -> None:
    with chatting(Script(calls=(call(),)), Script("Then not.")) as (session, _engine, tools):
        session.send("Weather?")
        asked(session)
        session.tools.permit("c1", Permission.REFUSE)
        idle(session)
        assert results(session) == ["The user did not allow this call."]
        assert (tools.runs, session.conversation.path[-1].text) == ([], "Then not.")


@pytest.mark.parametrize("permission", [Permission.CHAT, Permission.ALWAYS])
def test_what_is_granted_for_longer_is_not_asked_again(permission: Permission) -> None:
    steps = (Script(calls=(call(),)), RAIN, Script(calls=(call(id_="c2"),)), RAIN)
    with chatting(*steps) as (session, _, tools):
        session.send("Weather?")
        asked(session)
        session.tools.permit("c1", permission)
        idle(session)
        session.send("And now?")
        assert not any(isinstance(event, PermissionAsked) for event in idle(session))
        assert len(tools.runs) == 2
        assert tools.allowed == ({"weather"} if permission is Permission.ALWAYS else set())


def test_a_grant_for_this_chat_ends_with_it() -> None:
    with chatting(Script(calls=(call(),)), RAIN, Script(calls=(call(),))) as (session, _, _):
        session.send("Weather?")
        asked(session)
        session.tools.permit("c1", Permission.CHAT)
        idle(session)
        session.new()
        session.send("Weather?")
        assert any(isinstance(event, PermissionAsked) for event in asked(session))


def test_several_calls_run_in_their_order_whatever_the_order_of_permission() -> None:
    both = (call(), call("clock", "{}", "c2"))
    with chatting(Script(calls=both), RAIN) as (session, engine, tools):
        session.send("Weather and time?")
        asked(session)
        assert session.tools.waiting == both
        session.tools.permit("c2", Permission.ONCE)
        assert not tools.runs
        assert session.tools.waiting == both[:1]
        session.tools.permit("c1", Permission.ONCE)
        idle(session)
        assert results(session) == ["Rain.", "12:00"]
        assert [message.role for message in engine.turns[1].messages[-2:]] == [Role.TOOL, Role.TOOL]


def test_the_model_must_answer_after_its_last_step() -> None:
    tools = FakeTools(allowed={"weather"})
    endless = [Script(calls=(call(id_=f"c{at}"),)) for at in range(STEPS)]
    with chatting(*endless, RAIN, Script(calls=(call(),)), RAIN, tools=tools) as (session, engine, _):
        session.send("Weather?")
        idle(session)
        assert len(tools.runs) == STEPS
        assert [bool(turn.tools) for turn in engine.turns] == [True] * STEPS + [False]
        session.send("Again?")
        idle(session)
        assert engine.turns[STEPS + 1].tools, "each message has its own steps"


BAD = call("", '{"name": weather}', "bad")


def test_a_malformed_call_is_told_to_the_model_once() -> None:
    with chatting(Script(calls=(BAD,)), RAIN) as (session, _engine, tools):
        session.send("Weather?")
        idle(session)
        assert results(session)[0].startswith("That is no call of a tool. A call is one JSON object")
        assert (session.conversation.path[-1].text, tools.runs) == ("It rains in Paris.", [])


def test_a_second_malformed_call_is_told_to_the_user() -> None:
    worse = call("weather", '{"city": Paris}', "worse")
    with chatting(Script(calls=(BAD,)), Script(calls=(worse,)), RAIN) as (session, engine, _):
        session.send("Weather?")
        (end,) = [event for event in idle(session) if isinstance(event, TurnFailed)]
        assert isinstance(end.error, CallMalformed)
        assert "The arguments of weather are no JSON object" in str(end.error)
        assert len(engine.turns) == 2
        assert len(results(session)) == 2, "what happened is kept"


def test_a_tool_that_is_not_there_is_told_to_the_model() -> None:
    with chatting(Script(calls=(call("<b>rm</b>"),)), RAIN, on=("clock",)) as (session, _, tools):
        session.send("Weather?")
        idle(session)
        assert results(session) == ["There is no tool <b>rm</b>. There are: clock."]
        assert not tools.runs


def test_a_tool_that_is_switched_off_is_neither_offered_nor_run() -> None:
    with chatting(Script(calls=(call(),)), RAIN, on=()) as (session, engine, tools):
        session.send("Weather?")
        idle(session)
        assert engine.turns[0].tools == ()
        assert (tools.runs, results(session)) == ([], ["There is no tool weather. There are: none."])


def test_stop_ends_a_call_that_runs() -> None:
    tools = FakeTools(holds=True, allowed={"weather"})
    with chatting(Script(calls=(call(), call("clock", "{}", "c2"))), RAIN, tools=tools) as (session, engine, _):
        session.send("Weather?")
        until(session, lambda seen: tools.runs)
        session.stop()
        assert not session.busy, "at once"
        assert any(isinstance(event, TurnStopped) for event in session.poll())
        assert (tools.stops, results(session)) == (1, ["The user stopped it."])
        assert session.conversation.path[-1].status is Status.STOPPED
        tools.release()
        time.sleep(0.05)
        session.poll()
        assert len(results(session)) == 1, "what comes late is nobody's"
        session.send("Never mind.")
        idle(session)
        reported = [p.text for m in engine.turns[1].messages for p in m.parts if isinstance(p, ToolResultPart)]
        assert reported == ["The user stopped it.", "The call was not made."]


def test_stop_ends_a_question_about_a_call() -> None:
    with chatting(Script(calls=(call(),)), RAIN) as (session, _, tools):
        session.send("Weather?")
        asked(session)
        session.stop()
        assert any(isinstance(event, TurnStopped) for event in session.poll())
        assert (session.busy, session.tools.waiting, tools.runs) == (False, (), [])
        session.tools.permit("c1", Permission.ONCE)
        assert not tools.runs


def test_leaving_the_chat_ends_its_calls() -> None:
    tools = FakeTools(holds=True, allowed={"weather"})
    with chatting(Script(calls=(call(),)), RAIN, tools=tools) as (session, _, _):
        session.send("Weather?")
        until(session, lambda seen: tools.runs)
        session.new()
        assert (session.busy, tools.stops) == (False, 1)
    assert tools.closed


def test_nothing_else_begins_while_a_tool_is_asked_about() -> None:
    with chatting(Script(calls=(call(),)), RAIN) as (session, _, _):
        session.send("Weather?")
        asked(session)
        with pytest.raises(TurnInProgress):
            session.send("And?")
        with pytest.raises(TurnInProgress):
            session.conversation.delete(session.conversation.path[0].id)


def test_calls_that_a_crash_left_open_go_on(tmp_path: Path) -> None:
    with chatting(Script(calls=(call(),)), library=Library.open(tmp_path / "a.sqlite3")) as (session, _, _):
        session.send("Weather?")
        asked(session)
        conversation = session.conversation.id or ""
        session.library.close()  # as good as a crash: nothing is written any more
    with chatting(RAIN, library=Library.open(tmp_path / "a.sqlite3")) as (session, _, tools):
        session.resume(conversation)
        assert session.replies.lacks_results
        session.replies.go_on()
        asked(session)
        session.tools.permit("c1", Permission.ONCE)
        idle(session)
        assert (len(tools.runs), session.conversation.path[-1].text) == (1, "It rains in Paris.")
        assert not session.replies.lacks_results


def test_a_turn_waits_for_tools_that_get_ready() -> None:
    tools = FakeTools(listing_holds=True, problems=("There is no server nix.",))
    with chatting(RAIN, tools=tools) as (session, engine, _):
        session.send("Hi")
        until(session, lambda seen: session.model.progress is None)
        session.poll()
        assert not engine.turns
        tools.release()
        (listed,) = [event for event in idle(session) if isinstance(event, ToolsListed)]
        assert listed.problems == ("There is no server nix.",)
        assert len(engine.turns[0].tools) == 2


def test_a_model_that_cannot_call_tools_says_so_and_answers_without() -> None:
    with chatting(RAIN, model=MODEL) as (session, engine, _):
        session.send("Weather?")
        listed = [event.problems for event in idle(session) if isinstance(event, ToolsListed) and event.problems]
        assert listed == [("Qwen/Qwen3-0.6B cannot call tools; it answers without them.",)]
        assert engine.turns[0].tools == ()


def test_what_was_set_for_one_answer_is_set_for_its_steps() -> None:
    tools = FakeTools(allowed={"weather"})
    with chatting(RAIN, Script(calls=(call(),)), RAIN, tools=tools) as (session, engine, _):
        session.send("Weather?")
        idle(session)
        session.replies.retry(overrides=SamplingOverrides(temperature=0.25), thinking=False)
        idle(session)
        assert [(turn.sampling.temperature, turn.thinking) for turn in engine.turns[1:]] == [(0.25, False)] * 2


def test_a_retry_asks_the_question_again_not_the_tool() -> None:
    tools = FakeTools(allowed={"weather"})
    with chatting(Script(calls=(call(),)), RAIN, Script("Sun."), tools=tools) as (session, _engine, _):
        session.send("Weather?")
        idle(session)
        session.replies.retry()
        idle(session)
        assert [message.text for message in session.conversation.path] == ["Weather?", "Sun."]


def test_always_that_cannot_be_written_down_counts_for_this_chat() -> None:
    class Readonly(FakeTools):
        def allow_always(self, name: str) -> None:
            raise ConfigInvalid("config.toml cannot be written.")

    with chatting(Script(calls=(call(),)), RAIN, tools=Readonly()) as (session, _, tools):
        session.send("Weather?")
        asked(session)
        session.tools.permit("c1", Permission.ALWAYS)
        (failed,) = [event for event in idle(session) if isinstance(event, PermissionNotSaved)]
        assert failed.in_words == ("config.toml cannot be written. The tool runs without asking until qwenchat ends.")
        assert len(tools.runs) == 1


def test_a_reply_that_only_claims_to_call_is_an_answer() -> None:
    with chatting(Script("Sun.", finish=FinishReason.TOOL_CALLS)) as (session, _, _):
        session.send("Weather?")
        (end,) = [event for event in idle(session) if isinstance(event, TurnEnded)]
        assert isinstance(end, TurnFinished)
        assert end.reason is FinishReason.STOP


def test_reading_ahead_sees_the_tools() -> None:
    with chatting(RAIN) as (session, engine, _):
        session.send("Hi")
        idle(session)
        until(session, lambda seen: engine.ahead and len(engine.ahead[-1].messages) == 2)
        assert len(engine.ahead[-1].tools) == 2


def test_a_message_that_was_deleted_leaves_no_call_without_a_result() -> None:
    tools = FakeTools(allowed={"weather"})
    with chatting(Script(calls=(call(),)), RAIN, RAIN, tools=tools) as (session, engine, _):
        session.send("Weather?")
        idle(session)
        tool: Message = session.conversation.path[2]
        session.conversation.delete(tool.id)
        session.send("And?")
        idle(session)
        reported = [p.text for m in engine.turns[-1].messages for p in m.parts if isinstance(p, ToolResultPart)]
        assert reported == ["The call was not made."]
