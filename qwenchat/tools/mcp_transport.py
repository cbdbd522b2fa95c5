"""How a server of tools is reached: a process on a leash, or an address; what it answers is made plain on the way.

The package would refuse all tools for one that is wrong, and would judge what a call gives by a schema of the server's,
in this process; `foreign` reads both first.
"""

import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
from anyio import BrokenResourceError, ClosedResourceError, create_memory_object_stream, create_task_group
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.message import SessionMessage
from mcp.types import Implementation, JSONRPCError, JSONRPCResponse

from qwenchat import __version__
from qwenchat.chat.errors import ToolUnavailable
from qwenchat.chat.redaction import Redaction, names_a_secret
from qwenchat.chat.tools import McpServer
from qwenchat.i18n.texts import say
from qwenchat.tools import foreign, supervisor

LARGEST_ANSWER = 4_000_000
"""Bytes of one HTTP answer."""
GOODBYE_S = 2.0
"""How long a server over HTTP may take to answer that it is not needed any more."""
SCHEMA = "schema"
"""Where the schema of a tool travels, of which the package would judge each part."""


@asynccontextmanager
async def connected(
    server: McpServer, redaction: Redaction, complaints: Any, received: Callable[[Any], Awaitable[None]]
) -> AsyncIterator[Client]:
    """A server that runs or answers. Its complaints go to a file, what it says unasked to `received`."""
    options: dict[str, Any] = {
        "client_info": Implementation(name="qwenchat", version=__version__),
        "message_handler": received,
        "cache": None,
    }
    if server.url is None:
        async with Client(_plain(stdio_client(_leashed(server), errlog=complaints), redaction), **options) as client:
            yield client
        return
    headers = {"Authorization": f"Bearer {_key(server)}"} if server.key_env else {}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=httpx2.Timeout(30.0, read=300.0), transport=_Bounded()) as http,
        Client(_plain(streamable_http_client(server.url, http_client=http), redaction), **options) as client,
    ):
        yield client


class _Bounded(httpx2.AsyncHTTPTransport):
    """Breaks off an answer that is too large, and repairs what parsers do not take, as the supervisor does."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        request.headers["Accept-Encoding"] = "identity"
        if request.method == "DELETE":
            request.extensions["timeout"] = dict.fromkeys(("connect", "read", "write", "pool"), GOODBYE_S)
        response = await super().handle_async_request(request)
        if response.headers.get("content-encoding", "identity") != "identity":
            await response.aclose()  # its size would be known too late
            raise httpx2.ReadError(say("the answer is compressed, which was not asked for"))
        response.stream = _BoundedStream(response.stream)
        return response


class _BoundedStream(httpx2.AsyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        said, rest = 0, b""
        async for piece in self._stream:
            said += len(piece)
            if said > LARGEST_ANSWER:
                raise httpx2.ReadError(say("the answer is too large"))
            *lines, rest = (rest + piece).split(b"\n") if b"\n" in piece else [rest + piece]
            if lines:
                yield b"".join(supervisor.sound(line) + b"\n" for line in lines)
        yield supervisor.sound(rest)

    async def aclose(self) -> None:
        await self._stream.aclose()


def redaction_of(server: McpServer) -> Redaction:
    """Masks what a server was given that nobody else may see: keys in its address and in variables named for one."""
    url = urlsplit(server.url or "")
    variables = {**{name: os.environ.get(name, "") for name in server.env_from}, **server.env}
    named = [*parse_qsl(url.query), *((name, _expanded(value)) for name, value in variables.items())]
    secrets = [value for name, value in named if names_a_secret(name) and not os.path.exists(value)]  # noqa: PTH110
    return Redaction(os.environ.get(server.key_env or "", ""), url.password or "", *secrets)


@asynccontextmanager
async def _plain(transport: Any, redaction: Redaction) -> AsyncIterator[Any]:
    """A transport whose answers are made plain, and lose the server's secrets, as they come."""
    async with transport as (incoming, outgoing), create_task_group() as tasks:
        sender, receiver = create_memory_object_stream[Any](0)

        async def pass_on() -> None:
            async with sender:
                with suppress(BrokenResourceError, ClosedResourceError):
                    async for message in incoming:
                        match message:
                            case SessionMessage(message=JSONRPCResponse() as answer):
                                answer.result = _made_plain(redaction.values(answer.result))
                            case SessionMessage(message=JSONRPCError() as refusal):
                                refusal.error.message = redaction.masked(refusal.error.message)
                        await sender.send(message)

        tasks.start_soon(pass_on)
        try:
            async with receiver:
                yield receiver, outgoing
        finally:
            tasks.cancel_scope.cancel()


def _made_plain(result: dict[str, Any]) -> dict[str, Any]:
    """What a call gave, a list of tools, or what a server is, in the simplest form that the package takes."""
    kinds = {"_meta": dict, "nextCursor": str}
    about = {key: value for key, value in result.items() if isinstance(value, kinds.get(key, object))}
    if (given := foreign.given_by(result)) is not None:
        about.pop("structuredContent", None)
        return {**about, "content": [{"type": "text", "text": given.text}], "isError": given.failed}
    if isinstance(tools := result.get("tools"), list):
        # What is wrong with a tool travels as its title, since the package keeps nothing that it does not know.
        return {**about, "tools": [_judged(tool) for tool in tools]}
    if "protocolVersion" in result:
        able, named = {"tools": {"listChanged": True}}, {"name": "", "version": ""}
        return {"protocolVersion": result["protocolVersion"], "capabilities": able, "serverInfo": named}
    return result


def _judged(tool: Any) -> dict[str, Any]:
    try:
        spec = foreign.spec_of(tool if isinstance(tool, dict) else {})
    except ValueError as error:
        return {"name": foreign.name_of(tool), "title": str(error), "inputSchema": {"type": "object"}}
    properties = json.loads(spec.parameters).get("properties", {})
    known = {"type": "object", "properties": {name: it for name, it in properties.items() if isinstance(it, dict)}}
    return {
        "name": spec.name, "description": spec.description, "inputSchema": known, "_meta": {SCHEMA: spec.parameters},
    }  # fmt: skip


def _leashed(server: McpServer) -> StdioServerParameters:
    """How to start a server; raises ToolUnavailable where its folder is not there."""
    folder = None if server.cwd is None else _expanded(server.cwd)
    if folder is not None and not os.path.isdir(folder):  # noqa: PTH112
        said = say("{server} cannot be started: there is no folder {folder}.", server=server.name, folder=folder)
        raise ToolUnavailable(said)
    passed = {name: os.environ[name] for name in server.env_from if name in os.environ}
    command = [str(Path(supervisor.__file__)), str(os.getpid()), *map(_expanded, (str(server.command), *server.args))]
    return StdioServerParameters(
        command=sys.executable,
        args=["-I", *command],
        env={**passed, **{name: _expanded(value) for name, value in server.env.items()}},
        cwd=folder,
        encoding_error_handler="replace",
    )


def _expanded(text: str) -> str:
    """`text` with ~ at its beginning, $NAME and ${NAME} as a shell reads them; those that are not set stay."""
    return os.path.expanduser(os.path.expandvars(text))  # noqa: PTH111


def _key(server: McpServer) -> str:
    key = os.environ.get(str(server.key_env), "")
    if not key:
        raise ToolUnavailable(
            say("{server} cannot be used: {variable} is not set.", server=server.name, variable=server.key_env)
        )
    return key
