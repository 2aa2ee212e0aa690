"""Each measurement on numbers made by hand, and every measurement of claims.yml on files that keep the contract."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from paperkit.claims import Evidence, claims, ledger
from paperkit.claims.evidence import MEASURES, SHARES, every
from paperkit.claims.ledger import NOT_TESTABLE
from paperkit.claims.reasons import NotTestableError
from paperkit.papers import EQUAL_BUDGET, paper_a, relatives

SEEDS = range(6)
TEN = [method.name for method in paper_a()]
FAMILY = ["Baseline", *(method.name for method in relatives())]
PAPER_B = ["Bi-LSTM", "Bi-LSTM-Att", "Bi-LSTM-Att-Focal"]


def write(folder, name, rows):
    pd.DataFrame(rows).to_csv(folder / f"{name}.csv", index=False)


@pytest.fixture
def everything(tmp_path):
    """Every file that the ledger reads, with the columns of the contract and random numbers."""
    draw = np.random.default_rng(0)

    def row(columns, **place):
        return (
            place | {"seed": place.get("seed", 0)} | dict(zip(columns, draw.random(len(columns)).tolist(), strict=True))
        )

    b = ("accuracy", "f1", "recall", "specificity")
    platforms = ("ctrip", "qunar")
    for name, same in (("b_table_4_runs", True), ("b_table_3_runs", False)):
        pairs = [(x, y) for x, y in product(platforms, platforms) if (x == y) == same]
        write(tmp_path, name, [row(b, corpus="reviews", train_on=x, test_on=y, model=m, seed=s)
                               for (x, y), m, s in product(pairs, PAPER_B, SEEDS)])  # fmt: skip
    write(tmp_path, "b_fig_6", [row(("train_loss", "dev_ce"), model=m, seed=s, epoch=e)
                                for m, s, e in product(PAPER_B, SEEDS, range(1, 5))])  # fmt: skip
    kept = {"as published": 900, "non-core reviews kept": 1000}
    write(tmp_path, "x_b_ablations_runs", [row(("accuracy", "f1_macro"), corpus="reviews", model=m, seed=s, n_train=n)
                                           for (m, n), s in product(kept.items(), SEEDS)])  # fmt: skip
    a = ("accuracy", "f1_macro", "manual_accuracy", "tail_f1", "sibling_confusion", "corrected", "repeated")
    both = ("newswire", "tickets")
    svm = [row(a, corpus=c, model="TF-IDF + SVM", seed="") for c in both]
    write(
        tmp_path, "a_table_3_runs", [row(a, corpus=c, model=m, seed=s) for c, m, s in product(both, TEN, SEEDS)] + svm
    )
    write(tmp_path, "a_table_4_runs", [row(("sa", "ra"), corpus=c, model=m, attack=k, epsilon=e, seed=s)
                                       for c, m, k, e, s in product(both, TEN, ("fgm", "pgd"), (0.1, 0.4), SEEDS)])  # fmt: skip
    write(
        tmp_path, "a_fig_3_runs", [row(("spread",), corpus=c, model=m, seed=s) for c, m, s in product(both, TEN, SEEDS)]
    )
    sup = ("ce_step_sd", "ce_steps_to_half", "ce_halved")
    for number, corpus in ((4, "newswire"), (5, "tickets")):
        write(
            tmp_path, f"a_fig_{number}_runs", [row(sup, corpus=corpus, model=m, seed=s) for m, s in product(TEN, SEEDS)]
        )
    write(tmp_path, "x_uda_family_runs", [row(("accuracy", "tail_f1"), corpus="tickets", model=m, seed=s)
                                          for m, s in product(FAMILY, SEEDS)])  # fmt: skip
    write(tmp_path, "x_equal_budget_runs", [row(("accuracy",), corpus=c, model=m, seed=s)
                                            for c, m, s in product(both, ("Baseline+FGM", EQUAL_BUDGET), SEEDS)])  # fmt: skip
    write(tmp_path, "x_pool_size_runs", [row(("accuracy",), corpus="tickets", model="UDA", pool=p, balanced=q, seed=s)
                                         for (p, q), s in product([(0.1, 0), (0.3, 0), (0.3, 1), (1.0, 0)], SEEDS)]
          + [row(("accuracy",), corpus="tickets", model="Baseline", pool=0.0, balanced=0, seed=s) for s in SEEDS])  # fmt: skip
    write(tmp_path, "x_branches_runs", [row(("accuracy",), corpus="tickets", model=m, branches=k, seed=s)
                                        for m, k, s in product(TEN[:3], (0.0, 0.5), SEEDS)])  # fmt: skip
    return tmp_path


def test_with_every_file_every_claim_is_measured(everything):
    found = ledger(Evidence(everything))
    assert {f.claim.id: f.reason for f in found if f.verdict == NOT_TESTABLE} == {}
    assert {f.n for f in found} == {len(SEEDS)}
    assert {f.claim.measurement["name"] for f in found} == set(MEASURES), "a measurement that nothing uses"


def test_the_names_of_models_are_those_that_are_trained():
    known = {*TEN, *FAMILY, EQUAL_BUDGET, "as published", "non-core reviews kept", *PAPER_B}
    for claim in claims():
        m = claim.measurement
        named = [name for pair in m.get("pairs", []) for name in pair] + m.get("models", [])
        named += [m[key] for key in ("model", "rival") if key in m]
        assert set(named) <= known, claim.id


def measured(folder, name, **arguments):
    return MEASURES[name](Evidence(folder), **arguments)


def test_a_gain_is_paired_by_seed_whatever_the_order_of_the_rows(tmp_path):
    rows = [("tickets", "A", 0, 0.5), ("tickets", "A", 1, 0.7), ("tickets", "B", 1, 0.4), ("tickets", "B", 0, 0.3)]
    frame = pd.DataFrame(rows, columns=["corpus", "model", "seed", "accuracy"])
    for order in ([0, 1, 2, 3], [3, 1, 0, 2]):
        frame.iloc[order].to_csv(tmp_path / "x_runs.csv", index=False)
        sample = measured(tmp_path, "gain", exhibit="x", metric="accuracy", pairs=[["A", "B"]])
        assert np.allclose(sample.values, [0.2, 0.3]) and sample.seeds == (0, 1)


def test_a_seed_that_one_of_them_lacks_is_left_out(tmp_path):
    rows = [("t", m, s, 0.1 * s) for m in "AB" for s in range(3)][:-1]
    write(tmp_path, "x_runs", [dict(zip(("corpus", "model", "seed", "accuracy"), row, strict=True)) for row in rows])
    sample = measured(tmp_path, "gain", exhibit="x", metric="accuracy", pairs=[["A", "B"]])
    assert sample.seeds == (0, 1)


def test_a_model_with_two_rows_per_seed_is_not_averaged_in_silence(tmp_path):
    rows = [{"corpus": "t", "model": m, "seed": 0, "accuracy": 0.1} for m in "AAB"]
    write(tmp_path, "x_runs", rows)
    with pytest.raises(NotTestableError, match="more than one row per seed"):
        measured(tmp_path, "gain", exhibit="x", metric="accuracy", pairs=[["A", "B"]])


def test_a_treatment_that_hardly_differs_is_not_judged(tmp_path):
    rows = [{"corpus": "t", "model": m, "seed": s, "accuracy": 0.1, "n_train": n}
            for m, n in (("A", 9868), ("B", 9869)) for s in range(5)]  # fmt: skip
    write(tmp_path, "x_runs", rows)
    with pytest.raises(NotTestableError, match=r"n_train is 9,868 for 'A' and 9,869 for 'B'"):
        measured(tmp_path, "gain", exhibit="x", metric="accuracy", pairs=[["A", "B"]], differs="n_train")


def platform_rows(**values):
    return [{"corpus": "reviews", "train_on": p, "test_on": p, "model": m, "seed": s} | {k: f(p, m, s) for k, f in values.items()}
            for p, m, s in product(("x", "y"), PAPER_B, range(3))]  # fmt: skip


def test_platforms_count_the_same_and_the_range_is_said(tmp_path):
    gains = {"x": 0.1, "y": 0.3}
    rows = platform_rows(accuracy=lambda p, m, s: 0.5 + 0.01 * s + gains[p] * (m == PAPER_B[2]))
    write(tmp_path, "b_table_4_runs", rows)
    sample = measured(tmp_path, "platform_gain", exhibit="b_table_4", metric="accuracy", rival="Bi-LSTM")
    assert np.allclose(sample.values, 0.2) and len(sample.values) == 3
    assert "2 pairs" in sample.detail and "+10.0 (x → x) to +30.0 (y → y)" in sample.detail


def test_the_extra_gain_is_against_the_largest_other_one(tmp_path):
    step = dict(zip(("accuracy", "f1", "recall", "specificity"), (0.1, 0.2, -0.3, 0.25), strict=True))
    rows = platform_rows(**{k: (lambda p, m, s, v=v: 0.5 + v * (m == PAPER_B[2])) for k, v in step.items()})
    write(tmp_path, "b_table_4_runs", rows)
    sample = measured(tmp_path, "platform_extra_gain", exhibit="b_table_4", metric="specificity", rival="Bi-LSTM")
    assert np.allclose(sample.values, 0.05)


@pytest.mark.parametrize("shift", [0.0, 0.3, -0.3])
def test_all_of_several_contrasts_are_tested_each_by_itself(shift):
    values = pd.DataFrame(np.random.default_rng(0).normal(shift + np.array([0.0, 0.1, 0.05]), 0.1, (9, 3)))
    values = values.round(9)
    sample = every(values, pd.DataFrame({"corpus": ["c"]}))
    each = [stats.ttest_1samp(column, 0) for _, column in values.items()]
    assert sample.bounds[0] == pytest.approx(values.mean().min())
    assert sample.bounds[1] == pytest.approx(min(test.confidence_interval(0.95).low for test in each))
    assert sample.bounds[2] == pytest.approx(min(test.confidence_interval(1 - 0.05 / 3).high for test in each))
    assert sample.values.mean() == pytest.approx(sample.bounds[0]), "what stands seed by seed has this mean"
    above, below = sample.bounds[1] > 0, sample.bounds[2] < 0
    assert (above, below) == (shift > 0, shift < 0) and (sample.p < 0.05) == (above or below)


def test_models_that_are_alike_are_not_told_apart_by_the_best_of_each_seed():
    """The mean of the minima over seeds is below 0 where no contrast is."""
    draws = np.random.default_rng(1).normal(0, 1, (400, 20, 3))
    rows = pd.DataFrame({"corpus": ["c"]})
    found = [every(pd.DataFrame(draw).round(9), rows).bounds for draw in draws]
    assert np.mean([high < 0 for _, _, high in found]) < 0.05 and np.mean([low > 0 for _, low, _ in found]) < 0.05
    assert np.mean([stats.ttest_1samp(draw.min(axis=1), 0).pvalue < 0.05 for draw in draws]) > 0.5


def test_one_platform_has_no_other_one(tmp_path):
    pd.DataFrame(columns=["corpus", "train_on", "test_on", "model", "seed", "accuracy"]).to_csv(
        tmp_path / "b_table_3_runs.csv", index=False
    )
    with pytest.raises(NotTestableError, match="one platform"):
        measured(tmp_path, "platform_level", exhibit="b_table_3", metric="accuracy")


def test_a_platform_without_dev_texts_has_no_common_loss_to_compare(tmp_path):
    rows = [{"model": m, "seed": s, "epoch": e, "dev_ce": np.nan} for m, s, e in product(PAPER_B, range(3), (1, 2, 3))]
    write(tmp_path, "b_fig_6", rows)
    with pytest.raises(NotTestableError, match="dev_ce is not defined on these data for Bi-LSTM"):
        measured(tmp_path, "loss_below_rivals", exhibit="b_fig_6", column="dev_ce")


def test_losses_are_compared_at_the_last_epoch_and_with_the_better_rival(tmp_path):
    ends = dict(zip(PAPER_B, (0.4, 0.3, 0.1), strict=True))
    rows = [{"model": m, "seed": s, "epoch": e, "dev_ce": ends[m] + (4 - e) * (0.1 if m == PAPER_B[2] else 0.2) * (e != 3)}
            for m, s, e in product(PAPER_B, range(3), (4, 3, 2, 1))]  # fmt: skip
    write(tmp_path, "b_fig_6", rows)
    assert np.allclose(measured(tmp_path, "loss_below_rivals", exhibit="b_fig_6", column="dev_ce").values, 0.2)
    steps = measured(tmp_path, "loss_below_rivals", exhibit="b_fig_6", column="dev_ce", steps=True).values
    assert np.allclose(steps, np.std([-0.2, -0.4, 0.0], ddof=1) - np.std([-0.1, -0.2, 0.0], ddof=1))


@pytest.mark.parametrize(
    ("effects", "verdict"),
    [
        ((0.1, -0.1), "supported"),
        ((0.1, 0.2), "contradicted"),
        ((-0.1, -0.2), "contradicted"),
        ((0.1, 0.0), "inconclusive"),
    ],
)
def test_both_signs(tmp_path, effects, verdict):
    noise = [0.01, -0.01, 0.005, -0.005, 0.0, 0.002]
    rows = [{"corpus": c, "model": m, "seed": s, "accuracy": 0.5 + (e + noise[s]) * (m != "Baseline")}
            for c in ("newswire", "tickets") for m, e in (("Baseline", 0), ("Baseline+FGM", effects[0]),
                                                          ("Baseline+PGD", effects[1])) for s in SEEDS]  # fmt: skip
    write(tmp_path, "a_table_3_runs", rows)
    (found,) = ledger(Evidence(tmp_path), [claim for claim in claims() if claim.id == "A4a"])
    assert found.verdict == verdict


@pytest.mark.parametrize(
    ("effects", "decide"),
    [((0.004, 0.02), [0]), ((-0.02, -0.004), [1]), ((0.004, -0.003), [0, 1]), ((0.05, -0.003), [1])],
    ids=["the weaker gain", "the weaker loss", "both", "the weaker sign"],
)
def test_effects_of_both_signs_say_how_many_seeds_would_decide(tmp_path, effects, decide):
    """Two effects on each corpus, alike: the seeds that those in ``decide`` need at Bonferroni's level, by simulation."""
    noise = np.array([0.01, -0.01, 0.005, -0.005, 0.006, -0.006])
    rows = [{"corpus": c, "model": m, "seed": s, "accuracy": 0.5 + (e + noise[s]) * (m != "Baseline")}
            for c in ("newswire", "tickets") for m, e in (("Baseline", 0), ("Baseline+FGM", effects[0]),
                                                          ("Baseline+PGD", effects[1])) for s in SEEDS]  # fmt: skip
    write(tmp_path, "a_table_3_runs", rows)
    (found,) = ledger(Evidence(tmp_path), [claim for claim in claims() if claim.id == "A4a"])
    assert (
        found.verdict == "inconclusive"
        and f"about {found.needed} seeds would decide it with 80 % power" in found.reason
    )
    draw = np.random.default_rng(0).normal(size=(4000, found.needed)) * noise.std(ddof=1)
    shares = []
    for effect in (abs(effects[i]) for i in decide):
        p = stats.ttest_1samp(draw + effect, 0, axis=1).pvalue
        shares.append((p < 0.05 / 4).mean())
    assert abs(min(shares) - 0.8) < 0.03


