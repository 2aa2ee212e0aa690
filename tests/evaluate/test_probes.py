"""Probes of representations against loops over rows and pairs, and for what must never matter."""

import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ortho_group

from paperkit.errors import InputError
from paperkit.evaluate import probes
from paperkit.evaluate.probes import (
    alignment,
    anisotropy,
    knn_accuracy,
    length_bias,
    linear_probe_accuracy,
    represent,
    uniformity,
    whiten,
    whitening,
)
from paperkit.models import backbones
from paperkit.models.bilstm import BiLSTM
from paperkit.models.encoder import Encoder
from paperkit.text.batches import collate
from paperkit.text.vocabulary import Encoded
from tests.encoders import save_bert

nan = math.nan
seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=40)


def rows(seed, n, d, *, zero=False):
    """Random rows off the origin, of different lengths; the first may be of zeros."""
    rng = np.random.default_rng(seed)
    x = (rng.normal(size=(n, d)) + rng.normal(size=d)) * rng.uniform(0.1, 10, (n, 1))
    x[0] *= not zero
    return x


def cosine(a, b):
    norms = math.sqrt(sum(v * v for v in a)) * math.sqrt(sum(v * v for v in b))
    return sum(v * w for v, w in zip(a, b, strict=True)) / norms if norms else 0.0


def unit(a):
    norm = math.sqrt(sum(v * v for v in a))
    return [v / norm for v in a] if norm else list(a)


def distance(a, b):
    """Squared, of the directions."""
    return sum((v - w) ** 2 for v, w in zip(unit(a), unit(b), strict=True))


def pairs_of(x):
    return [(a, b) for i, a in enumerate(x.tolist()) for b in x.tolist()[:i]]


# directions


@few
@given(seeds, st.integers(2, 9), st.integers(1, 5), st.booleans(), st.sampled_from([0.5, 2.0, 300.0]))
def test_alignment_uniformity_and_anisotropy_are_the_loops(seed, n, d, zero, t):
    x, y = rows(seed, n, d, zero=zero), rows(seed + 1, n, d)
    assert alignment(x, y) == pytest.approx(sum(map(distance, x.tolist(), y.tolist())) / n, abs=1e-9)
    pairs = pairs_of(x)
    assert anisotropy(x) == pytest.approx(sum(cosine(*pair) for pair in pairs) / len(pairs), abs=1e-9)
    # the exponent of the nearest pair in front: e^{−1200} is 0
    nearest = min(distance(*pair) for pair in pairs)
    rest = sum(math.exp(-t * (distance(*pair) - nearest)) for pair in pairs) / len(pairs)
    assert uniformity(x, t) == pytest.approx(math.log(rest) - t * nearest, abs=1e-9)


@few
@given(seeds, st.integers(2, 30), st.integers(2, 6), st.floats(1e-200, 1e200))
def test_neither_rotation_nor_scale_nor_order_matters(seed, n, d, scale):
    x, y = rows(seed, n, d, zero=True), rows(seed + 1, n, d)
    turn = ortho_group.rvs(d, random_state=seed)
    order = np.random.default_rng(seed).permutation(n)
    turned, other = (scale * x @ turn)[order], (y @ turn)[order]
    assert alignment(turned, other) == pytest.approx(alignment(x, y), abs=1e-9)
    assert uniformity(turned) == pytest.approx(uniformity(x), abs=1e-9)
    assert anisotropy(turned) == pytest.approx(anisotropy(x), abs=1e-9)


@few
@given(seeds, st.integers(2, 30), st.integers(1, 6))
def test_ranges_and_their_ends(seed, n, d):
    x = rows(seed, n, d)
    assert alignment(x, 5 * x) == pytest.approx(0, abs=1e-9) and alignment(x, -x) == pytest.approx(4)
    assert -8 - 1e-9 <= uniformity(x) <= 1e-9 and -1 - 1e-9 <= anisotropy(x) <= 1 + 1e-9
    collapsed = np.outer(np.arange(1, n + 1), x[0])
    assert uniformity(collapsed) == pytest.approx(0, abs=1e-9) and anisotropy(collapsed) == pytest.approx(1)


