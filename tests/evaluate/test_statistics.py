"""Statistics against their formulas written out, against SciPy, and in every degenerate case."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from paperkit.evaluate import statistics as s

unhurried = settings(deadline=None)  # a busy machine may pause in any example
# multiples of 1/64: sums and differences are exact, so invariants hold to the bit
grid = st.integers(-64, 64).map(lambda n: n / 64)
samples = st.lists(grid, min_size=2, max_size=12)
pairs = st.lists(st.tuples(grid, grid), min_size=2, max_size=12)
nan, inf = math.nan, math.inf


def fields(result):
    return list(vars(result).values())


def same(result, expected):
    assert fields(result) == pytest.approx(expected, nan_ok=True)


# intervals over seeds


def test_interval_by_hand():
    values = [0.90, 0.92, 0.91, 0.95, 0.92]
    mean = sum(values) / 5
    half = 2.776445 * math.sqrt(sum((v - mean) ** 2 for v in values) / 4) / math.sqrt(5)  # t table, 4 degrees, .975
    assert fields(s.mean_interval(values)) == pytest.approx([mean, mean - half, mean + half, 5], rel=1e-6)


@unhurried
@given(samples)
def test_interval_contains_its_mean_and_grows_with_the_level(values):
    narrow, wide = s.mean_interval(values, 0.8), s.mean_interval(values, 0.99)
    assert wide.low <= narrow.low <= narrow.mean <= narrow.high <= wide.high
    assert narrow.mean == pytest.approx(sum(values) / len(values))


@unhurried
@given(samples)
def test_interval_equals_scipy(values):
    assume(len(set(values)) > 1)
    low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
    same(s.mean_interval(values), [np.mean(values), low, high, len(values)])


@unhurried
@given(samples, st.integers(0, 3))
def test_missing_values_are_dropped_and_not_counted(values, missing):
    assert s.mean_interval(values + [nan] * missing) == s.mean_interval(values)
    assert s.mean_interval(values + [nan] * missing).n == len(values)


def test_interval_of_few_or_equal_values():
    same(s.mean_interval([]), [nan, nan, nan, 0])
    same(s.mean_interval([nan]), [nan, nan, nan, 0])
    same(s.mean_interval([0.9]), [0.9, nan, nan, 1])
    for value in (0.1, 0.0, -3.0):
        interval = s.mean_interval([value] * 7)
        assert interval.low == interval.mean == interval.high == pytest.approx(value)


@unhurried
@given(st.integers(0, 60), st.integers(0, 60))
def test_wilson_holds_the_shares_whose_score_test_does_not_reject(count, others):
    n = count + others
    assume(n)
    found, z = s.wilson(count, n), stats.norm.ppf(0.975)
    assert found.mean == count / n and found.n == n and 0 <= found.low <= found.mean <= found.high <= 1
    for p in (found.low, found.high):  # (p̂ − p)² = z² p (1 − p) / n at both ends, unless an end is cut off
        assert p in (0, 1) or (found.mean - p) ** 2 == pytest.approx(z * z * p * (1 - p) / n, abs=1e-9)


def test_wilson_of_none_and_of_more_than_all():
    same(s.wilson(0, 0), [nan, nan, nan, 0])
    assert s.wilson(0, 5).high > 0.4, "none of five is not known to be none"
    for count, n in ((-1, 3), (4, 3)):
        with pytest.raises(ValueError, match=f"count is {count} of {n}"):
            s.wilson(count, n)


def test_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = 0
    for values in rng.normal(size=(2000, 5)):
        interval = s.mean_interval(values)
        covered += interval.low <= 0 <= interval.high
    assert covered / 2000 == pytest.approx(0.95, abs=0.015)  # three standard errors


# bootstrap over items


def naive_bootstrap(a, b, resamples, rng):
    a, b = np.atleast_2d(a), np.atleast_2d(b)
    n = a.shape[1]
    means = []
    for _ in range(resamples):
        items = rng.integers(0, n, n)
        means.append(np.mean([row[items].mean() for row in a]) - np.mean([row[items].mean() for row in b]))
    return np.quantile(means, [0.025, 0.975])


def correct(seed, shape, accuracy):
    return np.random.default_rng(seed).random(shape) < accuracy


def test_bootstrap_equals_drawing_items():
    hard = np.random.default_rng(5).random(80) < 0.3  # the seeds err on the same items, so items must be drawn jointly
    a, b = correct(1, (3, 80), 0.95) & ~hard, correct(2, (2, 80), 0.8)
    interval = s.bootstrap_interval(a, b, resamples=20_000)
    low, high = naive_bootstrap(a, b, 5_000, np.random.default_rng(3))
    assert interval.mean == pytest.approx(a.mean() - b.mean())
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=0.01)
    assert interval.n == 80


def test_bootstrap_equals_scipy():
    a = correct(1, 60, 0.8).astype(float)
    theirs = stats.bootstrap((a,), np.mean, method="percentile", rng=np.random.default_rng(0)).confidence_interval
    ours = s.bootstrap_interval(a)
    assert (ours.low, ours.high) == pytest.approx(theirs, abs=0.02)


def test_bootstrap_agrees_with_the_t_interval_on_many_items():
    a, b = correct(1, 5_000, 0.9), correct(2, 5_000, 0.85)
    for boot, t in (
        (s.bootstrap_interval(a), s.mean_interval(a)),
        (s.bootstrap_interval(a, b), s.mean_interval(a.astype(float) - b)),
    ):
        assert fields(boot) == pytest.approx(fields(t), abs=0.0015)


@unhurried
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=30), st.integers(0, 9))
def test_bootstrap_depends_on_the_seed_and_not_on_the_order_of_items(items, seed):
    a, b = np.array(items).T
    first = s.bootstrap_interval(a, b, resamples=200, seed=seed)
    assert first == s.bootstrap_interval(a, b, resamples=200, seed=seed)
    assert fields(first) == pytest.approx(fields(s.bootstrap_interval(a[::-1], b[::-1], resamples=200, seed=seed)))
    assert -1 <= first.low <= first.high <= 1


def test_another_seed_draws_other_items():
    a = correct(1, 200, 0.7)
    assert s.bootstrap_interval(a, seed=0, resamples=150) != s.bootstrap_interval(a, seed=1, resamples=150)


def test_bootstrap_of_few_or_equal_items():
    same(s.bootstrap_interval([]), [nan, nan, nan, 0])
    same(s.bootstrap_interval([1]), [1, nan, nan, 1])
    same(s.bootstrap_interval([1, 1, 1]), [1, 1, 1, 3])
    same(s.bootstrap_interval([[1, 0, 1]], [[1, 0, 1]]), [0, 0, 0, 3])


@pytest.mark.parametrize(
    ("a", "b"), [([0, 1, 1], [0, 1]), ([0.5, 1], None), ([0, nan], None), (np.ones((2, 2, 2)), None)]
)
def test_bootstrap_refuses_what_is_not_right_or_wrong(a, b):
    with pytest.raises(ValueError):
        s.bootstrap_interval(a, b)


# t tests


@unhurried
@given(pairs)
def test_paired_t_equals_scipy(values):
    a, b = np.array(values).T
    assume(np.ptp(a - b) > 0)
    theirs = stats.ttest_rel(a, b)
    low, high = theirs.confidence_interval(0.95)
    same(s.paired_t(a, b), [theirs.statistic, theirs.pvalue, np.mean(a - b), low, high, len(a)])


@unhurried
@given(samples, samples)
def test_welch_t_equals_scipy(a, b):
    assume(len(set(a)) > 1 and len(set(b)) > 1)
    theirs = stats.ttest_ind(a, b, equal_var=False)
    low, high = theirs.confidence_interval(0.95)
    same(s.welch_t(a, b), [theirs.statistic, theirs.pvalue, np.mean(a) - np.mean(b), low, high, min(len(a), len(b))])


@pytest.mark.parametrize("test", [s.paired_t, s.welch_t])
def test_seeds_that_differ_by_the_same_have_no_spread(test):
    assert not test([0.3, 0.3, 0.3], [0.2, 0.2, 0.2]).spread
    assert test([0.3, 0.31, 0.3], [0.2, 0.2, 0.2]).spread


def test_paired_t_by_hand():
    difference = np.array([0.03, 0.01, 0.02, 0.04])  # mean .025, SD .0129099, standard error .00645497
    test = s.paired_t(0.9 + difference, [0.9] * 4)
    half = 3.182446 * 0.00645497  # t table, 3 degrees, .975
    assert fields(test) == pytest.approx([3.872983, 0.030466, 0.025, 0.025 - half, 0.025 + half, 4], rel=1e-4)


@unhurried
@given(pairs, st.lists(grid, min_size=12, max_size=12))
def test_what_a_seed_does_to_both_models_cancels(values, of_seed):
    a, b = np.array(values).T
    shift = np.array(of_seed[: len(a)])
    assert fields(s.paired_t(a + shift, b + shift)) == pytest.approx(fields(s.paired_t(a, b)), nan_ok=True)


@unhurried
@given(pairs)
@pytest.mark.parametrize("test", [s.paired_t, s.welch_t])
def test_swapping_the_models_turns_the_sign(test, values):
    a, b = np.array(values).T
    forth, back = test(a, b), test(b, a)
    same(back, [-forth.statistic, forth.p, -forth.difference, -forth.high, -forth.low, forth.n])


@unhurried
@given(pairs)
@pytest.mark.parametrize("test", [s.paired_t, s.welch_t])
def test_p_and_interval_say_the_same(test, values):
    result = test(*np.array(values).T)
    assume(abs(result.p - 0.05) > 1e-9)
    assert (result.p < 0.05) == (result.low > 0 or result.high < 0)


@pytest.mark.parametrize("test", [s.paired_t, s.welch_t])
def test_too_few_seeds_are_nan(test):
    same(test([], []), [nan, nan, nan, nan, nan, 0])
    same(test([0.9], [0.8]), [nan, nan, 0.9 - 0.8, nan, nan, 1])
    same(test([0.9, nan], [0.8, nan]), [nan, nan, 0.9 - 0.8, nan, nan, 1])


@pytest.mark.parametrize("test", [s.paired_t, s.welch_t])
def test_no_spread_at_all(test):
    same(test([0.9] * 3, [0.9] * 3), [nan, 1, 0, 0, 0, 3])
    same(test([0.9] * 3, [0.8] * 3), [inf, 0, 0.1, 0.1, 0.1, 3])
    same(test([0.8] * 3, [0.9] * 3), [-inf, 0, -0.1, -0.1, -0.1, 3])


def test_a_spread_that_is_only_rounding_is_none():
    assert 0.9 - 0.8 != 0.8 - 0.7 != 0.7 - 0.6
    same(s.paired_t([0.9, 0.8, 0.7], [0.8, 0.7, 0.6]), [inf, 0, 0.1, 0.1, 0.1, 3])
    almost = [0.1 + 0.2, 0.1 + 0.2, 0.3]
    same(s.paired_t(almost, [0.3] * 3), [nan, 1, 0, 0, 0, 3])


def test_one_side_without_spread_is_welchs_business():
    result = s.welch_t([0.9, 0.9, 0.9], [0.7, 0.8, 0.9])
    alone = stats.ttest_1samp([0.7, 0.8, 0.9], 0.9)  # only b's error and degrees of freedom are left
    assert (result.statistic, result.p) == pytest.approx((-alone.statistic, alone.pvalue))


def test_a_missing_seed_takes_its_pair_along():
    assert s.paired_t([1, 2, 4, nan], [0, 3, 1, 1]) == s.paired_t([1, 2, 4], [0, 3, 1])
    assert s.paired_t([1, 2, 4, 9], [0, 3, 1, nan]) == s.paired_t([1, 2, 4], [0, 3, 1])
    assert s.welch_t([1, 2, 4, nan], [0, nan, 3]) == s.welch_t([1, 2, 4], [0, 3])


def test_wrong_samples_are_refused():
    with pytest.raises(ValueError, match="same seeds"):
        s.paired_t([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match="infinite"):
        s.welch_t([1, inf], [1, 2])
    with pytest.raises(ValueError, match="one row"):
        s.mean_interval([[1, 2]])
    with pytest.raises(ValueError, match="level"):
        s.mean_interval([1, 2], level=95)


# Holm


def naive_holm(p):
    m = len(p)
    order = sorted(range(m), key=lambda i: p[i])
    adjusted, largest = [0.0] * m, 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1, (m - rank) * p[i]))
        adjusted[i] = largest
    return adjusted


p_values = st.lists(st.floats(0, 1), max_size=12)


@unhurried
@given(p_values)
def test_holm_equals_the_loop(p):
    assert s.holm(p).tolist() == pytest.approx(naive_holm(p))


@unhurried
@given(p_values)
def test_holm_is_monotone_and_never_below_the_raw_value(p):
    adjusted = s.holm(p)
    assert np.all(adjusted >= np.array(p)) and np.all(adjusted <= 1)
    assert np.all(np.diff(adjusted[np.argsort(p)]) >= 0)


@unhurried
@given(p_values, st.integers(0, 3))
def test_holm_ignores_what_was_not_tested(p, missing):
    adjusted = s.holm([nan] * missing + p)
    assert np.isnan(adjusted[:missing]).all()
    assert np.array_equal(adjusted[missing:], s.holm(p))


def test_holm_by_hand():
    assert s.holm([0.04, nan, 0.01, 0.03]) == pytest.approx([0.06, nan, 0.03, 0.06], nan_ok=True)
    for wrong in ([-0.1], [1.1], [[0.5]]):
        with pytest.raises(ValueError):
            s.holm(wrong)


# power


@pytest.mark.parametrize(("effect", "n"), [(0.2, 199), (0.5, 34), (0.8, 15), (1.0, 10)])
def test_power_equals_published_tables(effect, n):
    assert s.power_seeds(effect, 1.0) == n  # G*Power 3, two dependent means, two-sided .05, power .8
    assert s.power_seeds(-effect / 100, 0.01) == n


def test_power_is_the_share_of_significant_tests():
    rng, difference, sd = np.random.default_rng(0), 0.012, 0.01
    n = s.power_seeds(difference, sd)

    def share(n):
        return (stats.ttest_1samp(rng.normal(difference, sd, (20_000, n)), 0, axis=1).pvalue < 0.05).mean()

    assert share(n) > 0.79 and share(n - 1) < 0.8


@unhurried
@given(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3), st.sampled_from([0.5, 0.8, 0.95]))
def test_larger_differences_need_no_more_seeds(difference, sd, power):
    n = s.power_seeds(difference, sd, power=power)
    assert n >= 2 and s.power_seeds(2 * difference, sd, power=power) <= n <= s.power_seeds(difference, sd, power=0.99)


def test_power_at_the_ends():
    assert s.power_seeds(0, 1) == inf
    assert s.power_seeds(0, 0) == inf
    assert s.power_seeds(0.1, 0) == 2
    assert s.power_seeds(1e-9, 1) == inf
    assert s.power_seeds(1e9, 1) == 2
    for wrong in ((nan, 1), (1, -1), (1, nan), (1, 1, 0), (1, 1, 0.05, 1)):
        with pytest.raises(ValueError):
            s.power_seeds(*wrong)


def test_a_surer_interval_is_a_wider_one():
    right = np.arange(60) % 3 > 0
    for narrow, wide in ((s.bootstrap_interval(right, level=0.5), s.bootstrap_interval(right, level=0.99)),
                         (s.wilson(4, 9, 0.5), s.wilson(4, 9, 0.99))):  # fmt: skip
        assert wide.low < narrow.low < narrow.high < wide.high
