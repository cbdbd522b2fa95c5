"""What is replaced inside Textual 8.2.8, each with what is wrong there; imported for its effect.

`tests/tui/test_textual_patches.py` shows every fault without its patch, so it fails when one is no longer needed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from textual.geometry import Size
from textual.notifications import Notifications
from textual.reactive import Reactive
from textual.scroll_view import ScrollView
from textual.widget import Widget
from textual.widgets._toast import ToastHolder, ToastRack

_refresh = Widget.refresh
_show = ToastRack.show
_virtual_size = ScrollView.virtual_size
_relaid = Reactive(Size(0, 0), layout=True)
_relaid.__set_name__(ScrollView, "virtual_size")


def _refresh_and_measure(self: Widget, *regions: Any, layout: bool = False, **options: Any) -> Widget:
    """A size that was measured before a second change, and before Textual handled the first, is measured anew.

    Akin to https://github.com/Textualize/textual/issues/1402, a height that stays after its text has changed.
    """
    if layout:
        self._layout_updates += 1
    return _refresh(self, *regions, layout=layout, **options)


def _show_without_gaps(self: ToastRack, notifications: Notifications) -> None:
    """A message that is taken away before its time takes the room it had with it; no issue is known upstream."""
    wanted = {self._toast_id(notification) for notification in notifications}
    for holder in self.query(ToastHolder):
        if holder.id not in wanted:
            holder.remove()
    _show(self, notifications)


def _lay_out_once(on: bool) -> None:
    """Not a second time when the size of what a container holds has changed, since that comes from a layout.

    Where it calls for a scrollbar, the scrollbar asks for a layout itself. What scrolls its own lines gives their
    number by this size, and needs the layout. Akin to https://github.com/Textualize/textual/issues/547, a layout for
    each step of scrolling.
    """
    ScrollView.virtual_size = _relaid if on else _virtual_size
    Widget.virtual_size._layout = not on


def _put(on: bool) -> None:
    Widget.refresh = _refresh_and_measure if on else _refresh  # type: ignore[assignment, method-assign]
    ToastRack.show = _show_without_gaps if on else _show  # type: ignore[method-assign]
    _lay_out_once(on)


@contextmanager
def unpatched() -> Iterator[None]:
    """Textual as it is, for as long as this lasts."""
    _put(False)
    try:
        yield
    finally:
        _put(True)


_put(True)
