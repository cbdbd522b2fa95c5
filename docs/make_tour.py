"""Makes docs/picture.svg and the pictures of docs/tour.md from the program itself: python -m docs.make_tour.

What is in the pictures happened: the program, with its own engine, sampler and library, was driven by keys, and
answered. Only the model is not one that anybody would use. Qwen3's weights do not belong in a repository, so a Qwen3 of
two layers is trained for a minute on what it is asked here, and held back to the pace of a larger one; the status line
calls it what it is. The conversations of earlier days are put into the library by the script, too.
"""

import asyncio
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import torch

from docs import tour_material as material
from qwenchat.chat.engine_commands import LoadModel, StartTurn
from qwenchat.chat.events import TurnEvent
from qwenchat.chat.sampling import SamplingOverrides
from qwenchat.chat.tools import ToolSettings
from qwenchat.engine.base import TurnSignals
from qwenchat.engine.local.engine import LocalEngine
from qwenchat.engine.worker import Worker
from qwenchat.i18n import texts
from qwenchat.library.library import Library
from qwenchat.session.answer_settings import AnswerSettings
from qwenchat.session.session import Session
from qwenchat.settings.presets import built_in
from qwenchat.system.paths import Paths, shipped_themes
from qwenchat.tools.toolbox import Toolbox
from qwenchat.tui.app import QwenChat
from tests.support.chat_driver import Chat

DOCS = Path(__file__).parent
PAGE = DOCS / "tour.md"
PLAIN = "<!-- plain -->"
MODEL = "Qwen3-tiny"
OTHER = "Qwen3-other"
SIZE = (100, 28)
HERO = (104, 30)
SMALL = (80, 24)
TALL = (100, 42)
THEMES = {"light": "qwenchat-light", "high-contrast": "high-contrast", "color-blind": "color-blind"}
RETRIES = 12
REST_S = 0.02
FONTS = '"Fira Code", ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace'
GROUNDS = re.compile(
    r'<rect fill="(?P<colour>#\w+)" x="(?P<x>[\d.]+)" y="(?P<y>[\d.]+)" width="[\d.]+" height="24.65"/>'
    r'(?:<rect fill="(?P=colour)" x="(?P<last>[\d.]+)" y="(?P=y)" width="(?P<width>[\d.]+)" height="24.65"/>)+'
)
"""Neighbouring cells of one colour in Textual's drawing."""


class Unhurried(LocalEngine):
    """The program's engine, held back to the pace of a larger model: at its own, nobody would see this one think."""

    def generate(self, command: StartTurn, signals: TurnSignals) -> Iterator[TurnEvent]:
        """Answer a turn with a rest after each piece."""
        for event in super().generate(command, signals):
            yield event
            time.sleep(REST_S)


class Tourist(Chat):
    """Somebody at the keys who takes pictures."""

    async def types(self, text: str) -> None:
        """Write key by key, as the replay will show it."""
        for letter in text:
            await self.press("space" if letter == " " else letter)

    async def opens(self, key: str, *texts: str) -> None:
        """Press a key that leads elsewhere, and wait for what is to be seen there."""
        await self.press(key)
        await self.sees(*texts)

    async def picture(self, name: str) -> None:
        """Draw the screen once it is at rest."""
        await self.pilot.pause(0.4)
        self.draw(name)

    def draw(self, name: str) -> None:
        """Draw the screen as it is now."""
        drawing = simplified(self.app.export_screenshot(title="qwenchat"))
        (DOCS / f"{name}.svg").write_text(drawing, "utf-8")


