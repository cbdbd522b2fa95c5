"""How weights, vectors, keys and values are laid out: the sizes of blocks, and the formats of weights."""

from enum import IntEnum

GROUP = 32
"""Neighbouring numbers that share a scale."""
ROWS = 32
"""Rows of a matrix that lie together in a tile."""
BLOCKS = (1, 2, 4, 8)
"""How many vectors a kernel multiplies with a tile at once: there is one for each."""
BLOCK = BLOCKS[-1]
"""The same when there are many vectors, as in a prompt."""
MATRIX_BLOCK = 32
"""The same by a matrix unit."""
UNIT = 16
"""Rows and vectors that it multiplies at once: their sums are a square of so many, four squares for a group."""
UNIT_GROUPS = 4
"""Groups that it multiplies before their sums are scaled, so that all these stay in the processor's nearest cache."""
ROOM_BYTES = (UNIT_GROUPS + 1) * 4 * (4 * UNIT * UNIT)
"""Room that it needs: for the sums of these groups, and for the totals."""
CHUNK = 512
"""Tokens of a prompt that are read at once at most."""
SEGMENT = 512
"""Tokens whose keys and values lie together, so that those to come take no memory yet."""
BLOCKS_TOGETHER = 4
"""Blocks of queries that share what is read of keys and values, at most."""


class WeightFormat(IntEnum):
    """How the weights of a matrix are stored."""

    U8 = 1
    """Unsigned bytes, 128 standing for zero."""
    U4 = 2
    """Four bits, 8 standing for zero; the low half of a byte holds the first four of eight k."""
    U4_MIN = 3
    """Four bits, 0 standing for the group's minimum, which is stored beside the scale."""

    @property
    def group_bytes(self) -> int:
        """Bytes of one group of one tile, scales not counted."""
        return GROUP * ROWS // (1 if self is WeightFormat.U8 else 2)

    @property
    def zero(self) -> int:
        """The stored value that stands for zero."""
        return {WeightFormat.U8: 128, WeightFormat.U4: 8, WeightFormat.U4_MIN: 0}[self]
