"""Endless repetition: a passage that comes again and again, with nothing between."""

from collections.abc import Callable

import numpy as np

LONGEST_SPAN = 1024
"""The longest passage, in tokens, whose repetition is noticed."""
TIMES = 5
"""How often a passage must come in immediate succession."""
WORDS = 512
"""How many tokens a repeated passage of words must fill with all its repetitions."""
FIGURES = 2048
"""The same for passages of other than words: rows of zeros, rules and markup, which repeat in good texts too."""
MOSTLY = 0.6
"""The share of tokens with letters from which a passage is one of words."""


class RepetitionGuard:
    """Watches the tokens of one reply.

    For each span up to `LONGEST_SPAN` it counts how many of the latest tokens equal those so far back, so that one more
    token costs a few operations on short arrays, however long the reply is. Passages must be equal to the token:
    lists, tables, code and numbers that are counted up differ from one line to the next.
    """

    def __init__(self, spell: Callable[[int], str]) -> None:
        """`spell` gives the text of a token."""
        self._spell = spell
        self._has_letters: dict[int, bool] = {}
        self._at = LONGEST_SPAN
        self._tokens = np.full(4 * LONGEST_SPAN, -1, dtype=np.int32)
        """The latest tokens; those before `_at` are in use."""
        self._words = np.zeros(4 * LONGEST_SPAN + 1, dtype=np.int32)
        """How many tokens with letters came before each of them."""
        self._spans = np.arange(LONGEST_SPAN, 0, -1, dtype=np.int32)
        self._runs = np.zeros(LONGEST_SPAN, dtype=np.int32)
        """For each span, how many of the latest tokens equal the one that many back."""
        again = (TIMES - 1) * self._spans
        self._enough_words = np.maximum(again, WORDS - self._spans)
        self._enough_figures = np.maximum(again, FIGURES - self._spans)

    def add(self, token: int) -> bool:
        """Take in the next token and say whether the reply now does nothing but repeat itself."""
        if self._at == len(self._tokens):
            self._move()
        at, start = self._at, self._at - LONGEST_SPAN
        self._runs += 1
        self._runs *= self._tokens[start:at] == token
        self._tokens[at] = token
        self._words[at + 1] = self._words[at] + self._spelled_with_letters(token)
        self._at = at + 1
        found = self._runs >= self._enough_words
        if not found.any():
            return False
        words = self._words[at + 1] - self._words[start + 1 : at + 1]
        return bool((found & ((words >= MOSTLY * self._spans) | (self._runs >= self._enough_figures))).any())

    def _spelled_with_letters(self, token: int) -> bool:
        """Whether the token is part of a word; a part of a character counts as a letter."""
        known = self._has_letters.get(token)
        if known is None:
            text = self._spell(token)
            known = any(character.isalpha() or character == "\N{REPLACEMENT CHARACTER}" for character in text)
            self._has_letters[token] = known
        return known

    def _move(self) -> None:
        """Bring the tokens that still count to the beginning."""
        self._tokens[:LONGEST_SPAN] = self._tokens[-LONGEST_SPAN:]
        self._words[: LONGEST_SPAN + 1] = self._words[-LONGEST_SPAN - 1 :] - self._words[-LONGEST_SPAN - 1]
        self._at = LONGEST_SPAN
