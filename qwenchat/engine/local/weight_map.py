"""The weights found in a model's files, on their way into a decoder."""

from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from qwenchat.chat.errors import ModelDamaged, ModelUnsupported
from qwenchat.engine.local.cpu.packed_matrix import PackedMatrix
from qwenchat.i18n.texts import say

_W = TypeVar("_W", bound="_Shaped")


class _Shaped(Protocol):
    @property
    def shape(self) -> tuple[int, ...]: ...


class WeightMap(Generic[_W]):
    """Named weights of a kind, each handed out once, checked."""

    def __init__(self, weights: dict[str, _W]) -> None:
        self._weights = weights

    def take(self, name: str, shape: tuple[int, ...]) -> _W | None:
        """The weight of that name, None if there is none; raises ModelDamaged for a wrong shape or invalid numbers."""
        weight = self._weights.pop(name, None)
        if weight is None:
            return None
        if tuple(weight.shape) != shape:
            raise ModelDamaged(
                say(
                    "The weight {name} has the shape {found} instead of {shape}.",
                    name=name,
                    found=tuple(weight.shape),
                    shape=shape,
                ),
                say("Download it again."),
            )
        if not _finite(weight):
            raise ModelDamaged(say("The weight {name} holds invalid numbers.", name=name), say("Download it again."))
        return weight

    def check_all_taken(self) -> None:
        """Raise ModelUnsupported when weights are left over: without them the model would talk nonsense."""
        left = [name for name in self._weights if name != "lm_head.weight" and not name.endswith(".inv_freq")]
        if left:
            raise ModelUnsupported(
                say("This variant has weights that are not known: {left}.", left=left[0]), say("Choose another model.")
            )


def _finite(weight: Any) -> bool:
    """Whether all numbers are finite. Row means carry NaN and infinity along, and cost a tenth of looking at each."""
    if isinstance(weight, PackedMatrix):
        return weight.finite
    if isinstance(weight, np.ndarray):
        return bool(np.isfinite(weight).all())
    means = weight if weight.dim() == 1 else weight @ weight.new_full((weight.shape[1],), 1 / weight.shape[1])
    return bool(means.isfinite().all())
