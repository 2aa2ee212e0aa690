"""Paper A's UDA: its loss, augmentations and relatives, and what few or wrong labels do (notebook 03_uda)."""

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from paperkit.corpora.corpus import CORE, Corpus
from paperkit.corpora.pools import pools
from paperkit.evaluate.statistics import mean_interval
from paperkit.exhibits import compare, diagram_a, style
from paperkit.exhibits.data import shortened
from paperkit.exhibits.exhibit import Content, exhibit, nothing
from paperkit.exhibits.paper_a import CORRECTION, METRICS, per_run, per_seed
from paperkit.exhibits.style import drawable, label
from paperkit.exhibits.summary import summarise
from paperkit.exhibits.tables import with_interval
from paperkit.losses import tsa_threshold
from paperkit.runs import Run, RunSpec
from paperkit.seeds import derive
from paperkit.study import Study
from paperkit.text.augment import Augmentation, augmented
from paperkit.text.edits import edit_similarity
from paperkit.text.pieces import cut, word_places
from paperkit.training.execute import pool_share, training_rows

NOTEBOOK = "03_uda"
SCHEDULES = {"linear": "-", "log": (0, (5, 2)), "exp": (0, (1.5, 1.5))}
BINS = 40
"""Points of a curve over training steps, at most."""
KINDS = ("tfidf", "repetition", "repetition-one", "eda", "synonyms", "insert", "swap", "delete", "eda-negative")
TEXTS, SAMPLE_SEED = 100, 20231113
EXAMPLE = {"zh": 36, "en": 110}
"""About how many characters the text has that is shown under every augmentation."""
NO_TRANSLATION = "n/a: needs two translation models, or a file of paraphrases (uda.augmentation.paraphrases)"
FAMILY = ("accuracy", "f1_macro", "tail_f1", "manual_accuracy")
COMPARED = ("accuracy", "tail_f1")
POOL = ("accuracy", "f1_macro", "tail_f1")
ENDS = ("_mean", "_low", "_high")
LONGER = ("accuracy", "f1_macro", "manual_accuracy")


@exhibit("a_fig_1", NOTEBOOK, "Fig. 1. The framework: three streams, one encoder, four losses.", "图1 整体模型框架图")
def fig_1(study: Study) -> Content:
    return Content(diagram_a.framework())


# --- training signal annealing ---------------------------------------------------------------------------------------


@exhibit("x_tsa", NOTEBOOK, "Training signal annealing: the threshold, and the share of labelled texts that it keeps.",
         "训练信号退火：阈值曲线与实际参与训练的有标注样本比例")  # fmt: skip
def tsa(study: Study) -> Content:
    figure, axes = plt.subplots(1, 3, figsize=(style.PAGE, 2.6), sharey=True)
    progress = np.linspace(0, 1, 51)
    numbers = []
    for axis, classes in zip(axes, (300, 2), strict=False):
        for kind, ls in SCHEDULES.items():
            threshold = [tsa_threshold(t, classes, kind) for t in progress]
            axis.plot(progress, threshold, ls=ls, label=kind)
            numbers.append(pd.DataFrame({"what": "threshold", "name": f"{kind}, K = {classes}", "n_seeds": "",
                                         "progress": progress, "mean": threshold}))  # fmt: skip
        axis.set_title(label(f"threshold, {classes} classes", f"阈值，{classes} 类", "  "), fontsize=8)
    used, said = [], []
    annealed = {source: study.ten_specs()[source, "UDA"] for source in study.large}
    schedule = study.profile.uda.tsa
    if schedule == "none":  # the profile's UDA keeps every text: show the relative that does not
        annealed, schedule = {study.hard: study.relative_specs()["UDA, linear TSA"]}, "linear"
    for place, (source, runs) in enumerate(study.get_each(annealed).items()):
        used += runs
        name = source.load().name
        curve = over_progress([run.steps["kept_sup"].to_numpy() for run in runs])
        axes[2].plot(curve.progress, curve["mean"], marker="os"[place % 2], ms=3, color=f"C{place + 3}",
                     label=drawable(shortened(name), f"corpus {place + 1}"))  # fmt: skip
        axes[2].fill_between(curve.progress, *style.bounds(curve), color=f"C{place + 3}", alpha=0.15, lw=0)
        numbers.append(curve.assign(what="kept share", name=name))
        kept = np.concatenate([run.steps["kept_sup"].to_numpy() for run in runs])
        said.append(f"{name}: {kept.mean():.0%} of the labelled texts train over all steps")
    axes[2].set_title(label("kept, trained by UDA", "参与训练的比例", "  "), fontsize=8)
    axes[0].set(ylim=(0, 1.03), ylabel=label("probability or share", "概率或比例"))
    for axis in axes:
        axis.set_xlabel(label("share of the steps done", "训练进度"))
    # no threshold of two classes is below ½
    axes[1].legend(title=label("schedule", "退火方式", " "), loc="lower right")
    axes[2].legend()
    note = ("A labelled text trains while the probability of its correct class is at most the threshold. Right: runs of UDA "
            f"with the schedule {schedule!r}, steps in at most {BINS} bins. {style.drawn(curve, 'Bands')} "
            f"{'; '.join(said)}.")  # fmt: skip
    return Content(figure, used, numbers=pd.concat(numbers), note=note)


