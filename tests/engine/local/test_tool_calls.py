"""Calls of tools by the local engine, with a small Qwen3 that was really trained to call one."""

from pathlib import Path

import pytest

from qwenchat.chat.calls import arguments_of, balanced, call_of, open_calls
from qwenchat.chat.engine_commands import LoadModel
from qwenchat.chat.errors import CallMalformed
from qwenchat.chat.events import TextProduced, ToolCalled
from qwenchat.chat.messages import Message, Part, ReasoningPart, Role, TextPart, ToolCallPart, ToolResultPart
from qwenchat.chat.provenance import FinishReason
from qwenchat.chat.reply import GrowingReply
from qwenchat.chat.sampling import SamplingOverrides
from qwenchat.chat.tools import ToolSettings
from qwenchat.engine.local.engine import LocalEngine
from qwenchat.engine.worker import Worker
from qwenchat.library.library import Library
from qwenchat.session.session import Session
from qwenchat.system.paths import Paths
from qwenchat.tools.toolbox import Toolbox
from tests.support.engine_driver import Heard, ask, load
from tests.support.tiny_caller import BROKEN, CALCULATOR, COMPLAINT, SEVERAL, TWELVE, calls, results
from tests.support.tiny_qwen3 import user


@pytest.fixture(scope="module")
def caller(tiny_caller: Path, tmp_path_factory: pytest.TempPathFactory) -> LocalEngine:
    engine = LocalEngine(Paths(*[tmp_path_factory.mktemp("caller")] * 4))
    assert load(engine, tiny_caller).tools
    return engine


def parts_of(received: Heard) -> tuple[Part, ...]:
    growing = GrowingReply()
    for event in received.events[:-1]:
        growing.add(event)  # type: ignore[arg-type]
    return growing.parts()


def called(received: Heard) -> list[tuple[str, str]]:
    return [(event.call.name, event.call.arguments) for event in received.events if isinstance(event, ToolCalled)]


@pytest.mark.parametrize("thinking", [True, False])
def test_a_call_is_told_from_text_by_its_tokens(caller: LocalEngine, thinking: bool) -> None:
    received = ask(caller, user(TWELVE), thinking=thinking, tools=(CALCULATOR,))
    assert called(received) == [("calculator", '{"expression": "12 * 12"}')]
    assert received.answer == ""
    assert received.thought == ("I calculate." if thinking else "")
    assert received.end.reason is FinishReason.TOOL_CALLS
    (call,) = [event for event in received.events if isinstance(event, ToolCalled)]
    assert call.tokens > 5
    assert received.end.usage.answer_tokens >= call.tokens


def test_the_model_answers_from_a_result_and_its_thought_before_the_call(caller: LocalEngine) -> None:
    first = ask(caller, user(TWELVE), tools=(CALCULATOR,))
    asked = Message(Role.ASSISTANT, parts_of(first))
    (call,) = [part for part in asked.parts if isinstance(part, ToolCallPart)]
    result = Message(Role.TOOL, (ToolResultPart(call.id, "calculator", "144"),))
    received = ask(caller, user(TWELVE), asked, result, tools=(CALCULATOR,))
    assert received.answer == "It is 144."
    assert received.end.reason is FinishReason.STOP
    assert received.end.usage.cached_tokens > first.end.usage.prompt_tokens, "what was said is not read again"


def test_several_calls_in_one_turn_with_text_before_them(caller: LocalEngine) -> None:
    received = ask(caller, user(SEVERAL), tools=(CALCULATOR,))
    assert [type(part) for part in parts_of(received)] == [ReasoningPart, TextPart, ToolCallPart, ToolCallPart]
    assert received.answer == "Two at once."
    assert [json for _, json in called(received)] == ['{"expression": "1 + 1"}', '{"expression": "2 + 2"}']


def test_what_is_no_call_is_told_as_it_was_written(caller: LocalEngine) -> None:
    received = ask(caller, user(BROKEN), tools=(CALCULATOR,))
    assert called(received) == [("", '{"name": calculator}')]
    assert received.end.reason is FinishReason.TOOL_CALLS


def test_without_tools_a_call_is_text(caller: LocalEngine) -> None:
    received = ask(caller, user(TWELVE), calls("12 * 12"), *results("144"), user(TWELVE), max_tokens=20)
    assert not called(received)
    assert received.end.reason is not FinishReason.TOOL_CALLS


def test_a_call_that_reaches_the_limit_is_none(caller: LocalEngine) -> None:
    whole = ask(caller, user(TWELVE), thinking=False, tools=(CALCULATOR,))
    tokens = next(event.tokens for event in whole.events if isinstance(event, ToolCalled))
    received = ask(caller, user(TWELVE), thinking=False, tools=(CALCULATOR,), max_tokens=tokens - 1)
    assert not called(received)
    assert not [event for event in received.events if isinstance(event, TextProduced)]
    assert received.end.reason is FinishReason.LENGTH


