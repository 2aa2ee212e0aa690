"""What sentence representations are worth, whatever classifier stands on them: probes for ESimCSE and its relatives.

A representation x is a row of ``(N, d)``; x̂ = x/‖x‖ is its direction. A row of zeros, which a text without words may
have, has none: it stays zero, and its cosine with everything is 0. Everything is computed in float64.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression

from paperkit.errors import InputError
from paperkit.seeds import numpy_generator
from paperkit.text.vocabulary import Encoded

if TYPE_CHECKING:
    from torch import nn

C_GRID = (0.01, 0.1, 1.0, 10.0)
BLOCK = 512
"""Rows that are compared with all others at a time: memory grows with N, not with N²."""


def represent(model: "nn.Module", texts: Encoded, rows: ArrayLike, dtype: str = "float32") -> NDArray[np.float32]:
    """What ``model`` classifies, ``(rows, d)`` in the order of ``rows``, dropout off; leaves it in ``eval()`` mode.

    An :class:`Encoder` gives its pooled states, before any projection head, as SimCSE and ESimCSE are evaluated; a
    :class:`BiLSTM` gives h* or its last states. Rows may repeat. ``dtype`` is that of the computation, ``"float32"`` or
    ``"bfloat16"``. A row that is no text of ``texts`` is an InputError.
    """
    import torch

    from paperkit.text.batches import evaluation_batches
    from paperkit.training.numerics import precision

    rows = np.asarray(rows, dtype=np.int64)
    if rows.ndim != 1 or (rows.size and not (rows.min() >= 0 and rows.max() < len(texts))):
        raise InputError(f"rows must be one row of numbers from 0 to {len(texts) - 1}, those of the texts given")
    once, place = np.unique(rows, return_inverse=True)
    model.eval()
    device = next(model.parameters()).device
    states = np.zeros((len(once), model.output.in_features), dtype=np.float32)
    with torch.no_grad(), precision(device, dtype):
        for batch in evaluation_batches(texts, once):
            on_device = batch.to(device)
            pooled = model.represent(model.embed(on_device.ids), on_device.lengths)
            states[np.searchsorted(once, batch.rows.numpy())] = pooled.float().cpu().numpy()
    return states[place]


def alignment(x: ArrayLike, y: ArrayLike) -> float:
    """How near positive pairs are: mean_i ‖x̂_i − ŷ_i‖², from 0 (equal directions) to 4 (opposite ones).

    ``x`` and ``y`` ``(N, d)``, row i of each the two sides of pair i; else an InputError. Source: Wang & Isola 2020,
    with α = 2.
    """
    x, y = _vectors("x", x), _vectors("y", y)
    if x.shape != y.shape:
        raise InputError(f"x has shape {x.shape}, y {y.shape}; pairs need the same shape")
    return float(((_directions(x) - _directions(y)) ** 2).sum(axis=1).mean())


def uniformity(x: ArrayLike, t: float = 2.0) -> float:
    """How evenly directions cover the sphere: log mean_{i<j} exp(−t ‖x̂_i − x̂_j‖²), from −4t to 0; lower is more even.

    All pairs of the rows of ``x`` ``(N, d)``, N ≥ 2, and t > 0; else an InputError. O(N²d) time. Source: Wang & Isola
    2020.
    """
    if not 0 < t < math.inf:
        raise InputError(f"t is {t}; accepted is a number above 0")
    x = _directions(_vectors("x", x, least=2))
    squares = (x**2).sum(axis=1)  # 1, or 0 for a row of zeros
    parts = []
    for start, stop in _blocks(len(x)):
        # ‖a − b‖² = a² + b² − 2ab, which rounding may make a little negative; each row with those before it
        distances = squares[start:stop, None] + squares[:stop] - 2 * x[start:stop] @ x[:stop].T
        before = np.arange(stop) < np.arange(start, stop)[:, None]
        if before.any():
            parts.append(logsumexp(-t * np.maximum(distances, 0)[before]))
    return float(logsumexp(parts) - math.log(len(x) * (len(x) - 1) / 2))


def anisotropy(x: ArrayLike) -> float:
    """Mean cosine of two different rows, mean_{i<j} x̂_i·x̂_j, in [−1, 1]: near 0 if directions are even, 1 if collapsed.

    ``x`` ``(N, d)``, N ≥ 2; else an InputError. Exact over all pairs in O(Nd): ‖Σ x̂_i‖² holds every pair twice and
    every row with itself. Source: Ethayarajh 2019, there over sampled words.
    """
    x = _directions(_vectors("x", x, least=2))
    return float(((x.sum(axis=0) ** 2).sum() - (x**2).sum()) / (len(x) * (len(x) - 1)))


def whitening(x: ArrayLike, dimensions: int | None = None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean μ ``(d,)`` and kernel W ``(d, k)`` such that (x − μ)W has covariance I; give both to :func:`whiten`.

    Σ = (1/N) Σ_i (x_i − μ)(x_i − μ)ᵀ = U Λ Uᵀ and W = U Λ^{−1/2}, the k largest of Λ first. Column signs are
    arbitrary. Source: Su et al. 2021; paper A prints Λ^{−1}, with which the covariance would be Λ^{−1}.

    ``dimensions`` is k, from 1 to d; None keeps all. Directions in which ``x`` does not vary beyond the rounding of its
    own dtype have no Λ^{−1/2} and are left out, so k may be smaller: the states of an encoder that ends in layer
    normalisation lose one dimension there, and in float32 its rounding would be blown up to unit variance.

    Raises:
        InputError: fewer than two rows, no variation at all, or ``dimensions`` out of range.
    """
    given = np.asarray(x)
    x = _vectors("x", x, least=2)
    n, d = x.shape
    if dimensions is not None and not 1 <= dimensions <= d:
        raise InputError(f"dimensions is {dimensions}; accepted are 1 to {d}, the width of x")
    mean = x.mean(axis=0)
    _, s, vt = np.linalg.svd(x - mean, full_matrices=False)  # more exact than eigenvalues of Σ, which are s²/N
    eps = np.finfo(np.float64).eps * max(n, d)
    if given.dtype.kind == "f":
        eps = max(eps, float(np.finfo(given.dtype).eps))
    kept = np.flatnonzero(s > eps * np.linalg.norm(x))[:dimensions]
    if not len(kept):
        raise InputError("the rows of x are all equal; whitening needs rows that vary")
    return mean, vt[kept].T * (math.sqrt(n) / s[kept])


