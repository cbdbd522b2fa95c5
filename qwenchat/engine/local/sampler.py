"""Logits to a token: penalties, temperature, top-k, top-p, min-p, and the draw."""

from collections.abc import Sequence

import torch
from torch import Tensor

from qwenchat.chat.errors import EngineFailed
from qwenchat.chat.sampling import Sampling

BLOCK = 128
"""Logits that are looked at together to find the largest."""


def penalize(logits: Tensor, sampling: Sampling, seen: Tensor, counts: Tensor) -> Tensor:
    """Apply repetition, presence and frequency penalties; returns other logits and leaves these as they are.

    `logits` [vocab] float32; `seen` [n] int64, the tokens in prompt or output, each once; `counts` [n] float32, how
    often each was generated in this turn. Repetition is CTRL's (arXiv:1909.05858), the others are the OpenAI API's.
    """
    values = logits[seen]
    if sampling.repetition_penalty != 1.0:
        penalty = sampling.repetition_penalty
        values = torch.where(values > 0, values / penalty, values * penalty)
    values = values - sampling.frequency_penalty * counts - sampling.presence_penalty * (counts > 0)
    return logits.index_put((seen,), values)


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
    k = sampling.top_k if 0 < sampling.top_k < logits.numel() else logits.numel()
    values, ids = top_k(logits, k)
    probabilities = torch.softmax(values / sampling.temperature, dim=-1)
    keep = probabilities >= sampling.min_p * probabilities[0]
    keep &= probabilities.cumsum(-1) - probabilities < sampling.top_p
    keep[0] = True
    probabilities = probabilities * keep
    return ids, probabilities / probabilities.sum()


class Sampler:
    """Draws the tokens of one turn."""

    def __init__(
        self, sampling: Sampling, prompt: Sequence[int], device: torch.device | str, output: Sequence[int] = ()
    ) -> None:
        """`output` is the part of the reply that is there already."""
        self._sampling = sampling
        self._penalizes = sampling.repetition_penalty != 1 or sampling.presence_penalty or sampling.frequency_penalty
        distinct = sorted(set(prompt))
        self._places = {token: at for at, token in enumerate(distinct)}
        """Where in `_seen` a token stands."""
        self._seen = torch.tensor(distinct, dtype=torch.long, device=device)
        self._counts = torch.zeros(len(distinct), device=device)
        self._random = torch.Generator(device=device)
        if sampling.seed is None:
            self._random.seed()
        else:
            self._random.manual_seed(sampling.seed)
        for token in output if self._penalizes else ():
            self._remember(token)

    def draw(self, logits: Tensor) -> int:
        """The next token for `logits` [vocab] float32, remembered for the penalties; EngineFailed if they are NaN."""
        if self._penalizes:
            known = len(self._places)
            logits = penalize(logits, self._sampling, self._seen[:known], self._counts[:known])
        if self._sampling.temperature == 0:
            token = int(logits.argmax())
            if torch.isnan(logits[token]):
                raise _nan()
        else:
            ids, probabilities = candidates(logits, self._sampling)
            if torch.isnan(probabilities[0]):
                raise _nan()
            token = int(ids[torch.multinomial(probabilities, 1, generator=self._random)])
        if self._penalizes:
            self._remember(token)
        return token

    def _remember(self, token: int) -> None:
        at = self._places.setdefault(token, len(self._places))
        if at == len(self._seen):
            self._seen = torch.cat([self._seen, torch.zeros_like(self._seen), self._seen.new_zeros(16)])
            self._counts = torch.cat([self._counts, torch.zeros_like(self._counts), self._counts.new_zeros(16)])
        self._seen[at] = token
        self._counts[at] += 1


def _nan() -> EngineFailed:
    return EngineFailed("The model produced invalid numbers (NaN).", "Its weights may be damaged; try another model.")
