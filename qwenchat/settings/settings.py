"""Every setting with its default, as the program holds it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from qwenchat.chat.sampling import SamplingOverrides
from qwenchat.chat.server_profile import Server
from qwenchat.chat.tools import McpServer, ToolSettings

Device = Literal["auto", "cpu", "cuda", "mps"]
Quantization = Literal["auto", "int8", "int4", "bf16", "float16", "float32"]
Language = Literal["auto", "en", "zh"]
Keymap = Literal["default", "vim"]
Width = int | Literal["full"]
WIDTH: Width = 100
"""Columns of text at most, where nobody says anything."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Every key of config.toml with its default; flags and environment variables go before them."""

    model: str | None = None
    """A Hub name, a folder, a GGUF file or a short name; None for the best that can be had."""
    device: Device = "auto"
    quantization: Quantization = "auto"
    context: int | None = None
    """Size of the context window in tokens; None for the model's own."""
    system: str = ""
    """A system prompt."""
    think: bool = True
    """Thinking mode at the start of a chat."""
    thinking_budget: int | None = None
    """Most tokens of thought; None for no limit."""
    private: bool = False
    """Whether chats are kept in memory alone."""
    theme: str = "qwenchat-dark"
    preset: str | None = None
    """The preset that is on at the start; None for none."""
    server: str | None = None
    """The server that is asked, by its name below or its address; None for this machine."""
    language: Language = "auto"
    """What the program speaks; auto follows the system."""
    reduced_motion: bool = False
    """Whether nothing moves that need not."""
    width: Width = WIDTH
    """The widest text column; full for all of the terminal."""
    keymap: Keymap = "default"
    sampling: SamplingOverrides = field(default_factory=SamplingOverrides)
    """The table `[sampling]`; what it leaves open is Qwen3's preset of the mode."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """The table `[keys]`: the keys of an action by its id, several with commas between; none for no key."""
    servers: Mapping[str, Server] = field(default_factory=dict)
    """The tables `[servers.NAME]`."""
    tools: ToolSettings = field(default_factory=ToolSettings)
    """The table `[tools]`."""
    mcp: Mapping[str, McpServer] = field(default_factory=dict)
    """The tables `[mcp.NAME]`: servers of tools."""
