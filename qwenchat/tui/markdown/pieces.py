"""Where a growing Markdown text can be cut, so that each piece means alone what it means in the whole."""

import re

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markdown_it.utils import EnvType

from qwenchat.tui.markdown.rules import CLOSING, addresses, formulas, line_breaks, tasks, visible

SHORTEST = 200
"""Characters that a piece has at least, if another follows it."""

DEEPEST = 40
"""Levels of lists and quotations, two for an item of a list."""

_ITEM = re.compile(r"((?:[-*+]|\d{1,9}[.)])[ \t]+)\S")
_MAYBE_ITEM = re.compile(r"(?:[-*+][ \t]*|\d{1,9}(?:[.)][ \t]*)?)?\Z")
_FENCE = re.compile(r"(?:[ \t]|[-*+][ \t]|\d{1,9}[.)][ \t])*(`{3,}(?=[^`]*$)|~{3,})(.*)")
_DEFINITION = re.compile(r"^ {0,3}\[[^\]\n]+\]:", re.MULTILINE)


class _Parser(MarkdownIt):
    """Shows as it is what is nested so deeply that the parser would pass over it and over all that follows."""

    def parse(self, src: str, env: EnvType | None = None) -> list[Token]:
        """The tokens of a text."""
        tokens = super().parse(src, env)
        if all(token.level < DEEPEST - 1 for token in tokens):
            return tokens
        fence = "~" * (3 + max(map(len, re.findall("~+", src)), default=0))
        return super().parse(f"{fence}\n{src}\n{fence}", env)


def parser() -> MarkdownIt:
    """Markdown as GitHub has it, with formulas and line breaks, and with HTML shown as the text it is."""
    return (
        _Parser("gfm-like", {"html": False, "maxNesting": DEEPEST})
        .use(formulas)
        .use(addresses)
        .use(tasks)
        .use(visible)
        .use(line_breaks)
    )


def refers_elsewhere(text: str) -> bool:
    """Whether a text defines link references, so that one piece of it can depend on another."""
    return bool(_DEFINITION.search(text))


class MarkdownCutter:
    """Goes through a text line by line as it comes and cuts it where a block, or an item of a list, begins.

    A cheap look at each line finds the places; the parser has the last word, once a piece.
    """

    def __init__(self) -> None:
        self._parser = parser()
        self._held = ""
        """The beginning of a line that may yet turn out to begin an item of a list."""
        self._piece: list[str] = []
        self._length = 0
        """Of the current piece."""
        self._line = ""
        """What was let out of the line that has not ended."""
        self._fence = ""
        """The marks that opened the fence of code; empty outside of one."""
        self._block_ended = True
        """Whether the line before was empty or closed a fence."""

    @property
    def in_fence(self) -> bool:
        """Whether the text is inside a fence of code."""
        return bool(self._fence)

    def feed(self, text: str) -> list[str]:
        """Cut more text: the first part belongs to the current piece, and each other one begins a new piece."""
        parts = [""]
        lines = (self._held + text).splitlines(keepends=True)
        self._held = ""
        for line in lines:
            if not self._line:
                if not (self._fence or self._block_ended) and _MAYBE_ITEM.match(line):
                    self._held = line
                    break
                if self._length >= SHORTEST and self._begins_block(line):
                    parts.append("")
                    self._piece, self._length = [], 0
            parts[-1] += line
            self._let_out(line)
        return parts

    def finish(self) -> str:
        """What was held back, at the end of the text; it belongs to the current piece."""
        held, self._held = self._held, ""
        self._let_out(held)
        return held

    def _let_out(self, line: str) -> None:
        self._piece.append(line)
        self._length += len(line)
        self._line += line
        if line.endswith("\n"):
            self._end_line(self._line.rstrip())
            self._line = ""

    def _begins_block(self, line: str) -> bool:
        """Whether a piece may begin with this line."""
        if self._fence or line[0] in " \t\n":
            return False
        item = _ITEM.match(line)
        if not (item or self._block_ended):
            return False
        if self._in_formula():
            return False
        # If the line is no part of what is open before it, then neither is any other that begins like it.
        tokens = self._parser.parse(f"{''.join(self._piece)}{item[1] if item else ''}cut")
        last = next((token for token in reversed(tokens) if token.nesting == 0), None)
        return last is not None and last.content == "cut" and last.level == (3 if item else 1)

    def _in_formula(self) -> bool:
        """Whether what follows can still close a formula."""
        piece = "".join(self._piece)
        for opening, closing in CLOSING.items():
            if opening in piece and any(
                token.type == "formula" and token.map and token.map[1] > piece.count("\n")
                for token in self._parser.parse(f"{piece}x{closing}")
            ):
                return True
        return False

    def _end_line(self, line: str) -> None:
        found = _FENCE.match(line)
        if self._fence:
            closed = found is not None and found[1].startswith(self._fence) and not found[2]
            self._fence = "" if closed else self._fence
            self._block_ended = closed
        else:
            self._fence = found[1] if found else ""
            self._block_ended = not line
