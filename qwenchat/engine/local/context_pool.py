"""Recent sequences of a model, so that going back to a conversation need not read it again."""

from collections.abc import Sequence
from typing import Any

from qwenchat.engine.local.context import SequenceContext
from qwenchat.engine.local.network import Network

MOST = 3
"""Sequences kept at most."""


class ContextPool:
    """The sequences, latest used first; all of one model and window."""

    def __init__(self, network: Network[Any], window: int, budget_bytes: int) -> None:
        """`budget_bytes` is what the caches of all but the latest may take together."""
        self.window = window
        self._network = network
        self._budget = budget_bytes
        self._held: list[SequenceContext] = []

    def nearest(self, prompt: Sequence[int]) -> SequenceContext:
        """The sequence that shares most of `prompt`, or a fresh one rather than one that would lose most it holds."""
        found = max(self._held, key=lambda held: held.common(prompt), default=None)
        if found is None or (found.ids and found.common(prompt) < len(found.ids) / 2):
            found = self._fresh()
        if found in self._held:
            self._held.remove(found)
        self._held.insert(0, found)
        return found

    def forget(self) -> None:
        """Give up all sequences: what a turn that failed has left in them cannot be trusted."""
        self._held.clear()

    def _fresh(self) -> SequenceContext:
        """A new sequence, for which the oldest ones make room."""
        while len(self._held) >= MOST or sum(held.nbytes for held in self._held) > self._budget:
            self._held.pop()
        return SequenceContext(self._network, self.window)
