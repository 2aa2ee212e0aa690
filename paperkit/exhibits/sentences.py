"""Paper A's ESimCSE: sentence embeddings learned without labels, and what they add (notebook 04_esimcse)."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.ticker import MaxNLocator

from paperkit.corpora.corpus import Corpus
from paperkit.evaluate import embeddings
from paperkit.evaluate.statistics import mean_interval
from paperkit.exhibits import compare, style
from paperkit.exhibits.data import shortened
from paperkit.exhibits.exhibit import Content, exhibit, nothing
from paperkit.exhibits.paper_a import METRICS, per_seed
from paperkit.exhibits.style import drawable, label
from paperkit.exhibits.summary import readable, summarise
from paperkit.exhibits.uda import over_progress, sample
from paperkit.runs import Run
from paperkit.study import Study
from paperkit.text.augment import Augmentation, augmented
from paperkit.text.edits import edit_similarity, rounded

NOTEBOOK = "04_esimcse"
FILLING = 10
"""Steps in which the queue is drawn: it is full long before."""
PROBES = ("alignment", "uniformity", "anisotropy", "knn_accuracy", "linear_accuracy", "length_bias")
UNTRAINED = {"untrained": "untrained", "whitened": "untrained, whitened"}
DRAWN = ("untrained", "SimCSE", "ESimCSE")
RATES = (0.1, 0.3, 0.5, 0.8)
NEGATIVES = 100
"""Texts of each corpus that negatives are made of."""
FOUR = {"Baseline+ESimCSE": "Baseline", "UDA+ESimCSE": "UDA"}
"""What ESimCSE is added to."""
SHOWN = ("accuracy", "f1_macro", "manual_accuracy", "sibling_confusion")
COMPARED = ("accuracy", "f1_macro", "sibling_confusion")


# --- probes ----------------------------------------------------------------------------------------------------------


def probed(study: Study) -> tuple[pd.DataFrame, list[Run], dict[tuple[str, str, int], dict]]:
    """One row per run and probe; the runs; and all that was probed, by corpus, model and seed.

    The encoder before training, and the same whitened, stand first; they have one row.
    """
    every = study.sentence_specs()
    runs = study.get([spec for specs in every.values() for spec in specs])
    asked, used = [], iter(runs)
    for (source, model), specs in every.items():
        mine = [next(used) for _ in specs]
        if source.name not in {name for name, *_ in asked}:
            asked += [(source.name, name, state, mine[0]) for state, name in UNTRAINED.items()]
        asked += [(source.name, model, "trained", run) for run in mine]
    train = min(embeddings.TRAIN, 5 * study.profile.robustness)
    found = embeddings.probe_all([run for *_, run in asked], [state for *_, state, _ in asked], study.store, study.at_once,
                                 train)  # fmt: skip
    rows, whole = [], {}
    for (_, model, state, run), each in zip(asked, found, strict=True):
        corpus, seed = run.spec.source.load().name, run.spec.seed
        whole[corpus, model, seed] = each
        rows.append({"data": study.name, "corpus": corpus, "model": model, "seed": seed if state == "trained" else "",
                     "n_train": each["n_train"], "n_test": each["n_test"], "pairs": each["pairs"],
                     **{probe: each[probe] for probe in PROBES}})  # fmt: skip
    return pd.DataFrame(rows), runs, whole


def _texts(rows: pd.DataFrame) -> str:
    return "; ".join(f"{corpus}: {group.n_train.max():,} training and {group.n_test.max():,} test texts"
                     for corpus, group in rows.groupby("corpus", sort=False)) + "."  # fmt: skip


@exhibit("x_sentence_probes", NOTEBOOK, "Sentence embeddings learned without labels, beside none and whitening.",
         "无标注学习的句向量评测：与未训练、白化对照")  # fmt: skip
def sentence_probes(study: Study) -> Content:
    rows, used, _ = probed(study)
    keys = ["corpus", "model"]
    table = summarise(rows, keys, PROBES)
    note = ("Pooled states of the encoder, without the projection head that training looks through. alignment: mean squared "
            "distance of a text to itself with words repeated, lower is closer; uniformity: lower is more even; anisotropy: "
            "mean cosine of two texts; kNN (k = 5) and linear classifier learn from the training texts and are tested on the "
            "test texts; length_bias: Spearman's ρ of cosine and length difference, over pairs of texts cut at random "
            f"lengths, 0 is none; whitening is fitted on at most {embeddings.TRAIN:,} training texts. "
            f"{_texts(rows)} {style.averaged(table.n_seeds.max())}")  # fmt: skip
    return Content(table, used, readable(table, keys, PROBES), rows, note=note)


@exhibit("x_length_bias", NOTEBOOK, "Does similarity follow the difference of lengths?", "句向量相似度与长度差的关系")
def length_bias(study: Study) -> Content:
    rows, used, whole = probed(study)
    corpora = list(dict.fromkeys(rows.corpus))
    figure, axes = plt.subplots(
        1, len(corpora), figsize=(style.PAGE * (len(corpora) + 1) / 3, 2.7), squeeze=False, sharey=True
    )
    numbers = []
    for place, (axis, corpus) in enumerate(zip(axes[0], corpora, strict=True)):
        for model in DRAWN:
            mine = [each for (where, name, _), each in whole.items()
                    if (where, name) == (corpus, model) and not np.isnan(each["length_bias"])]  # fmt: skip
            if not mine:
                continue
            # the pairs are the same for every model, so their bins are as well
            edges, count = np.array(mine[0]["edges"]), np.array(mine[0]["count"])
            raw = np.array([each["similarity"] for each in mine])
            centred = raw - raw @ count[:, None] / count.sum()
            intervals = [mean_interval(column) for column in centred.T]
            numbers.append(pd.DataFrame({
                "corpus": corpus, "model": model, "n_seeds": len(mine), "from": edges[:-1], "to": edges[1:], "pairs": count,
                "cosine": raw.mean(axis=0), "centred_mean": [i.mean for i in intervals],
                "centred_low": [i.low for i in intervals], "centred_high": [i.high for i in intervals]}))  # fmt: skip
            rho = np.mean([each["length_bias"] for each in mine])
            compare.line(axis, (edges[:-1] + edges[1:]) / 2, numbers[-1], "centred", model,
                         label=f"{model}  (ρ = {rho:+.2f})")  # fmt: skip
        axis.axhline(0, color=style.INK, lw=0.6)
        axis.set(title=drawable(shortened(corpus), f"corpus {place + 1}"),
                 xlabel=label("difference of lengths (tokens)", "长度差（词元）"))  # fmt: skip
        axis.legend(fontsize=7)
    axes[0, 0].set_ylabel(label("cosine − its mean", "余弦相似度 − 均值"))
    if not numbers:
        plt.close(figure)
        return nothing("n/a: all training texts are too short to be cut at different lengths.", runs=used)
    pairs = ", ".join(f"{corpus} {group.pairs.max():,}" for corpus, group in rows.groupby("corpus", sort=False))
    note = (f"Pairs of training texts, each cut at a random length ({pairs}), about equally many in each bin, drawn at its middle. "
            "Each model's mean cosine is taken away: how alike it holds all texts is anisotropy, not bias. ρ is over the "
            "pairs. Of a short beginning less is known, so some slope is natural: compare the models. "
            f"{_texts(rows)} {style.drawn(pd.concat(numbers))}")  # fmt: skip
    return Content(figure, used, numbers=pd.concat(numbers), note=note)


# --- EDA negatives ---------------------------------------------------------------------------------------------------


def negatives_of(study: Study, corpus: Corpus) -> Iterator[dict]:
    """One row per rate: how similar paper A's negatives are to their texts, and how many of them round to 0."""
    rows = sample(corpus, NEGATIVES)
    texts = corpus.table.text.iloc[rows].tolist()
    for rate in RATES:
        new = augmented(corpus, rows, Augmentation("eda-negative", rate), 0, 0, study.store)
        similarity = np.array([edit_similarity(*pair) for pair in zip(texts, new, strict=True)])
        count = sum(rounded(each) == 0 for each in similarity)
        interval = mean_interval(similarity)
        yield {"corpus": corpus.name, "rate": rate, "n_texts": len(texts), "similarity_mean": interval.mean,
               "similarity_low": interval.low, "similarity_high": interval.high, "lowest": similarity.min(),
               "unchanged": float(np.mean([a == b for a, b in zip(texts, new, strict=True)])), "negatives": count,
               "share": count / len(texts)}  # fmt: skip


