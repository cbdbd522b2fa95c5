"""Logits to a token: penalties, temperature, top-k, top-p, min-p, and the draw."""

from collections.abc import Sequence

import torch
from torch import Tensor

from qwenchat.chat.errors import EngineFailed
from qwenchat.chat.sampling import Sampling


def penalize(logits: Tensor, sampling: Sampling, seen: Tensor, counts: Tensor) -> Tensor:
    """Apply repetition, presence and frequency penalties.

    `logits` [vocab] float32; `seen` [vocab] bool, tokens in prompt or output; `counts` [vocab] float32, how often
    each was generated in this turn. Repetition is CTRL's (arXiv:1909.05858), the others are the OpenAI API's.
    """
    if sampling.repetition_penalty != 1.0:
        divided = torch.where(logits > 0, logits / sampling.repetition_penalty, logits * sampling.repetition_penalty)
        logits = torch.where(seen, divided, logits)
    if sampling.frequency_penalty:
        logits = logits - sampling.frequency_penalty * counts
    if sampling.presence_penalty:
        logits = logits - sampling.presence_penalty * (counts > 0)
    return logits


def candidates(logits: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor]:
    """The tokens that may be drawn, as (ids [n], probabilities [n]), likeliest first; temperature must not be 0.

    Top-k comes first, so that everything after it works on k values rather than on the whole vocabulary.
    """
    k = sampling.top_k if 0 < sampling.top_k < logits.numel() else logits.numel()
    values, ids = logits.topk(k)
    probabilities = torch.softmax(values / sampling.temperature, dim=-1)
    keep = probabilities >= sampling.min_p * probabilities[0]
    keep &= probabilities.cumsum(-1) - probabilities < sampling.top_p
    keep[0] = True
    probabilities = probabilities * keep
    return ids, probabilities / probabilities.sum()


class Sampler:
    """Draws the tokens of one turn."""

    def __init__(self, sampling: Sampling, prompt: Sequence[int], vocab_size: int, device: torch.device | str) -> None:
        self._sampling = sampling
        self._counts = torch.zeros(vocab_size, device=device)
        self._seen = torch.zeros(vocab_size, dtype=torch.bool, device=device)
        self._seen[torch.tensor(sorted(set(prompt)), dtype=torch.long, device=device)] = True
        self._random = torch.Generator(device=device)
        if sampling.seed is None:
            self._random.seed()
        else:
            self._random.manual_seed(sampling.seed)

    def draw(self, logits: Tensor) -> int:
        """The next token for `logits` [vocab] float32, remembered for the penalties; EngineFailed if they are NaN."""
        logits = penalize(logits, self._sampling, self._seen, self._counts)
        if self._sampling.temperature == 0:
            token = int(logits.argmax())
            if torch.isnan(logits[token]):
                raise _nan()
        else:
            ids, probabilities = candidates(logits, self._sampling)
            if torch.isnan(probabilities[0]):
                raise _nan()
            token = int(ids[torch.multinomial(probabilities, 1, generator=self._random)])
        self._counts[token] += 1
        self._seen[token] = True
        return token


def _nan() -> EngineFailed:
    return EngineFailed("The model produced invalid numbers (NaN).", "Its weights may be damaged; try another model.")
