"""How sure the model was of a token, and what else it might have said."""

from torch import Tensor

from qwenchat.chat.events import Alternative, TokenChosen
from qwenchat.engine.local.sampler import top_k
from qwenchat.engine.local.tokenizer import ChatTokenizer

LIKELIEST = 5


def weighed(turn: int, token: int, logits: Tensor, tokenizer: ChatTokenizer) -> TokenChosen:
    """`token` as drawn from `logits` [vocab] float32, those of the model itself."""
    values, ids = top_k(logits, min(LIKELIEST, logits.numel()))
    total = logits.logsumexp(0)

    def alternative(at: int, value: Tensor) -> Alternative:
        return Alternative(tokenizer.decode([at]), float((value - total).exp()))

    likeliest = tuple(alternative(int(at), value) for at, value in zip(ids, values, strict=True))
    return TokenChosen(turn, alternative(token, logits[token]), likeliest)
