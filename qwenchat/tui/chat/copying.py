"""What is copied out of a message: all of it, its words alone, or a block of its code."""

import time
from collections.abc import Callable

from qwenchat.chat.errors import MessageNotFound
from qwenchat.chat.messages import Message
from qwenchat.i18n.texts import say
from qwenchat.tui.chat.context import ChatContext
from qwenchat.tui.markdown.plain_text import code_in, plain
from qwenchat.tui.screens.code_blocks import CodeBlocksScreen
from qwenchat.tui.screens.message_menu import MessageMenu

AGAIN_WITHIN_S = 4.0


class Copying:
    """Copies parts of messages."""

    def __init__(self, context: ChatContext, clock: Callable[[], float] = time.monotonic) -> None:
        self._copy, self._notify_user, self._push = context.copy, context.notify_user, context.push
        self._clock = clock
        self._copied: tuple[str, float] = ("", 0.0)
        """The message whose only block of code was copied last, and when."""

    def written(self, message: Message) -> None:
        """Copy a message as it was written."""
        self._copy(message.text)

    def plain(self, message: Message) -> None:
        """Copy a message without the marks of Markdown."""
        self._copy(plain(message.text))

    def code(self, message: Message) -> None:
        """Copy the only block of code of a message; show them all where there are more, or when asked again."""
        blocks = code_in(message.text)
        if not blocks:
            raise MessageNotFound(say("There is no code in this message."), "")
        copied, at = self._copied
        if len(blocks) == 1 and not (copied == message.id and self._clock() - at < AGAIN_WITHIN_S):
            self._copied = (message.id, self._clock())
            self._copy(blocks[0].text)
            self._notify_user(say("K again saves the code in a file."))
            return
        self._copied = ("", 0.0)
        self._push(CodeBlocksScreen(blocks), lambda block: self._copy(block.text) if block is not None else None)

    def menu(self, act: Callable[[str], None], impossible: frozenset[str]) -> None:
        """Show what can be done with a message, all but what is `impossible`, and do what is chosen."""
        self._push(MessageMenu(impossible), lambda name: act(name) if name is not None else None)