def test_two_seeds_bound_no_extremes(tmp_path):
    """At Bonferroni's level their intervals are wider than any difference of accuracies can be."""
    for seeds in (2, 3):
        rows = [{"corpus": c, "model": m, "seed": s, "accuracy": 0.5 + 0.02 * s * i}
                for c in ("newswire", "tickets") for i, m in enumerate(("Baseline", "Baseline+FGM", "Baseline+PGD"))
                for s in range(seeds)]  # fmt: skip
        write(tmp_path, "a_table_3_runs", rows)
        (found,) = ledger(Evidence(tmp_path), [claim for claim in claims() if claim.id == "A4a"])
        assert found.n == seeds and not np.isnan(found.measured)
        assert np.isnan([found.low, found.high]).all() == (seeds == 2)
        assert found.verdict == "inconclusive"


def test_what_is_told_beside_a_claim_has_the_unit_of_the_claim():
    """A metric is told in points where its claim is."""
    for claim in claims():
        m = claim.measurement
        if m["name"] == "gain":
            assert (claim.unit == "points") == (m["metric"] in SHARES), claim.id


def test_the_attack_counted_is_the_one_not_trained_with(tmp_path):
    rows = [{"corpus": "tickets", "model": m, "attack": k, "epsilon": e, "seed": s, "sa": 0.5,
             "ra": 0.6 if (m.endswith("+FGM") and k == "pgd") else 0.4}
            for m, k, e, s in product(TEN, ("fgm", "pgd"), (0.1, 0.2), SEEDS)]  # fmt: skip
    write(tmp_path, "a_table_4_runs", rows)
    count = {kinds: measured(tmp_path, "robust_count", exhibit="a_table_4", corpus="second", trained_with=kinds).values
             for kinds in (("FGM",), ("PGD",), ("FGM", "PGD"))}  # fmt: skip
    assert all((values == expected).all() for values, expected in zip(count.values(), (3, 0, 3), strict=True))
    gain = measured(tmp_path, "robust_gain", exhibit="a_table_4", corpus="second").values
    assert np.allclose(gain, 0.1)


