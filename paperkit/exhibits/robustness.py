"""Accuracy under attack: paper A's Table 4, and every attack on every model over ε (06_robustness)."""

from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from paperkit.corpora.pools import pools
from paperkit.evaluate import robustness, statistics
from paperkit.evaluate.robustness import Attacked, Trial
from paperkit.exhibits import compare, style
from paperkit.exhibits.data import shortened
from paperkit.exhibits.exhibit import Content, exhibit
from paperkit.exhibits.style import drawable, label
from paperkit.exhibits.summary import readable, summarise
from paperkit.papers import FAMILIES
from paperkit.runs import Run, Source
from paperkit.study import Study
from paperkit.terms import Attack

NOTEBOOK = "06_robustness"
KINDS = {"noise": ("noise", "随机噪声"), "fgsm": ("FGSM", ""), "fgm": ("FGM", ""), "pgd": ("PGD", "")}
CROSSED = {"FGM": "pgd", "PGD": "fgm"}
"""Trained with the one, attacked with the other."""
CURVES = tuple(family + trained for family in (FAMILIES[0], FAMILIES[-1]) for trained in ("", "+FGM", "+PGD"))
"""Models that are attacked over the whole range of ε."""
CONTROLLED = tuple(model for model in CURVES if model not in FAMILIES)
"""Models whose RA > SA would be checked with every control, seed 0."""
MORE_STEPS, RESTARTS = 4, 2


# --- one place for all trials ----------------------------------------------------------------------------------------


