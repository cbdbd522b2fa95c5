"""The same things as other servers have them: other shapes of calls, thoughts, lists and streams, other wordings."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from qwenchat.chat.errors import ModelNotFound, PromptTooLong, QwenchatError, ServerFaulty, ServerRefused
from qwenchat.chat.events import Channel, ServerNotice, ToolCalled
from qwenchat.chat.provenance import FinishReason
from qwenchat.chat.sampling import Sampling
from qwenchat.engine.base import TurnSignals
from qwenchat.engine.remote import exchange
from qwenchat.engine.remote.engine import RemoteEngine
from qwenchat.engine.remote.tool_schema import simplified
from tests.support.chat_server import DONE, Answer, ChatServer, delta, event, said
from tests.support.tiny_caller import CALCULATOR
from tests.support.tiny_qwen3 import reply, system, user

from .test_engine import ask, ended, load, text, turn

ONE, TWO = '{"expression": "1+1"}', '{"expression": "2+2"}'


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "_AGAIN_S", 0.0)
    monkeypatch.setattr(exchange, "_LOADING_S", 0.0)


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer([Answer(said("Yes."))], models=[{"id": "qwen3-0.6b", "owned_by": "vllm"}]).running() as running:
        yield running


@pytest.fixture
def engine() -> Iterator[RemoteEngine]:
    made = RemoteEngine()
    yield made
    made.close()


def refused(message: Any, status: int = 400) -> Answer:
    body = {"error": {"message": message}} if isinstance(message, str) else message
    return Answer(json.dumps(body).encode(), status, "application/json")


def piece(name: str | None = None, arguments: Any = None, **more: Any) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {**more, "function": {key: value for key, value in function.items() if value is not None}}


def streamed(*pieces: Any, finish: str | None = "tool_calls") -> bytes:
    return b"".join(delta(tool_calls=each) for each in pieces) + (delta(finish) if finish else b"") + DONE


START = "calculator"
CALLS = {
    "two without number and id": (streamed([piece(START, ONE)], [piece(START, TWO)]), [ONE, TWO]),
    "two in one chunk": (streamed([piece(START, ONE), piece(START, TWO)]), [ONE, TWO]),
    "numbers as text": (
        streamed([piece(START, "", index="0")], [piece(None, ONE, index="0")], [piece(START, TWO, index="1")]),
        [ONE, TWO],
    ),
    "ids as numbers": (
        streamed(
            [piece(START, "", index=0, id=1)], [piece(None, ONE, index=0, id=1)], [piece(START, TWO, index=0, id=2)]
        ),
        [ONE, TWO],
    ),
    "name in pieces": (streamed([piece("calcu", "", index=0, id="a")], [piece("lator", ONE, index=0)]), [ONE]),
    "name that grows": (streamed([piece("calcu", "", index=0, id="a")], [piece(START, ONE, index=0)]), [ONE]),
    "name again and again": (
        streamed([piece(START, ONE[:5], index=0, id="a")], [piece(START, ONE[5:], index=0, id="a")]),
        [ONE],
    ),
    "the whole call once more": (
        streamed(
            [piece(START, "", index=0, id="a")], [piece(None, ONE, index=0)], [piece(START, ONE, index=0, id="a")]
        ),
        [ONE],
    ),
    "no arguments at first": (streamed([piece(START, "{}", index=0, id="a")], [piece(None, ONE, index=0)]), [ONE]),
    "null for no arguments": (streamed([piece(START, "null", index=0, id="a")]), ["{}"]),
    "a list for no arguments": (streamed([piece(START, [], index=0, id="a")]), ["{}"]),
    "numbers from the end": (streamed([piece(START, ONE, index=-1)], [piece(START, TWO, index=-1)]), [ONE, TWO]),
    "no list": (streamed(piece(START, ONE, id="a")), [ONE]),
    "no function": (streamed([{"id": "a", "name": START, "arguments": json.loads(ONE)}]), [ONE]),
    "the API's former way": (
        delta(function_call={"name": START}) + delta(function_call={"arguments": ONE}) + delta("function_call") + DONE,
        [ONE],
    ),
    "no finish reason": (streamed([piece(START, ONE, index=0, id="a")], finish=None), [ONE]),
    "written with parameters": (said(f'<tool_call>{{"name": "calculator", "parameters": {ONE}}}</tool_call>'), [ONE]),
    "written as the API has it": (
        said(f'<tool_call>{{"function": {{"name": "calculator", "arguments": {ONE}}}}}</tool_call>'),
        [ONE],
    ),
    "written as a list": (said(f'<tool_call>[{{"name": "calculator", "arguments": {ONE}}}]</tool_call>'), [ONE]),
    "two written in one": (
        said("<tool_call>\n", *(f'{{"name": "calculator", "arguments": {each}}}\n' for each in (ONE, TWO)))
        .replace(DONE, b"") + delta(content="</tool_call>") + DONE,
        [ONE, TWO],
    ),
    "written after a thought": (
        said(f'<think>\nHm.\n</think>\n\n<tool_call>\n{{"name": "calculator", "arguments": {ONE}}}\n</tool_call>'),
        [ONE],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("body", "expected"), CALLS.values(), ids=CALLS)
def test_calls_of_every_shape_are_read(
    engine: RemoteEngine, server: ChatServer, body: bytes, expected: list[str]
) -> None:
    server.answers = [Answer(body)]
    load(engine, server)
    events = ask(engine, tools=(CALCULATOR,))
    calls = [happened.call for happened in events if isinstance(happened, ToolCalled)]
    assert [(call.name, json.loads(call.arguments)) for call in calls] == [
        ("calculator", json.loads(arguments)) for arguments in expected
    ]
    assert ended(events).reason is FinishReason.TOOL_CALLS
    assert text(events) == ""


@pytest.mark.parametrize(
    "body",
    [
        delta(reasoning_content="Hm.") + delta("stop") + DONE,
        delta(reasoning_content="Hm.") + delta(content="\n\n") + DONE,
        said("<think>\nHm.\n</think>\n\n"),
        said("<think>\nHm."),
    ],
    ids=["field", "blank answer", "tags", "open"],
)
def test_a_thought_without_an_answer_is_said_as_an_empty_reply_is(
    engine: RemoteEngine, server: ChatServer, body: bytes
) -> None:
    server.answers = [Answer(body)]
    load(engine, server)
    with pytest.raises(ServerFaulty, match=r"no answer \(.*\). Perhaps it is a call of a tool"):
        ask(engine, tools=(CALCULATOR,))
    server.answers = [Answer(body.replace(b'"stop"', b'"length"'))]
    if b'"length"' in server.answers[0].body:  # it was cut off: the thought is a part of the reply
        assert ended(ask(engine)).reason is FinishReason.LENGTH


@pytest.mark.parametrize(
    "fields",
    [
        {"reasoning_text": "Hm."},
        {"thought": "Hm."},
        {"thinking_content": "Hm."},
        {"thinking_blocks": [{"type": "thinking", "thinking": "Hm."}], "reasoning_content": "Hm."},
        {"content": [{"type": "thought", "text": "Hm."}]},
        {"content": [{"thought": True, "text": "Hm."}]},
        {"content": {"type": "thinking", "thinking": "Hm."}},
        {"reasoning_details": [{"type": "reasoning.summary", "summary": "Hm."}]},
    ],
    ids=str,
)
def test_thoughts_are_found_under_other_names_too(
    engine: RemoteEngine, server: ChatServer, fields: dict[str, Any]
) -> None:
    server.answers = [Answer(delta(**fields) + delta(content="</think>\n\nYes.") + delta("stop") + DONE)]
    load(engine, server)
    events = ask(engine)
    assert (text(events, Channel.THOUGHT), text(events)) == ("Hm.", "Yes.")


STREAMS = {
    "text beside no delta": event({"choices": [{"index": 0, "text": "Yes.", "finish_reason": "stop"}]}) + DONE,
    "empty message beside the delta": event({"choices": [{"delta": {"content": "Yes."}, "message": {"content": ""}}]})
    + DONE,
    "an object to a line": b"".join(
        json.dumps({"choices": [{"delta": {"content": part}}]}).encode() + b"\n" for part in ("Ye", "s.")
    ),
    "an end in other letters": delta(content="Yes.") + b"data: [done]\n\n",
    "an end in quotes": delta(content="Yes.") + b'data: "[DONE]"\n\n',
    "an end beside no field": delta(content="Yes.") + b"[DONE]\n\n",
    "events without anything": b"data: null\n\ndata: []\n\ndata: 1\n\ndata: ping\n\n" + said("Yes."),
    "chunks in a list": b"data: [" + delta(content="Yes.").removeprefix(b"data: ").strip() + b"]\n\n" + DONE,
    "text with the finish reason": delta("stop", content="Ye") + delta(content="s.") + DONE,
}


@pytest.mark.parametrize("body", STREAMS.values(), ids=STREAMS)
def test_replies_of_other_shapes_are_read(engine: RemoteEngine, server: ChatServer, body: bytes) -> None:
    server.answers = [Answer(body)]
    load(engine, server)
    assert text(ask(engine)) == "Yes."


@pytest.mark.parametrize(
    "reason",
    ["sensitive", "content-filter", "CONTENT_FILTERED", "network_error", "insufficient_resource", "timeout",
     "risk_control", "guardrail_intervened", "policy_violation", "SPII", "failed"],
)  # fmt: skip
def test_ends_that_nobody_chose_fail_in_every_word(engine: RemoteEngine, server: ChatServer, reason: str) -> None:
    server.answers = [Answer(delta(content="Half") + delta(reason) + DONE)]
    load(engine, server)
    with pytest.raises(ServerFaulty, match=reason.lower()):
        ask(engine)


@pytest.mark.parametrize(
    ("reason", "expected"),
    [("eos_token", FinishReason.STOP), ("COMPLETE", FinishReason.STOP), ("max_output_tokens", FinishReason.LENGTH),
     ("model_context_window_exceeded", FinishReason.LENGTH)],
)  # fmt: skip
def test_ends_of_other_names_are_ends(
    engine: RemoteEngine, server: ChatServer, reason: str, expected: FinishReason
) -> None:
    server.answers = [Answer(delta(content="Yes.") + delta(reason) + DONE)]
    load(engine, server)
    assert ended(ask(engine)).reason is expected


REFUSALS = {
    "a language without blanks": ("top_k", "参数top_k不支持", 400),
    "another spelling": ("repetition_penalty", "repetitionPenalty is not a recognized parameter", 400),
    "a flag": ("top_k", "unknown argument: --top-k", 400),
    "by the name of the field": ("top_k", {"errors": {"top_k": ["Unknown field."]}}, 422),
    "inside of another's": (
        "top_k", {"error": {"message": "Provider error", "metadata": {"raw": '{"message": "top_k unsupported"}'}}}, 400
    ),
    "with a status for keys": ("top_k", "parameter top_k is not permitted for your plan", 403),
    "as a success": ("top_k", {"success": False, "errors": [{"message": "top_k unsupported"}]}, 200),
    "as a detail of a success": ("top_k", {"detail": "top_k unsupported"}, 200),
    "the template": ("chat_template_kwargs", "chat_template is not supported for Mistral tokenizers.", 400),
    "the switch": ("chat_template_kwargs", "This model does not support thinking toggling", 400),
}  # fmt: skip


@pytest.mark.parametrize(("name", "body", "status"), REFUSALS.values(), ids=REFUSALS)
def test_other_wordings_cost_what_is_refused_alone(
    engine: RemoteEngine, server: ChatServer, name: str, body: Any, status: int
) -> None:
    server.answer = lambda asked: refused(body, status) if name in asked else Answer(said("Yes."))
    load(engine, server)
    (notice,) = [happened.text for happened in ask(engine) if isinstance(happened, ServerNotice)]
    assert notice.endswith(f" it: {name}.")


@pytest.mark.parametrize(
    "message",
    ["Invalid value: 'none'. Supported values are: 'minimal', 'low', 'medium', and 'high'.",
     'think value "none" is not supported for this model', "reasoning effort cannot be disabled"],
)  # fmt: skip
def test_an_effort_that_is_refused_by_its_value_is_left_out_alone(
    engine: RemoteEngine, server: ChatServer, message: str
) -> None:
    server.models = [{"id": "qwen3:8b", "owned_by": "library"}]
    server.answer = lambda asked: refused(message) if "reasoning_effort" in asked else Answer(said("Yes."))
    load(engine, server)
    ask(engine, thinking=False)
    assert server.asked[0].keys() - server.asked[1].keys() == {"reasoning_effort"}


@pytest.mark.parametrize(
    ("message", "given"),
    [
        ("Range of max_tokens should be [1, 1000]", 1000),
        ("max_tokens: 2000 > 1000, which is the maximum allowed number of output tokens for model-4-5", 1000),
        ("max_completion_tokens must be ≤ 1000", 1000),
        ("max_new_tokens (2000) exceeds the limit (1,000)", 1000),
        ("max_tokens must be between 1 and 1000", 1000),
        ("max_tokens 参数超出范围，最大值为 1000", 1000),
        ("This endpoint's maximum context length is 2048 tokens. However, you requested about 2062 tokens (62 of text"
         " input, 2000 in the output). Please reduce the length of either one.", 1986),
        ("`inputs` tokens + `max_new_tokens` must be <= 2048. Given: 62 `inputs` tokens and 2000 `max_new_tokens`",
         1986),
        ("max_tokens=2000 cannot be greater than max_model_len=2048 - prompt 62 = 1986", 1986),
        ("Requested tokens (2062) exceed context window of 2048", 1986),
        ("prompt (62) + max_tokens (2000) exceeds context length 2048", 1986),
        ("input length and `max_tokens` exceed context limit: 62 + 2000 > 2048, decrease input length", 1986),
    ],
)  # fmt: skip
def test_limits_are_read_in_other_wordings(engine: RemoteEngine, server: ChatServer, message: str, given: int) -> None:
    server.answer = lambda asked: refused(message) if asked.get("max_tokens", 0) > given else Answer(said("Yes."))
    load(engine, server)
    ask(engine, sampling=Sampling(max_tokens=2000))
    assert [asked.get("max_tokens") for asked in server.asked] == [2000, given]


@pytest.mark.parametrize(
    ("message", "allowed"),
    [
        ("messages[3]: system role must come before user", ["system"]),
        ("Expected last role User or Tool for serving but got system", ["system"]),
        ("Unexpected role 'system' after role 'assistant'", ["system"]),
        ("Only user and assistant roles are supported!", []),
        ({"detail": [{"loc": ["body", "messages", 0, "role"], "msg": "Input should be 'user' or 'assistant'"}]}, []),
        ("Invalid role: system", []),
        ("该模型不支持系统消息", []),
    ],
)
def test_places_of_system_prompts_are_found_in_other_wordings(
    engine: RemoteEngine, server: ChatServer, message: Any, allowed: list[str]
) -> None:
    def answer(asked: dict[str, Any]) -> Answer:
        roles = [one["role"] for one in asked["messages"]]
        good = "system" not in roles[len(allowed) :]
        return Answer(said("Yes.")) if good else refused(message)

    server.answer = answer
    load(engine, server)
    ask(engine, messages=(system("A"), user("1"), reply("2"), system("B"), user("3")))
    messages = server.asked[-1]["messages"]
    assert [one["role"] for one in messages] == [*allowed, "user", "assistant", "user"]
    assert "A\n\nB" in messages[0]["content"]
    assert server.asked[-1]["top_k"] == server.asked[0]["top_k"]


LISTS = {
    "marked as text": (Answer(b'{"data": [{"id": "a"}]}', kind="text/plain"), "a"),
    "not marked": (Answer(b'\xef\xbb\xbf{"data": [{"id": "a"}]}', kind="application/octet-stream"), "a"),
    "an object to a line": (Answer(b'{"id": "a"}\n{"id": "b"}\n', kind="text/plain"), "a"),
    **{
        str(body): (Answer(json.dumps(body).encode(), kind="application/json"), name)
        for body, name in (
            ({"data": {"data": [{"id": "a"}]}}, "a"),
            ({"data": {"models": [{"id": "a"}]}}, "a"),
            ({"response": {"models": [{"slug": "a"}]}}, "a"),
            ({"model_list": [{"modelName": "a"}]}, "a"),
            ({"id": "a", "object": "model"}, "a"),
            ([{"id": "a", "active": False}, {"id": "b"}], "b"),
            ([{"id": "a", "capabilities": {"completion_chat": False}}, {"id": "b"}], "b"),
            ([{"id": "a", "type": "image"}, {"id": "b", "type": "chat"}], "b"),
            ([{"id": "a", "architecture": {"output_modalities": ["embeddings"]}}, {"id": "b"}], "b"),
            ([{"id": "a", "supported_endpoints": ["/v1/embeddings"]}, {"id": "b"}], "b"),
        )
    },
}


@pytest.mark.parametrize(("page", "name"), LISTS.values(), ids=LISTS)
def test_lists_of_other_shapes_are_read(engine: RemoteEngine, server: ChatServer, page: Answer, name: str) -> None:
    server.pages["/v1/models"] = page
    assert load(engine, server).name == name


def test_a_page_in_place_of_the_list_hides_no_model_that_was_named(engine: RemoteEngine, server: ChatServer) -> None:
    server.pages["/v1/models"] = Answer(b"<html><p>Hello</p></html>", kind="text/html")
    load(engine, server, model="x")
    assert text(ask(engine)) == "Yes."


LOADING = [
    Answer(b"Model is loading", 503, "text/plain"),
    refused({"error": "Model Qwen/Qwen3-8B is currently loading", "estimated_time": 20}, 503),
    refused({"error": "llm server loading model"}, 500),
    refused("model is still loading, try again", 429),
    refused("Model is loading, please wait", 400),
    refused({"detail": "The model is not ready yet"}, 503),
    Answer(event({"error": {"message": "Loading model", "code": 503}})),
]
BROKEN = ["The server is overloaded", "Failed to load model: out of memory", "under heavy load", "no worker: workload"]


@pytest.mark.parametrize("answer", LOADING, ids=lambda answer: answer.body.decode()[:40])
def test_a_server_that_loads_is_waited_for_in_whichever_words(
    engine: RemoteEngine, server: ChatServer, answer: Answer
) -> None:
    server.answers = [*[answer] * 5, Answer(said("Yes."))]
    load(engine, server)
    assert text(ask(engine)) == "Yes."


@pytest.mark.parametrize("words", BROKEN)
def test_what_will_not_be_loaded_in_a_while_either_is_said_soon(
    engine: RemoteEngine, server: ChatServer, words: str
) -> None:
    server.answers = [refused(words, 503)]
    load(engine, server)
    with pytest.raises(QwenchatError, match=f"{words}. Try again"):
        list(engine.generate(turn(), TurnSignals()))
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    "message",
    [
        "Invalid JSON payload received. Unknown name \"maxLength\" at 'tools[0].function_declarations[0].parameters'",
        "Invalid schema for function 'calculator': 'additionalProperties' is not permitted",
        "tools.0.function.parameters: keyword 'maxLength' is not supported",
        {"detail": [{"loc": ["body", "tools", 0, "function", "parameters"], "msg": "unsupported property"}]},
    ],
    ids=str,
)
def test_a_schema_that_says_too_much_for_a_server_is_said_in_less_and_the_tools_stay(
    engine: RemoteEngine, server: ChatServer, message: Any
) -> None:
    def answer(asked: dict[str, Any]) -> Answer:
        odd = any(word in json.dumps(asked.get("tools", [])) for word in ("maxLength", "additionalProperties"))
        return refused(message) if odd else Answer(streamed([piece("calculator", ONE, index=0, id="a")]))

    server.answer = answer
    load(engine, server)
    for _ in range(2):
        events = ask(engine, tools=(CALCULATOR,))
        assert [happened.call.name for happened in events if isinstance(happened, ToolCalled)] == ["calculator"]
    parameters = server.asked[-1]["tools"][0]["function"]["parameters"]
    assert (parameters["type"], parameters["required"]) == ("object", ["expression"])
    assert parameters["properties"]["expression"]["type"] == "string"
    assert len(server.asked) == 3


SIMPLE = [
    ({"properties": {"a": {"type": ["null", "integer"], "default": 1}}}, {"a": {"type": "integer"}}),
    ({"properties": {"a": {"anyOf": [{"type": "null"}, {"type": "string"}]}}}, {"a": {"type": "string"}}),
    ({"properties": {"a": {"type": "array"}}}, {"a": {"type": "array", "items": {"type": "string"}}}),
    ({"properties": {"a": {"$ref": "#/$defs/A"}}, "required": ["b"]}, {"a": {"type": "object"}}),
    (
        {"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"properties": {"b": {"$ref": "#/$defs/A"}}}}},
        {"a": {"type": "object", "properties": {"b": {"type": "object"}}}},
    ),
    (
        {
            "properties": {"a": {"items": {"$ref": "#/$defs/A"}, "type": "array"}},
            "$defs": {"A": {"enum": ["x"], "type": "string"}},
        },
        {"a": {"type": "array", "items": {"type": "string", "enum": ["x"]}}},
    ),
    ({"properties": {"a": True}}, {"a": {"type": "string"}}),
    (
        {"properties": {"a": {"properties": {"b": {"enum": ["x"], "pattern": "x"}}}}},
        {"a": {"type": "object", "properties": {"b": {"enum": ["x"], "type": "string"}}}},
    ),
    ({}, {}),
]


@pytest.mark.parametrize(("schema", "expected"), SIMPLE, ids=str)
def test_schemas_of_every_shape_can_be_said_in_less(schema: dict[str, Any], expected: dict[str, Any]) -> None:
    tool = {"type": "function", "function": {"name": "f", "description": "d", "parameters": schema}}
    parameters = {"type": "object", "properties": expected}
    assert simplified(tool)["function"] == {"name": "f", "description": "d", "parameters": parameters}


@pytest.mark.parametrize(
    ("row", "window", "thinking"),
    [
        ({"max_context_length": 4096}, 4096, "switched"),
        ({"meta": {"n_ctx": 4096, "n_ctx_train": 40960}}, 4096, "switched"),
        ({"top_provider": {"context_length": "4096"}}, 4096, "switched"),
        ({"context_length": True, "max_model_len": -1}, 0, "switched"),
        ({"base_model": "Qwen/Qwen3-4B-Instruct-2507"}, 0, "none"),
        ({"root": "mine", "hugging_face_id": "Qwen/Qwen3-4B-Thinking-2507"}, 0, "always"),
    ],
    ids=str,
)
def test_what_lists_say_of_a_model_is_found_under_other_names(
    engine: RemoteEngine, server: ChatServer, row: dict[str, Any], window: int, thinking: str
) -> None:
    server.models = [{"id": "mine", "owned_by": "vllm", **row}]
    model = load(engine, server)
    assert (model.context_window, model.thinking) == (window, thinking)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refused("The model `x` does not exist."), ModelNotFound),
        (refused("model 'x' not found, try pulling it first", 500), ModelNotFound),
        (refused("Invalid API key"), ServerRefused),
        (refused("Incorrect API key provided: abc", 500), ServerRefused),
        (refused("prompt is too long: 210000 tokens > 200000 maximum"), PromptTooLong),
        (refused("payload too large", 413), PromptTooLong),
        (Answer(event({"choices": [{"delta": {}, "finish_reason": "error", "error": "died"}]})), ServerFaulty),
    ],
    ids=str,
)
def test_errors_are_what_they_say_whatever_their_status(
    engine: RemoteEngine, server: ChatServer, answer: Answer, kind: type[QwenchatError]
) -> None:
    server.answers = [answer]
    load(engine, server)
    with pytest.raises(kind):
        ask(engine)


def test_what_a_refusal_repeats_of_the_request_counts_for_nothing(engine: RemoteEngine, server: ChatServer) -> None:
    body = {"detail": [{"type": "invalid", "input": {"top_k": 20, "messages": "a secret"}, "min_p": ["unknown field"]}]}
    server.answer = lambda asked: refused(body, 422) if "min_p" in asked else Answer(said("Yes."))
    load(engine, server)
    (notice,) = [happened.text for happened in ask(engine) if isinstance(happened, ServerNotice)]
    assert notice.endswith(" it: min_p.")
    server.answers, server.answer = [refused({"detail": [{"input": "a secret"}]}, 403)], None
    with pytest.raises(QwenchatError) as caught:
        ask(engine)
    assert "secret" not in str(caught.value)
