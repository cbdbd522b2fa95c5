"""Keys and pastes, handled in the order in which they came."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from textual.app import App
from textual.events import Key, Paste
from textual.message_pump import MessagePump

from qwenchat.tui.widgets.composer import Composer

PATIENCE_S = 1.0
"""How long the next key waits for one that takes its time; it is handled after that one in any case that matters."""


class KeyOrder:
    """Lets each key have all of its effect before the next is given to whatever has the focus then.

    Textual hands keys on as they come: of several that come at once, the later ones would go to where the first one
    leads away from, and those with priority would be handled before the others. `hand_on` gives one to the program;
    `begins` is called before.
    """

    def __init__(
        self, app: App[None], hand_on: Callable[[Key | Paste], Awaitable[None]], begins: Callable[[], None]
    ) -> None:
        self._app = app
        self._hand_on = hand_on
        self._begins = begins
        self._waiting: deque[Key | Paste] = deque()
        self._task: asyncio.Task[None] | None = None
        self._open = False

    def open(self) -> None:
        """Handle what has come and what comes: the program has begun."""
        self._open = True
        self._go_on()

    def take(self, event: Key | Paste) -> None:
        """Handle a key or a paste once those before it are done with."""
        self._waiting.append(event)
        self._go_on()

    def _go_on(self) -> None:
        if not self._open:
            return
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._handle())
            self._task.add_done_callback(self._end)

    async def _handle(self) -> None:
        while self._waiting:
            await self._handle_one(self._waiting.popleft())

    def _end(self, task: asyncio.Task[None]) -> None:
        """An error ends the program, as one in a task of Textual's does."""
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            self._app._handle_exception(error)

    async def _handle_one(self, event: Key | Paste) -> None:
        self._begins()
        screen = self._app.screen
        focused = screen.focused
        if isinstance(focused, Composer):
            focused._forward_event(event)
            await self._pass(focused)
        else:
            way = list((focused or screen).ancestors_with_self)
            await self._hand_on(event)
            await self._pass(*way)  # the key
            await self._pass(*way)  # what its meaning was given in
        if self._app.screen is not screen:
            await self._pass(self._app.screen)

    async def _pass(self, *pumps: MessagePump) -> None:
        """Wait until each of these, one after the other, has done all that lies before it now."""
        for pump in pumps:
            done = asyncio.Event()
            if pump.call_later(done.set):
                try:
                    await asyncio.wait_for(done.wait(), PATIENCE_S)
                except TimeoutError:
                    return
