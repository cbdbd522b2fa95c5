"""Logits to a token: penalties, temperature, top-k, top-p, min-p, and the draw."""

from collections.abc import Sequence

import numpy as np

from qwenchat.chat.errors import EngineFailed
from qwenchat.chat.sampling import Sampling
from qwenchat.engine.local.noise import Noise
from qwenchat.i18n.texts import say

BLOCK = 128
"""Logits that are looked at together to find the largest."""


def penalize(logits: np.ndarray, sampling: Sampling, seen: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Apply repetition, presence and frequency penalties; returns other logits and leaves these as they are.

    `logits` [vocab] float32; `seen` [n] int64, the tokens in prompt or output, each once; `counts` [n] float32, how
    often each was generated in this turn. Repetition is CTRL's (arXiv:1909.05858), the others are the OpenAI API's.
    """
    s, values = sampling, logits[seen]
    values = np.where(values > 0, values / s.repetition_penalty, values * s.repetition_penalty)
    changed = logits.copy()
    changed[seen] = values - s.frequency_penalty * counts - s.presence_penalty * (counts > 0)
    return changed


def top_k(logits: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k largest logits, largest first, as (values [k], ids [k]).

    They lie in the k blocks with the largest maxima, so that only these need be sorted.
    """
    if logits.size % BLOCK or 4 * k * BLOCK > logits.size:
        ids = _largest(logits, k)
        return logits[ids], ids
    blocks = logits.reshape(-1, BLOCK)
    best = _largest(blocks.max(1), k)
    values = blocks[best].reshape(-1)
    at = _largest(values, k)
    return values[at], best[at // BLOCK] * BLOCK + at % BLOCK


def _largest(values: np.ndarray, k: int) -> np.ndarray:
    """Where the k largest are, largest first."""
    if k >= values.size:
        return np.argsort(-values)
    if k == 1:
        return np.array([values.argmax()])
    found = np.argpartition(values, -k)[-k:]
    return found[np.argsort(-values[found])]


def candidates(logits: np.ndarray, sampling: Sampling) -> tuple[np.ndarray, np.ndarray]:
    """The tokens that may be drawn, as (ids [n], probabilities [n]), likeliest first; temperature must not be 0.

    Top-k comes first, so that everything after it works on k values rather than on the whole vocabulary.
    """
    values, ids = top_k(logits, width(sampling, logits.size))
    scaled = values / sampling.temperature
    shares = np.exp(scaled - scaled.max())
    shares /= shares.sum()
    keep = shares >= sampling.min_p * shares[0]
    keep &= np.cumsum(shares, dtype=np.float64) - shares < sampling.top_p
    keep[:1] = True
    shares *= keep
    return ids, shares / shares.sum()


def width(sampling: Sampling, vocab: int) -> int:
    """How many tokens top-k keeps; 1 for greedy."""
    if sampling.temperature == 0:
        return 1
    return sampling.top_k if 0 < sampling.top_k < vocab else vocab


class Sampler:
    """Draws the tokens of one turn."""

    def __init__(self, sampling: Sampling, prompt: Sequence[int], output: Sequence[int] = ()) -> None:
        """`output` is the part of the reply that is there already."""
        self.sampling = sampling
        self._noise = Noise(sampling.seed)
        s = sampling
        self.penalizes = (s.repetition_penalty, s.presence_penalty, s.frequency_penalty) != (1, 0, 0)
        """Whether it matters which tokens were seen."""
        distinct = sorted(set(prompt))
        self._places = {token: at for at, token in enumerate(distinct)}
        """Where in `_seen` a token stands."""
        self._seen = np.array(distinct, np.int64)
        self._counts = np.zeros(len(distinct), np.float32)
        for token in output if self.penalizes else ():
            self._remember(token)

    @property
    def seen(self) -> tuple[np.ndarray, np.ndarray]:
        """The tokens in prompt or output so far, each once, and how often each was generated in this turn."""
        known = len(self._places)
        return self._seen[:known], self._counts[:known]

    def draw(self, logits: np.ndarray) -> int:
        """The next token for `logits` [vocab] float32, remembered for the penalties; EngineFailed if they are NaN."""
        with np.errstate(all="ignore"):
            if self.penalizes:
                logits = penalize(logits, self.sampling, *self.seen)
            if self.sampling.temperature == 0:
                token = int(logits.argmax())
                invalid = np.isnan(logits[token])
            else:
                ids, shares = candidates(logits, self.sampling)
                # The token whose time comes first, where times have the probabilities for rates: no sum is needed.
                token = int(ids[(shares / self._noise.exponential(shares.size)).argmax()])
                invalid = np.isnan(shares[0])
        if invalid:
            raise invalid_numbers()
        if self.penalizes:
            self._remember(token)
        return token

    def _remember(self, token: int) -> None:
        at = self._places.setdefault(token, len(self._places))
        if at == self._seen.size:
            self._seen, self._counts = (
                np.concatenate([array, np.zeros(array.size + 16, array.dtype)]) for array in (self._seen, self._counts)
            )
        self._seen[at] = token
        self._counts[at] += 1


def invalid_numbers() -> EngineFailed:
    """The error for logits that are NaN."""
    return EngineFailed(
        say("The model produced invalid numbers (NaN)."), say("Its weights may be damaged; try another model.")
    )
