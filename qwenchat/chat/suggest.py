"""What may have been meant by a name that does not exist."""

import difflib
from collections.abc import Iterable
from itertools import islice

from qwenchat.i18n.texts import say

LONGEST = 80
"""Characters of a typed name that is compared; a longer one is no slip of the finger."""
MOST_COMPARED = 2_000
"""Names that are compared at most."""
_GAP = 0.1
"""How much less alike than the most similar one the others are at most."""
_CUTOFF = 0.6
"""How alike two names are at least, from 0 to 1."""


def did_you_mean(typed: str, known: Iterable[str], *, mark: str = "", most: int = 1) -> str:
    """A question that names the most similar of `known`, each with `mark` before it; empty when none is similar."""
    names = [f"{mark}{name}" for name in similar(typed, known, most)]
    return say("Did you mean {names}?", names=say(" or ").join(names)) if names else ""


def similar(typed: str, known: Iterable[str], most: int = 1) -> list[str]:
    """Up to `most` of `known`, the most similar first; case, dashes and the table of a dotted name do not count."""
    if not 0 < len(typed) <= LONGEST:
        return []
    wanted = _plain(typed)
    ratios = {name: _ratio(wanted, name) for name in islice(known, MOST_COMPARED)}
    least = max(_CUTOFF, max(ratios.values(), default=0.0) - _GAP)
    found = [name for name, ratio in ratios.items() if ratio >= least]
    return sorted(found, key=lambda name: -ratios[name])[:most]


def _ratio(wanted: str, name: str) -> float:
    """How alike they are; a name that begins with or holds what was typed is like it however long it is."""
    whole = _plain(name[:LONGEST])
    last = whole.rpartition(".")[2]
    if len(wanted) >= 2 and last.startswith(wanted):
        return 0.9
    if len(wanted) >= 3 and wanted in last:
        return 0.7
    matcher = difflib.SequenceMatcher(None, "", wanted)
    best = 0.0
    for form in {whole, last}:
        matcher.set_seq1(form)
        if matcher.real_quick_ratio() >= _CUTOFF and matcher.quick_ratio() >= _CUTOFF:
            best = max(best, matcher.ratio())
    return best


def _plain(name: str) -> str:
    return name.strip().lower().replace("-", "_").replace(" ", "_")
