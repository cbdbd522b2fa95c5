"""Messages to token ids: the model's own chat template, safe from what people type, fitted to the context."""

import json
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby, takewhile
from typing import Any

from qwenchat.chat.continuation import PartialReply
from qwenchat.chat.engine_commands import Prefill
from qwenchat.chat.errors import ModelUnsupported, PromptTooLong
from qwenchat.chat.events import DraftCounted
from qwenchat.chat.messages import (
    Message,
    ReasoningPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    kept_from,
)
from qwenchat.chat.provenance import ThinkingSupport
from qwenchat.chat.splitter import CLOSE_TAG, OPEN_TAG
from qwenchat.chat.tools import ToolSpec
from qwenchat.engine.base import StopSignal
from qwenchat.engine.local.renderer import TemplateFailed, renderer
from qwenchat.engine.local.tokenizer import ChatTokenizer
from qwenchat.i18n.texts import say

CALL_TAG, CALL_END_TAG = "<tool_call>", "</tool_call>"


@dataclass(frozen=True, slots=True)
class RenderedPrompt:
    """What the model reads."""

    ids: tuple[int, ...]
    opens_thought: bool
    """The template itself opened the thought, so the reply begins inside it."""
    left_out: int = 0
    """How many of the oldest messages did not fit."""


class ChatTemplate:
    """A model's chat template, rendered as transformers renders it. One thread at a time may use it."""

    def __init__(self, tokenizer: ChatTokenizer, stop: StopSignal | None = None) -> None:
        """Raises ModelUnsupported for a template that cannot be used, and Stopped."""
        if not tokenizer.chat_template:
            raise ModelUnsupported(
                say("This model has no chat template, so it cannot be talked to."),
                say("Choose an instruct or chat model."),
            )
        self._tokenizer = tokenizer
        self._control = re.compile("|".join(map(re.escape, sorted(tokenizer.control_tokens, key=len, reverse=True))))
        self._stop = stop or StopSignal()
        try:
            self._renderer = renderer(tokenizer.chat_template, self._stop.is_set)
        except TemplateFailed as error:
            raise ModelUnsupported(
                say("The model's chat template is broken: {error}.", error=error), say("Use another file.")
            ) from error
        self.thinking = self._thinking_support(tokenizer.chat_template)
        self.system_changes = self._renders_later_system()
        """Whether a system message after the first message comes through."""
        self.tools = None not in map(tokenizer.token_id, (CALL_TAG, CALL_END_TAG)) and self._renders_tools()
        """Whether the template names tools, and calls are marked by tokens of their own."""

    @contextmanager
    def stopped_by(self, stop: StopSignal) -> Iterator[None]:
        """Within this, rendering ends with Stopped as soon as the signal is set."""
        before, self._stop = self._stop, stop
        try:
            yield
        finally:
            self._stop = before

    def close(self) -> None:
        """End the process that renders, if there is one."""
        self._renderer.close()

    def render(self, messages: Sequence[Message], thinking: bool, tools: Sequence[ToolSpec] = ()) -> RenderedPrompt:
        """The prompt that asks for a reply to the last of `messages`.

        Thoughts are left out of the history except after the last user message, where they belong to tool steps.
        Text of messages, tools and arguments that spells a control token is encoded as text.
        """
        mask = _Mask(self._control if self._tokenizer.control_tokens else None)
        text = self._rendered(list(_as_dicts(messages, mask)), thinking, [_tool(tool, mask) for tool in tools])
        return RenderedPrompt(tuple(self._encoded(text, mask)), text.rstrip().endswith("<think>"))

    def encode_begun(self, begun: PartialReply, opened: bool) -> list[int]:
        """The ids of the part of a reply that is there; `opened` says whether the prompt opened a thought already.

        Its tags are control tokens; what its text spells is not. A model that cannot think gets the answer alone.
        """
        mask = _Mask(self._control if self._tokenizer.control_tokens else None)
        text = mask.hide(begun.answer)
        if self.thinking is not ThinkingSupport.NONE and (begun.thought or (opened and text)):
            opening = "" if opened else f"{OPEN_TAG}\n"
            thought = mask.hide(begun.thought if begun.thinking else begun.thought.rstrip())
            closing = "" if begun.thinking else f"\n{CLOSE_TAG}\n\n"
            text = f"{opening}{thought}{closing}{text}"
        return self._encoded(text, mask)

    def fitted(
        self,
        messages: Sequence[Message],
        thinking: bool,
        window: int,
        reserve: int,
        tools: Sequence[ToolSpec] = (),
    ) -> RenderedPrompt:
        """The prompt, without the oldest turns if it does not fit `window - reserve` tokens.

        Turns are left out by the quarter of that limit, so that the next turns leave out the same ones and begin with
        what the model has read already. The system message in force and the newest user message always stay; raises
        PromptTooLong when these are too much.
        """
        limit = window - reserve
        whole = self.render(messages, thinking, tools)
        excess = len(whole.ids) - limit
        if excess <= 0:
            return whole
        quarter = max(1, limit // 4)
        for most in (len(whole.ids) - -(-excess // quarter) * quarter, limit):
            if (prompt := self._shortened(messages, thinking, tools, most)) is not None:
                return prompt
        newest = max(at for at, message in enumerate(messages) if message.role is Role.USER)
        raise PromptTooLong(len(self.render(kept_from(messages, newest), thinking, tools).ids), limit)

    def _shortened(
        self, messages: Sequence[Message], thinking: bool, tools: Sequence[ToolSpec], most: int
    ) -> RenderedPrompt | None:
        """The prompt with as few of the oldest turns left out as fit `most` tokens; None if the newest one does not."""
        starts = [at for at, message in enumerate(messages) if message.role is Role.USER]
        low, high, best = 1, len(starts) - 1, None
        while low <= high:
            middle = (low + high) // 2
            kept = kept_from(messages, starts[middle])
            prompt = self.render(kept, thinking, tools)
            if len(prompt.ids) <= most:
                best = RenderedPrompt(prompt.ids, prompt.opens_thought, len(messages) - len(kept))
                high = middle - 1
            else:
                low = middle + 1
        return best

    def count_tokens(self, command: Prefill, window: int, reserve: int) -> DraftCounted:
        """How many tokens the draft has, and the prompt with it."""
        limit, draft, left_out = window - reserve, self._count(command.draft), 0
        hopeless = draft > limit
        said = [*command.messages, Message(Role.USER, (TextPart("" if hopeless else command.draft),))]
        if hopeless:  # encoded once only: a book takes most of a second
            said = kept_from(said, len(said) - 1)
        try:
            prompt = self.fitted(said, command.thinking, window, reserve, command.tools)
            tokens, left_out = len(prompt.ids), prompt.left_out
        except PromptTooLong as error:
            tokens = error.tokens
        tokens += draft if hopeless else 0
        pieces = tuple(map(self._count, command.pieces))
        return DraftCounted(command.number, draft, tokens, limit, left_out, pieces)

    def _count(self, text: str) -> int:
        mask = _Mask(self._control if self._tokenizer.control_tokens else None)
        return len(self._encoded(mask.hide(text), mask))

    def shared_ahead(
        self,
        messages: Sequence[Message],
        thinking: bool,
        window: int,
        reserve: int,
        draft: str = "",
        tools: Sequence[ToolSpec] = (),
    ) -> tuple[int, ...]:
        """The beginning of the next turn's prompt, however `draft` will end: what two different endings share."""
        one, other = (
            self.fitted([*messages, Message(Role.USER, (TextPart(draft + end),))], thinking, window, reserve, tools).ids
            for end in ("1", "Why?")
        )
        return tuple(mine for mine, _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))

    def _encoded(self, text: str, mask: "_Mask") -> list[int]:
        ids: list[int] = []
        for piece, spelled in mask.pieces(text):
            ids += self._tokenizer.encode_as_text(piece) if spelled else self._tokenizer.encode(piece)
        return ids

    def _rendered(self, messages: list[dict[str, Any]], thinking: bool, tools: Sequence[dict[str, Any]] = ()) -> str:
        try:
            return self._tried(messages, thinking, tools)
        except TemplateFailed as error:
            raise ModelUnsupported(
                say("The model's chat template refused this conversation: {error}.", error=error),
                say("Start a new chat or another model."),
            ) from error

    def _tried(self, messages: list[dict[str, Any]], thinking: bool, tools: Sequence[dict[str, Any]] = ()) -> str:
        variables = {
            "messages": messages,
            "tools": list(tools) or None,
            "add_generation_prompt": True,
            "enable_thinking": thinking,
            "bos_token": self._tokenizer.bos_token,
            "eos_token": self._tokenizer.eos_token,
        }
        return self._renderer.render(variables, self._stop.is_set)

    def _renders_later_system(self) -> bool:
        said = [("user", "1"), ("assistant", "2"), ("system", "later-system"), ("user", "3")]
        try:
            text = self._tried([{"role": role, "content": content} for role, content in said], False)
        except TemplateFailed:
            return False
        return "later-system" in text

    def _renders_tools(self) -> bool:
        probe = _tool(ToolSpec("probing_tool", "", "{}"), _Mask(None))
        try:
            return "probing_tool" in self._tried([{"role": "user", "content": "1"}], False, [probe])
        except TemplateFailed:
            return False

    def _thinking_support(self, source: str) -> ThinkingSupport:
        if "enable_thinking" in source:
            return ThinkingSupport.SWITCHED
        return ThinkingSupport.ALWAYS if "</think>" in source or "<think>" in source else ThinkingSupport.NONE


class _Mask:
    """Stands marks in for spelled control tokens, so that the template may trim and join the text around them.

    A mark holds a random number: no text can forge one, and no change of case breaks it.
    """

    def __init__(self, control: re.Pattern[str] | None) -> None:
        self._control = control
        self._secret = str(secrets.randbits(64))
        self._spelled: dict[str, str] = {}

    def hide(self, text: str) -> str:
        """`text` with every spelled control token replaced by a mark."""
        return self._control.sub(self._mark, text) if self._control else text

    def pieces(self, text: str) -> Iterator[tuple[str, bool]]:
        """The rendered text in order, cut at the marks, each with whether it is a spelled token."""
        for at, piece in enumerate(re.split(f"\ue000{self._secret}:(\\d+)\ue001", text)):
            if at % 2 and piece in self._spelled:
                yield self._spelled[piece], True
            elif piece:
                yield piece, False

    def _mark(self, match: re.Match[str]) -> str:
        number = str(len(self._spelled))
        self._spelled[number] = match.group()
        return f"\ue000{self._secret}:{number}\ue001"


def _tool(tool: ToolSpec, mask: _Mask) -> dict[str, Any]:
    """A tool as templates expect it. Raises ValueError for parameters that are no JSON."""
    return {
        "type": "function",
        "function": {
            "name": mask.hide(tool.name),
            "description": mask.hide(tool.description),
            "parameters": _hidden(json.loads(tool.parameters), mask),
        },
    }


def _hidden(value: Any, mask: _Mask) -> Any:
    """A JSON value with every text in it masked, keys too."""
    if isinstance(value, str):
        return mask.hide(value)
    if isinstance(value, list):
        return [_hidden(item, mask) for item in value]
    if isinstance(value, dict):
        return {mask.hide(key): _hidden(item, mask) for key, item in value.items()}
    return value


def _as_dicts(messages: Sequence[Message], mask: _Mask) -> Iterator[dict[str, Any]]:
    """Messages as templates expect them: replies without text left out, neighbours of one role joined."""
    last_user = max((at for at, message in enumerate(messages) if message.role is Role.USER), default=-1)
    said = [
        (at, message)
        for at, message in enumerate(messages)
        if message.role is not Role.ASSISTANT
        or message.text.strip()
        or any(isinstance(part, ToolCallPart) for part in message.parts)
    ]
    for role, group in groupby(said, key=lambda pair: pair[1].role):
        pairs = list(group)
        if role is Role.TOOL:
            for _, message in pairs:
                for part in message.parts:
                    if isinstance(part, ToolResultPart):
                        yield {"role": "tool", "name": mask.hide(part.name), "content": mask.hide(part.text)}
        elif role is Role.ASSISTANT:
            for at, message in pairs:
                yield _assistant(message, mask, with_thought=at > last_user)
        else:
            yield {"role": str(role), "content": mask.hide("\n\n".join(message.text for _, message in pairs))}


def _assistant(message: Message, mask: _Mask, with_thought: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {"role": "assistant", "content": mask.hide(message.text)}
    calls = [
        {"type": "function", "function": {"name": mask.hide(part.name), "arguments": mask.hide(part.arguments)}}
        for part in message.parts
        if isinstance(part, ToolCallPart)
    ]
    if calls:
        entry["tool_calls"] = calls
    if with_thought and any(isinstance(part, ReasoningPart) for part in message.parts):
        entry["reasoning_content"] = mask.hide(message.reasoning)
    return entry
