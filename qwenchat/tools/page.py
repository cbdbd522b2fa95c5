"""Fetching a page and making text of it."""

import codecs
import http.client
import socket
import ssl
import threading
import time
from concurrent.futures import Future
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import SplitResult, urljoin, urlsplit

import msgspec
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from qwenchat import __version__
from qwenchat.chat.errors import ToolFailed, ToolRefused
from qwenchat.engine.base import StopSignal
from qwenchat.i18n.texts import say
from qwenchat.system.isolation import CallFailed, CallStopped, IsolatedModule, LimitReached, Limits, NotIsolated
from qwenchat.tools.addresses import addresses_of
from qwenchat.tools.tool import Tool, tool

LARGEST = 2_000_000
"""Bytes that are read."""
LONGEST_S = 20.0
SILENT_S = 8.0
"""How long a server may send nothing."""
MOST_REDIRECTS = 5
_TEXTS = ("text/", "application/json", "application/xml", "application/xhtml", "application/rss", "application/atom")
_PORTS = {"http": 80, "https": 443}
_LOOK_EVERY_S = 0.02
LIMITS = Limits(seconds=15, processor_s=5, memory=500_000_000)
"""For making text of a page."""
_OUTPUT = 4_000_000
_ENCODINGS = frozenset(
    (
        *("ascii", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "koi8-r", "koi8-u", "mac-roman"),
        *("mac-cyrillic", "cp866", "cp874", "tis-620", "gb2312", "gbk", "gb18030", "big5", "big5hkscs"),
        *("euc_jp", "iso2022_jp", "shift_jis", "cp932", "euc_kr", "cp949", "johab"),
        *(f"iso8859-{part}" for part in (*range(1, 12), *range(13, 17))),
        *(f"cp125{page}" for page in range(9)),
    )
)
"""What the web's standard has, by Python's names: encodings of text that take no longer than the text is."""


class _Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    url: Annotated[str, msgspec.Meta(description="An http or https address", max_length=2_000)]


def page(*, private: bool, longest_s: float = LONGEST_S, silent_s: float = SILENT_S) -> Tool:
    """The tool; `private` says whether it may reach this machine and the network around it."""

    def fetch(given: _Arguments, stop: StopSignal) -> str:
        return _Fetch(stop, private, longest_s, silent_s).text(given.url)

    return tool("fetch_page", "Fetch a web page and give its text.", _Arguments, fetch)


@dataclass(frozen=True, slots=True)
class _Page:
    """What a server gave."""

    data: bytes
    kind: str
    """Its media type, with the encoding."""
    cut: bool