@exhibit("x_eda_negatives", NOTEBOOK, "Paper A's negatives: how many edited texts round to label 0.",
         "论文A的EDA负例：相似度取整为0的样本数")  # fmt: skip
def eda_negatives(study: Study) -> Content:
    corpora = [source.load() for source in study.large]
    table = pd.DataFrame([row for corpus in corpora for row in negatives_of(study, corpus)])
    shown = readable(table.assign(n_seeds=table.n_texts), ["corpus", "rate"], ("similarity",))
    shown = shown.rename(columns={"n_seeds": "texts"}).assign(lowest=table.lowest, negatives=table.negatives)
    shown["share"] = [f"{share:.0%}" for share in table.share]
    light = table[table.rate == RATES[0]]
    note = ("Random insertion, antonyms or random deletion, one of them, at that rate. Label: edit similarity of characters, "
            f"rounded; 0 is a negative, 1 is ignored. At EDA's own rate, {RATES[0]:g}, {light.negatives.sum()} of "
            f"{light.n_texts.sum()} texts are negatives.")  # fmt: skip
    return Content(table, display=shown, corpora=corpora, note=note)


# --- the queue -------------------------------------------------------------------------------------------------------


@exhibit("x_queue", NOTEBOOK, "The contrastive loss while the queue fills.", "对比损失与动量队列的填充过程")
def queue(study: Study) -> Content:
    source = study.hard
    every = {model: specs for (where, model), specs in study.sentence_specs().items() if where == source}
    every["UDA+ESimCSE"] = study.ten_specs()[source, "UDA+ESimCSE"]
    figure, (left, right) = plt.subplots(1, 2, figsize=(style.PAGE, 2.8))
    used, numbers = [], []
    for model, runs in study.get_each(every).items():
        used += runs
        curves = {"sim": over_progress([run.steps["sim"].to_numpy() for run in runs])}
        if "queue" in runs[0].steps:
            curves["queue"] = over_progress([run.steps["queue"].to_numpy() for run in runs])
        look = style.look(model)
        left.plot(curves["sim"].progress * 100, curves["sim"]["mean"], color=look.color, ls=look.line, marker=look.marker, ms=3,
                  lw=1, label=model)  # fmt: skip
        left.fill_between(
            curves["sim"].progress * 100, *style.bounds(curves["sim"]), color=look.color, alpha=0.15, lw=0
        )
        if "queue" in curves:  # queues fill alike, and in few steps: each narrower than the one that it covers
            filling = runs[0].steps["queue"].to_numpy()[:FILLING]
            right.plot(
                np.arange(1, len(filling) + 1), filling, color=look.color, ls=look.line, lw=4 / (1 + len(right.lines))
            )
        numbers += [curve.assign(what=what, model=model) for what, curve in curves.items()]
    for axis, what in ((left, "sim"), (right, "queue")):
        highest = max((each["mean"].max() for each in numbers if each.what.iat[0] == what), default=1)
        axis.set_ylim(0, 1.1 * highest)  # an interval can be so wide that the curves would be flat
    left.set_xlabel(label("steps done (%)", "训练进度（%）"))
    right.set_xlabel(label(f"step, the first {FILLING}", f"前 {FILLING} 步"))
    right.xaxis.set_major_locator(MaxNLocator(integer=True))
    left.set_ylabel(label("$L_{\\mathrm{sim}}$", "对比损失"))
    right.set_ylabel(label("embeddings in the queue", "队列中的句向量数"))
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=5)
    contrast, batch = study.profile.esimcse, study.profile.finetune.batch_size
    size = round(contrast.queue * contrast.ratio * batch)
    note = (f"{source.load().name}; {contrast.ratio * batch} texts a step, a queue of {size}, m = {contrast.momentum:g}. More "
            f"candidates make the task harder: by chance the loss is ln {contrast.ratio * batch} = "
            f"{np.log(contrast.ratio * batch):.1f} without a queue and ln {contrast.ratio * batch + size} = "
            f"{np.log(contrast.ratio * batch + size):.1f} with a full one. The copy follows over "
            f"about 1/(1 − m) = {1 / max(1 - contrast.momentum, 1e-9):,.0f} steps, these runs have {len(used[0].steps):,}: in far "
            "fewer the encoder leaves its copy behind, and a queue that it tells apart at once teaches little. Left: means over "
            f"seeds, steps in bins; right: seed 0. {style.drawn(pd.concat(numbers), 'Bands')}")  # fmt: skip
    return Content(figure, used, numbers=pd.concat(numbers), note=note)


# --- results ---------------------------------------------------------------------------------------------------------


@exhibit("x_table_3_esimcse", NOTEBOOK, "Table 3, rows of ESimCSE: what contrastive learning adds.",
         "表3（ESimCSE 部分）：对比学习带来的变化")  # fmt: skip
def table_3_esimcse(study: Study) -> Content:
    rows, used = per_seed(study, (*FOUR.values(), *FOUR))
    keys = ["corpus", "model"]
    table = compare.with_differences(rows, keys, FOUR, METRICS, COMPARED)
    note = (f"{compare.sizes(rows)} Δ is with ESimCSE − without, paired over seeds. "
            "sibling_confusion is the share of errors under the right parent, n/a where labels are no tree: it can rise while "
            "siblings are confused less often, if other errors fall faster.")  # fmt: skip
    return Content(table, used, compare.readable_differences(table, keys, SHOWN, COMPARED), rows, note=note)
