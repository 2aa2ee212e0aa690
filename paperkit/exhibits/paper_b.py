"""Paper B's tables and figures (notebook 02_bilstm_focal)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from paperkit.evaluate import statistics
from paperkit.exhibits import diagrams, style
from paperkit.exhibits.data import platform_key, platform_label
from paperkit.exhibits.exhibit import Content, exhibit, nothing
from paperkit.exhibits.style import label
from paperkit.exhibits.summary import cells, quietly, readable, summarise, summary_columns
from paperkit.runs import Run, RunSpec
from paperkit.study import Study
from paperkit.text.vectors import neighbours
from paperkit.wording import p_value

NOTEBOOK = "02_bilstm_focal"
METRICS = ("accuracy", "f1", "recall", "specificity")
METRICS_ZH = {"accuracy": "准确率", "recall": "召回率", "specificity": "特异度"}
KEYS = ["train_on", "test_on", "model"]
SHOWN_PAIRS = 12

# --- numbers ---------------------------------------------------------------------------------------------------------


def scores(study: Study, run: Run, test_on: str) -> dict[str, float]:
    """The metrics of one run on one platform's test texts; what is 0/0 there is nan."""
    _, truth, logits = run.on(test_on)
    return quietly(truth, logits, study.corpus.n_classes)


def per_seed(study: Study, pairs: Sequence[tuple[str, str]]) -> tuple[pd.DataFrame, list[Run]]:
    """One row per run and test platform: every model and reference row, trained and tested on the given platforms."""
    rows, used = [], []
    study.get(study.paper_b_specs())
    for train_on, test_on in pairs:
        for method in study.models + study.references:
            for run in study.runs(method, train_on):
                used.append(run)
                place = {"data": study.name, "corpus": study.corpus.name, "train_on": train_on, "test_on": test_on}
                n_test = len(run.on(test_on)[0])
                seed = run.spec.seed if method.seeded else ""
                rows.append({**place, "model": method.name, "seed": seed, "n_test": n_test,
                             **scores(study, run, test_on)})  # fmt: skip
    return pd.DataFrame(rows), used


def per_run(
    study: Study, groups: Mapping[tuple, Sequence[RunSpec]], keys: Sequence[str]
) -> tuple[pd.DataFrame, list[Run]]:
    """One row per run that is trained and tested on the largest platform, and the runs; missing ones are trained. ``keys`` name
    the parts of each key of ``groups``."""
    platform = study.corpus.platforms[0]
    place = {"data": study.name, "corpus": study.corpus.name, "train_on": platform, "test_on": platform}
    rows, used = [], []
    for parts, runs in study.get_each(groups).items():
        for run in runs:
            used.append(run)
            known = {"model": run.spec.method.name} | dict(zip(keys, parts, strict=True))
            rows.append({**place, **known, "seed": run.spec.seed, "n_train": run.result["n_train"],
                         "n_test": len(run.on(platform)[0]), **scores(study, run, platform)})  # fmt: skip
    return pd.DataFrame(rows), used


def protocol(study: Study, same: bool) -> list[tuple[str, str]]:
    """Pairs (train on, test on): each platform on itself (Table 4), or on every other one (Table 3).

    A platform of a user's table may have texts to test on and none to train on.
    """
    trained, tested = study.corpus.platforms, study.corpus.tested_platforms
    return [(a, b) for a, b in product(trained, trained if same else tested) if (a == b) == same]


def _results(study: Study, same: bool) -> Content:
    pairs = protocol(study, same)
    if not pairs:
        note = "n/a: these data come from one platform, so there is no other one to test on."
        runs = pd.DataFrame(columns=["data", "corpus", *KEYS, "seed", "n_test", *METRICS])
        return nothing(note, summary_columns(KEYS, METRICS), per_seed=runs)
    rows, used = per_seed(study, pairs)
    table = summarise(rows, KEYS, METRICS)
    note = f"{style.averaged(table.n_seeds.max())} {_tested(study, rows)}"
    return Content(table, used, readable(table, KEYS, METRICS), rows, note=note)


def _tested(study: Study, rows: pd.DataFrame) -> str:
    """For a note: on how many texts, and what the metrics are of."""
    sizes = ", ".join(f"{platform} {n}" for platform, n in dict(zip(rows.test_on, rows.n_test, strict=True)).items())
    what = "F1, recall and specificity are macro averages, one class against the rest."
    if study.corpus.n_classes == 2:
        what = f"F1 and recall are of class 1 ({study.corpus.label_names[1]}), specificity is the recall of the other."
    return f"Reference rows are deterministic and have no interval. Texts tested on: {sizes}. {what}"


