"""What is copied goes to the tool that the system has, and the user is told which took it."""

from pathlib import Path

import pytest

from qwenchat.system import clipboard
from tests.support.chat_driver import chat

NAMES = ("WAYLAND_DISPLAY", "DISPLAY", "WSL_DISTRO_NAME", "TERMUX_VERSION", "TMUX")


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the only one where commands are found."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def put(tools: Path, name: str, status: int = 0) -> Path:
    """A command that keeps what it is given, and its arguments."""
    given = tools / f"{name}.given"
    tool = tools / name
    tool.write_text(f'#!/bin/sh\necho "$@" > {given}.arguments\n/bin/cat > {given}\nexit {status}\n')
    tool.chmod(0o755)
    return given


@pytest.mark.parametrize(
    ("variable", "name", "arguments"),
    [
        ("WSL_DISTRO_NAME", "clip.exe", ""),
        ("TERMUX_VERSION", "termux-clipboard-set", ""),
        ("TMUX", "tmux", "load-buffer -w -"),
        ("WAYLAND_DISPLAY", "wl-copy", ""),
        ("DISPLAY", "xclip", "-selection clipboard"),
    ],
)
async def test_each_system_has_its_tool(
    tools: Path, monkeypatch: pytest.MonkeyPatch, variable: str, name: str, arguments: str
) -> None:
    given = put(tools, name)
    assert await clipboard.copy("naïve 漢字") is None
    monkeypatch.setenv(variable, "x")
    assert await clipboard.copy("naïve 漢字") == name
    assert given.read_bytes().decode("utf-16-le" if name == "clip.exe" else "utf-8") == "naïve 漢字"
    assert Path(f"{given}.arguments").read_text().strip() == arguments


async def test_a_tool_that_fails_is_passed_over(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tools, "xclip", status=1)
    put(tools, "tmux")
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setenv("TMUX", "x")
    assert await clipboard.copy("text") == "tmux"


async def test_what_is_too_long_for_a_terminal_is_said(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with chat() as it:
        it.app.copy_to_clipboard("short")
        await it.sees("Copied 5 characters", "(OSC 52)")
        it.app.copy_to_clipboard("x" * 200_000)
        await it.sees("200,000 characters may be more")
        put(tools, "tmux")
        monkeypatch.setenv("TMUX", "x")
        it.app.copy_to_clipboard("x" * 200_000)
        await it.sees("Copied 200,000 characters")
