"""Fetching a page and making text of it."""

import time
from contextlib import closing, suppress
from typing import Annotated
from urllib.parse import SplitResult, urljoin, urlsplit

import msgspec
import urllib3
from inscriptis import get_text
from inscriptis.css_profiles import CSS_PROFILES
from inscriptis.model.config import ParserConfig
from urllib3.util import Timeout

from qwenchat import __version__
from qwenchat.chat.errors import ToolFailed, ToolRefused
from qwenchat.engine.base import StopSignal
from qwenchat.i18n.texts import say
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


class _Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    url: Annotated[str, msgspec.Meta(description="An http or https address", max_length=2_000)]


def page(*, private: bool, longest_s: float = LONGEST_S, silent_s: float = SILENT_S) -> Tool:
    """The tool; `private` says whether it may reach this machine and the network around it."""

    def fetch(given: _Arguments, stop: StopSignal) -> str:
        return _Fetch(stop, private, longest_s, silent_s).text(given.url)

    return tool("fetch_page", "Fetch a web page and give its text.", _Arguments, fetch)


class _Fetch:
    """One page, with a limit on the time all of it takes; every redirect is looked at like the first address."""

    def __init__(self, stop: StopSignal, private: bool, longest_s: float, silent_s: float) -> None:
        self._stop, self._private, self._silent_s = stop, private, silent_s
        self._ends = time.monotonic() + longest_s

    def text(self, url: str) -> str:
        for _ in range(MOST_REDIRECTS + 1):
            address = _checked(url)
            try:
                with closing(self._asked(address)) as response:
                    if not (moved := response.get_redirect_location()):
                        return self._read(response, url)
            except (urllib3.exceptions.HTTPError, OSError) as error:
                raise ToolFailed(say("{url} cannot be fetched: {error}.", url=url, error=_reason(error))) from error
            url = urljoin(url, moved)
        raise ToolRefused(say("The page leads on too often."))

    def _asked(self, url: SplitResult) -> urllib3.BaseHTTPResponse:
        """The answer to one request, its body not read. The connection goes to an address that was looked at."""
        host, port = str(url.hostname), url.port or _PORTS[url.scheme]
        *others, last = addresses_of(host, port, private=self._private)
        for address in others:
            with suppress(urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError):
                return self._asked_at(address, port, host, url)
        return self._asked_at(last, port, host, url)

    def _asked_at(self, address: str, port: int, host: str, url: SplitResult) -> urllib3.BaseHTTPResponse:
        timeout = Timeout(total=self._left_s(), connect=self._silent_s, read=self._silent_s)
        pool: urllib3.HTTPConnectionPool
        if url.scheme == "https":
            pool = urllib3.HTTPSConnectionPool(
                address, port, timeout=timeout, cert_reqs="CERT_REQUIRED", server_hostname=host, assert_hostname=host
            )
        else:
            pool = urllib3.HTTPConnectionPool(address, port, timeout=timeout)
        headers = {
            "Host": url.netloc.rpartition("@")[2],
            "User-Agent": f"qwenchat/{__version__}",
            "Accept": "text/html, text/plain, application/json;q=0.9, */*;q=0.1",
            "Accept-Encoding": "identity",
        }
        target = url._replace(scheme="", netloc="", fragment="").geturl() or "/"
        return pool.urlopen(
            "GET", target, headers=headers, retries=False, redirect=False, preload_content=False, decode_content=False
        )

    def _read(self, response: urllib3.BaseHTTPResponse, url: str) -> str:
        kind = response.headers.get("Content-Type", "text/plain").lower()
        if response.status >= 400:
            raise ToolFailed(say("{url} answers with status {status}.", url=url, status=response.status))
        if not kind.startswith(_TEXTS) or response.headers.get("Content-Encoding", "identity") != "identity":
            raise ToolRefused(say("{url} is no text but {kind}.", url=url, kind=kind.partition(";")[0][:100]))
        data = bytearray()
        while len(data) <= LARGEST and (piece := response.read1(65_536)):
            data += piece
            self._left_s()
        text = bytes(data[:LARGEST]).decode(_charset(kind), errors="replace")
        text = _as_text(text) if "html" in kind else text
        return text + (say("\n[the page goes on, but no more of it was read]") if len(data) > LARGEST else "")

    def _left_s(self) -> float:
        left = self._ends - time.monotonic()
        if left <= 0 or self._stop.is_set():
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


def _charset(kind: str) -> str:
    _, found, rest = kind.partition("charset=")
    name = rest.split(";")[0].strip().strip("\"'") if found else "utf-8"
    try:
        b"".decode(name)
    except (LookupError, ValueError):
        return "utf-8"
    return name


def _as_text(html: str) -> str:
    try:
        text: str = get_text(html, ParserConfig(css=CSS_PROFILES["strict"]))
    except (ValueError, RecursionError, AssertionError) as error:
        raise ToolFailed(say("The page cannot be read.")) from error
    lines = [line.rstrip() for line in text.splitlines()]
    return "\n".join(line for at, line in enumerate(lines) if line or (at and lines[at - 1])).strip()


def _reason(error: Exception) -> str:
    match error:
        case urllib3.exceptions.SSLError():
            return say("its certificate is not valid")
        case urllib3.exceptions.NewConnectionError() | ConnectionError():
            return say("nothing answers there")
        case urllib3.exceptions.TimeoutError() | TimeoutError():
            return say("it takes too long")
    return say("the answer cannot be understood")
