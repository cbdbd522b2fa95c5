"""The command palette: what is typed finds words that begin with it, and nothing by scattered letters."""

import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.markup import escape

MARK = "✓"
"""Stands before the theme that is on."""


def rank(typed: str, title: str, details: str = "") -> float:
    """How well a line fits what is typed: 0 for not at all, 1 for one that begins with it."""
    typed, title, details = (" ".join(text.casefold().split()) for text in (typed, title, details))
    begins = [re.compile(rf"(?<!\w){re.escape(word)}") for word in (typed, *typed.split())]
    ranks = (
        (1.0, title.startswith(typed)),
        (0.9, begins[0].search(title)),
        (0.8, all(word.search(title) for word in begins[1:])),
        (0.7, typed in title),
        (0.5, begins[0].search(details)),
        (0.4, all(word.search(f"{title} {details}") for word in begins[1:])),
    )
    return next((score for score, fits in ranks if fits), 0.0)


class PaletteProvider(Provider):
    """Offers lines in their own order, or those that fit what is typed."""

    def lines(self) -> Iterable[tuple[str, str, Callable[[], Any]]]:
        """Each with its title, what else is to be said of it, and what choosing it does."""
        raise NotImplementedError

    async def discover(self) -> Hits:
        """All of them."""
        for title, details, run in self.lines():
            yield DiscoveryHit(Content(title), run, title, escape(details) or None)

    async def search(self, query: str) -> Hits:
        """Those that fit, of equal ones the first first."""
        for title, details, run in self.lines():
            if score := rank(query, title, details):
                yield Hit(score, self._marked(query, title), run, title, escape(details) or None)

    def _marked(self, typed: str, title: str) -> Content:
        """A title in which the words that were typed stand out."""
        content = Content(title)
        for word in typed.split():
            for found in re.finditer(re.escape(word), title, re.IGNORECASE):
                content = content.stylize(self.match_style or "bold", *found.span())
        return content


class CommandProvider(PaletteProvider):
    """Everything that can be done from the chat."""

    def lines(self) -> Iterable[tuple[str, str, Callable[[], Any]]]:
        """See `PaletteProvider`."""
        for title, details, run, _ in self.app.get_system_commands(self.screen):
            yield title, details, run


class ThemeProvider(PaletteProvider):
    """The themes, the one that is on first."""

    def lines(self) -> Iterable[tuple[str, str, Callable[[], Any]]]:
        """See `PaletteProvider`."""
        now = self.app.theme
        for name in sorted(self.app.available_themes, key=lambda name: (name != now, name)):
            yield f"{MARK if name == now else ' '} {name}", "", partial(setattr, self.app, "theme", name)
