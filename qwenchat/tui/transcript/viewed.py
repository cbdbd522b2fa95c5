"""What is laid out only near the rows that are seen, so that a long conversation costs no more than a short one."""

from dataclasses import dataclass
from itertools import pairwise

from textual.containers import Vertical, VerticalScroll
from textual.geometry import Size, Spacing
from textual.layout import DockArrangeResult, WidgetPlacement
from textual.widget import Widget


@dataclass(frozen=True, slots=True)
class VisibleRows:
    """Rows of a container that are seen, or are about to be."""

    top: int
    bottom: int

    def touch(self, placement: WidgetPlacement) -> bool:
        """Whether a part of it lies in these rows."""
        return placement.region.y < self.bottom and placement.region.bottom > self.top

    def within(self, placement: WidgetPlacement) -> "VisibleRows":
        """The same rows, counted from the top of its content."""
        top = placement.region.y + placement.widget.styles.gutter.top
        return VisibleRows(self.top - top, self.bottom - top)


class VirtualContainer(Vertical):
    """A container that keeps its height, and places nothing inside, while it is far from the view."""

    seen: VisibleRows | None = None
    """None while nothing is known about the view: then all is placed."""
    _measured = False

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """The height of all of it, near or far."""
        self._measured = True
        try:
            return super().get_content_height(container, viewport, width)
        finally:
            self._measured = False

    def arrange(self, size: Size, optimal: bool = False) -> DockArrangeResult:
        """Where the children go; nowhere while they are far away.

        How high it is itself matters to none of them; if they knew, all would be measured anew as it grows.
        """
        seen = None if self._measured else self.seen
        if seen is not None and (seen.bottom <= 0 or seen.top >= size.height):
            return DockArrangeResult([], set(), Spacing())
        arranged = super().arrange(Size(size.width, 0), optimal)
        if not self._measured:
            show_rows(arranged, seen)
        return arranged


class VirtualColumn(VirtualContainer):
    """A long container of which only the children near the view are placed."""

    def arrange(self, size: Size, optimal: bool = False) -> DockArrangeResult:
        """Where the children near the view go."""
        arranged = super().arrange(size, optimal)
        if self._measured or self.seen is None:
            return arranged
        near = [placement for placement in arranged.placements if self.seen.touch(placement)]
        return DockArrangeResult(near, {placement.widget for placement in near}, arranged.scroll_spacing)


class FollowingPane(VerticalScroll, can_focus=False):
    """A view of what grows at its end, which it follows while the reader is there."""

    def arrange(self, size: Size, optimal: bool = False) -> DockArrangeResult:
        """Where the children go; those far from the view learn that they are, unless text is being selected."""
        arranged = super().arrange(size, optimal)
        top = arranged.total_region.bottom - size.height if self.following else round(self.scroll_y)
        margin = size.height // 4
        seen = VisibleRows(top - margin, top + size.height + margin)
        show_rows(arranged, None if self.screen._selecting else seen)
        return arranged

    @property
    def following(self) -> bool:
        """Whether the reader is at the end, so that the view moves with new text."""
        return self._anchored and not self._anchor_released

    def place_of(self, widget: Widget) -> tuple[int, int] | None:
        """The row at which the content of something inside begins, and its width, also of what is far from the view.

        None for what is not displayed.
        """
        row, size = 0, self.scrollable_content_region.size
        path = [node for node in (widget, *widget.ancestors) if isinstance(node, Widget)]
        for child, parent in reversed(list(pairwise(path[: path.index(self) + 1]))):
            room = Size(size.width, 0) if isinstance(parent, VirtualContainer) else size
            placed = Widget.arrange(parent, room).placements
            region = next((placement.region for placement in placed if placement.widget is child), None)
            if region is None:
                return None
            inside = region.shrink(child.styles.gutter)
            row, size = row + inside.y, inside.size
        return row, size.width

    def on_resize(self) -> None:
        """The layout that gave it another size went by the old one where it follows the end."""
        if self.following:
            self.refresh(layout=True)

    def anchor(self, anchor: bool = True) -> None:
        """Take hold of the end. Where all can be seen, only another layout moves it to the foot of the view."""
        super().anchor(anchor)
        self.refresh(layout=True)

    def release_anchor(self) -> None:
        """Let go of the end, unless all there is can be seen: then there is nothing to scroll away to."""
        if self.max_scroll_y > 0:
            super().release_anchor()


def show_rows(arranged: DockArrangeResult, seen: VisibleRows | None) -> None:
    """Tell the children which of their rows are seen."""
    for placement in arranged.placements:
        if isinstance(placement.widget, VirtualContainer):
            placement.widget.seen = seen and seen.within(placement)
