"""Pages of strangers: what their text is, in bounded time and memory, and servers that never come to an end."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from qwenchat.chat.errors import ToolError, ToolFailed
from qwenchat.engine.base import StopSignal
from qwenchat.system.isolation import CallStopped, Limits
from qwenchat.tools import addresses
from qwenchat.tools import page as module
from qwenchat.tools.page import page
from qwenchat.tools.page_text import text_of
from tests.support.patience import PATIENCE_S

MANY = 100_000


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<h1>Title</h1><p>One <b>two</b></p><ul><li>a<li>b</ul>", "Title\n\nOne two\n\n  * a\n  * b"),
        ('<?xml version="1.0" encoding="utf-8"?><html><body><p>x</p></body></html>', "x"),
        ("<table><tr><td>a<td>b<tr><td>ccc<td>d</table>", "a    b\nccc  d"),
        ('<p style="display: none">secret</p><p hidden>secret</p><p style="color:red">open</p>', "open"),
        ("just text", "just text"),
        ("", ""),
        ("<!-- nothing -->", ""),
        ('<ul style="padding-left:9999999em"><li>x</ul>', "* x"),
        ('<p style="margin-top:9999999em">x</p>' * 2, "x\n\nx"),
        ('<p style="white-space:pre; text-indent:1e9em">x' + " " * MANY + "y", "x y"),
        ("<table><tr><td colspan=1000000000 rowspan=1000000000 width=1000000000>x</table>", "x"),
        ("<ol start=99999999999999999999><li>x</ol>", "1. x"),
        ("<p " + " ".join(f"a{at}=1" for at in range(2_000)) + ">x", "x"),
    ],
    ids=lambda value: value[:20],
)
def test_a_page_gives_what_a_reader_sees_and_not_how_it_looks(html: str, text: str) -> None:
    assert text_of(html) == text


HOSTILE = {
    "nested lists": "<ul><li>" * MANY + "x",
    "nested padding": '<ul style="padding-left:9999999em">' * MANY + "x",
    "margins": '<p style="margin-top:9999999em">x</p>' * MANY,
    "nested tables": "<table><tr><td>aaa<td>bbb" * MANY,
    "a wide table and a long one": "<table>" + "<tr><td>x" * MANY + "<tr>" + "<td>x" * MANY,
    "a wide column": "<table>" + "<tr><td>x<td>y" * MANY + "<tr><td>" + "x" * MANY,
    "attributes": "<p " + " ".join(f"a{at}=1" for at in range(2 * MANY)) + ">x",
    "blank": "<pre>" + " " * 15 * MANY + "x",
    "lines": "<pre>" + "\n" * 15 * MANY + "x",
    "entities": "&amp;" * 3 * MANY,
    "one long entity": "&" + "a" * 15 * MANY + ";",
    "one large number": "&#" + "9" * 15 * MANY + ";",
    "entities of entities": (
        '<!DOCTYPE x [<!ENTITY a0 "aaaaaaaaaa">'
        + "".join(f'<!ENTITY a{at} "{f"&a{at - 1};" * 10}">' for at in range(1, 20))
        + "]><p>&a19;"
    ),
    "deep": "<div>" * 3 * MANY + "x",
    "deep quotes": "<q><div>" * MANY + "x",
    "opened only": "<" * 15 * MANY,
    "comments": "<!--" * 3 * MANY,
    "breaks": "<br>" * 4 * MANY,
    "NUL": "\0" * 10 * MANY,
    "half a character": "\ud800<p>\udfff",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_page_is_read_or_refused_in_bounded_time_and_memory(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LIMITS", Limits(seconds=60, processor_s=0.3, memory=200_000_000))
    before = os.times()
    try:
        assert len(module._as_text(HOSTILE[name], StopSignal())) <= 1_000_000
    except ToolFailed as error:
        assert str(error).startswith("The page cannot be read")
    assert sum(os.times()[:4]) - sum(before[:4]) < 5, "of processor time, here and in the process that reads it"


def test_a_page_that_is_read_for_long_is_given_up_as_soon_as_the_call_is_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "LIMITS", Limits(seconds=60, processor_s=60, memory=200_000_000))
    stop = StopSignal()
    threading.Timer(0.1, stop.set).start()
    with pytest.raises(ToolError, match=r"The page cannot be read\.$") as caught:
        module._as_text(HOSTILE["attributes"], stop)
    assert isinstance(caught.value.__cause__, CallStopped)


@pytest.mark.parametrize(
    ("kind", "encoding"),
    [
        ("text/html", "utf-8"),
        ("text/html; charset=ISO-8859-1", "iso8859-1"),
        ('text/html; charset="windows-1251"; x', "cp1251"),
        ("text/html; charset=Shift_JIS", "shift_jis"),
        *(
            (f"text/html; charset={name}", "utf-8")
            for name in ("punycode", "idna", "unicode_escape", "raw_unicode_escape", "utf-7", "base64", "zlib", "bz2")
        ),
        *(
            (f"text/html; charset={name}", "utf-8")
            for name in ("rot13", "hex", "undefined", "no-such", "", "..", "a\0")
        ),
        ("text/html; charset=" + "x" * 60_000, "utf-8"),
    ],
    ids=lambda value: value[:40],
)
def test_only_encodings_of_text_are_believed(kind: str, encoding: str) -> None:
    assert module._encoding(kind.lower()) == encoding


def test_every_encoding_decodes_two_megabytes_of_anything_at_once() -> None:
    for name in module._ENCODINGS:
        for data in (b"\xff" * 500_000, bytes(range(256)) * 2_000, b"\x1b$B" * 150_000):
            started = time.process_time()
            data.decode(name, errors="replace")
            assert time.process_time() - started < 1, name


# Servers


@contextmanager
def serving(answer: Callable[[socket.socket, Callable[[], bool]], None]) -> Iterator[tuple[str, list[float]]]:
    """A server, and when each of its connections was over."""
    over = threading.Event()
    ended: list[float] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    threading.Thread(target=one, args=(connection,), daemon=True).start()

        def one(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                answer(connection, over.is_set)
            ended.append(time.monotonic())

        threading.Thread(target=serve, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/", ended
        finally:
            over.set()
            listening.shutdown(socket.SHUT_RDWR)


def dripping(start: bytes, piece: bytes) -> Callable[[socket.socket, Callable[[], bool]], None]:
    def answer(connection: socket.socket, over: Callable[[], bool]) -> None:
        connection.sendall(start)
        while not over():
            connection.sendall(piece)
            time.sleep(0.02)

    return answer


OK = b"HTTP/1.1 200 OK\r\n"
ENDLESS = {
    "nothing": dripping(b"", b""),
    "a first line": dripping(b"HTTP/1.1 200 ", b"O"),
    "a header": dripping(OK + b"X: ", b"x"),
    "headers": dripping(OK, b"X: y\r\n"),
    "other answers before the answer": dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a body": dripping(OK + b"Content-Type: text/plain\r\n\r\n", b"x"),
    "chunks": dripping(OK + b"Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "the size of a chunk": dripping(OK + b"Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),
    "what follows the chunks": dripping(
        OK + b"Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n"
    ),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_the_time_of_a_page_is_all_it_gets_and_its_connection_is_cut(name: str) -> None:
    with serving(ENDLESS[name]) as (url, ended):
        started = time.monotonic()
        with suppress(ToolFailed):  # a hundred headers are an error before that
            page(private=True, longest_s=0.4, silent_s=5).run({"url": url}, StopSignal())
        assert time.monotonic() - started < 10, "the server would go on for ever"
        deadline = time.monotonic() + PATIENCE_S
        while not ended and name != "nothing":
            assert time.monotonic() < deadline, "the connection is still there"
            time.sleep(0.01)


def test_redirects_and_the_name_count_in_the_time_of_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    def onward(connection: socket.socket, over: Callable[[], bool]) -> None:
        connection.recv(1_000)
        time.sleep(0.15)
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: /on\r\nContent-Length: 0\r\n\r\n")

    with serving(onward) as (url, _), pytest.raises(ToolFailed, match="takes too long"):  # not: too many redirects
        page(private=True, longest_s=0.4).run({"url": url}, StopSignal())
    gate = threading.Event()
    monkeypatch.setattr(addresses.socket, "getaddrinfo", lambda *_, **__: gate.wait(PATIENCE_S))
    with pytest.raises(ToolFailed, match="takes too long"):  # not: what came of the look-up makes no sense
        page(private=True, longest_s=0.2).run({"url": "http://slow.test/"}, StopSignal())
    gate.set()


def test_a_stopped_call_leaves_its_page_at_once() -> None:
    with serving(ENDLESS["a header"]) as (url, _):
        stop = StopSignal()
        threading.Timer(0.1, stop.set).start()
        started = time.monotonic()
        with pytest.raises(ToolFailed):
            page(private=True, longest_s=PATIENCE_S, silent_s=PATIENCE_S).run({"url": url}, stop)
        assert time.monotonic() - started < PATIENCE_S / 2


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 99999999999 x\r\n\r\n",
        OK + b"Content-Length: -1\r\n\r\nx",
        OK + b"Content-Length: 99\r\nContent-Type: text/plain\r\n\r\nx",
        OK + b"Transfer-Encoding: chunked\r\nContent-Type: text/plain\r\n\r\nzz\r\n",
        OK + b"X" * 70_000,
        b"HTTP/1.1 302 x\r\nLocation: http://[\r\n\r\n",
        b"HTTP/1.1 302 x\r\nLocation: \xff\xfe\r\n\r\n",
    ],
    ids=lambda answer: ascii(answer[:40]),
)
def test_an_answer_that_is_none_is_a_tool_error(answer: bytes) -> None:
    def once(connection: socket.socket, over: Callable[[], bool]) -> None:
        connection.recv(1_000)
        connection.sendall(answer)

    with serving(once) as (url, _), suppress(ToolError):
        page(private=True, longest_s=2).run({"url": url}, StopSignal())
