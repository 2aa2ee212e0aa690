"""Is a model as sure as it is right? Paper B's loss (02_bilstm_focal), paper A's models (06_robustness)."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from scipy.special import softmax

from paperkit.evaluate.calibration import BINS, calibration, fit_temperature, reliability
from paperkit.exhibits import style
from paperkit.exhibits.beyond_a import runs_of
from paperkit.exhibits.exhibit import Content, exhibit
from paperkit.exhibits.paper_b import NOTEBOOK, protocol
from paperkit.exhibits.robustness import NOTEBOOK as ROBUSTNESS
from paperkit.exhibits.style import label
from paperkit.exhibits.summary import readable, summarise
from paperkit.runs import Run
from paperkit.study import Study

METRICS = ("accuracy", "confidence", "ece", "ece_adaptive", "ece_if_calibrated", "nll", "brier")
FITTED = {"1": "as trained", "dev": "temperature from dev"}
WHAT = (f"ECE: {BINS} equally wide bins of the confidence; ece_adaptive: as many equally full ones; ece_if_calibrated: what a "
        "perfectly calibrated model of the same confidences would show with so few texts.")  # fmt: skip


def scaled(run: Run, platform: str | None) -> dict[str, tuple[float, np.ndarray, np.ndarray]]:
    """Test labels and logits of a run, as trained and divided by the temperature that its dev texts ask for; with T, which
    is nan where there are none."""
    (_, truth, logits), (_, dev_truth, dev_logits) = run.on(platform), run.on(platform, "dev")
    temperature = fit_temperature(dev_logits, dev_truth)
    return {fitted: (t, truth, logits / t) for fitted, t in zip(FITTED, (1.0, temperature), strict=True)}


def per_seed(study: Study, runs: Sequence[Run], platform: str | None, **place: str) -> list[dict]:
    """One row per run, as trained and with its temperature."""
    return [{"data": study.name, **place, "model": run.spec.method.name, "temperature": FITTED[fitted],
             "seed": run.spec.seed, "n_test": len(truth), "t": t, **calibration(z, truth, 1.0 if t == t else t)}
            for run in runs for fitted, (t, truth, z) in scaled(run, platform).items()]  # fmt: skip


@exhibit("x_b_calibration", NOTEBOOK, "Calibration of cross-entropy and focal loss, on the same platform.",
         "交叉熵与 Focal 损失的校准（同一平台）")  # fmt: skip
def table_b(study: Study) -> Content:
    rows, used = [], []
    study.get(study.paper_b_specs())
    for platform, _ in protocol(study, same=True):
        for method in study.models[1:]:
            runs = study.runs(method, platform)
            used += runs
            rows += per_seed(study, runs, platform, corpus=study.corpus.name, train_on=platform, test_on=platform)
    rows = pd.DataFrame(rows)
    keys, metrics = ["train_on", "test_on", "model", "temperature"], (*METRICS, "t")
    table = summarise(rows, keys, metrics)
    tested = ", ".join(f"{platform} {n}" for platform, n in dict(zip(rows.test_on, rows.n_test, strict=True)).items())
    note = (f"{style.averaged(table.n_seeds.max())} Test texts: {tested}. {WHAT} One temperature t per run, fitted on the dev "
            "texts of its platform, divides the logits and changes no prediction.")  # fmt: skip
    return Content(table, used, readable(table, keys, metrics), rows, note=note)


@exhibit("x_b_reliability", NOTEBOOK, "Reliability diagram: accuracy of test texts by confidence.",
         "可靠性图：不同置信度下的准确率")  # fmt: skip
def diagram(study: Study) -> Content:
    platform = study.corpus.platforms[0]
    methods = study.models[1:]
    study.get(study.paper_b_specs())
    rows, used = [], []
    for method in methods:
        runs = study.runs(method, platform)
        used += runs
        for run in runs:
            for fitted, (t, truth, z) in scaled(run, platform).items():
                found = reliability(softmax(z, axis=1), truth) if t == t else None
                rows += [{"data": study.name, "corpus": study.corpus.name, "train_on": platform, "test_on": platform,
                          "model": method.name, "temperature": FITTED[fitted], "bin": number, "seed": run.spec.seed,
                          "n_test": int(found.count[number]) if found else 0,
                          "share": found.count[number] / len(truth) if found and len(truth) else np.nan,
                          "confidence": found.confidence[number] if found else np.nan,
                          "accuracy": found.accuracy[number] if found else np.nan}
                         for number in range(BINS)]  # fmt: skip
    rows = pd.DataFrame(rows)
    keys = ["model", "temperature", "bin"]
    table = summarise(rows, keys, ["accuracy", "confidence", "share"])
    table["n_seeds"] = rows.groupby(keys, sort=False).accuracy.count().to_numpy()
    figure, axes = plt.subplots(2, 2, figsize=(style.PAGE, 4.2), sharex=True, sharey="row", height_ratios=(3, 1))
    for (above, below), name in zip(axes.T, FITTED.values(), strict=True):
        above.plot([0, 1], [0, 1], color=style.GREY, lw=0.8, ls=":", label=label("as sure as right", "完全校准", " "))
        for place, method in enumerate(methods):
            mine = table[(table.model == method.name) & (table.temperature == name) & (table.n_seeds > 0)]
            look = style.look(method.name)
            low, high = style.bounds(mine, "accuracy")
            mean = mine.accuracy_mean.to_numpy()
            bars = np.nan_to_num([mean - low.clip(min=0), high.clip(max=1) - mean]).clip(min=0)
            above.errorbar(mine.confidence_mean, mine.accuracy_mean, bars, color=look.color, marker=look.marker, ls=look.line,
                           elinewidth=0.8, label=method.name)  # fmt: skip
            width = 0.4 / BINS
            below.bar((mine.bin + 0.5) / BINS + (place - 0.5) * width, mine.share_mean, width, color=look.color, hatch=look.hatch,
                      edgecolor="white", linewidth=0.3)  # fmt: skip
        above.set_title(label(name, {"as trained": "训练后", "temperature from dev": "温度缩放"}[name], " "))
        above.set(xlim=(min(0.5, 1 / study.corpus.n_classes), 1.01), ylim=(0, 1.02))
        below.set_xlabel(label("confidence", "置信度", " "))
    axes[0, 0].set_ylabel(label("accuracy", "准确率"))
    axes[1, 0].set_ylabel(label("share", "占比"))
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    filled = table[table.n_seeds > 0]
    intervals = style.drawn(filled, cut=" at most, cut at 0 and 1") if len(filled) else ""
    note = (f"Trained and tested on {platform}; {BINS} equally wide bins, of which a seed counts in those that hold texts of its "
            f"own. {intervals} Below the diagonal a model is too sure. Bottom: share of the test texts in each bin.")  # fmt: skip
    return Content(figure, used, per_seed=rows, numbers=table, note=note)


@exhibit("x_calibration", ROBUSTNESS, "Calibration of the ten models at the labels.", "十个模型的校准")
def table_a(study: Study) -> Content:
    rows, used = [], []
    for (source, _), runs in runs_of(study).items():
        if runs[0].spec.method.network:
            used += runs
            rows += per_seed(study, runs, None, corpus=source.load().name)
    rows = pd.DataFrame(rows)
    keys = ["corpus", "model"]
    plain, fitted = (rows[rows.temperature == name] for name in FITTED.values())
    table = summarise(plain, keys, METRICS)
    scaled = {name: f"{name}_scaled" for name in ("ece", "ece_if_calibrated")}
    table = table.merge(summarise(fitted.rename(columns=scaled), keys, [*scaled.values(), "t"]), on=[*keys, "n_seeds"])
    shown = readable(table, keys, ["accuracy", "confidence", "ece", "ece_if_calibrated", *scaled.values()])
    sizes = ", ".join(f"{corpus} {n}" for corpus, n in dict(zip(rows.corpus, rows.n_test, strict=True)).items())
    note = (f"{style.averaged(table.n_seeds.max())} Test texts: {sizes}; accuracy is against their labels, right or wrong. {WHAT} "
            "_scaled: the same with one temperature per run, fitted on dev texts.")  # fmt: skip
    return Content(table, used, shown, rows, note=note)
