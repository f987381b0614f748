"""Fit the answerability model: logistic regression with balanced classes, measured by leaving one out.

Written out in NumPy, so that nothing but the readable weights goes into the product.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assistant.support.answerability import WEIGHTS, Model

Floats = NDArray[np.float64]
NUM_STEPS = 100
MIN_ADMITTED = 0.82


@dataclass(frozen=True)
class Case:
    """`name`: of the question; `features` as `answerability.features` gives them; the label.

    Cases that are not judged shape the weights, but neither the threshold nor the figures."""

    name: str
    features: dict[str, float]
    is_answerable: bool
    is_judged: bool = True


@dataclass(frozen=True)
class Fit:
    """`kept` and `admitted`: share of answerable and unanswerable cases judged right, each left out once."""

    model: Model
    kept: float
    admitted: float
    wrong: list[str]


def fit(cases: Sequence[Case], *, l2: float = 2.0) -> Fit:
    """The threshold is the lowest that admits MIN_ADMITTED of the unanswerable: a refusal that was not
    needed costs the reader an answer, and the aim leaves room."""
    names = list(cases[0].features)
    x = np.array([[case.features[name] for name in names] for case in cases])
    y = np.array([case.is_answerable for case in cases], dtype=float)
    questions = np.array([case.name for case in cases])
    left_out = np.array(
        [predict_without(x, y, row, questions != questions[row], l2) for row in range(len(y))]
    )
    judged = np.array([case.is_judged for case in cases])
    threshold = best_threshold(left_out[judged], y[judged])
    weights, bias = solve(x, y, l2)
    fitted = {name: round(float(weight), 3) for name, weight in zip(names, weights, strict=True)}
    said = left_out >= threshold
    return Fit(
        Model(round(float(bias), 3), fitted, round(threshold, 3)),
        kept=float(said[judged & (y == 1)].mean()),
        admitted=float((~said[judged & (y == 0)]).mean()),
        wrong=[case.name for case, wrong in zip(cases, judged & (said != y), strict=True) if wrong],
    )


def predict_without(x: Floats, y: Floats, row: int, others: NDArray[np.bool_], l2: float) -> float:
    """What a fit on `others` says of `row`; a question is left out in all its sizes of collection."""
    weights, bias = solve(x[others], y[others], l2)
    return float(1 / (1 + np.exp(-(x[row] @ weights + bias))))


def solve(x: Floats, y: Floats, l2: float) -> tuple[Floats, float]:
    """Newton's method on standardized features; returns weights and bias for the features as they are."""
    mean, scale = x.mean(0), x.std(0) + 1e-9
    z = np.c_[(x - mean) / scale, np.ones(len(x))]
    balance = np.where(y == 1, len(y) / (2 * y.sum()), len(y) / (2 * (1 - y).sum()))
    ridge = np.r_[np.full(x.shape[1], l2), 1e-6]
    w = np.zeros(z.shape[1])
    for _ in range(NUM_STEPS):
        p = 1 / (1 + np.exp(-z @ w))
        gradient = z.T @ ((p - y) * balance) + ridge * w
        hessian = (z * (p * (1 - p) * balance)[:, None]).T @ z + np.diag(ridge)
        w -= np.linalg.solve(hessian, gradient)
    weights = w[:-1] / scale
    return weights, float(w[-1] - weights @ mean)


def best_threshold(p: Floats, y: Floats) -> float:
    options = np.linspace(0.1, 0.9, 81)
    return float(next((at for at in options if (p[y == 0] < at).mean() >= MIN_ADMITTED), options[-1]))


def save(model: Model) -> None:
    data = {"bias": model.bias, "threshold": model.threshold, "weights": model.weights}
    WEIGHTS.write_text(json.dumps(data, indent=2) + "\n")