def over_progress(series: Sequence[np.ndarray]) -> pd.DataFrame:
    """The same log of every run, over the share of its steps that are done, in :data:`BINS` bins at most."""
    bins = min(BINS, *map(len, series))
    edges = [np.linspace(0, len(each), bins + 1).astype(int)[1:-1] for each in series]
    means = np.array([[part.mean() for part in np.split(each, at)] for each, at in zip(series, edges, strict=True)])
    intervals = [mean_interval(column) for column in means.T]
    return pd.DataFrame({"progress": (np.arange(bins) + 0.5) / bins, "mean": [i.mean for i in intervals],
                         "low": [i.low for i in intervals], "high": [i.high for i in intervals],
                         "n_seeds": len(series)})  # fmt: skip


# --- augmentations ---------------------------------------------------------------------------------------------------


def sample(corpus: Corpus, count: int) -> np.ndarray:
    """Rows of core texts that models train on, with or without their labels; which ones, their ids say."""
    table = corpus.table
    rows = np.flatnonzero((table.status == CORE) & table.split.isin(["train", "unlabelled"]))
    order = [derive(SAMPLE_SEED, "augmentations", table.id.iat[row]) for row in rows.tolist()]
    return np.sort(rows[np.argsort(order, kind="stable")[:count]])


def marked(before: str, after: str, language: str) -> str:
    """``after`` on one line, with ``[ ]`` around the words that are new and ``[−]`` where some are gone."""
    blank = " " if language == "en" else ""
    old, new = (text.split() if language == "en" else cut(" ".join(text.split()), language) for text in (before, after))
    parts = []
    for kind, _, _, start, stop in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        words = blank.join(new[start:stop])
        parts.append({"equal": words, "delete": "[−]"}.get(kind, f"[{words}]"))
    return blank.join(parts)


def words_of(text: str, language: str) -> list[str]:
    """The words of a text in order, without what stands between them."""
    pieces = cut(text, language)
    return [pieces[place] for place in word_places(pieces, language)]


def augmentations_of(study: Study, corpus: Corpus) -> Iterator[dict]:
    """One row per augmentation: what becomes of many texts, and of one of them."""
    rows = sample(corpus, TEXTS)
    texts = corpus.table.text.iloc[rows].tolist()
    words = [words_of(text, corpus.language) for text in texts]
    shown = int(np.argmin([abs(len(text) - EXAMPLE[corpus.language]) for text in texts]))
    example = corpus.table.id.iat[rows[shown]]
    nothing = dict.fromkeys(("example_similarity", "example_changed"), np.nan)
    yield {"corpus": corpus.name, "augmentation": "none", "rate": np.nan, "n_texts": len(texts), "similarity_mean": 1.0,
           "similarity_low": np.nan, "similarity_high": np.nan, "unchanged": 1.0, "words_changed": 0.0, "id": example,
           **nothing, "text": texts[shown], "marked": " ".join(texts[shown].split())}  # fmt: skip
    ours = study.profile.uda.augmentation
    for kind in (*KINDS, "back-translation"):
        if kind == "back-translation" and ours.kind != kind:
            yield {"corpus": corpus.name, "augmentation": kind, "n_texts": 0, "id": example, "text": "",
                   "marked": NO_TRANSLATION}  # fmt: skip
            continue
        augmentation = ours if ours.kind == kind else Augmentation(kind)
        new = augmented(corpus, rows, augmentation, 0, 0, study.store)
        new_words = [words_of(text, corpus.language) for text in new]
        similarity = [edit_similarity(*pair) for pair in zip(texts, new, strict=True)]
        changed = [1 - edit_similarity(*pair) for pair in zip(words, new_words, strict=True)]
        interval = mean_interval(similarity)
        yield {"corpus": corpus.name, "augmentation": kind, "rate": augmentation.strength or np.nan, "n_texts": len(texts),
               "similarity_mean": interval.mean, "similarity_low": interval.low, "similarity_high": interval.high,
               "unchanged": float(np.mean([a == b for a, b in zip(texts, new, strict=True)])),
               "words_changed": float(np.mean(changed)), "id": example, "example_similarity": similarity[shown],
               "example_changed": changed[shown], "text": new[shown],
               "marked": marked(texts[shown], new[shown], corpus.language)}  # fmt: skip


@exhibit("x_augmentations", NOTEBOOK, "One text under every augmentation, and what becomes of many.",
         "同一文本的各种数据增强，及其对大量文本的影响")  # fmt: skip
def augmentations(study: Study) -> Content:
    corpora = [source.load() for source in study.large]
    body = pd.DataFrame([row for corpus in corpora for row in augmentations_of(study, corpus)])
    shown = body[["corpus", "augmentation", "rate"]].copy()
    triples = zip(body.similarity_mean, body.similarity_low, body.similarity_high, strict=True)
    shown["similarity"] = [with_interval(*triple) for triple in triples]
    for column in ("unchanged", "words_changed"):
        shown[column] = ["n/a" if np.isnan(share) else f"{share:.0%}" for share in body[column]]
    texts = ", ".join(f"{corpus.name} {body.n_texts[body.corpus == corpus.name].max():,}" for corpus in corpora)
    note = (f"Edit similarity 1 − d/length of characters, mean over texts ({texts}) with its 95 % interval; unchanged: texts "
            "that come back as they were; words_changed: edit distance of words over their number. "
            + (f"back-translation {NO_TRANSLATION}." if not body.n_texts.all() else ""))  # fmt: skip
    shown["text"] = body.marked
    body = body.drop(columns="marked").rename(columns={"id": "example_id"})
    if not study.may_quote:
        note += " Texts of your table are not quoted; quote_texts = True shows them."
        return Content(body.drop(columns="text"), display=shown.drop(columns="text"), corpora=corpora, note=note)
    note += " In the text, [ ] is new, [−] gone."
    return Content(body, display=shown, corpora=corpora, quotes=True, text_columns=("text",), note=note)


# --- results ---------------------------------------------------------------------------------------------------------


@exhibit("x_table_3_uda", NOTEBOOK, "Table 3, rows of UDA: what unlabelled texts add to Baseline.",
         "表3（UDA 部分）：无标注文本带来的变化")  # fmt: skip
def table_3_uda(study: Study) -> Content:
    rows, used = per_seed(study, ("Baseline", "UDA", "TF-IDF + SVM"))
    keys, compared = ["corpus", "model"], (*FAMILY,)
    table = compare.with_differences(rows, keys, {"UDA": "Baseline"}, METRICS, compared)
    note = (f"{compare.sizes(rows)} Δ is UDA − Baseline, paired over seeds. "
            "manual_accuracy is against the truth, where it is known; tail_f1 is the macro F1 of the classes smaller than "
            "the median one.")  # fmt: skip
    return Content(table, used, compare.readable_differences(table, keys, FAMILY, compared), rows, note=note)


@exhibit("x_uda_family", NOTEBOOK, "UDA, its variants and its semi-supervised relatives, against Baseline.",
         "UDA、其变体与其他半监督方法相对于 Baseline")  # fmt: skip
