"""What paper A's corpora are: sizes, lengths, label trees, noise (notebook 01_data)."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer

from paperkit.corpora.corpus import CORE, Corpus
from paperkit.corpora.pools import pools
from paperkit.evaluate.metrics import has_tree
from paperkit.exhibits import style
from paperkit.exhibits.data import NOTEBOOK, shortened
from paperkit.exhibits.exhibit import Content, exhibit
from paperkit.exhibits.style import drawable, label
from paperkit.seeds import derive, numpy_generator
from paperkit.study import Study
from paperkit.training.execute import pool_share, training_rows

FEW_NAMES = 10
BARS = 120
"""Most bars of a histogram."""
SAMPLE, RESAMPLES, BEGINNING = 1000, 500, 1000
"""Texts and resamples of the similarities; characters of a text that count."""
SAMPLE_SEED = 20231113
SAME = "same class"
NEWS = 0
"""Place of paper A's first corpus, the news, in :attr:`Study.large`."""


def large(study: Study) -> tuple[Corpus, ...]:
    """Paper A's corpora: news and tickets, or a user's own table."""
    return tuple(source.load() for source in study.large)


def _drawn(corpus: Corpus, number: int) -> str:
    return drawable(shortened(corpus.name), f"corpus {number + 1}")


def _labelled(corpus: Corpus) -> pd.DataFrame:
    """Core texts with a label, whatever their split."""
    return corpus.table[(corpus.table.label >= 0) & (corpus.table.status == CORE)]


def class_sizes(corpus: Corpus) -> NDArray[np.int64]:
    """Labelled core texts of each class, ``(K,)``."""
    return np.bincount(_labelled(corpus).label, minlength=corpus.n_classes)


# --- Fig. 2 and Table 2 ----------------------------------------------------------------------------------------------


def text_lengths(corpus: Corpus) -> NDArray[np.int64]:
    """Of every core text: characters of a Chinese corpus, words between white space of an English one."""
    texts = corpus.table.text[corpus.table.status == CORE]
    return (texts.str.len() if corpus.language == "zh" else texts.str.split().str.len()).to_numpy(np.int64)


def _said_of_lengths(lengths: NDArray[np.int64], unit: str, place: int | None) -> str:
    if place == NEWS:
        return f"{(lengths < 250).mean():.1%} have fewer than 250 {unit}"
    middle = f"the median is {np.median(lengths):.0f} {unit}"
    if place is None:
        return middle
    near = [((lengths >= low) & (lengths <= high)).mean() for low, high in ((75, 125), (350, 450))]
    return f"{near[0]:.1%} have 75 to 125 {unit}, {near[1]:.1%} have 350 to 450; {middle}"


@exhibit("a_fig_2", NOTEBOOK, "Fig. 2. Distribution of text lengths.", "图2 数据分布信息图")
def fig_2(study: Study) -> Content:
    corpora = large(study)
    width = style.PAGE if len(corpora) > 1 else 0.6 * style.PAGE
    figure, axes = plt.subplots(1, len(corpora), figsize=(width, 2.6), squeeze=False)
    numbers, said = [], []
    for place, (corpus, panel) in enumerate(zip(corpora, axes[0], strict=True)):
        lengths = text_lengths(corpus)
        unit, chinese = ("characters", "字数") if corpus.language == "zh" else ("words", "词数")
        end = int(np.quantile(lengths, 0.995)) + 1
        step = next((step for step in (1, 2, 5, 10, 20, 50, 100) if end <= BARS * step), 200)
        starts = np.arange(lengths.min() // step * step, lengths.max() + 1, step)
        counts = np.bincount(lengths // step)[starts[0] // step :]
        panel.stairs(counts, np.append(starts, starts[-1] + step), fill=True, color=f"C{place}")
        panel.set(xlabel=label(f"length in {unit}", f"文本长度（{chinese}）"), ylabel=label("texts", "文本数"),
                  xlim=(0, -(-end // step) * step),
                  title=f"{_drawn(corpus, place)}  (n = {len(lengths):,})")  # fmt: skip
        if study.kind != "table":
            for mark in ((250,), (100, 400))[place]:
                panel.axvline(mark, color=style.INK, lw=0.8, ls=":")
        beyond = int((lengths >= panel.get_xlim()[1]).sum())
        said.append(f"{corpus.name}: {_said_of_lengths(lengths, unit, None if study.kind == 'table' else place)}"
                    + (f"; {beyond} longer than drawn" if beyond else "") + ".")  # fmt: skip
        numbers.append(pd.DataFrame({"corpus": corpus.name, "unit": unit, "from": starts, "to": starts + step - 1,
                                     "texts": counts})[counts > 0])  # fmt: skip
    if study.kind != "table":
        said.append("Dotted: where the paper sees most of Reuters below, 250, and its tickets around, 100 and 400.")
    return Content(figure, numbers=pd.concat(numbers), corpora=corpora, note=" ".join(said))


def _named(names: Sequence[str]) -> str:
    listed = f" ({', '.join(map(shortened, names))})" if 0 < len(names) <= FEW_NAMES else ""
    return f"{len(names) or 'no'} {'class' if len(names) == 1 else 'classes'}{listed}"


@exhibit("a_table_2", NOTEBOOK, "Table 2. Division of the data sets.", "表2 数据集划分情况")
def table_2(study: Study) -> Content:
    """Core texts by what the runs of Table 3 use them for, seed 0; another seed draws other labels, and as many."""
    baseline, uda = study.baseline, study.profile.uda
    rows, said = [], []
    for corpus in large(study):
        parts = pools(corpus, study.profile.robustness, training_rows(corpus, None, baseline, 0))
        names, labels = np.array(corpus.label_names, dtype=object), corpus.table.label.to_numpy()
        untrained, untested = (np.setdiff1d(np.arange(len(names)), labels[part])
                               for part in (parts.labelled, parts.test))  # fmt: skip
        rows.append({"corpus": corpus.name, "labelled": len(parts.labelled), "labels_there_are": len(corpus.rows("train")),
                     "unlabelled_uda": len(pool_share(corpus, parts.uda, uda.pool, uda.even, 0)),
                     "unlabelled_esimcse": len(parts.esimcse), "dev": len(parts.dev), "test": len(parts.test),
                     "sa": len(parts.sa), "ra": len(parts.ra), "classes": corpus.n_classes,
                     "classes_not_trained": len(untrained), "classes_not_tested": len(untested)})  # fmt: skip
        said.append(f"{corpus.name}: {parts.sentence}; {_named(names[untrained])} not trained on, "
                    f"{_named(names[untested])} not tested.")  # fmt: skip
    if baseline.labelled < 1:
        said.append(f"labelled: what the models of Table 3 train on, {baseline.labelled:.0%} of each class and at least one; "
                    "labels_there_are: all labelled training texts, of which the others join the unlabelled ones.")  # fmt: skip
    said.append("A class is not tested if it is too small to split or the given test part lacks it. The unlabelled texts are "
                "halved between UDA and ESimCSE" + (f", and UDA reads {uda.pool:.0%} of its half" if uda.pool < 1 else "")
                + ". RA attacks the texts that SA is measured on.")  # fmt: skip
    return Content(pd.DataFrame(rows), corpora=large(study), note=" ".join(said))


# --- the classes: tree, sizes ----------------------------------------------------------------------------------------


def gini(sizes: Sequence[int]) -> float:
    """Gini coefficient: 0 if all classes are of one size, near 1 if one class has all texts."""
    ordered = np.sort(np.asarray(sizes, dtype=np.float64))
    n = len(ordered)
    total = n * ordered.sum()
    return float(((2 * np.arange(1, n + 1) - n - 1) * ordered).sum() / total) if total else float("nan")


def smallest_half(sizes: Sequence[int]) -> float:
    """Share of the texts that the smaller half of the classes holds (of an odd number, without the one in the middle)."""
    ordered = np.sort(np.asarray(sizes))
    return float(ordered[: len(ordered) // 2].sum() / ordered.sum()) if ordered.sum() else float("nan")


def levels(names: Sequence[str], sizes: Sequence[int]) -> Iterator[dict]:
    """Each level of a label tree, then, where leaves are of unequal depth, all classes together."""
    paths = [tuple(name.split("/")) for name in names]
    deepest = max(map(len, paths))
    for depth in range(1, deepest + 1):
        nodes: Counter = Counter()
        for path, size in zip(paths, sizes, strict=True):
            if len(path) >= depth:
                nodes[path[:depth]] += int(size)
        ending = [int(size) for path, size in zip(paths, sizes, strict=True) if len(path) == depth]
        yield {"level": str(depth), "nodes": len(nodes), "classes": len(ending), "texts": sum(ending)} | _spread(
            list(nodes.values())
        )
    if len(set(map(len, paths))) > 1:
        yield {"level": "all classes", "nodes": len(names), "classes": len(names), "texts": int(sum(sizes))} | _spread(
            sizes
        )


def _spread(sizes: Sequence[int]) -> dict:
    return {"largest": int(max(sizes)), "smallest": int(min(sizes)), "smallest_half": smallest_half(sizes),
            "gini": gini(sizes)}  # fmt: skip


@exhibit("x_label_tree", NOTEBOOK, "The trees of labels, level by level.", "标签树：逐层的节点与不平衡程度")
def label_tree(study: Study) -> Content:
    rows, said = [], []
    for corpus in large(study):
        sizes = class_sizes(corpus)
        rows += [{"corpus": corpus.name} | level for level in levels(corpus.label_names, sizes)]
        names = np.array(corpus.label_names, dtype=object)
        largest = shortened(names[sizes.argmax()])
        said.append(f"{corpus.name}: the largest class is {largest} ({sizes.max():,} texts)"
                    + (f"; {_named(names[sizes == 0])} without a labelled text." if not sizes.all() else "."))  # fmt: skip
    note = ("Labelled core texts of all splits. nodes: of this level; classes, texts: those whose path ends here; the rest: "
            "sizes of the nodes in texts, the share of the smaller half of them, and their Gini coefficient. ")  # fmt: skip
    return Content(pd.DataFrame(rows), corpora=large(study), note=note + " ".join(said))


@exhibit("x_class_sizes_a", NOTEBOOK, "Class sizes by rank.", "类别规模与排名")
def class_sizes_by_rank(study: Study) -> Content:
    corpora = large(study)
    figure, axes = plt.subplots(figsize=(0.6 * style.PAGE, 2.8))
    numbers, most, largest = [], 1, 1
    for place, corpus in enumerate(corpora):
        sizes = class_sizes(corpus)
        order = np.argsort(-sizes, kind="stable")
        order = order[sizes[order] > 0]
        ranks = np.arange(1, len(order) + 1)
        axes.plot(ranks, sizes[order], "os"[place], ms=2.5, color=f"C{place}",
                  label=f"{_drawn(corpus, place)}  ({len(order)} {label('classes', '类', ' ')})")  # fmt: skip
        names = np.array(corpus.label_names, dtype=object)[order]
        numbers.append(pd.DataFrame({"corpus": corpus.name, "rank": ranks, "label": names, "texts": sizes[order]}))
        most, largest = max(most, len(order)), max(largest, int(sizes.max()))
    axes.set(xscale="log", yscale="log", xlim=(0.8, 1.3 * most), ylim=(0.7, 1.6 * largest),
             xlabel=label("rank of the class", "类别排名"), ylabel=label("texts", "文本数"))  # fmt: skip
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter("{x:,.0f}")
        axis.set_minor_formatter(NullFormatter())
    axes.grid(axis="x", visible=True)
    figure.legend(loc="outside lower center", ncols=2)
    note = "Labelled core texts of all splits; both axes are logarithmic, where a Zipf tail is a straight line."
    return Content(figure, numbers=pd.concat(numbers), corpora=corpora, note=note)


# --- similarity ------------------------------------------------------------------------------------------------------


def shared_steps(names: Sequence[str], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many leading steps the label paths of each two texts share, ``(n, n)``."""
    paths = [tuple(name.split("/")) for name in names]
    shared = np.zeros((len(labels), len(labels)), dtype=np.int64)
    for depth in range(1, max(map(len, paths)) + 1):
        # a path that has ended shares nothing more, not even with itself
        numbers = {prefix: k for k, prefix in enumerate(sorted({path[:depth] for path in paths if len(path) >= depth}))}
        ids = np.array([numbers.get(path[:depth], -1) if len(path) >= depth else -1 for path in paths])[labels]
        shared += (ids[:, None] == ids) & (ids >= 0)
    return shared


def similarity(corpus: Corpus) -> pd.DataFrame:
    """Mean cosine of the TF-IDF vectors of two texts by what their labels share, and its rise from group to group.

    Vectors are of 1-2 characters of a Chinese corpus and of words of an English one, from the first
    :data:`BEGINNING` characters of at most :data:`SAMPLE` labelled texts, of which all pairs are compared. Intervals
    are 95 % percentile intervals of a bootstrap over *texts*: pairs that have a text in common are not independent.
    """
    table = _labelled(corpus)
    order = [derive(SAMPLE_SEED, "similarity", name) for name in table.id]
    table = table.iloc[np.argsort(order, kind="stable")[:SAMPLE]]
    characters = {"analyzer": "char", "ngram_range": (1, 2)}
    options = characters if corpus.language == "zh" else {"token_pattern": r"\w+"}
    vectors = TfidfVectorizer(sublinear_tf=True, **options).fit_transform(table.text.str[:BEGINNING])
    cosines = (vectors @ vectors.T).toarray()
    labels = table.label.to_numpy()
    same, shared = labels[:, None] == labels, shared_steps(corpus.label_names, labels)
    generator = numpy_generator(SAMPLE_SEED, "similarity", "bootstrap")
    draws = generator.multinomial(len(table), np.full(len(table), 1 / len(table)), size=RESAMPLES).astype(np.float64)
    rows, before = [], None
    for group in (*np.unique(shared[~same]).tolist(), SAME):
        members = np.triu(same if group == SAME else ~same & (shared == group), k=1).astype(np.float64)
        if not (pairs := int(members.sum())):
            continue
        chosen = members * cosines
        with np.errstate(invalid="ignore"):  # a resample may hold no pair of the group
            # a text that is drawn twice is in twice as many pairs
            means = np.einsum("bi,bi->b", draws @ chosen, draws) / np.einsum("bi,bi->b", draws @ members, draws)
        rises = means - before if before is not None else np.full(1, np.nan)
        rows.append({"shared": str(group), "pairs": pairs, "mean": chosen.sum() / pairs, **_interval("", means),
                     **_interval("rise_", rises)})  # fmt: skip
        before = means
    return pd.DataFrame(rows)


def _interval(name: str, resampled: NDArray[np.float64]) -> dict[str, float]:
    known = resampled[~np.isnan(resampled)]
    low, high = np.quantile(known, (0.025, 0.975)) if len(known) else (np.nan, np.nan)
    return {f"{name}low": low, f"{name}high": high}


@exhibit("x_similarity_by_prefix", NOTEBOOK, "Similarity of two texts by the leading steps that their labels share.",
         "文本相似度与共有标签路径前缀长度的关系")  # fmt: skip
def similarity_by_prefix(study: Study) -> Content:
    corpora = large(study)
    tables = [similarity(corpus) for corpus in corpora]
    ticks = sorted({group for table in tables for group in table.shared}, key=lambda group: (len(group), group))
    figure, axes = plt.subplots(figsize=(0.6 * style.PAGE, 2.8))
    said = []
    for place, (corpus, table) in enumerate(zip(corpora, tables, strict=True)):
        at = np.array([ticks.index(group) for group in table.shared]) + 0.08 * (2 * place - len(corpora) + 1)
        errors = np.nan_to_num([table["mean"] - table.low, table.high - table["mean"]]).clip(min=0)
        axes.errorbar(at, table["mean"], yerr=errors, fmt="os"[place] + "-", lw=0.8, color=f"C{place}",
                      label=_drawn(corpus, place))  # fmt: skip
        said.append(f"{corpus.name}: {' → '.join(f'{mean:.3f}' for mean in table['mean'])}; {(table.rise_low > 0).sum()} "
                    f"of {len(table) - 1} steps up beyond doubt, {(table.rise_high < 0).sum()} down.")  # fmt: skip
    names = [label(tick, "同类") if tick == SAME else tick for tick in ticks]
    axes.set_xticks(range(len(ticks)), names)
    axes.set(xlim=(-0.5, len(ticks) - 0.5), ylim=(0, None), ylabel=label("mean cosine", "平均余弦相似度"),
             xlabel=label("leading steps that two different labels share", "两个不同标签共有的前缀级数"))  # fmt: skip
    figure.legend(loc="outside lower center", ncols=2)
    numbers = pd.concat([table.assign(corpus=corpus.name) for corpus, table in zip(corpora, tables, strict=True)])
    numbers = numbers[["corpus", *tables[0].columns]]
    said.append(f"All pairs of at most {SAMPLE:,} texts; TF-IDF of " + " and ".join(
        "1-2 characters" if language == "zh" else "words" for language in dict.fromkeys(c.language for c in corpora)
    ) + "; 95 % bootstrap intervals over texts, beyond doubt where that of the difference excludes 0.")  # fmt: skip
    return Content(figure, numbers=numbers, corpora=corpora, note=" ".join(said))


# --- noise -----------------------------------------------------------------------------------------------------------

THIRDS = ("largest third", "middle third", "smallest third")


def label_noise(corpus: Corpus) -> Iterator[dict]:
    """Wrong labels among all labelled core texts, and by the size of the class that the label names.

    Shares are of texts. A sibling of the truth has the same parent; a corpus without a tree has no siblings.
    """
    table, sizes = _labelled(corpus), class_sizes(corpus)
    present = np.flatnonzero(sizes)
    groups = {"all": present}
    if len(present) >= len(THIRDS):
        by_size = present[np.argsort(-sizes[present], kind="stable")]
        groups |= dict(zip(THIRDS, np.array_split(by_size, len(THIRDS)), strict=True))
    tree = has_tree(corpus.label_names)
    parents = corpus.parents
    listed = bool(table.votes.str.contains("|", regex=False).any())  # else they are none, or annotators' digits
    for name, classes in groups.items():
        mine = table[table.label.isin(classes)]
        known = mine[mine.truth >= 0]
        wrong = (known.label != known.truth).to_numpy()
        siblings = wrong & (parents[known.label] == parents[known.truth])
        yield {"corpus": corpus.name, "classes": name, "n_classes": len(classes), "texts": len(mine),
               "wrong": wrong.mean() if len(known) else np.nan,
               "to_sibling": siblings.mean() if len(known) and tree else np.nan,
               "to_other": (wrong & ~siblings).mean() if len(known) and tree else np.nan,
               "several_labels": mine.votes.str.contains("|", regex=False).mean() if listed else np.nan}  # fmt: skip


@exhibit("x_label_noise", NOTEBOOK, "Wrong labels, where the truth is known, and texts with several labels.",
         "标签噪声：已知真值时的错误标签，以及多标签文本")  # fmt: skip
def noise(study: Study) -> Content:
    corpora = large(study)
    body = pd.DataFrame([row for corpus in corpora for row in label_noise(corpus)])
    notes = ["Shares of the labelled core texts; classes in thirds by size."]
    if study.kind == "embedded":
        notes.append("A label of newswire is wrong if the first topic listed is not what the text is first of all about; "
                     "one of tickets, if the annotator erred.")  # fmt: skip
    if body.wrong.isna().any():
        notes.append("n/a: the truth behind a label is known of generated texts only.")
    if body.several_labels.notna().any():
        notes.append("several_labels: the text was given other labels too. How often the one kept is not what a reader "
                     "would put first is unknown, so no ceiling of accuracy follows from it.")  # fmt: skip
    return Content(body, corpora=corpora, note=" ".join(notes))
