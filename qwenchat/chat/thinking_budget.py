"""The longest thought in tokens, as people write, step through and read it; None for no limit."""

import re

from qwenchat.chat.errors import ConfigInvalid
from qwenchat.i18n.texts import count, say

BUDGETS = (256, 1024, 4096)
"""The thinking budgets that a key steps through, after no limit."""


def budget_of(typed: str) -> int | None:
    """The thinking budget that a person typed, None for "off"; raises ConfigInvalid."""
    if typed.lower() in ("off", "none"):
        return None
    digits = typed.replace(",", "")
    if not re.fullmatch(r"[1-9][0-9]{0,8}", digits):
        raise ConfigInvalid(say("{typed} is no thinking budget.", typed=typed), say("Give a number of tokens, or off."))
    return int(digits)


def next_budget(budget: int | None) -> int | None:
    """The next larger of BUDGETS; no limit after the largest."""
    return next((step for step in BUDGETS if budget is None or step > budget), None)


def budget_in_words(budget: int | None) -> str:
    """The thinking budget as a sentence."""
    if budget is None:
        return say("Thoughts have no limit.")
    return count("Thoughts end after {number:,} token.", "Thoughts end after {number:,} tokens.", budget)
