"""The list of models tells those that are here from those that would be fetched, and whether each fits."""

import pytest

from tests.support.chat_driver import chat


async def test_what_is_not_here_stands_below_a_heading_of_its_own():
    async with chat() as it:
        await it.press("f3")
        await it.sees("On this machine", "To download", "on disk", "download")
        lines = it.screen.splitlines()
        at = [next(n for n, line in enumerate(lines) if text in line)
              for text in ("On this machine", "● qwen3-0.6b", "To download", "qwen3-1.7b", "qwen3-32b")]  # fmt: skip
        assert at == sorted(at)
        await it.press(*"1.7")
        await it.no_longer_sees("On this machine")
        await it.sees("To download", "qwen3-1.7b")


@pytest.mark.parametrize("size", [(40, 12), (60, 20), (100, 30)])
async def test_whether_a_model_fits_is_told_at_every_width(size, monkeypatch):
    from qwenchat.engine.local import memory
    from qwenchat.engine.local.memory import DeviceMemory

    monkeypatch.setattr(memory, "here", lambda: (DeviceMemory("cpu", 8_000_000_000, 2_000_000_000),))
    async with chat(size=size) as it:
        await it.press("f3")
        await it.sees("qwen3-0.6b", "fits", "too large")
