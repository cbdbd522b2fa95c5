"""Servers of tools that speak MCP, some of them badly: a program of its own, `mcp_servers.py KIND [PORT]`."""

import json
import os
import signal
import sys
import time
from typing import Any


def answering(tools: list[dict[str, Any]], act: Any) -> None:
    """A server made by hand, which says what it likes."""
    for line in sys.stdin:
        request = json.loads(line)
        if "id" not in request:
            continue
        match request["method"]:
            case "initialize":
                about = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                         "serverInfo": {"name": "odd", "version": "1"}}  # fmt: skip
                say(request, about)
            case "tools/list":
                say(request, {"tools": tools})
            case "tools/call":
                act(request)
            case _:
                print(json.dumps({"jsonrpc": "2.0", "id": request["id"], "error": {"code": -32601, "message": "no"}}))
                sys.stdout.flush()


def say(request: dict[str, Any], result: dict[str, Any]) -> None:
    print(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}), flush=True)


def text(request: dict[str, Any], text: str, **more: Any) -> None:
    say(request, {"content": [{"type": "text", "text": text}], **more})


def tool(name: str, **schema: Any) -> dict[str, Any]:
    return {"name": name, "description": f"Does {name}.", "inputSchema": {"type": "object", **schema}}


def act(request: dict[str, Any]) -> None:
    """What the tools of the odd server do."""
    match request["params"]["name"]:
        case "hang":
            time.sleep(60)
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "flood":
            text(request, "x" * 3_000_000)
        case "endless":
            while True:
                sys.stdout.write("x" * 100_000)
        case "chatter":
            while True:
                print('{"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": 1}}')
        case "garble":
            print("this is no JSON \x1b[2J", flush=True)
            print('{"jsonrpc": "2.0"}', flush=True)
            print('{"jsonrpc": "2.0", "id": 999, "result": {}}', flush=True)
            text(request, "after the garbage")
        case "lie":
            say(request, {"content": "not a list"})
        case "fail":
            text(request, "no such thing", isError=True)
        case "environment":
            text(request, " ".join(sorted(os.environ)))
        case "pid":
            text(request, f"{os.getpid()} {os.getppid()}")
        case "picture":
            say(request, {"content": [{"type": "image", "data": "aGk=", "mimeType": "image/png"}]})
        case name:
            text(request, f"{name} was called with {json.dumps(request['params'].get('arguments'))}")


ODD = [*map(tool, ("hang", "die", "flood", "endless", "chatter", "garble", "lie", "fail", "environment", "pid",
                   "picture", "echo"))]  # fmt: skip


def stubborn() -> None:
    """Neither the end of its input nor a signal ends it."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    answering(ODD, act)
    while True:
        time.sleep(1)


def over_http(port: int) -> None:
    """A server written with the class of the package itself."""
    from mcp.server.mcpserver import MCPServer

    server = MCPServer("adder")

    @server.tool()
    def add(a: int, b: int) -> str:
        """Add two numbers."""
        return str(a + b)

    @server.tool()
    async def wait() -> str:
        """Wait for long."""
        import asyncio

        await asyncio.sleep(60)
        return "waited"

    @server.tool()
    def much() -> str:
        """Say much."""
        return "x" * 6_000_000

    server.run(transport="streamable-http", host="127.0.0.1", port=port)


def main(kind: str, *rest: str) -> None:
    match kind:
        case "odd":
            answering(ODD, act)
        case "stubborn":
            stubborn()
        case "mute":
            time.sleep(60)
        case "broken":
            sys.stderr.write("Traceback: there is no \x1b[31mdatabase\n")
            sys.exit(3)
        case "liar":
            odd = [
                tool("long", properties={"x": {"enum": ["y" * 30_000]}}),
                tool("fine"),
                tool("fine"),
                tool("odd name/\x1b[31m"),
            ]
            answering(odd, act)
        case "many":
            answering([tool(f"t{at}") for at in range(150)], act)
        case "shapeless":
            answering([tool("fine"), {"name": "array", "inputSchema": {"type": "array"}}], act)
        case "http":
            over_http(int(rest[0]))


if __name__ == "__main__":
    main(*sys.argv[1:])
