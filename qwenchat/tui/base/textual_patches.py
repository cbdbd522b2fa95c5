"""Textual's layout, mended in two places for text that grows while it is scrolled; imported for its effect."""

from typing import Any

from textual.geometry import Size
from textual.reactive import Reactive
from textual.scroll_view import ScrollView
from textual.widget import Widget

_refresh = Widget.refresh


def _refresh_and_measure(self: Widget, *regions: Any, layout: bool = False, **options: Any) -> Widget:
    """A size that was measured before this is void, also where Textual has not heeded an earlier call of it yet."""
    if layout:
        self._layout_updates += 1
    return _refresh(self, *regions, layout=layout, **options)


Widget.refresh = _refresh_and_measure  # type: ignore[assignment, method-assign]

# Everything would be laid out a second time when the size of what a container holds has changed, although that comes
# from the layout that was just made. Where it calls for a scrollbar, the scrollbar asks for a layout itself. What
# scrolls its own lines tells their number by this size, and needs the layout.
_told = Reactive(Size(0, 0), layout=True)
_told.__set_name__(ScrollView, "virtual_size")
ScrollView.virtual_size = _told
Widget.virtual_size._layout = False
