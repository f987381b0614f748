"""Weight kernels: one product x [M, K] -> [M, N] each, behind the same call.

`PackedLinear` keeps two forms of the same int4 values: packed for few rows (decoding is bound by memory)
and bf16 for many (prefill is bound by arithmetic). NF4 and LLM.int8 come from bitsandbytes and are meant
for CUDA. All take rows in their own `dtype` and return the same.
"""

import logging
import time
from typing import Protocol

import torch
import torch.nn.functional as F

GROUP_SIZE = 32
DECODE_ROWS = 16  # up to here always packed: a stream's kernel must not change with its neighbours
TRIAL_ROWS = (32, 64, 128, 256)

log = logging.getLogger(__name__)


class Linear(Protocol):
    def __call__(self, x: torch.Tensor) -> torch.Tensor: ...


class DenseLinear:
    """Plain weights [N, K] in bf16 or f32."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None = None) -> None:
        self.weight = weight
        self.bias = None if bias is None else bias.to(weight.dtype)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, self.weight, self.bias)


class PackedLinear:
    """int4 in groups along K: value = (code - 8) * scale + zero.

    packed  uint8 [N, K / 2]            from `pack_int4`
    scales  bf16  [K / group, N, 2]     scale and zero
    weight  bf16  [N, K]                the same values, rounded to bf16; used above `max_packed_rows`
    """

    def __init__(
        self,
        packed: torch.Tensor,
        scales: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None = None,
    ) -> None:
        self.packed, self.scales, self.weight = packed, scales, weight
        self.max_packed_rows = DECODE_ROWS
        self.group_size = weight.shape[1] // scales.shape[0]
        self.bias = None if bias is None else bias.to(weight.dtype)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape[0] > self.max_packed_rows:
            return F.linear(x, self.weight, self.bias)
        out = int4_product(x, self.packed, self.scales, self.group_size)
        return out if self.bias is None else out.add_(self.bias)


class Nf4Linear:
    """4-bit NormalFloat in blocks of 64 (QLoRA, arXiv:2305.14314), by bitsandbytes."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None = None) -> None:
        bnb = _bitsandbytes()
        self._matmul = bnb.matmul_4bit
        self.packed, self.state = bnb.functional.quantize_4bit(weight, blocksize=64, quant_type="nf4")
        self.bias = None if bias is None else bias.to(weight.dtype)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return self._matmul(x, self.packed.t(), quant_state=self.state, bias=self.bias)


class Int8Linear:
    """LLM.int8: int8 rows, outlier columns in 16 bits (arXiv:2208.07339), by bitsandbytes."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None = None) -> None:
        bnb = _bitsandbytes()
        rows, columns = weight.shape
        module = bnb.nn.Linear8bitLt(
            columns, rows, bias=bias is not None, has_fp16_weights=False, threshold=6.0
        )
        module.weight = bnb.nn.Int8Params(weight.to("cpu"), requires_grad=False, has_fp16_weights=False)
        if bias is not None:
            module.bias = torch.nn.Parameter(bias.to(weight.dtype), requires_grad=False)
        self._module = module.to(weight.device).eval()

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self._module(x)
        return out.to(x.dtype)


def int4_product(
    x: torch.Tensor, packed: torch.Tensor, scales: torch.Tensor, group_size: int
) -> torch.Tensor:
    return torch.ops.aten._weight_int4pack_mm_for_cpu(x, packed, group_size, scales)


def pack_int4(codes: torch.Tensor) -> torch.Tensor:
    """Codes 0..15, uint8 [N, K], in the layout of this CPU's kernel, uint8 [N, K / 2]. N: multiple of 16."""
    return torch.ops.aten._convert_weight_to_int4pack_for_cpu(codes.to(torch.int32), 1)


def unpack_affine(codes: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    """The values that codes uint8 [N, K] and scales bf16 [K / group, N, 2] stand for, fp32 [N, K]."""
    rows, columns = codes.shape
    grouped = codes.view(rows, scales.shape[0], -1).float() - 8.0
    scale, zero = scales.float().permute(1, 0, 2).unsqueeze(-1).unbind(2)
    return (grouped * scale + zero).view(rows, columns)


def measure_packed_rows(linear: PackedLinear, *, num_trials: int = 3) -> int:
    """Up to how many rows the packed kernel beats bf16 on this machine; never below DECODE_ROWS."""
    best = DECODE_ROWS
    for rows in TRIAL_ROWS:
        x = torch.randn(rows, linear.weight.shape[1]).to(linear.weight.dtype)
        packed_s = _fastest(
            lambda x=x: int4_product(x, linear.packed, linear.scales, linear.group_size), num_trials
        )
        dense_s = _fastest(lambda x=x: F.linear(x, linear.weight), num_trials)
        if packed_s >= dense_s:
            break
        best = rows
    return best


def _fastest(call, num_trials: int) -> float:  # type: ignore[no-untyped-def]
    times = []
    for _ in range(num_trials + 1):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def _bitsandbytes():  # type: ignore[no-untyped-def]
    """bitsandbytes, imported late: it costs a second, and warns that a hub kernel is missing."""
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    import bitsandbytes

    return bitsandbytes
