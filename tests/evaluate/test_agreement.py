"""Fleiss' κ against its definition, its published example and what must hold for any votes."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperkit.evaluate.agreement import fleiss_kappa, single_votes


def naive(votes: list[list[int]]) -> float:
    """Share of agreeing pairs of annotators, against that of pairs drawn from all votes with replacement."""
    pairs = [a == b for text in votes for a, b in combinations(text, 2)]
    every = [vote for text in votes for vote in text]
    chance = sum((every.count(k) / len(every)) ** 2 for k in set(every))
    return (sum(pairs) / len(pairs) - chance) / (1 - chance)


VOTES = st.tuples(st.integers(1, 12), st.integers(2, 6), st.integers(2, 5)).flatmap(
    lambda size: st.lists(
        st.lists(st.integers(0, size[2] - 1), min_size=size[1], max_size=size[1]), min_size=size[0], max_size=size[0]
    ).map(lambda votes: (votes, size[2]))
)


def test_the_example_of_fleiss_1971_as_it_is_usually_reprinted():
    """Ten subjects, fourteen raters, five categories: κ = 0.210."""
    counts = [[0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
              [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7]]  # fmt: skip
    votes = [[k for k, count in enumerate(row) for _ in range(count)] for row in counts]
    assert fleiss_kappa(votes, 5) == pytest.approx(0.210, abs=0.0005)


@given(VOTES)
def test_it_is_the_definition(given_votes):
    votes, n_classes = given_votes
    if len({vote for text in votes for vote in text}) == 1:
        assert math.isnan(fleiss_kappa(votes, n_classes)), "chance alone agrees perfectly: 0/0"
    else:
        assert fleiss_kappa(votes, n_classes) == pytest.approx(naive(votes), abs=1e-9)


@given(VOTES, st.randoms())
def test_neither_names_of_classes_nor_the_order_of_anything_matters(given_votes, draw):
    votes, n_classes = given_votes
    names = draw.sample(range(n_classes), n_classes)
    shuffled = [[names[vote] for vote in draw.sample(text, len(text))] for text in draw.sample(votes, len(votes))]
    expected = fleiss_kappa(votes, n_classes)
    assert fleiss_kappa(shuffled, n_classes) == pytest.approx(expected, nan_ok=True)
    assert fleiss_kappa(np.array(votes), n_classes + 3) == pytest.approx(expected, nan_ok=True), "nobody's class"


@pytest.mark.parametrize(
    ("votes", "kappa"),
    [
        ([[0, 0, 0], [1, 1, 1]], 1.0),
        ([[0, 1], [1, 0]], -1.0),
        ([[0, 0], [0, 1], [1, 0], [1, 1]], 0.0),
        ([[1, 1, 1]], math.nan),
    ],
)
def test_its_marks(votes, kappa):
    assert fleiss_kappa(votes, 2) == pytest.approx(kappa, nan_ok=True)


@pytest.mark.parametrize("votes", [[], [[]], [[1]], [[0], [1]], [0, 1, 1], [[[0, 1], [1, 1]]]])
def test_what_is_no_votes_is_refused(votes):
    with pytest.raises(ValueError, match="accepted are \\(texts, annotators\\) with two annotators or more"):
        fleiss_kappa(votes, 2)


def test_votes_are_read_one_digit_per_annotator():
    assert single_votes(["001", "210"], 3).tolist() == [[0, 0, 1], [2, 1, 0]]


@pytest.mark.parametrize(
    ("votes", "n_classes"),
    [
        (["grain|wheat", "earn"], 90),
        (["earn"], 90),
        (["7|12", "12"], 90),
        (["1", "0"], 2),
        (["001", "01"], 2),
        (["001", ""], 2),
        (["003"], 3),
        (["²³"], 10),
        (["١٢"], 10),
        ([], 2),
    ],
    ids=["topics", "one topic", "numbered topics", "one annotator", "two and three", "none", "no such class",
         "superscripts", "digits of another script", "no texts"],
)  # fmt: skip
def test_what_is_no_vote_of_single_annotators(votes, n_classes):
    assert single_votes(votes, n_classes) is None
