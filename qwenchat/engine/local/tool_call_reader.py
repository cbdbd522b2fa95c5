"""Calls of tools in a reply, found in its text by the tokens around them."""

from qwenchat.chat.calls import call_of
from qwenchat.chat.messages import ToolCallPart
from qwenchat.engine.local.prompt import CALL_END_TAG, CALL_TAG
from qwenchat.engine.local.tokenizer import ChatTokenizer


class CallReader:
    """Takes the tokens between `<tool_call>` and `</tool_call>`; without tools it takes none."""

    def __init__(self, tokenizer: ChatTokenizer, *, tools: bool) -> None:
        self._tokenizer = tokenizer
        self._opens, self._closes = (tokenizer.token_id(tag) if tools else None for tag in (CALL_TAG, CALL_END_TAG))
        self._ids: list[int] | None = None
        """The tokens of the call that is being written; None outside of calls."""
        self.made = False
        """Whether there was a call."""

    def begins(self, token: int) -> bool:
        """Whether a call begins with this token."""
        return self._opens is not None and self._ids is None and token == self._opens

    @property
    def inside(self) -> bool:
        """Whether a call is being written."""
        return self._ids is not None

    def begin(self) -> None:
        """What comes now belongs to a call."""
        self._ids = []

    def take(self, token: int) -> ToolCallPart | None:
        """Take in a token of the call; with its last one, the call."""
        if self._ids is None or token == self._closes:
            return self.end()
        self._ids.append(token)
        return None

    def end(self) -> ToolCallPart | None:
        """The call as far as it is written, when the model ends its turn without closing it; None outside of calls."""
        if self._ids is None:
            return None
        text, self._ids, self.made = self._tokenizer.decode(self._ids), None, True
        return call_of(text)
