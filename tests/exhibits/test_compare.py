"""Differences between models are paired by seed, under otherwise equal keys."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from scipy import stats

from paperkit.exhibits import compare, style

ROWS = pd.DataFrame(
    [(corpus, model, seed, value + 0.1 * (corpus == "b") * (model == "UDA"))
     for model, values in (("Baseline", (0.5, 0.6, 0.55)), ("UDA", (0.6, 0.62, 0.7)))
     for corpus in "ab" for seed, value in enumerate(values)] + [("a", "SVM", "", 0.9)],
    columns=["corpus", "model", "seed", "accuracy"],
)  # fmt: skip
KEYS = ["corpus", "model"]


def test_a_difference_is_that_of_the_same_seeds_on_the_same_corpus():
    table = compare.with_differences(ROWS, KEYS, {"UDA": "Baseline", "SVM": "Baseline"}, ["accuracy"], ["accuracy"])
    for line in table.itertuples():
        got = (line.accuracy_difference, line.accuracy_difference_low, line.accuracy_difference_high)
        if line.model != "UDA":
            assert np.isnan(got).all(), "the SVM has no seed to be paired with"
            continue
        a, b = (ROWS[(ROWS.corpus == line.corpus) & (ROWS.model == model)].accuracy for model in ("UDA", "Baseline"))
        interval = stats.ttest_rel(a, b).confidence_interval(0.95)
        assert got == pytest.approx((a.mean() - b.mean(), interval.low, interval.high))
    shown = compare.readable_differences(table, KEYS, ["accuracy"], ["accuracy"])
    assert (
        shown["Δ accuracy"].tolist()[0] == ""
        and shown["Δ accuracy"][shown.model == "UDA"].str.contains("[", regex=False).all()
    )


def test_what_is_unknown_everywhere_is_not_shown():
    rows = ROWS.assign(truth=np.nan)
    table = compare.with_differences(rows, KEYS, {"UDA": "Baseline"}, ["accuracy", "truth"], ["truth"])
    assert list(compare.readable_differences(table, KEYS, ["accuracy", "truth"], ["truth"])) == [
        *KEYS,
        "n_seeds",
        "accuracy",
    ]


def test_a_line_has_the_look_of_its_model_and_bars_where_there_are_intervals():
    table = compare.with_differences(ROWS, KEYS, {}, ["accuracy"], [])
    _, axis = plt.subplots()
    for model, bars in (("UDA", True), ("SVM", False)):
        mine = table[table.model == model]
        compare.line(axis, range(len(mine)), mine, "accuracy", model)
        drawn = axis.containers[-1]
        assert drawn.lines[0].get_color() == style.look(model).color and drawn.get_label() == model
        assert bool(drawn.lines[2]) == bars
    plt.close("all")


def test_figures_draw_intervals_from_three_seeds_on():
    table = pd.DataFrame({"model": ["UDA", "SVM", "UDA"], "at": [1, 1, 2], "n_seeds": [3, 2, 3], "ra_mean": [0.5, 0.6, 0.4],
                          "ra_low": [0.4, -0.9, -0.1], "ra_high": [0.6, 1.9, 0.9]})  # fmt: skip
    low, high = style.bounds(table, "ra")
    assert np.array_equal(low, [0.4, np.nan, -0.1], equal_nan=True)
    assert np.array_equal(high, [0.6, np.nan, 0.9], equal_nan=True)
    assert (
        style.drawn(table, cut=", cut at 0")
        == "Bars: 95 % t intervals over 3 seeds, cut at 0; none where there are fewer than 3."
    )
    assert style.drawn(table.tail(1).assign(n_seeds=3)) == "Bars: 95 % t intervals over 3 seeds."
    assert "drawn from 3 on" in style.drawn(table[table.model == "SVM"])
    assert style.drawn(table.assign(n_seeds=1)) == "One seed, so there are no intervals."
    _, axis = plt.subplots()
    compare.side_by_side(axis, table, "at", "ra", ["UDA", "SVM"])
    first, second = axis.lines
    assert np.allclose(first.get_xdata(), [0, 1]) and np.allclose(second.get_xdata(), [0])
    assert np.allclose([segment[0, 0] for segment in axis.collections[0].get_segments()], [-0.075, 0.925])
    ends = [segment[:, 1].tolist() for segment in axis.collections[0].get_segments()]
    assert ends == [[0.4, 0.6], [0, 0.9]]
    plt.close("all")


def test_bars_end_where_the_intervals_end():
    table = compare.with_differences(ROWS, KEYS, {}, ["accuracy"], [])
    mine = table[table.model == "UDA"]
    _, axis = plt.subplots()
    compare.line(axis, range(len(mine)), mine, "accuracy", "UDA")
    ends = [segment[:, 1] for segment in axis.containers[-1].lines[2][0].get_segments()]
    plt.close("all")
    assert np.allclose(ends, mine[["accuracy_low", "accuracy_high"]])


def test_seeds_in_another_order_are_not_paired():
    turned = ROWS[ROWS.model == "Baseline"].sort_values("seed", key=lambda seeds: seeds.astype(str), ascending=False)
    rows = pd.concat([ROWS[ROWS.model == "UDA"], turned])
    table = compare.with_differences(rows, KEYS, {"UDA": "Baseline"}, ["accuracy"], ["accuracy"])
    assert table.accuracy_difference.isna().all()


def test_a_note_tells_training_texts_from_test_texts():
    rows = ROWS[ROWS.model == "UDA"].assign(n_train=1200, n_test=30)
    assert compare.texts(rows) == "a: 1,200 labelled texts, 30 tested; b: 1,200 labelled texts, 30 tested."
    rows = rows[rows.corpus == "a"]
    curve = pd.concat([rows, rows.assign(n_train=620)])
    assert compare.texts(curve) == "a: 620 to 1,200 labelled texts, 30 tested."
