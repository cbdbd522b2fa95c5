"""Lists in Markdown, drawn with one widget for an item: laying out four for each holds up the keys."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.css.styles import RulesMap
from textual.selection import Selection
from textual.strip import Strip
from textual.style import Style
from textual.visual import RenderOptions, Visual
from textual.widget import Widget
from textual.widgets._markdown import (
    MarkdownBlock,
    MarkdownBullet,
    MarkdownList,
    MarkdownListItem,
    MarkdownParagraph,
)


@dataclass(frozen=True, slots=True)
class _Marked(Visual):
    """Text with a mark before its first line, and with as much room kept before the others."""

    mark: Content
    text: Content

    def render_strips(self, width: int, height: int | None, style: Style, options: RenderOptions) -> list[Strip]:
        """The mark is never shown as selected."""
        indent = self.mark.cell_length
        lines = self.text.render_strips(max(1, width - indent), height, style, options)
        before = self.mark.render_strips(indent, 1, style, replace(options, selection=None))
        margin = [Strip.blank(indent, style.rich_style)] * (len(lines) - 1)
        return [Strip.join(pair) for pair in zip((*before, *margin), lines, strict=False)]

    def get_optimal_width(self, rules: RulesMap, container_width: int) -> int:
        """What both take beside each other."""
        return self.mark.cell_length + self.text.get_optimal_width(rules, container_width)

    def get_height(self, rules: RulesMap, width: int) -> int:
        """The lines of the text in what room the mark leaves."""
        return max(1, self.text.get_height(rules, max(1, width - self.mark.cell_length)))


class Paragraph(MarkdownParagraph):
    """A paragraph; where it is all of an item of a list, with the mark of that item before its first line."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"mark"}
    DEFAULT_CSS = """
    Paragraph {
        & > .mark { color: $text-primary; }
        &:light > .mark { color: $text-secondary; }
    }
    """
    _mark = ""

    @property
    def mark_width(self) -> int:
        """Columns that the mark takes."""
        return cell_len(self._mark)

    def set_content(self, content: Content) -> None:
        """Put `content` in place of the text."""
        self._content = content
        self.update(self._drawn(content))

    def dress(self, content: Content) -> None:
        """Draw the same text with other colours."""
        self.update(self._drawn(content), layout=False)

    def _drawn(self, content: Content) -> Visual:
        return _Marked(Content.styled(self._mark, ".mark"), content) if self._mark else content

    def put_mark(self, mark: str) -> None:
        """Have `mark` before the text."""
        if mark != self._mark:
            self._mark = mark
            self.set_content(self._content)

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The mark is selected with the beginning of the text."""
        mark = self._mark if selection.start in (None, (0, 0)) else ""
        return mark + selection.extract(self._content.plain), "\n"


class _Items(MarkdownList):
    """A list that keeps the items that it has while it grows."""

    DEFAULT_CSS = """
    _Items {
        margin: 0 0 1 0;
        Horizontal, Vertical { height: auto; width: 1fr; }
    }
    """

    def compose(self) -> ComposeResult:
        """An item of one paragraph as that alone, others in a row with their mark."""
        for mark, item in self._marked():
            yield _widget_of(mark, item)
        self._blocks.clear()

    async def _update_from_block(self, block: MarkdownBlock) -> None:
        """Change the items that are there, and add those that are new."""
        if not isinstance(block, _Items) or type(block) is not type(self):
            await super()._update_from_block(block)
            return
        items = list(block._marked())
        kept = 0
        for there, (mark, item) in zip(self.children, items, strict=False):
            paragraph = _only_paragraph(item)
            if not isinstance(there, Paragraph) or paragraph is None:
                break
            there.put_mark(mark)
            if not there._content.is_same(paragraph._content):
                await there._update_from_block(paragraph)
            kept += 1
        await self.remove_children(self.children[kept:])
        await self.mount_all([_widget_of(mark, item) for mark, item in items[kept:]])
        self._copy_context(block)

    def _marked(self) -> Iterable[tuple[str, MarkdownListItem]]:
        """The items that are not mounted yet, each with its mark."""
        items = [block for block in self._blocks if isinstance(block, MarkdownListItem)]
        return zip(self._marks(items), items, strict=True)

    def _marks(self, items: Sequence[MarkdownListItem]) -> Sequence[str]:
        """The mark of each item; all take the same room."""
        return [item.bullet for item in items]


def join(before: Widget, after: Widget) -> None:
    """Let no line be empty between two parts of one list."""
    if isinstance(before, _Items) and type(before) is type(after):
        before.add_class("-goes-on")


class BulletList(_Items):
    """A list with bullets."""


class OrderedList(_Items):
    """A list with numbers, counted from the first one."""

    def _marks(self, items: Sequence[MarkdownListItem]) -> Sequence[str]:
        start = int(items[0].bullet) if items and items[0].bullet.isdecimal() else 1
        numbers = [f"{number}. " for number in range(start, start + len(items))]
        return [number.rjust(len(numbers[-1]) + 1) for number in numbers]


def _only_paragraph(item: MarkdownListItem) -> Paragraph | None:
    """The paragraph that is all of an item."""
    match item._blocks:
        case [Paragraph() as paragraph]:
            return paragraph
    return None


def _widget_of(mark: str, item: MarkdownListItem) -> Widget:
    paragraph = _only_paragraph(item)
    if paragraph is not None:
        paragraph.put_mark(mark)
        return paragraph
    bullet = MarkdownBullet()
    bullet.symbol = mark
    return Horizontal(bullet, Vertical(*item._blocks))
