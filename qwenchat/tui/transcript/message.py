"""What one speaker said, as widgets; here the model's reply while it grows and after."""

from collections.abc import Iterable, Mapping
from typing import assert_never

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Static

from qwenchat.chat.calls import calls_in
from qwenchat.chat.events import (
    AnswerReclassified,
    Channel,
    ReplyEvent,
    TextProduced,
    ThoughtEnded,
    ThoughtStarted,
    ToolCalled,
)
from qwenchat.chat.messages import (
    Message,
    Part,
    ReasoningPart,
    Role,
    Status,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from qwenchat.chat.provenance import Provenance, ThoughtCut
from qwenchat.chat.text import SafeStream, safe, safe_line
from qwenchat.i18n.texts import count, say
from qwenchat.tui.transcript.answer import Answer
from qwenchat.tui.transcript.endings import ending_in_words
from qwenchat.tui.transcript.message_base import MessageWidget
from qwenchat.tui.transcript.prompt import UserMessage
from qwenchat.tui.transcript.reasoning import Reasoning
from qwenchat.tui.transcript.tool_block import ToolBlock


class AssistantMessage(MessageWidget):
    """What the model said: its thought, its answer as Markdown, and a line about how it was made."""

    def __init__(self, message: Message) -> None:
        super().__init__(message.id)
        self.reasoning = Reasoning()
        self.answer = Answer()
        self.calls: dict[str, ToolBlock] = {}
        """The calls of tools by their ids."""
        self._calls = Vertical(classes="calls")
        self._results: Mapping[str, ToolResultPart] = {}
        self._footer = Static(classes="footer aside")
        self._footer.display = False
        self._safe = {channel: SafeStream() for channel in Channel}
        self._answer_tokens = 0
        self._details = ""
        """What the footer says of a reply that has ended."""
        self._offer = ""
        self._stored = message if message.status is not Status.STREAMING else None
        self.ended = self._stored is not None
        """Whether it is shown as it was saved; else it grows."""

    def compose(self) -> ComposeResult:
        """The thought, the answer, and below them the versions and the footer."""
        yield self.reasoning
        yield self.answer
        yield self._calls
        with Horizontal(classes="below"):
            yield self.versions
            yield self._footer
        yield self.more

    async def on_mount(self) -> None:
        """A reply that is already complete is shown as one, and counts as mounted when it is.

        One that was taken away before it was composed has no children that are.
        """
        if self._stored is not None and self.answer.is_attached:
            self._settle(self._stored)
            self.answer.text = safe(self._stored.text)
            await self.answer.finish()

    def watch_has_focus(self, _has_focus: bool) -> None:
        """Only its own edge looks otherwise when it is chosen: styling all of a long reply anew takes a second."""
        self.app.stylesheet.update_nodes([self])

    def go_on(self) -> None:
        """Grow again, after what is there already."""
        self.ended = False
        self._details = self._offer = ""
        self._footer.remove_class("-failed")
        self._say("")
        self.answer.go_on()

    def catch_up(self, parts: Iterable[Part]) -> None:
        """Show what came before this widget was there."""
        for part in parts:
            match part:
                case ReasoningPart():
                    self.reasoning.add(self._safe[Channel.THOUGHT].feed(part.text), part.tokens)
                    if part.closed:
                        self.reasoning.end()
                        self.reasoning.seconds = part.seconds
                case TextPart():
                    self.answer.add(self._safe[Channel.ANSWER].feed(part.text))
                case ToolCallPart():
                    self._add_call(part)

    def wait(self, why: str) -> None:
        """Say why nothing has come yet."""
        self._say(why)

    def take(self, event: ReplyEvent, *, fold: bool) -> None:
        """Take in what happened in its turn; `flush` shows it. `fold` says whether a thought that ends is folded."""
        match event:
            case ThoughtStarted():
                self._say("")
                self.reasoning.begin()
            case TextProduced():
                self._add(event)
            case ThoughtEnded():
                self.reasoning.add(self._safe[Channel.THOUGHT].finish())
                self.reasoning.end(fold=fold)
            case AnswerReclassified():
                self._reclassify(fold)
            case ToolCalled():
                self._say("")
                self._add_call(event.call)
            case _:
                assert_never(event)

    def _add(self, event: TextProduced) -> None:
        text = self._safe[event.channel].feed(event.text)
        if event.channel is Channel.THOUGHT:
            self._say("")
            self.reasoning.add(text, event.tokens)
        else:
            self.answer.add(text)
            self._answer_tokens += event.tokens

    def _reclassify(self, fold: bool) -> None:
        """All of the answer so far was the thought."""
        thought = self.answer.text + self._safe[Channel.ANSWER].finish()
        self.reasoning.add(thought, self._answer_tokens)
        self._answer_tokens = 0
        self.answer.settle("")
        self.reasoning.end(fold=fold)

    def show_results(self, results: Mapping[str, ToolResultPart]) -> None:
        """Show what came of its calls, by their ids."""
        self._results = results
        for call_id, block in self.calls.items():
            if call_id in results:
                block.settle(results[call_id])

    def action_unfold(self) -> None:
        """Open all calls of tools, or fold all."""
        if not self.calls:
            self.notify(say("This message calls no tool."), markup=False)
        on = not all(block.opened for block in self.calls.values())
        for block in self.calls.values():
            block.turn(on)

    def _add_call(self, call: ToolCallPart) -> None:
        if call.id not in self.calls:
            self.calls[call.id] = ToolBlock(call)
            if call.id in self._results:
                self.calls[call.id].settle(self._results[call.id])
            self.call_later(self._mount_calls)

    async def _mount_calls(self) -> None:
        await self._calls.mount_all([block for block in self.calls.values() if block.parent is None])

    def flush(self) -> None:
        """Show what was added since the last time, unless the screen is still busy with that."""
        self.reasoning.tick()
        if self.answer.text:
            self._say("")
        self.answer.flush()

    def finish(self, message: Message) -> None:
        """Show the reply as it was saved, rendered once more as a whole."""
        self.ended = True
        self._settle(message)
        self.answer.settle(safe(message.text))

    def _settle(self, message: Message) -> None:
        thoughts = [part for part in message.parts if isinstance(part, ReasoningPart)]
        if thoughts:
            self.reasoning.restore(
                safe("\n\n".join(part.text for part in thoughts)),
                sum(part.tokens for part in thoughts),
                sum(part.seconds for part in thoughts),
                thoughts[-1].closed,
            )
        else:
            self.reasoning.end()
        for call in calls_in(message):
            self._add_call(call)
        self._details, self._offer = _footer(message), ""
        self._say(self._details)
        self._footer.set_class(message.status is Status.FAILED, "-failed")

    def offer(self, text: str) -> None:
        """Say below a reply that has ended what can be done about it; empty for nothing."""
        if text != self._offer:
            self._offer = text
            self._say("\n".join(line for line in (self._details, text) if line))

    def _say(self, text: str) -> None:
        if bool(text) or self._footer.display:
            self._footer.update(Content(text))
            self._footer.display = bool(text)


def _footer(message: Message) -> str:
    """How the reply was made and how it ended, in one line."""
    figures = _figures(message.provenance) if message.provenance else []
    return " · ".join(filter(None, (*figures, ending_in_words(message))))


def _figures(made: Provenance) -> list[str]:
    tokens = made.usage.thinking_tokens + made.usage.answer_tokens
    pieces = [safe_line(word) for word in (made.model.name, made.model.server) if word]
    if tokens:
        pieces.append(count("{number:,} token", "{number:,} tokens", tokens))
    if made.timing.tokens_per_s:
        pieces.append(say("{rate:.1f} tok/s", rate=made.timing.tokens_per_s))
    if made.thought_cut is not None:
        spent = made.thought_cut is ThoughtCut.BUDGET
        pieces.append(say("thinking budget spent") if spent else say("thought ended by you"))
    return pieces


def widget_of(message: Message) -> UserMessage | AssistantMessage | None:
    """The widget that shows `message`; None for messages that are not shown by themselves."""
    match message.role:
        case Role.USER | Role.SYSTEM:
            return UserMessage(message)
        case Role.ASSISTANT:
            return AssistantMessage(message)
        case _:
            return None
