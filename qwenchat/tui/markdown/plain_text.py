"""Markdown as plain text, without its marks, and the blocks of code in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from markdown_it.tree import SyntaxTreeNode
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound
from rich.cells import cell_len

from qwenchat.chat.text import safe, safe_line
from qwenchat.tui.markdown.pieces import parser


@dataclass(frozen=True, slots=True)
class CodeText:
    """A block of code in a message."""

    language: str
    """As the model named it; empty where it did not."""
    text: str

    @property
    def file_name(self) -> str:
        """A name for a file with it, after its language."""

        try:
            pattern = next(iter(get_lexer_by_name(self.language).filenames), "")
        except ClassNotFound:
            pattern = ""
        if pattern.startswith("*.") and pattern[2:].isalnum():
            return f"reply{pattern[1:]}"
        return pattern if pattern.isalnum() else "reply.txt"


def code_in(markdown: str) -> tuple[CodeText, ...]:
    """The blocks of code in a text as it is shown, in their order."""
    return tuple(
        CodeText((token.info.split() or [""])[0], token.content.rstrip("\n") + "\n")
        for token in parser().parse(safe(markdown))
        if token.type in ("fence", "code_block")
    )


def plain(markdown: str) -> str:
    """What a text says, without the marks of Markdown; code and formulas stay readable."""
    return _blocks(SyntaxTreeNode(parser().parse(safe(markdown))).children)


def _blocks(nodes: Sequence[SyntaxTreeNode], between: str = "\n\n") -> str:
    return between.join(text for text in map(_block, nodes) if text)


def _block(node: SyntaxTreeNode) -> str:
    match node.type:
        case "paragraph" | "heading":
            return "".join(map(_inline, node.children))
        case "bullet_list" | "ordered_list":
            return _list(node)
        case "blockquote":
            return _indented(_blocks(node.children), "  ", "  ")
        case "table":
            return _table(node)
        case "hr":
            return "────────"
        case _:
            return node.content.rstrip("\n")


def _list(node: SyntaxTreeNode) -> str:
    tight = all(child.hidden for item in node.children for child in item.children if child.type == "paragraph")
    between = "\n" if tight else "\n\n"
    first = int(node.attrs.get("start", 1))
    items = []
    for number, item in enumerate(node.children, first):
        mark = f"{number}. " if node.type == "ordered_list" else "- "
        items.append(_indented(_blocks(item.children, between), mark, " " * len(mark)) or mark.rstrip())
    return between.join(items)


def _indented(text: str, first: str, others: str) -> str:
    lines = [f"{others}{line}".rstrip() for line in text.split("\n")]
    return first + lines[0][len(others) :] + "".join(f"\n{line}" for line in lines[1:]) if text else ""


def _table(node: SyntaxTreeNode) -> str:
    rows = [
        ["".join(map(_inline, cell.children)).replace("\n", " ") for cell in row.children]
        for part in node.children
        for row in part.children
    ]
    widths = [max(map(cell_len, column)) for column in zip_longest(*rows, fillvalue="")]
    padded = ([cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=False)] for row in rows)
    return "\n".join("  ".join(row).rstrip() for row in padded)


def _inline(node: SyntaxTreeNode) -> str:
    match node.type:
        case "softbreak" | "hardbreak":
            return "\n"
        case "link":
            text, address = "".join(map(_inline, node.children)), str(node.attrs.get("href", ""))
            return text if address in (text, f"mailto:{text}", f"http://{text}") else f"{text} ({address})"
        case _ if node.children:
            return "".join(map(_inline, node.children))
        case _:
            return node.content


def first_line(code: CodeText) -> str:
    """The first line of code that says something."""
    return safe_line(next((line for line in code.text.splitlines() if line.strip()), ""))
