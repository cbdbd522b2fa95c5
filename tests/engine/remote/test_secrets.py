"""A server's key and certificate: what goes where, seen from outside of the real program."""

import os
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pexpect
import psutil
import pytest
import trustme

from qwenchat.chat.engine_commands import LoadModel
from qwenchat.chat.errors import ConfigInvalid, ServerUnreachable
from qwenchat.chat.server_profile import Server
from qwenchat.engine.base import StopSignal
from qwenchat.engine.remote.connection import ServerConnection
from qwenchat.engine.remote.engine import RemoteEngine
from tests.engine.remote.test_engine import ask, load, text
from tests.support.chat_server import Answer, ChatServer, delta, said

KEY = "sk-sentinel-5d1f0c77"
ECHO = f'{{"error": {{"message": "the key {KEY} is not good for this"}}}}'.encode()
CRASH = """
from qwenchat.tui.widgets.status import StatusLine
drawn = StatusLine.render
def render(self):
    if any("no model" in piece.text.plain for piece in self._pieces) or len(self._pieces) > 2:
        raise RuntimeError("a bug")
    return drawn(self)
StatusLine.render = render
"""
RUN = "from qwenchat.cli.main import main; main()"


@pytest.fixture
def engine() -> Iterator[RemoteEngine]:
    made = RemoteEngine()
    yield made
    made.close()


@pytest.fixture
def authority(tmp_path: Path) -> tuple[ssl.SSLContext, Path]:
    """A certificate of nobody's for 127.0.0.1, and the file of those who made it."""
    made = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.issue_cert("127.0.0.1").configure_cert(context)
    made.cert_pem.write_to_path(tmp_path / "authority.pem")
    return context, tmp_path / "authority.pem"


class TestCertificates:
    def test_one_that_nobody_vouches_for_is_refused_before_the_key_is_sent(
        self, engine: RemoteEngine, authority: tuple[ssl.SSLContext, Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SENTINEL", KEY)
        with ChatServer(tls=authority[0]).running() as server:
            with pytest.raises(ServerUnreachable) as caught:
                engine.load(LoadModel(server=Server(server.url, key_env="SENTINEL")), lambda step: None, StopSignal())
            assert server.headers == []
        assert "The certificate of 127.0.0.1" in str(caught.value)
        assert "ca_file in [servers.NAME]" in str(caught.value)

    def test_its_authority_can_be_named(
        self, engine: RemoteEngine, authority: tuple[ssl.SSLContext, Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SENTINEL", KEY)
        monkeypatch.setenv("HOME", str(authority[1].parent))
        with ChatServer([Answer(said("Yes."))], tls=authority[0]).running() as server:
            load(engine, server, key_env="SENTINEL", ca_file=f"~/{authority[1].name}")
            assert text(ask(engine)) == "Yes."
            assert {headers["authorization"] for headers in server.headers} == {f"Bearer {KEY}"}

    def test_a_file_without_certificates_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "x.pem").write_text("nothing")
        with pytest.raises(ConfigInvalid, match=r"x\.pem"):
            ServerConnection(Server("https://127.0.0.1:9", ca_file=str(tmp_path / "x.pem")))


@pytest.mark.parametrize("proxy", ["socks5h://127.0.0.1:1080", "foo://x"])
def test_a_proxy_that_cannot_be_used_is_said(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(ConfigInvalid, match="The proxy that the environment names"):
        ServerConnection(Server("https://lab.example"))
    ServerConnection(Server("http://127.0.0.1:9")).close()


class Home:
    """A user with a server in config.toml whose key is in a file or in the environment."""

    def __init__(self, folder: Path, url: str, where: str) -> None:
        self.folder = folder / "home"
        self._key_file = folder / "key"
        self._key_file.write_text(KEY)
        self._key_file.chmod(0o600)
        config = self.folder / "config" / "config.toml"
        config.parent.mkdir(parents=True)
        key = 'key_env = "SENTINEL"' if where == "environment" else f'key_file = "{self._key_file}"'
        config.write_text(f'server = "box"\n[servers.box]\naddress = "{url}"\n{key}\n')
        self.environment = os.environ | {"QWENCHAT_HOME": str(self.folder), "TERM": "xterm-256color"}
        if where == "environment":
            self.environment["SENTINEL"] = KEY

    def run(self, *command: str) -> str:
        """What a command prints, on both streams; its arguments, as others can read them, are looked at too."""
        with subprocess.Popen(
            [sys.executable, "-m", "qwenchat", *command], env=self.environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=self.folder,
        ) as running:  # fmt: skip
            arguments = psutil.Process(running.pid).cmdline()
            printed, _ = running.communicate(timeout=60)
        return printed.decode() + " ".join(arguments)

    def chat(self, patch: str = "") -> pexpect.spawn:
        """The chat on the whole screen."""
        return pexpect.spawn(
            sys.executable, ["-c", patch + RUN], env=self.environment, dimensions=(30, 100), timeout=30
        )

    def files(self) -> bytes:
        """Every byte that the program wrote."""
        return b"".join(file.read_bytes() for file in self.folder.rglob("*") if file.is_file())


def test_the_key_is_in_nothing_that_is_printed_or_kept(tmp_path: Path) -> None:
    answers = [Answer(said("Good day.")), Answer(ECHO, 400, "application/json")]
    broken = delta(content="Half") + b"data: " + ECHO + b"\n\n"
    with ChatServer([*answers, Answer(broken)]).running() as server:
        home = Home(tmp_path, server.url, "file")
        reported = [home.run("ask", "--json", "Hello"), home.run("ask", "Again"), home.run("ask", "Once more")]
        reported += [home.run("models", "--server", "box"), home.run("export", "--all", "-o", ".")]
        assert {headers["authorization"] for headers in server.headers} == {f"Bearer {KEY}"}
    assert "Good day." in reported[0]
    assert "the key *** is not good for this" in reported[1] + reported[2]
    assert KEY not in "".join(reported)
    assert b"Good day." in home.files()
    assert KEY.encode() not in home.files()


@pytest.mark.parametrize("patch", ["", CRASH], ids=["an error", "a crash"])
def test_nor_on_the_screen_whatever_happens(tmp_path: Path, patch: str) -> None:
    with ChatServer([Answer(ECHO, 400, "application/json")]).running() as server:
        home = Home(tmp_path, server.url, "environment")
        child = home.chat(patch)
        if patch:
            child.expect("a bug")
        else:
            child.expect("thinking on")
            child.send("Go\r")
            child.expect("failed:")
            time.sleep(0.2)
            child.send("\x11")
        shown = b""
        while True:
            try:
                shown += child.read_nonblocking(65536, timeout=30)
            except pexpect.EOF:
                break
        shown += (child.before or b"") + (child.after if isinstance(child.after, bytes) else b"")
        child.close()
    plain = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", shown)
    assert (b"Traceback" in plain) == bool(patch)
    assert KEY.encode() not in plain + shown + home.files()
