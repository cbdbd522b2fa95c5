"""Servers of tools that speak MCP; with `mcp_transport` the only place that knows the `mcp` package.

Each server is held by a task of its own on the loop of one thread: started when it is first needed, ended when it
fails, and started again by the next call. So whatever a server does costs one call.
"""

import asyncio
import logging
import tempfile
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from mcp import Client, MCPError
from mcp.types import CallToolResult, TextContent, ToolListChangedNotification
from pydantic import ValidationError

from qwenchat.chat.errors import ToolFailed, ToolUnavailable
from qwenchat.chat.text import safe_line
from qwenchat.chat.tools import McpServer, ToolSpec
from qwenchat.i18n.texts import say, sentences
from qwenchat.tools import supervisor
from qwenchat.tools.mcp_transport import SCHEMA, connected, redaction_of

log = logging.getLogger(__name__)

MOST_TOOLS = 100
"""Of one server; a model cannot choose among more."""
MOST_PROBLEMS = 5
"""Of the tools of one server that are named."""
END_S = 0.5
"""How long servers have to end when the program ends; after that the leash ends them."""
RELIST_S, LONGEST_RELIST_S = 1.0, 60.0
"""How long to wait after a server said that it has other tools, so that it may say so often; ever longer where it has
none: some say so whenever they are asked."""
ENDING_S = 8.0
"""How long one server may take to end, or to give up starting; longer than the package's own patience, which counts."""
ANSWER_S = 2.0
"""How long a server has to show that it can be called after a call was stopped; then another one is started."""
LIST_AGAIN_S = 5.0
"""How long what a call gave may wait for the tools that came with it."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ToolListing:
    """What a server offers, by its own names, and what of that cannot be used."""

    tools: tuple[ToolSpec, ...]
    problems: tuple[str, ...]


class McpServers:
    """All MCP servers of the config, on a thread of their own. Every method may be called from any thread."""

    def __init__(self, servers: tuple[McpServer, ...], changed: Callable[[str], None] = lambda _: None) -> None:
        """`changed` is given, on that thread, the name of a server that has other tools than before."""
        # What the package logs would be printed on the screen, since nobody else listens.
        logging.getLogger("mcp").addHandler(logging.NullHandler())
        logging.getLogger("mcp").propagate = False
        self._loop = asyncio.new_event_loop()
        self._connections = {server.name: _Connection(server, changed) for server in servers}
        self._closed = False
        self._thread = threading.Thread(target=self._loop.run_forever, name="mcp", daemon=True)
        self._thread.start()

    def listing(self, name: str) -> "Future[ToolListing]":
        """The tools of a server, which is started for that; fails with ToolUnavailable."""
        return self._begin(self._connections[name].listing())

    def latest(self, name: str) -> ToolListing:
        """What a server offered when it was last asked."""
        return self._connections[name].latest

    def call(self, name: str, tool: str, arguments: dict[str, Any]) -> "Future[str]":
        """What a tool gives; fails with ToolError. Cancelling it ends the call."""
        return self._begin(self._connections[name].call(tool, arguments))

    def close(self) -> None:
        """End all servers; one that resists is ended in the background, or by its leash once this program is gone."""
        if self._closed:
            return
        ended = self._begin(self._end_all())
        self._closed = True
        with suppress(TimeoutError):
            ended.result(END_S)

    def _begin(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        if self._closed:  # nobody would ever take it up
            work.close()
            over: Future[T] = Future()
            over.cancel()
            return over
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _end_all(self) -> None:
        await asyncio.gather(*(connection.close() for connection in self._connections.values()), return_exceptions=True)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()  # so that the one who waits for it learns that nothing comes
        await asyncio.wait(left, timeout=END_S) if left else None
        self._loop.call_soon(self._loop.stop)


class _Connection:
    """One server, as long as it runs."""

    def __init__(self, server: McpServer, changed: Callable[[str], None]) -> None:
        self._server = server
        self._redaction = redaction_of(server)
        self._changed = changed
        self._lock = asyncio.Lock()
        self._relisting = asyncio.Lock()
        self._stale = False
        """Whether the server said that it has other tools than those listed."""
        self._pause_s = RELIST_S
        self._doubtful = False
        """Whether the last call got no answer, as when it was stopped, so that the server may still be at it."""
        self._closed = False
        self._held: asyncio.Task[None] | None = None
        self._leave = asyncio.Event()
        self._client: Client | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.latest = ToolListing((), ())

    async def listing(self) -> ToolListing:
        await self._started()
        return self.latest

    async def call(self, tool: str, arguments: dict[str, Any]) -> str:
        client = await self._started()
        if self._doubtful and not await self._answers(client):
            await self._give_up()
            client = await self._started()
        self._doubtful = True
        try:
            async with asyncio.timeout(self._server.call_s):
                given = await client.call_tool(tool, arguments)
            self._doubtful = False
        except TimeoutError as error:
            await self._give_up()
            said = say("{server} did not answer within {seconds:g} s.", server=self._name, seconds=self._server.call_s)
            raise ToolFailed(said) from error
        except Exception as error:
            said = say("{server} failed: {error}.", server=self._name, error=_reason(error))
            if isinstance(error, MCPError | ValidationError) and await self._answers(client):
                self._doubtful = False
                raise ToolFailed(said) from error  # it answered, and has lost nothing
            await self._give_up()
            raise ToolFailed(said, say("The next call starts it again.")) from error
        with suppress(Exception):  # the tools stay as they were
            async with asyncio.timeout(LIST_AGAIN_S):
                await self._relist(client)
        return _text(given)

    async def close(self) -> None:
        """Let the server end, and start no other."""
        self._closed = True
        await self.end()

    async def end(self) -> None:
        """Let the server end, and wait until it has, within reason."""
        if self._client is None and self._held is not None:
            self._held.cancel()  # it still starts, and who waits for that holds the lock
        async with self._lock:
            held, self._held, self._client = self._held, None, None
            self._leave.set()
            for task in self._tasks:
                task.cancel()
            if held is not None:
                await asyncio.wait({held}, timeout=ENDING_S)

    async def _answers(self, client: Client) -> bool:
        """Whether a server whose call was stopped is there for another."""
        try:
            async with asyncio.timeout(ANSWER_S):
                await client.list_tools(cache_mode="bypass")
        except Exception:  # noqa: BLE001  (whatever it is, another one is started)
            return False
        return True

    @property
    def _name(self) -> str:
        return safe_line(self._server.name)

    async def _handle(self, message: object) -> None:
        """Take in what a server says unasked. Its reader waits for this, so nothing here may wait for the server."""
        if isinstance(message, ToolListChangedNotification) and not self._stale and self._held is not None:
            self._stale = True
            self._tasks.add(task := asyncio.create_task(self._relist_soon(self._held)))
            task.add_done_callback(self._tasks.discard)

    async def _relist_soon(self, held: "asyncio.Task[None]") -> None:
        """List the tools again, unless a call has done that; not more often than now and then."""
        await asyncio.sleep(self._pause_s)
        if self._stale and self._client is not None and self._held is held and not held.done():
            before = self.latest
            with suppress(Exception):  # the tools stay as they were
                async with asyncio.timeout(LIST_AGAIN_S):
                    await self._relist(self._client)
            if self.latest is not before:
                self._changed(self._server.name)

    async def _relist(self, client: Client) -> None:
        async with self._relisting:
            if self._stale:
                self._stale = False
                listing = await _listed(client, self._server)
                other = listing != self.latest
                self._pause_s = RELIST_S if other else min(2 * self._pause_s, LONGEST_RELIST_S)
                self.latest = listing if other else self.latest

    async def _give_up(self) -> None:
        """End a server that failed; nobody waits for that."""
        ending = asyncio.create_task(self.end())
        await asyncio.wait([ending], timeout=0)

    async def _started(self) -> Client:
        """The running server; raises ToolUnavailable."""
        async with self._lock:
            if self._client is not None and self._held is not None and not self._held.done():
                return self._client
            if self._closed:
                raise asyncio.CancelledError
            started: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
            self._client, self._leave = None, asyncio.Event()
            self._held = asyncio.create_task(self._hold(started, self._leave))
            try:
                async with asyncio.timeout(self._server.start_s + ENDING_S):
                    self._client = await started
            except TimeoutError as error:
                raise ToolUnavailable(self._unstarted(self._late())) from error
            finally:
                if self._client is None:  # it failed, or nobody waits any more
                    self._leave.set()
                    self._held.cancel()
            return self._client

    async def _hold(self, started: "asyncio.Future[Client]", leave: asyncio.Event) -> None:
        """Start the server, and keep it until it is asked to leave; all of its contexts live in this task.

        Whatever becomes of it, `started` is done in the end: its waiter holds the lock.
        """
        with tempfile.TemporaryFile() as complaints:
            try:
                async with AsyncExitStack() as stack:
                    async with asyncio.timeout(self._server.start_s):
                        client = await stack.enter_async_context(
                            connected(self._server, self._redaction, complaints, self._handle)
                        )
                        self._stale = self._doubtful = False
                        self.latest = await _listed(client, self._server)
                    started.set_result(client)
                    await leave.wait()
            except BaseException as error:
                log.info("%s ended: %s", self._name, type(error).__name__)
                if not started.done():
                    started.set_exception(self._unavailable(error, complaints))
                if isinstance(error, asyncio.CancelledError):
                    raise

    def _unavailable(self, error: BaseException, complaints: Any) -> ToolUnavailable:
        cause = _cause(error)
        if isinstance(cause, ToolUnavailable):
            return cause
        if isinstance(cause, TimeoutError):
            return ToolUnavailable(self._unstarted(self._late()))
        complaints.seek(0)
        last_words = complaints.read(supervisor.LAST_WORDS).decode("utf-8", errors="replace")
        reason = safe_line(self._redaction.masked(last_words)[-300:]) or self._redaction.masked(_reason(error))
        return ToolUnavailable(self._unstarted(reason))

    def _unstarted(self, reason: str) -> str:
        return say("{server} cannot be started: {reason}.", server=self._name, reason=reason)

    def _late(self) -> str:
        return say("it did not answer within {seconds:g} s", seconds=self._server.start_s)


async def _listed(client: Client, server: McpServer) -> ToolListing:
    """All tools that make sense."""
    tools: dict[str, ToolSpec] = {}
    problems: list[str] = []
    cursor: str | None = None
    known = -1
    while known < len(tools) + len(problems) <= 2 * MOST_TOOLS:  # a page that says nothing new is the last
        known = len(tools) + len(problems)
        page = await client.list_tools(cursor=cursor, cache_mode="bypass")
        for tool in page.tools:
            if tool.title is not None:
                name = safe_line(f"{server.name}: {tool.name}")
                problems.append(say("{tool} cannot be used: {reason}.", tool=name, reason=safe_line(tool.title)))
            else:
                schema = str((tool.meta or {}).get(SCHEMA, "{}"))
                tools.setdefault(tool.name, ToolSpec(tool.name, tool.description or "", schema))
        if not (cursor := page.next_cursor) or len(tools) > MOST_TOOLS:
            break
    if len(tools) > MOST_TOOLS:
        said = say("{server} has more than {number} tools.", server=server.name, number=MOST_TOOLS)
        problems.append(sentences(said, say("The others are left out.")))
    if len(problems) > MOST_PROBLEMS:
        problems[MOST_PROBLEMS:] = [say("{server} has more such tools.", server=server.name)]
    return ToolListing(tuple(tools.values())[:MOST_TOOLS], tuple(problems))


def _text(result: CallToolResult) -> str:
    """What a tool gave; raises ToolFailed for what it calls an error."""
    text = "".join(block.text for block in result.content if isinstance(block, TextContent))
    if result.is_error:
        raise ToolFailed(text)
    return text


def _cause(error: BaseException) -> BaseException:
    """The first cause: failures come in groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _reason(error: BaseException) -> str:
    """The first cause, on one line."""
    cause = _cause(error)
    if isinstance(cause, ValidationError):
        return say("what it says does not keep to the protocol")
    return safe_line(str(cause), 300).rstrip(".") or type(cause).__name__
