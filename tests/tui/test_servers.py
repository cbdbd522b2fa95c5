"""Models on servers in the interface: where an answer comes from, and how one is chosen."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from textual.widgets import Input

from qwenchat.chat.provenance import ThinkingSupport
from qwenchat.chat.server_profile import Server
from qwenchat.engine.remote import discovery
from qwenchat.library.library import Library
from qwenchat.settings.settings import Settings
from qwenchat.tui.models import servers
from tests.support.chat_driver import Chat, chat
from tests.support.chat_server import Answer, ChatServer
from tests.support.fake_engine import MODEL, FakeEngine, Script

BOX = replace(MODEL, name="Qwen/Qwen3-8B", revision="", quantization="", device="", server="box [red]\x1b[2J")
SHOWN = "box [red]"
MODELS = [{"id": "Qwen/Qwen3-8B", "owned_by": "vllm", "max_model_len": 32768}, {"id": "[red]evil\x1b[2J"}]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user who has nothing yet, on a machine where nothing listens."""
    monkeypatch.setenv("QWENCHAT_HOME", str(tmp_path))
    listening(monkeypatch, {})
    monkeypatch.setattr(servers, "LOOK_AGAIN_S", 0.05)
    return tmp_path


def listening(monkeypatch: pytest.MonkeyPatch, ports: Mapping[int, str]) -> None:
    """Let these be the ports at which servers usually are."""
    monkeypatch.setattr(discovery.nearby, "__defaults__", (ports,))


def port_of(server: ChatServer) -> int:
    return int(str(urlsplit(server.url).port))


@pytest.fixture
def box() -> Iterator[ChatServer]:
    with ChatServer(models=MODELS).running() as running:
        yield running


def named(**found: str) -> Settings:
    return Settings(servers={name: Server(address, name=name) for name, address in found.items()})


async def type_in(it: Chat, text: str) -> None:
    it.app.screen.query_one("#typed", Input).value = text


class TestWhereAnAnswerComesFrom:
    async def test_the_server_stands_beside_the_model_and_below_each_reply(self):
        library = Library.in_memory()
        async with chat(engine=FakeEngine(model=BOX), library=library, size=(140, 30)) as it:
            await it.ask("Go")
            assert it.status.strip().startswith(f"● Qwen/Qwen3-8B · {SHOWN}")
            await it.sees(f"Qwen/Qwen3-8B · {SHOWN}")
            below = [line for line in it.screen.splitlines()[:-1] if f"Qwen/Qwen3-8B · {SHOWN}" in line]
            assert len(below) == 1
            assert "tokens" in below[0]
            await it.press("f4")
            await it.sees("server", SHOWN)
            assert "device" not in it.screen
            await it.press("escape", "f9", "t")
            await it.sees(f"Qwen/Qwen3-8B · {SHOWN}")

    @pytest.mark.parametrize("columns", [54, 60, 80])
    async def test_it_is_the_last_to_go_in_a_narrow_terminal(self, columns):
        model = replace(BOX, server="192.168.1.7:8000")
        async with chat(engine=FakeEngine(model=model), size=(columns, 24)) as it:
            await it.ask("Go")
            await it.until(lambda: it.status.strip().startswith("● Qwen/Qwen3-8B · 192.168.1.7:8000"), "the server")
            assert ("context" in it.status) == (columns > 60)


