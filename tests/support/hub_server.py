"""A Hub on this machine that has one model and misbehaves as told."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

COMMIT = "a" * 40


@dataclass
class HubServer:
    """What it has and how it behaves; may be changed while it runs."""

    files: dict[str, bytes]
    status: int = 200
    """For every answer, when it is not 200."""
    error_code: str = ""
    """The Hub's own name of that error."""
    cut_at: dict[str, int] = field(default_factory=dict)
    """After how many bytes of a file the connection is closed."""
    silent: bool = False
    """Accepts requests and never answers."""
    url: str = ""
    asked: list[str] = field(default_factory=list)
    """Method, path and range of each request."""
    released: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator["HubServer"]:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hub._answer(self)

            do_HEAD = do_GET

            def log_message(self, format: str, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.released.set()
            server.shutdown()
            server.server_close()
            thread.join()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        path = urlsplit(request.path).path
        self.asked.append(f"{request.command} {path} {request.headers.get('Range', '')}".rstrip())
        if self.silent:
            self.released.wait()
            return
        if self.status != 200:
            request.send_response(self.status)
            if self.error_code:
                request.send_header("X-Error-Code", self.error_code)
            request.send_header("Content-Length", "0")
            request.end_headers()
        elif "/resolve/" in path:
            self._file(request, path.split(f"/resolve/{COMMIT}/")[1])
        elif "/tree/" in path:
            entries = [{"type": "file", "path": n, "size": len(d), "oid": _etag(d)} for n, d in self.files.items()]
            _send(request, json.dumps(entries).encode())
        else:
            siblings = [{"rfilename": name} for name in self.files]
            _send(request, json.dumps({"id": "x/y", "sha": COMMIT, "siblings": siblings}).encode())

    def _file(self, request: BaseHTTPRequestHandler, name: str) -> None:
        data = self.files[name]
        asked = request.headers.get("Range")
        start = int(asked.removeprefix("bytes=").split("-")[0]) if asked else 0
        request.send_response(206 if asked else 200)
        request.send_header("ETag", f'"{_etag(data)}"')
        request.send_header("X-Repo-Commit", COMMIT)
        request.send_header("Content-Length", str(len(data) - start))
        if asked:
            request.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        request.end_headers()
        if request.command == "GET":
            request.wfile.write(data[start : self.cut_at.get(name, len(data))])
        request.close_connection = True


def _send(request: BaseHTTPRequestHandler, body: bytes) -> None:
    request.send_response(200)
    request.send_header("Content-Type", "application/json")
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    if request.command == "GET":
        request.wfile.write(body)


def _etag(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()
