"""Makes docs/picture.svg from the program itself: python -m docs.make_picture.

What is in the picture happened: the program, with its own engine, sampler and library, was asked the question by keys
and answered it. Only the model is not one that anybody would use. Qwen3's weights do not belong in a repository, so a
Qwen3 of two layers is trained for a minute on the one question below, its thought and its answer, as the tests do it;
the status line calls it what it is, and its speed is its own.
"""

import asyncio
import re
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from qwenchat.chat.commands import LoadModel
from qwenchat.chat.sampling import SamplingOverrides
from qwenchat.engine.local.engine import LocalEngine
from qwenchat.engine.worker import Worker
from qwenchat.library.library import Library
from qwenchat.paths import Paths
from qwenchat.session import Session
from qwenchat.tui.app import QwenChat
from tests.tiny_qwen3 import Lesson, save_tiny_qwen3

PICTURE = Path(__file__).with_name("picture.svg")
MODEL = "Qwen3-tiny"
SIZE = (104, 30)
STEPS = 300
PATIENCE_S = 120.0
FONTS = '"Fira Code", ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace'
LESSON = Lesson(
    "I sort words by length in Python. Why do words of the same length keep their old order?",
    "The user sorts with key=len and sees that ties are not shuffled. Python's sort is Timsort, which merges runs and "
    "never swaps two items whose keys are equal, so it is stable. The documentation promises it, so code may rely on "
    "it. I should say that, show a short example whose result I can check by hand, and add what it is good for: "
    "sorting twice. pear, fig, plum, kiwi by length: fig has 3 letters, the others 4, in their old order. Good.",
    "Because Python's sort is **stable**: items with equal keys are never swapped.\n\n"
    "```python\n"
    'words = ["pear", "fig", "plum", "kiwi"]\n'
    'sorted(words, key=len)  # ["fig", "pear", "plum", "kiwi"]\n'
    "```\n\n"
    "That is a promise of the language, so you may build on it: sort by name first, then by age, and people of the "
    "same age stay sorted by name.",
)


def main() -> None:
    """Train, chat, draw."""
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / MODEL
        save_tiny_qwen3(folder, (LESSON,), STEPS)
        paths = Paths(*(Path(home) / name for name in ("config", "data", "cache", "logs")))
        overrides = SamplingOverrides(seed=1)
        session = Session(Worker(lambda: LocalEngine(paths)), Library.in_memory(), overrides=overrides)
        app = QwenChat(session, LoadModel(str(folder)))
        asyncio.run(_converse(app, session))


async def _converse(app: QwenChat, session: Session) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await _until(pilot.pause, lambda: session.model is not None)
        app._chat._composer.write(LESSON.question)
        await pilot.press("enter")
        await _until(pilot.pause, lambda: session.path and not session.busy)
        if session.path[-1].text != LESSON.answer:
            raise SystemExit(f"The model has not learned its lesson:\n{session.path[-1].text}")
        await pilot.press("ctrl+o", "ctrl+end")
        await pilot.pause(0.5)
        PICTURE.write_text(_self_contained(app.export_screenshot(title="qwenchat")), "utf-8")
    app.save_and_close()


def _self_contained(svg: str) -> str:
    """The drawing with the reader's own fonts: those that it would fetch are not fetched from inside a page."""
    without = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    return without.replace("font-family: Fira Code, monospace", f"font-family: {FONTS}")


async def _until(pause: Callable[[float], Awaitable[None]], condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit("The program did not come to an end.")
        await pause(0.02)


if __name__ == "__main__":
    main()