def test_blocks_leave_no_row_out(monkeypatch):
    x, y = classes(0, n=80, spread=2)

    def probed():
        return uniformity(x), knn_accuracy(x[:40], y[:40], x[40:], y[40:]), length_bias(x, y).correlation

    whole = probed()
    assert 0.5 < whole[1] < 0.95
    for block in (1, 7, 39, 40):
        monkeypatch.setattr(probes, "BLOCK", block)
        assert probed() == pytest.approx(whole, abs=1e-12)


# whitening


@few
@given(seeds, st.integers(2, 40), st.integers(1, 8), st.integers(1, 8), st.booleans())
def test_whitened_rows_have_covariance_one(seed, n, d, rank, single):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, min(rank, d))) @ rng.normal(size=(min(rank, d), d)) + rng.normal(size=d)
    x = x.astype(np.float32) if single else x
    mean, kernel = whitening(x)
    white = whiten(x, mean, kernel)
    assert mean == pytest.approx(x.mean(axis=0, dtype=np.float64))
    assert kernel.shape == (d, np.linalg.matrix_rank(x.astype(np.float64) - mean, tol=1e-4))
    assert white.mean(axis=0) == pytest.approx(0, abs=1e-3 if single else 1e-6)
    assert white.T @ white / n == pytest.approx(np.eye(kernel.shape[1]), abs=1e-6)


def test_the_kernel_is_that_of_the_formula_and_not_the_papers():
    x = rows(3, 50, 4)
    mean, kernel = whitening(x)
    values, vectors = np.linalg.eigh(np.cov(x.T, bias=True))
    by_hand = vectors[:, ::-1] / np.sqrt(values[::-1])
    assert np.abs(kernel) == pytest.approx(np.abs(by_hand), rel=1e-9)
    printed = (x - mean) @ (vectors / values)  # Λ^{−1}
    assert np.cov(printed.T, bias=True) == pytest.approx(np.diag(1 / values))


@pytest.mark.parametrize("k", [1, 3, 6])
def test_fewer_dimensions_keep_those_of_largest_variance(k):
    x = rows(4, 60, 6) * [1, 30, 5, 1, 80, 9]
    mean, kernel = whitening(x)
    fewer_mean, fewer = whitening(x, k)
    assert np.array_equal(fewer, kernel[:, :k]) and np.array_equal(fewer_mean, mean)
    variance = 1 / (kernel**2).sum(axis=0)  # U has unit columns
    assert np.all(np.diff(variance) < 0) and variance.sum() == pytest.approx(x.var(axis=0).sum())


def test_rounding_of_single_precision_is_not_blown_up():
    """Layer normalisation fixes the sum of each row, up to rounding."""
    x = torch.nn.functional.layer_norm(torch.randn(300, 16, generator=torch.Generator().manual_seed(0)), (16,)) + 3
    mean, kernel = whitening(x.numpy())
    assert kernel.shape == (16, 15)
    assert whitening(x.double().numpy())[1].shape == (16, 16), "its own dtype says what is rounding"
    assert whiten(x.numpy(), mean, kernel).var(axis=0) == pytest.approx(1)


def test_whitening_needs_something_that_varies():
    for constant in (np.ones((4, 3)), np.full((3000, 2), 0.1), np.full((3000, 2), 0.1, np.float32)):
        with pytest.raises(InputError, match="rows of x are all equal"):
            whitening(constant)
    for k in (0, 4):
        with pytest.raises(InputError, match=f"dimensions is {k}; accepted are 1 to 3"):
            whitening(rows(0, 5, 3), k)
    mean, kernel = whitening(rows(0, 5, 3))
    for x, m, w in ((rows(0, 5, 2), mean, kernel), (rows(0, 5, 3), mean[:2], kernel), (rows(0, 5, 3), mean, kernel[0])):
        with pytest.raises(InputError, match="must be"):
            whiten(x, m, w)


# classes


def naive_knn(train_x, train_y, test_x, test_y, k):
    right = 0
    for x, y in zip(test_x.tolist(), test_y, strict=True):
        near = [(-round(cosine(x, other), 12), row) for row, other in enumerate(train_x.tolist())]
        voters = [(train_y[row], -minus) for minus, row in sorted(near)[:k]]
        score = {c: (sum(v == c for v, _ in voters), sum(s for v, s in voters if v == c), -c) for c, _ in voters}
        right += max(score, key=score.get) == y
    return right / len(test_y)


