"""What the name of a model, or its chat template, says of its thinking."""

import re

from qwenchat.chat.provenance import ThinkingSupport
from qwenchat.engine.remote.offer import ServedModel

_THINKING: tuple[tuple[str, ThinkingSupport], ...] = (
    (r"qwen-?3.*(?:instruct|coder)|qwen-?2|qwen-?1|smollm2|tinyllama|gemma-?[123]\b|llama-?[23]|phi-?[23]\b|gpt-[34]",
     ThinkingSupport.NONE),
    (r"qwen-?3.*thinking|qwq|deepseek-r1|r1-distill|gpt-oss|(?:^|[/-])o[134]\b", ThinkingSupport.ALWAYS),
    (r"qwen-?3", ThinkingSupport.SWITCHED),
    (r"instruct", ThinkingSupport.NONE),
)  # fmt: skip
"""What names say of models; the first that fits counts."""
_SOFT_SWITCH = re.compile(r"qwen-?3(?![.\d]|-next|-vl|-omni)(?!.*2507)", re.IGNORECASE)
"""Names of models that know `/think` and `/no_think`."""


def by_name(name: str) -> ThinkingSupport | None:
    """Which switch a model has, as its name says; None where that says nothing."""
    return next((support for pattern, support in _THINKING if re.search(pattern, name, re.IGNORECASE)), None)


def has_soft_switch(offer: ServedModel) -> bool:
    """Whether the model knows `/no_think` in a message."""
    return bool(_SOFT_SWITCH.search(offer.name) or _SOFT_SWITCH.search(offer.root))


def by_template(template: str) -> ThinkingSupport:
    """Which switch a model has, as its chat template says."""
    if "enable_thinking" in template:
        return ThinkingSupport.SWITCHED
    return ThinkingSupport.ALWAYS if "<think>" in template else ThinkingSupport.NONE
