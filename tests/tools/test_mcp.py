"""Servers of tools that speak MCP: real ones, and ones that hang, die, flood or lie."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from qwenchat.chat.engine_commands import RunTool
from qwenchat.chat.errors import ToolUnavailable
from qwenchat.chat.events import CallReturned, ToolsListed
from qwenchat.chat.messages import ToolCallPart, ToolResultPart
from qwenchat.chat.tools import McpServer, ToolSettings
from qwenchat.tools import mcp
from qwenchat.tools.mcp_transport import redaction_of
from qwenchat.tools.naming import name_for
from qwenchat.tools.toolbox import Toolbox
from tests.support import mcp_servers
from tests.support.patience import PATIENCE_S

SERVERS = str(Path(__file__).parents[1] / "support" / "mcp_servers.py")
TIME = McpServer("time", command=sys.executable, args=("-m", "mcp_server_time", "--local-timezone", "UTC"))


def server(kind: str, **options: Any) -> McpServer:
    """One of those servers."""
    return McpServer(kind, command=sys.executable, args=(SERVERS, kind), **options)


class Used:
    """A toolbox whose events are waited for."""

    def __init__(self, *servers: McpServer) -> None:
        self.box = Toolbox(ToolSettings(), servers)
        self._runs = 0

    def listed(self, *names: str) -> ToolsListed:
        found: list[ToolsListed] = []
        self.box.prepare(1, names, found.append)
        until(lambda: found)
        return found[0]

    def call(self, name: str, arguments: str = "{}", limit: int = 8_000) -> ToolResultPart:
        found = self.begin(name, arguments, limit)
        until(lambda: found)
        return found[0].result

    def begin(self, name: str, arguments: str = "{}", limit: int = 8_000) -> list[CallReturned]:
        found: list[CallReturned] = []
        self._runs += 1
        self.box.run(RunTool(self._runs, ToolCallPart("c", name, arguments), limit), found.append)
        return found


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def using() -> Iterator[Callable[..., Used]]:
    made: list[Used] = []

    def make(*servers: McpServer) -> Used:
        made.append(Used(*servers))
        return made[-1]

    yield make
    for used in made:
        used.box.close()


@pytest.fixture(scope="module")
def odd() -> Iterator[Used]:
    used = Used(server("odd", call_s=1.5))
    used.listed("odd")
    yield used
    used.box.close()


def test_a_real_server_is_listed_and_called(using: Callable[..., Used]) -> None:
    used = using(TIME)
    listed = used.listed("time")
    assert [tool.name for tool in listed.tools] == ["time__get_current_time", "time__convert_time"]
    assert '"timezone"' in listed.tools[0].parameters
    result = used.call("time__get_current_time", '{"timezone": "Asia/Tokyo"}')
    assert "Asia/Tokyo" in result.text
    assert not result.failed
    wrong = used.call("time__get_current_time", '{"timezone": "Mars/Olympus"}')
    assert (wrong.failed, "Mars/Olympus" in wrong.text) == (True, True)


def test_one_tool_of_a_server_can_be_named(using: Callable[..., Used]) -> None:
    listed = using(server("odd")).listed("odd__echo", "calculator", "nothing", "odd__none")
    assert {tool.name for tool in listed.tools} == {"odd__echo", "calculator"}
    assert listed.problems[0].startswith("There is no tool nothing. There are: date_and_time, calculator,")
    assert listed.problems[1] == "odd has no tool odd__none."


def test_what_goes_in_and_comes_out(odd: Used) -> None:
    assert odd.call("odd__echo", '{"a": "Größe"}').text == 'echo was called with {"a": "Gr\\u00f6\\u00dfe"}'
    assert odd.call("odd__picture").text == "[image, image/png, 3 bytes, which cannot be shown]"
    failed = odd.call("odd__fail")
    assert (failed.text, failed.failed) == ("no such thing", True)
    assert odd.call("odd__garble").text == "after the garbage"
    malformed = odd.call("odd__echo", "[")
    assert (malformed.failed, "no JSON object" in malformed.text) == (True, True)


def test_a_result_that_floods_is_cut(odd: Used) -> None:
    flood = odd.call("odd__flood", limit=1_000)
    assert len(flood.text) <= 1_000
    assert flood.text.endswith("[cut: 1,000 of 3,000,000 characters]")


@pytest.mark.parametrize("tool", ["hang", "die", "endless", "chatter", "flutter", "lie"])
def test_a_server_that_misbehaves_costs_that_call_alone(odd: Used, tool: str) -> None:
    result = odd.call(f"odd__{tool}")
    assert result.failed
    assert result.text.startswith(
        "odd did not answer within 1.5 s." if tool in ("hang", "chatter", "flutter") else "odd failed: "
    )
    assert odd.call("odd__echo").text == "echo was called with {}"
    assert odd.call("calculator", '{"expression": "1 + 1"}').text == "2"


def test_a_server_sees_no_variable_that_it_was_not_given(
    using: Callable[..., Used], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", "sesame")
    monkeypatch.setenv("GIVEN_KEY", "given")
    used = using(server("odd", env={"EXTRA": "1"}, env_from=("GIVEN_KEY", "NOT_SET")))
    used.listed("odd")
    seen = used.call("odd__environment").text.split()
    assert {"EXTRA", "GIVEN_KEY", "PATH"} <= set(seen)
    assert "SECRET_KEY" not in seen


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (McpServer("gone", command="/no/such/program"), "gone cannot be started: /no/such/program: No such file"),
        (server("broken"), "broken cannot be started: Traceback: there is no database"),
        (server("mute", start_s=0.5), "mute cannot be started: it did not answer within 0.5 s"),
        (server("odd", cwd="/no/such"), "odd cannot be started: there is no folder /no/such."),
        (McpServer("zero", command="a\0b"), "zero cannot be started: "),
        (McpServer("far", url="http://127.0.0.1:9/mcp"), "far cannot be started: "),
        (McpServer("locked", url="http://127.0.0.1:9/mcp", key_env="NO_SUCH_KEY"), "NO_SUCH_KEY is not set"),
    ],
    ids=["gone", "broken", "mute", "elsewhere", "zero", "far", "locked"],
)
def test_a_server_that_cannot_be_started_is_a_problem(using: Callable[..., Used], broken: McpServer, why: str) -> None:
    used = using(broken)
    listed = used.listed(broken.name, "calculator")
    assert [tool.name for tool in listed.tools] == ["calculator"]
    assert why in listed.problems[0]
    assert "\x1b" not in listed.problems[0]


def test_a_server_that_lies_about_its_tools_loses_those_alone(using: Callable[..., Used]) -> None:
    listed = using(server("liar")).listed("liar")
    assert [tool.name for tool in listed.tools] == ["liar__fine", name_for("liar", "odd name/\x1b[31m")]
    assert listed.problems == ("liar: long cannot be used: the schema of its arguments is too long.",)


def test_a_schema_that_cannot_be_used_costs_that_tool_alone(using: Callable[..., Used]) -> None:
    listed = using(server("unfit")).listed("unfit")
    assert [tool.name for tool in listed.tools] == ["unfit__fine", "unfit__tree", "unfit__any", "unfit__null"]
    assert json.loads(listed.tools[2].parameters)["properties"] == {"x": True, "y": {}}
    reasons = {problem.partition(" cannot be used: ")[0]: problem for problem in listed.problems}
    assert "nested too deeply" in reasons["unfit: deep"]
    assert "refers to itself" in reasons["unfit: loop"]
    assert "refers to https://schemas.example/x.json" in reasons["unfit: away"]
    assert "a number that is none" in reasons["unfit: nothing"]
    assert "too long" in reasons["unfit: huge"]
    assert listed.problems[-1] == "unfit has more such tools."
    shapeless = using(server("shapeless")).listed("shapeless")
    assert [tool.name for tool in shapeless.tools] == ["shapeless__fine"]
    assert shapeless.problems == (
        "shapeless: array cannot be used: the schema of its arguments is not that of an object.",
    )


def test_all_that_a_tool_gives_reaches_the_model_as_text(odd: Used) -> None:
    assert odd.call("odd__report").text.splitlines() == [
        "Found:",
        "Quarterly report <reports://q3> (application/pdf): Revenue",
        "file:///a.txt",
        "the text of it",
        "[file:///b.bin, x/y, 3 bytes, which cannot be shown]",
        "[audio, audio/wav, 3 bytes, which cannot be shown]",
        "[new, 0 bytes, which cannot be shown]",
        "odd",
    ]
    assert odd.call("odd__structured").text == '3 issues\n{"n": 3, "issues": ["alpha"]}'
    assert odd.call("odd__twice").text == '{"n": 3}'
    assert odd.call("odd__only").text == '{"n": 3}'


@pytest.mark.parametrize("kind", mcp_servers.SLOPPY)
def test_a_result_that_is_not_quite_one_costs_no_server(odd: Used, kind: str) -> None:
    pid = odd.call("odd__pid").text
    result = odd.call("odd__sloppy", json.dumps({"kind": kind}))
    expected = {"content null": '{"a": 1}', "a number": "5", "nothing of it": result.text}.get(kind, "x")
    assert (result.text, result.failed) == (expected, kind == "nothing of it")
    assert odd.call("odd__pid").text == pid


def test_an_error_in_answer_to_a_call_costs_no_server(odd: Used) -> None:
    pid = odd.call("odd__pid").text
    refused = odd.call("odd__refuse")
    assert (refused.text, refused.failed) == ("odd failed: no rights for you.", True)
    assert odd.call("odd__pid").text == pid, "what it knows of the calls before is still there"


def test_a_server_that_leaves_half_of_the_protocol_out_is_used(using: Callable[..., Used]) -> None:
    listed = using(server("careless")).listed("careless")
    assert ([tool.name for tool in listed.tools], listed.problems) == (["careless__fine"], ())


def test_tools_on_many_pages_are_all_listed_and_pages_without_end_end(using: Callable[..., Used]) -> None:
    used = using(server("pages"), server("turning"))
    names = [tool.name for tool in used.listed("pages", "turning").tools]
    assert names == [*(f"pages__t{at}" for at in range(60)), *(f"turning__t{at}" for at in range(3))]


TOKEN = "tok-Sentinel-5d1f0c77"


def test_a_key_that_a_server_was_given_is_in_nothing_that_it_says(
    using: Callable[..., Used], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_TOKEN", TOKEN)
    for given in ({"env_from": ("API_TOKEN",)}, {"env": {"API_TOKEN": TOKEN}}, {"env": {"API_TOKEN": "$API_TOKEN"}}):
        used = using(server("leaky", **given), server("last-words", **given))
        listed = used.listed("leaky", "last-words")
        assert [tool.description for tool in listed.tools] == ["Uses ***.", "Does refuse."]
        assert listed.problems == ("last-words cannot be started: the key *** is not good.",)
        assert used.call("leaky__environment").text == '*** *** ***\n{"***": ["***"]}'
        assert used.call("leaky__refuse").text == "leaky failed: no rights for ***."


@pytest.mark.parametrize("how", ["key_env", "query", "password"])
def test_a_key_for_an_address_is_in_no_reason_why_it_does_not_answer(
    how: str, using: Callable[..., Used], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_TOKEN", TOKEN)
    place = {"query": f"127.0.0.1:9/mcp?api_key={TOKEN}", "password": f"me:{TOKEN}@127.0.0.1:9/mcp"}
    address = f"http://{place.get(how, '127.0.0.1:9/mcp')}"
    far = McpServer("far", url=address, key_env="API_TOKEN" if how == "key_env" else None)
    assert redaction_of(far).masked(f"{address} {TOKEN}").count("***") == (1 if how == "key_env" else 2)
    (problem,) = using(far).listed("far").problems
    assert "cannot be started" in problem
    assert TOKEN not in problem


def test_only_what_is_named_a_secret_and_is_no_file_is_masked(tmp_path: Path) -> None:
    secret = ("API_KEY", "apikey", "GITHUB_TOKEN", "DB_PASSWORD", "PASS", "x-auth", "CLIENT_SECRETS", "AUTHORIZATION")
    plain = ("AUTHOR", "KEYBOARD", "COMPASS", "PATH", "NOTES", "TOKENIZER")
    for name in (*secret, *plain):
        masked = redaction_of(McpServer("x", command="x", env={name: TOKEN})).masked(TOKEN)
        assert (masked == "***") == (name in secret), name
    file = tmp_path / "credentials.json"
    file.touch()
    assert redaction_of(McpServer("x", command="x", env={"CREDENTIALS": str(file)})).masked(str(file)) == str(file)
    assert redaction_of(McpServer("x", command="x", env={"API_KEY": "a\0b" * 9})).masked("x") == "x"


@asynccontextmanager
async def ending_with(error: BaseException) -> AsyncIterator[Any]:
    raise error
    yield


@pytest.mark.parametrize(
    "error",
    [
        asyncio.CancelledError(),
        BaseExceptionGroup("", [asyncio.CancelledError()]),
        ExceptionGroup("", [TimeoutError()]),
    ],
    ids=["cancelled", "group", "late"],
)
def test_whatever_becomes_of_a_start_its_waiter_learns_of_it(
    error: BaseException, using: Callable[..., Used], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp, "connected", lambda *_: ending_with(error))
    used = using(server("odd"))
    for _ in range(2):
        (problem,) = used.listed("odd").problems
        assert problem.startswith("odd cannot be started: ")
    assert ("did not answer within 20 s" in problem) == isinstance(error, ExceptionGroup)


def test_a_start_that_nobody_waits_for_any_more_is_given_up(
    using: Callable[..., Used], monkeypatch: pytest.MonkeyPatch
) -> None:
    running: list[str] = []

    @asynccontextmanager
    async def slow(*_: Any) -> AsyncIterator[Any]:
        running.append("slow")
        try:
            await asyncio.sleep(60)
            yield
        finally:
            running.remove("slow")

    monkeypatch.setattr(mcp, "connected", slow)
    used = using(server("odd"))
    servers = used.box._started()
    found = servers.call("odd", "echo", {})
    until(lambda: running)
    found.cancel()
    until(lambda: not running)
    waiting = [servers.listing("odd"), servers.call("odd", "echo", {})]
    until(lambda: running)
    used.box.close()
    for late in (*waiting, servers.listing("odd")):
        with pytest.raises((CancelledError, ToolUnavailable)):
            late.result(timeout=10)
    assert not running


def test_half_a_character_and_noise_on_both_ends_cost_nothing(odd: Used) -> None:
    assert odd.call("odd__half").text == "a\ufffd 😀 \\ud83d"
    assert odd.call("odd__noise").text == "after the noise"


def test_tools_that_come_later_are_offered_before_the_model_goes_on(using: Callable[..., Used]) -> None:
    used = using(server("odd"))
    found: list[ToolsListed] = []
    used.box.prepare(7, ("odd",), found.append)
    until(lambda: found)
    order: list[object] = found
    used.box.run(RunTool(1, ToolCallPart("c", "odd__unlock", "{}"), 100), order.append)
    until(lambda: len(order) == 3)
    assert isinstance(found[1], ToolsListed)
    assert (found[1].number, found[1].tools[-1].name) == (7, "odd__later")
    assert isinstance(order[2], CallReturned)
    assert used.call("odd__later").text == "later was called with {}"
    used.call("odd__lock")
    until(lambda: len(found) == 4)  # some time after the call
    assert "odd__later" not in [tool.name for tool in found[3].tools]


def test_a_server_that_says_its_tools_changed_and_has_the_same_changes_nothing(using: Callable[..., Used]) -> None:
    used = using(server("restless"))
    found: list[ToolsListed] = []
    used.box.prepare(7, ("restless",), found.append)
    until(lambda: found)
    until(lambda: int(used.call("restless__asked").text) > 4)
    assert len(found) == 1
    assert used.box._started()._connections["restless"]._pause_s > mcp.RELIST_S


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere what leaves its group cannot be found")
def test_what_a_server_started_ends_with_it_even_when_it_left_its_group(using: Callable[..., Used]) -> None:
    for how in ("close", "kill"):
        used = using(server("odd"))
        used.listed("odd")
        offspring = int(used.call("odd__offspring").text)
        pid = int(used.call("odd__pid").text.split()[0])
        assert alive(offspring)
        if how == "close":
            used.box.close()
        else:
            psutil.Process(pid).kill()
        until(lambda gone=offspring: not alive(gone))


def test_a_home_and_variables_are_read_as_a_shell_does(
    using: Callable[..., Used], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WHERE", "there")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    arguments = (SERVERS, "odd", "~/notes", "$WHERE/${WHERE}", "$NOT_SET $5 a~", "~nosuchuser/x")
    options: dict[str, Any] = {"env": {"PLACE": "~/$WHERE"}, "cwd": "~/bin"}
    for command in ("~/bin/python", "$HOME/bin/python"):
        used = using(McpServer("odd", command=command, args=arguments, **options))
        used.listed("odd")
        cwd, seen, place = json.loads(used.call("odd__where").text)
        assert Path(cwd) == (tmp_path / "bin").resolve()
        assert seen == [f"{tmp_path}/notes", "there/there", "$NOT_SET $5 a~", "~nosuchuser/x"]
        assert place == f"{tmp_path}/there"


def test_a_model_is_given_so_many_tools_at_most(using: Callable[..., Used]) -> None:
    listed = using(server("many")).listed("many")
    assert (len(listed.tools), listed.problems) == (100, ("many has more than 100 tools. The others are left out.",))


def test_a_call_that_is_stopped_is_over_at_once(using: Callable[..., Used]) -> None:
    used = using(server("odd"))
    used.listed("odd")
    found = used.begin("odd__hang")
    time.sleep(0.2)
    before = time.monotonic()
    used.box.stop()
    assert time.monotonic() - before < 5, "the call itself would hang for a minute"
    assert used.call("odd__echo").text == "echo was called with {}", "another server is started where one stays busy"
    assert not found


def test_servers_end_with_the_program(using: Callable[..., Used]) -> None:
    used = using(server("odd"), server("stubborn"))
    used.listed("odd", "stubborn")
    pids = [int(pid) for name in ("odd", "stubborn") for pid in used.call(f"{name}__pid").text.split()]
    assert all(map(psutil.pid_exists, pids))
    before = time.monotonic()
    used.box.close()
    assert time.monotonic() - before < 20
    until(lambda: not any(map(alive, pids[:2])))
    until(lambda: not any(map(alive, pids[2:])))  # the stubborn one, a moment later


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


PROGRAM = """
import sys, time
from tests.tools.test_mcp import Used, server
used = Used(server("stubborn"))
used.listed("stubborn")
print(used.call("stubborn__pid").text, flush=True)
time.sleep(60)
"""


def test_servers_end_when_the_program_is_killed() -> None:
    root = Path(__file__).parents[2]
    program = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, cwd=root)
    assert program.stdout is not None
    pids = [int(pid) for pid in program.stdout.readline().split()]
    assert len(pids) == 2
    assert all(map(alive, pids))
    program.send_signal(signal.SIGKILL)
    program.wait()
    until(lambda: not any(map(alive, pids)))


@contextmanager
def serving(kind: str = "http") -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A server over HTTP, and its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = subprocess.Popen(
        [sys.executable, SERVERS, kind, str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def answers() -> bool:
        with socket.socket() as connection:
            return connection.connect_ex(("127.0.0.1", port)) == 0

    try:
        until(answers)
        yield program, f"http://127.0.0.1:{port}/mcp"
    finally:
        program.kill()
        program.wait()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving() as (_, url):
        yield url


def test_a_server_over_http(using: Callable[..., Used], address: str) -> None:
    used = using(McpServer("adder", url=address, call_s=2))
    assert {tool.name for tool in used.listed("adder").tools} == {"adder__add", "adder__wait", "adder__much"}
    assert used.call("adder__add", '{"a": 2, "b": 3}').text == "5"
    assert used.call("adder__add", '{"a": "x"}').failed
    assert used.call("adder__wait").text == "adder did not answer within 2 s."
    assert used.call("adder__much").failed
    assert used.call("adder__add", '{"a": 2, "b": 2}').text == "4", "the calls before cost nothing but themselves"


def test_a_server_over_http_that_is_killed_costs_that_call_alone(using: Callable[..., Used], address: str) -> None:
    with serving() as (program, url):
        used = using(McpServer("adder", url=url, call_s=30), McpServer("other", url=address))
        used.listed("adder", "other")
        found = used.begin("adder__wait")
        time.sleep(0.5)
        assert not found
        program.kill()
        until(lambda: found)
        assert found[0].result.failed
        assert used.call("adder__add", '{"a": 2, "b": 3}').failed
        assert used.call("other__add", '{"a": 2, "b": 3}').text == "5"


def test_what_no_parser_takes_is_repaired_over_http_too(using: Callable[..., Used]) -> None:
    with serving("hand") as (_, url):
        used = using(McpServer("hand", url=url, call_s=5))
        listed = used.listed("hand")
        assert [tool.name for tool in listed.tools] == ["hand__half", "hand__bomb"]
        assert "deep cannot be used" in listed.problems[0]
        assert used.call("hand__half").text == "a\ufffd 😀"
        bomb = used.call("hand__bomb")
        assert bomb.failed
        assert used.call("hand__half").text == "a\ufffd 😀"
        used.box.close()
        until(lambda: not used.box._started()._thread.is_alive())  # although the server does not say goodbye


def test_no_server_is_started_before_it_is_needed() -> None:
    before = threading.active_count()
    box = Toolbox(ToolSettings(), (server("odd"),))
    assert box.names[-1] == "odd"
    assert threading.active_count() == before
    box.close()