@few
@given(seeds, st.integers(1, 12), st.integers(1, 9), st.integers(1, 12))
def test_knn_is_the_loop(seed, n, m, k):
    rng = np.random.default_rng(seed)
    x, y = rows(seed, n + m, 3, zero=True), rng.integers(-2, 3, n + m)
    split = x[:n], y[:n], x[n:], y[n:]
    assert knn_accuracy(*split, k=min(k, n)) == naive_knn(*split, k=min(k, n))


@few
@given(seeds, st.integers(2, 15))
def test_the_nearest_of_identical_points_is_the_point(seed, n):
    x, y = rows(seed, n, 4), np.arange(n) % 3
    assert knn_accuracy(x, y, 7 * x, y, k=1) == 1
    assert knn_accuracy(np.repeat(x, 3, axis=0), np.repeat(y, 3), x, y, k=3) == 1


def test_rounding_does_not_decide_between_equal_directions():
    direction = np.random.default_rng(0).normal(size=33)
    train = np.outer(np.random.default_rng(1).uniform(0.1, 9, 200), direction)
    cosines = (probes._directions(direction[None]) @ probes._directions(train).T)[0]
    assert cosines.min() < cosines.max() < cosines.min() + 1e-14
    train = train[np.argsort(cosines)]
    assert knn_accuracy(train, np.arange(200), [direction], [0], k=1) == 1


def test_ties_of_knn():
    x = np.array([[1.0, 0.0], [1.0, 0.0], [0.6, 0.8], [0.6, 0.8]])
    here = [[3.0, 0.0]]
    assert knn_accuracy(x, [5, 4, 4, 4], here, [5], k=1) == 1, "the first of equally near rows"
    assert knn_accuracy(x, [9, 9, 2, 2], here, [9], k=4) == 1, "two votes each: the nearer class"
    assert knn_accuracy(x[:2], [9, 2], here, [2], k=2) == 1, "equally near: the smaller class"
    assert knn_accuracy(x, [1, 0, 0, 0], here, [7], k=4) == 0, "a class that was never seen"