def uda_family(study: Study) -> Content:
    every = study.relative_specs()
    rows, used = per_run(study, {(name,): specs for name, specs in every.items()}, ["model"])
    against = dict.fromkeys((name for name in every if name != "Baseline"), "Baseline")
    table = compare.with_differences(rows, ["model"], against, METRICS, COMPARED)
    note = (f"{compare.sizes(rows)} Δ is paired over seeds against Baseline. All have the same budget of steps. λ_u: "
            f"{_weights(every)}; only UDA's, where the profile says so, was ever chosen on dev. UDA and "
            "its twin with cross-entropy predict the same class for "
            f"{same_predictions(study, 'UDA', 'UDA, cross-entropy'):.1%} of the test texts.")  # fmt: skip
    return Content(table, used, compare.readable_differences(table, ["model"], FAMILY, COMPARED), rows, note=note)


def _weights(every: dict[str, list[RunSpec]]) -> str:
    """``"0.3 of UDA | VAT; 3 of Π-Model"``: names may hold commas."""
    found: dict[float, list[str]] = {}
    for name, (spec, *_) in every.items():
        if spec.method.consistency:
            found.setdefault(spec.method.consistency.weight, []).append(name)
    return "; ".join(f"{weight:g} of {' | '.join(names)}" for weight, names in found.items())


def same_predictions(study: Study, one: str, other: str) -> float:
    """Of the test texts, and over seeds, the share that two of the relatives put into the same class."""
    every = study.relative_specs()
    pairs = zip(study.get(every[one]), study.get(every[other]), strict=True)
    return float(np.mean([np.mean(a.on(None)[2].argmax(axis=1) == b.on(None)[2].argmax(axis=1)) for a, b in pairs]))


# --- the pool --------------------------------------------------------------------------------------------------------


def pool_of(run: Run) -> np.ndarray:
    """Rows of the unlabelled texts that a run of UDA learned from."""
    corpus, method, seed = run.spec.source.load(), run.spec.method, run.spec.seed
    rows = pools(corpus, 0, training_rows(corpus, None, method, seed)).uda
    return pool_share(corpus, rows, method.consistency.pool, method.consistency.even, seed)


def balance(run: Run) -> dict[str, float]:
    """Of a run's unlabelled texts: how many, how many classes they are of and the share of the most frequent one, by the
    truth or else by labels that training hides; nan where neither is known of any text."""
    if not run.spec.method.consistency:
        return {"n_unlabelled": 0, "classes": np.nan, "largest": np.nan}
    rows, table = pool_of(run), run.spec.source.load().table
    known = table.truth.where(table.truth >= 0, table.label).to_numpy()[rows]
    sizes = np.bincount(known[known >= 0])
    there = len(sizes) > 0
    return {"n_unlabelled": len(rows), "classes": np.count_nonzero(sizes) if there else np.nan,
            "largest": sizes.max() / sizes.sum() if there else np.nan}  # fmt: skip


@exhibit("x_pool_size", NOTEBOOK, "What UDA's pool does: its size, and its balance over the classes.",
         "无标注数据的规模与类别均衡程度对 UDA 的影响")  # fmt: skip
def pool_size(study: Study) -> Content:
    keys = ["model", "pool", "balanced"]
    rows, used = per_run(study, study.pool_specs(), keys)
    facts = pd.DataFrame([balance(run) for run in used])
    rows = pd.concat([rows, facts], axis=1)
    table = summarise(rows, keys, METRICS)
    of_each = rows.groupby(keys, sort=False)[list(facts)].mean().reset_index(drop=True)
    for place, name in enumerate(facts):
        table.insert(len(keys) + place, name, of_each[name])
    every = list(table[keys].itertuples(index=False, name=None))
    compare.add_differences(table, rows, keys, {key: every[0] for key in every[1:]}, POOL)
    compare.add_differences(table, rows, keys, {key: (*key[:2], 0) for key in every if key[2]}, POOL, "even")
    shown = compare.readable_differences(table, keys, FAMILY, POOL, compare.DELTA | {"even": "Δ {}, even − as it is"})
    shown["pool"] = ["none" if not share else f"{share:.0%}, even" if even else f"{share:.0%}"
                     for share, even in zip(table.pool, table.balanced, strict=True)]  # fmt: skip
    shown = shown.drop(columns="balanced")
    shown.insert(2, "texts", [f"{n:,.0f}" for n in table.n_unlabelled])
    shown.insert(3, "classes", ["n/a" if np.isnan(n) else f"{n:.0f}" for n in table.classes])
    shown.insert(4, "largest class", ["n/a" if np.isnan(share) else f"{share:.1%}" for share in table.largest])
    even = ("Even: drawn class by class by labels that are otherwise hidden, which nobody has who needs UDA: it asks what balance "
            "does and is no method. Texts that came without any label count there as one class more.")  # fmt: skip
    if not table.balanced.any():
        even = "n/a for the balance: nobody knows a label of an unlabelled text, or no share is below the whole."
    note = (f"{compare.sizes(rows)} Shares of UDA's unlabelled texts; smaller ones are parts of larger ones, and all have the same "
            "number of steps, so texts of a smaller pool are seen more often. classes: how many the pool has, largest class: the "
            "share of its most frequent one. Δ is paired over seeds against Baseline, which has no pool. " + even)  # fmt: skip
    return Content(table, used, shown, rows, note=note)


