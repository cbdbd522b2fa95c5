"""Servers of tools that speak MCP, some of them badly: a program of its own, `mcp_servers.py KIND [PORT]`."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


def answering(tools: list[Any], act: Any) -> None:
    """A server made by hand, which says what it likes."""
    for line in sys.stdin:
        request = json.loads(line)
        if "id" not in request:
            continue
        match request["method"]:
            case "initialize":
                about = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {"listChanged": True}},
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
        case "flutter":
            while True:
                print('{"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}')
        case "garble":
            print("this is no JSON \x1b[2J", flush=True)
            print('{"jsonrpc": "2.0"}', flush=True)
            print('{"jsonrpc": "2.0", "id": 999, "result": {}}', flush=True)
            text(request, "after the garbage")
        case "lie":
            say(request, {"said": "nothing"})
        case "refuse":
            error = {"code": -32000, "message": f"no \x1b[2Jrights for {os.environ.get('API_TOKEN', 'you')}"}
            print(json.dumps({"jsonrpc": "2.0", "id": request["id"], "error": error}), flush=True)
        case "sloppy":
            say(request, SLOPPY[request["params"]["arguments"]["kind"]])
        case "fail":
            text(request, "no such thing", isError=True)
        case "environment":
            text(request, " ".join(sorted(os.environ)))
        case "pid":
            text(request, f"{os.getpid()} {os.getppid()}")
        case "picture":
            say(request, {"content": [{"type": "image", "data": "aGk=", "mimeType": "image/png"}]})
        case "report":
            link = {"type": "resource_link", "uri": "reports://q3", "name": "q3", "title": "Quarterly report",
                    "description": "Revenue", "mimeType": "application/pdf"}  # fmt: skip
            inside = {"type": "resource", "resource": {"uri": "file:///a.txt", "text": "the text of it"}}
            data = {"type": "resource", "resource": {"uri": "file:///b.bin", "blob": "aGlo", "mimeType": "x/y"}}
            sound = {"type": "audio", "data": "aGlo", "mimeType": "audio/wav"}
            blocks = [{"type": "text", "text": "Found:"}, link, inside, data, sound, {"type": "new"}, "odd", None]
            say(request, {"content": blocks})
        case "structured":
            text(request, "3 issues", structuredContent={"n": 3, "issues": ["alpha"]})
        case "twice":
            text(request, '{"n": 3}', structuredContent={"n": 3})
        case "only":
            say(request, {"structuredContent": {"n": 3}})
        case "half":
            said = r'{"content": [{"type": "text", "text": "a\ud83d \ud83d\ude00 \\ud83d"}]}'
            print(f'{{"jsonrpc": "2.0", "id": {json.dumps(request["id"])}, "result": {said}}}', flush=True)
        case "offspring":
            code = (
                "import os,time; os.fork() and os._exit(0); os.setsid(); print(os.getpid(),flush=True); time.sleep(60)"
            )
            child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
            assert child.stdout is not None
            text(request, child.stdout.readline().decode().strip())
        case "where":
            text(request, json.dumps([str(Path.cwd()), sys.argv[2:], os.environ.get("PLACE")]))
        case "unlock":
            ODD.append(tool("later"))
            print('{"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}', flush=True)
            text(request, "unlocked")
        case "lock":
            ODD.pop()
            text(request, "locked")
            print('{"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}', flush=True)
        case "noise":
            for _ in range(3_000):
                print("debug: handling \x1b[2J", flush=True)
            sys.stderr.write("x" * 3_000_000)
            print(" [1, 2]\n\n{\n}", flush=True)
            text(request, "after the noise")
        case name:
            text(request, f"{name} was called with {json.dumps(request['params'].get('arguments'))}")


ODD = [*map(tool, ("hang", "die", "flood", "endless", "chatter", "flutter", "garble", "lie", "fail", "environment",
                   "pid", "picture", "echo", "report", "structured", "twice", "only", "half", "offspring", "where",
                   "unlock", "lock", "noise", "refuse", "sloppy"))]  # fmt: skip
SLOPPY: dict[str, dict[str, Any]] = {
    "content null": {"content": None, "structuredContent": {"a": 1}},
    "content an object": {"content": {"type": "text", "text": "x"}},
    "content a string": {"content": "x"},
    "a number": {"content": [{"type": "text", "text": 5}]},
    "tools beside": {"content": [{"type": "text", "text": "x"}], "tools": [{"name": "evil"}]},
    "odd meta": {"content": [{"type": "text", "text": "x"}], "_meta": 5},
    "nothing of it": {"said": "nothing"},
}


def leaky() -> None:
    """Says the key that it was given wherever it can."""
    key = os.environ["API_TOKEN"]
    answering([{"name": "environment", "description": f"Uses {key}.", "inputSchema": {}}, tool("refuse")], act_leaky)


def act_leaky(request: dict[str, Any]) -> None:
    key = os.environ["API_TOKEN"]
    if request["params"]["name"] == "refuse":
        act(request)
    else:
        split = "\u200b".join(key)
        text(request, f"{key} {key.upper()} {split}", structuredContent={key: [key]})


def careless() -> None:
    """Begins with a mark of the byte order, names no server and no abilities, and has odd fields beside its tools."""
    for line in sys.stdin:
        request = json.loads(line)
        if request.get("method") == "initialize":
            result: dict[str, Any] = {"protocolVersion": "2025-06-18", "capabilities": None, "instructions": 5}
        elif request.get("method") == "tools/list":
            result = {"tools": [tool("fine")], "_meta": 5, "nextCursor": 5}
        elif "id" in request:
            print(json.dumps({"jsonrpc": "2.0", "id": request["id"], "error": {"code": 1, "message": ""}}), flush=True)
            continue
        else:
            continue
        print("\ufeff" + json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}), flush=True)


def restless() -> None:
    """Says that its tools changed whenever it is asked for them."""
    asked = 0
    for line in sys.stdin:
        request = json.loads(line)
        if request.get("method") == "initialize":
            say(
                request,
                {"protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": {"name": "", "version": ""}},
            )
        elif request.get("method") == "tools/list":
            asked += 1
            print('{"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}', flush=True)
            say(request, {"tools": [tool("asked")]})
        elif request.get("method") == "tools/call":
            text(request, str(asked))
        elif "id" in request:
            print(json.dumps({"jsonrpc": "2.0", "id": request["id"], "error": {"code": 1, "message": ""}}), flush=True)


def pages(number: int, *, turning: bool = False) -> None:
    """Lists its tools one by one, and perhaps never ends."""
    for line in sys.stdin:
        request = json.loads(line)
        if request.get("method") == "initialize":
            say(
                request,
                {"protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": {"name": "", "version": ""}},
            )
        elif request.get("method") == "tools/list":
            at = int((request.get("params") or {}).get("cursor", 0))
            after = (at + 1) % number if turning else at + 1
            say(request, {"tools": [tool(f"t{at}")], **({"nextCursor": str(after)} if after < number else {})})
        elif "id" in request:
            print(json.dumps({"jsonrpc": "2.0", "id": request["id"], "error": {"code": 1, "message": ""}}), flush=True)


def stubborn() -> None:
    """Neither the end of its input nor a signal ends it."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    answering(ODD, act)
    while True:
        time.sleep(1)


