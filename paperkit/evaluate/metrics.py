"""Metrics of paper B, eqs (14)-(17), for two classes and for hundreds, and those of paper A, Table 3. Pure NumPy.

Two classes: class 1 is the positive one, as in the paper. More: each class against the rest, averaged with equal weight
(macro) over the classes that occur in truth or prediction. A class that occurs in neither says nothing about the model:
its F1 and recall are 0/0, and its specificity is 1 for free, so with hundreds of classes and a small test set counting
it would hide every difference between models.

:func:`evaluate` is for paper B and warns of what is 0/0. :func:`evaluate_large` is for paper A, whose labels are wrong
here and there and may be paths in a tree; there nan often just says that a corpus has no such thing, so it is silent.
"""

import math
import warnings
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from paperkit.corpora.corpus import parents
from paperkit.errors import InputError

UNKNOWN = -1
"""In a column of true labels: nobody knows."""


class UndefinedMetricWarning(UserWarning):
    """A metric is 0/0 on this test set; it is nan, never 0."""


def confusion(truth: ArrayLike, predicted: ArrayLike, n_classes: int) -> NDArray[np.int64]:
    """Counts of shape (K, K): the row is the true class, the column the predicted one.

    ``truth`` and ``predicted`` are integers in [0, K), shape (N,); ``K ≥ 2``. Anything else is an InputError.
    """
    if n_classes < 2:
        raise InputError(f"n_classes is {n_classes}; a classifier needs at least 2")
    truth, predicted = class_indices("truth", truth, n_classes), class_indices("predicted", predicted, n_classes)
    _same_items(truth=truth, predicted=predicted)
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


def evaluate_large(
    labels: ArrayLike,
    predicted: ArrayLike,
    label_names: Sequence[str],
    *,
    truth: ArrayLike | None = None,
    votes: Sequence[str] | None = None,
    train_sizes: ArrayLike | None = None,
) -> dict[str, float]:
    """The metrics of paper A's Table 3 and of its claims, of one set of predictions; each in [0, 1] or nan.

    ==================  ============================================================================
    key                 meaning
    ==================  ============================================================================
    accuracy            share predicted as labelled
    f1_macro            mean F1 over the classes that occur in labels or predictions
    f1_micro            equal to accuracy, one label per item
    manual_accuracy     :func:`manual_accuracy`; nan without ``truth``
    any_topic_accuracy  :func:`any_topic_accuracy`; nan without ``votes``
    tail_f1             :func:`tail_f1`; nan without ``train_sizes``
    sibling_confusion   :func:`sibling_confusion`
    corrected           of the items with a wrong label: :func:`corrected`; nan without ``truth``
    repeated            "
    neither             "
    ==================  ============================================================================

    Args:
        labels, predicted: class numbers in [0, K), shape (N,); K is the number of ``label_names``, at least 2.
        truth: true classes (N,), −1 where unknown.
        votes: per item all the labels that were given, by name, ``"grain|wheat"``; empty where unknown.
        train_sizes: labelled training texts of each class (K,).

    Raises:
        InputError: values out of range, or columns of different lengths.
    """
    matrix = confusion(labels, predicted, len(label_names))
    accuracy = float(np.trace(matrix) / matrix.sum()) if matrix.any() else math.nan
    result = {
        "accuracy": accuracy,
        "f1_macro": _mean_of_defined(one_versus_rest(matrix)["f1"]),  # F1 is 0/0 where a class does not occur
        "f1_micro": accuracy,
        "manual_accuracy": math.nan,
        "any_topic_accuracy": math.nan,
        "tail_f1": math.nan,
        "sibling_confusion": sibling_confusion(labels, predicted, label_names),
    } | dict.fromkeys(("corrected", "repeated", "neither"), math.nan)
    if truth is not None:
        result["manual_accuracy"] = manual_accuracy(truth, predicted, len(label_names))
        result |= corrected(labels, predicted, truth, len(label_names))
    if votes is not None:
        result["any_topic_accuracy"] = any_topic_accuracy(votes, predicted, label_names)
    if train_sizes is not None:
        if np.shape(train_sizes) != (len(label_names),):
            raise InputError(f"train_sizes has shape {np.shape(train_sizes)}; one size per label is {len(label_names)}")
        result["tail_f1"] = tail_f1(labels, predicted, train_sizes)
    return result


def manual_accuracy(truth: ArrayLike, predicted: ArrayLike, n_classes: int) -> float:
    """Share of the items of known truth that are predicted right; nan if there are none.

    Paper A §4.2, "manual verification": one person reads predictions and says whether they are right, whatever the
    label. ``truth`` (N,) in [−1, K), −1 where unknown; ``predicted`` (N,) in [0, K); else an InputError.
    """
    truth = class_indices("truth", truth, n_classes, lowest=UNKNOWN)
    predicted = class_indices("predicted", predicted, n_classes)
    _same_items(truth=truth, predicted=predicted)
    return _share((truth == predicted)[truth != UNKNOWN])


def any_topic_accuracy(votes: Sequence[str], predicted: ArrayLike, label_names: Sequence[str]) -> float:
    """Share of items predicted as any of the labels that they were given; nan if no item lists any.

    ``votes`` (N,) are lists of names, ``"grain|wheat"``. An item counts if a name listed is one of the K
    ``label_names``: a topic may be too rare to be a class, and votes of single annotators, ``"001"``, are no topics.
    ``predicted`` (N,) in [0, K); else an InputError.
    """
    predicted = class_indices("predicted", predicted, len(label_names))
    _same_items(votes=votes, predicted=predicted)
    number = {name: k for k, name in enumerate(label_names)}
    listed = ({number[name] for name in each.split("|") if name in number} for each in votes)
    return _share(np.array([k in topics for k, topics in zip(predicted.tolist(), listed, strict=True) if topics]))


