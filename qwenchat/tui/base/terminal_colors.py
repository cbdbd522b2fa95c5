"""How the program looks in the terminal's own colours, and without any: more than colour shows what stands out."""

from functools import lru_cache

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter


class SwappedColors(LineFilter):
    """Draws what lies on one of the sixteen colours as text and background swapped, which every terminal can show.

    Nobody knows what these colours are, so no text is sure to be read on one of them. With `colorless` the others
    go too.
    """

    def __init__(self, *, colorless: bool) -> None:
        super().__init__()
        self._colorless = colorless

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The line, drawn so."""
        return [Segment(text, style and _swapped(style, self._colorless), control) for text, style, control in segments]


@lru_cache(1024)
def _swapped(style: Style, colorless: bool) -> Style:
    on_color = style.bgcolor is not None and not style.bgcolor.is_default
    if not on_color and not colorless:
        return style
    attributes = Style(
        bold=style.bold, dim=style.dim, italic=style.italic, underline=style.underline, strike=style.strike,
        reverse=style.reverse or on_color, link=style.link,
    )  # fmt: skip
    return attributes + Style.from_meta(style.meta) if style.meta else attributes