def classes(seed, n=90, d=5, spread=1.0):
    """Three classes around three means."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    return 3 * np.eye(3, d)[y] + spread * rng.normal(size=(n, d)), y


def three_ways(x, y):
    return x[:40], y[:40], x[40:60], y[40:60], x[60:], y[60:]


def test_a_linear_probe_finds_what_is_linear_and_nothing_else():
    x, y = classes(0, spread=0.2)
    assert linear_probe_accuracy(*three_ways(x, y)) == 1
    rng = np.random.default_rng(1)
    assert linear_probe_accuracy(*three_ways(x, rng.permutation(y))) < 0.6
    ring = rng.normal(size=(90, 2))
    ring *= np.where(y[:, None] == 1, 1, 5) / np.linalg.norm(ring, axis=1, keepdims=True)
    assert linear_probe_accuracy(*three_ways(ring, y == 1)) < 0.85 < linear_probe_accuracy(*three_ways(ring**2, y == 1))


def test_rotation_and_scale_do_not_change_a_linear_probe():
    x, y = classes(2)
    turned = 1e-4 * x @ ortho_group.rvs(5, random_state=0) + 3
    assert linear_probe_accuracy(*three_ways(turned, y)) == linear_probe_accuracy(*three_ways(x, y))


def test_c_is_chosen_on_dev_and_never_on_test(monkeypatch):
    fitted = []

    class Stub:
        """Knows the answer to dev by its C, and to everything else by −C."""

        def __init__(self, C, max_iter):
            self.C = C

        def fit(self, x, y):
            fitted.append(len(x))
            return self

        def score(self, x, y):
            return {20: {1.0: 0.7, 2.0: 0.9, 3.0: 0.9}, 30: {1.0: 1.0, 2.0: 0.5, 3.0: 0.6}}[len(x)][self.C]

    monkeypatch.setattr(probes, "LogisticRegression", Stub)
    assert linear_probe_accuracy(*three_ways(*classes(0)), grid=(3.0, 1.0, 2.0)) == 0.5
    assert fitted == [40] * 3


# length


def naive_length_bias(x, lengths, labels):
    cos, difference = [], []
    for i in range(len(x)):
        for j in range(i):
            if labels is None or labels[i] != labels[j]:
                cos.append(cosine(x[i].tolist(), x[j].tolist()))
                difference.append(abs(lengths[i] - lengths[j]))
    ranks = [[sum(w < v for w in values) + (sum(w == v for w in values) + 1) / 2 for v in values]
             for values in (cos, difference)]  # fmt: skip
    return np.corrcoef(*ranks)[0, 1], cos, difference


@few
@given(seeds, st.integers(4, 14), st.booleans(), st.integers(1, 4))
def test_length_bias_is_the_loop(seed, n, controlled, bins):
    rng = np.random.default_rng(seed)
    x, lengths = rng.normal(size=(n, 3)), rng.integers(0, 6, n)
    lengths[:3] = 0, 3, 5
    labels = np.arange(n) % 2 if controlled else None
    result = length_bias(x, lengths, labels, bins=bins)
    correlation, cos, difference = naive_length_bias(x, lengths.tolist(), labels)
    assert result.correlation == pytest.approx(correlation, abs=1e-9, nan_ok=True)
    assert result.n == len(cos) == result.count.sum() and len(result.edges) == len(result.count) + 1 <= bins + 1
    for b, (low, high) in enumerate(zip(result.edges[:-1], result.edges[1:], strict=True)):
        last = b == len(result.count) - 1
        inside = [c for c, v in zip(cos, difference, strict=True) if low <= v and (v <= high if last else v < high)]
        assert result.count[b] == len(inside) > 0
        assert result.similarity[b] == pytest.approx(np.mean(inside), abs=1e-9)


def test_length_bias_is_found_where_it_is():
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 60, 300)
    meaning = rng.normal(size=(300, 8))
    angle = lengths / 40
    biased = np.column_stack([3 * np.cos(angle), 3 * np.sin(angle), meaning])
    fair, found = length_bias(meaning, lengths), length_bias(biased, lengths)
    assert abs(fair.correlation) < 0.05 and found.correlation < -0.4
    assert np.all(np.diff(found.similarity) < 0) and found.n == 300 * 299 // 2


def test_topics_of_their_own_length_are_no_bias_once_labels_are_given():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 12, 400)
    topics = rng.normal(size=(12, 40))
    lengths = 10 * rng.permutation(12)[labels] + rng.integers(0, 5, 400)
    x = topics[labels] + 0.3 * rng.normal(size=(400, 40))
    uncontrolled, controlled = (length_bias(x, lengths, given, pairs=100_000) for given in (None, labels))
    assert uncontrolled.similarity[0] > 0.3 > abs(controlled.similarity).max()
    assert controlled.n == sum(int((labels[:i] != labels[i]).sum()) for i in range(400))


@few
@given(st.integers(2, 40), st.integers(1, 900), seeds)
def test_pairs_are_different_and_drawn_by_the_seed(n, most, seed):
    i, j = probes._pairs(n, most, seed)
    assert len(i) == len(set(zip(i.tolist(), j.tolist(), strict=True))) == min(most, n * (n - 1) // 2)
    assert np.all((j >= 0) & (j < i) & (i < n))
    again, _ = probes._pairs(n, most, seed)
    assert np.array_equal(i, again)


def test_pairs_of_many_texts_are_numbered_exactly():
    n = 3_000_000
    i, j = probes._pairs(n, 2_000, 0)
    assert np.all((j >= 0) & (j < i) & (i < n)) and i.mean() == pytest.approx(2 / 3 * n, rel=0.03)


def test_a_sample_of_pairs_tells_what_all_tell():
    x, lengths = rows(5, 200, 4), np.random.default_rng(5).integers(0, 30, 200)
    every, some, other = (length_bias(x, lengths, pairs=p, seed=s) for p, s in ((50_000, 0), (4_000, 0), (4_000, 1)))
    assert some.n == 4_000 and some.correlation != other.correlation
    assert some.correlation == pytest.approx(every.correlation, abs=0.06)


def test_length_bias_of_what_does_not_vary():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        equal = length_bias(rows(0, 6, 3), [4] * 6)
        collapsed = length_bias(np.outer(np.arange(1, 7), [1.0, 2.0, 3.0]), range(6))
    assert math.isnan(equal.correlation) and equal.count.tolist() == [15] and equal.edges.tolist() == [0, 0]
    assert math.isnan(collapsed.correlation) and collapsed.similarity == pytest.approx(1)


# models


def texts(words, count=150):
    """More texts than a batch holds, some without a word."""
    rng = np.random.default_rng(0)
    offsets = np.cumsum(np.r_[0, rng.integers(0, 7, count)])
    return Encoded(rng.integers(2, words, offsets[-1]).astype(np.int32), offsets)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_bert(tmp_path_factory.mktemp("bert"))


def network(kind, folder):
    torch.manual_seed(1)
    if kind == "encoder":
        return Encoder(backbones.find(str(folder)), 3)
    return BiLSTM(torch.randn(20, 16), 3, attention=kind == "attention")


@pytest.mark.parametrize("kind", ["encoder", "attention", "last states"])
def test_a_representation_is_what_the_model_classifies(kind, folder):
    model, corpus = network(kind, folder).train(), texts(20)
    corpus = Encoded(corpus.flat, np.r_[corpus.offsets, len(corpus.flat)])  # the last text has no word
    wanted = np.array([3, 150, 17, 3, *range(90, 20, -1)])
    found = represent(model, corpus, wanted)
    assert not model.training and found.dtype == np.float32 and found.shape == (len(wanted), 16)
    assert np.array_equal(found, represent(model, corpus, wanted)), "dropout is off"
    for state, row in zip(found, wanted, strict=True):
        batch = collate(corpus, [row])
        with torch.no_grad():
            alone = model.represent(model.embed(batch.ids), batch.lengths)[0]
            logits = model(batch.ids, batch.lengths)[0]
            assert model.output(torch.from_numpy(state)).numpy() == pytest.approx(logits.numpy(), abs=1e-5)
        assert state == pytest.approx(alone.numpy(), abs=1e-5)
    assert represent(model, corpus, []).shape == (0, 16)


@pytest.mark.parametrize("wrong", [[-1], [150], [[0]]])
def test_rows_that_are_no_texts_are_refused(wrong, folder):
    with pytest.raises(InputError, match="from 0 to 149"):
        represent(network("attention", folder), texts(20), wrong)


# what is refused

X, Y = rows(0, 6, 3), np.arange(6) % 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: alignment(X, X[:5]), "same shape"),
        (lambda: alignment(X[:0], X[:0]), "N of 1 or more"),
        (lambda: alignment(X[0], X[0]), "accepted are \\(N, d\\)"),
        (lambda: alignment(X, np.where(X > 0, X, nan)), "y holds values that are not finite"),
        (lambda: uniformity(X[:1]), "N of 2 or more"),
        (lambda: uniformity(X, t=0), "t is 0"),
        (lambda: uniformity(X, t=nan), "t is nan"),
        (lambda: anisotropy(X[:1]), "N of 2 or more"),
        (lambda: whitening(X[:1]), "N of 2 or more"),
        (lambda: knn_accuracy(X, Y, X, Y, k=7), "k is 7; accepted are 1 to 6"),
        (lambda: knn_accuracy(X, Y, X, Y, k=0), "k is 0"),
        (lambda: knn_accuracy(X, Y[:5], X, Y), "train_y has shape \\(5,\\)"),
        (lambda: knn_accuracy(X, Y, X[:, :2], Y), "test_x has shape \\(6, 2\\); accepted are \\(N, 3\\)"),
        (lambda: knn_accuracy(X, Y, X[:0], Y[:0]), "test_x has shape"),
        (lambda: linear_probe_accuracy(X, Y * 0 + 4, X, Y, X, Y), "class 4 alone"),
        (lambda: linear_probe_accuracy(X, Y, X[:0], Y[:0], X, Y), "dev_x has shape"),
        (lambda: linear_probe_accuracy(X, Y, X, Y, X, Y, grid=()), "grid is"),
        (lambda: linear_probe_accuracy(X, Y, X, Y, X, Y, grid=(1.0, 0.0)), "grid is"),
        (lambda: length_bias(X, range(5)), "lengths has shape"),
        (lambda: length_bias(X, [1, 2, 3, 4, 5, nan]), "must not be negative or missing"),
        (lambda: length_bias(X, range(6), Y[:5]), "labels has shape"),
        (lambda: length_bias(X, range(6), Y * 0), "different classes are needed"),
        (lambda: length_bias(X, range(6), pairs=0), "pairs is 0"),
        (lambda: length_bias(X, range(6), bins=0), "bins 0"),
    ],
)
def test_wrong_input_is_refused_in_one_sentence(call, message):
    with pytest.raises(InputError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value) and not str(caught.value).endswith(".")
