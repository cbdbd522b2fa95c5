"""Packed matrices against the weights that llama.cpp's own package reads out of the same bytes."""

import numpy as np
import pytest
from gguf import GGML_QUANT_SIZES
from gguf import GGMLQuantizationType as Kind
from gguf.quants import dequantize, quantize

from qwenchat.engine.local.cpu.layout import GROUP, ROWS, WeightFormat
from qwenchat.engine.local.cpu.packed_matrix import PackedMatrix
from qwenchat.engine.local.cpu.packing import pack

ROW_COUNT, COLUMNS = 40, 512
"""Not a multiple of the rows of a tile; two of the largest blocks."""
HALF_ROUNDING = 2.0**-11
AS_THEY_ARE = {
    Kind.Q8_0: WeightFormat.U8,
    Kind.Q5_0: WeightFormat.U8,
    Kind.Q4_0: WeightFormat.U4,
    Kind.Q4_1: WeightFormat.U4_MIN,
    Kind.Q4_K: WeightFormat.U4_MIN,
}
MADE_INTO_BYTES = [Kind.F32, Kind.F16, Kind.BF16, Kind.Q5_1, Kind.Q6_K]


def named(kind: Kind | WeightFormat) -> str:
    return kind.name


def gaussian(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((ROW_COUNT, COLUMNS)).astype(np.float32)


def heavy_tailed() -> np.ndarray:
    return np.random.default_rng(1).standard_t(2, (ROW_COUNT, COLUMNS)).astype(np.float32)


def stored(weights: np.ndarray, kind: Kind) -> np.ndarray:
    """The weights as bytes of a file; random blocks for those formats that the package only reads."""
    if kind in (Kind.F32, Kind.F16, Kind.BF16) or kind.name in ("Q8_0", "Q5_0", "Q5_1", "Q4_0", "Q4_1"):
        return quantize(weights, kind).view(np.uint8).reshape(len(weights), -1)
    size, length = GGML_QUANT_SIZES[kind]
    blocks = np.random.default_rng(2).integers(0, 256, (len(weights), weights.shape[1] // size, length), np.uint8)
    halves = {Kind.Q4_K: slice(0, 4), Kind.Q6_K: slice(208, 210)}[kind]
    blocks[..., halves] = np.array([0.01, 0.02][: (halves.stop - halves.start) // 2], np.float16).view(np.uint8)
    return blocks.reshape(len(weights), -1)


def read(matrix: PackedMatrix) -> np.ndarray:
    return matrix.take(np.arange(matrix.rows))


def group_errors(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """The largest error of each group, in parts of the group's largest weight."""
    apart, size = (np.abs(values).reshape(-1, GROUP).max(1) for values in (found - expected, expected))
    return apart / np.maximum(size, np.finfo(np.float32).tiny)


@pytest.mark.parametrize("kind", [Kind.Q8_0, Kind.Q5_0, Kind.Q4_0, Kind.Q4_1], ids=named)
def test_blocks_keep_every_weight(kind: Kind) -> None:
    data = stored(gaussian(), kind)
    matrix = pack(kind, data, COLUMNS, None, None)
    assert (matrix.form, matrix.shape, matrix.finite) == (AS_THEY_ARE[kind], (ROW_COUNT, COLUMNS), True)
    np.testing.assert_array_equal(read(matrix), dequantize(data, kind))


@pytest.mark.parametrize("kind", [Kind.Q8_0, Kind.Q5_0, Kind.Q4_0, Kind.Q4_1], ids=named)
def test_blocks_of_any_bytes_keep_every_weight(kind: Kind) -> None:
    """Scales among them that no quantizer writes: tiny, negative, infinite, not a number."""
    _, length = GGML_QUANT_SIZES[kind]
    data = np.random.default_rng(3).integers(0, 256, (ROW_COUNT, COLUMNS // GROUP * length), np.uint8)
    with np.errstate(invalid="ignore", over="ignore"):
        expected = dequantize(data, kind)
        np.testing.assert_array_equal(read(pack(kind, data, COLUMNS, None, None)), expected)


def test_k_blocks_keep_their_weights_up_to_the_rounding_of_the_scales() -> None:
    data = stored(gaussian(), Kind.Q4_K)
    matrix = pack(Kind.Q4_K, data, COLUMNS, None, None)
    largest_scale, largest_minimum = 63 * 0.01, 63 * 0.02
    most = HALF_ROUNDING * (15 * largest_scale + largest_minimum)
    assert matrix.form is WeightFormat.U4_MIN
    np.testing.assert_allclose(read(matrix), dequantize(data, Kind.Q4_K), rtol=0, atol=most)


@pytest.mark.parametrize("kind", MADE_INTO_BYTES, ids=named)
@pytest.mark.parametrize("weights", [gaussian(), heavy_tailed()], ids=["gaussian", "heavy-tailed"])
def test_what_has_no_format_of_its_own_becomes_bytes(kind: Kind, weights: np.ndarray) -> None:
    data = stored(weights, kind)
    matrix = pack(kind, data, COLUMNS, None, None)
    assert matrix.form is WeightFormat.U8
    assert group_errors(read(matrix), dequantize(data, kind)).max() <= 0.5 / 127 + HALF_ROUNDING


@pytest.mark.parametrize("kind", [*AS_THEY_ARE, *MADE_INTO_BYTES], ids=named)
def test_bytes_can_be_made_of_everything(kind: Kind) -> None:
    data = stored(gaussian(), kind)
    matrix = pack(kind, data, COLUMNS, WeightFormat.U8, None)
    assert matrix.form is WeightFormat.U8
    assert group_errors(read(matrix), dequantize(data, kind)).max() <= 0.5 / 127 + HALF_ROUNDING


@pytest.mark.parametrize(
    "weights",
    [gaussian(), heavy_tailed(), np.abs(gaussian()), -np.abs(heavy_tailed()), gaussian() * 1e-3],
    ids=["gaussian", "heavy-tailed", "positive", "negative", "small"],
)
@pytest.mark.parametrize("kind", [Kind.F32, Kind.F16, Kind.BF16], ids=named)
def test_four_bits_are_no_worse_than_those_of_llama_cpp(kind: Kind, weights: np.ndarray) -> None:
    data = stored(weights, kind)
    exact = dequantize(data, kind)
    matrix = pack(kind, data, COLUMNS, WeightFormat.U4, None)
    theirs = dequantize(quantize(exact, Kind.Q4_0), Kind.Q4_0)
    assert matrix.form is WeightFormat.U4
    assert ((read(matrix) - exact) ** 2).sum() <= ((theirs - exact) ** 2).sum()


@pytest.mark.parametrize("form", [WeightFormat.U8, WeightFormat.U4], ids=named)
def test_weights_that_are_all_alike_are_kept(form: WeightFormat) -> None:
    weights = np.repeat(np.float32([0.0, 0.5, -2.0, 1e-30]), COLUMNS).reshape(4, COLUMNS)
    matrix = pack(Kind.F32, stored(weights, Kind.F32), COLUMNS, form, None)
    assert matrix.finite
    np.testing.assert_allclose(read(matrix), weights, rtol=4 * HALF_ROUNDING, atol=1e-20)


@pytest.mark.parametrize("kind", [*AS_THEY_ARE, *MADE_INTO_BYTES], ids=named)
def test_rows_come_in_the_order_asked_for(kind: Kind) -> None:
    data = stored(gaussian(), kind)
    order = np.random.default_rng(4).permutation(ROW_COUNT)
    np.testing.assert_array_equal(
        read(pack(kind, data, COLUMNS, None, order)), read(pack(kind, data, COLUMNS, None, None))[order]
    )


@pytest.mark.parametrize("rows", [1, 31, 32, 33])
@pytest.mark.parametrize("kind", [Kind.F32, Kind.Q4_0, Kind.Q4_1], ids=named)
def test_rows_that_fill_up_the_last_tile_are_zero(kind: Kind, rows: int) -> None:
    matrix = pack(kind, stored(gaussian()[:rows], kind), COLUMNS, None, None)
    filled_up = -(-rows // ROWS) * ROWS
    assert not matrix.take(np.arange(rows, filled_up)).any()
    assert read(matrix).any(axis=1).all()


def test_some_rows_are_taken_in_any_order_and_more_than_once() -> None:
    matrix = pack(Kind.Q4_1, stored(gaussian(), Kind.Q4_1), COLUMNS, None, None)
    wanted = np.array([39, 0, 17, 17])
    np.testing.assert_array_equal(matrix.take(wanted), read(matrix)[wanted])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("form", [None, WeightFormat.U8, WeightFormat.U4], ids=str)
@pytest.mark.parametrize("kind", [Kind.F32, Kind.F16, Kind.BF16], ids=named)
def test_floats_that_are_no_numbers_are_noticed(kind: Kind, form: WeightFormat | None, value: float) -> None:
    weights = gaussian()
    assert pack(kind, stored(weights, kind), COLUMNS, form, None).finite
    weights[-1, -1] = value
    assert not pack(kind, stored(weights, kind), COLUMNS, form, None).finite


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("form", [None, WeightFormat.U8, WeightFormat.U4], ids=str)
@pytest.mark.parametrize(
    ("kind", "at"),
    [
        *((Kind.Q8_0, 0), (Kind.Q5_0, 0), (Kind.Q5_1, 0), (Kind.Q5_1, 2), (Kind.Q4_0, 0), (Kind.Q4_1, 0)),
        *((Kind.Q4_1, 2), (Kind.Q4_K, 0), (Kind.Q4_K, 2), (Kind.Q6_K, 208)),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_scales_that_are_no_numbers_are_noticed(kind: Kind, at: int, form: WeightFormat | None, value: float) -> None:
    data = stored(gaussian(), kind)
    _, length = GGML_QUANT_SIZES[kind]
    last_block = data[-1, -length:]
    last_block[at : at + 2] = np.array([value], np.float16).view(np.uint8)
    assert not pack(kind, data, COLUMNS, form, None).finite


@pytest.mark.parametrize(
    ("kind", "form", "bits"),
    [(Kind.F32, WeightFormat.U8, 8.5), (Kind.F32, WeightFormat.U4, 4.5), (Kind.Q4_1, None, 5.0)],
    ids=["8 bits", "4 bits", "4 bits with a minimum"],
)
def test_a_matrix_takes_the_memory_of_its_bits(kind: Kind, form: WeightFormat | None, bits: float) -> None:
    matrix = pack(kind, stored(gaussian()[:32], kind), COLUMNS, form, None)
    assert matrix.nbytes * 8 == 32 * COLUMNS * bits