def whiten(x: ArrayLike, mean: NDArray[np.float64], kernel: NDArray[np.float64]) -> NDArray[np.float64]:
    """(x − μ)W, ``(N, d)`` to ``(N, k)``, with what :func:`whitening` made of the same or of other rows."""
    x = _vectors("x", x)
    if mean.shape != x.shape[1:] or kernel.ndim != 2 or len(kernel) != x.shape[1]:
        raise InputError(f"x {x.shape}, mean {mean.shape} and kernel {kernel.shape} must be (N, d), (d,) and (d, k)")
    return (x - mean) @ kernel


def knn_accuracy(train_x: ArrayLike, train_y: ArrayLike, test_x: ArrayLike, test_y: ArrayLike, k: int = 5) -> float:
    """Accuracy of the vote of the ``k`` training rows of largest cosine.

    Rows ``(N, d)`` with their classes ``(N,)``, any integers, and 1 ≤ k ≤ training rows; else an InputError. Of equally
    near rows the first count; of classes with equally many votes the one whose voters' cosines add up to more wins,
    then the smallest. No training, so nothing is tuned.
    """
    train_x, train_y = _labelled("train", train_x, train_y)
    test_x, test_y = _labelled("test", test_x, test_y, width=train_x.shape[1])
    if not 1 <= k <= len(train_x):
        raise InputError(f"k is {k}; accepted are 1 to {len(train_x)}, the training rows")
    classes, voters = np.unique(train_y, return_inverse=True)
    train_x, test_x = _directions(train_x), _directions(test_x)
    right = 0
    for start, stop in _blocks(len(test_x)):
        # equal rows may differ in the last bit of their cosine, which must not decide a tie
        cosine = np.round(test_x[start:stop] @ train_x.T, 12)
        nearest = np.argsort(-cosine, axis=1, kind="stable")[:, :k]
        votes, weight = np.zeros((2, stop - start, len(classes)))
        rows = np.arange(stop - start)[:, None]
        np.add.at(votes, (rows, voters[nearest]), 1)
        np.add.at(weight, (rows, voters[nearest]), np.take_along_axis(cosine, nearest, axis=1))
        winner = np.where(votes == votes.max(axis=1, keepdims=True), weight, -np.inf).argmax(axis=1)
        right += int((classes[winner] == test_y[start:stop]).sum())
    return right / len(test_x)


