"""Keeps an answer to a JSON schema: of each token's logits only those stay that can still become such JSON.

The work is llguidance's, an optional part of the installation. A thought is free; the constraint begins after it.
"""

import shlex
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from qwenchat.chat.errors import ConfigInvalid, ModelUnsupported
from qwenchat.chat.text import safe_line
from qwenchat.engine.local.tokenizer import ChatTokenizer
from qwenchat.i18n.texts import say

if TYPE_CHECKING:
    from llguidance import LLMatcher

_LAYOUT: Any = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
"""One way to set blanks: small models would go on with empty lines for ever."""


class Constraint:
    """What may come next in one reply."""

    def __init__(self, schema: str, tokenizer: ChatTokenizer, rows: int, opens: int | None, closes: int | None) -> None:
        """`rows` is the length of the logits; `opens` and `closes` are the ids around a thought, None without one.

        Raises ConfigInvalid for a schema that cannot be used, and ModelUnsupported without llguidance.
        """
        self._matcher = _matcher(schema, tokenizer, rows)
        self._ends = sorted(tokenizer.eos_ids)
        self._opens, self._closes = opens, closes
        self._thinking = self._answering = False

    def masked(self, logits: np.ndarray) -> np.ndarray:
        """`logits` [vocab], minus infinity where a token cannot come next."""
        if self._thinking:  # it must not end the turn there: an answer is to come
            masked = logits.copy()
            masked[self._ends] = -np.inf
            return masked
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        allowed = np.unpackbits(bits, bitorder="little", count=logits.size).astype(bool)
        if not self._answering and self._opens is not None:
            allowed[self._opens] = True
        return np.where(allowed, logits, np.float32(-np.inf))

    def take(self, token: int) -> None:
        """That token was drawn."""
        if self._thinking:
            self._thinking = token != self._closes
        elif not self._answering and token == self._opens:
            self._thinking = True
        else:
            self._answering = True
            self._matcher.consume_token(token)

    def begin(self, *, thinking: bool, answer: list[int]) -> None:
        """The reply has begun already, in its thought or with the ids of an answer."""
        self._thinking, self._answering = thinking, bool(answer)
        self._matcher.consume_tokens(answer)

    def end_thought(self) -> None:
        """The thought was ended in the model's place."""
        self._thinking, self._opens = False, None


def _matcher(schema: str, tokenizer: ChatTokenizer, rows: int) -> "LLMatcher":
    try:
        import llguidance  # noqa: PLC0415  (need not be installed)
    except ImportError as error:
        raise ModelUnsupported(
            say("Answers by a schema need the package llguidance."),
            say("{python} -m pip install llguidance", python=shlex.quote(sys.executable)),
        ) from error
    text: Any = tokenizer.tokenizer.to_str()
    vocabulary = llguidance.LLTokenizer(text, n_vocab=rows, eos_token=sorted(tokenizer.eos_ids))
    grammar = llguidance.LLMatcher.grammar_from_json_schema(schema, overrides=_LAYOUT)
    matcher = llguidance.LLMatcher(vocabulary, grammar, log_level=0)
    if matcher.is_error():
        reason = safe_line(matcher.get_error().splitlines()[0], 200)
        raise ConfigInvalid(say("The schema cannot be used: {reason}.", reason=reason))
    return matcher