def test_a_run_that_never_halves_its_loss_counts_with_all_its_steps_and_that_is_said(tmp_path):
    rows = [{"corpus": "tickets", "model": m, "seed": s, "halved": float((m, s) != ("UDA", 2)),
             "steps_to_half": 60 if (m, s) == ("UDA", 2) else 10 + 5 * (m == "UDA")}
            for m, s in product(("Baseline", "UDA", "UDA+PGD"), range(3))]  # fmt: skip
    write(tmp_path, "a_fig_5_runs", rows)
    asked = {"exhibit": "a_fig_5", "metric": "steps_to_half", "reached": "halved", "models": ["UDA", "Baseline"]}
    sample = measured(tmp_path, "slower", **asked)
    assert np.allclose(sample.values, [2.5, 2.5, 25]) and "1 of 9 runs do not get there" in sample.detail
    write(tmp_path, "a_fig_5_runs", [row | {"halved": 0.0} for row in rows])
    with pytest.raises(NotTestableError, match="no run gets there"):
        measured(tmp_path, "slower", **asked)


def test_gains_that_cancel_in_every_seed_are_no_gain(tmp_path):
    """Numbers of ten digits: 1/3 − 1/6 − 1/6 is not 0 by one unit in the last place, and that in every seed."""
    gains = {"A": 1 / 3, "B": -1 / 6, "C": -1 / 6}
    rows = [{"corpus": "tickets", "model": m, "seed": s, "accuracy": round(value, 10)}
            for s in SEEDS for m, value in {"Baseline": 0.0, **gains}.items()]  # fmt: skip
    write(tmp_path, "x_runs", rows)
    pairs = [[name, "Baseline"] for name in gains]
    sample = measured(tmp_path, "gain", exhibit="x", metric="accuracy", pairs=pairs)
    assert (sample.values == 0).all()


