"""Servers of tools that speak MCP, over a pipe or over HTTP; the only place that knows the `mcp` package.

Each server is held by a task of its own on the loop of one thread: started when it is first needed, ended when it
fails, and started again by the next call. So whatever a server does costs one call.
"""

import asyncio
import json
import logging
import os
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import Future
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, Implementation, Tool
from pydantic import ValidationError

from qwenchat import __version__
from qwenchat.chat.errors import ToolFailed, ToolUnavailable
from qwenchat.chat.text import safe_line
from qwenchat.chat.tools import McpServer, ToolSpec
from qwenchat.i18n.texts import say, sentences
from qwenchat.tools import supervisor

log = logging.getLogger(__name__)

MOST_TOOLS = 100
"""Of one server; a model cannot choose among more."""
MOST_PAGES = 20
LONGEST_DESCRIPTION = 1_000
LONGEST_SCHEMA = 20_000
LARGEST_ANSWER = 4_000_000
"""Bytes of one HTTP answer."""
END_S = 0.5
"""How long servers have to end when the program ends; after that the leash ends them."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Listing:
    """What a server offers, by its own names, and what of that cannot be used."""

    tools: tuple[ToolSpec, ...]
    problems: tuple[str, ...]


class Servers:
    """All MCP servers of the config, on a thread of their own. Every method may be called from any thread."""

    def __init__(self, servers: tuple[McpServer, ...]) -> None:
        # What the package logs would be printed on the screen, since nobody else listens.
        logging.getLogger("mcp").addHandler(logging.NullHandler())
        logging.getLogger("mcp").propagate = False
        self._loop = asyncio.new_event_loop()
        self._connections = {server.name: _Connection(server) for server in servers}
        self._thread = threading.Thread(target=self._loop.run_forever, name="mcp", daemon=True)
        self._thread.start()

    def listing(self, name: str) -> "Future[Listing]":
        """The tools of a server, which is started for that; fails with ToolUnavailable."""
        return self._begin(self._connections[name].listing())

    def call(self, name: str, tool: str, arguments: dict[str, Any]) -> "Future[str]":
        """What a tool gives; fails with ToolError. Cancelling it ends the call."""
        return self._begin(self._connections[name].call(tool, arguments))

    def close(self) -> None:
        """End all servers; one that resists is ended in the background, or by its leash once this program is gone."""
        ended = self._begin(self._end_all())
        with suppress(TimeoutError):
            ended.result(END_S)

    def _begin(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _end_all(self) -> None:
        await asyncio.gather(*(connection.end() for connection in self._connections.values()), return_exceptions=True)
        self._loop.call_soon(self._loop.stop)


class _Connection:
    """One server, as long as it runs."""

    def __init__(self, server: McpServer) -> None:
        self._server = server
        self._lock = asyncio.Lock()
        self._held: asyncio.Task[None] | None = None
        self._leave = asyncio.Event()
        self._client: Client | None = None
        self._listing = Listing((), ())

    async def listing(self) -> Listing:
        await self._started()
        return self._listing

    async def call(self, tool: str, arguments: dict[str, Any]) -> str:
        client = await self._started()
        try:
            async with asyncio.timeout(self._server.call_s):
                return _text(await client.call_tool(tool, arguments))
        except ToolFailed:
            raise
        except TimeoutError as error:
            await self._give_up()
            said = say("{server} did not answer within {seconds:g} s.", server=self._name, seconds=self._server.call_s)
            raise ToolFailed(said) from error
        except Exception as error:
            await self._give_up()
            said = say("{server} failed: {error}.", server=self._name, error=_reason(error))
            raise ToolFailed(said, say("The next call starts it again.")) from error

    async def end(self) -> None:
        """Let the server end, and wait until it has."""
        async with self._lock:
            held, self._held, self._client = self._held, None, None
            self._leave.set()
            if held is not None:
                await asyncio.gather(held, return_exceptions=True)

    @property
    def _name(self) -> str:
        return safe_line(self._server.name)

    async def _give_up(self) -> None:
        """End a server that failed; nobody waits for that."""
        ending = asyncio.create_task(self.end())
        await asyncio.wait([ending], timeout=0)

    async def _started(self) -> Client:
        """The running server; raises ToolUnavailable."""
        async with self._lock:
            if self._client is not None and self._held is not None and not self._held.done():
                return self._client
            started: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
            self._leave = asyncio.Event()
            self._held = asyncio.create_task(self._hold(started, self._leave))
            self._client = await started
            return self._client

    async def _hold(self, started: "asyncio.Future[Client]", leave: asyncio.Event) -> None:
        """Start the server, and keep it until it is told to leave; all of its contexts live in this task."""
        with tempfile.TemporaryFile() as complaints:
            try:
                async with AsyncExitStack() as stack:
                    async with asyncio.timeout(self._server.start_s):
                        client = await stack.enter_async_context(self._connected(complaints))
                        self._listing = await _listed(client, self._server)
                    started.set_result(client)
                    await leave.wait()
            except Exception as error:  # noqa: BLE001  (whatever it is, it costs this server alone)
                log.info("%s ended: %s", self._name, type(error).__name__)
                if not started.done():
                    started.set_exception(self._unavailable(error, complaints))

    @asynccontextmanager
    async def _connected(self, complaints: Any) -> AsyncIterator[Client]:
        about = Implementation(name="qwenchat", version=__version__)
        if self._server.url is None:
            transport = stdio_client(_leashed(self._server), errlog=complaints)
            async with Client(transport, client_info=about) as client:
                yield client
            return
        headers = {"Authorization": f"Bearer {_key(self._server)}"} if self._server.key_env else {}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=httpx2.Timeout(30.0, read=300.0), transport=_Bounded()) as http,
            Client(streamable_http_client(self._server.url, http_client=http), client_info=about) as client,
        ):
            yield client

    def _unavailable(self, error: Exception, complaints: Any) -> ToolUnavailable:
        if isinstance(error, ToolUnavailable):
            return error
        complaints.seek(0)
        last_words = safe_line(complaints.read(supervisor.LAST_WORDS).decode("utf-8", errors="replace")[-300:])
        if isinstance(error, TimeoutError):
            reason = say("it did not answer within {seconds:g} s", seconds=self._server.start_s)
        else:
            reason = last_words or _reason(error)
        return ToolUnavailable(say("{server} cannot be started: {reason}.", server=self._name, reason=reason))


class _Bounded(httpx2.AsyncHTTPTransport):
    """Breaks off an answer that is too large."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await super().handle_async_request(request)
        response.stream = _BoundedStream(response.stream)
        return response


