"""Models on servers in the interface: where an answer comes from, and how one is chosen."""

from dataclasses import replace

import pytest

from qwenchat.library.library import Library

from .chat_driver import chat
from .fake_engine import MODEL, FakeEngine

BOX = replace(MODEL, name="Qwen/Qwen3-8B", revision="", quantization="", device="", server="box [red]\x1b[2J")
SHOWN = "box [red]"


class TestWhereAnAnswerComesFrom:
    async def test_the_server_stands_beside_the_model_and_below_each_reply(self):
        library = Library.in_memory()
        async with chat(engine=FakeEngine(model=BOX), library=library, size=(140, 30)) as it:
            await it.ask("Go")
            assert it.status.strip().startswith(f"● Qwen/Qwen3-8B · {SHOWN}")
            await it.sees(f"Qwen/Qwen3-8B · {SHOWN}")
            below = [line for line in it.screen.splitlines()[:-1] if f"Qwen/Qwen3-8B · {SHOWN}" in line]
            assert len(below) == 1
            assert "tokens" in below[0]
            await it.press("f4")
            await it.sees("server", SHOWN)
            assert "device" not in it.screen
            await it.press("escape", "f9", "t")
            await it.sees(f"Qwen/Qwen3-8B · {SHOWN}")

    @pytest.mark.parametrize("columns", [54, 60, 80, 100])
    async def test_it_is_the_last_to_go_in_a_narrow_terminal(self, columns):
        model = replace(BOX, server="192.168.1.7:8000")
        async with chat(engine=FakeEngine(model=model), size=(columns, 24)) as it:
            await it.ask("Go")
            await it.until(lambda: it.status.strip().startswith("● Qwen/Qwen3-8B · 192.168.1.7:8000"), "the server")
            assert ("tok/s" in it.status) == (columns > 60)