# --- few labels, wrong labels ----------------------------------------------------------------------------------------


@exhibit("x_share_curve", NOTEBOOK, "Accuracy over the share of labels: Baseline, and each term of the loss alone.",
         "准确率随标注比例的变化：Baseline 与各损失项")  # fmt: skip
def share_curve(study: Study) -> Content:
    rows, used = per_run(study, study.share_specs(), ("model", "labels"))
    against = {method.name: "Baseline" for method in study.terms if method.name != "Baseline"}
    table = compare.with_differences(rows, ["labels", "model"], against, METRICS, ["accuracy"])
    table.insert(2, "n_train", rows.groupby(["labels", "model"], sort=False).n_train.max().to_numpy())
    figure = _share_curve(table)
    note = (f"{study.hard.load().name}. {style.drawn(table)} Points above Baseline are paired over seeds. At least one text of "
            "each class keeps its label; the other training texts join the unlabelled ones. "
            f"{compare.texts(rows)}")  # fmt: skip
    return Content(figure, used, numbers=table, per_seed=rows, note=note)


def _share_curve(table: pd.DataFrame) -> Figure:
    """Accuracy, also against the truth where it is known, and the gain over Baseline: it is far smaller than what labels do."""
    gain = {f"accuracy_difference{part}": f"gain{end}" for part, end in zip(compare.PARTS, ENDS, strict=True)}
    table = table.rename(columns=gain)
    table[[*gain.values()]] *= 100
    panels = {
        "accuracy": label("accuracy", "准确率"),
        "manual_accuracy": label("accuracy against the truth", "相对真值的准确率"),
        "gain": label("points above Baseline", "比 Baseline 高的百分点"),
    }
    panels = {metric: name for metric, name in panels.items() if table[f"{metric}_mean"].notna().any()}
    figure, axes = plt.subplots(1, len(panels), figsize=(style.PAGE * (len(panels) + 1) / 4, 2.8), squeeze=False)
    ticks = sorted(table.labels.unique() * 100)
    for axis, (metric, name) in zip(axes[0], panels.items(), strict=True):
        for place, (model, mine) in enumerate(table.groupby("model", sort=False)):
            if mine[f"{metric}_mean"].notna().any():
                # side by side, so that intervals do not hide each other
                compare.line(axis, mine.labels * 100 * 1.03 ** (place - 1.5), mine, metric, model)
        axis.set(xscale="log", xlabel=label("labels used (%)", "使用的标注比例（%）"), ylabel=name)
        axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axis.minorticks_off()
        if metric == "gain":
            axis.axhline(0, color=style.INK, lw=0.8)
        else:
            axis.set_ylim(0, None)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def visits(run: Run) -> dict[str, float]:
    """How many steps a run took, and how often each of its unlabelled texts was read, by the term that reads any."""
    method, steps = run.spec.method, len(run.steps)
    read = steps * run.spec.schedule.batch_size
    often = np.nan
    if method.consistency:
        often = read * method.consistency.ratio / run.result["n_unlabelled"]
    elif method.contrast:
        often = read * method.contrast.ratio / run.result["n_similar"]
    return {"steps": steps, "visits": often}


@exhibit("x_longer", NOTEBOOK, "Whether the terms had time to act: each alone, trained longer, beside Baseline as long.",
         "各损失项是否有足够的训练步数：延长训练并与同样长度的 Baseline 比较")  # fmt: skip
