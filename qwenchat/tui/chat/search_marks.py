"""The hits of a search that are marked in the conversation, and the way from one to the next."""

import asyncio
import time
from contextlib import suppress

from textual.widget import Widget
from textual.worker import Worker, WorkerError

from qwenchat.i18n.texts import say
from qwenchat.tui.chat.context import ChatContext
from qwenchat.tui.chat.search_hits import HitPosition, SearchHits
from qwenchat.tui.keys.bindings import fitting, key_shown
from qwenchat.tui.transcript.message import AssistantMessage
from qwenchat.tui.transcript.message_base import MessageWidget
from qwenchat.tui.transcript.passage import Passage

MARK, CURRENT = "$foreground on $warning 25%", "$background on $warning"
PLAIN_MARK, PLAIN_CURRENT = "bold underline", "bold reverse"
"""Without colours."""
DRAWN_WITHIN_S = 30.0
"""How long the longest message may take to be drawn."""


class SearchMarks:
    """Marks what was searched for in the messages that have all of it, until something else is written.

    What comes into view is marked a moment later; the rest of a long conversation costs nothing.
    """

    def __init__(self, context: ChatContext) -> None:
        self._session, self._transcript, self._composer = context.session, context.transcript, context.composer
        self._hits: SearchHits | None = None
        """None while nothing is marked."""
        self._begun_with: tuple[str | None, str] = None, ""
        """The conversation and the draft of when it began; with others it ends."""
        self._marked: dict[Passage, HitPosition | None] = {}
        """Those that are marked, each with the hit in it that the reader is at."""
        self._at: HitPosition | None = None
        self._there: str | None = None
        """The message in which the reader is."""
        self._coming: Worker[None] | None = None
        """What waits for a long message to be drawn, and then comes to a hit in it."""

    @property
    def on(self) -> bool:
        """Whether hits are marked."""
        return self._hits is not None

    async def begin(self, words: str, message_id: str, *, thoughts: bool) -> None:
        """Mark `words`, and come to the first of them in that message; with `thoughts` in what was thought, too."""
        self.clear()
        hits = SearchHits(self._session, words, thoughts=thoughts)
        if (speaker := hits.speaker(message_id)) not in hits.messages:
            await self._transcript.go_to(message_id)
            return
        self._hits, self._begun_with = hits, self._state()
        await self._begin_to_come(hits, speaker, last=False)

    async def walk(self, by: int) -> str:
        """Come to the next hit (1) or the one before (-1); gives back what is to be said of that."""
        if self._coming is not None:
            with suppress(WorkerError):
                await self._coming.wait()
        if (hits := self._hits) is None:
            return ""
        chosen = self._transcript.chosen
        there = chosen.message_id if chosen is not None else self._there
        places = list(hits.places(self._transcript.said(there or "")))
        at = places.index(self._at) if self._at in places else -1 if by > 0 else len(places)
        if 0 <= at + by < len(places):
            self._show(places[at + by])
            return ""
        message, reported = hits.beside(there, by)
        if message is not None:
            await self._begin_to_come(hits, message, last=by < 0)
        return reported

    def clear(self) -> None:
        """Take all marks away."""
        for passage in self._marked:
            if passage.widget.is_attached and passage.is_as_marked:
                passage.draw(passage.texts)
        self._marked.clear()
        self._hits = self._at = self._there = None

    def draw(self) -> None:
        """Mark what has come into view, or take the marks away when something else is written; called often."""
        if self._hits is None:
            return
        if self._state() != self._begun_with:
            self.clear()
            return
        for widget in self._transcript.screen._compositor.visible_widgets:
            passage = self._hits.passage(widget)
            if passage is not None and self._has_hits(self._hits, widget):
                self._mark(self._hits, passage)

    def hint(self, room: int) -> str:
        """The keys that lead on, as many as there is room for; empty while nothing is marked."""
        if not self.on:
            return ""
        out = key_shown(self._transcript, "message.write", "escape")
        if (chosen := self._transcript.chosen) is None:
            return fitting((say("{key} next hit", key=key_shown(self._transcript, "chat.find", "f8")), out), room)[0]
        on, back = (key_shown(chosen, f"message.{name}", key) for name, key in (("next_hit", "n"), ("hit_before", "N")))
        keys = (say("{key} next hit", key=on if len(on) > 1 else on.lower()), say("{key} the one before", key=back))
        return fitting((*keys, out), room)[0]

    def _state(self) -> tuple[str | None, str]:
        return self._session.conversation.id, self._composer.text

    async def _begin_to_come(self, hits: SearchHits, message_id: str, *, last: bool) -> None:
        """Choose a message at once, and come to the first hit in it, or the last, when it is drawn."""
        await self._transcript.reach(message_id)
        if (said := self._transcript.said(message_id)) is not None:
            said.choose()
            self._there = message_id
            self._coming = self._transcript.run_worker(
                self._come_to(hits, said, last=last), group="marks", exclusive=True
            )

    async def _come_to(self, hits: SearchHits, said: MessageWidget, *, last: bool) -> None:
        await self._drawn(hits, said)
        if hits.unfold(said):
            await self._drawn(hits, said)
        places = list(hits.places(said))
        if self._hits is not hits:
            return
        if places:
            self._show(places[-1 if last else 0])
        else:  # it stands in what is not shown, as the address of a link
            self._transcript.choose(said.message_id)

    async def _drawn(self, hits: SearchHits, said: MessageWidget) -> None:
        """Wait until a message is drawn as a whole, as long as anybody wants it."""
        until = time.monotonic() + DRAWN_WITHIN_S
        while self._hits is hits and said.is_attached and time.monotonic() < until:
            there = said.is_mounted and all(widget.is_mounted for widget in said.walk_children(Widget))
            if there and (not isinstance(said, AssistantMessage) or said.answer.settled or not said.ended):
                break
            await asyncio.sleep(0.02)

    def _show(self, place: HitPosition) -> None:
        """Bring a hit into view, and mark it otherwise than the others."""
        before, self._at = self._at, place
        with self._transcript.app.batch_update():
            self._transcript.screen._refresh_layout()  # what was just unfolded has its place from here on
            if (there := self._transcript.place_of(place.passage.widget)) is not None:
                top, width = there
                self._transcript.bring_row_into_view(top + place.passage.line(place.number, place.start, width))
            place.passage.bring_column_into_view(place.number, place.start)
            if self._hits is not None:
                self._mark(self._hits, place.passage)
                if before is not None and before.passage in self._marked:
                    self._mark(self._hits, before.passage)

    def _has_hits(self, hits: SearchHits, widget: Widget) -> bool:
        """Whether a widget belongs to a message that has hits and is complete."""
        said = next((node for node in widget.ancestors if isinstance(node, MessageWidget)), None)
        grows = isinstance(said, AssistantMessage) and not said.ended
        return said is not None and said.message_id in hits.messages and not grows

    def _mark(self, hits: SearchHits, passage: Passage) -> None:
        """Mark a passage, unless it is marked as it is to be."""
        at = self._at if self._at is not None and self._at.passage is passage else None
        if passage in self._marked and self._marked[passage] == at and passage.is_as_marked:
            return
        plain = self._composer.app.no_color or self._composer.app.native_ansi_color
        mark, current = (PLAIN_MARK, PLAIN_CURRENT) if plain else (MARK, CURRENT)
        passage.draw(hits.marked(passage, mark, at, current))
        self._marked[passage] = at
