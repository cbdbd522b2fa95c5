"""A model's tokenizer and chat template, without transformers."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from qwenchat.chat.errors import ModelDamaged, ModelNotFound
from qwenchat.i18n.texts import say

_LONG = 20_000
"""Characters from which on encoding takes long enough to matter to who draws meanwhile."""
_END_OF_TURN = ("<|im_end|>", "<|endoftext|>", "<|eot_id|>")


@dataclass(frozen=True, slots=True)
class ChatTokenizer:
    """Text to ids and back, and what the chat template needs to know."""

    tokenizer: Tokenizer
    chat_template: str
    eos_ids: frozenset[int]
    """Ids that end a turn."""
    bos_token: str = ""
    eos_token: str = ""
    control_tokens: tuple[str, ...] = field(init=False)
    """Texts that stand for one id of their own, such as `<|im_end|>` and `<think>`; never blank."""
    _control_ids: frozenset[int] = field(init=False)

    def __post_init__(self) -> None:
        added = self.tokenizer.get_added_tokens_decoder()
        control = {at: token.content for at, token in added.items() if token.content.strip()}
        object.__setattr__(self, "control_tokens", tuple(control.values()))
        object.__setattr__(self, "_control_ids", frozenset(control))
        ends = {at for text in _END_OF_TURN if (at := self.token_id(text)) is not None}
        object.__setattr__(self, "eos_ids", self.eos_ids | ends)

    @property
    def vocab_size(self) -> int:
        """How many ids there are."""
        return self.tokenizer.get_vocab_size()

    def encode(self, text: str) -> list[int]:
        """The ids of `text`, control tokens recognised, nothing added; lone surrogates are replaced."""
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        if len(text) < _LONG:
            return self.tokenizer.encode(text, add_special_tokens=False).ids
        return self.tokenizer.encode_batch([text], add_special_tokens=False)[0].ids  # holds up no other thread

    def encode_as_text(self, text: str) -> list[int]:
        """The ids of `text` with no control token among them, whatever it spells."""
        ids = self.encode(text)
        if len(text) < 2 or self._control_ids.isdisjoint(ids):
            return [at for at in ids if at not in self._control_ids]
        return self.encode_as_text(text[:1]) + self.encode_as_text(text[1:])

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids`, control tokens included."""
        return self.tokenizer.decode(list(ids), skip_special_tokens=False)

    def token_id(self, text: str) -> int | None:
        """The id of exactly that token; None if the vocabulary lacks it."""
        return self.tokenizer.token_to_id(text)

    def is_control(self, token: int) -> bool:
        """Whether it is a token of its own, no piece of text."""
        return token in self._control_ids

    @classmethod
    def from_folder(cls, folder: Path) -> "ChatTokenizer":
        """Read tokenizer.json and what stands beside it; raises ModelNotFound or ModelDamaged naming the file."""
        file = folder / "tokenizer.json"
        if not file.exists():
            raise ModelNotFound(say("{folder} has no tokenizer.json.", folder=folder), say("Download the model again."))
        config = read_json(folder / "tokenizer_config.json")
        generation = read_json(folder / "generation_config.json")
        tokenizer = open_tokenizer(file)
        ends = generation.get("eos_token_id")
        ids = {at for at in (ends if isinstance(ends, list) else [ends]) if isinstance(at, int)}
        eos = _text(config.get("eos_token"))
        if (at := tokenizer.token_to_id(eos)) is not None:
            ids.add(at)
        return cls(tokenizer, _template(folder, config), frozenset(ids), _text(config.get("bos_token")), eos)


def open_tokenizer(file: Path) -> Tokenizer:
    """Read a tokenizer.json; raises ModelDamaged naming it."""
    try:
        return Tokenizer.from_file(str(file))
    except Exception as error:
        raise ModelDamaged(
            say("{file} cannot be read: {error}.", file=file, error=error), say("Download the model again.")
        ) from error


def read_json(file: Path) -> dict[str, Any]:
    """The JSON object in `file`, empty if there is no such file; raises ModelDamaged naming it."""
    if not file.exists():
        return {}
    try:
        value = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ModelDamaged(
            say("{file} is not valid JSON: {error}.", file=file, error=error), say("Download the model again.")
        ) from error
    if not isinstance(value, dict):
        raise ModelDamaged(say("{file} does not hold a JSON object.", file=file), say("Download the model again."))
    return value


def _template(folder: Path, config: dict[str, Any]) -> str:
    file = folder / "chat_template.jinja"
    if file.exists():
        try:
            return file.read_text("utf-8")
        except ValueError as error:
            raise ModelDamaged(
                say("{file} is not valid UTF-8: {error}.", file=file, error=error), say("Download the model again.")
            ) from error
    template = config.get("chat_template")
    if isinstance(template, list):
        named = [entry for entry in template if isinstance(entry, dict) and entry.get("name") == "default"]
        template = named[0].get("template") if named else None
    return template if isinstance(template, str) else ""


def _text(token: Any) -> str:
    """A token of tokenizer_config.json: a string, an object with `content`, or null."""
    if isinstance(token, dict):
        token = token.get("content")
    return token if isinstance(token, str) else ""
