"""Reads messages from standard input: line by line, with continued lines and blocks put together."""

import sys

from qwenchat.chat.text import decode_input
from qwenchat.console.notice import notify
from qwenchat.i18n.texts import say
from qwenchat.plain.editor import Editor

BLOCK = '"""'
"""Begins and ends a message of several lines."""
CUT_AT = 4_096
"""Bytes of a line, with its end, after which a terminal drops what is typed where there is no line editing."""


class Lines:
    """The messages of standard input. At a terminal they are asked for, and edited by `editor` where there is one."""

    def __init__(self, editor: Editor | None) -> None:
        self.asking = sys.stdin.isatty()
        """Whether somebody types."""
        self._editor = editor

    def read(self) -> str | None:
        """The next message; None at the end of the input. Raises KeyboardInterrupt."""
        lines: list[str] = []
        in_block = False
        while (line := self._line(say("More:") if lines else say("You:"))) is not None:
            if not lines and line.lstrip().startswith(BLOCK):
                in_block, line = True, line.lstrip().removeprefix(BLOCK)
            if in_block and line.rstrip().endswith(BLOCK):
                return "\n".join((*lines, line.rstrip().removesuffix(BLOCK))).strip("\n")
            if not in_block and not line.endswith("\\"):
                return "\n".join((*lines, line))
            lines.append(line if in_block else line[:-1])
        return "\n".join(lines) if lines else None

    def _line(self, prompt: str) -> str | None:
        """The next line, which holds several where these were pasted; None at the end of the input."""
        if self._editor is not None:
            data = self._editor.read(f"{prompt} ")
            return None if data is None else _decoded(data)
        if self.asking:
            print(prompt, end=" ", flush=True)
        data = sys.stdin.buffer.readline()
        if not data:
            return None
        line = _decoded(data).rstrip("\r\n")
        if self.asking and len(data) >= CUT_AT:
            notify(
                say("The terminal takes {number:,} bytes a line and dropped the rest. Go on here.", number=CUT_AT - 1)
            )
            line += self._line(say("More:")) or ""
        return line


def _decoded(data: bytes) -> str:
    line, replaced = decode_input(data)
    if replaced:
        notify(say("What was not valid text was replaced."))
    return line