def headline(study: Study) -> float:
    """The ε of the tables: the middle one of the profile."""
    radii = sorted(study.profile.epsilons)
    return radii[(len(radii) - 1) // 2]


def evaluation(study: Study, kind: str, epsilon: float | None = None, steps: int = 1) -> Attack:
    """An attack as models are evaluated: ε in norms of the text's embeddings, PGD with the budget of FGM and ``steps`` times
    the profile's steps."""
    return Attack(kind, headline(study) if epsilon is None else epsilon, relative=True,
                  steps=steps * study.profile.attack_steps, step_size=None)  # fmt: skip


def trials_of(study: Study, run: Run, counterpart: Run | None) -> dict[str, Trial]:
    """All that one run is put through, by name, for every exhibit of this notebook."""
    found = {kind: Trial(evaluation(study, kind)) for kind in KINDS}
    model = run.spec.method.name
    if model in CURVES:
        found |= {f"{kind} {epsilon:g}": Trial(evaluation(study, kind, epsilon)) for epsilon in sorted(set(study.profile.epsilons))
                  for kind in ("noise", "fgm", "pgd") if epsilon != headline(study)}  # fmt: skip
    if counterpart and model in CONTROLLED and run.spec.seed == 0:
        pgd = evaluation(study, "pgd")
        found |= {"more steps": Trial(evaluation(study, "pgd", steps=MORE_STEPS)), "restarts": Trial(pgd, restarts=RESTARTS),
                  "transfer": Trial(pgd, source=counterpart)}  # fmt: skip
    return found


@dataclass(frozen=True)
class Tried:
    """One run under its trials, on the texts of SA; and, where Table 4 asks for it, on an independent draw of texts."""

    run: Run
    source: Source
    model: str
    names: tuple[str, ...]
    rows: np.ndarray
    found: Attacked
    other_rows: np.ndarray | None = None
    other: Attacked | None = None

    def number(self, name: str) -> int:
        """0 is no attack, named ``""``."""
        return self.names.index(name) + 1 if name else 0

    def right(self, name: str = "") -> np.ndarray:
        """Which texts are classified as labelled under a trial, bool ``(N,)``."""
        return self.found.predicted[self.number(name)] == self.source.load().table.label.to_numpy()[self.rows]

    def right_of_others(self, attacked: bool) -> np.ndarray:
        """The same for the independent draw, clean or under the attack of Table 4."""
        return self.other.predicted[int(attacked)] == self.source.load().table.label.to_numpy()[self.other_rows]

    def norms(self, name: str = "") -> dict[str, float]:
        """The perturbation of a trial as realised, mean over texts: ‖Δ‖ / ‖emb‖, and ‖Δ‖ in the unit of the embeddings."""
        return _norms(self.found, self.number(name))

    def norms_of_others(self) -> dict[str, float]:
        """The same for the independent draw under the attack of Table 4."""
        return _norms(self.other, 1)

    @property
    def crossed(self) -> str:
        """The attack of Table 4; of a model without adversarial training none."""
        return CROSSED.get(self.model.rpartition("+")[2], "")


NORMS = ("norm_relative", "norm_absolute")


def _norms(found: Attacked, number: int) -> dict[str, float]:
    values = found.norms[number] / found.embedding_norms, found.norms[number]
    return dict(zip(NORMS, (float(each.mean()) for each in values), strict=True))


def samples_of(study: Study, source: Source, run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Test rows for SA, which RA attacks as well, and an independent draw of them."""
    parts = pools(source.load(), study.profile.robustness, paired=False)
    return tuple(np.intersect1d(rows, run.on(None)[0]) for rows in (parts.sa, parts.ra))


def attacked(study: Study) -> list[Tried]:
    """Every run of the ten models under all its trials, read from the store where they have been computed."""
    runs = study.get_each({key: specs for key, specs in study.ten_specs().items() if specs[0].method.network})
    samples = {source: samples_of(study, source, runs[source, FAMILIES[0]][0]) for source in study.large}
    asked, sampled = [], []
    for (source, model), found in runs.items():
        rows, others = samples[source]
        for run in found:
            plain = model.removesuffix("+FGM").removesuffix("+PGD")
            counterpart = runs[source, plain][run.spec.seed] if plain != model else None
            trials = trials_of(study, run, counterpart)
            asked.append((run, tuple(trials.values()), rows))
            sampled.append((run, source, model, tuple(trials), rows, others))
    again = [(run, (Trial(evaluation(study, CROSSED[model.rpartition("+")[2]])),), others)
             for run, _, model, _, _, others in sampled if model.rpartition("+")[2] in CROSSED
             and model.rpartition("+")[0] in FAMILIES]  # fmt: skip
    results = robustness.attack(*zip(*asked, *again, strict=True), study.store, study.at_once)
    second = {run.folder: result for (run, *_), result in zip(again, results[len(asked) :], strict=True)}
    return [Tried(*each[:-1], result, each[-1], second.get(each[0].folder))
            for each, result in zip(sampled, results, strict=False)]  # fmt: skip


def _size(tried: list[Tried]) -> str:
    """``"newswire 60, tickets 60"``: texts attacked."""
    return ", ".join(f"{name} {n}" for name, n in {each.source.load().name: len(each.rows) for each in tried}.items())


def in_words(study: Study) -> str:
    """For a note: what ε counts in, and how far PGD goes."""
    return (f"ε counts in norms of a text's embeddings; PGD takes {study.profile.attack_steps} steps of 2.5 ε/K, so it has "
            "FGM's budget.")  # fmt: skip


def embedding_norms(tried: list[Tried]) -> str:
    """For a note: what a relative ε has to be multiplied by to be an absolute one."""
    found: dict[str, list[float]] = {}
    for each in tried:
        found.setdefault(each.source.load().name, []).append(float(each.found.embedding_norms.mean()))
    means = ", ".join(f"{name} {np.mean(values):.3g}" for name, values in found.items())
    return f"‖emb‖ of a text, mean over models and texts: {means}; norm_relative is ‖Δ‖/‖emb‖, norm_absolute ‖Δ‖, as realised."


# --- Table 4 ---------------------------------------------------------------------------------------------------------

TABLE_4 = ["corpus", "model", "attack", "epsilon"]


@exhibit("a_table_4", NOTEBOOK, "Table 4. Standard and robust accuracy, attacked with the other attack than trained with.",
         "表4 模型对抗训练验证表：标准正确率与鲁棒正确率")  # fmt: skip
def table_4(study: Study) -> Content:
    tried = attacked(study)
    asked = [(family, trained, paired) for paired in (True, False) for family in FAMILIES for trained in CROSSED]
    rows = []
    for source, (family, trained, paired) in product(study.large, asked):
        models = (f"{family}+{trained}", *((family,) if paired else ()))
        rows += [_line(study, each, CROSSED[trained], paired) for model in models for each in tried
                 if each.source == source and each.model == model]  # fmt: skip
    rows = pd.DataFrame(rows)
    table = summarise(rows, TABLE_4, ["sa", "ra", *NORMS])
    shown = readable(table, TABLE_4, ["sa", "ra"]).assign(**{name: table[f"{name}_mean"] for name in NORMS})
    # a mean of the same numbers in another order differs in its last digits
    above = (table.ra_mean - table.sa_mean).round(9) > 0
    shown["RA > SA"] = above.map({True: "yes", False: "no"})
    trained = table[table.model.str.endswith(tuple(CROSSED))]
    other = trained.attack.str.contains(",").map({False: "the same texts", True: "other texts"})
    counts = [f"{corpus}, {texts}: RA > SA in {above[group.index].sum()} of {len(group)}."
              for (corpus, texts), group in trained.groupby([trained.corpus, other], sort=False)]  # fmt: skip
    note = (f"{style.averaged(table.n_seeds.max())} Texts: {_size(tried)}. {in_words(study)} Below each model stands its "
            "counterpart without adversarial training under the same attack. 'other texts': RA is measured on another random "
            f"draw of test texts than SA, which the paper leaves open. {embedding_norms(tried)} Adversarially trained: "
            f"{' '.join(counts)}")  # fmt: skip
    return Content(table, [each.run for each in tried], shown, rows, note=note)


def _line(study: Study, tried: Tried, kind: str, paired: bool = True) -> dict:
    ra = tried.right(kind) if paired else tried.right_of_others(True)
    norms = tried.norms(kind) if paired else tried.norms_of_others()
    return {"data": study.name, "corpus": tried.source.load().name, "model": tried.model,
            "attack": kind if paired else f"{kind}, other texts", "epsilon": headline(study), "seed": tried.run.spec.seed,
            "n_sa": len(tried.rows), "n_ra": len(ra), **norms,
            "sa": tried.right().mean(), "ra": ra.mean()}  # fmt: skip


# --- every attack on every model, and over ε -------------------------------------------------------------------------


@exhibit("x_attacks", NOTEBOOK, "Every attack on every model.", "每种攻击对每个模型的影响")
def every_attack(study: Study) -> Content:
    tried = attacked(study)
    names = {"": ("none", "无"), **KINDS}
    rows = pd.DataFrame([{"data": study.name, "corpus": each.source.load().name, "model": each.model, "attack": kind or "none",
                          "epsilon": headline(study) if kind else 0.0, "seed": each.run.spec.seed, "n_test": len(each.rows),
                          **each.norms(kind), "accuracy": each.right(kind).mean()}
                         for each in tried for kind in names])  # fmt: skip
    table = summarise(rows, ["corpus", "model", "attack", "epsilon"], ["accuracy", *NORMS])
    corpora, models = list(dict.fromkeys(rows.corpus)), list(dict.fromkeys(rows.model))
    figure, axes = plt.subplots(
        1, len(corpora), figsize=(style.PAGE, 0.33 * len(models) + 0.9), squeeze=False, sharey=True
    )
    top = table.accuracy_mean.max()
    for axis, corpus in zip(axes[0], corpora, strict=True):
        mine = table[table.corpus == corpus].set_index(["model", "attack"])
        values = np.array([[mine.accuracy_mean[model, kind or "none"] for kind in names] for model in models])
        image = axis.imshow(values, aspect="auto", vmin=0, vmax=top)
        for (y, x), value in np.ndenumerate(values):
            line = mine.loc[(models[y], [*names][x] or "none")]
            half = (line.accuracy_high - line.accuracy_low) / 2 if line.n_seeds >= statistics.FEWEST else np.nan
            axis.text(x, y, f"{value:.2f}" + ("" if np.isnan(half) else f"\n± {half:.2f}"), ha="center", va="center", fontsize=6,
                      color="white" if value < 0.6 * top else style.INK)  # fmt: skip
        axis.set_xticks(range(len(names)), [label(*each) if each[1] else each[0] for each in names.values()])
        axis.set_yticks(range(len(models)), models)
        axis.set_title(drawable(shortened(corpus), "corpus"))
        axis.grid(False)
        axis.tick_params(length=0)
    figure.colorbar(image, ax=axes, pad=0.01, aspect=30, label=label("accuracy", "准确率"))
    note = (f"ε = {headline(study):g}. {in_words(study)} Mean over seeds. {style.drawn(table, '± (half the width)')} "
            f"Texts: {_size(tried)}. Noise is a random direction of FGM's length. {embedding_norms(tried)}")  # fmt: skip
    return Content(figure, [each.run for each in tried], per_seed=rows, numbers=table, note=note)


@exhibit("x_epsilon", NOTEBOOK, "Robust accuracy over the radius of the attack.", "鲁棒正确率随扰动半径的变化")
def over_epsilon(study: Study) -> Content:
    tried = [each for each in attacked(study) if each.model in CURVES]
    rows = []
    for each in tried:
        for kind in ("noise", "fgm", "pgd"):
            for epsilon in (0.0, *sorted(set(study.profile.epsilons))):
                name = "" if not epsilon else kind if epsilon == headline(study) else f"{kind} {epsilon:g}"
                rows.append({"data": study.name, "corpus": each.source.load().name, "model": each.model, "attack": kind,
                             "epsilon": epsilon, "seed": each.run.spec.seed, "n_test": len(each.rows),
                             **each.norms(name), "ra": each.right(name).mean()})  # fmt: skip
    rows = pd.DataFrame(rows)
    table = summarise(rows, ["corpus", "model", "attack", "epsilon"], ["ra", *NORMS])
    gap = float((table.norm_relative_mean - table.epsilon).abs().max())
    note = (f"{in_words(study)} The radii stand evenly spaced, intervals beside their marks; each corpus has its own axis. "
            f"{style.drawn(table, cut=', cut at 0 and 1')} Texts: {_size(tried)}. As realised, ‖Δ‖/‖emb‖ differs from ε by at "
            f"most {gap:.3f} on average. {embedding_norms(tried)}")  # fmt: skip
    return Content(_over_epsilon(table), [each.run for each in tried], per_seed=rows, numbers=table, note=note)


def _over_epsilon(table: pd.DataFrame) -> Figure:
    """A panel per corpus and attack."""
    corpora, kinds = list(dict.fromkeys(table.corpus)), list(dict.fromkeys(table.attack))
    figure, axes = plt.subplots(len(corpora), len(kinds), figsize=(style.PAGE, 2.1 * len(corpora) + 0.6), squeeze=False,
                                sharex=True, sharey="row")  # fmt: skip
    for line, corpus in zip(axes, corpora, strict=True):
        for axis, kind in zip(line, kinds, strict=True):
            mine = table[(table.corpus == corpus) & (table.attack == kind)]
            compare.side_by_side(axis, mine, "epsilon", "ra", CURVES)
            axis.set_xticks(
                range(mine.epsilon.nunique()), [f"{epsilon:g}" for epsilon in sorted(mine.epsilon.unique())]
            )
            axis.set_title(label(*KINDS[kind]) if KINDS[kind][1] else KINDS[kind][0])
        line[0].set_ylim(bottom=-0.01)
        line[0].set_ylabel(f"{drawable(shortened(corpus), 'corpus')}\n" + label("accuracy", "准确率", " "))
    for axis in axes[-1]:
        axis.set_xlabel(label("ε, in norms of the text's embeddings", "相对扰动半径"))
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure
