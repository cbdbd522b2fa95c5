"""The line at the foot of the screen: which model, how it runs, how fast, how full."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from textual.content import Content
from textual.widget import Widget

from qwenchat.chat.events import LoadProgressed
from qwenchat.chat.provenance import ThinkingSupport
from qwenchat.chat.text import safe_line
from qwenchat.i18n.texts import say, size
from qwenchat.session.session import Session
from qwenchat.session.turn import Phase
from qwenchat.tui.transcript.reasoning import duration
from qwenchat.tui.widgets.rhythm import SpeedGraph

GAP = 3
"""Columns between two pieces of the line."""
GAUGE_FROM = 84
"""Columns from which the context is also drawn, not only said."""
STEADY_S = 0.5
"""How long a speed stands: one that changes with every draw cannot be read, and costs a draw of its own."""


@dataclass(frozen=True, slots=True)
class StatusItem:
    """One fact of the status line."""

    text: Content
    weight: int
    """The piece with the greatest weight goes first when the line is too narrow; 0 always stays."""
    right: bool = False
    beside: bool = False
    """Whether it stands right behind the piece before it."""

    @property
    def width(self) -> int:
        """Columns that it takes, with the gap beside it."""
        return self.text.cell_length + (0 if self.beside else GAP)


def bar(share: float, width: int) -> Content:
    """A horizontal gauge, `share` of it filled."""
    filled = round(max(0.0, min(1.0, share)) * width)
    return Content.assemble(("━" * filled, "$primary"), ("─" * (width - filled), "$foreground 20%"))


def _dim(text: str) -> Content:
    return Content.styled(text, "$quiet")


def _in_a_row(pieces: Sequence[StatusItem]) -> Content:
    """The pieces with gaps between."""
    row = [part for piece in pieces for part in ("" if piece.beside else " " * GAP, piece.text)]
    return Content.assemble(*row[1:])


class ProgressRate:
    """How fast a download or a load goes, and how long it will take."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since: tuple[str, float, int] = ("", 0.0, 0)

    def words(self, load: LoadProgressed) -> str:
        """Amount, share, speed and time left, as far as they are known."""
        now = self._clock()
        if load.step != self._since[0] or load.done < self._since[2]:
            self._since = (load.step, now, load.done)
        if not load.total:
            waited = now - self._since[1]
            return size(load.done) if load.done else duration(waited) if waited >= 1 else ""
        words = say(
            "{done} of {all}, {percent} %",
            done=size(load.done), all=size(load.total), percent=100 * load.done // load.total,
        )  # fmt: skip
        seconds, done = now - self._since[1], load.done - self._since[2]
        if seconds >= 1 and done:
            speed = done / seconds
            left = duration((load.total - load.done) / speed)
            words += say(", {speed}/s, {time} left", speed=size(round(speed)), time=left)
        return words


