"""What a model says on its way from an engine, each text through a gate for streams."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Protocol

from qwenchat.chat.events import TextProduced, ToolCalled, TurnEvent


class TextStream(Protocol):
    """Changes text that comes in chunks, and may hold some of it back."""

    def feed(self, chunk: str) -> str:
        """Take in a chunk and return what is certain."""
        ...

    def finish(self) -> str:
        """The rest, at the end of the stream."""
        ...


def gated(events: Iterable[TurnEvent], stream: Callable[[], TextStream]) -> Iterator[TurnEvent]:
    """`events` with their texts as a `stream` gives them; what it holds back comes before anything else happens.

    Raises what `events` does, after the rest of the text.
    """
    gate = _Gate(stream)
    try:
        for event in events:
            yield from gate.take(event)
    except Exception:
        yield from gate.rest()
        raise


class _Gate:
    def __init__(self, stream: Callable[[], TextStream]) -> None:
        self._make = stream
        self._stream = stream()
        self._last: TextProduced | None = None
        """The last piece of the text that runs; its tokens are those that no piece was given yet."""

    def take(self, event: TurnEvent) -> Iterator[TurnEvent]:
        """An event as it may pass, after what was held back where that ends here."""
        if not isinstance(event, TextProduced):
            yield from self.rest()
            yield self._called(event) if isinstance(event, ToolCalled) else event
            return
        if self._last is not None and self._last.channel is not event.channel:
            yield from self.rest()
        tokens = event.tokens + (self._last.tokens if self._last is not None else 0)
        text = self._stream.feed(event.text)
        passed = event if text == event.text and tokens == event.tokens else replace(event, text=text, tokens=tokens)
        if text or not event.text:
            self._last = replace(event, tokens=0)
            yield passed
        else:
            self._last = passed

    def rest(self) -> Iterator[TurnEvent]:
        """What was held back of the text that runs; another may begin."""
        last, self._last = self._last, None
        rest, self._stream = self._stream.finish(), self._make()
        if last is not None and (rest or last.tokens):
            yield replace(last, text=rest)

    def _called(self, event: ToolCalled) -> ToolCalled:
        call = event.call
        name, arguments, server_id = map(self._once, (call.name, call.arguments, call.server_id))
        passed = replace(call, name=name, arguments=arguments, server_id=server_id)
        return event if passed == call else replace(event, call=passed)

    def _once(self, text: str) -> str:
        stream = self._make()
        return stream.feed(text) + stream.finish()
