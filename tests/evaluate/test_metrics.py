"""Metrics against loops that count, against scikit-learn, and for what must never matter."""

import math
import time
import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from paperkit.evaluate.metrics import UndefinedMetricWarning, confusion, evaluate, one_versus_rest

unhurried = settings(deadline=None)  # a busy machine may pause in any example
quiet = pytest.mark.filterwarnings("ignore::paperkit.evaluate.metrics.UndefinedMetricWarning")


@st.composite
def labelled(draw, smallest=2, largest=6):
    k = draw(st.integers(smallest, largest))
    pairs = draw(st.lists(st.tuples(st.integers(0, k - 1), st.integers(0, k - 1)), min_size=1, max_size=40))
    return [t for t, _ in pairs], [p for _, p in pairs], k


def counted(truth, predicted, positive):
    pairs = list(zip(truth, predicted, strict=True))
    tp = sum(t == positive and p == positive for t, p in pairs)
    tn = sum(t != positive and p != positive for t, p in pairs)
    fp = sum(t != positive and p == positive for t, p in pairs)
    fn = sum(t == positive and p != positive for t, p in pairs)
    return tp, tn, fp, fn


def ratio(above, below):
    return above / below if below else math.nan


def naive(truth, predicted, k):
    """Eqs (14)-(17), one item at a time."""
    of_class = {}
    for c in range(k):
        tp, tn, fp, fn = counted(truth, predicted, c)
        of_class[c] = {
            "f1": ratio(2 * tp, 2 * tp + fp + fn),
            "recall": ratio(tp, tp + fn),
            "specificity": ratio(tn, tn + fp),
        }
    occurring = sorted(set(truth) | set(predicted))

    def mean(metric, classes):
        values = [of_class[c][metric] for c in classes if not math.isnan(of_class[c][metric])]
        return sum(values) / len(values) if values else math.nan

    counts = [counted(truth, predicted, c) for c in range(k)]
    tp, fp, fn = (sum(row[i] for row in counts) for i in (0, 2, 3))
    classes = [1] if k == 2 else occurring
    return {
        "accuracy": sum(t == p for t, p in zip(truth, predicted, strict=True)) / len(truth),
        "f1": mean("f1", classes),
        "f1_macro": mean("f1", occurring),
        "f1_micro": 2 * tp / (2 * tp + fp + fn),
        "recall": mean("recall", classes),
        "specificity": mean("specificity", classes),
    }


def same(a, b):
    assert a == pytest.approx(b, nan_ok=True, rel=1e-12)


def test_the_papers_formulas_on_a_matrix_that_can_be_checked_by_hand():
    truth = [1] * 60 + [0] * 40
    predicted = [1] * 54 + [0] * 6 + [0] * 30 + [1] * 10  # TP 54, FN 6, TN 30, FP 10
    result = evaluate(truth, predicted, 2)
    same(
        result,
        {
            "accuracy": 84 / 100,
            "f1": 108 / 124,
            "f1_macro": (108 / 124 + 60 / 76) / 2,
            "f1_micro": 84 / 100,
            "recall": 54 / 60,
            "specificity": 30 / 40,
        },
    )
    assert all(type(value) is float for value in result.values())
    assert confusion(truth, predicted, 2).tolist() == [[30, 10], [6, 54]]


@quiet
@unhurried
@given(labelled())
def test_equals_the_loop(data):
    same(evaluate(*data), naive(*data))


@pytest.mark.filterwarnings("ignore::UserWarning")
@unhurried
@given(labelled())
def test_equals_scikit_learn(data):
    truth, predicted, k = data
    result = evaluate(truth, predicted, k)
    labels = list(range(k))
    assert np.array_equal(confusion(truth, predicted, k), sk.confusion_matrix(truth, predicted, labels=labels))
    same(result["accuracy"], sk.accuracy_score(truth, predicted))
    same(result["f1_micro"], sk.f1_score(truth, predicted, labels=labels, average="micro"))
    same(result["f1_macro"], sk.f1_score(truth, predicted, average="macro"))
    if k == 2:
        same(result["f1"], sk.f1_score(truth, predicted, zero_division=np.nan))
        same(result["recall"], sk.recall_score(truth, predicted, zero_division=np.nan))
        same(result["specificity"], sk.recall_score(truth, predicted, pos_label=0, zero_division=np.nan))
    else:
        same(result["recall"], sk.balanced_accuracy_score(truth, predicted))


@quiet
@unhurried
@given(labelled(), st.randoms())
def test_the_order_of_items_does_not_matter(data, random):
    truth, predicted, k = data
    order = list(range(len(truth)))
    random.shuffle(order)
    same(evaluate([truth[i] for i in order], [predicted[i] for i in order], k), evaluate(truth, predicted, k))