class StatusLine(Widget):
    """What `show` last read from the session, laid out for the width there is."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(id="status")
        self._pace = ProgressRate(clock)
        self._pieces: list[StatusItem] = []
        self._rhythm = SpeedGraph(clock)
        self._clock = clock
        self._rate = 0.0
        """The speed that is shown of a growing reply."""
        self._rate_at = 0.0
        self._said = ""

    def say(self, text: str) -> None:
        """Show `text` in place of the figures; without any, these again."""
        if text != self._said:
            self._said = text
            self.refresh()

    def show(self, session: Session, prompt_tokens: int, preset: str = "") -> None:
        """Read the session; `prompt_tokens` is the size of a running turn's prompt, `preset` what is said of it."""
        pieces = [StatusItem(Content.styled(say("private"), "bold $accent"), 0)] if session.private else []
        pieces += [*self._model(session), *self._thinking(session), *self._preset(preset), *self._speed(session)]
        pieces += self._context_gauge(session, prompt_tokens)
        if pieces != self._pieces:
            self._pieces = pieces
            self.refresh()

    def render(self) -> Content:
        """The pieces that fit, those about the model at the left, the figures at the right."""
        width = self.size.width
        if self._said:
            return Content.styled(self._said, "$quiet").truncate(max(1, width), ellipsis=True)
        pieces = list(self._pieces)
        while pieces and sum(piece.width for piece in pieces) - GAP > width:
            last = max(pieces, key=lambda piece: piece.weight)
            if last.weight == 0:
                break
            pieces.remove(last)
        left = _in_a_row([piece for piece in pieces if not piece.right])
        right = _in_a_row([piece for piece in pieces if piece.right])
        space = max(GAP if right else 0, width - left.cell_length - right.cell_length)
        return Content.assemble(left, " " * space, right).truncate(max(1, width), ellipsis=True)

    def _model(self, session: Session) -> list[StatusItem]:
        model, load = session.model.info, session.model.progress
        if load is not None:
            pieces = [StatusItem(Content.assemble(("◌ ", "$primary"), safe_line(load.step)), 0)]
            if load.total:
                pieces.append(StatusItem(bar(load.done / load.total, 12), 5))
            words = self._pace.words(load)
            return [*pieces, StatusItem(_dim(words), 2)] if words else pieces
        if model is None:
            return [StatusItem(Content.assemble(("✕ ", "$error"), say("no model")), 0)]
        name = StatusItem(Content.assemble(("● ", "$primary"), safe_line(model.name)), 0)
        place = safe_line(model.place)
        return [
            name,
            StatusItem(
                _dim(f" · {place}" if model.server else place), 2 if model.server else 4, beside=bool(model.server)
            ),
        ]

    def _thinking(self, session: Session) -> list[StatusItem]:
        if session.model.info is None:
            return []
        match session.model.support:
            case ThinkingSupport.NONE:
                return [StatusItem(_dim(say("thinking not supported")), 5)]
            case ThinkingSupport.ALWAYS:
                text = say("thinking always on")
            case _ if session.thinks:
                text = say("thinking on")
            case _:
                return [StatusItem(_dim(say("thinking off")), 1)]
        budget = session.thinking_budget
        limit = "" if budget is None else say(", {budget:,} tokens", budget=budget)
        return [StatusItem(Content.styled(text + limit, "$primary"), 1)]

    def _preset(self, preset: str) -> list[StatusItem]:
        return [StatusItem(_dim(safe_line(preset)), 3)] if preset else []

    def _speed(self, session: Session) -> list[StatusItem]:
        growing = session.model.turn.growing
        if growing is not None:
            rate, first = self._steady(growing.tokens_per_s), growing.first_token_s
        else:
            made = next((m.provenance for m in reversed(session.conversation.path) if m.provenance), None)
            rate, first = (made.timing.tokens_per_s, made.timing.first_token_s) if made else (0.0, None)
        stopping = session.phase is Phase.STOPPING
        pieces = [StatusItem(Content.styled(say("stopping"), "$warning"), 4, True)] if stopping else []
        if first:
            pieces.append(StatusItem(_dim(say("first token {seconds:.2f} s", seconds=first)), 7, True))
        self._rhythm.take(growing.thinking_tokens + growing.answer_tokens if growing else None)
        if (curve := self._rhythm.curve()) and self.app.animation_level != "none":
            pieces.append(StatusItem(Content.styled(curve, "$primary"), 6, True))
        if rate:
            pieces.append(StatusItem(Content(say("{rate:.1f} tok/s", rate=rate)), 4, True))
        return pieces

    def _steady(self, rate: float) -> float:
        """The speed that was last shown, unless that is some time ago."""
        now = self._clock()
        if not self._rate or not rate or now - self._rate_at > STEADY_S:
            self._rate, self._rate_at = rate, now
        return self._rate

    def _context_gauge(self, session: Session, prompt_tokens: int) -> list[StatusItem]:
        window = session.model.info.context_window if session.model.info else 0
        growing = session.model.turn.growing
        used = session.conversation.context_tokens
        if growing is not None and prompt_tokens:
            used = prompt_tokens + growing.thinking_tokens + growing.answer_tokens
        if not window:
            return []
        share = used / window
        gauge = Content.assemble(bar(share, 6), " ") if self.size.width >= GAUGE_FROM else ""
        figure = (f"{100 * share:.0f} %", "$warning" if share >= 0.8 else "$quiet")
        return [StatusItem(Content.assemble((f"{say('context')} ", "$quiet"), gauge, figure), 3, True)]
