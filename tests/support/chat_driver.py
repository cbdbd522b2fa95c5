"""Drives the real interface by keys, over a scripted engine, and reads what is on the screen."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partialmethod
from pathlib import Path

from textual._styles_cache import StylesCache
from textual.css.model import RuleSet
from textual.css.stylesheet import Stylesheet
from textual.geometry import Offset
from textual.pilot import Pilot
from textual.widgets import Markdown

from qwenchat.chat.engine_commands import LoadModel
from qwenchat.engine.base import Engine
from qwenchat.engine.worker import Worker
from qwenchat.library.library import Library
from qwenchat.session.answer_settings import AnswerSettings
from qwenchat.session.session import Session
from qwenchat.settings.presets import Preset
from qwenchat.settings.settings import Settings, Width
from qwenchat.tools.base import ToolRunner
from qwenchat.tui.app import QwenChat
from qwenchat.tui.transcript.message import AssistantMessage
from qwenchat.tui.transcript.transcript import Transcript
from qwenchat.tui.widgets.composer import Composer
from tests.support.fake_engine import FakeEngine, Script
from tests.support.patience import PATIENCE_S

_parsed: dict[object, list[RuleSet]] = {}


def _parse_once(
    stylesheet: Stylesheet, *args: object, parse: Callable[..., list[RuleSet]], **options: object
) -> list[RuleSet]:
    """The rules of a style sheet, which are the same for each app that starts in this process."""
    key = args, *options.items(), *stylesheet._variables.items()
    if key not in _parsed:
        _parsed[key] = parse(stylesheet, *args, **options)
    return _parsed[key]


Stylesheet._parse_rules = partialmethod(_parse_once, parse=Stylesheet._parse_rules)  # type: ignore[method-assign,assignment]


async def wait_until(pilot: Pilot[None], condition: Callable[[], object], what: str = "") -> None:
    """Let the app run until `condition` holds, and then until it has done what that brought about."""
    if condition():
        return
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    while not condition():
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"never came: {what or condition}\n{screen_text(pilot.app)}")
        await asyncio.sleep(0.01)  # a pause of the pilot would draw the screen each time
    await pilot.pause(0)


def screen_text(app: object) -> str:
    """What is on the screen now, line by line."""
    assert isinstance(app, QwenChat)
    return "\n".join(strip.text.rstrip() for strip in app.screen._compositor.render_strips())


class Chat:
    """A running program and the ways to look at it."""

    def __init__(self, app: QwenChat, pilot: Pilot[None], engine: FakeEngine) -> None:
        self.app, self.pilot, self.engine, self.session = app, pilot, engine, app.session

    @property
    def screen(self) -> str:
        """The text of the whole screen."""
        return screen_text(self.app)

    @property
    def status(self) -> str:
        """The last line of the screen."""
        return self.screen.splitlines()[-1]

    @property
    def composer(self) -> Composer:
        return self.app._chat.query_one(Composer)

    @property
    def draft(self) -> str:
        return self.composer.text

    @property
    def transcript(self) -> Transcript:
        return self.app._chat.query_one(Transcript)

    @property
    def replies(self) -> list[AssistantMessage]:
        return self.transcript.replies

    async def until(self, condition: Callable[[], object], what: str = "") -> None:
        await wait_until(self.pilot, condition, what)

    async def sees(self, *texts: str) -> None:
        """Wait until all of `texts` are on the screen."""
        for text in texts:
            await self.until(lambda text=text: text in self.screen, f"{text!r} on the screen")

    async def no_longer_sees(self, text: str) -> None:
        await self.until(lambda: text not in self.screen, f"{text!r} gone from the screen")

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def paste(self, text: str) -> None:
        """Put text into the composer as a terminal's paste does."""
        from textual.events import Paste

        self.app.post_message(Paste(text))
        await self.until(lambda: self.draft, "the pasted text")

    async def send(self, text: str) -> None:
        """Write and send a message."""
        await self.paste(text)
        await self.press("enter")

    async def ask(self, text: str) -> AssistantMessage:
        """Send a message and wait for the end of the reply."""
        before = self.session.conversation.tree.leaf
        await self.send(text)
        await self.until(lambda: self.session.conversation.tree.leaf != before, "the turn")
        await self.idle()
        return self.replies[-1]

    async def idle(self) -> None:
        """Wait until no turn runs and the reply is drawn as a whole."""
        await self.until(lambda: not self.session.busy and self.app._chat.feed.live is None, "the end of the turn")
        await self.until(lambda: all(reply.answer.settled for reply in self.replies), "the reply rendered as a whole")
        await self.pilot.pause()

    async def click_text(self, text: str) -> None:
        """Click the first place on the screen that says `text`."""
        await self.sees(text)
        for y, line in enumerate(self.screen.splitlines()):
            if text in line:
                x = line.index(text) + len(text) // 2
                await self.pilot.click(offset=Offset(x, y))
                return

    def markdown_of(self, reply: AssistantMessage) -> Markdown:
        return reply.query_one(Markdown)


@asynccontextmanager
async def chat(
    *scripts: Script,
    engine: FakeEngine | None = None,
    library: Library | None = None,
    size: tuple[int, int] = (100, 40),
    resume: str | None = None,
    theme: str = "qwenchat-dark",
    theme_folders: Iterable[Path] = (),
    notices: Iterable[str] = (),
    presets: Iterable[Preset] = (),
    settings: Settings | None = None,
    keys: Mapping[str, str] = {},
    vim: bool = False,
    reduced_motion: bool = False,
    width: Width = 100,
    tools: ToolRunner | None = None,
    ready: bool = True,
    make_engine: Callable[[], Engine] | None = None,
) -> AsyncIterator[Chat]:
    """The program over `scripts`, closed like `run` closes it; `ready` waits until the model is loaded.

    `make_engine` makes an engine for each of several models, in place of `engine`.
    """
    engine = engine or FakeEngine(list(scripts) or [Script()])
    session = Session(Worker(make_engine or (lambda: engine)), library or Library.in_memory(), tools=tools)
    answer_settings = AnswerSettings(session, settings=settings, presets=tuple(presets))
    app = QwenChat(
        session,
        LoadModel(),
        answer_settings=answer_settings,
        theme=theme,
        theme_folders=theme_folders,
        keys=keys,
        vim=vim,
        reduced_motion=reduced_motion,
        width=width,
        resume=resume,
        notices=notices,
    )
    try:
        async with app.run_test(size=size, notifications=True) as pilot:
            it = Chat(app, pilot, engine)
            if ready:
                await it.until(lambda: session.model.info is not None, "the model")
            yield it
    finally:
        engine.release()
        app.save_and_close()
        StylesCache.get_inner_outer.cache_clear()  # keeps all that was drawn of a thousand widgets
