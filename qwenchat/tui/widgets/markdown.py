"""Markdown as it is drawn: with formulas as blocks of their own."""

from markdown_it.token import Token
from textual.content import Content
from textual.widgets import Markdown
from textual.widgets._markdown import MarkdownBlock

from qwenchat.tui.pieces import parser


class Formula(MarkdownBlock):
    """A formula with lines of its own."""

    def __init__(self, markdown: Markdown, token: Token) -> None:
        super().__init__(markdown, token)
        self.set_content(Content(token.content))


class Rendered(Markdown):
    """Markdown in which links are left to the screen."""

    def __init__(self, text: str) -> None:
        super().__init__(text, parser_factory=parser, open_links=False)

    def unhandled_token(self, token: Token) -> MarkdownBlock | None:
        """Formulas are unknown to Textual."""
        return Formula(self, token) if token.type == "formula" else None
