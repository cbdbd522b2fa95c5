"""How sure the model is of each token of a reply that is there, and what else it might have said."""

import time
from collections.abc import Iterator

import numpy as np

from qwenchat.chat.engine_commands import ScoreReply
from qwenchat.chat.errors import PromptTooLong
from qwenchat.chat.events import Channel, ScoredToken, TokenAlternative, TokensScored
from qwenchat.chat.provenance import ThinkingSupport
from qwenchat.chat.splitter import CLOSE_TAG, OPEN_TAG
from qwenchat.engine.base import Stopped, StopSignal
from qwenchat.engine.local.context_pool import ContextPool
from qwenchat.engine.local.detokenize import INCOMPLETE, Detokenizer
from qwenchat.engine.local.generate import prefill
from qwenchat.engine.local.prompt import ChatTemplate, RenderedPrompt
from qwenchat.engine.local.sampler import top_k
from qwenchat.engine.local.tokenizer import ChatTokenizer

LIKELIEST = 5
REPORT_S = 0.1
"""Seconds between two words on how far it is."""


class TokenScorer:
    """Reads a reply once more, token by token, and looks at what the model would have said there."""

    def __init__(
        self, contexts: ContextPool, template: ChatTemplate, tokenizer: ChatTokenizer, command: ScoreReply, reserve: int
    ) -> None:
        """`reserve` is how many tokens of the window were kept free for the reply when it was made."""
        self._contexts, self._template, self._tokenizer = contexts, template, tokenizer
        self._command, self._reserve = command, reserve
        self._detokenizer = Detokenizer(tokenizer)
        thinks = template.thinking is not ThinkingSupport.NONE
        self._opens, self._closes = (tokenizer.token_id(tag) if thinks else None for tag in (OPEN_TAG, CLOSE_TAG))
        self._before: int | None = None
        """The token before the one that is looked at."""

    def run(self, stop: StopSignal) -> Iterator[TokensScored]:
        """The tokens of the reply, a few at a time. Raises PromptTooLong, and Stopped between two tokens."""
        number = self._command.number
        ids, prompt = self._reply_and_prompt()
        context = self._contexts.nearest(prompt.ids)
        yield TokensScored(number, (), len(ids))
        for _ in prefill(context, prompt.ids[context.rewind(prompt.ids) :], stop):
            pass
        scored: list[ScoredToken] = []
        channel = Channel.THOUGHT if prompt.opens_thought else Channel.ANSWER
        reported_at = time.perf_counter()
        for at, token in enumerate(ids):
            if stop.is_set():
                raise Stopped
            if token in (self._opens, self._closes):
                channel = Channel.THOUGHT if token == self._opens else Channel.ANSWER
            scored.append(self._scored(token, channel, context.logits))
            if at + 1 < len(ids):
                context.read([token], stop)
            if time.perf_counter() - reported_at >= REPORT_S:
                yield TokensScored(number, tuple(scored), len(ids))
                scored, reported_at = [], time.perf_counter()
        yield TokensScored(number, tuple(scored), len(ids))

    def _reply_and_prompt(self) -> tuple[list[int], RenderedPrompt]:
        command, window = self._command, self._contexts.window
        ends = [at] if command.ended and (at := self._end()) is not None else []
        ids = self._template.encode_begun(command.reply, opened=False) + ends
        reserve = max(self._reserve, len(ids))
        if reserve >= window:
            raise PromptTooLong(len(ids), window)
        prompt = self._template.fitted(command.messages, bool(command.reply.thought), window, reserve, command.tools)
        if prompt.opens_thought:
            ids = self._template.encode_begun(command.reply, opened=True) + ends
        return ids, prompt

    def _end(self) -> int | None:
        """The token that ends a turn."""
        named = self._tokenizer.token_id(self._tokenizer.eos_token)
        return named if named in self._tokenizer.eos_ids else min(self._tokenizer.eos_ids, default=None)

    def _scored(self, token: int, channel: Channel, logits: np.ndarray) -> ScoredToken:
        """`token` as it might have been drawn from `logits` [vocab] float32, those of the model itself."""
        values, ids = top_k(logits, min(LIKELIEST, logits.size))
        top = logits.max()
        total = top + np.log(np.exp(logits - top).sum())
        shares = np.exp(values - total).tolist()
        likeliest = tuple(self._alternative(at, share) for at, share in zip(ids.tolist(), shares, strict=True))
        control = self._tokenizer.is_control(token)
        if control:
            self._detokenizer.flush()
            text = self._tokenizer.decode([token])
        else:
            text = self._detokenizer.feed(token)
        chosen = self._alternative(token, float(np.exp(logits[token] - total)))
        self._before = token
        return ScoredToken(text, channel, control, chosen, likeliest)

    def _alternative(self, token: int, probability: float) -> TokenAlternative:
        """A token as it would read after the one before it; empty for a part of a character."""
        text = self._tokenizer.decode([token])
        if self._before is not None:
            before, both = (self._tokenizer.decode(ids) for ids in ([self._before], [self._before, token]))
            text = both[len(before) :] if both.startswith(before) else text
        return TokenAlternative("" if INCOMPLETE in text else text, probability, self._tokenizer.is_control(token))
