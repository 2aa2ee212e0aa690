"""Metrics of paper B, eqs (14)-(17), for two classes and for hundreds. Pure NumPy.

Two classes: class 1 is the positive one, as in the paper. More: each class against the rest, averaged with equal weight
(macro) over the classes that occur in truth or prediction. A class that occurs in neither says nothing about the model:
its F1 and recall are 0/0, and its specificity is 1 for free, so with hundreds of classes and a small test set counting
it would hide every difference between models.
"""

import math
import warnings

import numpy as np
from numpy.typing import ArrayLike, NDArray


class UndefinedMetricWarning(UserWarning):
    """A metric is 0/0 on this test set; it is nan, never 0."""


def confusion(truth: ArrayLike, predicted: ArrayLike, n_classes: int) -> NDArray[np.int64]:
    """Counts of shape (K, K): the row is the true class, the column the predicted one.

    ``truth`` and ``predicted`` are integers in [0, K), shape (N,); ``K ≥ 2``. Anything else is a ValueError.
    """
    if n_classes < 2:
        raise ValueError(f"n_classes is {n_classes}; a classifier needs at least 2.")
    truth, predicted = class_indices("truth", truth, n_classes), class_indices("predicted", predicted, n_classes)
    if len(truth) != len(predicted):
        raise ValueError(f"truth has {len(truth)} items, predicted {len(predicted)}; they must be the same items.")
    return np.bincount(truth * n_classes + predicted, minlength=n_classes**2).reshape(n_classes, n_classes)


def one_versus_rest(matrix: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """F1, recall and specificity of every class against the rest: arrays of shape (K,), nan where 0/0.

    Paper B, eqs (15)-(17): 2TP/(2TP+FP+FN), TP/(TP+FN), TN/(TN+FP). ``matrix`` is what :func:`confusion` returns.
    """
    tp = np.diag(matrix)
    fn, fp = matrix.sum(axis=1) - tp, matrix.sum(axis=0) - tp
    tn = matrix.sum() - tp - fn - fp
    ratios = {"f1": (2 * tp, 2 * tp + fp + fn), "recall": (tp, tp + fn), "specificity": (tn, tn + fp)}
    with np.errstate(invalid="ignore"):
        return {metric: above / below for metric, (above, below) in ratios.items()}


def evaluate(truth: ArrayLike, predicted: ArrayLike, n_classes: int) -> dict[str, float]:
    """Accuracy, F1, recall and specificity of one set of predictions, each in [0, 1] or nan. Paper B, eqs (14)-(17).

    ===========  ======================================  ==================================
    key          two classes                             more
    ===========  ======================================  ==================================
    accuracy     share of correct items                  same
    f1           of class 1                              ``f1_macro``
    f1_macro     mean over the classes that occur        same
    f1_micro     equal to accuracy, one label per item   same
    recall       of class 1                              macro; classes without a true item left out
    specificity  recall of class 0                       macro; TN/(TN+FP)
    ===========  ======================================  ==================================

    What is 0/0 is nan for two classes; in a macro average the class is left out. One :class:`UndefinedMetricWarning`
    names metrics and classes. Input as for :func:`confusion`, with the same errors; no items at all give only nan.
    """
    matrix = confusion(truth, predicted, n_classes)
    total = int(matrix.sum())
    if total == 0:
        warnings.warn("No items: every metric is 0/0, so nan.", UndefinedMetricWarning, stacklevel=2)
        return dict.fromkeys(("accuracy", "f1", "f1_macro", "f1_micro", "recall", "specificity"), math.nan)

    per_class = one_versus_rest(matrix)
    occurring = np.flatnonzero(matrix.sum(axis=0) + matrix.sum(axis=1))
    reported = np.array([1]) if n_classes == 2 else occurring
    mean, undefined = {}, []
    for metric, values in per_class.items():
        missing = reported[np.isnan(values[reported])]
        if len(missing):
            names = ", ".join(map(str, missing[:5])) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
            undefined.append(f"{metric} of class {names}")
        mean[metric] = _mean_of_defined(values[reported])
    if undefined:
        consequence = "nan" if n_classes == 2 else "left out of the average"
        warnings.warn(f"0/0, {consequence}: {'; '.join(undefined)}.", UndefinedMetricWarning, stacklevel=2)

    accuracy = int(np.trace(matrix)) / total
    return {
        "accuracy": accuracy,
        "f1": mean["f1"],
        "f1_macro": _mean_of_defined(per_class["f1"][occurring]),
        "f1_micro": accuracy,  # every error is one FP and one FN, so 2ΣTP/(2ΣTP+ΣFP+ΣFN) is ΣTP/N
        "recall": mean["recall"],
        "specificity": mean["specificity"],
    }


def calibration(probabilities: ArrayLike, truth: ArrayLike, bins: int = 15) -> float:
    """Expected calibration error in [0, 1]: the mean gap between confidence and accuracy, over equally wide bins.

    ``probabilities`` (N, K) with rows that sum to 1, ``truth`` (N,) integers in [0, K); anything else is a ValueError.
    No items give nan with an :class:`UndefinedMetricWarning`. Source: Guo et al. 2017, eq. (3).
    """
    probabilities = np.asarray(probabilities, dtype=np.float64)
    if probabilities.ndim != 2 or bins < 1:
        raise ValueError(f"probabilities {probabilities.shape} must be (N, K), and bins {bins} at least 1.")
    truth = class_indices("truth", truth, probabilities.shape[1])
    if len(truth) != len(probabilities):
        raise ValueError(f"truth has {len(truth)} items, probabilities {len(probabilities)}; they must be equal.")
    # written so that nan fails too; single precision may miss 1 by a little
    if not (np.all(probabilities >= 0) and np.all(np.abs(probabilities.sum(axis=1) - 1) <= 1e-3)):
        raise ValueError("every row of probabilities must be non-negative and sum to 1.")
    if not len(truth):
        warnings.warn("No items: calibration is 0/0, so nan.", UndefinedMetricWarning, stacklevel=2)
        return math.nan
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == truth
    bin_of = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    return float(np.abs(np.bincount(bin_of, weights=correct - confidence)).sum() / len(truth))


def class_indices(name: str, values: ArrayLike, n_classes: int) -> NDArray[np.int64]:
    """``values`` as int64, shape (N,); a ValueError unless they are one row of integers in [0, ``n_classes``)."""
    array = np.asarray(values)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iub"):
        raise ValueError(f"{name} must be one row of integers, not {array.dtype} of shape {array.shape}.")
    if array.size and not (array.min() >= 0 and array.max() < n_classes):
        raise ValueError(f"{name} holds class {array.min()} to {array.max()}; accepted are 0 to {n_classes - 1}.")
    return array.astype(np.int64)


def _mean_of_defined(values: NDArray[np.float64]) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else math.nan
