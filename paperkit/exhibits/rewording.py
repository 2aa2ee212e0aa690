"""Accuracy under changed words, beside accuracy under perturbed embeddings (06_robustness)."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from paperkit.corpora.pools import pools
from paperkit.evaluate import rewording
from paperkit.evaluate.rewording import CANDIDATES, MOST_WORDS, WAYS, Reworded
from paperkit.exhibits import compare, style
from paperkit.exhibits.data import shortened
from paperkit.exhibits.exhibit import Content, exhibit
from paperkit.exhibits.robustness import NOTEBOOK, Tried, attacked, headline
from paperkit.exhibits.style import drawable, label
from paperkit.exhibits.summary import readable, summarise
from paperkit.study import Study

MODELS = ("Baseline", "UDA", "Baseline+ESimCSE", "Baseline+FGM", "Baseline+PGD", "UDA+ESimCSE+FGM", "UDA+ESimCSE+PGD")
"""Each term alone, and the final models."""
EMBEDDED = ("fgm", "pgd")
"""Attacks on embeddings that stand beside those on words."""
TITLES = {"synonyms": ("synonyms", "同义词替换"), "typos": ("typos", "字符扰动")}
KEYS = ["corpus", "model", "attack", "budget"]


@dataclass(frozen=True)
class Worded:
    """One run on texts whose words are changed, and the same run on all texts of SA with perturbed embeddings."""

    tried: Tried
    rows: np.ndarray
    found: Reworded

    def embedded(self, kind: str) -> np.ndarray:
        """Which of the same texts are classified as labelled when their embeddings are attacked."""
        return self.tried.right(kind)[np.isin(self.tried.rows, self.rows)]


def worded(study: Study) -> list[Worded]:
    """Every run of the chosen models, read from the store where it has been computed."""
    tried = [each for each in attacked(study) if each.model in MODELS]
    drawn = {
        source: pools(source.load(), min(study.profile.reworded, study.profile.robustness)).sa for source in study.large
    }
    rows = [np.intersect1d(drawn[each.source], each.rows) for each in tried]
    found = rewording.reword([each.run for each in tried], shares(study), rows, study.store, study.at_once)
    return [Worded(*each) for each in zip(tried, rows, found, strict=True)]


def shares(study: Study) -> list[float]:
    return sorted(set(study.profile.word_shares))


def per_seed(study: Study, every: list[Worded]) -> pd.DataFrame:
    """One row per run and attack: accuracy, and the share of the words that were changed."""
    rows = []
    trials = [("none", 0.0)] + [(f"{way}, {choice}", share) for way, choice, share in rewording.trials(shares(study))]
    for each in every:
        place = {"data": study.name, "corpus": each.tried.source.load().name, "model": each.tried.model}
        seed = {"seed": each.tried.run.spec.seed, "n_test": len(each.rows)}
        rows += [place | {"attack": attack, "budget": share} | seed
                 | {"accuracy": _mean(each.found.right[i]), "changed": _mean(each.found.changed[i])}
                 for i, (attack, share) in enumerate(trials)]  # fmt: skip
        rows += [place | {"attack": kind, "budget": headline(study)} | seed
                 | {"accuracy": _mean(each.embedded(kind)), "changed": np.nan} for kind in EMBEDDED]  # fmt: skip
    return pd.DataFrame(rows)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _said(every: list[Worded]) -> str:
    """How many texts and words, how many of these could be changed, and what a search cost."""
    first = {each.tried.source.load().name: each for each in reversed(every)}
    parts = []
    for name, each in reversed(first.items()):
        words = max(1, int(each.found.words.sum()))
        could = ", ".join(
            f"{way} {count.sum() / words:.0%}" for way, count in zip(WAYS, each.found.changeable, strict=True)
        )
        asked = np.concatenate(
            [other.found.queries.ravel() for other in every if other.tried.source == each.tried.source]
        )
        parts.append(f"{name}: {len(each.rows)} texts of {each.found.words.mean() if len(each.rows) else 0:.0f} words, of which "
                     f"could be changed: {could}; versions asked about: {asked.max(initial=0)} at most")  # fmt: skip
    return f"A fixed part of the texts of SA; words are those that the encoder reads before it cuts a text. {'; '.join(parts)}."


@exhibit("x_text_attacks", NOTEBOOK, "Accuracy when words are changed, beside perturbed embeddings.",
         "词级与字符级扰动下的正确率，与词向量扰动对照")  # fmt: skip
def text_attacks(study: Study) -> Content:
    every = worded(study)
    rows = per_seed(study, every)
    most = max(shares(study))
    shown = {("none", 0.0): "clean"}
    shown |= {(f"{way}, {choice}", most): f"{way}_{choice}" for way in WAYS for choice in rewording.CHOICES}
    shown |= {(kind, headline(study)): kind for kind in EMBEDDED}
    lines = []  # one per run, a column per attack
    for (corpus, model, _), group in rows.groupby(["corpus", "model", "seed"], sort=False):
        found = dict(zip(zip(group.attack, group.budget, strict=True), group.accuracy, strict=True))
        lines.append({"corpus": corpus, "model": model} | {column: found[place] for place, column in shown.items()})
    table = summarise(pd.DataFrame(lines), ["corpus", "model"], list(shown.values()))
    note = (f"At most {most:.0%} of the words, at least one, are changed; other budgets: x_text_budget. {_said(every)} Synonyms "
            "are from the embedded lexicon; typos change one character of a word. random: words and forms by chance, the same for "
            f"every model; greedy: the most important words first, of {MOST_WORDS}, and of up to {CANDIDATES} forms the worst. "
            f"FGM, PGD: embeddings of the same texts, ε = {headline(study):g}. {style.averaged(table.n_seeds.max())}")  # fmt: skip
    return Content(table, [each.tried.run for each in every], readable(table, ["corpus", "model"], list(shown.values())), rows,
                   note=note)  # fmt: skip


@exhibit("x_text_budget", NOTEBOOK, "Accuracy by the share of words that may be changed.", "正确率随可改动词比例的变化")
def over_budget(study: Study) -> Content:
    every = worded(study)
    rows = per_seed(study, every)
    rows = rows[~rows.attack.isin(EMBEDDED)]
    table = summarise(rows, KEYS, ["accuracy", "changed"])
    note = (f"{_said(every)} The budgets stand evenly spaced, intervals beside their marks; each corpus has its own axis. "
            f"{style.drawn(table, cut=', cut at 0 and 1')} A greedy search with a smaller budget is the beginning of one with a "
            "larger one, so its curves cannot rise; random ones can.")  # fmt: skip
    return Content(_over_budget(table), [each.tried.run for each in every], per_seed=rows, numbers=table, note=note)


def _over_budget(table: pd.DataFrame) -> Figure:
    """A panel per corpus, way and choice of words."""
    corpora = list(dict.fromkeys(table.corpus))
    attacks = [(way, choice) for way in WAYS for choice in rewording.CHOICES]
    figure, axes = plt.subplots(len(corpora), len(attacks), figsize=(style.PAGE, 1.9 * len(corpora) + 0.9), squeeze=False,
                                sharex=True, sharey="row")  # fmt: skip
    for line, corpus in zip(axes, corpora, strict=True):
        for axis, (way, choice) in zip(line, attacks, strict=True):
            mine = table[(table.corpus == corpus) & table.attack.isin(["none", f"{way}, {choice}"])]
            compare.side_by_side(axis, mine, "budget", "accuracy", MODELS)
            budgets = sorted(mine.budget.unique())
            axis.set_xticks(range(len(budgets)), [f"{100 * budget:g}" for budget in budgets])
            chosen = {"random": "随机", "greedy": "贪心"}[choice]
            axis.set_title(label(f"{TITLES[way][0]}, {choice}", f"{TITLES[way][1]}，{chosen}"), fontsize=8)
        line[0].set_ylim(bottom=-0.01)
        line[0].set_ylabel(f"{drawable(shortened(corpus), 'corpus')}\n" + label("accuracy", "准确率", " "))
    for axis in axes[-1]:
        axis.set_xlabel(label("words changed at most, %", "改动词上限 %"))
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure
