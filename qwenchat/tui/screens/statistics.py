"""What was said, in figures and curves: by day, by model, by hour."""

import asyncio
import time
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.color import Color
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static
from textual_plotext import PlotextPlot

from qwenchat.chat.errors import LibraryError
from qwenchat.chat.text import safe_line
from qwenchat.console.table import aligned
from qwenchat.i18n.texts import say
from qwenchat.library.library import Library
from qwenchat.library.statistics import ReplyTotals, Statistics
from qwenchat.reports.statistics import headline, rows_by_day, rows_by_model

RANGES: tuple[int | None, ...] = (7, 30, 365, None)
"""Days that are looked back on; None for all there are."""
DAY_S = 86_400


class StatisticsScreen(ModalScreen[None]):
    """A panel over the chat with plots, or the same in numbers."""

    CSS_PATH = "statistics.tcss"
    VERTICAL_BREAKPOINTS = [(0, "-short"), (30, "-tall")]  # noqa: RUF012  (Textual declares them so)
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right", "range(1)", "Look back further", show=False, id="statistics.more"),
        Binding("left", "range(-1)", "Look back less far", show=False, id="statistics.less"),
        Binding("t", "table", "Numbers, or plots", show=False, id="statistics.table"),
        Binding("escape,q,f9", "dismiss", "Close", show=False, id="statistics.close"),
    ]

    def __init__(self, library: Library) -> None:
        super().__init__()
        self._library = library
        self._range = 1
        self._numbers = False
        self._found: Statistics | None = None

    def compose(self) -> ComposeResult:
        """The totals above, and the plots below them, which scroll."""
        with Vertical(id="panel"):
            yield Static(id="head")
            with VerticalScroll(id="body"):
                yield Static(id="numbers")
                with Vertical(id="plots"):
                    yield PlotextPlot(id="tokens")
                    yield PlotextPlot(id="speed")
                    yield PlotextPlot(id="hours")
            yield Static(id="foot")

    def on_mount(self) -> None:
        """Look at the last month."""
        self.query_one("#body").focus()
        self._look()

    def action_range(self, by: int) -> None:
        """Another time to look back on."""
        self._range = max(0, min(len(RANGES) - 1, self._range + by))
        self._look()

    def action_table(self) -> None:
        """The plots in numbers, or back."""
        self._numbers = not self._numbers
        self._show()

    def _look(self) -> None:
        self.run_worker(self._read(), exclusive=True)

    async def _read(self) -> None:
        """Count, off this thread where that can be, since a large library takes a second."""
        days = RANGES[self._range]
        since = time.time() - days * DAY_S if days else 0.0
        try:
            if self._library.in_memory_only:
                self._found = self._library.statistics(since)
            else:
                self._found = await asyncio.to_thread(self._library.statistics, since)
        except LibraryError as error:
            self.query_one("#head", Static).update(Content(safe_line(str(error), 1000)))
            return
        self._show()

    def _show(self) -> None:
        found = self._found
        if found is None:
            return
        days = RANGES[self._range]
        when = say("All time") if days is None else say("The last {days} days", days=days)
        empty = not found.total.replies
        said = say("Nothing was answered in this time.") if empty else headline(found)
        self.query_one("#head", Static).update(Content.assemble((f"{when}\n", "bold $primary"), said))
        self.query_one("#foot", Static).update(
            Content.styled(say("←→ another time · T numbers or plots · Esc closes"), "$quiet")
        )
        curves = len(found.days) > 1
        plots = self.query_one("#plots")
        plots.display = not empty and not self._numbers
        plots.set_class(not curves, "-one")
        for plot in self.query("#tokens, #speed"):
            plot.display = curves
        numbers = self.query_one("#numbers", Static)
        numbers.display = not empty
        if empty:
            return
        tables = [aligned(rows_by_model(found))]
        if self._numbers:
            tables.append(aligned(rows_by_day(found)))
        numbers.update(Content("\n\n".join(tables)))
        if not self._numbers:
            self._plot(found)

    def _plot(self, found: Statistics) -> None:
        self._hours(found)
        if len(found.days) < 2:
            return
        names = [day[5:] for day, _ in found.days]
        self._tokens(names, [figures for _, figures in found.days])
        speed = self.query_one("#speed", PlotextPlot)
        speed.plt.clear_data()
        at = [float(place) for place in range(len(names))]
        speeds = [figures.tokens_per_s for _, figures in found.days]
        speed.plt.plot(at, speeds, marker="braille", color=self._color("accent"))
        step = max(1, len(names) // 6)
        speed.plt.xticks(at[::step], names[::step])
        speed.plt.title(say("Tokens a second"))
        speed.refresh()

    def _hours(self, found: Statistics) -> None:
        hours = self.query_one("#hours", PlotextPlot)
        hours.plt.clear_data()
        hours.plt.bar([str(hour) for hour in range(24)], [*found.hours], marker="sd", color=self._color("primary"))
        hours.plt.yticks(*_ticks(max(found.hours)))
        hours.plt.title(say("Your messages by hour"))
        hours.refresh()

    def _color(self, name: str) -> tuple[int, int, int]:
        return Color.parse(self.app.theme_variables[name]).rgb

    def _tokens(self, names: list[str], days: list[ReplyTotals]) -> None:
        plot = self.query_one("#tokens", PlotextPlot)
        plt: Any = plot.plt  # its types know another name for `labels`
        plt.clear_data()
        parts = [[day.thinking_tokens for day in days], [day.answer_tokens for day in days]]
        plt.stacked_bar(names, parts, labels=[say("thinking"), say("answers")], marker="sd",
                        color=[self._color("accent"), self._color("primary")])  # fmt: skip
        plt.yticks(*_ticks(max(day.tokens for day in days)))
        plt.title(say("Tokens by day"))
        plot.refresh()


def _ticks(most: int) -> tuple[list[float], list[str]]:
    """Whole numbers along an axis, and how they are written."""
    places = sorted({0, most // 2, most})
    return [float(place) for place in places], [f"{place:,}" for place in places]