def tail_f1(labels: ArrayLike, predicted: ArrayLike, train_sizes: ArrayLike) -> float:
    """Macro F1 over the tail: the classes with fewer training texts than the median class. Claim A11.

    ``train_sizes`` (K,) ≥ 0. A class without any training text is no part of the tail, nor of the median: no method
    can predict it, and its 0 would hide what they differ in. Nor is a tail class that no item is labelled with, predicted
    or not: which classes count must not depend on the model. nan if nothing is left, as where all classes are of equal
    size. ``labels`` and ``predicted`` (N,) in [0, K); else an InputError.
    """
    sizes = np.asarray(train_sizes)
    if sizes.ndim != 1 or not np.all(sizes >= 0):  # written so that nan fails too
        raise InputError(f"train_sizes of shape {sizes.shape} must be one row of numbers that are not negative")
    counts = confusion(labels, predicted, len(sizes))
    trained, tested = sizes > 0, counts.sum(axis=1) > 0
    if not trained.any():
        return math.nan
    return _mean_of_defined(one_versus_rest(counts)["f1"][tested & trained & (sizes < np.median(sizes[trained]))])


def branches(label_names: Sequence[str]) -> tuple[str, ...]:
    """The branches of a label tree: parents of two leaves or more. A slash alone makes none: ``"and/or"`` has no sibling."""
    leaves = Counter(parents(label_names).tolist())
    return tuple(parent for parent, count in leaves.items() if parent and count > 1)


def has_tree(label_names: Sequence[str]) -> bool:
    """Whether any two labels are siblings."""
    return bool(branches(label_names))


def sibling_confusion(labels: ArrayLike, predicted: ArrayLike, label_names: Sequence[str]) -> float:
    """Share of the errors that stay within the right parent: ``a/b/x`` for ``a/b/y``. Claim A12.

    nan without errors, and where no two labels are siblings. Leaves of the first level have no parent. It is a share of
    errors: a model may confuse fewer siblings and yet show a larger share, if it loses other errors faster.
    ``labels`` and ``predicted`` (N,) in [0, K); else an InputError.
    """
    labels = class_indices("labels", labels, len(label_names))
    predicted = class_indices("predicted", predicted, len(label_names))
    _same_items(labels=labels, predicted=predicted)
    if not has_tree(label_names):
        return math.nan
    parent = parents(label_names)
    siblings = (parent[labels] == parent[predicted]) & (parent[labels] != "")
    return _share(siblings[labels != predicted])


def corrected(labels: ArrayLike, predicted: ArrayLike, truth: ArrayLike, n_classes: int) -> dict[str, float]:
    """What becomes of the items whose label is wrong, label ≠ truth: three shares that add up to 1. Claim A3c.

    ``corrected`` is predicted as the truth, ``repeated`` as the wrong label, ``neither`` as something else. All nan if
    no label is known to be wrong. ``labels`` and ``predicted`` (N,) in [0, K), ``truth`` (N,) in [−1, K), −1 where
    unknown; else an InputError.
    """
    labels, predicted = class_indices("labels", labels, n_classes), class_indices("predicted", predicted, n_classes)
    truth = class_indices("truth", truth, n_classes, lowest=UNKNOWN)
    _same_items(labels=labels, predicted=predicted, truth=truth)
    wrong = (truth != UNKNOWN) & (labels != truth)
    right, again = (predicted == truth)[wrong], (predicted == labels)[wrong]
    return {"corrected": _share(right), "repeated": _share(again), "neither": _share(~right & ~again)}


def within_item_spread(logits: ArrayLike) -> float:
    """How far the raw logits of one item lie apart: mean over items of their standard deviation over classes. Claim A7.

    mean_i √( Σ_k (z_ik − z̄_i)² / K ) for ``logits`` (N, K), in the unit of the logits; else an InputError. nan without
    items, and where a logit is not finite: a diverged network, or a class that a linear model has never seen.
    """
    logits = np.asarray(logits, dtype=np.float64)
    if logits.ndim != 2 or not logits.shape[1]:
        raise InputError(f"logits have shape {logits.shape}; accepted are (N, K)")
    return float(logits.std(axis=1).mean()) if len(logits) and np.isfinite(logits).all() else math.nan


def class_indices(name: str, values: ArrayLike, n_classes: int, lowest: int = 0) -> NDArray[np.int64]:
    """``values`` as int64, shape (N,); an InputError unless they are one row of integers in [``lowest``, ``n_classes``)."""
    array = np.asarray(values)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iub"):
        raise InputError(f"{name} must be one row of integers, not {array.dtype} of shape {array.shape}")
    if array.size and not (array.min() >= lowest and array.max() < n_classes):
        raise InputError(f"{name} holds class {array.min()} to {array.max()}; accepted are {lowest} to {n_classes - 1}")
    return array.astype(np.int64)


def _same_items(**columns: Sequence) -> None:
    (first, values), *others = columns.items()
    for name, other in others:
        if len(other) != len(values):
            raise InputError(f"{first} has {len(values)} items, {name} {len(other)}; they must be the same items")


def _share(hits: NDArray[np.bool_]) -> float:
    return float(hits.mean()) if len(hits) else math.nan


def _mean_of_defined(values: NDArray[np.float64]) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else math.nan
