"""How much paper B's models would gain from more labels (notebook 02_bilstm_focal)."""

import math

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from paperkit.evaluate import statistics
from paperkit.exhibits import compare, style
from paperkit.exhibits.exhibit import Content, exhibit
from paperkit.exhibits.paper_b import METRICS_ZH, NOTEBOOK, per_run
from paperkit.exhibits.style import label
from paperkit.exhibits.summary import summarise
from paperkit.study import Study
from paperkit.wording import points

KEYS = ["model", "labels"]
SHOWN = ("accuracy", "specificity")


@exhibit("x_b_learning_curve", NOTEBOOK, "Accuracy and specificity over the share of the labels, on the same platform.",
         "准确率与特异度随标注比例的变化（同一平台）")  # fmt: skip
def learning_curve(study: Study) -> Content:
    rows, used = per_run(study, study.learning_specs(), KEYS)
    table = summarise(rows, KEYS, SHOWN)
    table.insert(3, "n_train", rows.groupby(KEYS, sort=False).n_train.max().to_numpy())
    models = list(dict.fromkeys(table.model))
    figure, axes = plt.subplots(1, len(SHOWN), figsize=(style.PAGE, 2.6))
    for axis, metric in zip(axes, SHOWN, strict=True):
        for place, model in enumerate(models):
            mine = table[table.model == model].sort_values("labels")
            beside = 1.02 ** (place - (len(models) - 1) / 2)  # so that intervals do not hide each other
            compare.line(axis, mine.n_train * beside, mine, metric, model)
        axis.set_xscale("log")
        sizes = sorted(set(table.n_train))
        axis.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axis.minorticks_off()
        low, high = axis.get_ylim()
        axis.set_ylim(max(low, -0.01), min(high, 1.01))
        axis.set(xlabel=label("labelled training texts", "有标注训练文本数"), ylabel=label(metric, METRICS_ZH[metric]))
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(models))
    note = (
        f"Trained and tested on {rows.test_on[0]}: {rows.n_test.max():,} test texts. "
        f"{style.drawn(table, cut=', cut at 0 and 1')} The vertical axes differ and need not start at 0. Smaller shares "
        "are parts of larger ones of the same seed. With few labels an epoch goes through them several times, so that all "
        "take as many steps; word vectors are those of all training texts, which need no label. "
        f"{last_doubling(rows)}"
    )
    return Content(figure, used, per_seed=rows, numbers=table, note=note)


def last_doubling(rows: pd.DataFrame) -> str:
    """What a doubling of the labels brought between the two largest shares, in points, seed by seed: for the note.

    With ``rows`` of :func:`learning_curve`; the difference is divided by log₂ of how many times as many labels there were.
    """
    shares = sorted(rows.labels.unique())
    if len(shares) < 2:
        return "Only one share was asked for, so nothing is said of more labels."
    below, most = shares[-2:]
    said = []
    for model, mine in rows.groupby("model", sort=False):
        before, after = (mine[mine.labels == share].sort_values("seed") for share in (below, most))
        doublings = math.log2(after.n_train.max() / before.n_train.max())
        if not doublings:  # so few texts that each share keeps one of each class
            continue
        gains = []
        for metric in SHOWN:
            gap = statistics.paired_t(after[metric] / doublings, before[metric] / doublings)
            ends = f" [{points(gap.low)}, {points(gap.high)}]" if gap.n >= statistics.FEWEST else ""
            known = np.isfinite(gap.difference)
            gains.append(f"{points(gap.difference)}{ends} points of {metric}" if known else f"n/a of {metric}")
        said.append(f"{model} {' and '.join(gains)}")
    if not said:
        return "The shares are the same texts here, so nothing is said of more labels."
    return (f"From {100 * below:g} to {100 * most:g} % of the labels a doubling of them brought {'; '.join(said)} (paired over "
            "seeds). That is what was measured, and no promise of the next one.")  # fmt: skip
