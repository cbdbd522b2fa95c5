"""Logits to a token: penalties, temperature, top-k, top-p, min-p, and the draw."""

from collections.abc import Sequence

import torch
from torch import Tensor

from qwenchat.chat.errors import EngineFailed
from qwenchat.chat.sampling import Sampling
from qwenchat.i18n.texts import say

BLOCK = 128
"""Logits that are looked at together to find the largest."""


def penalize(logits: Tensor, sampling: Sampling, seen: Tensor, counts: Tensor) -> Tensor:
    """Apply repetition, presence and frequency penalties; returns other logits and leaves these as they are.

    `logits` [vocab] float32; `seen` [n] int64, the tokens in prompt or output, each once; `counts` [n] float32, how
    often each was generated in this turn.
    """
    s = sampling
    values = penalized(logits[seen], counts, s.repetition_penalty, s.presence_penalty, s.frequency_penalty)
    return logits.index_put((seen,), values)


def penalized(
    values: Tensor, counts: Tensor, repetition: float | Tensor, presence: float | Tensor, frequency: float | Tensor
) -> Tensor:
    """The logits [n] of tokens that were seen, `counts` [n] times each in this turn, with the penalties.

    Repetition is CTRL's (arXiv:1909.05858), the others are the OpenAI API's. A penalty of 1, 0 and 0 changes nothing.
    """
    values = torch.where(values > 0, values / repetition, values * repetition)
    return values - frequency * counts - presence * (counts > 0)


def top_k(logits: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest logits, largest first, as (values [k], ids [k]).

    They lie in the k blocks with the largest maxima, so that only these need be sorted.
    """
    if logits.numel() % BLOCK or 4 * k * BLOCK > logits.numel():
        values, ids = logits.topk(k)
        return values, ids
    blocks = logits.view(-1, BLOCK)
    best = blocks.amax(-1).topk(k).indices
    values, at = blocks[best].view(-1).topk(k)
    return values, best[at // BLOCK] * BLOCK + at % BLOCK


def candidates(logits: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor]:
    """The tokens that may be drawn, as (ids [n], probabilities [n]), likeliest first; temperature must not be 0.

    Top-k comes first, so that everything after it works on k values rather than on the whole vocabulary.
    """
    values, ids = top_k(logits, width(sampling, logits.numel()))
    return ids, shares(values, sampling.temperature, sampling.top_p, sampling.min_p)


def width(sampling: Sampling, vocab: int) -> int:
    """How many tokens top-k keeps; 1 for greedy."""
    if sampling.temperature == 0:
        return 1
    return sampling.top_k if 0 < sampling.top_k < vocab else vocab


def shares(values: Tensor, temperature: float | Tensor, top_p: float | Tensor, min_p: float | Tensor) -> Tensor:
    """The probabilities [n] with which tokens are drawn whose logits are `values` [n], largest first."""
    probabilities = torch.softmax(values / temperature, dim=-1)
    keep = probabilities >= min_p * probabilities[0]
    keep &= probabilities.cumsum(-1) - probabilities < top_p
    keep[:1].fill_(value=True)
    probabilities = probabilities * keep
    return probabilities / probabilities.sum()


def choice(ids: Tensor, probabilities: Tensor, noise: Tensor) -> Tensor:
    """One of `ids` [n] as [1], drawn with `probabilities` [n]; `noise` [n] is exponentially distributed.

    The token whose time comes first, where times have the probabilities for rates: no sum, and nothing to wait for.
    """
    return ids.gather(0, (probabilities / noise).argmax(0, keepdim=True))


class Sampler:
    """Draws the tokens of one turn."""

    def __init__(
        self, sampling: Sampling, prompt: Sequence[int], device: torch.device | str, output: Sequence[int] = ()
    ) -> None:
        """`output` is the part of the reply that is there already."""
        self.sampling = sampling
        self.random = torch.Generator(device=device)
        """Where the chance of all draws comes from."""
        s = sampling
        self.penalizes = (s.repetition_penalty, s.presence_penalty, s.frequency_penalty) != (1, 0, 0)
        """Whether it matters which tokens were seen."""
        distinct = sorted(set(prompt))
        self._places = {token: at for at, token in enumerate(distinct)}
        """Where in `_seen` a token stands."""
        self._seen = torch.tensor(distinct, dtype=torch.long, device=device)
        self._counts = torch.zeros(len(distinct), device=device)
        if sampling.seed is None:
            self.random.seed()
        else:
            self.random.manual_seed(sampling.seed)
        for token in output if self.penalizes else ():
            self._remember(token)

    @property
    def seen(self) -> tuple[Tensor, Tensor]:
        """The tokens in prompt or output so far, each once, and how often each was generated in this turn."""
        known = len(self._places)
        return self._seen[:known], self._counts[:known]

    def draw(self, logits: Tensor) -> int:
        """The next token for `logits` [vocab] float32, remembered for the penalties; EngineFailed if they are NaN."""
        if self.penalizes:
            logits = penalize(logits, self.sampling, *self.seen)
        if self.sampling.temperature == 0:
            token = int(logits.argmax())
            invalid = logits[token].isnan()
        else:
            ids, probabilities = candidates(logits, self.sampling)
            noise = torch.empty_like(probabilities).exponential_(generator=self.random)
            token = int(choice(ids, probabilities, noise))
            invalid = probabilities[0].isnan()
        if invalid:
            raise invalid_numbers()
        if self.penalizes:
            self._remember(token)
        return token

    def _remember(self, token: int) -> None:
        at = self._places.setdefault(token, len(self._places))
        if at == len(self._seen):
            self._seen = torch.cat([self._seen, torch.zeros_like(self._seen), self._seen.new_zeros(16)])
            self._counts = torch.cat([self._counts, torch.zeros_like(self._counts), self._counts.new_zeros(16)])
        self._seen[at] = token
        self._counts[at] += 1


def invalid_numbers() -> EngineFailed:
    """The error for logits that are NaN."""
    return EngineFailed(
        say("The model produced invalid numbers (NaN)."), say("Its weights may be damaged; try another model.")
    )
