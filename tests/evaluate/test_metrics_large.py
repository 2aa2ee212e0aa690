"""The metrics of paper A against loops over items, by hand, and where there is nothing to measure."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from paperkit.errors import InputError
from paperkit.evaluate.metrics import (
    any_topic_accuracy,
    branches,
    corrected,
    evaluate_large,
    has_tree,
    manual_accuracy,
    sibling_confusion,
    tail_f1,
    within_item_spread,
)

NAMES = ("a/x/1", "a/x/2", "a/y/1", "b/x/1", "b", "c")
"""b and c are leaves of the first level; a/y/1 and b/x/1 are only children."""
K = len(NAMES)
nan = math.nan


@st.composite
def items(draw):
    """Labels, predictions, truth, votes and training sizes, with something unknown and something wrong."""
    one = st.tuples(st.integers(0, K - 1), st.integers(0, K - 1), st.integers(-1, K - 1),
                    st.lists(st.sampled_from((*NAMES, "rare", "001")), max_size=3).map("|".join))  # fmt: skip
    labels, predicted, truth, votes = zip(*draw(st.lists(one, min_size=1, max_size=25)), strict=True)
    return labels, predicted, truth, votes, draw(st.lists(st.integers(0, 4), min_size=K, max_size=K))


def mean(values):
    values = list(values)
    return sum(values) / len(values) if values else nan


def naive_f1(labels, predicted, k):
    tp = sum(y == k and p == k for y, p in zip(labels, predicted, strict=True))
    wrong = sum((y == k) != (p == k) for y, p in zip(labels, predicted, strict=True))
    return 2 * tp / (2 * tp + wrong) if tp + wrong else None


def naive(labels, predicted, truth, votes, sizes):
    rows = list(zip(labels, predicted, truth, votes, strict=True))
    trained = sorted(size for size in sizes if size)
    middle = len(trained) // 2
    median = (trained[middle] + trained[~middle]) / 2 if trained else 0
    f1 = [naive_f1(labels, predicted, k) for k in range(K)]
    parents = [name[: name.rindex("/")] if "/" in name else "" for name in NAMES]
    wrong = [(y, p, t) for y, p, t, _ in rows if t >= 0 and t != y]
    return {
        "accuracy": mean(y == p for y, p, *_ in rows),
        "f1_macro": mean(value for value in f1 if value is not None),
        "f1_micro": mean(y == p for y, p, *_ in rows),
        "manual_accuracy": mean(p == t for _, p, t, _ in rows if t >= 0),
        "any_topic_accuracy": mean(NAMES[p] in v.split("|") for _, p, _, v in rows if set(v.split("|")) & set(NAMES)),
        "tail_f1": mean(f1[k] for k in range(K) if 0 < sizes[k] < median and k in labels),
        "sibling_confusion": mean(parents[y] == parents[p] != "" for y, p, *_ in rows if y != p),
        "corrected": mean(p == t for _, p, t in wrong),
        "repeated": mean(p == y for y, p, _ in wrong),
        "neither": mean(p not in (y, t) for y, p, t in wrong),
    }


@given(items())
def test_it_is_the_loop(data):
    labels, predicted, truth, votes, sizes = data
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = evaluate_large(labels, predicted, NAMES, truth=truth, votes=votes, train_sizes=sizes)
    assert result == pytest.approx(naive(*data), nan_ok=True, rel=1e-12)
    assert all(type(value) is float for value in result.values())


@settings(max_examples=20)
@given(items())
def test_macro_f1_is_that_of_scikit_learn(data):
    labels, predicted, *_ = data
    result = evaluate_large(labels, predicted, NAMES)
    assert result["f1_macro"] == pytest.approx(f1_score(labels, predicted, average="macro"))
    assert result["f1_micro"] == pytest.approx(f1_score(labels, predicted, average="micro"))


@given(items(), st.permutations(range(K)))
def test_the_order_of_the_classes_does_not_matter(data, new):
    labels, predicted, truth, votes, sizes = data
    old = np.argsort(new)
    moved = evaluate_large([new[k] for k in labels], [new[k] for k in predicted], [NAMES[k] for k in old],
                           truth=[new[t] if t >= 0 else -1 for t in truth], votes=votes,
                           train_sizes=[sizes[k] for k in old])  # fmt: skip
    assert moved == pytest.approx(naive(*data), nan_ok=True)


def test_what_a_corpus_does_not_have_is_nan_and_silent():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = evaluate_large([0, 1, 1], [0, 1, 0], ["negative", "positive"])
        nothing = evaluate_large([], [], NAMES, truth=[], votes=[], train_sizes=[1] * K)
    assert {metric for metric, value in result.items() if not math.isnan(value)} == {"accuracy", "f1_macro", "f1_micro"}
    assert result["f1_macro"] == pytest.approx(2 / 3)
    assert set(nothing) == set(result) and all(map(math.isnan, nothing.values()))


def test_manual_accuracy_asks_for_the_truth_not_for_the_label():
    assert manual_accuracy([2, 1, -1, 0], [2, 0, 1, 0], 3) == pytest.approx(2 / 3)
    assert math.isnan(manual_accuracy([-1, -1], [0, 1], 2))


@pytest.mark.parametrize(
    ("votes", "accuracy"),
    [
        (["corn|wheat", "corn", "wheat|rice", "rice"], 3 / 4),
        (["rice|gold", "gold", "", "wheat"], 1 / 2),
        (["gold", "001", "", "whe"], nan),
    ],
    ids=["all list classes", "gold is no class, one lists nothing", "none lists a class"],
)
def test_any_topic_that_was_given_will_do(votes, accuracy):
    result = any_topic_accuracy(votes, [1, 0, 2, 1], ["corn", "wheat", "rice"])
    assert result == pytest.approx(accuracy, nan_ok=True)


def test_tail_f1_by_hand():
    sizes = [100, 50, 20, 8, 3, 0]  # median of the five that are trained on: 20; the tail is 3 and 4
    labels = [0, 0, 1, 2, 3, 3, 3, 4, 5]
    predicted = [0, 1, 1, 2, 3, 3, 0, 3, 0]
    assert tail_f1(labels, predicted, sizes) == pytest.approx((2 * 2 / (2 * 2 + 1 + 1) + 0) / 2)
    assert tail_f1(labels[:7], predicted[:7], sizes) == pytest.approx(4 / 5), "class 4 does not occur"
    assert tail_f1(labels[:7], [*predicted[:6], 4], sizes) == pytest.approx(4 / 5), (
        "whether 4 is predicted does not matter"
    )
    assert math.isnan(tail_f1([0, 0], [0, 4], sizes)), "only falsely predicted"
    assert math.isnan(tail_f1([0, 1], [0, 1], sizes)), "no tail class occurs"
    assert math.isnan(tail_f1([0, 1], [0, 1], [7, 7])) and math.isnan(tail_f1([0, 1], [0, 1], [0, 0])), "no tail"


def test_sibling_confusion_by_hand():
    labels, predicted = [0, 0, 0, 2, 4, 5], [0, 1, 2, 3, 5, 3]
    assert sibling_confusion(labels, predicted, NAMES) == pytest.approx(1 / 5)  # 0 for 1; 4 and 5 have no parent
    assert sibling_confusion([0, 3], [2, 0], NAMES) == 0, "a parent of the same name elsewhere is another parent"
    assert sibling_confusion([0, 1, 2], [1, 0, 3], ["a", "b", "c/x", "c/y"]) == pytest.approx(1 / 3), (
        "a and b have no parent"
    )
    assert math.isnan(sibling_confusion(labels, labels, NAMES)), "no errors"
    assert math.isnan(sibling_confusion([0, 1], [1, 0], ["corn", "wheat"])), "no tree"
    assert math.isnan(sibling_confusion([0, 1], [1, 0], ["and/or", "either"])), "a slash alone is no tree"


@pytest.mark.parametrize(
    "names, expected",
    [(["corn", "wheat"], ()), (["and/or", "either"], ()), (["a/x", "b/x", "c"], ()), (["a/b", "a/b/x"], ()),
     (["a/x", "b", "a/y"], ("a",)), (["a/b/x", "a/b/y", "a/z", "a/w"], ("a/b", "a"))],
)  # fmt: skip
def test_a_tree_has_two_leaves_under_one_parent(names, expected):
    assert branches(names) == expected and has_tree(names) == bool(expected)


@given(items())
def test_shares_of_wrong_labels_add_up(data):
    labels, predicted, truth, *_ = data
    shares = corrected(labels, predicted, truth, K)
    if any(t not in (-1, y) for y, t in zip(labels, truth, strict=True)):
        assert sum(shares.values()) == pytest.approx(1)
    else:
        assert all(map(math.isnan, shares.values()))
    known = [max(t, 0) for t in truth]
    perfect = corrected(labels, known, truth, K)["corrected"], corrected(labels, labels, truth, K)["repeated"]
    assert set(perfect) == {1.0} or all(map(math.isnan, perfect))


@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 6))
def test_spread_is_the_loop(seed, n, k):
    logits = np.random.default_rng(seed).normal(size=(n, k))
    spread = []
    for row in logits.tolist():
        middle = sum(row) / k
        spread.append(math.sqrt(sum((z - middle) ** 2 for z in row) / k))
    assert within_item_spread(logits) == pytest.approx(sum(spread) / n, rel=1e-9, abs=1e-12)
    shifted = logits + np.arange(n)[:, None]  # what softmax does not see, spread does not see either
    assert within_item_spread(-3 * shifted) == pytest.approx(3 * within_item_spread(logits), abs=1e-12)


def test_spread_where_there_is_none():
    assert within_item_spread([[1.0, 3.0], [5.0, 5.0]]) == 0.5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for logits in (np.empty((0, 3)), [[1.0, -math.inf]], [[0.0, 1.0], [nan, 1.0]]):
            assert math.isnan(within_item_spread(logits))
    for wrong in ([1.0, 2.0], np.empty((2, 0))):
        with pytest.raises(InputError, match="accepted are \\(N, K\\)"):
            within_item_spread(wrong)


GIVEN = {"labels": [0, 1], "predicted": [1, 1], "label_names": ["x", "y"]}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"predicted": [1]}, "truth has 2 items, predicted 1"),
        ({"predicted": [1, 2]}, "predicted holds class 1 to 2; accepted are 0 to 1"),
        ({"labels": [-1, 0]}, "holds class -1 to 0; accepted are 0 to 1"),
        ({"label_names": ["x"]}, "at least 2"),
        ({"truth": [0, -2]}, "truth holds class -2 to 0; accepted are -1 to 1"),
        ({"truth": [0]}, "truth has 1 items, predicted 2"),
        ({"truth": [0.0, 1.0]}, "truth must be one row of integers"),
        ({"votes": ["x"]}, "votes has 1 items, predicted 2"),
        ({"train_sizes": [1, 2, 3]}, "one size per label is 2"),
        ({"train_sizes": [1, -1]}, "not negative"),
        ({"train_sizes": [1, nan]}, "not negative"),
    ],
)
def test_wrong_input_is_refused_in_one_sentence(changed, message):
    with pytest.raises(InputError, match=message) as caught:
        evaluate_large(**GIVEN | changed)
    assert "\n" not in str(caught.value) and not str(caught.value).endswith(".")