def linear_probe_accuracy(
    train_x: ArrayLike,
    train_y: ArrayLike,
    dev_x: ArrayLike,
    dev_y: ArrayLike,
    test_x: ArrayLike,
    test_y: ArrayLike,
    grid: tuple[float, ...] = C_GRID,
) -> float:
    """Test accuracy of logistic regression on the representations: what a linear classifier could get from them.

    L2 penalty, its C the one of ``grid`` with the best dev accuracy, the smallest on a tie; test rows decide nothing,
    dev rows are not trained on. Rows are centred and divided by one number, the training rows' root mean square, so
    that C means the same for every model, and neither a rotation nor a scale of the representations matters.

    Rows ``(N, d)`` with their classes ``(N,)``, any integers, two at least in training; else an InputError.
    """
    train_x, train_y = _labelled("train", train_x, train_y)
    dev_x, dev_y = _labelled("dev", dev_x, dev_y, width=train_x.shape[1])
    test_x, test_y = _labelled("test", test_x, test_y, width=train_x.shape[1])
    if len(np.unique(train_y)) < 2:
        raise InputError(f"train_y holds class {train_y[0]} alone; a linear probe needs two classes or more")
    if not grid or not all(0 < c < math.inf for c in grid):
        raise InputError(f"grid is {grid}; accepted is one value of C or more, each above 0")
    mean = train_x.mean(axis=0)
    scale = math.sqrt(((train_x - mean) ** 2).mean()) or 1.0
    best, best_accuracy = None, -1.0
    for c in sorted(grid):
        model = LogisticRegression(C=c, max_iter=2_000).fit((train_x - mean) / scale, train_y)
        accuracy = model.score((dev_x - mean) / scale, dev_y)
        if accuracy > best_accuracy:
            best, best_accuracy = model, accuracy
    return float(best.score((test_x - mean) / scale, test_y))


@dataclass(frozen=True, eq=False)
class LengthBias:
    """How similarity follows length difference, over ``n`` pairs of texts."""

    correlation: float
    """Spearman's ρ of cosine and |difference of lengths|: negative where texts of unequal length are held to be less
    similar, 0 without bias, nan where one of the two does not vary."""
    n: int
    edges: NDArray[np.float64]
    """Of the bins of length difference, (B + 1,), about equally many pairs in each; bin b is [edge b, edge b + 1),
    the last one closed."""
    similarity: NDArray[np.float64]
    """Mean cosine in each bin (B,)."""
    count: NDArray[np.int64]
    """Pairs in each bin (B,), at least one."""


