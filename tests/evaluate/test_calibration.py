"""How sure models are, against loops that count, and for what must never matter."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from paperkit.errors import InputError
from paperkit.evaluate.calibration import (
    TEMPERATURES,
    brier,
    calibration,
    ece,
    ece_if_calibrated,
    fit_temperature,
    nll,
    reliability,
)

unhurried = settings(deadline=None)
SHAPES = (st.integers(0, 2**32 - 1), st.integers(1, 50), st.integers(2, 5), st.integers(1, 20))


def drawn(seed, n, k):
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.ones(k), n), rng.integers(0, k, n)


def naive(probabilities, truth, bins):
    """Guo et al. 2017, eq. (3), bin by bin: of each its number, confidence and accuracy, and ECE."""
    n, gap, lines = len(truth), 0.0, []
    for b in range(bins):
        inside = [i for i in range(n) if b / bins < max(probabilities[i]) <= (b + 1) / bins]
        if not inside:
            lines.append((0, math.nan, math.nan))
            continue
        accuracy = sum(int(np.argmax(probabilities[i])) == truth[i] for i in inside) / len(inside)
        confidence = sum(max(probabilities[i]) for i in inside) / len(inside)
        lines.append((len(inside), confidence, accuracy))
        gap += len(inside) / n * abs(accuracy - confidence)
    return lines, gap


@unhurried
@given(*SHAPES)
def test_ece_and_the_diagram_equal_the_loop(seed, n, k, bins):
    probabilities, truth = drawn(seed, n, k)
    lines, gap = naive(probabilities, truth, bins)
    assert ece(probabilities, truth, bins) == pytest.approx(gap)
    found = reliability(probabilities, truth, bins)
    assert np.array(lines) == pytest.approx(
        np.column_stack([found.count, found.confidence, found.accuracy]), nan_ok=True
    )


@unhurried
@given(*SHAPES)
def test_adaptive_bins_are_about_equally_full_and_know_no_order(seed, n, k, bins):
    probabilities, truth = drawn(seed, n, k)
    value = ece(probabilities, truth, bins, adaptive=True)
    order = np.random.default_rng(seed).permutation(n)
    assert value == pytest.approx(ece(probabilities[order], truth[order], bins, adaptive=True))
    ascending = np.argsort(probabilities.max(axis=1))
    edges = sorted(
        {int(np.floor((n - 1) * b / bins)) for b in range(1, bins)}
    )  # where bins end, all confidences differing
    gap = 0.0
    for start, end in zip([0, *(edge + 1 for edge in edges)], [*(edge + 1 for edge in edges), n], strict=True):
        inside = ascending[start:end]
        gap += abs(sum((probabilities[i].argmax() == truth[i]) - probabilities[i].max() for i in inside)) / n
    assert value == pytest.approx(gap)


def test_equal_confidences_share_a_bin_whatever_their_order():
    same = np.array([[0.8, 0.2]] * 6)
    for truth in ([0, 0, 0, 1, 1, 1], [1, 1, 1, 0, 0, 0]):
        assert ece(same, truth, 3, adaptive=True) == pytest.approx(0.3)


def test_certainty():
    certain = np.eye(2, dtype=np.float32)[[0, 1, 1, 1]]
    for truth, expected in (([0, 1, 1, 1], 0), ([1, 0, 0, 0], 1), ([0, 1, 1, 0], 1 / 4)):
        assert ece(certain, truth) == ece(certain, truth, adaptive=True) == pytest.approx(expected)
        assert brier(certain, truth) == pytest.approx(2 * expected)
    assert ece_if_calibrated(certain) == 0, "who is certain and calibrated is always right"


def test_a_confidence_on_the_edge_belongs_to_the_lower_bin():
    assert ece([[0.5, 0.5], [0.25, 0.75]], [0, 0], bins=2) == pytest.approx((0.5 + 0.75) / 2)


def test_chance_alone_gives_a_calibrated_model_an_error_that_falls_with_the_texts():
    rng = np.random.default_rng(0)
    few, many = (rng.dirichlet(np.ones(3), n) for n in (40, 4000))
    assert ece_if_calibrated(few) > 3 * ece_if_calibrated(many) > 0
    truth = np.array([[rng.choice(3, p=p) for p in few] for _ in range(300)])  # calibrated by construction
    assert ece_if_calibrated(few) == pytest.approx(np.mean([ece(few, labels) for labels in truth]), rel=0.05)
    assert ece_if_calibrated(few) == ece_if_calibrated(few) != ece_if_calibrated(few, seed=1)


@unhurried
@given(*SHAPES[:3], st.floats(0.2, 5))
def test_nll_and_brier_equal_loops(seed, n, k, temperature):
    rng = np.random.default_rng(seed)
    logits, truth = rng.normal(size=(n, k)) * 3, rng.integers(0, k, n)
    p = [
        [math.exp(z / temperature) / sum(math.exp(other / temperature) for other in row) for z in row] for row in logits
    ]
    assert nll(logits, truth, temperature) == pytest.approx(-sum(math.log(p[i][truth[i]]) for i in range(n)) / n)
    squares = sum((p[i][j] - (j == truth[i])) ** 2 for i in range(n) for j in range(k)) / n
    assert brier(softmax(logits / temperature, axis=1), truth) == pytest.approx(squares)


@pytest.mark.parametrize("factor", [0.3, 1.0, 4.0])
def test_the_temperature_is_the_factor_by_which_logits_were_too_large(factor):
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(6000, 4)) * 2
    truth = np.array([rng.choice(4, p=p) for p in softmax(logits, axis=1)])
    found = fit_temperature(logits * factor, truth)
    assert found == pytest.approx(factor, rel=0.05)
    grid = np.exp(np.linspace(*np.log(TEMPERATURES), 400))
    assert nll(logits * factor, truth, found) <= min(nll(logits * factor, truth, t) for t in grid) + 1e-9
    before, after = calibration(logits * factor, truth), calibration(logits * factor, truth, found)
    assert before["accuracy"] == after["accuracy"] and after["ece"] < 0.03
    assert factor == 1.0 or after["ece"] < before["ece"]


def test_of_texts_that_are_all_right_or_all_wrong_the_temperature_ends_at_a_bound():
    logits = np.array([[3.0, 0.0], [0.0, 1.0]])
    assert fit_temperature(logits, [0, 1]) == pytest.approx(TEMPERATURES[0], rel=1e-2)
    assert fit_temperature(logits, [1, 0]) == pytest.approx(TEMPERATURES[1], rel=1e-2)


def test_no_texts_are_unknowable():
    nothing = np.empty((0, 3))
    found = (ece(nothing, []), ece(nothing, [], adaptive=True), ece_if_calibrated(nothing), brier(nothing, []),
             nll(nothing, []), fit_temperature(nothing, []))  # fmt: skip
    assert np.isnan(found).all() and np.isnan(list(calibration(nothing, []).values())).all()
    assert reliability(nothing, []).count.tolist() == [0] * 15
    assert np.isnan(list(calibration(np.eye(2), [0, 1], math.nan).values())).all(), "no temperature"


def test_what_is_no_distribution_is_refused():
    for wrong in ([[0.7, 0.7]], [[1.5, -0.5]], [[math.nan, 1.0]]):
        with pytest.raises(InputError, match="sum to 1"):
            ece(wrong, [0])
    for probabilities, truth in (([0.5, 0.5], [0]), ([[0.5, 0.5]], [0, 1]), ([[0.5, 0.5]], [2])):
        for measure in (ece, reliability, brier, nll, fit_temperature):
            with pytest.raises(InputError):
                measure(probabilities, truth)
    with pytest.raises(InputError, match="bins"):
        ece([[0.5, 0.5]], [0], bins=0)