class _Fetch:
    """One page, with a limit on the time all of it takes; every redirect is looked at like the first address.

    Looking up a name, connecting and reading cannot be interrupted, so a thread does them: when the time is over or the
    call is stopped, its connection is cut, and nobody waits for it.
    """

    def __init__(self, stop: StopSignal, private: bool, longest_s: float, silent_s: float) -> None:
        self._stop, self._private, self._silent_s = stop, private, silent_s
        self._ends = time.monotonic() + longest_s
        self._connection: HTTPConnection | None = None
        self._over = False

    def text(self, url: str) -> str:
        page = self._page(url)
        text = page.data.decode(_encoding(page.kind), errors="replace")
        text = _as_text(text, self._stop) if "html" in page.kind else text
        return text + (say("\n[the page goes on, but no more of it was read]") if page.cut else "")

    def _page(self, url: str) -> _Page:
        page: Future[_Page] = Future()

        def work() -> None:
            try:
                page.set_result(self._followed(url))
            except BaseException as error:  # noqa: BLE001 - raised again by the one who waits
                page.set_exception(error)

        threading.Thread(target=work, name="fetch", daemon=True).start()
        try:
            while not page.done():
                with suppress(TimeoutError):
                    page.exception(_LOOK_EVERY_S)
                if not page.done():
                    self._left_s()
            return page.result()
        finally:
            self._over = True
            self._cut()

    def _followed(self, url: str) -> _Page:
        for _ in range(MOST_REDIRECTS + 1):
            address = _checked(url)
            try:
                with closing(self._asked(address)) as response:
                    if not (moved := response.get_redirect_location()):
                        return self._read(response, url)
                url = urljoin(url, moved)
            except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError, ValueError) as error:
                raise ToolFailed(say("{url} cannot be fetched: {error}.", url=url, error=_reason(error))) from error
        raise ToolRefused(say("The page leads on too often."))

    def _cut(self) -> None:
        connection = self._connection
        if connection is not None and connection.sock is not None:
            with suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    def _asked(self, url: SplitResult) -> urllib3.BaseHTTPResponse:
        """The answer to one request, its body not read. The connection goes to an address that was looked at."""
        host, port = str(url.hostname), url.port or _PORTS[url.scheme]
        *others, last = addresses_of(host, port, private=self._private)
        for address in others:
            with suppress(urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError):
                return self._asked_at(address, port, host, url)
        return self._asked_at(last, port, host, url)

    def _asked_at(self, address: str, port: int, host: str, url: SplitResult) -> urllib3.BaseHTTPResponse:
        timeout = min(self._left_s(), self._silent_s)
        if url.scheme == "https":
            self._connection = HTTPSConnection(
                address, port, timeout=timeout, cert_reqs="CERT_REQUIRED", server_hostname=host, assert_hostname=host
            )
        else:
            self._connection = HTTPConnection(address, port, timeout=timeout)
        headers = {
            "Host": url.netloc.rpartition("@")[2],
            "User-Agent": f"qwenchat/{__version__}",
            "Accept": "text/html, text/plain, application/json;q=0.9, */*;q=0.1",
            "Accept-Encoding": "identity",
            "Connection": "close",
        }
        target = url._replace(scheme="", netloc="", fragment="").geturl() or "/"
        self._connection.connect()
        self._left_s()  # from here on a cut ends whatever waits
        self._connection.request("GET", target, headers=headers, preload_content=False, decode_content=False)
        return self._connection.getresponse()

    def _read(self, response: urllib3.BaseHTTPResponse, url: str) -> _Page:
        kind = response.headers.get("Content-Type", "text/plain").lower()
        if response.status >= 400:
            raise ToolFailed(say("{url} answers with status {status}.", url=url, status=response.status))
        if not kind.startswith(_TEXTS) or response.headers.get("Content-Encoding", "identity") != "identity":
            raise ToolRefused(say("{url} is no text but {kind}.", url=url, kind=kind.partition(";")[0][:100]))
        data = bytearray()
        while len(data) <= LARGEST and (piece := response.read1(65_536)):
            data += piece
            self._left_s()
        return _Page(bytes(data[:LARGEST]), kind, len(data) > LARGEST)

    def _left_s(self) -> float:
        left = self._ends - time.monotonic()
        if left <= 0 or self._over or self._stop.is_set():
            raise ToolFailed(say("The page takes too long."))
        return left


def _checked(url: str) -> SplitResult:
    try:
        split = urlsplit(url)
        port = split.port
    except ValueError as error:
        raise ToolRefused(say("{url} is no address.", url=url)) from error
    plain = url.isascii() and url.isprintable() and " " not in url
    if split.scheme not in _PORTS or not split.hostname or port == 0 or not plain:
        raise ToolRefused(say("{url} is no http or https address.", url=url))
    if split.username is not None or split.password is not None:
        raise ToolRefused(say("An address with a name or a password in it is not fetched."))
    return split


def _encoding(kind: str) -> str:
    """The encoding that a media type names, where it is one of text; else UTF-8."""
    _, found, rest = kind.partition("charset=")
    name = rest.split(";")[0].strip().strip("\"'") if found else "utf-8"
    try:
        return known if (known := codecs.lookup(name).name) in _ENCODINGS else "utf-8"
    except (LookupError, ValueError):
        return "utf-8"


def _as_text(html: str, stop: StopSignal) -> str:
    with closing(IsolatedModule("qwenchat.tools.page_text", LIMITS)) as page:
        try:
            return page.call("text_of", html, output=_OUTPUT, stopped=stop.is_set)
        except LimitReached as error:
            raise ToolFailed(say("The page cannot be read: it takes too long or too much memory.")) from error
        except (CallFailed, CallStopped, NotIsolated) as error:
            raise ToolFailed(say("The page cannot be read.")) from error


def _reason(error: Exception) -> str:
    match error:
        case urllib3.exceptions.SSLError() | ssl.SSLCertVerificationError():
            return say("its certificate is not valid")
        case urllib3.exceptions.NewConnectionError() | ConnectionError():
            return say("nothing answers there")
        case urllib3.exceptions.TimeoutError() | TimeoutError():
            return say("it takes too long")
    return say("the answer cannot be understood")
