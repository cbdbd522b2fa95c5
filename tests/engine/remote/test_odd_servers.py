"""Servers that lack, refuse or word something differently: that costs the feature and is said once, never the chat."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from qwenchat.chat.errors import ModelNotFound, PromptTooLong, QwenchatError, ServerFaulty, ServerUnreachable
from qwenchat.chat.events import (
    Channel,
    ModelLearned,
    RequestAccepted,
    ServerNotice,
    ThoughtEnded,
    TurnEvent,
    TurnFinished,
)
from qwenchat.chat.messages import Message, ReasoningPart, Role, Status
from qwenchat.chat.provenance import FinishReason, ThinkingSupport, ThoughtCut
from qwenchat.chat.sampling import Sampling
from qwenchat.engine.base import TurnSignals
from qwenchat.engine.remote import exchange
from qwenchat.engine.remote.engine import RemoteEngine
from tests.support.chat_server import DONE, Answer, ChatServer, delta, event, said, usage
from tests.support.tiny_caller import CALCULATOR
from tests.support.tiny_qwen3 import reply, system, user

from .test_engine import ask, ended, load, text, turn


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "_AGAIN_S", 0.0)
    monkeypatch.setattr(exchange, "_LOADING_S", 0.0)


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer([Answer(said("Good day."))]).running() as running:
        yield running


@pytest.fixture
def engine() -> Iterator[RemoteEngine]:
    made = RemoteEngine()
    yield made
    made.close()


def refusal(body: Any, status: int = 400) -> Answer:
    return Answer(json.dumps(body).encode(), status, "application/json")


def openai_error(message: str, **fields: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", **fields}}


def refusing(name: str, body: Any, status: int = 400) -> Any:
    """A server that refuses a request with that parameter in it."""
    return lambda asked: refusal(body, status) if name in asked else Answer(said("Good day."))


def notices(events: list[TurnEvent]) -> list[str]:
    return [happened.text for happened in events if isinstance(happened, ServerNotice)]


def sent(events: list[TurnEvent]) -> RequestAccepted:
    (accepted,) = [happened for happened in events if isinstance(happened, RequestAccepted)]
    return accepted


REFUSALS = [
    ("seed", {"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]}, 422),
    ("stream_options", openai_error("Extra inputs are not permitted, field: 'stream_options'"), 400),
    ("stream_options", openai_error("include_usage is not available here"), 400),
    ("top_k", openai_error("Unrecognized request argument supplied: top_k"), 400),
    ("min_p", openai_error("Unsupported parameter.", param="min_p", code="unsupported_parameter"), 400),
    ("min_p", {"error": "json: unknown field \"min_p\""}, 500),
    ("repetition_penalty", {"message": "property 'repetition_penalty' is unsupported"}, 501),
    ("presence_penalty", {"detail": "Penalties are not supported by this backend"}, 400),
    ("chat_template_kwargs", {"object": "error", "message": "enable_thinking is unknown", "code": 400}, 400),
    ("temperature", openai_error("'temperature' does not support 0.6 with this model. Only the default (1) is."), 400),
    ("tools", openai_error("No endpoints found that support tool use", code=404), 404),
    ("tools", openai_error("registry.ollama.ai/library/x does not support tools"), 400),
    ("response_format", openai_error("This model does not support structured outputs"), 400),
    ("top_k", "top_k: extra fields not permitted", 400),
    ("min_p", {"error": {"message": "Bad request", "details": [{"msg": "unknown", "loc": ["body", "min_p"]}]}}, 400),
]  # fmt: skip


class TestRefusedParameters:
    @pytest.mark.parametrize(("name", "body", "status"), REFUSALS, ids=lambda value: str(value)[:40])
    def test_whichever_parameter_is_refused_in_whichever_words_the_chat_goes_on_and_it_is_said_once(
        self, engine: RemoteEngine, server: ChatServer, name: str, body: Any, status: int
    ) -> None:
        server.models = [{"id": "qwen3-0.6b", "owned_by": "vllm"}]
        server.answer = refusing(name, body, status)
        load(engine, server)
        sampling = Sampling(presence_penalty=1.0, seed=5, max_tokens=50)
        schema = "{}" if name == "response_format" else None
        command = {"sampling": sampling, "tools": (CALCULATOR,), "schema": schema}
        if schema:
            server.answer = lambda asked: refusal(body, status) if name in asked else Answer(said("{}"))
        first, second = ask(engine, **command), ask(engine, **command)
        assert text(first) == text(second) == ("{}" if schema else "Good day.")
        assert [name in asked for asked in server.asked] == [True, False, False]
        others = {"top_k", "min_p", "temperature", "tools", "max_tokens"} - {name}
        assert all(others <= asked.keys() for asked in server.asked)
        assert len(notices(first)) == (name != "stream_options")
        assert notices(second) == []

    @pytest.mark.parametrize("inside", ["stream", "object"])
    def test_a_refusal_inside_of_a_reply_counts_as_one(
        self, engine: RemoteEngine, server: ChatServer, inside: str
    ) -> None:
        error = openai_error("Unknown parameter: 'seed'", code=400)
        body = event(error) if inside == "stream" else json.dumps(error).encode()
        server.answer = lambda asked: Answer(body if "seed" in asked else said("Yes."))
        load(engine, server)
        assert text(ask(engine)) == "Yes."
        assert len(server.asked) == 2

    def test_a_limit_goes_by_the_other_name_where_the_server_has_that(
        self, engine: RemoteEngine, server: ChatServer
    ) -> None:
        message = (
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
        )
        server.answer = refusing("max_tokens", openai_error(message, param="max_tokens"))
        load(engine, server)
        events = ask(engine, sampling=Sampling(max_tokens=77))
        assert [asked.get("max_completion_tokens") for asked in server.asked] == [None, 77]
        assert (sent(events).sampling.max_tokens, notices(events)) == (77, [])

    @pytest.mark.parametrize(
        ("message", "given"),
        [
            ("This model's maximum context length is 2048 tokens. However, you requested 2062 tokens"
             " (62 in the messages, 2000 in the completion).", 1986),
            ("'max_tokens' or 'max_completion_tokens' is too large: 2000. This model's maximum context length is 2048"
             " tokens and your request has 62 input tokens (2000 > 2048 - 62).", 1986),
            ("Requested token count exceeds the model's maximum context length of 2048 tokens. You requested a total of"
             " 2062 tokens: 62 tokens from the input messages and 2000 tokens for the completion.", 1986),
            ("max_tokens is too large: 2000. This model supports at most 1,000 completion tokens.", 1000),
            ("Invalid max_tokens value, the valid range of max_tokens is [1, 1000]", 1000),
            ("`max_tokens` must be less than or equal to `1000`, the maximum value for `max_tokens`", 1000),
        ],
    )  # fmt: skip
    def test_a_limit_that_is_too_large_becomes_what_the_server_takes_and_that_is_said(
        self, engine: RemoteEngine, server: ChatServer, message: str, given: int
    ) -> None:
        server.answer = lambda asked: (
            refusal(openai_error(message)) if asked.get("max_tokens", 0) > given else Answer(said("Yes."))
        )
        server.models = [{"id": "qwen3-0.6b", "owned_by": "sglang", "max_model_len": 2048}]
        load(engine, server)
        events = ask(engine, sampling=Sampling(max_tokens=2000))
        assert [asked["max_tokens"] for asked in server.asked] == [2000, given]
        assert sent(events).sampling.max_tokens == given
        assert f"{given:,}" in notices(events)[0]

    def test_a_refusal_without_a_reason_is_met_with_less_twice_at_most(
        self, engine: RemoteEngine, server: ChatServer
    ) -> None:
        plain = {"model", "messages", "stream", "temperature", "top_p", "max_tokens"}
        server.models = [{"id": "qwen3-0.6b", "owned_by": "vllm"}]
        server.answer = lambda asked: refusal({}) if asked.keys() - plain else Answer(said("Yes."))
        load(engine, server)
        assert text(ask(engine)) == "Yes."
        assert len(server.asked) == 2
        server.answer = lambda asked: refusal({"error": "Bad Request"})
        load(engine, server)
        server.asked.clear()
        with pytest.raises(ServerFaulty, match="Bad Request"):
            ask(engine)
        assert len(server.asked) == 3

    def test_what_is_not_about_parameters_is_sent_once_and_said(self, engine: RemoteEngine, server: ChatServer) -> None:
        server.answers = [refusal(openai_error("Your credit balance is too low"))]
        load(engine, server)
        with pytest.raises(ServerFaulty, match="credit balance"):
            ask(engine)
        assert len(server.asked) == 1

    def test_nothing_is_sent_again_once_text_has_come(self, engine: RemoteEngine, server: ChatServer) -> None:
        server.answers = [Answer(delta(content="Half") + event(openai_error("unknown field: seed")))]
        load(engine, server)
        with pytest.raises(ServerFaulty, match="unknown field"):
            ask(engine)
        assert len(server.asked) == 1

    def test_details_are_what_was_sent(self, engine: RemoteEngine, server: ChatServer) -> None:
        server.models = [{"id": "qwen3-0.6b", "owned_by": "library"}]
        load(engine, server)
        accepted = sent(ask(engine, sampling=Sampling(seed=3), thinking_budget=50, tools=(CALCULATOR,)))
        assert accepted.omitted == ("repetition_penalty", "top_k", "min_p")
        assert (accepted.sampling.seed, accepted.thinking_budget, accepted.tools) == (3, None, (CALCULATOR,))
        server.answer = refusing("seed", openai_error("seed"))
        accepted = sent(ask(engine, sampling=Sampling(seed=3)))
        assert "seed" in accepted.omitted
        assert accepted.sampling.seed is None

    def test_a_server_that_cannot_stream_answers_at_once(self, engine: RemoteEngine, server: ChatServer) -> None:
        whole = {"choices": [{"message": {"role": "assistant", "content": "All."}, "finish_reason": "stop"}]}
        server.answer = lambda asked: (
            refusal(openai_error("Your organization must be verified to stream this model.", param="stream"))
            if asked.get("stream") else refusal(whole, 200)
        )  # fmt: skip
        load(engine, server)
        assert text(ask(engine)) == "All."


class TestMessages:
    def test_a_reply_that_was_stopped_in_its_thought_is_not_sent_as_an_empty_one(
        self, engine: RemoteEngine, server: ChatServer
    ) -> None:
        load(engine, server)
        stopped = Message(Role.ASSISTANT, (ReasoningPart("Hm"),), status=Status.STOPPED)
        ask(engine, messages=(user("One"), stopped, user("Two")))
        assert server.asked[0]["messages"] == [{"role": "user", "content": "One\n\nTwo"}]

    @pytest.mark.parametrize(
        ("message", "expected"),
        [
            ("System message must be at the beginning.",
             [("system", "A\n\nB"), ("user", "1"), ("assistant", "2"), ("user", "3")]),
            ("System role not supported", [("user", "A\n\nB\n\n1"), ("assistant", "2"), ("user", "3")]),
        ],
    )  # fmt: skip
    def test_system_prompts_go_where_the_template_takes_them(
        self, engine: RemoteEngine, server: ChatServer, message: str, expected: list[tuple[str, str]]
    ) -> None:
        def answer(asked: dict[str, Any]) -> Answer:
            roles = [one["role"] for one in asked["messages"]]
            allowed = roles[:1] if "beginning" in message else []
            good = roles.count("system") == allowed.count("system")
            return Answer(said("Yes.")) if good else refusal(openai_error(message))

        server.answer = answer
        load(engine, server)
        history = (system("A"), user("1"), reply("2"), system("B"), user("3"))
        assert text(ask(engine, messages=history)) == "Yes."
        assert [(one["role"], one["content"]) for one in server.asked[-1]["messages"]] == expected
        ask(engine, messages=history)
        assert len(server.asked) == 3


class TestStreams:
    @pytest.mark.parametrize(
        "body",
        [
            delta(content="Yes.") + DONE,
            delta(content="Yes.") + b"data: \n\n" + delta("stop"),
            b": PROCESSING\n\nevent: ping\ndata: {\"type\": \"ping\"}\n\n" + delta(content="Yes.") + DONE,
            (delta(content="Yes.") + delta("stop")).replace(b"data: ", b"data:"),
            (delta(content="Yes.") + delta("stop")).replace(b"\n", b"\r\n"),
            (delta(content="Yes.") + delta("stop")).replace(b"\n", b"\r"),
            b"\xef\xbb\xbf" + delta(content="Yes.") + delta("stop"),
            event({"choices": None}) + event({"choices": [{"delta": None}]}) + event({"choices": [None, 1]})
            + delta(content="Yes.") + delta("stop") + event({"choices": [], "usage": None}),
            delta(content="Yes.") + delta("eos") + usage(3, 1),
            delta(role="assistant", content=None) + delta(content=[{"type": "text", "text": "Yes."}]) + delta("stop"),
            json.dumps({"choices": [{"message": {"content": "Yes."}, "finish_reason": "stop"}]}, indent=1).encode(),
            delta(content="Yes.") + delta("stop").rstrip(b"\n"),
            delta(content="Yes.") + b"garbage\n\n" + delta("stop"),
        ],
        ids=["no finish reason", "empty data", "comments", "no blank", "CRLF", "CR", "BOM", "nulls", "own reason",
             "content list", "one object", "no last line end", "a line that is none"],
    )  # fmt: skip
    @pytest.mark.parametrize("step", [0, 3])
    def test_every_shape_of_a_whole_reply_is_read(
        self, engine: RemoteEngine, server: ChatServer, body: bytes, step: int
    ) -> None:
        server.answers = [Answer(body, step=step)]
        load(engine, server)
        events = ask(engine)
        assert (text(events), ended(events).reason) == ("Yes.", FinishReason.STOP)

    @pytest.mark.parametrize(
        "fields",
        [
            {"reasoning": "Hm."},
            {"reasoning_content": "Hm."},
            {"reasoning": "Hm.", "reasoning_content": "Hm."},
            {"reasoning_details": [{"type": "reasoning.text", "text": "Hm."}]},
            {"thinking": "Hm."},
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}]},
            {"content": None, "reasoning": {"content": "Hm."}},
        ],
    )
    def test_a_thought_is_found_wherever_servers_put_it(
        self, engine: RemoteEngine, server: ChatServer, fields: dict[str, Any]
    ) -> None:
        server.answers = [Answer(delta(**fields) + delta(content="Yes.") + delta("stop") + DONE)]
        load(engine, server)
        events = ask(engine)
        assert (text(events, Channel.THOUGHT), text(events)) == ("Hm.", "Yes.")

    @pytest.mark.parametrize("reason", ["content_filter", "SAFETY", "error"])
    def test_a_reply_that_the_server_ended_fails_with_its_reason_and_keeps_what_came(
        self, engine: RemoteEngine, server: ChatServer, reason: str
    ) -> None:
        server.answers = [Answer(delta(content="The first half") + delta(reason) + DONE)]
        load(engine, server)
        came: list[TurnEvent] = []
        with pytest.raises(ServerFaulty, match=reason.lower()):
            came.extend(engine.generate(turn(), TurnSignals()))
        assert len(server.asked) == 1

    @pytest.mark.parametrize(
        "body", [said(), delta(content="") + delta("stop"), DONE, delta(content="<think>\n</think>\n") + DONE]
    )
    def test_an_empty_reply_is_said(self, engine: RemoteEngine, server: ChatServer, body: bytes) -> None:
        server.answers = [Answer(body)]
        load(engine, server)
        with pytest.raises(ServerFaulty, match="empty reply"):
            ask(engine)
        with pytest.raises(ServerFaulty, match="a call of a tool that the server could not read"):
            ask(engine, tools=(CALCULATOR,))

    def test_what_a_model_that_cannot_think_says_as_its_thought_is_the_answer(
        self, engine: RemoteEngine, server: ChatServer
    ) -> None:
        server.models = [{"id": "Qwen/Qwen3-4B-Instruct-2507", "owned_by": "vllm"}]
        server.answers = [Answer(delta(reasoning_content="Paris") + delta("stop") + DONE)]
        load(engine, server)
        for thinking in (True, False):
            events = ask(engine, thinking=thinking)
            assert (text(events, Channel.THOUGHT), text(events)) == ("", "Paris")

    def test_a_thought_that_only_ends_is_one(self, engine: RemoteEngine, server: ChatServer) -> None:
        server.models = [{"id": "local", "owned_by": "vllm", "root": "Qwen/Qwen3-30B-A3B-Thinking-2507"}]
        server.answers = [Answer(said("Okay, ", "hm.\n</think>\n\nYes."))]
        assert load(engine, server).thinking is ThinkingSupport.ALWAYS
        for thinking in (True, False):
            answered = ended(ask(engine, thinking=thinking))
            assert answered.reason is FinishReason.STOP


class TestConnections:
    @pytest.mark.parametrize("begun", [False, True])
    def test_a_connection_that_breaks_off_is_not_said_to_be_none(
        self, engine: RemoteEngine, server: ChatServer, begun: bool
    ) -> None:
        server.answers = [Answer(delta(content="Half") if begun else b"", resets=True)]
        load(engine, server)
        with pytest.raises(ServerUnreachable, match="broke off" if begun else "broke off before the first word"):
            ask(engine)
        assert len(server.asked) == (1 if begun else 3)

    def test_a_stream_that_just_ends_broke_off(self, engine: RemoteEngine, server: ChatServer) -> None:
        server.answers = [Answer(delta(content="Half"))]
        load(engine, server)
        with pytest.raises(ServerUnreachable, match="broke off"):
            ask(engine)

    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            (delta(content="Half"), "broke off. What came is kept"),
            (delta(reasoning="Hm."), "broke off. What came is kept"),
            (b"", "broke off before the first word"),
            (b": waiting\n\n", "broke off before the first word"),
        ],
        ids=["in its answer", "in its thought", "before the first word", "after a comment"],
    )
    def test_a_stream_of_http_1_0_that_ends_without_a_sign_broke_off(
        self, engine: RemoteEngine, server: ChatServer, body: bytes, expected: str
    ) -> None:
        server.answers = [Answer(body, bare=True)]
        load(engine, server)
        with pytest.raises(ServerUnreachable, match=expected):
            ask(engine)
        assert len(server.asked) == (3 if "before" in expected else 1)

    @pytest.mark.parametrize("end", [delta("stop"), DONE], ids=["a finish reason", "the end of the stream"])
    def test_one_of_the_two_signs_is_enough(self, engine: RemoteEngine, server: ChatServer, end: bytes) -> None:
        server.answers = [Answer(delta(content="Yes.") + end, bare=True)]
        load(engine, server)
        assert text(ask(engine)) == "Yes."

    def test_a_server_that_loads_its_model_is_waited_for_as_long_as_patience_lasts(
        self, engine: RemoteEngine, server: ChatServer
    ) -> None:
        loading = refusal({"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}}, 503)
        server.answers = [loading, loading, loading, loading, Answer(said("Yes."))]
        load(engine, server)
        events = ask(engine)
        assert text(events) == "Yes."
        assert len(notices(events)) == 1
        server.answers = [loading]
        load(engine, server, patience_s=0.2)
        with pytest.raises(ServerFaulty, match="Loading model"):
            ask(engine)

    def test_the_whole_address_stands_in_the_error(self, engine: RemoteEngine, server: ChatServer) -> None:
        load(engine, server)
        server.answers = [refusal({"error": {"message": "not found"}}, 404)]
        with pytest.raises(ModelNotFound, match=f"{server.url}/v1/chat/completions"):
            ask(engine)


LISTS = [
    ([{"id": "a"}, {"id": "b"}], "a"),
    ({"data": [{"id": "text-embedding-x"}, {"id": "nomic-embed"}, {"id": "b"}]}, "b"),
    ({"models": [{"name": "a"}]}, "a"),
    ({"data": {"a": {"context_length": 5}}}, "a"),
    ({"data": ["a", "b"]}, "a"),
    ({"data": [None, 5, {"id": None}, {"id": 7}]}, "7"),
    ({"data": [{"id": "a", "type": "embeddings"}, {"id": "b", "type": "llm"}]}, "b"),
    ({"data": [{"id": "a", "status": {"value": "unloaded"}}, {"id": "b", "status": {"value": "loaded"}}]}, "b"),
]


class TestLists:
    @pytest.mark.parametrize(("answer", "name"), LISTS)
    def test_lists_of_every_shape_are_read_and_a_chat_model_is_chosen(
        self, engine: RemoteEngine, server: ChatServer, answer: Any, name: str
    ) -> None:
        server.pages["/v1/models"] = Answer(json.dumps(answer).encode(), kind="application/json")
        assert load(engine, server).name == name

    @pytest.mark.parametrize(
        "page",
        [
            Answer(b'{"detail": "Not Found"}', 404, "application/json"),
            Answer(b"", 405, "text/plain"),
            Answer(b'{"error": "may not list"}', 403, "application/json"),
            Answer(b'{"object": "list", "data": null}', kind="application/json"),
            Answer(b"", kind="application/json"),
            Answer(b"null", kind="application/json"),
        ],
        ids=["404", "405", "403", "null", "empty", "nothing"],
    )
    def test_without_a_list_the_model_that_was_named_is_asked(
        self, engine: RemoteEngine, server: ChatServer, page: Answer
    ) -> None:
        server.pages["/v1/models"] = page
        assert load(engine, server, model="qwen3").name == "qwen3"
        assert text(ask(engine)) == "Good day."
        with pytest.raises(QwenchatError, match=r"Name one: --model|key"):
            load(engine, server)

    def test_one_that_is_not_on_the_first_page_is_tried(self, engine: RemoteEngine, server: ChatServer) -> None:
        page = {"data": [{"id": "a"}], "has_more": True}
        server.pages["/v1/models"] = Answer(json.dumps(page).encode(), kind="application/json")
        assert load(engine, server, model="z").name == "z"

    def test_a_list_is_waited_for_while_the_server_loads(
        self, engine: RemoteEngine, server: ChatServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("qwenchat.engine.remote.listing.AGAIN_S", 0.05)
        server.pages["/v1/models"] = Answer(b"{}", 503, "application/json", {"x-should-retry": "false"})
        threading.Timer(0.3, server.pages.clear).start()
        assert load(engine, server).name == "qwen3-0.6b"


class TestAbilities:
    def test_a_name_of_the_servers_own_hides_no_switch(self, engine: RemoteEngine, server: ChatServer) -> None:
        server.models = [{"id": "local", "owned_by": "vllm", "root": "Qwen/Qwen3-8B"}]
        assert load(engine, server).thinking is ThinkingSupport.SWITCHED
        ask(engine, thinking=False)
        assert server.asked[0]["chat_template_kwargs"] == {"enable_thinking": False}

    def test_what_is_not_known_to_think_is_asked_to_and_watched(self, engine: RemoteEngine, server: ChatServer) -> None:
        server.models = [{"id": "mystery", "owned_by": "vllm"}]
        assert load(engine, server).thinking is ThinkingSupport.SWITCHED
        assert "did not" in notices(ask(engine))[0]
        server.answers = [Answer(said("<think>Hm.</think>Yes."))]
        events = ask(engine, thinking=False)
        assert "although" in notices(events)[0]
        assert load(engine, server, thinking=ThinkingSupport.NONE).thinking is ThinkingSupport.NONE

    def test_a_router_is_asked_about_the_model_by_name(self, engine: RemoteEngine, server: ChatServer) -> None:
        server.models = [{"id": "q/8b", "owned_by": "llamacpp"}]
        server.pages["/props"] = {"role": "router", "default_generation_settings": {"n_ctx": 0}}
        server.pages["/props?model=q%2F8b"] = {
            "default_generation_settings": {"n_ctx": 8192},
            "chat_template": "{{ enable_thinking }}",
        }
        model = load(engine, server)
        assert (model.context_window, model.thinking) == (8192, ThinkingSupport.SWITCHED)

    def test_the_context_of_a_model_that_was_not_loaded_is_asked_again_after_the_first_reply(
        self, engine: RemoteEngine, server: ChatServer
    ) -> None:
        server.models = [{"id": "qwen3-8b", "owned_by": "organization_owner"}]
        page = "/api/v0/models/qwen3-8b"
        server.pages[page] = {"id": "qwen3-8b", "state": "not-loaded", "max_context_length": 40960}
        assert load(engine, server).context_window == 0
        server.pages[page] = {"id": "qwen3-8b", "state": "loaded", "loaded_context_length": 8192}
        learned = [happened.model for happened in ask(engine) if isinstance(happened, ModelLearned)]
        assert [model.context_window for model in learned] == [8192]
        assert not [happened for happened in ask(engine) if isinstance(happened, ModelLearned)]

    def test_a_soft_switch_is_used_for_models_that_have_it_alone(
        self, engine: RemoteEngine, server: ChatServer
    ) -> None:
        for name, support, last in (
            ("qwen3-8b", ThinkingSupport.SWITCHED, "Hello\n/no_think"),
            ("qwen3.5-9b", ThinkingSupport.ALWAYS, "Hello"),
            ("gpt-5-mini", ThinkingSupport.NONE, "Hello"),
        ):
            server.models = [{"id": name, "owned_by": "organization_owner"}]
            assert load(engine, server).thinking is support
            assert len(notices(ask(engine, thinking=False))) == (support is ThinkingSupport.ALWAYS)
            assert server.asked[-1]["messages"][-1]["content"] == last

    def test_a_budget_that_the_server_does_not_know_is_said_once(
        self, engine: RemoteEngine, server: ChatServer
    ) -> None:
        server.models = [{"id": "qwen3-8b", "owned_by": "sglang"}]
        load(engine, server)
        assert "no thinking budget" in notices(ask(engine, thinking_budget=50))[0]
        assert notices(ask(engine, thinking_budget=50)) == []

    def test_a_seed_that_gives_several_texts_there_is_said_once_to_whom_sets_one(
        self, engine: RemoteEngine, server: ChatServer
    ) -> None:
        for owner, said_ in (("sglang", 1), ("vllm", 0)):
            server.models = [{"id": "qwen3-8b", "owned_by": owner}]
            load(engine, server)
            assert notices(ask(engine, sampling=Sampling())) == []
            assert len([text for text in notices(ask(engine, sampling=Sampling(seed=3))) if "seed" in text]) == said_
            assert notices(ask(engine, sampling=Sampling(seed=4))) == []

    def test_a_thought_that_the_servers_budget_ended_is_said_to_be_cut(
        self, engine: RemoteEngine, server: ChatServer
    ) -> None:
        server.models = [{"id": "qwen3-8b", "owned_by": "vllm"}]
        server.answers = [Answer(delta(reasoning="a") + delta(reasoning="b") + delta(content="Yes.") + delta("stop"))]
        load(engine, server)
        for budget, cut in ((2, ThoughtCut.BUDGET), (3, None), (None, None)):
            events = ask(engine, thinking_budget=budget)
            assert [happened.cut for happened in events if isinstance(happened, ThoughtEnded)] == [cut]


class TestSchemas:
    SCHEMA = json.dumps({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]})

    @pytest.mark.parametrize("answer", ["Paris.", '{"city": 5}', "{}", "[" * 100_000, ""])
    def test_an_answer_that_does_not_fit_fails(self, engine: RemoteEngine, server: ChatServer, answer: str) -> None:
        server.answers = [Answer(said(answer))]
        load(engine, server)
        with pytest.raises(ServerFaulty, match=r"does not fit the schema|empty reply"):
            ask(engine, schema=self.SCHEMA)

    def test_one_that_fits_is_the_answer(self, engine: RemoteEngine, server: ChatServer) -> None:
        server.answers = [Answer(said('<think>{"no"</think>{"city": ', '"Paris"}'))]
        load(engine, server)
        events = ask(engine, schema=self.SCHEMA)
        assert isinstance(events[-1], TurnFinished)

    def test_a_schema_that_refers_elsewhere_fetches_nothing(self, engine: RemoteEngine, server: ChatServer) -> None:
        server.answers = [Answer(said("{}"))]
        load(engine, server)
        seen = len(server.headers)
        ask(engine, schema=json.dumps({"$ref": f"{server.url}/schema.json"}))
        assert len(server.headers) == seen + 1


def test_a_conversation_that_is_too_long_is_not_taken_for_a_limit(engine: RemoteEngine, server: ChatServer) -> None:
    message = "maximum context length is 2048 tokens, you requested 9000 (8900 in the messages, 100 in the completion)"
    server.answers = [refusal(openai_error(message))]
    load(engine, server)
    with pytest.raises(PromptTooLong):
        ask(engine, sampling=Sampling(max_tokens=100))
    assert len(server.asked) <= 3
