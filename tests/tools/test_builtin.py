"""The built-in tools: what they do, and what they refuse."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, tzinfo
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from qwenchat.chat.engine_commands import RunTool
from qwenchat.chat.errors import ToolError, ToolFailed, ToolRefused
from qwenchat.chat.events import CallReturned
from qwenchat.chat.messages import ToolCallPart
from qwenchat.chat.tools import ToolSettings
from qwenchat.engine.base import StopSignal
from qwenchat.tools import addresses
from qwenchat.tools.clock import clock
from qwenchat.tools.files import files
from qwenchat.tools.folders import LARGEST, Folders, _walked, problems_of
from qwenchat.tools.page import page
from qwenchat.tools.tool import Tool, clipped
from qwenchat.tools.toolbox import Toolbox
from tests.support.patience import PATIENCE_S


def use(tool: Tool, **arguments: Any) -> str:
    return tool.run(arguments, StopSignal())


# Date and time


def at_noon(zone: tzinfo | None) -> datetime:
    return datetime(2026, 11, 25, 12, 0, tzinfo=UTC).astimezone(zone)


def test_the_clock_tells_the_time_anywhere() -> None:
    assert use(clock(at_noon), timezone="Asia/Tokyo") == "Wednesday, 2026-11-25, 21:00:00, Asia/Tokyo (UTC+09:00)"
    assert use(clock(at_noon)).startswith("Wednesday, 2026-11-25, ")


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../../etc/passwd", "/etc/localtime", "a\0b", "Europe"])
def test_there_is_no_such_time_zone(zone: str) -> None:
    with pytest.raises(ToolRefused, match="There is no time zone"):
        use(clock(), timezone=zone)


@pytest.mark.parametrize("arguments", [{"timezone": 3}, {"zone": "UTC"}, {"timezone": "x" * 100}])
def test_arguments_that_do_not_fit_are_explained(arguments: dict[str, Any]) -> None:
    with pytest.raises(ToolRefused, match="The arguments of date_and_time do not fit: "):
        use(clock(), **arguments)


# Files


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An allowed folder, beside things that are not."""
    allowed = tmp_path / "notes"
    (allowed / "deep").mkdir(parents=True)
    (allowed / "a.txt").write_text("Alpha\nBeta\nGamma\n")
    (allowed / "deep" / "b.md").write_text("beta blocker\n")
    (allowed / "picture.png").write_bytes(b"\x89PNG\0beta")
    (tmp_path / "notes-secret").mkdir()
    (tmp_path / "notes-secret" / "key.txt").write_text("sesame beta")
    (tmp_path / "secret.txt").write_text("sesame beta")
    (allowed / "out.txt").symlink_to(tmp_path / "secret.txt")
    (allowed / "outside").symlink_to(tmp_path / "notes-secret")
    (allowed / "inside").symlink_to("deep")
    (allowed / "loop").symlink_to("loop")
    return allowed


def tools_for(*folders: Path) -> dict[str, Tool]:
    return {tool.spec.name: tool for tool in files(Folders(tuple(map(str, folders))))}


def test_files_are_listed_read_and_searched(home: Path) -> None:
    tools = tools_for(home)
    assert use(tools["list_files"]).splitlines()[:2] == ["a.txt  17 bytes", "deep/"]
    assert use(tools["read_file"], path="a.txt") == "Alpha\nBeta\nGamma"
    assert use(tools["read_file"], path=str(home / "deep" / "b.md")) == "beta blocker"
    assert use(tools["read_file"], path="a.txt", first_line=3) == "Gamma"
    assert use(tools["read_file"], path="inside/b.md") == "beta blocker", "a link that stays inside"
    assert use(tools["search_files"], text="BETA") == "a.txt:2: Beta\ndeep/b.md:1: beta blocker"
    assert use(tools["search_files"], text="beta", folder="deep") == "b.md:1: beta blocker"
    assert use(tools["search_files"], text="omega") == "Nothing was found."


@pytest.mark.parametrize(
    "path",
    [
        "../secret.txt",
        "deep/../../secret.txt",
        "../notes-secret/key.txt",
        "{home}-secret/key.txt",
        "{home}/../secret.txt",
        "/etc/passwd",
        "~/.ssh/id_rsa",
        "out.txt",
        "outside/key.txt",
        "loop",
        "a.txt\0.png",
        "",
        ".",
        "deep",
        "missing.txt",
        "a.txt/b",
        "x" * 900,
    ],
)
def test_no_path_leads_out(home: Path, path: str) -> None:
    with pytest.raises(ToolRefused) as caught:
        use(tools_for(home)["read_file"], path=path.format(home=home))
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize("path", ["..", "outside", "/", "a.txt", "missing", "{home}-secret"])
def test_no_folder_leads_out(home: Path, path: str) -> None:
    for name, arguments in (("list_files", {}), ("search_files", {"text": "beta"})):
        with pytest.raises(ToolRefused):
            use(tools_for(home)[name], folder=path.format(home=home), **arguments)