@exhibit("b_table_3", NOTEBOOK, "Table 3. Tested on another platform than trained on.", "表3 训练集与测试集为不同平台")
def table_3(study: Study) -> Content:
    return _results(study, same=False)


@exhibit("b_table_4", NOTEBOOK, "Table 4. Tested on the platform trained on.", "表4 训练集与测试集为同一平台")
def table_4(study: Study) -> Content:
    return _results(study, same=True)


@exhibit("b_table_5", NOTEBOOK, "Table 5. Does the focal model's accuracy differ from the others'?",
         "表5 准确率均值差异的假设检验")  # fmt: skip
def table_5(study: Study) -> Content:
    """Focal model against each other model, per protocol: paired t decides; Welch and a bootstrap stand beside it."""
    pairs = protocol(study, same=True) + protocol(study, same=False)
    rows, used = per_seed(study, pairs)
    focal, others = study.models[-1], study.models[:-1]
    lines = []
    for (train_on, test_on), rival in product(pairs, others):
        chosen = rows[(rows.train_on == train_on) & (rows.test_on == test_on)].set_index("model").accuracy
        a, b = np.atleast_1d(chosen[focal.name]), np.atleast_1d(chosen[rival.name])
        place = {"model_a": focal.name, "model_b": rival.name,
                 "protocol": f"{'same' if train_on == test_on else 'cross'}: {train_on} → {test_on}"}  # fmt: skip
        for test, result in (("paired t", statistics.paired_t(a, b)), ("Welch t", statistics.welch_t(a, b))):
            known = result.n >= statistics.FEWEST and result.spread
            statistic, p = (result.statistic, result.p) if known else (np.nan, np.nan)
            lines.append(place | {"test": test, "statistic": statistic, "p": p,
                                  "difference": result.difference, "low": result.low, "high": result.high,
                                  "n_seeds": result.n})  # fmt: skip
        correct = [_correct(study.runs(method, train_on), test_on) for method in (focal, rival)]
        interval = statistics.bootstrap_interval(*correct)
        lines.append(place | {"test": "bootstrap over test items", "statistic": np.nan, "p": np.nan,
                              "difference": interval.mean, "low": interval.low, "high": interval.high,
                              "n_seeds": len(a)})  # fmt: skip
    columns = ["model_a", "model_b", "protocol", "test", "statistic", "p", "p_holm", "difference", "low", "high",
               "n_seeds"]  # fmt: skip
    table = pd.DataFrame(lines).reindex(columns=columns)
    for test in ("paired t", "Welch t"):
        mine = table.test == test
        table.loc[mine, "p_holm"] = statistics.holm(table.loc[mine, "p"])
    shown = table.drop(columns=["low", "high"])
    for column in ("p", "p_holm"):
        shown[column] = shown[column].map(p_value)
    over_items = table.test == "bootstrap over test items"  # of which there are enough, however few the seeds
    shown["difference"] = cells(table.assign(n_seeds=table.n_seeds.mask(over_items, statistics.FEWEST)), "difference")
    intervals = "" if table.p.isna().all() else " with its 95 % interval"
    note = (f"difference = accuracy of model_a − model_b{intervals}. The paired t test over seeds decides, with "
            "Holm's correction within this table; Welch's test is what the paper most likely did; the bootstrap asks "
            "another question, what another test set might have shown for the same trained models.")  # fmt: skip
    if table.n_seeds.max() < statistics.FEWEST:
        note += f" {statistics.UNTESTED}"
    elif table.p[~over_items].isna().any():
        note += f" {statistics.AGREEING}"
    return Content(table, used, shown, rows, note=note)


def _correct(runs: Sequence[Run], test_on: str) -> np.ndarray:
    """Whether each test text was classified right, ``(seeds, items)``."""
    return np.stack([logits.argmax(axis=1) == truth for _, truth, logits in (run.on(test_on) for run in runs)])


# --- figures ---------------------------------------------------------------------------------------------------------