def longer(study: Study) -> Content:
    keys = ["times", "model"]
    rows, used = per_run(study, study.length_specs(), keys)
    rows = pd.concat([rows, pd.DataFrame([visits(run) for run in used])], axis=1)
    against = {method.name: "Baseline" for method in study.terms if method.name != "Baseline"}
    table = compare.with_differences(rows, keys, against, METRICS, LONGER)
    facts = rows.groupby(keys, sort=False)[["steps", "visits"]].mean().reset_index(drop=True)
    for place, name in enumerate(facts):
        table.insert(len(keys) + place, name, facts[name])
    known = [metric for metric in LONGER if table[f"{metric}_mean"].notna().any()]
    shown = compare.readable_differences(table, keys, known, known)
    shown["times"] = [f"× {times:g}" for times in table.times]
    shown.insert(2, "steps", [f"{steps:.0f}" for steps in table.steps])
    shown.insert(3, "visits", ["" if np.isnan(often) else f"{often:.1f}" for often in table.visits])
    note = (f"{compare.sizes(rows)} × 1 is the training of Table 3. visits: how often each unlabelled text was read; below 1 some "
            "of them never were. Δ is paired over seeds against Baseline of the same length. The weights of the best epoch on dev "
            "are kept, so a longer training may stop earlier in effect.")  # fmt: skip
    return Content(table, used, shown, rows, note=note)


@exhibit("x_noise_curve", NOTEBOOK, "Accuracy against the truth over the share of wrong labels, and what becomes of them.",
         "相对真值的准确率随错误标签比例的变化，以及错误标签样本的预测去向")  # fmt: skip
def noise_curve(study: Study) -> Content:
    every = study.noise_specs()
    if not every:
        note = "n/a: the truth behind these labels is not known, so no share of them can be made wrong."
        return nothing(note, corpora=[study.hard.load()])
    rows, used = per_run(study, every, ("model", "noise"))
    table = summarise(rows, ["noise", "model"], ("manual_accuracy", "accuracy", *CORRECTION))
    figure, axes = plt.subplots(1, 2, figsize=(style.PAGE, 2.8))
    for place, (model, mine) in enumerate(table.groupby("model", sort=False)):
        at = mine.noise * 100 + 0.4 * (place - 1.5)
        compare.line(axes[0], at, mine, "manual_accuracy", model)
        compare.line(axes[1], at, mine, "corrected", model)
        compare.line(axes[1], at, mine, "repeated", model, ls="none", mfc="none", label=None)
    for axis in axes:
        top = axis.dataLim.y1 if np.isfinite(axis.dataLim.y1) and axis.dataLim.y1 > 0 else 1
        axis.set(ylim=(-0.03 * top, 1.08 * top), xlabel=label("wrong training labels (%)", "错误的训练标签（%）"))
        axis.set_xticks(sorted(table.noise.unique() * 100))
    axes[0].set_ylabel(label("accuracy against the truth", "相对真值的准确率"))
    axes[1].set_ylabel(label("share of the test texts\nwith a wrong label", "标签错误的测试文本中的占比"))
    kinds = {label("predicted as the truth", "预测为真值", " "): {"mfc": style.INK},
             label("as the wrong label again", "重复错误标签", " "): {"mfc": "none", "ls": "none"}}  # fmt: skip
    handles = [
        Line2D([], [], color=style.INK, marker="o", ms=4, lw=1, label=kind, **how) for kind, how in kinds.items()
    ]
    axes[1].set_ylim(top=1.25 * axes[1].get_ylim()[1])  # room for the legend
    axes[1].legend(handles=handles, loc="upper right")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    _, labels, _ = used[0].on(None)
    truth = used[0].spec.source.load().table.truth.to_numpy()[used[0].on(None)[0]]
    wrong = int(((truth >= 0) & (labels != truth)).sum())
    note = (f"{study.hard.load().name}. Right: of the {wrong} test texts whose label is wrong, the share that is predicted as the "
            f"truth (filled, lines) and as the wrong label (hollow). {style.drawn(table)} "
            f"{compare.texts(rows)}")  # fmt: skip
    return Content(figure, used, numbers=table, per_seed=rows, note=note)
