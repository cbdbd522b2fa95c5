"""An answer in Markdown that grows, at a cost that does not."""

import logging
from collections.abc import Awaitable, Callable

from textual.widget import MountError

from qwenchat.tui.markdown.pieces import MarkdownCutter, refers_elsewhere
from qwenchat.tui.transcript.growing import GrowingText
from qwenchat.tui.transcript.listed import join
from qwenchat.tui.transcript.markdown import RenderedMarkdown
from qwenchat.tui.transcript.viewed import VirtualColumn

LONGEST_PARSED = 2000
"""Characters of one piece that are parsed while it grows. A longer block, such as a file of code or a table, goes on as
the text it is until it ends, and is parsed as a whole then."""

log = logging.getLogger(__name__)


class Answer(VirtualColumn):
    """Shows Markdown piece by piece: only the latest one changes, and no more than that is parsed again."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        """What is drawn, or will be when the screen has caught up."""
        self._unshown = ""
        self._steps = 0
        """How many steps of drawing are under way."""
        self._cutter = MarkdownCutter()
        self._shown = ""
        """What the cutter has been given."""
        self._piece = ""
        self._parsed = 0
        """How much of the latest piece is drawn as Markdown."""
        self._markdown: RenderedMarkdown | None = None
        self._rest: GrowingText | None = None
        self.display = False

    @property
    def settled(self) -> bool:
        """Whether everything is drawn."""
        return not (self._steps or self._unshown)

    def add(self, text: str) -> None:
        """More of the answer, already safe to show; `flush` shows it."""
        self.text += text
        self._unshown += text

    def go_on(self) -> None:
        """More will be added to a text that was settled: all of it is cut and drawn as if it came now."""
        self._unshown = self.text
        self._draw_later(self._clear)

    def flush(self) -> None:
        """Show what was added, unless the screen is still busy with what came before."""
        if self._unshown and not self._steps:
            self._draw_later(self._grow)

    def settle(self, text: str) -> None:
        """Show `text` for good."""
        self.text, self._unshown = text, ""
        self._draw_later(self.finish)

    async def finish(self) -> None:
        """Draw all of the text, with the latest piece and what follows it as a whole."""
        text, self._unshown = self.text, ""
        whole = refers_elsewhere(text)
        if whole or not text.startswith(self._shown):
            await self._clear()
        parts = [text] if whole else self._cutter.feed(text[len(self._shown) :])
        parts[-1] += self._cutter.finish()
        self._shown = text
        for at, part in enumerate(parts):
            if at > 0:
                self._begin_piece()
            self._piece += part
            await self._draw_piece()
        self.display = bool(text.strip())

    def _draw_later(self, draw: Callable[[], Awaitable[None]]) -> None:
        self._steps += 1
        self.call_later(self._draw, draw)

    async def _draw(self, draw: Callable[[], Awaitable[None]]) -> None:
        try:
            await draw()
        except MountError:
            if self.is_attached:
                raise
            log.debug("the answer was taken away while it was drawn")
        finally:
            self._steps -= 1

    async def _grow(self) -> None:
        text, self._unshown = self._unshown, ""
        self._shown += text
        self.display = bool(self._shown.strip())
        for at, part in enumerate(self._cutter.feed(text)):
            if at > 0:
                if self._rest is not None or any(mark in self._piece for mark in ("```", "~~~", "|")):
                    await self._draw_piece()
                self._begin_piece()
            self._piece += part
            await self._extend()

    async def _clear(self) -> None:
        await self.remove_children()
        self._cutter, self._shown = MarkdownCutter(), ""
        self._begin_piece()

    def _begin_piece(self) -> None:
        self._piece, self._parsed, self._markdown, self._rest = "", 0, None, None

    async def _extend(self) -> None:
        """Draw what was added to the latest piece, as Markdown if it is still short."""
        if self._markdown is None and self._piece:
            self._markdown = RenderedMarkdown("")
            await self.mount(self._markdown)
        parsed = self._parsed if self._rest is not None else _parsed_length(self._piece)
        if self._markdown is not None and parsed > self._parsed:
            more, self._parsed = self._piece[self._parsed : parsed], parsed
            try:
                await self._markdown.append(more)
            except Exception:
                log.info("Markdown could not be appended to; it is parsed anew", exc_info=True)
                await self._markdown.update(self._piece[:parsed])
            self._join()
        if self._markdown is not None and parsed < len(self._piece):
            if self._rest is None:
                self._rest = GrowingText("rest -code" if self._cutter.in_fence else "rest")
                for block in self._markdown.children[-1:]:
                    block.add_class("-goes-on")
                await self.mount(self._rest)
            self._rest.show(self._piece[parsed:])

    async def _draw_piece(self) -> None:
        """Draw the latest piece as a whole."""
        self._parsed = len(self._piece)
        if self._markdown is None:
            self._markdown = RenderedMarkdown(self._piece)
            await self.mount(self._markdown)
            self._join()
            return
        await self._markdown.update(self._piece)
        self._join()
        if self._rest is not None:
            await self._rest.remove()
            self._rest = None

    def _join(self) -> None:
        """Join a list that was cut to the part of it in the piece before."""
        pieces = [child for child in self.children if isinstance(child, RenderedMarkdown) and child.children]
        if len(pieces) > 1 and pieces[-1] is self._markdown:
            join(pieces[-2].children[-1], pieces[-1].children[0])


def _parsed_length(piece: str) -> int:
    """How much of a growing piece is parsed: up to the end of a line, or of a word in a line that is very long."""
    end = piece.find("\n", LONGEST_PARSED)
    if end < 0:
        end = piece.find(" ", 2 * LONGEST_PARSED)
    return len(piece) if end < 0 else end + 1
