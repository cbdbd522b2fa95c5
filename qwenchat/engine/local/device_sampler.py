"""The draw of one token as work on the device alone, whose sizes and places in memory never change."""

import torch
from torch import Tensor

from qwenchat.engine.local.sampler import BLOCK, Sampler, width

INVALID = -1
"""Takes the place of a token where the logits are NaN."""


class DeviceSampler:
    """Does what `Sampler.draw` does, to the same result, without the host knowing the token."""

    def __init__(self, vocab: int, device: torch.device) -> None:
        self.logits = torch.zeros(vocab, device=device)
        """[vocab] float32, what the token is drawn from."""
        self.token = torch.zeros(1, dtype=torch.long, device=device)
        """The latest token, or INVALID."""
        self._prompt = torch.zeros(vocab, dtype=torch.bool, device=device)
        """Which tokens the repetition penalty knows from the beginning."""
        self._counts = torch.zeros(vocab, device=device)
        """How often each was generated in this turn."""
        self._settings = torch.zeros(6, device=device)
        self._noise = torch.ones(vocab, device=device)
        self._one = torch.ones(1, device=device)
        self._sampler: Sampler | None = None
        self._random = torch.Generator(device=device)
        self._before = torch.empty(0)
        """The state of `_random` before the latest draw."""

    @property
    def readable(self) -> Tensor:
        """The latest token [1] as one that the model can read; an invalid one may be read before it is noticed."""
        return self.token.clamp(min=0)

    @property
    def form(self) -> tuple[int, bool]:
        """What the work depends on: how many tokens are drawn among, and whether those that were seen matter."""
        sampler = self._require()
        return width(sampler.sampling, len(self.logits)), sampler.penalizes

    def take_up(self, sampler: Sampler) -> None:
        """Draw for `sampler` from now on, and go on where it stands if that is new."""
        if sampler is self._sampler:
            return
        self._sampler = sampler
        s = sampler.sampling
        if s.seed is None:
            self._random.seed()
        else:
            self._random.manual_seed(s.seed)
        settings = (s.repetition_penalty, s.presence_penalty, s.frequency_penalty, s.temperature, s.top_p, s.min_p)
        self._settings.copy_(torch.tensor(settings))
        ids, counts = (torch.from_numpy(part).to(self.logits.device) for part in sampler.seen)
        self._prompt.zero_().index_fill_(0, ids, value=True)
        self._counts.zero_().index_copy_(0, ids, counts)

    def roll(self) -> None:
        """Make the chance for the next `run`; never recorded, since a recording would repeat it."""
        self._before = self._random.get_state()
        self._noise[: self.form[0]].exponential_(generator=self._random)

    def run(self, width: int, penalizes: bool) -> None:
        """Draw `token` from `logits`, in the form of `form`."""
        logits = self._penalized() if penalizes else self.logits
        if width == 1:
            token = logits.argmax(0, keepdim=True)
            weight = logits.gather(0, token)
        else:
            values, ids = _top_k(logits, width)
            probabilities = _shares(values, *self._settings[3:].unbind())
            token = ids.gather(0, (probabilities / self._noise[:width]).argmax(0, keepdim=True))
            weight = probabilities[:1]
        self.token.copy_(token.masked_fill_(weight.isnan(), INVALID))
        if penalizes:
            self._counts.index_add_(0, self.readable, self._one)

    def take_back(self) -> None:
        """Undo the latest draw: its token was never seen by anybody."""
        sampler = self._require()
        self._random.set_state(self._before)
        if sampler.penalizes:
            self._counts.index_add_(0, self.readable, self._one, alpha=-1)

    def _penalized(self) -> Tensor:
        repetition, presence, frequency = self._settings[:3].unbind()
        weighed = torch.where(self.logits > 0, self.logits / repetition, self.logits * repetition)
        weighed = weighed - frequency * self._counts - presence * (self._counts > 0)
        return torch.where(self._prompt | (self._counts > 0), weighed, self.logits)

    def _require(self) -> Sampler:
        if self._sampler is None:
            raise RuntimeError("there is no sampler to draw for")
        return self._sampler


def _top_k(logits: Tensor, k: int) -> tuple[Tensor, Tensor]:
    if logits.numel() % BLOCK or 4 * k * BLOCK > logits.numel():
        values, ids = logits.topk(k)
        return values, ids
    blocks = logits.view(-1, BLOCK)
    best = blocks.amax(-1).topk(k).indices
    values, at = blocks[best].view(-1).topk(k)
    return values, best[at // BLOCK] * BLOCK + at % BLOCK


def _shares(values: Tensor, temperature: Tensor, top_p: Tensor, min_p: Tensor) -> Tensor:
    probabilities = torch.softmax(values / temperature, dim=-1)
    keep = probabilities >= min_p * probabilities[0]
    keep &= probabilities.cumsum(-1) - probabilities < top_p
    keep[:1].fill_(value=True)
    probabilities = probabilities * keep
    return probabilities / probabilities.sum()