def length_bias(
    x: ArrayLike,
    lengths: ArrayLike,
    labels: ArrayLike | None = None,
    *,
    pairs: int = 50_000,
    bins: int = 5,
    seed: int = 0,
) -> LengthBias:
    """Does the cosine of two texts follow how much their lengths differ? ESimCSE's reason to exist.

    A positive pair of SimCSE has equal lengths and a negative one hardly ever, so the encoder may learn length instead
    of meaning; word repetition takes that cue away. Source of the question: Wu et al. 2022, ESimCSE.

    Args:
        x: representations ``(N, d)``, N ≥ 2.
        lengths: of the texts, in any unit ``(N,)``.
        labels: classes ``(N,)``. If given, only pairs of *different* classes count: texts on the same topic are both
            more similar and more alike in length, which is no bias.
        pairs: how many different pairs are drawn at most, before ``labels`` leave some out; all if there are no more.
        bins: of length difference, at least 1; fewer are made where many differences are equal.

    Pairs share texts, so they are not ``n`` independent observations: for an interval repeat the run over seeds.
    An InputError if a value is out of range or no pair is left.
    """
    x = _directions(_vectors("x", x, least=2))
    lengths = _column("lengths", lengths, len(x)).astype(np.float64)
    if not (lengths >= 0).all():  # written so that nan fails too
        raise InputError("lengths must not be negative or missing; accepted is one length for each row of x")
    if pairs < 1 or bins < 1:
        raise InputError(f"pairs is {pairs}, bins {bins}; accepted is 1 or more of each")
    i, j = _pairs(len(x), pairs, seed)
    if labels is not None:
        labels = _column("labels", labels, len(x))
        different = labels[i] != labels[j]
        i, j = i[different], j[different]
        if not len(i):
            raise InputError("labels are all of one class among the pairs drawn; pairs of different classes are needed")
    difference = np.abs(lengths[i] - lengths[j])
    cosine = np.concatenate([np.einsum("nd,nd->n", x[i[a:b]], x[j[a:b]]) for a, b in _blocks(len(i))])
    # edges that are differences themselves leave no bin empty
    edges = np.unique(np.quantile(difference, np.linspace(0, 1, bins + 1), method="inverted_cdf"))
    edges = edges if len(edges) > 1 else np.repeat(edges, 2)
    count = np.histogram(difference, edges)[0]
    similarity = np.histogram(difference, edges, weights=cosine)[0] / count
    varies = np.ptp(difference) > 0 and np.ptp(cosine) > 1e-12  # below, rounding
    correlation = float(spearmanr(cosine, difference).statistic) if varies else math.nan
    return LengthBias(correlation, len(i), edges, similarity, count)


def _pairs(n: int, most: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Different pairs of n rows, the larger number first: all, or ``most`` of them drawn without replacement."""
    total = n * (n - 1) // 2
    chosen = numpy_generator(seed, "pairs").choice(total, most, replace=False) if total > most else np.arange(total)
    i = ((1 + np.sqrt(1 + 8 * chosen)) // 2).astype(np.int64)  # pair number i(i − 1)/2 + j, for j < i
    return i, chosen - i * (i - 1) // 2


def _directions(x: NDArray[np.float64]) -> NDArray[np.float64]:
    # first by the largest value: the square of a tiny or huge one is 0 or inf
    x = x / np.maximum(np.abs(x).max(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    norm = np.linalg.norm(x, axis=1, keepdims=True)
    return x / np.where(norm > 0, norm, 1)


def _blocks(n: int) -> Iterator[tuple[int, int]]:
    return ((start, min(start + BLOCK, n)) for start in range(0, n, BLOCK))


def _vectors(name: str, values: ArrayLike, least: int = 1, width: int | None = None) -> NDArray[np.float64]:
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 2 or len(x) < least or not x.shape[1] or width not in (None, x.shape[1]):
        raise InputError(f"{name} has shape {x.shape}; accepted are (N, {width or 'd'}) with N of {least} or more")
    if not np.isfinite(x).all():
        raise InputError(
            f"{name} holds values that are not finite, as a diverged model gives; there is nothing to probe"
        )
    return x


def _labelled(
    split: str, x: ArrayLike, y: ArrayLike, width: int | None = None
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    x = _vectors(f"{split}_x", x, width=width)
    y = _column(f"{split}_y", y, len(x))
    return x, y


def _column(name: str, values: ArrayLike, n: int) -> NDArray:
    column = np.asarray(values)
    if column.shape != (n,):
        raise InputError(f"{name} has shape {column.shape}; one value for each of {n} rows is needed")
    return column
