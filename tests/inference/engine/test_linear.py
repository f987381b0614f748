"""Weight kernels against the plain product on the values they stand for."""

import pytest
import torch
import torch.nn.functional as F

from inference.engine.linear import (
    DECODE_ROWS,
    DenseLinear,
    Int8Linear,
    Nf4Linear,
    PackedLinear,
    measure_packed_rows,
    pack_int4,
    unpack_affine,
)
from inference.engine.quantize import fit_int4


@pytest.fixture
def weight() -> torch.Tensor:
    return torch.randn(96, 128, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def bias() -> torch.Tensor:
    return torch.randn(96, generator=torch.Generator().manual_seed(3))


def packed_linear(weight, bias=None) -> PackedLinear:
    affine = fit_int4(weight)
    scales = affine.packed_scales()
    return PackedLinear(pack_int4(affine.codes), scales, unpack_affine(affine.codes, scales).bfloat16(), bias)


def rows(count: int) -> torch.Tensor:
    return torch.randn(count, 128, generator=torch.Generator().manual_seed(count)).bfloat16()


def relative_error(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found.float() - expected).norm() / expected.norm())


@pytest.mark.parametrize("count", [1, 3, 4, 7, 16])
def test_packed_rows_equal_the_dequantized_product(weight, bias, count):
    linear, x = packed_linear(weight, bias), rows(count)
    expected = F.linear(x.float(), linear.weight.float(), bias.bfloat16().float())
    assert relative_error(linear(x), expected) < 0.005


def test_a_row_does_not_depend_on_its_neighbours(weight):
    linear, x = packed_linear(weight), rows(DECODE_ROWS)
    assert torch.equal(torch.cat([linear(row[None]) for row in x]), linear(x))


def test_many_rows_take_the_bf16_copy(weight, monkeypatch):
    linear = packed_linear(weight)
    monkeypatch.setattr(linear, "packed", None)
    assert linear(rows(DECODE_ROWS + 1)).shape == (DECODE_ROWS + 1, 96)


def test_decoding_never_leaves_the_packed_kernel(weight):
    assert measure_packed_rows(packed_linear(weight)) >= DECODE_ROWS


@pytest.mark.parametrize(
    ("kernel", "tolerance"), [(DenseLinear, 0.005), (Nf4Linear, 0.12), (Int8Linear, 0.02)]
)
@pytest.mark.parametrize("count", [1, 20])
def test_kernels_stay_near_the_plain_product(weight, bias, kernel, tolerance, count):
    """NF4 and LLM.int8 are meant for CUDA; bitsandbytes computes the same on the CPU."""
    linear, x = kernel(weight.bfloat16(), bias), rows(count)
    found = linear(x)
    assert found.dtype == torch.bfloat16
    assert relative_error(found, F.linear(x.float(), weight, bias)) < tolerance