def simplified(svg: str) -> str:
    """The drawing with the reader's own fonts, since none is fetched from inside a page, and with short names."""
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    svg = svg.replace("font-family: Fira Code, monospace", f"font-family: {FONTS}")
    svg = re.sub(r'<clipPath id="[\w-]+-line-\d+">.*?</clipPath>\s*', "", svg, flags=re.DOTALL)
    svg = re.sub(r' clip-path="url\(#[\w-]+-line-\d+\)"| clip-path="url\(#[\w-]+-clip-terminal\)"', "", svg)
    svg = re.sub(r"terminal-\d+-", "", svg).replace("&#160;", "\N{NO-BREAK SPACE}")
    svg = re.sub(r"<text [^>]*>\s*</text>", "", svg)
    svg = svg.replace(' shape-rendering="crispEdges"', "").replace(
        "</style>", "g rect { shape-rendering: crispEdges }</style>"
    )
    return GROUNDS.sub(_one_ground, svg)


def _one_ground(of: re.Match[str]) -> str:
    """Neighbouring cells of one colour, drawn at once."""
    colour, x, y, last, width = of.group("colour", "x", "y", "last", "width")
    return f'<rect fill="{colour}" x="{x}" y="{y}" width="{float(last) + float(width) - float(x):.5g}" height="24.65"/>'


class Tour:
    """The program, begun anew for each part of the tour, over one model and one library."""

    def __init__(self, home: Path) -> None:
        """`home` has the model in it."""
        self._paths = Paths(*(home / name for name in ("config", "data", "cache", "logs")))
        self._home = home

    @asynccontextmanager
    async def program(
        self, size: tuple[int, int] = SIZE, *, library: Library | None = None, theme: str = "qwenchat-dark",
        resumed: bool = False,
    ) -> AsyncIterator[Tourist]:  # fmt: skip
        """The program with its model loaded, and closed at the end; `resumed` goes on with the latest conversation."""
        session = Session(
            Worker(lambda: Unhurried(self._paths)),
            library or Library.open(self._paths.database),
            overrides=SamplingOverrides(seed=1),
            tools=Toolbox(ToolSettings(), config_file=self._paths.config_file),
        )
        app = QwenChat(
            session,
            LoadModel(f"./{MODEL}"),
            answer_settings=AnswerSettings(session, presets=built_in()),
            theme=theme,
            theme_folders=(shipped_themes(),),
            resume=session.library.latest() if resumed else None,
        )
        try:
            async with app.run_test(size=size, notifications=True) as pilot:
                it = Tourist(app, pilot, None)  # type: ignore[arg-type]
                await it.until(lambda: session.model.info is not None, "the model")
                yield it
        finally:
            app.save_and_close()

    async def take(self) -> None:
        """Every picture, one program after the other."""
        with closing(Library.open(self._paths.database)) as library:
            material.fill(library)
        async with self.program() as it:
            await _first_answer(it)
            await _places(it)
            await _second_answer(it)
        for name, theme in THEMES.items():
            async with self.program(HERO, theme=theme, resumed=True) as it:
                await _shown_whole(it, f"tour/{name}")
        async with self.program(SMALL, resumed=True) as it:
            await it.sees("thought for")
            await it.picture("tour/small")
        async with self.program(resumed=True) as it:
            await it.send(f"/compare ./{OTHER}")
            await it.sees("promise it.")
            await it.picture("tour/compare")
        weeks = Library.in_memory()
        material.fill_with_weeks(weeks)
        async with self.program(TALL, library=weeks) as it:
            await it.opens("f9", "The last 30 days", "MODEL")
            await it.picture("tour/statistics")
        async with self.program() as it:
            await _tool(it)
        await self._in_chinese()

    async def _in_chinese(self) -> None:
        texts.speak("zh")
        async with self.program() as it:
            await it.ask(material.CHINESE)
            _expect(it, material.CHINESE_ANSWER)
            await it.press("ctrl+o", "ctrl+end")
            await it.picture("tour/chinese")
        texts.speak("en")

    def say_it_plainly(self) -> None:
        """Put the chat line by line into the page."""
        command = [sys.executable, "-m", "qwenchat", "--plain", "--seed", "1", "--model", f"./{MODEL}"]
        shown = f'$ echo "{material.SORTING}" | qwenchat --plain\n'
        home = os.environ | {"QWENCHAT_HOME": str(self._home / "plain")}
        ran = subprocess.run(
            command, input=f"{material.SORTING}\n", env=home, cwd=self._home, capture_output=True, text=True, check=True
        )
        before, _, rest = PAGE.read_text("utf-8").partition(PLAIN)
        after = rest.partition(PLAIN)[2]
        PAGE.write_text(f"{before}{PLAIN}\n~~~text\n{shown}{ran.stdout}~~~\n{PLAIN}{after}", "utf-8")