def test_search_follows_no_links(home: Path) -> None:
    assert "sesame" not in use(tools_for(home)["search_files"], text="sesame")


@pytest.mark.parametrize("swapped", ["deep", "deep/b.md"])
def test_what_is_swapped_for_a_link_between_look_and_open_is_refused(home: Path, swapped: str) -> None:
    path = home / swapped
    path.rename(home / "elsewhere")
    path.symlink_to(home.parent / "notes-secret" if swapped == "deep" else home.parent / "secret.txt")
    with pytest.raises(ToolRefused, match="cannot be opened"):
        _walked("deep/b.md", home, ("deep", "b.md"), folder=False)


def test_a_folder_that_is_itself_a_link_can_be_allowed(home: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(home)
    assert use(tools_for(tmp_path / "link")["read_file"], path="a.txt").startswith("Alpha")


def test_several_folders(home: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "c.txt").write_text("Delta")
    tools = tools_for(home, other)
    assert use(tools["read_file"], path="c.txt") == "Delta"
    assert use(tools["list_files"], folder=str(other)) == "c.txt  5 bytes"
    assert str(other) in tools["read_file"].spec.description


def test_without_folders_nothing_can_be_read() -> None:
    with pytest.raises(ToolRefused, match=r"No folder is allowed. .* \[tools\] folders"):
        use(tools_for()["read_file"], path="/etc/passwd")


def test_what_is_no_text_is_refused_and_what_is_no_file_does_not_hang(home: Path) -> None:
    os.mkfifo(home / "pipe")
    read = tools_for(home)["read_file"]
    with pytest.raises(ToolRefused, match=r"picture.png is no text"):
        use(read, path="picture.png")
    with pytest.raises(ToolRefused, match="pipe is no file"):
        use(read, path="pipe")
    assert "picture" not in use(tools_for(home)["search_files"], text="beta")


def test_long_files_and_lists_are_cut_and_say_so(home: Path) -> None:
    tools = tools_for(home)
    (home / "long.txt").write_text("\n".join(f"line {at}" for at in range(1000)))
    assert use(tools["read_file"], path="long.txt").endswith("line 399\n[lines 1 to 400 of 1000]")
    (home / "huge.txt").write_text("x" * (LARGEST + 10))
    assert use(tools["read_file"], path="huge.txt").endswith("[the file goes on, but no more of it can be read]")
    with pytest.raises(ToolRefused, match="The file has 1000 lines"):
        use(tools["read_file"], path="long.txt", first_line=5000)
    for at in range(310):
        (home / "deep" / f"{at:03}.txt").write_text("many")
    assert use(tools["list_files"], folder="deep").endswith("[cut after 300 entries]")
    assert use(tools["search_files"], text="many").endswith("[cut after 100 hits]")
    assert clipped("x" * 100, 60) == "x" * 32 + "\n[cut: 60 of 100 characters]"


def test_a_search_that_is_stopped_ends(home: Path) -> None:
    stop = StopSignal()
    stop.set()
    said = tools_for(home)["search_files"].run({"text": "beta"}, stop)
    assert said == "[not everything was searched: it takes too long]"


def test_a_search_of_deep_folders_and_of_full_ones_says_what_it_left_out(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = tools_for(home)["search_files"]
    below = home / "deep"
    for _ in range(60):
        below /= "d"
    below.mkdir(parents=True)
    (below / "lost.txt").write_text("needle")
    (home / "near.txt").write_text("needle")
    descriptors = len(list(Path("/dev/fd").iterdir()))
    assert use(search, text="needle").splitlines() == [
        "near.txt:1: needle",
        "[not everything was searched: folders are nested too deeply]",
    ]
    assert len(list(Path("/dev/fd").iterdir())) == descriptors
    monkeypatch.setattr("qwenchat.tools.files.MOST_SEARCHED", 3)
    assert use(search, text="needle").endswith("[not everything was searched: there are too many files]")
    (home / "deep" / "wide").mkdir()
    for at in range(9):
        (home / "deep" / "wide" / f"{at}").mkdir()
    found = use(search, text="needle", folder="deep/wide")
    assert found == "[not everything was searched: there are too many files]"


def test_a_file_that_has_nothing_yet_or_fails_while_it_is_read_is_no_trouble(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = tools_for(home)["read_file"]
    opened = os.fdopen

    class Waiting:
        def __enter__(self) -> "Waiting":
            return self

        def __exit__(self, *error: object) -> None:
            pass

        def read(self, size: int) -> bytes | None:
            return None

    class Failing(Waiting):
        def read(self, size: int) -> bytes | None:
            raise OSError(5, "Input/output error")

    for kind, outcome in ((Waiting, "The file is empty."), (Failing, None)):

        def stand_in(descriptor: int, *mode: Any, kind: type[Waiting] = kind) -> Any:
            opened(descriptor, *mode).close()
            return kind()

        monkeypatch.setattr("qwenchat.tools.folders.os.fdopen", stand_in)
        if outcome is not None:
            assert use(read, path="a.txt") == outcome
        else:
            with pytest.raises(ToolRefused, match=r"a.txt cannot be opened: Input/output error"):
                use(read, path="a.txt")


# Pages


class Site(BaseHTTPRequestHandler):
    """A small web, some of it hostile."""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/page":
            self.answer(b"<html><script>alert(1)</script><h1>Title</h1><p>One <b>two</b></p><ul><li>a<li>b</ul></html>")
        elif path == "/latin":
            self.answer("<p>Größe</p>".encode("latin-1"), "text/html; charset=latin-1")
        elif path == "/deep":
            self.answer(b"<div>" * 20_000 + b"deep")
        elif path == "/json":
            self.answer(b'{"host": "%s"}' % self.headers["Host"].encode(), "application/json")
        elif path == "/picture":
            self.answer(b"\x89PNG", "image/png")
        elif path == "/packed":
            self.answer(b"\x1f\x8b", "text/html", {"Content-Encoding": "gzip"})
        elif path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", path.removeprefix("/to/"))
            self.end_headers()
        elif path == "/loop":
            self.send_response(302)
            self.send_header("Location", "/loop")
            self.end_headers()
        elif path in ("/endless", "/drip", "/silent"):
            self.endless(path)
        else:
            self.send_error(404)

    def answer(self, body: bytes, kind: str = "text/html", more: dict[str, str] | None = None) -> None:
        self.send_response(200)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(more or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def endless(self, path: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        try:
            while path != "/silent":
                self.wfile.write(b"x" * (65_536 if path == "/endless" else 1))
                self.wfile.flush()
                time.sleep(0 if path == "/endless" else 0.05)
            time.sleep(3)
        except OSError:
            pass

    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def served() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with served() as address:
        yield address


def test_a_page_becomes_text(site: str) -> None:
    assert use(page(private=True), url=f"{site}/page") == "Title\n\nOne two\n\n  * a\n  * b"
    assert use(page(private=True), url=f"{site}/latin") == "Größe"
    assert use(page(private=True), url=f"{site}/json?a=b#c") == f'{{"host": "{site.removeprefix("http://")}"}}'
    assert use(page(private=True), url=f"{site}/to//page").startswith("Title")


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/picture", "is no text but image/png"),
        ("/packed", "is no text but text/html"),
        ("/missing", "answers with status 404"),
        ("/loop", "leads on too often"),
        ("/to/file:///etc/passwd", "no http or https address"),
    ],
)
def test_what_is_no_page_is_refused(site: str, path: str, why: str) -> None:
    with pytest.raises(ToolError, match=why):
        use(page(private=True), url=f"{site}{path}")


def test_a_hostile_page_does_no_harm(site: str) -> None:
    try:
        use(page(private=True), url=f"{site}/deep")
    except ToolFailed as error:
        assert "cannot be read" in str(error)
    assert use(page(private=True), url=f"{site}/endless").endswith("[the page goes on, but no more of it was read]")
    with pytest.raises(ToolFailed, match="takes too long"):
        use(page(private=True, longest_s=0.5), url=f"{site}/drip")
    with pytest.raises(ToolFailed, match="takes too long"):
        use(page(private=True, silent_s=0.2), url=f"{site}/silent")


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://example.org/",
        "http://",
        "http://user:secret@127.0.0.1/",
        "//127.0.0.1/",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:0/",
        "http://exa mple.org/",
        "http://example.org/\r\nHost: x",
        "javascript:alert(1)",
        "http://[::1",
        "data:text/plain,x",
    ],
)
def test_what_is_no_address_of_the_web_is_refused(url: str) -> None:
    with pytest.raises(ToolRefused) as caught:
        use(page(private=True), url=url)
    assert "secret" not in str(caught.value)


SPECIAL = [
    "0.0.0.0", "0.255.255.255", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1",
    "127.255.255.254", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.8", "192.0.0.9",
    "192.0.0.170", "192.0.2.1", "192.31.196.1", "192.52.193.1", "192.88.99.1", "192.168.1.1", "192.175.48.1",
    "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1",
    "255.255.255.255", "::", "::1", "::127.0.0.1", "::10.0.0.1", "::8.8.8.8", "::ffff:0:8.8.8.8",
    "64:ff9b:1::1", "64:ff9b:1::808:808", "64:ff9b::1:0:808:808", "100::1", "100:0:0:1::1", "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:0:0808:0808::f7f7:f7f7", "2001:1::1", "2001:2::1",
    "2001:3::1", "2001:4:112::1", "2001:10::1", "2001:20::1", "2001:30::1", "2001:1ff::1", "2001:db8::1",
    "2620:4f:8000::1", "3fff::1", "3fff:fff::1", "5f00::1", "4000::1", "8000::1", "fc00::1", "fd00::1",
    "fdff::1", "fe00::1", "fe80::1", "febf::1", "fec0::1", "feff::1", "ff02::1", "ff0e::1", "::ffff:127.0.0.1",
    "::ffff:10.0.0.1", "::ffff:7f00:1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::192.168.0.1",
    "2002:7f00:1::", "2002:a00:1::1", "2002:c0a8:101::", "2606:4700::5efe:10.0.0.1",
    "2606:4700::200:5efe:7f00:1", "fe80::1%eth0", "2606:4700::1111%eth0", "2606:4700::1111%1", "0177.0.0.1",
    "0x7f.0.0.1", "127.1", "2130706433", "0x7f000001", "017700000001", "127.0.0.01", "127.0.0.1.", "1.1.1",
    "1.1.1.1/32", "localhost", "not-an-address",
]  # fmt: skip


@pytest.mark.parametrize("address", [*SPECIAL, "", " 1.1.1.1", "１.1.1.1", "1.1.1.1%eth0"])
def test_special_addresses_and_odd_spellings_are_not_public(address: str) -> None:
    assert not addresses.is_public(address)


def test_public_addresses_are_known() -> None:
    public = (
        "1.1.1.1 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 172.15.255.255 172.32.0.0 192.0.1.1 198.17.255.255"
    )
    public += (
        " 198.20.0.0 223.255.255.255 2606:4700::1111 2001:4860:4860::8888 2001:200::1 2a00:1450::1 2606::5efe:101:101"
    )
    public += " ::ffff:1.1.1.1 64:ff9b::101:101 2002:101:101::1"
    assert [address for address in public.split() if not addresses.is_public(address)] == []


def test_pages_of_this_machine_are_refused_unless_allowed(site: str) -> None:
    for host in (
        "127.0.0.1",
        "localhost",
        "2130706433",
        "127.1",
        "0x7f.1",
        "0177.0.0.1",
        "[::ffff:127.0.0.1]",
        "[::1]",
    ):
        url = site.replace("127.0.0.1", host)
        with pytest.raises(ToolRefused, match="is on this machine or the network around it"):
            use(page(private=False), url=f"{url}/page")


def test_a_redirect_is_looked_at_like_the_first_address(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first host counts as public, what it leads to does not."""
    seen: list[str] = []

    look_up = socket.getaddrinfo

    def found(host: str, port: int, *more: Any, **options: Any) -> list[Any]:
        if host == "127.0.0.1":  # the connection itself
            return look_up(host, port, *more, **options)
        seen.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(addresses.socket, "getaddrinfo", found)
    monkeypatch.setattr(addresses, "is_public", lambda address: seen[-1] == "public.test")
    port = site.rpartition(":")[2]
    with pytest.raises(ToolRefused, match=r"inner.test is on this machine"):
        use(page(private=False), url=f"http://public.test:{port}/to/http://inner.test:{port}/page")
    assert seen == ["public.test", "inner.test"]
    assert use(page(private=False), url=f"http://public.test:{port}/json") == f'{{"host": "public.test:{port}"}}'
    assert len(seen) == 3, "one look-up a request: what was looked at is what is connected to"


def test_a_tool_that_takes_too_long_is_given_up(site: str) -> None:
    box = Toolbox(ToolSettings(private_addresses=True), longest_s=0.2)
    results: list[CallReturned] = []
    box.run(RunTool(1, ToolCallPart("c", "fetch_page", f'{{"url": "{site}/silent"}}'), 1_000), results.append)
    deadline = time.monotonic() + PATIENCE_S
    while not results and time.monotonic() < deadline:
        time.sleep(0.01)
    assert results[0].result.text == "The tool took longer than 0.2 s."
    time.sleep(0.1)
    assert len(results) == 1


def test_nobody_answers(site: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(ToolFailed, match="nothing answers there"):
            use(page(private=True), url=f"http://127.0.0.1:{unused.getsockname()[1]}/")
    with pytest.raises(ToolFailed, match=r"no-such-host.invalid cannot be found"):
        use(page(private=True), url="http://no-such-host.invalid/")


def test_of_ten_thousand_folders_that_are_none_the_first_are_named() -> None:
    assert len(problems_of([f"x{at}" for at in range(10_000)])) < 30
