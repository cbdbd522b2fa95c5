"""The number formats of ggml, by the numbers that GGUF files have for them.

They are listed here since llama.cpp's own package is slow to import.
"""

from enum import IntEnum
from typing import Any

import numpy as np


class Kind(IntEnum):
    """How the weights of a tensor are stored."""

    F32 = 0
    F16 = 1
    Q4_0 = 2
    Q4_1 = 3
    Q5_0 = 6
    Q5_1 = 7
    Q8_0 = 8
    Q8_1 = 9
    Q2_K = 10
    Q3_K = 11
    Q4_K = 12
    Q5_K = 13
    Q6_K = 14
    Q8_K = 15
    IQ2_XXS = 16
    IQ2_XS = 17
    IQ3_XXS = 18
    IQ1_S = 19
    IQ4_NL = 20
    IQ3_S = 21
    IQ2_S = 22
    IQ4_XS = 23
    I8 = 24
    I16 = 25
    I32 = 26
    I64 = 27
    F64 = 28
    IQ1_M = 29
    BF16 = 30
    TQ1_0 = 34
    TQ2_0 = 35
    MXFP4 = 39


SIZES = {
    Kind.F32: (1, 4), Kind.F16: (1, 2), Kind.Q4_0: (32, 18), Kind.Q4_1: (32, 20), Kind.Q5_0: (32, 22),
    Kind.Q5_1: (32, 24), Kind.Q8_0: (32, 34), Kind.Q8_1: (32, 40), Kind.Q2_K: (256, 84), Kind.Q3_K: (256, 110),
    Kind.Q4_K: (256, 144), Kind.Q5_K: (256, 176), Kind.Q6_K: (256, 210), Kind.Q8_K: (256, 292),
    Kind.IQ2_XXS: (256, 66), Kind.IQ2_XS: (256, 74), Kind.IQ3_XXS: (256, 98), Kind.IQ1_S: (256, 50),
    Kind.IQ4_NL: (32, 18), Kind.IQ3_S: (256, 110), Kind.IQ2_S: (256, 82), Kind.IQ4_XS: (256, 136), Kind.I8: (1, 1),
    Kind.I16: (1, 2), Kind.I32: (1, 4), Kind.I64: (1, 8), Kind.F64: (1, 8), Kind.IQ1_M: (256, 56), Kind.BF16: (1, 2),
    Kind.TQ1_0: (256, 54), Kind.TQ2_0: (256, 66), Kind.MXFP4: (32, 17),
}  # fmt: skip
"""Weights of a block, and its bytes."""

FILE_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M",
    13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS",
    21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S",
    29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4_MOE",
}  # fmt: skip
"""The name of a file's main format, by `general.file_type`."""


def dequantize(data: np.ndarray, kind: Kind) -> np.ndarray:
    """The float32 weights of whole blocks, whose bytes lie along the last dimension."""
    from gguf.quants import dequantize as dequantized  # noqa: PLC0415  (slow, and seldom wanted)

    named: Any = kind
    weights: np.ndarray = dequantized(data, named)
    return weights
