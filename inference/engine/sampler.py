"""From logits to one token per row: greedy, or temperature and top-p with a generator per sequence.

A sequence draws from its own generator, so its tokens do not depend on who shares the batch.
"""

import torch

from inference.engine.sequence import Sequence

NUCLEUS_LIMIT = 1024
NOT_FINITE = -1


def sample(logits: torch.Tensor, sequences: list[Sequence]) -> list[int]:
    """Choose the next token of each row.

    logits fp32 [R, V], one row per sequence. A row that holds NaN or +inf yields NOT_FINITE: the model
    broke for this request alone.
    """
    for row, sequence in enumerate(sequences):
        if sequence.request.sampling.repetition_penalty != 1.0:
            penalize_repetition(logits[row], sequence)
    best, tokens = logits.max(dim=-1)
    chosen: list[int] = tokens.tolist()
    is_sound = torch.isfinite(best).tolist()
    for row, sequence in enumerate(sequences):
        if not is_sound[row]:
            chosen[row] = NOT_FINITE
        elif not sequence.request.sampling.is_greedy:
            chosen[row] = draw(logits[row], sequence)
    return chosen


def draw(logits: torch.Tensor, sequence: Sequence) -> int:
    """One token from the nucleus of a row, fp32 [V]: the fewest tokens whose mass reaches top_p."""
    sampling = sequence.request.sampling
    probs = torch.softmax(logits / sampling.temperature, dim=-1)
    top, ids = _nucleus(probs, sampling.top_p)
    cumulative = top.cumsum(-1)
    before = cumulative - top
    top = torch.where(before < sampling.top_p, top, 0.0)
    point = torch.rand((), generator=sequence.generator).to(top.device) * top.sum()
    index = torch.searchsorted(top.cumsum(-1), point, right=True).clamp(max=int((top > 0).sum()) - 1)
    return int(ids[index])


def penalize_repetition(logits: torch.Tensor, sequence: Sequence) -> None:
    """Lower the logits of tokens seen so far, in place, fp32 [V]. Source: CTRL, arXiv:1909.05858."""
    penalty = sequence.request.sampling.repetition_penalty
    seen = torch.tensor(sorted(set(sequence.tokens)), device=logits.device)
    scores = logits[seen]
    logits[seen] = torch.where(scores < 0, scores * penalty, scores / penalty)


def _nucleus(probs: torch.Tensor, top_p: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Probabilities in falling order, at least as many as top_p needs: sorting all is seldom needed."""
    top, ids = torch.topk(probs, min(NUCLEUS_LIMIT, probs.numel()))
    if float(top.sum()) >= top_p:
        return top, ids
    return torch.sort(probs, descending=True)