class TestTheList:
    async def test_named_servers_tell_what_they_have_and_one_is_chosen_in_mid_conversation(self, box: ChatServer):
        async with chat(settings=named(box=box.url)) as it:
            await it.ask("Hello")
            await it.press("f3")
            await it.sees("On this machine", f"box · 127.0.0.1:{port_of(box)}", "Qwen/Qwen3-8B", "32,768", "[red]evil")
            assert "\x1b" not in it.screen
            await type_in(it, "8b")
            await it.no_longer_sees("[red]evil")
            await it.press("down")
            await it.sees(f"asks {box.url}")
            await it.press("enter")
            await it.until(lambda: it.engine.loads[-1].server == Server(box.url, name="box"), "the server")
            assert it.engine.loads[-1].name == "Qwen/Qwen3-8B"
            await it.ask("Again")
            assert [message.text for message in it.session.conversation.path][::2] == ["Hello", "Again"]
            assert box.asked == []

    async def test_what_cannot_be_asked_says_why_and_holds_nobody_up(self, box: ChatServer, monkeypatch):
        monkeypatch.setenv("EMPTY", "")
        box.pages["/v1/models"] = Answer(b"", stalls=True)
        settings = named(slow=box.url, off="127.0.0.1:9", odd="http://256.1.1.1", bare=f"127.0.0.1:{port_of(box)}")
        servers = {**settings.servers, "locked": Server("127.0.0.1:9", name="locked", key_env="EMPTY")}
        async with chat(settings=replace(settings, servers=servers), size=(100, 50)) as it:
            await it.press("f3")
            await it.sees("qwen3-0.6b", "asking it", "Nothing answers at 127.0.0.1:9.")
            await it.sees(
                "'http://256.1.1.1' is no address of a server.", "The environment variable EMPTY with the key is empty."
            )
            await it.press("down", "enter")
            await it.sees("● qwen3-1.7b")
            assert box.gone.wait(5)

    async def test_a_server_on_this_machine_is_found_while_the_list_is_open_and_not_used_unasked(
        self, box: ChatServer, monkeypatch
    ):
        async with chat() as it:
            await it.press("f3")
            await it.sees("qwen3-0.6b")
            listening(monkeypatch, {port_of(box): "vLLM"})
            await it.sees(f"vLLM, found at localhost:{port_of(box)}", "Qwen/Qwen3-8B")
            assert it.engine.loads[-1].server is None
            assert {headers["authorization"] for headers in box.headers} == {"Bearer none"}
            await type_in(it, "qwen3-8b")
            await it.no_longer_sees("[red]evil")
            await it.press("down", "enter")
            await it.until(lambda: it.engine.loads[-1].server == Server(f"http://localhost:{port_of(box)}"), "it")

    async def test_a_named_server_is_not_found_once_more(self, box: ChatServer, monkeypatch):
        listening(monkeypatch, {port_of(box): "vLLM"})
        async with chat(settings=named(box=box.url)) as it:
            await it.press("f3")
            await it.sees("Qwen/Qwen3-8B")
            await it.pilot.pause(0.2)
            assert it.screen.count("Qwen/Qwen3-8B") == 1

    async def test_an_address_that_is_typed_is_asked_only_when_it_is_chosen(self, box: ChatServer):
        async with chat() as it:
            await it.press("f3")
            await it.sees("qwen3-0.6b")
            await type_in(it, box.url)
            await it.sees(f"The server at {box.url}")
            assert box.headers == []
            await it.press("enter")
            await it.until(lambda: it.engine.loads[-1].server == Server(box.url), "the server")
            assert it.engine.loads[-1].name is None

    async def test_the_model_that_answers_has_the_dot(self, box: ChatServer):
        async with chat(engine=FakeEngine(model=replace(BOX, server="box")), settings=named(box=box.url)) as it:
            await it.press("f3")
            await it.sees("  ● Qwen/Qwen3-8B")
            assert "● qwen3" not in it.screen

    @pytest.mark.parametrize("size", [(1, 1), (40, 12)])
    async def test_it_is_there_at_any_size(self, box: ChatServer, size):
        async with chat(size=size, settings=named(box=box.url, off="127.0.0.1:9"), ready=False) as it:
            await it.press("f3")
            if size[0] > 1:
                await type_in(it, "box")
                await it.sees("Qwen/Qwen3-8B")
            await it.press("end", "up", "escape")


class TestTheCommand:
    async def test_a_name_or_an_address_of_a_server_and_a_model_of_it(self, home: Path):
        config = home / "config" / "config.toml"
        config.parent.mkdir()
        config.write_text('[servers.box]\naddress = "http://192.168.1.7:8000"\n')
        server = Server("http://192.168.1.7:8000", name="box")
        async with chat(settings=Settings(servers={"box": server})) as it:
            for typed, name, where in (
                ("box", None, server),
                ("other", "other", server),
                ("qwen3-1.7b", "qwen3-1.7b", None),
                ("box Qwen/Qwen3-8B", "Qwen/Qwen3-8B", server),
                ("/models/x.gguf", "/models/x.gguf", None),
                ("localhost:8000", None, Server("localhost:8000")),
                ("https://lab.example/v1 big", "big", Server("https://lab.example/v1")),
            ):
                await it.send(f"/model {typed}")
                await it.until(lambda n=name, w=where: (it.engine.loads[-1].name, it.engine.loads[-1].server) == (n, w))
            await it.press(*"/model b", "tab")
            await it.until(lambda: it.draft.strip() == "/model box", "the name completed")


async def test_a_model_that_thinks_although_its_server_says_nothing_of_it_is_taken_for_one_that_does():
    model = replace(BOX, thinking=ThinkingSupport.NONE)
    async with chat(engine=FakeEngine([Script("Yes.", thought="Let me see.")], model=model)) as it:
        await it.press("ctrl+t")
        await it.sees("This model does not think before it answers.")
        await it.ask("Well?")
        await it.sees("Yes.", "▸ thought for")
        await it.press("ctrl+t")
        await it.sees("This model always thinks")


async def test_a_model_here_without_a_switch_is_not_taken_for_one_that_thinks_by_what_it_writes():
    model = replace(MODEL, thinking=ThinkingSupport.NONE)
    async with chat(engine=FakeEngine([Script("Yes.", thought="Let me see.")], model=model)) as it:
        await it.ask("Well?")
        await it.press("ctrl+t")
        await it.sees("This model does not think before it answers.")


async def test_a_conversation_that_no_server_has_counted_takes_about_as_much_of_the_context_as_it_is_long():
    async with chat(
        engine=FakeEngine([Script("many words " * 200, hold_at=300)], model=replace(BOX, context_window=2000))
    ) as it:
        await it.send("word " * 400)
        await it.until(
            lambda: it.session.model.turn.growing and it.session.model.turn.growing.answer_tokens == 300,
            "most of the reply",
        )
        await it.press("escape")
        await it.sees("stopped", "context")
        assert "context 0 %" not in it.screen
        assert 400 < it.session.conversation.context_tokens < 1200
