"""A server with an OpenAI-compatible address on this machine that answers as told, also badly."""

import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def event(data: object) -> bytes:
    """One event of a stream."""
    return f"data: {data if isinstance(data, str) else json.dumps(data)}\n\n".encode()


def delta(finish: str | None = None, **fields: object) -> bytes:
    """A chunk of a streamed chat completion."""
    choice = {"index": 0, "delta": fields, "finish_reason": finish}
    return event({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]})


def usage(prompt: int, completion: int, **more: object) -> bytes:
    """The last chunk, with the counts."""
    counts = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion, **more}
    return event({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [],
                  "usage": counts})  # fmt: skip


DONE = event("[DONE]")


def said(*pieces: str, finish: str = "stop") -> bytes:
    """A whole stream that says `pieces`."""
    return b"".join([*(delta(content=piece) for piece in pieces), delta(finish), usage(7, len(pieces)), DONE])


@dataclass
class Answer:
    """What one request gets."""

    body: bytes = b""
    status: int = 200
    kind: str = "text/event-stream"
    headers: dict[str, str] = field(default_factory=dict)
    step: int = 0
    """So many bytes at a time; 0 for all at once."""
    stalls: bool = False
    """Whether nothing comes after the body, and the connection stays open."""
    bare: bool = False
    """Whether the body ends with the connection alone, as in HTTP/1.0."""
    resets: bool = False
    """Whether the connection is reset after the body."""


@dataclass
class ChatServer:
    """What it has and how it behaves; may be changed while it runs."""

    answers: list[Answer] = field(default_factory=list)
    """One for each chat completion; the last one stays."""
    answer: Callable[[dict[str, Any]], Answer] | None = None
    """Answers a request by its body, instead of these."""
    models: list[dict[str, Any]] = field(default_factory=lambda: [{"id": "qwen3-0.6b", "owned_by": "someone"}])
    pages: dict[str, Any] = field(default_factory=dict)
    """JSON by path, for what only some servers have."""
    asked: list[dict[str, Any]] = field(default_factory=list)
    """The bodies of the chat completions."""
    headers: list[dict[str, str]] = field(default_factory=list)
    """The headers of all requests, names in lower case."""
    gone: threading.Event = field(default_factory=threading.Event)
    """Set when a client left before the end."""
    url: str = ""
    tls: ssl.SSLContext | None = None
    """Its certificate, for a server that encrypts."""
    released: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator["ChatServer"]:
        mine = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                mine._page(self)

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                body = self.rfile.read(length)
                if length and len(body) == length:  # else the one who asked is gone
                    mine._chat(self, json.loads(body))

            def log_message(self, format: str, *args: object) -> None:
                pass

        ThreadingHTTPServer.request_queue_size = 256
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        if self.tls is not None:
            server.socket = self.tls.wrap_socket(server.socket, server_side=True)
        self.url = f"http{'s' * (self.tls is not None)}://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.released.set()
            server.shutdown()
            server.server_close()
            thread.join()

    def _page(self, request: BaseHTTPRequestHandler) -> None:
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        found = self.pages.get(request.path)
        if found is None and request.path == "/v1/models":
            found = {"object": "list", "data": self.models}
        if isinstance(found, Answer):
            self._send(request, found)
        elif found is None:
            self._send(request, Answer(b'{"error": "not here"}', 404, "application/json"))
        else:
            self._send(request, Answer(json.dumps(found).encode(), 200, "application/json"))

    def _chat(self, request: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        if request.path != "/v1/chat/completions":
            self._page(request)
            return
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        self.asked.append(body)
        if self.answer is not None:
            self._send(request, self.answer(body))
        else:
            self._send(request, self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])

    def _send(self, request: BaseHTTPRequestHandler, answer: Answer) -> None:
        request.close_connection = True
        if answer.bare:
            request.protocol_version = "HTTP/1.0"
        request.send_response(answer.status)
        request.send_header("Content-Type", answer.kind)
        request.send_header("Connection", "close")
        for name, value in answer.headers.items():
            request.send_header(name, value)
        if not (answer.stalls or answer.resets or answer.bare):
            request.send_header("Content-Length", str(len(answer.body)))
        request.end_headers()
        try:
            for piece in _pieces(answer.body, answer.step):
                request.wfile.write(piece)
                request.wfile.flush()
            if answer.stalls:
                self._wait_until_left(request.connection)
        except OSError:
            self.gone.set()
        if answer.resets:
            request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            request.connection.close()

    def _wait_until_left(self, connection: socket.socket) -> None:
        connection.settimeout(0.01)
        while not self.released.is_set():
            try:
                if not connection.recv(1):
                    self.gone.set()
                    return
            except TimeoutError:
                continue


def _pieces(body: bytes, step: int) -> Sequence[bytes]:
    return [body[at : at + step] for at in range(0, len(body), step)] if step else [body]