async def _first_answer(it: Tourist) -> None:
    await it.types(material.SORTING)
    await it.press("enter")
    await it.sees("documentation")
    it.draw("tour/thinking")
    await it.idle()
    if it.session.conversation.path[-1].text not in material.SORTING_ANSWERS:
        raise SystemExit(f"The model has not learned its lesson:\n{it.session.conversation.path[-1].text}")
    await it.picture("tour/answer")
    await it.pilot.resize_terminal(*HERO)
    await _shown_whole(it, "picture")
    await it.pilot.resize_terminal(*SIZE)
    await it.press("ctrl+o")


async def _shown_whole(it: Tourist, name: str) -> None:
    """The conversation with its thought open."""
    await it.sees("thought for")
    await it.press("ctrl+o", "ctrl+end")
    await it.sees("Timsort")
    await it.picture(name)


async def _places(it: Tourist) -> None:
    """Everything that a key opens."""
    for name, seen, *keys in (
        ("inspect", "What made it", "f4"),
        ("settings", "temperature", "f2"),
        ("models", "parameters", "f3"),
        ("presets", "Coder", "f5", "down", "down", "down"),
    ):
        await it.press(*keys)
        await it.sees(seen)
        await it.picture(f"tour/{name}")
        await it.press("escape")
    await it.press("ctrl+f")
    await it.types("light")
    await it.picture("tour/search")
    await it.press("escape")
    await it.opens("ctrl+b", "Conversations")
    await it.opens("home", material.PINNED)
    await it.picture("tour/sidebar")
    await it.press("escape")
    await it.press("f6", "6", "space")
    await it.picture("tour/replay")
    await it.press("escape")


async def _second_answer(it: Tourist) -> None:
    """Ask again until the answer is another one, and look at it closely."""
    first = it.session.conversation.path[-1].text
    for seed in range(3, RETRIES):
        await it.send(f"/retry seed={seed}")
        await it.until(lambda: it.session.busy, "the next turn")
        await it.idle()
        if it.session.conversation.path[-1].text != first:
            break
    await it.press("ctrl+end", "ctrl+up")
    await it.picture("tour/versions")
    await it.opens("m", "Token lens")
    await it.picture("tour/menu")
    await it.press("escape")
    await it.opens("l", "Token lens")
    await it.until(lambda: it.session.scores.complete, "the whole reply read")
    await it.pilot.pause(0.3)
    await it.press("n")
    await it.picture("tour/lens")
    await it.press("escape")


async def _tool(it: Tourist) -> None:
    await it.send("/tools calculator")
    await it.sees("The model may call")
    await it.no_longer_sees("The model may call")
    await it.send(material.RENT)
    await it.sees("The model wants to call")
    await it.picture("tour/permission")
    await it.pilot.pause(1)
    await it.press("y")
    await it.idle()
    _expect(it, material.RENT_ANSWER)
    await it.press("ctrl+end")
    await it.picture("tour/tool")


def _expect(it: Tourist, answer: str) -> None:
    if it.session.conversation.path[-1].text != answer:
        raise SystemExit(f"The model has not learned its lesson:\n{it.session.conversation.path[-1].text}")


def main() -> None:
    """Train, chat, draw."""
    torch.set_num_threads(1)  # small matrices gain nothing from threads, and these hinder each other
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"QWENCHAT_HOME": home, "HF_HOME": f"{home}/hub"}
        os.chdir(home)
        material.save_model(Path(home) / MODEL)
        material.save_other_model(Path(home) / OTHER)
        tour = Tour(Path(home))
        asyncio.run(tour.take())
        tour.say_it_plainly()


if __name__ == "__main__":
    main()
