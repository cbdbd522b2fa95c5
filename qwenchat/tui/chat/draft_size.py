"""How much of the context what is being written takes, in words for its writer."""

from qwenchat.i18n.texts import count, say
from qwenchat.session.session import Session

_ASCII_PER_TOKEN = 4.0
_OTHER_PER_TOKEN = 1.5
"""Characters of a token, as long as no draft was counted."""
_HOPELESS = 8
"""How many times the context a guess has to be for a message not to be counted any more."""
_DOUBTFUL = 0.4
"""The share of what fits, from which on a draft is counted before it is sent."""


class DraftSize:
    """What a draft weighs: exactly once the model's thread has counted it, else as near as the last count allows."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._said: tuple[tuple[object, ...], str] = ((), "")
        """What was said last, and of what."""

    def tokens(self, text: str) -> int:
        """About how many tokens a text has."""
        ascii_ = len(text) if text.isascii() else len(text.encode("ascii", "ignore"))
        guess = ascii_ / _ASCII_PER_TOKEN + (len(text) - ascii_) / _OTHER_PER_TOKEN
        if (last := self._session.read_ahead.latest_size) is not None and last[1].tokens > 20:
            return round(len(text) * last[1].tokens / len(last[0]))
        return max(1, round(guess))

    def is_doubtful(self, text: str) -> bool:
        """Whether a text may not fit, as far as is known, so that it is to be counted first."""
        window = self._window
        return (
            bool(window) and self._session.read_ahead.size_of(text) is None and self.tokens(text) > _DOUBTFUL * window
        )

    def too_long(self, text: str) -> str:
        """Why a text cannot be sent; empty when it can, as far as is known."""
        counted, window = self._session.read_ahead.size_of(text), self._window
        if counted is None and window and self.tokens(text) > _HOPELESS * window:
            return say(
                "This message has about {tokens} tokens; the context has {window}. It was not sent; the draft is kept.",
                tokens=f"{self.tokens(text):,}", window=f"{window:,}",
            )  # fmt: skip
        if counted is None or counted.fits:
            return ""
        return say(
            "This message has {tokens} tokens; {limit} fit. It was not sent; the draft is kept.",
            tokens=f"{counted.tokens:,}", limit=f"{counted.room:,}",
        )  # fmt: skip

    def words(self, text: str) -> str:
        """How many tokens a text has and what it leaves of the context; empty for an empty one. Often asked for."""
        of = text, self._session.read_ahead.latest_size, self._session.model.info, self._session.conversation.tree.leaf
        if of != self._said[0]:
            self._said = of, self._in_words(text)
        return self._said[1]

    def _in_words(self, text: str) -> str:
        if not text.strip():
            return ""
        counted, window = self._session.read_ahead.size_of(text), self._window
        if counted is None:
            tokens = self.tokens(text)
            words = count("about {number:,} token", "about {number:,} tokens", tokens)
            taken = self._before() + tokens
        else:
            words = count("{number:,} token", "{number:,} tokens", counted.tokens)
            taken = counted.prompt_tokens
            if not counted.fits:
                return f"{words}, {say('too long: {limit} fit', limit=f'{counted.room:,}')}"
            if counted.left_out:
                oldest = count(
                    "the oldest message is left out", "the oldest {number} messages are left out", counted.left_out
                )
                return f"{words}, {oldest}"
        if not window:
            return words
        left = max(0, round(100 * (window - taken) / window))
        return f"{words}, {say('{left} % of the context left', left=left)}"

    @property
    def _window(self) -> int:
        """The context in tokens; 0 while it is not known."""
        return self._session.model.info.context_window if self._session.model.info else 0

    def _before(self) -> int:
        """How many tokens stand before the draft."""
        last = self._session.read_ahead.latest_size
        return last[1].prompt_tokens - last[1].tokens if last is not None else self._session.conversation.context_tokens
