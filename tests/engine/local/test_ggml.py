"""Our table of ggml's formats against that of llama.cpp's own package."""

import numpy as np
import pytest
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, LlamaFileType
from gguf.quants import quantize

from qwenchat.engine.local.ggml import FILE_TYPES, SIZES, Kind, dequantize


def test_formats_have_their_numbers_and_sizes() -> None:
    for kind in Kind:
        theirs = GGMLQuantizationType[kind.name]
        assert theirs == kind
        assert GGML_QUANT_SIZES[theirs] == SIZES[kind]


def test_files_have_the_names_of_their_formats() -> None:
    theirs = {int(file): file.name.removeprefix("MOSTLY_").removeprefix("ALL_") for file in LlamaFileType}
    assert FILE_TYPES.items() <= theirs.items()


@pytest.mark.parametrize("kind", [Kind.Q4_0, Kind.Q8_0, Kind.Q5_1, Kind.BF16])
def test_blocks_are_turned_into_floats(kind: Kind) -> None:
    floats = np.random.default_rng(0).standard_normal((4, 64), np.float32)
    stored = quantize(floats, GGMLQuantizationType(kind)).view(np.uint8).reshape(4, -1)
    assert np.allclose(dequantize(stored, kind), floats, atol=0.2)
