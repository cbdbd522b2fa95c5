"""A model behind an OpenAI-compatible address: what it says, what it is asked, and what goes wrong."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from qwenchat.chat.continuation import PartialReply
from qwenchat.chat.engine_commands import LoadModel, ScoreReply, StartTurn
from qwenchat.chat.errors import (
    ModelNotFound,
    PromptTooLong,
    QwenchatError,
    ServerBusy,
    ServerError,
    ServerFaulty,
    ServerRefused,
    ServerSilent,
    ServerUnreachable,
)
from qwenchat.chat.events import (
    Channel,
    HistoryTrimmed,
    TextProduced,
    ThoughtEnded,
    ThoughtStarted,
    TurnEvent,
    TurnFinished,
    TurnStopped,
)
from qwenchat.chat.messages import Message, ReasoningPart, Role, TextPart
from qwenchat.chat.provenance import FinishReason, ModelInfo, ThinkingSupport, ThoughtCut
from qwenchat.chat.sampling import THINKING
from qwenchat.chat.server_profile import Dialect, Server
from qwenchat.engine.base import StopSignal, TurnSignals
from qwenchat.engine.remote.engine import RemoteEngine, fitted
from tests.support.chat_server import DONE, Answer, ChatServer, delta, event, said, usage
from tests.support.tiny_qwen3 import reply, system, user

KEY = "sk-sentinel-8f3a1"
HELLO = (Message(Role.USER, (TextPart("Hello"),)),)


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer([Answer(said("Good ", "day."))]).running() as running:
        yield running


@pytest.fixture
def engine() -> Iterator[RemoteEngine]:
    made = RemoteEngine()
    yield made
    made.close()


def load(engine: RemoteEngine, server: ChatServer, **profile: object) -> ModelInfo:
    found = Server(server.url, **{"patience_s": 5.0, **profile})  # type: ignore[arg-type]
    return engine.load(LoadModel(server=found), lambda step: None, StopSignal())


def turn(**command: object) -> StartTurn:
    return replace(StartTurn(1, HELLO, True, replace(THINKING, seed=1)), **command)  # type: ignore[arg-type]


def ask(engine: RemoteEngine, **command: object) -> list[TurnEvent]:
    return list(engine.generate(turn(**command), TurnSignals()))


def text(events: list[TurnEvent], channel: Channel = Channel.ANSWER) -> str:
    return "".join(event.text for event in events if isinstance(event, TextProduced) and event.channel is channel)


def ended(events: list[TurnEvent]) -> TurnFinished:
    (end,) = [event for event in events if isinstance(event, TurnFinished)]
    assert events[-1] is end
    return end


class TestReplies:
    def test_a_reply_streams_with_the_servers_counts(self, engine: RemoteEngine, server: ChatServer) -> None:
        load(engine, server)
        events = ask(engine)
        assert text(events) == "Good day."
        assert ended(events).reason is FinishReason.STOP
        assert ended(events).usage.prompt_tokens == 7
        assert ended(events).usage.answer_tokens == 2

    @pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
    def test_a_thought_in_a_field_of_its_own_is_a_thought(
        self, engine: RemoteEngine, server: ChatServer, name: str
    ) -> None:
        body = [delta(role="assistant", content=""), delta(**{name: "Hm, "}), delta(**{name: "well."})]
        body += [delta(content="\n\nYes."), delta("stop"), usage(9, 6), DONE]
        server.answers = [Answer(b"".join(body))]
        load(engine, server)
        events = ask(engine)
        assert text(events, Channel.THOUGHT) == "Hm, well."
        assert text(events) == "Yes."
        assert [type(event) for event in events if isinstance(event, ThoughtStarted | ThoughtEnded)] == [
            ThoughtStarted,
            ThoughtEnded,
        ]
        assert ended(events).usage.thinking_tokens == 4
        assert ended(events).usage.answer_tokens == 2

    @pytest.mark.parametrize("step", [1, 7, 0])
    def test_tags_in_the_text_are_a_thought_however_they_are_cut(
        self, engine: RemoteEngine, server: ChatServer, step: int
    ) -> None:
        body = b"".join(delta(content=piece) for piece in ("<th", "ink>\nHm ä", "\n</thi", "nk>\n\nJa 🙂."))
        server.answers = [Answer(body + delta("stop") + DONE, step=step)]
        load(engine, server)
        events = ask(engine)
        assert (text(events, Channel.THOUGHT), text(events)) == ("Hm ä", "Ja 🙂.")

    def test_a_thought_that_does_not_end_is_kept(self, engine: RemoteEngine, server: ChatServer) -> None:
        server.answers = [Answer(delta(reasoning_content="Hm") + delta("length") + DONE)]
        load(engine, server)
        events = ask(engine)
        assert text(events, Channel.THOUGHT) == "Hm"
        assert ended(events).reason is FinishReason.LENGTH

    def test_what_comes_in_the_field_of_the_thought_after_the_answer_is_not_lost(
        self, engine: RemoteEngine, server: ChatServer
    ) -> None:
        body = delta(reasoning="Hm.") + delta(content="Yes") + delta(reasoning=" and no") + delta("stop") + DONE
        server.answers = [Answer(body)]
        load(engine, server)
        events = ask(engine)
        assert (text(events, Channel.THOUGHT), text(events)) == ("Hm.", "Yes and no")

    def test_a_stop_ends_the_turn_at_once_and_the_server_learns_of_it(
        self, engine: RemoteEngine, server: ChatServer
    ) -> None:
        server.answers = [Answer(delta(content="So"), stalls=True)]
        load(engine, server)
        signals = TurnSignals()
        events = engine.generate(turn(), signals)
        assert any(isinstance(event, TextProduced) for event in events)
        signals.set()
        assert isinstance(list(events)[-1], TurnStopped)
        assert server.gone.wait(5)

    def test_answer_now_ends_the_thought_and_asks_without_one(self, engine: RemoteEngine, server: ChatServer) -> None:
        server.models = [{"id": "qwen3-0.6b", "owned_by": "vllm"}]
        server.answers = [Answer(delta(reasoning="On and on"), stalls=True), Answer(said("Yes."))]
        load(engine, server)
        signals = TurnSignals()
        events = []
        for happened in engine.generate(turn(), signals):
            events.append(happened)
            if isinstance(happened, TextProduced):
                signals.ask_for_answer()
        assert (text(events, Channel.THOUGHT), text(events)) == ("On and on", "Yes.")
        assert [event.cut for event in events if isinstance(event, ThoughtEnded)] == [ThoughtCut.USER]
        assert server.asked[1]["chat_template_kwargs"] == {"enable_thinking": False}


class TestWhatIsAsked:
    def asked(self, engine: RemoteEngine, server: ChatServer, owner: str, **command: object) -> dict[str, object]:
        server.models = [{"id": "qwen3-0.6b", "owned_by": owner}]
        load(engine, server)
        ask(engine, **command)
        return server.asked[-1]

    def test_vllm_gets_all_of_it(self, engine: RemoteEngine, server: ChatServer) -> None:
        sampling = replace(THINKING, seed=5, presence_penalty=1.5, repetition_penalty=1.1, min_p=0.05)
        body = self.asked(engine, server, "vllm", sampling=sampling, thinking_budget=99)
        expected = {
            "model": "qwen3-0.6b", "temperature": 0.6, "top_p": 0.95, "top_k": 20, "min_p": 0.05, "seed": 5,
            "presence_penalty": 1.5, "repetition_penalty": 1.1, "max_tokens": 32768, "stream": True,
            "chat_template_kwargs": {"enable_thinking": True}, "thinking_token_budget": 99,
            "messages": [{"role": "user", "content": "Hello"}],
        }  # fmt: skip
        assert expected.items() <= body.items()

    def test_llama_cpp_has_its_own_name_for_the_repetition_penalty(
        self, engine: RemoteEngine, server: ChatServer
    ) -> None:
        body = self.asked(engine, server, "llamacpp", sampling=replace(THINKING, repetition_penalty=1.2))
        assert body["repeat_penalty"] == 1.2
        assert "repetition_penalty" not in body

    def test_ollama_turns_thinking_off_by_effort_alone(self, engine: RemoteEngine, server: ChatServer) -> None:
        body = self.asked(engine, server, "library", thinking=False)
        assert body["reasoning_effort"] == "none"
        assert "chat_template_kwargs" not in body
        assert "reasoning_effort" not in self.asked(engine, server, "library", thinking=True)

    def test_lm_studio_is_told_in_the_message(self, engine: RemoteEngine, server: ChatServer) -> None:
        body = self.asked(engine, server, "organization_owner", thinking=False)
        assert body["messages"] == [{"role": "user", "content": "Hello\n/no_think"}]

    def test_thoughts_stay_out_of_the_history_and_control_tokens_are_text(
        self, engine: RemoteEngine, server: ChatServer
    ) -> None:
        history = (
            Message(Role.SYSTEM, (TextPart("Be brief."),)),
            Message(Role.USER, (TextPart("What is <|im_end|> and </think>?"),)),
            Message(Role.ASSISTANT, (ReasoningPart("Hm"), TextPart("A token."))),
            Message(Role.USER, (TextPart("a < b <i>"),)),
        )
        body = self.asked(engine, server, "vllm", messages=history)
        assert body["messages"] == [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What is <\u2060|im_end|> and <\u2060/think>?"},
            {"role": "assistant", "content": "A token."},
            {"role": "user", "content": "a < b <i>"},
        ]

    def test_a_parameter_that_the_server_refuses_is_left_out_from_then_on(
        self, engine: RemoteEngine, server: ChatServer
    ) -> None:
        refusal = Answer(b'{"error": {"message": "Unrecognized request argument: min_p"}}', 400, "application/json")
        server.answers = [refusal, Answer(said("Yes."))]
        server.models = [{"id": "qwen3-0.6b", "owned_by": "vllm"}]
        load(engine, server)
        assert text(ask(engine)) == "Yes."
        assert text(ask(engine)) == "Yes."
        assert ["min_p" in body for body in server.asked] == [True, False, False]

    def test_a_reply_goes_on_where_the_server_can(self, engine: RemoteEngine, server: ChatServer) -> None:
        body = self.asked(engine, server, "vllm", begun=PartialReply(answer="Once upon"), thinking=False)
        assert body["messages"][-1] == {"role": "assistant", "content": "Once upon"}
        assert body["continue_final_message"] is True
        load(engine, server, dialect=Dialect.OLLAMA)
        with pytest.raises(ServerError, match="cannot go on"):
            ask(engine, begun=PartialReply(answer="Once upon"))


class TestFindingOut:
    def test_what_it_is_which_model_and_how_much_context(self, engine: RemoteEngine, server: ChatServer) -> None:
        server.models = [{"id": "Qwen/Qwen3-0.6B", "owned_by": "vllm", "max_model_len": 8192}, {"id": "other"}]
        model = load(engine, server, name="box")
        assert (model.name, model.server, model.context_window) == ("Qwen/Qwen3-0.6B", "box", 8192)
        assert model.thinking is ThinkingSupport.SWITCHED
        assert load(engine, server, model="other").thinking is ThinkingSupport.SWITCHED  # not known, so it is tried

    def test_llama_cpp_tells_its_context_and_its_template(self, engine: RemoteEngine, server: ChatServer) -> None:
        server.models = [{"id": "/models/Qwen3-0.6B-Q8_0.gguf", "owned_by": "llamacpp"}]
        server.pages["/props"] = {
            "default_generation_settings": {"n_ctx": 2048},
            "chat_template": "{% if enable_thinking %}<think>",
        }
        model = load(engine, server)
        assert (model.name, model.context_window) == ("Qwen3-0.6B-Q8_0.gguf", 2048)
        assert model.thinking is ThinkingSupport.SWITCHED
        ask(engine)
        assert server.asked[-1]["model"] == "/models/Qwen3-0.6B-Q8_0.gguf"

    def test_the_4096_tokens_of_ollama_are_said(self, engine: RemoteEngine, server: ChatServer) -> None:
        server.models = [{"id": "qwen3:0.6b", "owned_by": "library"}]
        server.pages["/api/show"] = {"parameters": "top_k 20\n", "capabilities": ["completion", "thinking"]}
        model = load(engine, server)
        assert model.context_window == 4096
        assert "4,096" in model.reason
        server.pages["/api/ps"] = {"models": [{"model": "qwen3:0.6b", "context_length": 32768}]}
        assert load(engine, server).context_window == 32768

    def test_ollama_loads_the_model_and_then_tells_its_context(self, engine: RemoteEngine, server: ChatServer) -> None:
        class Loading(dict[str, object]):
            def get(self, path: str, default: object = None) -> object:
                if path == "/api/generate":
                    self["/api/ps"] = {"models": [{"model": "qwen3:0.6b", "context_length": 32768}]}
                return super().get(path, default)

        server.models = [{"id": "qwen3:0.6b", "owned_by": "library"}]
        server.answers = [Answer(b"never", 500)]
        pages = Loading({"/api/ps": {"models": []}, "/api/generate": {"done": True, "done_reason": "load"}})
        server.pages = pages
        model = load(engine, server)
        assert (model.context_window, model.reason) == (32768, "")
        assert server.asked == []

    def test_a_model_that_is_not_there_is_named_with_those_that_are(
        self, engine: RemoteEngine, server: ChatServer
    ) -> None:
        with pytest.raises(ModelNotFound, match=r"It has qwen3-0\.6b"):
            load(engine, server, model="llama")

    def test_what_surely_does_not_fit_is_left_out_and_said(self, engine: RemoteEngine, server: ChatServer) -> None:
        load(engine, server, context=1000)
        long = Message(Role.USER, (TextPart("word " * 900),))
        reply = Message(Role.ASSISTANT, (TextPart("Yes."),))
        events = ask(engine, messages=(long, reply, *HELLO))
        assert [event.messages for event in events if isinstance(event, HistoryTrimmed)] == [2]
        assert server.asked[-1]["messages"] == [{"role": "user", "content": "Hello"}]
        with pytest.raises(PromptTooLong):
            ask(engine, messages=(replace(long, parts=(TextPart("word " * 9000),)),))


NOT_A_REPLY = [
    pytest.param(Answer(b"<html>Hello</html>", kind="text/html"), ServerFaulty, id="a page of HTML"),
    pytest.param(Answer(b"", kind="text/event-stream"), ServerFaulty, id="nothing"),
    pytest.param(Answer(event({"choices": []}) + DONE), ServerFaulty, id="no choices"),
    pytest.param(Answer(event("{broken")), ServerFaulty, id="broken JSON"),
    pytest.param(Answer(event({"error": {"message": "CUDA error"}})), ServerFaulty, id="an error in the stream"),
    pytest.param(Answer(b'{"error": "x"}', 401, "application/json"), ServerRefused, id="401"),
    pytest.param(Answer(b'{"error": "x"}', 404, "application/json"), ModelNotFound, id="404"),
    pytest.param(Answer(b"<html>500</html>", 500, "text/html", {"x-should-retry": "false"}), ServerFaulty, id="500"),
    pytest.param(Answer(b"{}", 429, "application/json", {"x-should-retry": "false"}), ServerBusy, id="429"),
    pytest.param(Answer(b"", stalls=True), ServerSilent, id="silence"),
    pytest.param(
        Answer(b'{"message": "maximum context length is 4096 tokens"}', 400, "application/json"), PromptTooLong,
        id="too long",
    ),
]  # fmt: skip


class TestFaults:
    @pytest.mark.parametrize(("answer", "error"), NOT_A_REPLY)
    def test_what_is_no_reply_is_a_typed_error_without_the_key(
        self,
        engine: RemoteEngine,
        server: ChatServer,
        monkeypatch: pytest.MonkeyPatch,
        answer: Answer,
        error: type[QwenchatError],
    ) -> None:
        monkeypatch.setenv("SENTINEL", KEY)
        server.answers = [answer]
        load(engine, server, key_env="SENTINEL", patience_s=0.3)
        with pytest.raises(error) as caught:
            ask(engine)
        assert KEY not in str(caught.value)
        assert "\x1b" not in str(caught.value)

    @pytest.mark.parametrize("fault", [{"resets": True}, {"stalls": True}, {}], ids=["reset", "stall", "cut off"])
    def test_what_came_before_it_broke_off_stays_and_nothing_is_sent_again(
        self, engine: RemoteEngine, server: ChatServer, fault: dict[str, bool]
    ) -> None:
        server.answers = [Answer(delta(content="Half a"), **fault)]
        load(engine, server, patience_s=0.3)
        came: list[TurnEvent] = []
        with pytest.raises(ServerError):
            for happened in engine.generate(turn(), TurnSignals()):
                came.append(happened)  # noqa: PERF402
        assert text(came) == "Half a"
        assert len(server.asked) == 1

    def test_before_the_first_token_it_is_asked_again(self, engine: RemoteEngine, server: ChatServer) -> None:
        server.answers = [Answer(b"", resets=True), Answer(said("Yes."))]
        load(engine, server)
        assert text(ask(engine)) == "Yes."

    def test_a_busy_server_is_asked_again_when_it_says(self, engine: RemoteEngine, server: ChatServer) -> None:
        server.answers = [Answer(b"{}", 429, "application/json", {"Retry-After": "0"}), Answer(said("Yes."))]
        load(engine, server)
        assert text(ask(engine)) == "Yes."

    def test_a_redirect_takes_neither_key_nor_words_elsewhere(
        self, engine: RemoteEngine, server: ChatServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SENTINEL", KEY)
        with ChatServer([Answer(said("Thief."))]).running() as other:
            there = {"Location": f"{other.url}/v1/chat/completions"}
            server.answers = [Answer(b"", 307, "text/plain", there)]
            load(engine, server, key_env="SENTINEL")
            with pytest.raises(ServerFaulty, match="another address"):
                ask(engine)
            assert other.headers == []

    def test_a_server_that_repeats_the_key_does_not_get_it_shown(
        self,
        engine: RemoteEngine,
        server: ChatServer,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        monkeypatch.setenv("SENTINEL", KEY)
        caplog.set_level("DEBUG")
        body = f'{{"error": {{"message": "bad key {KEY}\\u001b[2J"}}}}'.encode()
        server.answers = [Answer(body, 400, "application/json")]
        load(engine, server, key_env="SENTINEL")
        with pytest.raises(ServerFaulty) as caught:
            ask(engine)
        assert f"Bearer {KEY}" in [headers.get("authorization") for headers in server.headers]
        assert KEY not in str(caught.value) + caplog.text
        assert "\x1b" not in str(caught.value)

    def test_nothing_there_is_said_with_the_address(self, engine: RemoteEngine) -> None:
        with pytest.raises(ServerUnreachable, match=r"127\.0\.0\.1:9"):
            engine.load(LoadModel(server=Server("127.0.0.1:9")), lambda step: None, StopSignal())

    def test_a_page_instead_of_models_is_said(self, engine: RemoteEngine, server: ChatServer) -> None:
        server.pages["/v1/models"] = Answer(b"<html></html>", kind="text/html")
        with pytest.raises(ServerFaulty):
            load(engine, server)

    def test_a_load_can_be_stopped(self, engine: RemoteEngine, server: ChatServer) -> None:
        from qwenchat.engine.base import Stopped

        server.pages["/v1/models"] = Answer(b"", stalls=True)
        stop = StopSignal()
        stop.set()
        with pytest.raises(Stopped):
            engine.load(LoadModel(server=Server(server.url)), lambda step: None, stop)


def test_what_is_left_out_takes_no_system_prompt_in_force_with_it() -> None:
    long = [user("word " * 100), reply("word " * 100)]
    messages = (system("Be brief."), *long, system("Speak French."), *long, user("Why?"))
    kept, left_out = fitted(messages, 200)
    assert [message.text for message in kept] == ["Speak French.", "Why?"]
    assert left_out == 5


def test_a_chat_that_fills_the_window_begins_alike_for_many_turns() -> None:
    """So that the server's prefix cache serves them."""
    messages: tuple[Message, ...] = (system("Be brief."), user("Why? " * 20))
    beginnings = []
    for _ in range(60):
        messages += (reply("Because. " * 20), user("Why? " * 20))
        beginnings.append(fitted(messages, 1000)[1])
    assert beginnings[-1] > 60
    assert len(set(beginnings)) < 20


def test_how_sure_the_model_was_is_not_told_by_a_server(engine: RemoteEngine, server: ChatServer) -> None:
    load(engine, server)
    with pytest.raises(ServerError, match="does not report how sure"):
        list(engine.score(ScoreReply(HELLO, PartialReply(answer="Good day."), ended=True), StopSignal()))