@pytest.mark.parametrize("seeds", range(2, 7))
def test_a_contrast_that_is_the_same_with_every_seed_breaks_nothing(seeds):
    """Twelve test texts: the focal model gains one negative per seed, so one contrast has no spread, and the others have."""
    contrasts = pd.DataFrame(
        {"constant": [0.25] * seeds, "scattered": [0.1 + 0.02 * (seed % 2) for seed in range(seeds)]}
    )
    sample = every(contrasts, pd.DataFrame({"corpus": ["reviews"] * seeds}))
    assert sample.effect == pytest.approx(contrasts.scattered.mean() / contrasts.scattered.std(ddof=1))
    lower = every(contrasts.assign(constant=-0.25), pd.DataFrame({"corpus": ["reviews"] * seeds}))
    assert lower.bounds == (-0.25, -0.25, -0.25) and np.isnan(lower.effect), "the constant one decides"
    assert np.isnan(every(contrasts[["constant", "constant"]], pd.DataFrame({"corpus": ["reviews"] * seeds})).effect)


def test_a_model_that_gains_the_same_with_every_seed_is_judged(tmp_path):
    rows = []
    for seed, (right, negatives) in enumerate([(7, 1), (6, 1), (7, 1)]):
        for model, more in (("Bi-LSTM", 0), ("Bi-LSTM-Att", 0), ("Bi-LSTM-Att-Focal", 1)):
            metrics = {"accuracy": (right + negatives + more) / 12, "recall": right / 8, "f1": right / 9,
                       "specificity": (negatives + more) / 4, "loss": 0.5 - 0.1 * more}  # fmt: skip
            rows.append({"corpus": "reviews", "train_on": "a", "test_on": "a", "model": model, "seed": seed, **metrics})
    write(tmp_path, "b_table_4_runs", rows)
    findings = ledger(Evidence(tmp_path))
    assert all(f.reason for f in findings) and sum(f.n == 3 for f in findings) > 5
    assert all(abs(f.effect) < 1000 for f in findings if f.effect == f.effect), "of rounding"


