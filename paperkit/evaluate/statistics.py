"""Intervals and tests: what differences between models are worth, over seeds and over test items.

Over seeds, splits are fixed and initialisation, order and dropout vary. The paired t test decides, Holm within a table;
Welch's test (what paper B likely did) and a bootstrap over test items stand beside it.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from paperkit.seeds import numpy_generator

MOST_SEEDS = 1_000_000
FEWEST = 3
"""Seeds from which on a table tests a difference."""
UNTESTED = (f"With fewer than {FEWEST} seeds nothing is tested: two that differ by the same number of texts would have an interval "
            "of no width.")  # fmt: skip
AGREEING = "Where all seeds differ by the same number of texts, p is n/a: without a spread a t test is no test."


@dataclass(frozen=True)
class Interval:
    """A mean of ``n`` values with its confidence interval."""

    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Test:
    """A two-sided test of "no difference" between the means of a and b, and the interval of ``difference``, a − b."""

    statistic: float
    p: float
    difference: float
    low: float
    high: float
    n: int
    """Number of pairs; for unpaired samples the size of the smaller one."""

    @property
    def spread(self) -> bool:
        """Whether the seeds differ at all: without a spread a t test is no test, and its p says nothing."""
        return self.low != self.high


def mean_interval(values: ArrayLike, level: float = 0.95) -> Interval:
    """Mean over seeds with its t interval. ``values`` (n,); nan are dropped and not counted in ``n``.

    One value has no interval (nan bounds), none has no mean either; equal values have an interval of zero width.
    Infinite values, or more than one row, are a ValueError.
    """
    values = _row("values", values)
    mean, error, n = _summary(values, _rounding(values))
    test = _t_test(mean, error, n - 1, n, level)
    return Interval(mean, test.low, test.high, test.n)


def bootstrap_interval(
    correct_a: ArrayLike, correct_b: ArrayLike | None = None, level: float = 0.95, resamples: int = 9_999, seed: int = 0
) -> Interval:
    """Percentile bootstrap over test items: of the accuracy of a, or of its difference to b on the same items.

    It says what another test set might have shown for these trained models; it knows nothing of other seeds.
    ``correct_a`` and ``correct_b`` are 0 or 1, shape (items,) or (seeds, items); items are drawn once for all seeds and
    for both models, whose numbers of seeds may differ. ``n`` counts items; below two the bounds are nan. Anything else
    is a ValueError. Source: Efron 1979; the same ``seed`` gives the same interval.
    """
    score = _mean_over_seeds("correct_a", correct_a)
    if correct_b is not None:
        score = score - _mean_over_seeds("correct_b", correct_b, len(score))
    return bootstrap_mean(score, level, resamples, seed)


def bootstrap_mean(score: ArrayLike, level: float = 0.95, resamples: int = 9_999, seed: int = 0) -> Interval:
    """Percentile bootstrap of a mean over items; ``score`` (items,) is any number of each."""
    score = _row("score", score)
    n = len(score)
    if n < 2:
        return Interval(float(score.sum()) if n else math.nan, math.nan, math.nan, n)
    # few scores are distinct, and how often each is drawn is multinomial: no array of (resamples, items) is needed
    distinct, count = np.unique(score, return_counts=True)
    drawn = numpy_generator(seed, "bootstrap").multinomial(n, count / n, size=resamples)
    low, high = np.quantile(drawn @ distinct / n, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(score.mean()), float(low), float(high), n)


def wilson(count: int, n: int, level: float = 0.95) -> Interval:
    """Share of ``count`` among ``n`` items with Wilson's score interval; no items have neither.

    It stays within [0, 1] and is no point at 0 of ``n``. ``count`` outside [0, n] is a ValueError. Source: Wilson 1927.
    """
    if not 0 <= count <= n:
        raise ValueError(f"count is {count} of {n}")
    if not n:
        return Interval(math.nan, math.nan, math.nan, 0)
    bounds = stats.binomtest(count, n).proportion_ci(level, method="wilson")
    return Interval(count / n, float(bounds.low), float(bounds.high), n)


def paired_t(a: ArrayLike, b: ArrayLike, level: float = 0.95) -> Test:
    """Paired t test of a against b, seed by seed. ``a`` and ``b`` (n,) in the same order of seeds.

    A pair with a nan is dropped. Fewer than two pairs: statistic, p and bounds are nan. Differences that are all 0:
    statistic nan (0/0), p 1. Differences that are all the same otherwise: statistic ±inf, p 0. In both cases the
    interval has zero width: with few seeds and a small test set that is chance, so look at ``n``.
    """
    a, b = _row("a", a), _row("b", b)
    if len(a) != len(b):
        raise ValueError(f"a has {len(a)} seeds, b {len(b)}; a paired test needs the same seeds.")
    difference, error, n = _summary(a - b, _rounding(a, b))
    return _t_test(difference, error, n - 1, n, level, _rounding(a, b))


def welch_t(a: ArrayLike, b: ArrayLike, level: float = 0.95) -> Test:
    """Welch's t test of a against b, as if their seeds had nothing in common. ``a`` (n_a,), ``b`` (n_b,), nan dropped.

    Degenerate samples as in :func:`paired_t`: fewer than two values on a side, or no spread on either side.
    """
    a, b = _row("a", a), _row("b", b)
    (mean_a, error_a, n_a), (mean_b, error_b, n_b) = _summary(a, _rounding(a, b)), _summary(b, _rounding(a, b))
    error, degrees = math.hypot(error_a, error_b), math.nan
    if error > 0:  # Welch-Satterthwaite
        degrees = 1 / ((error_a / error) ** 4 / (n_a - 1) + (error_b / error) ** 4 / (n_b - 1))
    return _t_test(mean_a - mean_b, error, degrees, min(n_a, n_b), level, _rounding(a, b))


def holm(p_values: Sequence[float]) -> NDArray[np.float64]:
    """Holm's adjusted p values, in the given order. nan stays nan and does not count as a test.

    Values outside [0, 1] are a ValueError. Source: Holm 1979.
    """
    p = _row("p_values", p_values)
    if np.any((p < 0) | (p > 1)):
        raise ValueError("p_values must lie in [0, 1].")
    adjusted = np.full(len(p), math.nan)
    order = np.argsort(p, kind="stable")[: int(np.count_nonzero(~np.isnan(p)))]  # nan sorts last
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)), 1)
    return adjusted


def power_seeds(difference: float, sd: float, alpha: float = 0.05, power: float = 0.8) -> int | float:
    """How many seeds a two-sided paired t test needs to find ``difference`` with probability ``power``.

    ``sd`` ≥ 0 is the standard deviation over seeds of the paired difference, in the same unit; ``alpha`` and ``power``
    lie in (0, 1); else a ValueError. A whole number ≥ 2; inf where ``MOST_SEEDS`` would not do.
    """
    if not (math.isfinite(difference) and 0 <= sd < math.inf and 0 < alpha < 1 and 0 < power < 1):
        raise ValueError(f"difference {difference}, sd {sd}: finite, sd ≥ 0; alpha {alpha}, power {power}: in (0, 1).")
    if difference == 0 or sd == 0:
        return 2 if difference else math.inf

    def power_of(n: int) -> float:
        # the square of a noncentral t is a noncentral F, which SciPy evaluates where its noncentral t gives nan
        return stats.ncf.sf(stats.t.isf(alpha / 2, n - 1) ** 2, 1, n - 1, n * (difference / sd) ** 2)

    n = bisect_left(range(MOST_SEEDS), power, lo=2, key=power_of)  # power grows with n
    return n if n < MOST_SEEDS else math.inf


def _t_test(difference: float, error: float, degrees: float, n: int, level: float, rounding: float = 0.0) -> Test:
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; it must lie within (0, 1).")
    if math.isnan(error):
        return Test(math.nan, math.nan, difference, math.nan, math.nan, n)
    if error == 0 and abs(difference) <= rounding:
        return Test(math.nan, 1.0, 0.0, 0.0, 0.0, n)
    if error == 0:
        return Test(math.copysign(math.inf, difference), 0.0, difference, difference, difference, n)
    statistic, half = difference / error, float(stats.t.ppf((1 + level) / 2, degrees)) * error
    p = float(2 * stats.t.sf(abs(statistic), degrees))
    return Test(statistic, p, difference, difference - half, difference + half, n)


def _rounding(*samples: NDArray[np.float64]) -> float:
    """Below this a spread or a difference of the samples is floating-point noise: .9 − .8 is not exactly .8 − .7."""
    return 8 * np.finfo(float).eps * float(np.abs(np.nan_to_num(np.concatenate(samples))).max(initial=0.0))


def _summary(values: NDArray[np.float64], rounding: float) -> tuple[float, float, int]:
    """Mean, its standard error and the number of the values that are not nan."""
    values = values[~np.isnan(values)]
    mean = float(values.mean()) if len(values) else math.nan
    if len(values) < 2:
        return mean, math.nan, len(values)
    spread = 0.0 if np.ptp(values) <= rounding else float(values.std(ddof=1))
    return mean, spread / math.sqrt(len(values)), len(values)


def _row(name: str, values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or np.isinf(array).any():
        raise ValueError(f"{name} must be one row of finite numbers or nan, not of shape {array.shape} or infinite.")
    return array


def _mean_over_seeds(name: str, correct: ArrayLike, items: int | None = None) -> NDArray[np.float64]:
    array = np.atleast_2d(np.asarray(correct, dtype=np.float64))
    if array.ndim != 2 or not len(array) or not np.isin(array, (0, 1)).all():
        raise ValueError(f"{name} must hold only 0 and 1, in the shape (items,) or (seeds, items).")
    if items not in (None, array.shape[1]):
        raise ValueError(f"{name} has {array.shape[1]} items, correct_a {items}; they must be the same items.")
    return array.mean(axis=0)