class _BoundedStream(httpx2.AsyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        said = 0
        async for piece in self._stream:
            said += len(piece)
            if said > LARGEST_ANSWER:
                raise httpx2.ReadError(say("the answer is too large"))
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()


def _leashed(server: McpServer) -> StdioServerParameters:
    command = [str(Path(supervisor.__file__)), str(os.getpid()), str(server.command), *server.args]
    passed = {name: os.environ[name] for name in server.env_from if name in os.environ}
    return StdioServerParameters(
        command=sys.executable,
        args=["-I", *command],
        env={**passed, **server.env},
        encoding_error_handler="replace",
    )


def _key(server: McpServer) -> str:
    key = os.environ.get(str(server.key_env), "")
    if not key:
        raise ToolUnavailable(
            say("{server} cannot be used: {variable} is not set.", server=server.name, variable=server.key_env)
        )
    return key


async def _listed(client: Client, server: McpServer) -> Listing:
    """All tools that make sense."""
    tools: dict[str, ToolSpec] = {}
    problems: list[str] = []
    cursor: str | None = None
    for _ in range(MOST_PAGES):
        page = await client.list_tools(cursor=cursor)
        for tool in page.tools:
            try:
                tools.setdefault(tool.name, _spec(tool))
            except ValueError as error:
                name = safe_line(f"{server.name}: {tool.name}")
                problems.append(say("{tool} cannot be used: {reason}.", tool=name, reason=error))
        if not (cursor := page.next_cursor) or len(tools) >= MOST_TOOLS:
            break
    if len(tools) > MOST_TOOLS:
        said = say("{server} has more than {number} tools.", server=server.name, number=MOST_TOOLS)
        problems.append(sentences(said, say("The others are left out.")))
    return Listing(tuple(tools.values())[:MOST_TOOLS], tuple(problems))


def _spec(tool: Tool) -> ToolSpec:
    """A tool under its own name; raises ValueError saying why it cannot be offered."""
    text = json.dumps(tool.input_schema, ensure_ascii=False)
    if len(text) > LONGEST_SCHEMA:
        raise ValueError(say("the schema of its arguments is too long"))
    return ToolSpec(tool.name, (tool.description or tool.title or "")[:LONGEST_DESCRIPTION], text)


def _text(result: CallToolResult) -> str:
    """What a tool gave, as text; raises ToolFailed for what it calls an error."""
    pieces = []
    for block in result.content:
        if block.type == "text":
            pieces.append(block.text)
        elif block.type == "resource" and (text := getattr(block.resource, "text", None)) is not None:
            pieces.append(str(text))
        else:
            pieces.append(say("[{kind}, which cannot be shown]", kind=block.type))
    if not pieces and result.structured_content is not None:
        pieces.append(json.dumps(result.structured_content, ensure_ascii=False))
    said = "\n".join(pieces)
    if result.is_error:
        raise ToolFailed(said or say("The tool failed and does not say why."))
    return said or say("The tool gave nothing.")


def _reason(error: BaseException) -> str:
    """The first cause, on one line: failures come in groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, ValidationError):
        return say("what it says does not keep to the protocol")
    return safe_line(str(error), 300).rstrip(".") or type(error).__name__