@pytest.mark.parametrize("name", ["mine", "reuters-2024", "r8-tickets", "newswire-table"])
def test_a_table_of_ones_own_takes_the_place_of_the_business_data(tmp_path, name):
    rows = [{"corpus": name, "model": "M", "seed": s, "accuracy": 0.5} for s in SEEDS]
    write(tmp_path, "x_runs", rows)
    assert measured(tmp_path, "level", exhibit="x", metric="accuracy", model="M", corpus="second").corpus == name
    with pytest.raises(NotTestableError, match="first corpus"):
        measured(tmp_path, "level", exhibit="x", metric="accuracy", model="M", corpus="first")


def test_mixed_up_branches_are_judged_where_most_are_and_the_rest_is_said_beside(tmp_path):
    scores = {("Baseline", 0.0): 0.8, ("Baseline+FGM", 0.0): 0.79, ("Baseline", 0.5): 0.6, ("Baseline+FGM", 0.5): 0.63}
    rows = [{"corpus": "tickets", "model": m, "branches": k, "seed": s, "accuracy": value + 0.01 * s}
            for (m, k), value in scores.items() for s in range(3)]  # fmt: skip
    write(tmp_path, "x_runs", rows)
    asked = {"exhibit": "x", "metric": "accuracy", "pairs": [["Baseline+FGM", "Baseline"]], "at": "branches"}
    sample = measured(tmp_path, "gain", **asked)
    assert np.allclose(sample.values, 0.03) and sample.detail == "in points: at branches 0.5; at 0 it is −1.0"
    write(tmp_path, "x_runs", [row for row in rows if row["branches"]])
    with pytest.raises(NotTestableError, match="branches takes one value only"):
        measured(tmp_path, "gain", **asked)


