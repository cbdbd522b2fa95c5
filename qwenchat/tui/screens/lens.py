"""The token lens: how sure the model is of each token of a reply, and what else it might have said."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from qwenchat.chat.branch_point import ReplyPrefix, beginning
from qwenchat.chat.events import ScoredToken, TokenAlternative
from qwenchat.chat.text import safe, safe_line
from qwenchat.i18n.texts import count, say
from qwenchat.session.token_scores import TokenScores
from qwenchat.tui.keys.bindings import fitting, key_shown
from qwenchat.tui.transcript.long_list import LongList
from qwenchat.tui.widgets.overview import Overview
from qwenchat.tui.widgets.token_view import SHADES, TokenView, shade_of

LOOKS_PER_S = 10
BAR = 24
"""Cells of a bar that means certain."""
NAME_WIDTH = 18
_EIGHTHS = " ▏▎▍▌▋▊▉"
_BLANKS = str.maketrans({" ": "␣", "\n": "↵", "\t": "⇥"})


@dataclass(frozen=True, slots=True)
class AlternativeRow:
    """A token that might have stood there, as a row."""

    number: int
    alternative: TokenAlternative
    chosen: bool

    @property
    def key(self) -> str:
        """Its place."""
        return str(self.number)

    @property
    def height(self) -> int:
        """One line."""
        return 1

    def line(self, number: int, width: int) -> Content:
        """What it says, how likely it is, as a bar too, and whether it was said."""
        mark = Content.styled("● " if self.chosen else "  ", "$primary")
        name = Content.styled(visible(self.alternative), "bold" if self.chosen else "")
        share = self.alternative.probability
        name = name.truncate(NAME_WIDTH, ellipsis=True, pad=True)
        bar = (_bar(share, max(0, min(BAR, width - NAME_WIDTH - 24))), "$primary")
        said = (f" {say('was said')}" if self.chosen else "", "$quiet")
        return Content.assemble(mark, name, f"{100 * share:6.2f} %  ", bar, said)


def visible(alternative: TokenAlternative) -> str:
    """A token with its blanks to be seen, on one line."""
    if not alternative.text:
        return say("part of a character")
    return safe(alternative.text).translate(_BLANKS) or say("an unprintable character")


def _bar(share: float, cells: int) -> str:
    eighths = round(share * cells * 8)
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8]).rstrip().ljust(cells)


def choices_of(token: ScoredToken) -> list[AlternativeRow]:
    """What might have stood in the place of a token, the likeliest first, with what was said."""
    found = list(token.likeliest)
    at = next((at for at, one in enumerate(found) if one == token.chosen), None)
    if at is None:
        at = len(found)
        found.append(token.chosen)
    return [AlternativeRow(number, one, number == at) for number, one in enumerate(found)]


class LensScreen(ModalScreen[ReplyPrefix | None]):
    """A screen over the chat; gives back the beginning that the model shall go on from."""

    CSS_PATH = "lens.tcss"
    VERTICAL_BREAKPOINTS = [(0, "-short"), (16, "-middle")]  # noqa: RUF012  (Textual declares them so)
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,tab", "alternatives", "To the alternatives and back", show=False, id="lens.choose"),
        Binding("r", "read", "Read the rest", show=False, id="lens.read"),
        Binding("escape,q", "leave", "Back to the tokens, then to the chat", show=False, id="lens.leave"),
    ]

    def __init__(self, scoring: TokenScores, read: Callable[[], object], reader: str, writer: str) -> None:
        """`read` lets `reader`, the model there is, look at the reply that `writer` wrote; empty when not known."""
        super().__init__()
        self._scoring, self._read = scoring, read
        self._reader, self._writer = reader, writer
        self._view = TokenView()
        self._overview = Overview()
        self._choices = LongList("choices", clicks=2)
        self._title, self._about, self._legend = Static(id="title"), Static(id="about"), Static(id="legend")

    def compose(self) -> ComposeResult:
        """The reply, and below it what else might have stood at the cursor."""
        with Vertical(id="panel"):
            yield self._title
            yield self._overview
            yield self._view
            yield self._about
            yield self._choices
            yield self._legend

    def on_mount(self) -> None:
        """Begin to read."""
        self.set_focus(self._view)
        self._read()
        self._look()
        self.set_interval(1 / LOOKS_PER_S, self._look)

    def on_unmount(self) -> None:
        """Nobody looks any more."""
        self._scoring.stop()

    def action_alternatives(self) -> None:
        """Choose among what else might have been said, at once: the next key may be waiting already."""
        if self._choices.has_focus:
            self.set_focus(self._view)
        elif self._view.token is not None:
            self.set_focus(self._choices)

    def action_read(self) -> None:
        """Read on after something else was asked of the model."""
        if self._scoring.ended and not self._scoring.complete:
            self._view.clear()
            self._read()

    def action_leave(self) -> None:
        """From the alternatives to the tokens, from there to the chat."""
        if self._choices.has_focus:
            self.set_focus(self._view)
        else:
            self.dismiss(None)

    @on(TokenView.Moved)
    def _show_token(self) -> None:
        token = self._view.token
        self._show_overview()
        if token is None:
            return
        choices = choices_of(token)
        self._choices.show(choices)
        self._choices.highlighted = next(choice.number for choice in choices if choice.chosen)
        share = token.chosen.probability
        place = say("token {number:,}", number=self._view.cursor + 1)
        name, words = (visible(token.chosen), "bold"), (f"{place}, {_word(share)}", "$quiet")
        self._about.update(Content.assemble(name, f"  {100 * share:.2f} %  ", words))

    @on(LongList.Selected)
    def _go_on(self, event: LongList.Selected) -> None:
        event.stop()
        token = self._view.token
        if token is None:
            return
        chosen = choices_of(token)[int(event.key)].alternative
        other = beginning(self._view.tokens, self._view.cursor, chosen)
        if other is None:
            self.notify(say("The model cannot go on from there."), severity="warning", markup=False)
        else:
            self.dismiss(other)

    def _look(self) -> None:
        """Take what came since the last time."""
        known = len(self._view.tokens)
        if len(self._scoring.tokens) > known:
            self._view.add(self._scoring.tokens[known:])
            self._show_overview()
        self._title.update(Content.assemble((say("Token lens"), "bold $primary"), "   ", self._state()))

    def on_resize(self) -> None:
        """The overview and the keys take the width that there is."""
        self.call_after_refresh(self._show_overview)
        self.call_after_refresh(lambda: self._legend.update(self._words_below()))

    def _show_overview(self) -> None:
        self._overview.show(self._view.tokens, self._view.cursor, self._scoring.total)

    def _state(self) -> Content:
        """How far it is, and who reads."""
        scoring = self._scoring
        if scoring.error is not None:
            return Content.styled(safe(str(scoring.error)), "$error")
        if scoring.complete:
            words = count("{number:,} token", "{number:,} tokens", scoring.total)
        elif scoring.ended:
            key = key_shown(self, "lens.read", "r")
            words = say("The model was needed for something else. {key} reads the reply again.", key=key)
        elif scoring.tokens:
            words = say("{done:,} of {total:,} tokens", done=len(scoring.tokens), total=scoring.total)
        else:
            words = say("the model reads what comes before")
        if self._reader:
            words = say("{words}, read by {reader}", words=words, reader=safe_line(self._reader))
        if self._reader == self._writer or not self._writer or not self._reader:
            return Content.styled(words, "$quiet")
        other = say("written by {writer}", writer=safe_line(self._writer))
        return Content.assemble((words, "$quiet"), (f", {other}", "$warning"))

    def _words_below(self) -> Content:
        """What the shades mean, and the keys."""
        shades = [(f" {100 * least:.0f}+ ", self._view.get_visual_style("token--text", f"token--{name}"))
                  for least, name in SHADES]  # fmt: skip
        own = say("% and more: by the model alone, before temperature and penalties")
        next_, before = (
            key_shown(self, id_, key) for id_, key in (("lens.next_doubt", "n"), ("lens.doubt_before", "p"))
        )
        doubts = say("{next} and {before} go to doubtful tokens", next=next_, before=before)
        key = key_shown(self, "lens.choose", "enter")
        others = say("{key} to the alternatives", key=key), say("there, Enter goes on from one")
        keys, _ = fitting((doubts, *others, say("Esc leaves")), self._legend.size.width, "   ")
        words = (f" {own}", "$quiet"), (f"\n{keys}", "$quiet")
        return Content.assemble(*shades, *words)


def _word(share: float) -> str:
    """How sure the model was, in a word."""
    return {
        "sure": say("sure"), "likely": say("likely"), "open": say("open"), "doubtful": say("doubtful"),
        "unlikely": say("unlikely"),
    }[shade_of(share)]  # fmt: skip