@quiet
@unhurried
@given(labelled(smallest=3), st.randoms())
def test_the_names_of_more_than_two_classes_do_not_matter(data, random):
    truth, predicted, k = data
    name = list(range(k))
    random.shuffle(name)
    same(evaluate([name[t] for t in truth], [name[p] for p in predicted], k), evaluate(truth, predicted, k))


@quiet
@unhurried
@given(labelled(largest=2))
def test_swapping_two_classes_swaps_recall_and_specificity(data):
    truth, predicted, _ = data
    result = evaluate(truth, predicted, 2)
    swapped = evaluate([1 - t for t in truth], [1 - p for p in predicted], 2)
    same((result["recall"], result["specificity"]), (swapped["specificity"], swapped["recall"]))
    for metric in ("accuracy", "f1_macro", "f1_micro"):
        same(result[metric], swapped[metric])


@quiet
@unhurried
@given(labelled(smallest=3))
def test_classes_that_do_not_occur_change_nothing(data):
    truth, predicted, k = data
    same(evaluate(truth, predicted, k + 200), evaluate(truth, predicted, k))


@unhurried
@given(labelled())
def test_perfect_predictions_score_one(data):
    truth, _, k = data
    assume(len(set(truth)) > 1)
    assert set(evaluate(truth, truth, k).values()) == {1.0}


@pytest.mark.parametrize(
    ("truth", "predicted", "undefined"),
    [
        ([1, 1], [1, 0], {"specificity"}),
        ([0, 0], [0, 1], {"recall"}),
        ([0, 0], [0, 0], {"recall", "f1"}),
    ],
)
def test_nothing_over_nothing_is_nan_with_one_warning(truth, predicted, undefined):
    with pytest.warns(UndefinedMetricWarning) as caught:
        result = evaluate(truth, predicted, 2)
    assert {metric for metric, value in result.items() if math.isnan(value)} == undefined
    assert len(caught) == 1 and caught[0].filename == __file__
    assert all(f"{metric} of class 1" in str(caught[0].message) for metric in undefined)


def test_a_class_without_true_items_is_left_out_of_the_average_and_named():
    with pytest.warns(UndefinedMetricWarning, match="recall of class 2") as caught:
        result = evaluate([0, 0, 1, 1], [0, 2, 1, 1], 3)
    assert len(caught) == 1
    assert result["recall"] == pytest.approx((1 / 2 + 1) / 2)
    assert result["f1_macro"] == pytest.approx((2 / 3 + 1 + 0) / 3)  # a false alarm of class 2 counts against F1


def test_a_warning_about_many_classes_stays_short():
    with pytest.warns(UndefinedMetricWarning, match=r"recall of class 1, 2, 3, 4, 5 and 44 more") as caught:
        evaluate([0] * 49, range(1, 50), 300)
    assert len(str(caught[0].message)) < 120


def test_no_items_are_nan_with_one_warning():
    with pytest.warns(UndefinedMetricWarning, match="No items") as caught:
        result = evaluate([], [], 3)
    assert len(caught) == 1
    assert len(result) == 6 and all(math.isnan(value) for value in result.values())


def test_defined_metrics_warn_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluate([0, 1, 2], [0, 1, 1], 3)
        evaluate(np.array([0, 1], dtype=bool), np.array([1, 1], dtype=np.int8), 2)


@pytest.mark.parametrize(
    ("truth", "predicted", "k", "message"),
    [
        ([0, 1], [0], 2, "2 items"),
        ([0, 2], [0, 1], 2, "0 to 1"),
        ([0, 1], [0, -1], 2, "-1"),
        ([0.0, 1.0], [0, 1], 2, "integers"),
        ([[0, 1]], [[0, 1]], 2, "shape"),
        ([0, 0], [0, 0], 1, "n_classes"),
    ],
)
def test_wrong_input_is_refused(truth, predicted, k, message):
    with pytest.raises(ValueError, match=message):
        evaluate(truth, predicted, k)


def test_small_integer_types_do_not_overflow():
    truth = np.arange(100, dtype=np.int8)
    assert np.array_equal(confusion(truth, truth, 100), np.eye(100))


def test_hundreds_of_classes_take_milliseconds():
    truth, predicted = np.random.default_rng(0).integers(0, 300, (2, 20_000))
    evaluate(truth, predicted, 300)
    start = time.perf_counter()
    evaluate(truth, predicted, 300)
    assert time.perf_counter() - start < 0.25  # a loop over classes and items takes seconds
    assert one_versus_rest(confusion(truth, predicted, 300))["f1"].shape == (300,)