def test_a_pool_is_compared_at_its_ends_and_balance_at_common_sizes(tmp_path):
    rows = [{"corpus": "t", "model": "UDA", "pool": p, "balanced": q, "seed": s, "accuracy": p / 10_000 + 0.1 * q}
            for p, q, s in product((100, 200, 400), (0, 1), range(5)) if (p, q) != (400, 1)]  # fmt: skip
    write(tmp_path, "x_runs", rows)
    size = measured(tmp_path, "ends", exhibit="x", metric="accuracy", model="UDA", column="pool", where={"balanced": 0})
    balance = measured(tmp_path, "ends", exhibit="x", metric="accuracy", model="UDA", column="balanced", over="pool")
    assert np.allclose(size.values, 0.03) and np.allclose(balance.values, 0.1)


def test_a_pair_of_platforms_without_a_value_is_left_out_and_its_seeds_stay(tmp_path):
    def accuracy(place, model, seed):
        lacking = (place, model, seed) == ("y", PAPER_B[0], 1)
        return np.nan if lacking else 0.5 + (0.1 if place == "x" else 0.3) * (model == PAPER_B[2])

    write(tmp_path, "b_table_4_runs", platform_rows(accuracy=accuracy))
    sample = measured(tmp_path, "platform_gain", exhibit="b_table_4", metric="accuracy", rival="Bi-LSTM")
    assert sample.seeds == (0, 1, 2)
    assert np.allclose(sample.values, 0.1)


def test_models_whose_robust_accuracy_equals_the_standard_one_are_not_counted(tmp_path):
    rows = [{"corpus": "tickets", "model": model, "attack": attack, "epsilon": 0.1, "seed": seed, "sa": 0.5, "ra": 0.5}
            for model, attack, seed in product(TEN, ("fgm", "pgd"), SEEDS)]  # fmt: skip
    write(tmp_path, "a_table_4_runs", rows)
    found = measured(tmp_path, "robust_count", exhibit="a_table_4", corpus="second", trained_with=("FGM", "PGD"))
    assert (found.values == 0).all()