def _bars(content: Content, study: Study, title: str) -> tuple[Figure, float]:
    """Grouped bars: a panel per pair of platforms, a group per metric, a bar per model, whiskers for the intervals.

    Returns the figure and where its vertical axis starts.
    """
    table = content.body
    pairs = list(dict.fromkeys(zip(table.train_on, table.test_on, strict=True)))[:SHOWN_PAIRS]
    columns = min(len(pairs), 2)
    rows = -(-len(pairs) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(style.PAGE, 1.1 + 1.5 * rows), sharey=True, squeeze=False)
    models = [method.name for method in study.models + study.references if method.classifier != "majority"]
    width = 0.8 / len(models)
    shown = table[table.model.isin(models)]
    lowest = np.nanmin(shown[[f"{m}_{part}" for m in METRICS for part in ("mean", "low")]].to_numpy(), initial=1.0)
    floor = max(0.0, np.floor(10 * lowest) / 10 - 0.1)
    for axis, (train_on, test_on) in zip(axes.flat, pairs, strict=False):
        for k, model in enumerate(models):
            mine = table[(table.train_on == train_on) & (table.test_on == test_on) & (table.model == model)].head(1)
            mean = mine[[f"{m}_mean" for m in METRICS]].to_numpy(float)[0]
            bounds = np.hstack([style.bounds(mine, m) for m in METRICS]).clip(0, 1)
            look = style.look(model)
            whiskers = None if np.isnan(bounds).all() else np.abs(bounds - mean)
            axis.bar(np.arange(len(METRICS)) + (k - (len(models) - 1) / 2) * width, mean, width, yerr=whiskers,
                     color=look.color, hatch=look.hatch, edgecolor="white", linewidth=0.4, label=model,
                     error_kw={"elinewidth": 0.8})  # fmt: skip
            for place in np.flatnonzero(mean <= floor):  # a bar that is not there could be one that was forgotten
                axis.text(place + (k - (len(models) - 1) / 2) * width, floor + 0.01, f"{mean[place]:.2g}", ha="center",
                          fontsize=5.5, color=look.color)  # fmt: skip
        axis.set_xticks(range(len(METRICS)), [label(m, METRICS_ZH[m]) if m in METRICS_ZH else "F1" for m in METRICS])
        axis.tick_params(axis="x", length=0)
        axis.set_title(" → ".join(platform_label(study, name) for name in dict.fromkeys((train_on, test_on))))
        axis.set(xlim=(-0.6, len(METRICS) - 0.4), ylim=(floor, 1.02))
    for axis in axes.flat[len(pairs) :]:
        axis.set_visible(False)
    for axis in axes[:, 0]:
        axis.set_ylabel(label("score", "得分"))
    figure.legend(*axes.flat[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(models))
    seeds = table.n_seeds.max()
    what = ", 95 % intervals" if seeds >= statistics.FEWEST else ""
    figure.suptitle(f"{title}  " + ("(one seed)" if seeds == 1 else f"(n = {seeds} seeds{what})"))
    return figure, floor


def _bar_figure(study: Study, same: bool, title: str) -> Content:
    content = _results(study, same)
    if content.body.empty:
        return nothing(content.note)
    figure, floor = _bars(content, study, title)
    pairs = len(protocol(study, same))
    notes = [
        _tested(study, content.per_seed),
        f"The first {SHOWN_PAIRS} of {pairs} pairs of platforms." if pairs > SHOWN_PAIRS else "",
        f"The vertical axis starts at {floor:.1f}, not at 0." if floor else "",
        style.drawn(content.body, cut=", cut at 0 and 1"),
        platform_key(study),
    ]
    return Content(figure, content.runs, numbers=content.body, note=" ".join(filter(None, notes)))


@exhibit("b_fig_4", NOTEBOOK, "Fig. 4. Scores on another platform (Table 3).", "图4 不同平台数据测试集评价指标柱状图")
def fig_4(study: Study) -> Content:
    return _bar_figure(study, False, label("Tested on another platform", "不同平台", " "))


@exhibit("b_fig_5", NOTEBOOK, "Fig. 5. Scores on the same platform (Table 4).", "图5 同一平台数据测试集评价指标柱状图")
def fig_5(study: Study) -> Content:
    return _bar_figure(study, True, label("Tested on the same platform", "同一平台", " "))


@exhibit("b_fig_6", NOTEBOOK, "Fig. 6. Loss by epoch: each model's own loss, as the paper draws it, and one common loss.",
         "图6 loss随epoch变化：各自的损失（论文画法）与共同损失")  # fmt: skip
def fig_6(study: Study) -> Content:
    platform = study.corpus.platforms[0]
    panels = {
        "train_loss": label("own loss, training", "各自损失，训练"),
        "dev_loss": label("own loss, held out", "各自损失，验证"),
        "train_ce": label("cross-entropy, training", "交叉熵，训练"),
        "dev_ce": label("cross-entropy, held out", "交叉熵，验证"),
    }
    figure, axes = plt.subplots(1, 4, figsize=(style.PAGE, 2.7), sharex=True)
    used, rows = [], []
    every = {method.name: study.specs(method, platform) for method in study.models}
    for name, runs in study.get_each(every).items():
        used += runs
        reached = min(len(run.history) for run in runs)  # with patience some end earlier
        history = pd.concat([run.history.assign(model=name, seed=run.spec.seed) for run in runs])
        rows.append(history)
        for axis, column in zip(axes, panels, strict=True):
            look = style.look(name)
            curves = history.groupby("epoch")[column].agg(lambda v: list(v)).iloc[:reached]
            intervals = [statistics.mean_interval(values) for values in curves]
            axis.plot(curves.index, [i.mean for i in intervals], color=look.color, marker=look.marker, ls=look.line,
                      label=name)  # fmt: skip
            if len(runs) >= statistics.FEWEST:
                axis.fill_between(curves.index, [i.low for i in intervals], [i.high for i in intervals], color=look.color,
                                  alpha=0.15, lw=0)  # fmt: skip
    for axis, title in zip(axes, panels.values(), strict=True):
        axis.set_title(title, fontsize=7.5)
        axis.set_xlabel(label("epoch", "轮次"))
        axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        highest = axis.dataLim.y1  # not finite where a platform has no dev texts
        axis.set_ylim(0, 1.05 * highest if np.isfinite(highest) else 1)
    axes[0].set_ylabel(label("loss", "损失"))
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    factor = "below cross-entropy almost by construction: at equal logits its factor α_t (1 − p_t)^γ is at most 1"
    seeds = pd.DataFrame({"n_seeds": [len(used) // len(study.models)]})
    note = (f"Trained on {platform}. {style.drawn(seeds, 'Bands')} "
            f"The two panels on the left are the paper's figure. There the focal loss lies {factor}; "
            "so only the two on the right, one common loss, compare the models.")  # fmt: skip
    if len({len(run.history) for run in used}) > 1:
        note += " A model's curve ends with the first of its runs that stopped."
    numbers = pd.concat(rows)[["model", "seed", "epoch", *panels, "dev_accuracy", "dev_f1_macro"]]
    return Content(figure, used, numbers=numbers, note=note)


@exhibit("b_fig_1", NOTEBOOK, "Fig. 1. The network.", "图1 神经网络模型结构图")
def fig_1(study: Study) -> Content:
    return Content(diagrams.network())


@exhibit("b_fig_2", NOTEBOOK, "Fig. 2. word2vec: CBOW and skip-gram.", "图2 Word2vec结构图")
def fig_2(study: Study) -> Content:
    return Content(diagrams.word2vec())


@exhibit("b_fig_3", NOTEBOOK, "Fig. 3. The attention mechanism.", "图3 注意力机制结构图")
def fig_3(study: Study) -> Content:
    return Content(diagrams.attention())


# --- word vectors ----------------------------------------------------------------------------------------------------


@exhibit("b_table_2", NOTEBOOK, "Table 2. Word vectors: first components and nearest words, by CBOW and by skip-gram.",
         "表2 词向量表示：前几维与最近邻（CBOW 与 skip-gram）")  # fmt: skip
def table_2(study: Study) -> Content:
    platform = study.corpus.platforms[0]
    chosen = frequent_words(study, platform, 8)
    columns = ["word", "algorithm", "v1", "v2", "v3", "v4", "norm", "nearest"]
    rows = []
    for word, algorithm in product(chosen, ("cbow", "skip-gram")):
        prepared = study.prepared(platform, algorithm=algorithm)
        vector = prepared.vectors[prepared.vocabulary.numbers[word]]
        near = neighbours(word, prepared.vocabulary, prepared.vectors, 5)
        rows.append({"word": word, "algorithm": algorithm} | {f"v{i + 1}": float(vector[i]) for i in range(min(4, len(vector)))}
                    | {"norm": float(np.linalg.norm(vector)), "nearest": " ".join(f"{w} {c:.2f}" for w, c in near)})  # fmt: skip
    note = (
        f"The most frequent words of at least two characters in the training texts of {platform}; cosines behind words."
    )
    if not study.may_quote:  # a rare word, such as a name, may be among the nearest
        for number, row in enumerate(rows):
            row["word"] = f"word {number // 2 + 1}"
            row["nearest"] = " ".join(row["nearest"].split()[1::2])
        note += " Words of your table are not shown; quote_texts = True shows them."
    private = study.kind == "table" and study.quote_texts
    return Content(pd.DataFrame(rows, columns=columns), quotes=private, text_columns=("word", "nearest"), note=note)


def frequent_words(study: Study, platform: str, count: int) -> list[str]:
    """The most frequent words of at least two characters in a platform's training texts."""
    prepared = study.prepared(platform)
    rows = study.corpus.rows("train", platform).index
    counts = Counter(word for row in rows for word in prepared.words[row])
    known = (
        w for w, _ in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])) if w in prepared.vocabulary.numbers
    )
    return [word for word in known if len(word) > 1][:count]
