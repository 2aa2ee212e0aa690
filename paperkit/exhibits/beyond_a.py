"""What Table 3 leaves open: which differences are real, rare classes, siblings, wrong labels, uncertain branches, and what
other settings would do (05_adversarial)."""

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from paperkit.corpora.corpus import parents
from paperkit.evaluate import statistics
from paperkit.evaluate.metrics import has_tree
from paperkit.exhibits import compare, style
from paperkit.exhibits.data import shortened
from paperkit.exhibits.exhibit import Content, exhibit, nothing
from paperkit.exhibits.paper_a import CORRECTION, METRICS, NOTEBOOK, per_run, per_seed, seed_of
from paperkit.exhibits.style import drawable, label
from paperkit.exhibits.summary import cells, readable, summarise, summary_columns
from paperkit.papers import EQUAL_BUDGET, FAMILIES, SVM_CUT, WHOLE
from paperkit.runs import Run, Source
from paperkit.study import Study
from paperkit.training.execute import training_labels, training_rows
from paperkit.wording import p_value

COMPARED = {"accuracy": "Δ accuracy", "f1_macro": "Δ macro-F1", "manual_accuracy": "Δ manual accuracy"}
BINS = 4


def runs_of(study: Study) -> dict[tuple[Source, str], list[Run]]:
    """The runs of Table 3."""
    return study.get_each(study.ten_specs())


# --- differences -----------------------------------------------------------------------------------------------------


@exhibit("x_table_3_differences", NOTEBOOK, "Which differences in Table 3 are more than chance: paired over seeds.",
         "表3中的差异是否显著：按随机种子配对检验")  # fmt: skip
def differences(study: Study) -> Content:
    """Each model against Baseline, then PGD against FGM in each family; Holm over all tests of the table."""
    rows, used = per_seed(study, [method.name for method in study.ten])
    names = [method.name for method in study.ten if method.name != "Baseline"]
    pairs = [(name, "Baseline") for name in names] + [(f"{family}+PGD", f"{family}+FGM") for family in FAMILIES]
    lines = []
    for corpus, group in rows.groupby("corpus", sort=False):
        by_model = {model: each.sort_values("seed") for model, each in group.groupby("model", sort=False)}
        for a, b in pairs:
            line = {"corpus": corpus, "model_a": a, "model_b": b, "n_seeds": len(by_model[a])}
            for metric in COMPARED:
                test = statistics.paired_t(by_model[a][metric], by_model[b][metric])
                known = test.n >= statistics.FEWEST and test.spread
                line |= {f"{metric}_difference": test.difference, f"{metric}_low": test.low, f"{metric}_high": test.high,
                         f"{metric}_p": test.p if known else np.nan, f"{metric}_p_holm": np.nan}  # fmt: skip
            lines.append(line)
    table = pd.DataFrame(lines)
    p = [f"{metric}_p" for metric in COMPARED]
    table[[f"{name}_holm" for name in p]] = statistics.holm(table[p].to_numpy().ravel()).reshape(-1, len(p))
    shown = table[["corpus", "model_a", "model_b", "n_seeds"]].copy()
    for metric, title in COMPARED.items():
        if table[f"{metric}_difference"].isna().all():
            continue
        shown[title] = cells(table, f"{metric}_difference", metric)
        shown[f"p, Holm ({title[2:]})"] = table[f"{metric}_p_holm"].map(p_value)
    tests, asked = (
        int(table[[f"{metric}_{part}" for metric in COMPARED]].notna().sum().sum()) for part in ("p", "difference")
    )
    note = "model_a − model_b, paired over seeds. "
    if tests:
        note += f"95 % t intervals; Holm's correction is over all {tests} tests of this table."
        note += f" {statistics.AGREEING}" * (tests < asked)
    else:
        note += statistics.UNTESTED
    return Content(table, used, shown, rows, note=note)


# --- rare classes ----------------------------------------------------------------------------------------------------