@pytest.mark.parametrize(
    ("said", "name", "arguments"),
    [
        ('{"name": "clock", "arguments": {"zone": "Größe"}}', "clock", '{"zone": "Größe"}'),
        ('\n{"name": "clock"}\n', "clock", "{}"),
        ('{"name": "clock", "arguments": "UTC"}', "", '{"name": "clock", "arguments": "UTC"}'),
        ('{"name": 3, "arguments": {}}', "", '{"name": 3, "arguments": {}}'),
        ('{"name": "", "arguments": {}}', "", '{"name": "", "arguments": {}}'),
        ("[1]", "", "[1]"),
        ("clock()", "", "clock()"),
        ('{"name": "clock", "arguments": {"a": NaN}}', "", '{"name": "clock", "arguments": {"a": NaN}}'),
        ("[" * 100_000, "", "[" * 100_000),
        ("", "", ""),
        (r'{"name": " clock ", "arguments": "{\"zone\": \"UTC\"}"}', "clock", '{"zone": "UTC"}'),
    ],
    ids=range(11),
)
def test_calls_as_models_write_them(said: str, name: str, arguments: str) -> None:
    call = call_of(said)
    assert (call.name, call.arguments) == (name, arguments)
    if not name:
        with pytest.raises(CallMalformed, match="A call is one JSON object"):
            arguments_of(call)


def test_arguments_that_are_no_object_are_explained_to_the_model() -> None:
    with pytest.raises(CallMalformed, match="The arguments of clock are no JSON object: Expecting"):
        arguments_of(ToolCallPart("1", "clock", '{"zone": UTC}'))
    assert arguments_of(ToolCallPart("1", "clock", "")) == {}


def test_each_call_in_a_history_has_one_result_in_its_place() -> None:
    asked, after = calls("1", "2"), user("Well?")
    two, orphan = results("two", "2")[1], results("three", "three", "three")[2]
    reported = balanced((user("Hi"), *results("0"), asked, two, orphan, after, asked))
    said = [part.text for message in reported for part in message.parts if isinstance(part, ToolResultPart)]
    assert said == ["The call was not made.", "2", "The call was not made.", "The call was not made."]
    roles = ["user", "assistant", "tool", "tool", "user", "assistant", "tool", "tool"]
    assert [str(message.role) for message in reported] == roles


def test_results_of_calls_with_one_id_stay_in_their_order() -> None:
    asked = Message(Role.ASSISTANT, (ToolCallPart("c", "f", "1"), ToolCallPart("c", "f", "2")))
    first, second = (Message(Role.TOOL, (ToolResultPart("c", "f", text),)) for text in "12")
    assert balanced((asked, first, second)) == (asked, first, second)
    assert open_calls((asked, first)) == (asked.parts[1],)


@pytest.mark.parametrize("thinking", [True, False])
def test_a_whole_conversation_with_a_tool(tiny_caller: Path, paths: Paths, thinking: bool) -> None:
    """Session, local engine and toolbox as they are, with a malformed call on the way."""
    box = Toolbox(ToolSettings(always=("calculator",)))
    overrides = SamplingOverrides(temperature=0.0, max_tokens=100)
    session = Session(
        Worker(lambda: LocalEngine(paths)), Library.in_memory(), overrides=overrides, thinking=thinking, tools=box
    )
    session.model.load(LoadModel(str(tiny_caller), device="cpu", quantization="float32"))
    session.switch_tools(("calculator",))
    try:
        for question, answer in ((TWELVE, "It is 144."), (SEVERAL, "They are 2 and 4."), (BROKEN, "It is 144.")):
            session.new()
            session.send(question)
            while session.busy:
                session.wait(10)
            assert session.conversation.path[-1].text == answer
            assert session.conversation.path[-1].reasoning if thinking else not session.conversation.path[-1].reasoning
        given = [
            part.text
            for message in session.conversation.path
            for part in message.parts
            if isinstance(part, ToolResultPart)
        ]
        assert given == [COMPLAINT, "144"]
    finally:
        session.close()


def test_calls_that_wait_for_a_result_are_those_at_the_end() -> None:
    asked = calls("1", "2")
    assert [call.id for call in open_calls((user("Hi"), asked))] == ["0", "1"]
    assert [call.id for call in open_calls((user("Hi"), asked, *results("1")))] == ["1"]
    assert open_calls((user("Hi"), asked, *results("1"), user("Never mind"))) == ()
    assert open_calls(()) == ()
