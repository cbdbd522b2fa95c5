"""Offers what could be meant while something is written, and writes what was chosen."""

import asyncio
from dataclasses import replace
from typing import Protocol

from textual.events import Key

from qwenchat.tui.text.completion import Completion, CompletionItem, file_choices, file_word, offer
from qwenchat.tui.widgets.dropdown import Dropdown

Location = tuple[int, int]


class Page(Protocol):
    """What is written on."""

    @property
    def cursor_location(self) -> Location:
        """Where the cursor is: row and column."""

    @property
    def soft_switches(self) -> bool:
        """Whether the model handles soft switches."""

    def before_cursor(self) -> str | None:
        """The cursor's line as far as the cursor; None while something is selected."""

    def put_over(self, start: Location, text: str) -> None:
        """Write `text` in place of what stands from `start` to the cursor."""


class Completer:
    """Keeps the dropdown in line with the word at the cursor; `look` is called whenever that may be another."""

    def __init__(self, page: Page, dropdown: Dropdown) -> None:
        self._page = page
        self.dropdown = dropdown
        self._closed_for: Location | None = None
        """Where the word begins for which the user does not want to see anything."""
        self._files: asyncio.Task[None] | None = None

    def look(self) -> None:
        """Offer what the word at the cursor could be."""
        before, row = self._page.before_cursor(), self._page.cursor_location[0]
        if before is None:
            return self.dropdown.show(None)
        found = offer(before, row == 0, self._page.soft_switches)
        word = file_word(before) if found is None else None
        start = found.start if found else word[0] if word else None
        if start is None or (row, start) != self._closed_for:
            self._closed_for = None
        else:
            return self.dropdown.show(None)
        if word is not None:
            self._show_fitting(*word)
            self._look_for_files(*word)
        else:
            self.dropdown.show(found)

    def close(self) -> None:
        """Offer nothing more for the word that is being written."""
        if (shown := self.dropdown.offer) is not None:
            self._closed_for = self._page.cursor_location[0], shown.start
        self.dropdown.show(None)

    async def reads_switches(self, event: Key) -> bool:
        """Whether the key was one of the list's, and is done with."""
        if self.dropdown.offer is None:
            return False
        match self.dropdown.act_of(event.key):
            case "accept":
                self.accept(self.dropdown.choice or self.dropdown.offer.choices[0])
            case "accept_or_send":
                highlighted = self.dropdown.choice
                if highlighted is None or highlighted.insert.rstrip() == self._word():
                    self.close()
                    return False
                self.accept(highlighted)
            case "close":
                self.close()
            case "above":
                self.dropdown.move(-1)
            case "below":
                self.dropdown.move(1)
            case _:
                return False
        return True

    def accept(self, choice: CompletionItem) -> None:
        """Write `choice` in place of the word."""
        if (shown := self.dropdown.offer) is not None:
            self.dropdown.show(None)
            self._page.put_over((self._page.cursor_location[0], shown.start), choice.insert)

    def _word(self) -> str:
        before, shown = self._page.before_cursor(), self.dropdown.offer
        return before[shown.start :] if before is not None and shown is not None else ""

    def _show_fitting(self, start: int, word: str) -> None:
        """Until the folder is read, go on with those of the choices that still fit."""
        shown = self.dropdown.offer
        if shown is not None:
            left = tuple(choice for choice in shown.choices if choice.insert.startswith(word))
            self.dropdown.show(replace(shown, choices=left) if left and shown.start == start else None)

    def _look_for_files(self, start: int, word: str) -> None:
        if self._files is not None:
            self._files.cancel()
        self._files = asyncio.get_running_loop().create_task(self._offer_files(start, word))

    async def _offer_files(self, start: int, word: str) -> None:
        found = await asyncio.to_thread(file_choices, word)
        before = self._page.before_cursor()
        if before is not None and file_word(before) == (start, word):
            self.dropdown.show(Completion(start, found) if found else None)