def frequency_bins(sizes: np.ndarray, tested: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """The classes that are tested, in up to four groups of about as many, rare ones first; classes of equal size stay
    together. Each as its range of sizes and its classes."""
    there = np.unique(tested)
    edges = np.unique(np.quantile(sizes[there], np.linspace(0, 1, BINS + 1)[1:-1], method="lower"))
    group = np.searchsorted(edges, sizes[there], side="left")
    found = [there[group == number] for number in np.unique(group)]
    return [(f"{sizes[k].min()}–{sizes[k].max()}" if np.ptp(sizes[k]) else str(sizes[k].min()), k) for k in found]


def learned_sizes(run: Run) -> np.ndarray:
    """Texts of each class that a run learned from with their labels, ``(K,)``; as many for every seed."""
    corpus, method, seed = run.spec.source.load(), run.spec.method, run.spec.seed
    rows = training_rows(corpus, None, method, seed)
    return np.bincount(training_labels(corpus, rows, method, seed)[rows], minlength=corpus.n_classes)


@exhibit("x_frequency", NOTEBOOK, "Accuracy by how many training texts a class has.", "按类别频率的准确率")
def frequency(study: Study) -> Content:
    every = runs_of(study)
    rows = []
    for (source, model), found in every.items():
        tested = found[0].on(None)[1]
        for number, (name, classes) in enumerate(frequency_bins(learned_sizes(found[0]), tested)):
            for run in found:
                _, labels, logits = run.on(None)
                mine = np.isin(labels, classes)
                right = logits.argmax(axis=1)[mine] == labels[mine]
                rows.append({"data": study.name, "corpus": source.load().name, "model": model, "bin": number, "sizes": name,
                             "classes": len(classes), "n_test": int(mine.sum()), "seed": seed_of(run),
                             "accuracy": right.mean() if len(right) else np.nan})  # fmt: skip
    rows = pd.DataFrame(rows)
    keys = ["corpus", "bin", "sizes", "classes", "n_test", "model"]
    table = summarise(rows, keys, ["accuracy"])
    corpora = list(dict.fromkeys(rows.corpus))
    figure, axes = plt.subplots(len(corpora), 1, figsize=(style.PAGE, 2.1 * len(corpora) + 0.6), squeeze=False)
    models = list(dict.fromkeys(rows.model))
    for axis, corpus in zip(axes[:, 0], corpora, strict=True):
        mine = table[table.corpus == corpus]
        for place, model in enumerate(models):
            line, look = mine[mine.model == model], style.look(model)
            at = line.bin + (place - (len(models) - 1) / 2) * 0.8 / len(models)
            low, high = style.bounds(line, "accuracy")
            axis.vlines(at, low.clip(min=0), high.clip(max=1), color=look.color, lw=1)
            axis.plot(at, line.accuracy_mean, look.marker, color=look.color, label=model)
        bins = mine.drop_duplicates("bin")
        axis.set_xticks(
            bins.bin,
            [f"{s} ({c} classes, n = {n})" for s, c, n in zip(bins.sizes, bins.classes, bins.n_test, strict=True)],
        )
        axis.set(
            xlim=(-0.5, len(bins) - 0.5),
            ylim=(-0.02, 1.02),
            title=drawable(shortened(corpus), "corpus"),
            ylabel=label("accuracy", "准确率"),
        )
        axis.tick_params(axis="x", length=0)
    axes[-1, 0].set_xlabel(label("labelled texts of a class that the models train on", "类别的训练文本数"))
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    note = (f"The classes that are tested, in up to {BINS} groups of about as many classes; n: test texts of the group. Classes "
            "of equal size stay together, so with few labels there are fewer groups. "
            f"{style.drawn(table, cut=', cut at 0 and 1')}")  # fmt: skip
    return Content(figure, [run for found in every.values() for run in found], per_seed=rows, numbers=table, note=note)


# --- siblings --------------------------------------------------------------------------------------------------------

RELATIONS = {"right": ("right", "正确"), "sibling": ("wrong, same parent", "同父节点"),
             "relative": ("wrong, same first step", "一级标签相同"), "stranger": ("wrong, elsewhere", "其他")}  # fmt: skip


def relations(names: tuple[str, ...]) -> np.ndarray:
    """How any two labels are related, ``(K, K)``: number of the entry of :data:`RELATIONS`."""
    parent = parents(names)
    firsts = np.array([name.partition("/")[0] for name in names], dtype=object)
    found = np.full((len(names), len(names)), 3)
    found[firsts[:, None] == firsts] = 2
    found[(parent[:, None] == parent) & (parent != "")] = 1
    np.fill_diagonal(found, 0)
    return found


@exhibit("x_siblings", NOTEBOOK, "Where errors fall in the label tree.", "错误在标签树中的位置")
def siblings(study: Study) -> Content:
    every = {key: runs for key, runs in runs_of(study).items() if has_tree(key[0].load().label_names)}
    if not every:
        return nothing("n/a: no corpus here has a label tree.")
    rows = []
    for (source, model), found in every.items():
        related = relations(source.load().label_names)
        for run in found:
            _, labels, logits = run.on(None)
            shares = np.bincount(related[labels, logits.argmax(axis=1)], minlength=4) / len(labels)
            rows.append({"data": study.name, "corpus": source.load().name, "model": model, "seed": seed_of(run),
                         "n_test": len(labels), **dict(zip(RELATIONS, shares, strict=True))})  # fmt: skip
    rows = pd.DataFrame(rows)
    table = summarise(rows, ["corpus", "model"], list(RELATIONS))
    interval = style.drawn(table, "Red lines below the bars, for where the red segment ends")
    note = (f"n = {rows.n_test.max():,} test texts, mean over seeds. {interval} Shares are of all texts: Table 3's "
            "sibling_confusion is a share of the errors, which can rise while there are fewer of them.")  # fmt: skip
    return Content(
        _stacked(table), [run for found in every.values() for run in found], per_seed=rows, numbers=table, note=note
    )


def _stacked(table: pd.DataFrame) -> Figure:
    """A panel per corpus, a bar per model, a segment per relation."""
    corpora = list(dict.fromkeys(table.corpus))
    figure, axes = plt.subplots(1, len(corpora), figsize=(style.PAGE, 3.2), squeeze=False, sharey=True)
    for axis, corpus in zip(axes[0], corpora, strict=True):
        mine = table[table.corpus == corpus]
        left, at = np.zeros(len(mine)), np.arange(len(mine))
        for number, (part, names) in enumerate(RELATIONS.items()):
            width = mine[f"{part}_mean"].to_numpy()
            axis.barh(at, width, 0.66, left=left, color=("#D9D9D9", style.RED, style.ORANGE, style.BLUE)[number],
                      hatch=("", "///", "..", "")[number], edgecolor="white", linewidth=0.4, label=label(*names, " "))  # fmt: skip
            left += width
            if part == "sibling":
                # below the bar and in the segment's colour, lest it be read as the next segment's
                ends = (mine.right_mean.to_numpy() + end for end in style.bounds(mine, "sibling"))
                axis.hlines(at + 0.43, *(end.clip(0, 1) for end in ends), color=style.RED, lw=1.2)
        axis.set_yticks(at, mine.model)
        axis.set(ylim=(len(mine) - 0.4, -0.6), xlim=(0, 1), title=drawable(shortened(corpus), "corpus"),
                 xlabel=label("share of the test texts", "测试文本占比"))  # fmt: skip
        axis.grid(False)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


# --- wrong labels ----------------------------------------------------------------------------------------------------


@exhibit("x_wrong_labels", NOTEBOOK, "Test texts whose label is wrong: what models predict for them.",
         "标签错误的测试文本：模型预测真值、重复错误标签或两者皆非")  # fmt: skip
def wrong_labels(study: Study) -> Content:
    rows, used = per_seed(study)
    wrong, unknown = {}, []
    for source in study.large:
        corpus = source.load()
        test = corpus.rows("test")
        if (test.truth < 0).all():
            unknown.append(f"{corpus.name}: n/a, nobody knows the true labels.")
        elif not (number := int(((test.truth >= 0) & (test.truth != test.label)).sum())):
            unknown.append(f"{corpus.name}: n/a, no label is known to be wrong.")
        else:
            wrong[corpus.name] = number
    metrics = [*CORRECTION, "accuracy", "manual_accuracy"]
    keys = ["corpus", "model", "n_wrong"]
    if not wrong:
        return nothing(" ".join(unknown), summary_columns(keys, metrics), runs=used)
    rows = rows[rows.corpus.isin(list(wrong))].copy()
    rows.insert(3, "n_wrong", rows.corpus.map(wrong))
    table = summarise(rows, keys, metrics)
    note = " ".join(["Of the n_wrong test texts whose label is not the truth: predicted as the truth, as the wrong label again, or "
                     "as something else.", f"{style.averaged(table.n_seeds.max())} manual_accuracy is accuracy against the truth.",
                     *unknown])  # fmt: skip
    return Content(table, used, readable(table, keys, metrics), rows, note=note)


# --- further corpora -------------------------------------------------------------------------------------------------


@exhibit("x_further_corpora", NOTEBOOK, "Baseline and the whole method on further corpora.",
         "Baseline 与完整方法在其他语料上的结果")  # fmt: skip
def further_corpora(study: Study) -> Content:
    every = study.further_specs()
    if not every:
        note = "n/a: further corpora are public ones; all others that there are here stand in Table 3."
        return nothing(note, ["corpus", "model", "n_seeds"], corpora=[source.load() for source in study.large])
    keys, levels = ["corpus", "model"], ("accuracy", "f1_macro")
    rows, used = per_run(study, every, keys)
    table = compare.with_differences(rows, keys, {WHOLE: "Baseline"}, METRICS, levels)
    note = (f"{compare.sizes(rows)} Δ is paired over seeds against Baseline. R8 and R52 "
            "are the Reuters texts of one topic only, so that first topics are not ambiguous there. TF-IDF + SVM reads whole "
            f"texts, {SVM_CUT} the {study.profile.tokens.max_length} tokens that the networks read.")  # fmt: skip
    return Content(table, used, compare.readable_differences(table, keys, levels, levels), rows, note=note)


# --- budgets of attacks ----------------------------------------------------------------------------------------------


@exhibit("x_equal_budget", NOTEBOOK, "PGD against FGM: with the usual settings, and with equal budgets.",
         "PGD 与 FGM 的比较：常用设置与相同预算")  # fmt: skip
def equal_budget(study: Study) -> Content:
    keys, levels = ["corpus", "model"], ("accuracy", "f1_macro")
    rows, used = per_run(study, study.budget_specs(), keys)
    against = {"Baseline+PGD": "Baseline+FGM", EQUAL_BUDGET: "Baseline+FGM", "Baseline+FGM": "Baseline"}
    table = compare.with_differences(rows, keys, against, METRICS, levels)
    fgm, usual = study.model("Baseline+FGM").adversarial, study.model("Baseline+PGD").adversarial
    note = (f"{compare.sizes(rows)} FGM: one step of {fgm.epsilon:g}. PGD: {usual.steps} steps of {usual.stride:g} in a "
            f"ball of {usual.epsilon:g}. With equal budget it has FGM's ball and steps of 2.5 ε / K, which can reach its border. "
            "Δ is paired over seeds: of both PGDs against FGM, of FGM against Baseline.")  # fmt: skip
    return Content(table, used, compare.readable_differences(table, keys, levels, levels), rows, note=note)


# --- an uncertain hierarchy ------------------------------------------------------------------------------------------

ATTACKED = {"Baseline+FGM": "Baseline", "Baseline+PGD": "Baseline"}


def parent_accuracy(run: Run) -> float:
    """Share of the test texts that are put under the right parent, whichever leaf of it."""
    _, labels, logits = run.on(None)
    corpus = run.spec.source.load()
    names = np.where(corpus.parents == "", corpus.label_names, corpus.parents)
    return float(np.mean(names[labels] == names[logits.argmax(axis=1)])) if len(labels) else np.nan


def changed_labels(run: Run) -> float:
    """Share of the training labels that are others than the corpus' own."""
    corpus, method, seed = run.spec.source.load(), run.spec.method, run.spec.seed
    rows = training_rows(corpus, None, method, seed)
    return float(np.mean(training_labels(corpus, rows, method, seed)[rows] != corpus.table.label.to_numpy()[rows]))


@exhibit("x_branches", NOTEBOOK, "Adversarial training where branches of the label tree are mixed up.",
         "标签树部分分支的标签被打乱时对抗训练的作用")  # fmt: skip
def branches(study: Study) -> Content:
    every, corpus = study.branch_specs(), study.hard.load()
    if not every:
        note = f"n/a: no two labels of {corpus.name} have a parent in common, so no branch can be mixed up."
        return nothing(note, ["branches", "model", "n_seeds"], corpora=[corpus])
    rows, used = per_run(study, every, ("model", "branches"))
    rows["parent_accuracy"] = [parent_accuracy(run) for run in used]
    rows["changed"] = [changed_labels(run) for run in used]
    keys, levels = ["branches", "model"], ("accuracy", "manual_accuracy", "parent_accuracy")
    table = compare.with_differences(rows, keys, ATTACKED, dict.fromkeys((*levels, *METRICS, "changed")), levels)
    known = [level for level in levels if table[f"{level}_mean"].notna().any()]
    shown = compare.readable_differences(table, keys, known, known)
    shown["branches"] = [f"{share:.0%}" for share in table.branches]
    shown.insert(2, "labels changed", [f"{share:.0%}" for share in table.changed_mean])
    note = (f"{compare.sizes(rows)} branches: share of the {len(study.branches)} branches (parents of two leaves or more) in which "
            "every training text carries any leaf of its branch; the parent of a label is always kept. Dev and test texts keep "
            "their labels. manual_accuracy is against the truth where it is known, parent_accuracy asks for the right parent "
            "alone. Δ is against Baseline with the same labels, paired over seeds.")  # fmt: skip
    return Content(table, used, shown, rows, note=note)


# --- hyper-parameters ------------------------------------------------------------------------------------------------


@exhibit("x_ablations_a", NOTEBOOK, "Paper A's hyper-parameters, one at a time.", "论文A超参数逐一变化的结果")
def ablations_a(study: Study) -> Content:
    rows, used = per_run(study, study.variant_specs(), ("family", "model"))
    rows["dev_accuracy"] = [dev_accuracy(run) for run in used]
    keys, compared = ["family", "model"], ("accuracy", "f1_macro")
    table = summarise(rows, keys, (*METRICS, "dev_accuracy"))
    every = list(table[keys].itertuples(index=False, name=None))
    compare.add_differences(table, rows, keys, {key: (key[0],) * 2 for key in every if key[0] != key[1]}, compared)
    compare.add_differences(table, rows, keys, {key: every[0] for key in every[1:]}, compared, "beyond_baseline")
    titles = {"difference": "Δ {}, plain member", "beyond_baseline": "Δ {}, Baseline"}
    shown = compare.readable_differences(table, keys, ["dev_accuracy", "accuracy", "f1_macro"], compared, titles)
    best = table.loc[table.groupby("family", sort=False).dev_accuracy_mean.idxmax(), "model"]
    note = (f"{compare.sizes(rows)} Each row changes one setting of the plain member of its family, which stands above it; nothing "
            f"is tuned anew for it. Dev, by which settings are chosen, prefers {'; '.join(best[1:])}. Δ is of the test texts, "
            "paired over seeds, against the plain member and against Baseline; with so many rows some intervals exclude 0 by "
            "chance. Settings that the profile has already, or that do not go with its others, are left out.")  # fmt: skip
    return Content(table, used, shown.drop(columns="family"), rows, note=note)


def dev_accuracy(run: Run) -> float:
    """Accuracy on the texts that settings are chosen by."""
    _, labels, logits = run.on(None, "dev")
    return float((logits.argmax(axis=1) == labels).mean())
