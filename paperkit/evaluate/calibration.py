"""Is a model as sure as it is right? Expected calibration error, reliability, temperature. Pure NumPy and SciPy.

A text's confidence is the probability of the class predicted for it. N texts, K classes.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from paperkit.errors import InputError
from paperkit.evaluate.metrics import class_indices
from paperkit.seeds import numpy_generator

BINS = 15
"""Guo et al. 2017."""
TEMPERATURES = (0.05, 20.0)
"""Where a temperature is looked for: of texts that are all right the best one would be 0."""


@dataclass(frozen=True)
class Reliability:
    """Confidence and accuracy of the texts in each bin, nan where a bin is empty; all of shape ``(bins,)``."""

    count: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]


def reliability(probabilities: ArrayLike, truth: ArrayLike, bins: int = BINS) -> Reliability:
    """The reliability diagram: over bins ((b − 1)/B, b/B] of the confidence.

    ``probabilities`` (N, K) with rows that sum to 1, ``truth`` (N,) integers in [0, K); anything else is an InputError.
    """
    confidence, correct = _checked(probabilities, truth, bins)
    bin_of = _equally_wide(confidence, bins)
    count = np.bincount(bin_of, minlength=bins)
    with np.errstate(invalid="ignore"):
        sums = (np.bincount(bin_of, weights=each, minlength=bins) / count for each in (confidence, correct))
        return Reliability(count, *sums)


def ece(probabilities: ArrayLike, truth: ArrayLike, bins: int = BINS, adaptive: bool = False) -> float:
    """Expected calibration error in [0, 1]::

        ECE = Σ_b |B_b|/N · |acc(B_b) − conf(B_b)|

    over equally wide bins of the confidence (Guo et al. 2017, eq. (3)), or ``adaptive`` over bins of about equally many
    texts, equal confidences together (Nguyen & O'Connor 2015). Input as for :func:`reliability`; no texts give nan.
    """
    confidence, correct = _checked(probabilities, truth, bins)
    if not len(confidence):
        return math.nan
    bin_of = _equally_full(confidence, bins) if adaptive else _equally_wide(confidence, bins)
    return float(np.abs(np.bincount(bin_of, weights=correct - confidence)).sum() / len(confidence))


def ece_if_calibrated(probabilities: ArrayLike, bins: int = BINS, draws: int = 200, seed: int = 0) -> float:
    """The mean :func:`ece` of a perfectly calibrated model with these confidences and as many texts.

    It is not 0: ECE adds up absolute values, so chance alone raises it, the more the fewer texts. Each text is right with
    the probability that is its confidence, ``draws`` times (consistency resampling, Bröcker & Smith 2007). No texts: nan.
    """
    probabilities = np.asarray(probabilities, dtype=np.float64)
    confidence, _ = _checked(probabilities, np.zeros(len(probabilities), dtype=np.int64), bins)
    if not len(confidence):
        return math.nan
    inside = np.eye(bins)[_equally_wide(confidence, bins)]
    right = numpy_generator(seed, "calibrated").random((draws, len(confidence))) < confidence
    return float(np.abs((right - confidence) @ inside).sum(axis=1).mean() / len(confidence))


def brier(probabilities: ArrayLike, truth: ArrayLike) -> float:
    """Mean over the texts of Σ_k (p_k − 1[k = y])², in [0, 2] (Brier 1950); input as for :func:`reliability`, no texts: nan."""
    probabilities = np.asarray(probabilities, dtype=np.float64)
    _checked(probabilities, truth)
    right = np.eye(probabilities.shape[1])[np.asarray(truth, dtype=np.int64)]
    return float(((probabilities - right) ** 2).sum(axis=1).mean()) if len(right) else math.nan


def nll(logits: ArrayLike, truth: ArrayLike, temperature: float = 1.0) -> float:
    """Mean of −log softmax(z/T)_y: cross-entropy in nats. ``logits`` (N, K), ``truth`` (N,); no texts give nan."""
    logits, truth = _logits(logits, truth)
    return (
        float(-log_softmax(logits / temperature, axis=1)[np.arange(len(truth)), truth].mean())
        if len(truth)
        else math.nan
    )


def fit_temperature(logits: ArrayLike, truth: ArrayLike) -> float:
    """The one T > 0 by which logits are divided for the lowest :func:`nll`; within :data:`TEMPERATURES`, no texts: nan.

    It changes no prediction. NLL is convex in 1/T, so there is one minimum. Fit it on texts that nobody trained on and
    nobody tests on. Source: Guo et al. 2017, §4.2.
    """
    logits, truth = _logits(logits, truth)
    if not len(truth):
        return math.nan
    found = minimize_scalar(lambda t: nll(logits, truth, math.exp(t)), bounds=tuple(map(math.log, TEMPERATURES)),
                            method="bounded", options={"xatol": 1e-6})  # fmt: skip
    return math.exp(found.x)


def calibration(logits: ArrayLike, truth: ArrayLike, temperature: float = 1.0) -> dict[str, float]:
    """``accuracy``, mean ``confidence``, ``ece``, ``ece_adaptive``, ``ece_if_calibrated``, ``nll`` and ``brier`` of logits
    ``(N, K)`` divided by a temperature; all nan without texts, or where there is no temperature."""
    logits, truth = _logits(logits, truth)
    if not len(truth) or math.isnan(temperature):
        return dict.fromkeys(
            ("accuracy", "confidence", "ece", "ece_adaptive", "ece_if_calibrated", "nll", "brier"), math.nan
        )
    p = softmax(logits / temperature, axis=1)
    return {
        "accuracy": float((p.argmax(axis=1) == truth).mean()),
        "confidence": float(p.max(axis=1).mean()),
        "ece": ece(p, truth),
        "ece_adaptive": ece(p, truth, adaptive=True),
        "ece_if_calibrated": ece_if_calibrated(p),
        "nll": nll(logits, truth, temperature),
        "brier": brier(p, truth),
    }


def _logits(logits: ArrayLike, truth: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    logits = np.asarray(logits, dtype=np.float64)
    if logits.ndim != 2:
        raise InputError(f"logits have shape {logits.shape}; accepted are (N, K)")
    truth = class_indices("truth", truth, logits.shape[1])
    _as_many("logits", truth, logits)
    return logits, truth


def _checked(
    probabilities: ArrayLike, truth: ArrayLike, bins: int = BINS
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Confidence and correctness of each text ``(N,)``."""
    probabilities = np.asarray(probabilities, dtype=np.float64)
    if probabilities.ndim != 2 or bins < 1:
        raise InputError(f"probabilities {probabilities.shape} must be (N, K), and bins {bins} at least 1")
    truth = class_indices("truth", truth, probabilities.shape[1])
    _as_many("probabilities", truth, probabilities)
    # written so that nan fails too; single precision may miss 1 by a little
    if not (np.all(probabilities >= 0) and np.all(np.abs(probabilities.sum(axis=1) - 1) <= 1e-3)):
        raise InputError("every row of probabilities must be non-negative and sum to 1")
    return probabilities.max(axis=1, initial=0.0), probabilities.argmax(axis=1) == truth


def _as_many(name: str, truth: NDArray, others: NDArray) -> None:
    if len(truth) != len(others):
        raise InputError(f"truth has {len(truth)} items, {name} {len(others)}; they must be equal")


def _equally_wide(confidence: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    return np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)


def _equally_full(confidence: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    edges = np.unique(np.quantile(confidence, np.arange(1, bins) / bins, method="lower"))
    return np.searchsorted(edges, confidence, side="left")