class ByHand(BaseHTTPRequestHandler):
    """A server over HTTP made by hand, whose answers no parser takes as they are."""

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.answer(405, b"")

    def do_DELETE(self) -> None:
        time.sleep(60)

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        id_, headers = json.dumps(asked.get("id")).encode(), {}
        if "id" not in asked:
            self.answer(202, b"")
            return
        match asked["method"]:
            case "initialize":
                said = b'{"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, ' \
                       b'"serverInfo": {"name": "hand", "version": "1"}}'  # fmt: skip
                headers = {"mcp-session-id": "s1"}
            case "tools/list":
                deep = b'{"type": "object", "properties": {"x": ' + b'{"x": ' * 300 + b"1" + b"}" * 300 + b"}}"
                said = b'{"tools": [{"name": "deep", "inputSchema": %s}, {"name": "half", "inputSchema": {}},' % deep
                said += b' {"name": "bomb", "inputSchema": {}}]}'
            case "tools/call" if asked["params"]["name"] == "bomb":
                said, headers = b"{}", {"content-encoding": "gzip"}
            case "tools/call":
                said = b'{"content": [{"type": "text", "text": "a\\ud83d \\ud83d\\ude00"}]}'
            case _:
                self.answer(200, b'{"jsonrpc": "2.0", "id": %s, "error": {"code": -32601, "message": "no"}}' % id_)
                return
        body = b'{"jsonrpc": "2.0", "id": %s, "result": %s}' % (id_, said)
        self.answer(200, gzip.compress(body * 1_000) if "content-encoding" in headers else body, headers)

    def answer(self, status: int, body: bytes, headers: dict[str, str] = {}) -> None:  # noqa: B006
        self.send_response(status)
        for name, value in {"content-type": "application/json", "content-length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


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
        case "leaky":
            leaky()
        case "last-words":
            sys.stderr.write(f"the key {os.environ['API_TOKEN']} is not good\n")
            sys.exit(3)
        case "careless":
            careless()
        case "pages":
            pages(60)
        case "restless":
            restless()
        case "turning":
            pages(3, turning=True)
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
        case "unfit":
            deep: dict[str, Any] = {"type": "object"}
            for _ in range(300):
                deep = {"type": "object", "properties": {"x": deep}}
            loop = {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}
            tree = {"$defs": {"t": {"type": "object", "properties": {"next": {"$ref": "#/$defs/t"}}}}}
            unfit = [
                tool("deep", **deep),
                tool("loop", **loop),
                tool("away", properties={"x": {"$ref": "https://schemas.example/x.json"}}),
                tool("nothing", properties={"x": {"maximum": float("nan")}}),
                tool("huge", properties={"x": {"description": "y" * 2_000_000}}),
                {"name": "list", "inputSchema": ["x"]},
                {"description": "has no name", "inputSchema": {}},
                "no object",
                {"name": "fine", "description": 7, "outputSchema": {"type": "string"}, "annotations": "odd"},
                tool("tree", **tree),
                tool("any", properties={"x": True, "y": {}}),
                tool("null", properties=None, required=None),
                tool("five", properties=5),
                tool("names", required="x"),
            ]
            answering(unfit, act)
        case "many":
            answering([tool(f"t{at}") for at in range(150)], act)
        case "shapeless":
            answering([tool("fine"), {"name": "array", "inputSchema": {"type": "array"}}], act)
        case "hand":
            ThreadingHTTPServer(("127.0.0.1", int(rest[0])), ByHand).serve_forever()
        case "http":
            over_http(int(rest[0]))


if __name__ == "__main__":
    main(*sys.argv[1:])
