"""Weights to int4 groups: value = (code - 8) * scale + zero, scale and zero in bf16.

Affine GGUF blocks keep their codes; everything else is fitted to the least squared error.
"""

from dataclasses import dataclass

import torch

from inference.engine.linear import GROUP_SIZE

SHRINKS = (1.0, 0.94, 0.88)  # how much of a group's range the first grid covers
NUM_REFITS = 2
ROWS_BYTES = 1 << 22  # work on pieces that stay in the processor's cache


@dataclass(slots=True)
class Affine:
    """codes uint8 [N, K] of 0..15; scale, zero bf16 [N, K / GROUP_SIZE]."""

    codes: torch.Tensor
    scale: torch.Tensor
    zero: torch.Tensor

    def packed_scales(self) -> torch.Tensor:
        """Scale and zero as the kernel reads them, bf16 [K / GROUP_SIZE, N, 2]."""
        return torch.stack((self.scale, self.zero), dim=2).transpose(0, 1).contiguous()


def concatenate(parts: list[Affine]) -> Affine:
    return Affine(
        torch.cat([part.codes for part in parts]),
        torch.cat([part.scale for part in parts]),
        torch.cat([part.zero for part in parts]),
    )


def fit_int4(weight: torch.Tensor) -> Affine:
    """Quantize fp32 [N, K]; K must be a multiple of GROUP_SIZE.

    Each group starts from a few clipped grids; codes and (scale, zero) are then improved in turn, the
    latter by least squares. The best result after rounding to bf16 is kept.
    """
    rows, columns = weight.shape
    num_rows = max(1, ROWS_BYTES // (4 * columns))
    pieces = [_fit_groups(piece.reshape(-1, GROUP_SIZE)) for piece in weight.split(num_rows)]
    codes, scale, zero = (torch.cat(column) for column in zip(*pieces, strict=True))
    shape = (rows, columns // GROUP_SIZE)
    return Affine(codes.view(rows, columns), scale.view(shape), zero.view(shape))


def _fit_groups(groups: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The same for groups [G, GROUP_SIZE]: codes uint8 [G, GROUP_SIZE], scale and zero bf16 [G, 1]."""
    low, high = groups.amin(1, keepdim=True), groups.amax(1, keepdim=True)
    centre, span = (low + high) / 2, (high - low).clamp_min(1e-12)
    best: tuple[torch.Tensor, ...] | None = None  # error, codes, scale, zero
    for shrink in SHRINKS:
        scale = span * shrink / 15
        zero = centre + scale / 2  # code 7.5 stands for the centre
        for _ in range(NUM_REFITS):
            scale, zero = _least_squares(groups, _encode(groups, scale, zero))
        scale, zero = scale.bfloat16(), zero.bfloat16()
        codes = _encode(groups, scale.float(), zero.float())
        error = (codes * scale.float() + zero.float()).sub_(groups).square_().sum(1, keepdim=True)
        found: tuple[torch.Tensor, ...] = (error, codes, scale, zero)
        if best is not None:
            is_better = error < best[0]
            found = tuple(torch.where(is_better, new, old) for new, old in zip(found, best, strict=True))
        best = found
    assert best is not None
    _, codes, scale, zero = best
    return (codes + 8).to(torch.uint8), scale, zero


def _encode(groups: torch.Tensor, scale: torch.Tensor, zero: torch.Tensor) -> torch.Tensor:
    """Nearest codes, centred: -8..7 as fp32."""
    safe = torch.where(scale == 0, 1.0, scale)
    return ((groups - zero) / safe).round_().clamp_(-8, 7)


def _least_squares(groups: torch.Tensor, codes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The scale and zero [G, 1] that fit the groups best for given codes."""
    mean_code, mean = codes.mean(1, keepdim=True), groups.mean(1, keepdim=True)
    centred = codes - mean_code
    variance = centred.square().sum(1, keepdim=True)
    covariance = (centred * groups).sum(1, keepdim=True)
    scale = torch.where(variance > 0, covariance / variance.clamp_min(1e-12), 0.0)
    return scale, mean - scale * mean_code
