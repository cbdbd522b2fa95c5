"""What a server's refusal of a request says: in whichever wording, which parameter it is about, and what would do."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from qwenchat.engine.remote.words import words_of

_CLUES = {
    "stream_options": r"include_usage",
    "stream": r"not (?:support |be )?stream(?:ing|ed)?\b|streaming (?:is|mode)",
    "chat_template_kwargs": r"enable_thinking|template kwargs|chat_?template\b|\bthinking\b",
    "reasoning_effort": r"reasoning[ _-]?(?:effort|value|level|mode)|think(?:ing)? (?:value|level)|['\"`]none['\"`]",
    "response_format": r"json_schema|structured output|guided (?:json|decoding)|grammar",
    "tools": r"tool[ _]?(?:use|calls?|calling|choice)\b|\btools?\b|functions? (?:call|declaration|schema|parameter)"
    r"|function_declarations|(?:input_)?schema for function|additionalProperties",
    "max_tokens": r"max(?:imum)?[_ -]?(?:(?:number of )?(?:new|completion|output|generation)[_ -]?)?tokens",
    "top_p": r"nucleus",
    "presence_penalty": r"\bpenalt(?:y|ies)",
    "frequency_penalty": r"\bpenalt(?:y|ies)",
}
"""Other words by which servers mean a parameter than its name."""
_VALUE = re.compile(
    r"invalid value|(?:must|should) be (?!omitted)|too (?:large|big|high)|at most|out of range|less than|greater than"
    r"|<=|>|≤|exceed|only the default|maximum|limit|\brange\b|最大|超出|超过|范围",
    re.IGNORECASE,
)
_CONTEXT = re.compile(
    r"(?:context (?:length|window|size)\D{0,12}|max_model_len\D{0,4}|tokens.{0,30}must be <= ?"
    r"|(?:fits?|within|exceeds?) .{0,40}context\D{0,12})([\d,]+)",
    re.IGNORECASE,
)
_SUM = re.compile(r"([\d,]+) *\+ *([\d,]+) *(?:>|exceeds?) *([\d,]+)")
"""The prompt, the reply, and the context that is less than the two."""
_PROMPT = re.compile(
    r"([\d,]+) (?:`?inputs?`? tokens|tokens (?:from|in|of) the (?:input|messages?|prompt)|prompt tokens"
    r"|(?:in (?:the|your)|of(?: text| the)?) (?:messages?|prompt|input))|(?:prompt|input)\D{0,24}([\d,]+)",
    re.IGNORECASE,
)
_LIMIT = re.compile(
    r"(?:at most|no more than|less than or equal to|<=|≤|up to|maximum(?: (?:value|of|is|allowed))*"
    r"|range of \w+ is \[\d+,)\D{0,12}([\d,]+)",
    re.IGNORECASE,
)
_SYSTEM_FIRST = re.compile(
    r"system.{0,80}(?:beginning|begin|first|start|position|initial|after role|order|only one|multiple|single)"
    r"|(?:after role|only one|multiple|single|first).{0,30}system|roles? must alternate",
    re.IGNORECASE | re.DOTALL,
)
_NO_SYSTEM = re.compile(
    r"system (?:role|messages?|prompts?|instructions?).{0,20}(?:unsupported|not (?:be )?(?:supported|allowed|enabled))"
    r"|not support.{0,20}system|developer instruction is not enabled|(?:role|roles).{0,60}(?:user|assistant).{0,40}"
    r"(?:only|allowed|supported)|unexpected role.{0,5}system",
    re.IGNORECASE | re.DOTALL,
)
_ROLES = re.compile(
    r"\broles?\b|\bsystem[ _](?:messages?|prompts?|instructions?)|系统(?:消息|提示)|角色", re.IGNORECASE
)
"""It is about the messages: other places are tried in turn."""
_SCHEMA = re.compile(
    r"schema|propert|keyword|unknown name|additionalProperties|\$ref|\$defs|anyOf|oneOf|maxLength|minLength|pattern"
    r"|'?required'? .{0,30}(?:empty|array|field)|function_declarations|parameters",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"(?<![\w.,-])\d[\d,]*(?![\d,]*[\w-])(?!\.\d)", re.ASCII)
_NOT_OURS = re.compile(
    r"api[ _-]?key|auth|credit|billing|quota|polic(?:y|ies)|safety|moderation|not (?:found|exist)|no such model|"
    r"does not exist|load",
    re.IGNORECASE,
)
"""What leaving out parameters surely does not change."""
_LONGEST = 4000


@dataclass(frozen=True)
class Refusal:
    """A server's error before the first word of a reply."""

    status: int
    body: Any
    """As it came: an object, a text, or nothing."""

    @cached_property
    def words(self) -> str:
        """All that it says, without what it repeats of the request."""
        return words_of(self.body)[:_LONGEST]

    @cached_property
    def _places(self) -> frozenset[str]:
        """What fields for that say the error is about."""
        return frozenset(re.findall(r"\w+", " ".join(_named(self.body))))

    def names(self, sent: Iterable[str]) -> frozenset[str]:
        """Which of the parameters that were sent it is about."""
        known = sorted(sent)
        found = [name for name in known if name in self._places]
        found = found or [name for name in known if name != "stream" and self._says(_spelled(name))]
        found = found or [name for name in known if name in _CLUES and self._says(_CLUES[name])]
        if len(found) > 1 and re.search(r"\bboth\b", self.words):
            found = found[1:]
        return frozenset(found)

    def _says(self, pattern: str) -> bool:
        return bool(re.search(pattern, self.words, re.IGNORECASE))

    def suggests(self, name: str) -> bool:
        """Whether it says to use that parameter."""
        return name in self.words

    @property
    def about_value(self) -> bool:
        """Whether the parameter is known, and only its value is not taken."""
        return bool(_VALUE.search(self.words))

    @property
    def about_schema(self) -> bool:
        """Whether tools are taken, and only how one is described is not."""
        return bool(_SCHEMA.search(self.words))

    @property
    def about_context(self) -> bool:
        """Whether it is about the context window, of which the prompt takes a part."""
        return bool(_CONTEXT.search(self.words) or _SUM.search(self.words))

    def most_tokens(self, asked: int) -> int | None:
        """How many tokens of reply it would take instead of `asked`; None where it does not say."""
        if found := _SUM.search(self.words):
            prompt, reply, window = map(_int, found.groups())
            left = window - (prompt + reply - asked)
            return left if 0 < left < asked else None
        if found := _CONTEXT.search(self.words):
            window = _int(found[1])
            left = window - self._prompt_tokens(window, asked)
            return left if 0 < left < min(asked, window) else None
        if not re.search(_CLUES["max_tokens"], self.words, re.IGNORECASE) or not self.about_value:
            return None
        limits = [number for found in _LIMIT.finditer(self.words) if 0 < (number := _int(found[1])) < asked]
        others = (number for number in self._numbers if 0 < number < asked)
        return min(limits, default=None) or max(others, default=None)

    def _prompt_tokens(self, window: int, asked: int) -> int:
        """How many tokens the prompt has: as it says, or what is left of all that was requested; 0 if unknown."""
        if found := _PROMPT.search(self.words):
            return _int(next(group for group in found.groups() if group))
        return next((number - asked for number in self._numbers if max(window, asked) < number < window + asked), 0)

    @property
    def _numbers(self) -> list[int]:
        """The numbers that stand by themselves; those in the names of models do not."""
        return [_int(digits) for digits in _NUMBER.findall(self.words)]

    @property
    def system_place(self) -> int:
        """Where it wants the system prompt: 1 first, 2 nowhere; 0 where it is not about that."""
        if _SYSTEM_FIRST.search(self.words):
            return 1
        if _NO_SYSTEM.search(self.words):
            return 2
        return 1 if _ROLES.search(self.words) else 0

    @property
    def says_nothing(self) -> bool:
        """Whether it does not say what it is about, and less could be asked for."""
        return self.status in (400, 415, 422, 501) and not _NOT_OURS.search(self.words)


def _spelled(name: str) -> str:
    """Matches a parameter's name also in the spellings of other languages: "topK", "top-k", "top k"."""
    return rf"(?<![a-z0-9_]){name.replace('_', '[ _-]?')}(?![a-z0-9_-])"


def _named(body: Any) -> Iterable[str]:
    """The values of the fields `param` and `loc`, wherever they are."""
    if isinstance(body, dict):
        for name, value in body.items():
            if name in ("param", "loc", "parameter", "field"):
                yield str(value)
            elif name != "input":
                yield from _named(value)
    elif isinstance(body, list):
        for value in body[:20]:
            yield from _named(value)


def _int(digits: str) -> int:
    return int(digits.replace(",", "")[:18] or 0)
