"""Markdown as it is drawn: code with its language and a way to copy it, formulas as blocks of their own."""

from markdown_it.token import Token
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.events import Click
from textual.widgets import Markdown, Static
from textual.widgets._markdown import MarkdownBlock, MarkdownFence

from qwenchat.chat.text import safe_line
from qwenchat.i18n.texts import say
from qwenchat.tui.markdown.pieces import parser
from qwenchat.tui.transcript.listed import BulletList, OrderedList, Paragraph
from qwenchat.tui.transcript.table import Table


class Formula(MarkdownBlock):
    """A formula with lines of its own; what is too wide scrolls sideways."""

    def __init__(self, markdown: Markdown, token: Token) -> None:
        super().__init__(markdown, token)
        self.set_content(Content(token.content))


class Language(Static):
    """What the code below is written in; no part of what is selected with it."""

    ALLOW_SELECT = False


class CopyCode(Static):
    """The word in the corner of a block of code that copies it."""

    ALLOW_SELECT = False

    def on_click(self, event: Click) -> None:
        """A click copies the code, and does not choose the message."""
        event.stop()
        if isinstance(block := self.query_ancestor(CodeBlock), CodeBlock):
            self.app.copy_to_clipboard(block.code + "\n")


class CodeBlock(MarkdownFence):
    """A block of code below its language; long lines scroll sideways."""

    def __init__(self, markdown: Markdown, token: Token, code: str) -> None:
        token.info = (token.info.split() or [""])[0]
        super().__init__(markdown, token, code)
        self._language = Language(classes="language")

    def compose(self) -> ComposeResult:
        """The language and the way to copy it above the code."""
        with Horizontal(classes="above"):
            yield self._language
            yield CopyCode(say("copy"), classes="copy", markup=False)
        yield from super().compose()

    def on_mount(self) -> None:
        """Say the language."""
        self._say_language()

    def set_content(self, content: Content) -> None:
        """While it grows, the language may come after the marks."""
        super().set_content(content)
        self._say_language()

    def _say_language(self) -> None:
        self._language.update(Content(safe_line(self.lexer, 30)))


class RenderedMarkdown(Markdown):
    """Markdown in which links are left to the screen."""

    BLOCKS = {  # noqa: RUF012  (Textual declares it so)
        **Markdown.BLOCKS, "fence": CodeBlock, "code_block": CodeBlock, "table_open": Table,
        "paragraph_open": Paragraph, "bullet_list_open": BulletList, "ordered_list_open": OrderedList,
    }  # fmt: skip

    def __init__(self, text: str) -> None:
        super().__init__(text, parser_factory=parser, open_links=False)

    def unhandled_token(self, token: Token) -> MarkdownBlock | None:
        """Formulas are unknown to Textual."""
        return Formula(self, token) if token.type == "formula" else None
