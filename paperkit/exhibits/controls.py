"""What RA > SA is worth: the attack of Table 4 beside its controls, and why a norm is taken of each text (06_robustness)."""

from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from paperkit import attacks
from paperkit.corpora.pools import pools
from paperkit.evaluate import statistics
from paperkit.evaluate.robustness import Victim
from paperkit.exhibits import style
from paperkit.exhibits.exhibit import Content, exhibit
from paperkit.exhibits.robustness import CONTROLLED, MORE_STEPS, NOTEBOOK, RESTARTS, attacked, headline, in_words
from paperkit.exhibits.style import label
from paperkit.study import Study
from paperkit.text.batches import evaluation_batches

BATCHES = (1, 4, 16, 64)
"""Batch sizes compared, on the same texts; as many as the largest."""

# --- is RA > SA what it seems? ---------------------------------------------------------------------------------------


def between_draws(right: np.ndarray, rows: np.ndarray, clean: np.ndarray, others: np.ndarray) -> statistics.Interval:
    """Accuracy on the texts ``rows`` − accuracy on ``others``, another draw of the same test texts, which shares some with it.

    ``right`` and ``clean`` say of each model which of its texts are classified right, ``(models, texts)``; rows rise. Bootstrap
    over the texts of both draws, each with what it adds to the difference.
    """
    union = np.union1d(rows, others)
    score = np.zeros(len(union))
    for sign, hits, drawn in ((1, right, rows), (-1, clean, others)):
        each = hits.mean(axis=0)  # around its mean, so that how many texts of a draw are drawn again does not count
        score[np.searchsorted(union, drawn)] += sign * (each - each.mean()) * len(union) / len(drawn)
    score += right.mean() - clean.mean()
    return statistics.bootstrap_mean(score)


READINGS = {
    "the attack of Table 4": ("It lowers accuracy, as an attack should.", "It changes accuracy by no more than chance.",
                              "RA is above SA by more than the choice of texts explains."),
    "no attack, other texts": ("These texts are harder: a sample alone can hide an RA > SA.",
                               "Another draw of texts is as hard as these, as far as can be told.",
                               "These texts are easier: a sample alone gives RA > SA."),
    "the attack of Table 4, other texts": ("Below SA on other texts too.", "No more than the draw of texts explains.",
                                           "Above SA by more than the draw of texts explains."),
    "random noise": ("Even noise of this length lowers accuracy.", "Noise of this length: no more than chance.",
                     "Noise raises accuracy as well: not the attack's doing."),
    "PGD": ("The reference of the next rows: it lowers accuracy.", "The reference of the next rows: no more than chance.",
            "The reference of the next rows: above SA."),
    "PGD, more steps": ("More steps find more: the short attack was too weak.", "More steps find no more, as far as can be told.",
                        "More steps find less."),
    "PGD, restarts": ("Other starts find more: the short attack was too weak.", "Other starts find no more, as far as can be told.",
                      "Other starts find less."),
    "PGD, of the untrained counterpart": ("Another model's gradients hurt more than its own: they are masked.",
                                          "Another model's gradients hurt about as much as its own.",
                                          "Its own gradients hurt more than another model's: no sign of masking."),
}  # fmt: skip
"""Control: what it means if accuracy is below, at or above what it is compared with."""


@exhibit("x_ra_above_sa", NOTEBOOK, "Is RA > SA robustness? The attack of Table 4 and its controls.",
         "RA > SA 是否意味着鲁棒？对照实验")  # fmt: skip
def ra_above_sa(study: Study) -> Content:
    tried = [each for each in attacked(study) if each.model in CONTROLLED and each.run.spec.seed == 0]
    lines, rows = [], []
    for source in study.large:
        mine = [each for each in tried if each.source == source]
        clean, pgd = (np.stack([each.right(name) for each in mine]) for name in ("", "pgd"))
        others, attacked_others = (np.stack([each.right_of_others(hit) for each in mine]) for hit in (False, True))
        controls = {
            "the attack of Table 4": (np.stack([each.right(each.crossed) for each in mine]), clean),
            "no attack, other texts": (others, None),
            "the attack of Table 4, other texts": (attacked_others, None),
            "random noise": (np.stack([each.right("noise") for each in mine]), clean),
            "PGD": (pgd, clean),
            "PGD, more steps": (np.stack([each.right("more steps") for each in mine]), pgd),
            "PGD, restarts": (np.stack([each.right("restarts") for each in mine]), pgd),
            "PGD, of the untrained counterpart": (np.stack([each.right("transfer") for each in mine]), pgd),
        }
        for control, (right, against) in controls.items():
            if against is None:
                interval = between_draws(right, mine[0].other_rows, clean, mine[0].rows)
            else:
                interval = statistics.bootstrap_interval(right, against)
            lines.append({"corpus": source.load().name, "control": control, "compared_with": "PGD" if against is pgd else "SA",
                          "n_models": len(mine), "n_texts": right.shape[1], "accuracy": right.mean(),
                          "difference": interval.mean, "low": interval.low, "high": interval.high,
                          "models_above_sa": int((right.mean(axis=1) > clean.mean(axis=1)).sum()),
                          "reading": READINGS[control][0 if interval.high < 0 else 2 if interval.low > 0 else 1]})  # fmt: skip
            rows += [{"data": study.name, "corpus": source.load().name, "model": each.model, "attack": control,
                      "epsilon": headline(study), "seed": 0, "sa": own.mean(), "accuracy": hit.mean()}
                     for each, own, hit in zip(mine, clean, right, strict=True)]  # fmt: skip
    table = pd.DataFrame(lines)
    shown = table.drop(columns=["low", "high", "n_models"])
    shown["difference"] = [
        f"{d:+.3f} [{low:+.3f}, {high:+.3f}]"
        for d, low, high in zip(table.difference, table.low, table.high, strict=True)
    ]
    shown["models_above_sa"] = [f"{k} of {n}" for k, n in zip(table.models_above_sa, table.n_models, strict=True)]
    note = (f"ε = {headline(study):g}; {', '.join(CONTROLLED)}, seed 0, together. Intervals: 95 % bootstrap over texts. "
            f"{in_words(study)} More steps: {MORE_STEPS} times as many; restarts: {RESTARTS} random starts beside the middle, the "
            "highest loss counts; untrained counterpart: the same model without adversarial training makes the perturbation. RA "
            "above SA on the same texts would mean that raising the loss puts more texts right than wrong.")  # fmt: skip
    return Content(table, [each.run for each in tried], shown, pd.DataFrame(rows), note=note)


# --- why the norm is taken per text ----------------------------------------------------------------------------------


@exhibit("x_scope", NOTEBOOK, "The community's ε depends on the batch: length of a text's perturbation by batch size.",
         "社区实现的扰动半径取决于批大小")  # fmt: skip
def scope(study: Study) -> Content:
    run = study.get(study.ten_specs()[study.hard, "Baseline"])[0]
    model, prepared = run.model(study.store)
    corpus = study.hard.load()
    rows = np.intersect1d(pools(corpus, max(BATCHES)).sa, run.on(None)[0])
    labels = torch.tensor(corpus.table.label.to_numpy(), device=model.output.weight.device)
    lines, spent = [], []
    for form, size in ((form, size) for form in ("example", "matrix") for size in BATCHES if size <= len(rows)):
        attack = replace(study.profile.fgm, kind="fgm", scope=form, relative=False)
        lengths: dict[str, list[float]] = {"all": [], "words": []}
        for batch in evaluation_batches(prepared.texts, rows, size):
            batch = batch.to(labels.device)
            victim = Victim(model, batch, labels[batch.rows])
            delta = attacks.perturb(model, victim.losses, victim.embedded, batch.inside, attack, ids=batch.ids)
            lengths["all"] += attacks.norms(delta).tolist()
            lengths["words"] += attacks.norms(delta * batch.inside[..., None]).tolist()
        for part, found in lengths.items():
            interval = statistics.mean_interval(found)
            lines.append({"corpus": corpus.name, "scope": form, "positions": part, "batch_size": size, "epsilon": attack.epsilon,
                          "n_texts": len(rows), "norm_mean": interval.mean, "norm_low": interval.low,
                          "norm_high": interval.high})  # fmt: skip
        if form == "matrix":
            spent.append(1 - np.square(lengths["words"]).sum() / np.square(lengths["all"]).sum())
    table = pd.DataFrame(lines)
    note = (f"FGM, ε = {table.epsilon[0]:g}, on {len(rows)} test texts of {corpus.name}; Baseline, seed 0. Bars: 95 % t "
            f"intervals over texts. Special tokens, which the community's form perturbs too, take up to {max(spent):.1%} of its "
            "budget (squared norm); ours never touches them.")  # fmt: skip
    return Content(_by_batch_size(table), [run], numbers=table, note=note)


def _by_batch_size(table: pd.DataFrame) -> Figure:
    """A line per form of the norm; where two coincide, the wide one can be seen on both sides of the narrow one."""
    figure, axis = plt.subplots(figsize=(style.COLUMN + 1, 2.6))
    names = {("example", "words"): ("a norm for each text (ours)", "逐样本范数"),
             ("matrix", "all"): ("one norm per batch (community)", "整批共用一个范数"),
             ("matrix", "words"): ("the same, without special tokens", "同上，不含特殊符号")}  # fmt: skip
    for number, (form, both) in enumerate(names.items()):
        mine = table[(table.scope == form[0]) & (table.positions == form[1])]
        bars = [mine.norm_mean - mine.norm_low, mine.norm_high - mine.norm_mean]
        axis.errorbar(
            mine.batch_size,
            mine.norm_mean,
            bars,
            marker="os^"[number],
            color=f"C{number}",
            lw=(1.4, 4, 1.2)[number],
            ms=(4, 8, 3)[number],
            ls=("-", "-", (0, (3, 2)))[number],
            elinewidth=(1, 3, 1)[number],
            label=label(*both, " "),
        )
    axis.set_xscale("log", base=2)
    axis.set_xticks(table.batch_size.unique(), [str(size) for size in table.batch_size.unique()])
    axis.set(
        xlabel=label("batch size", "批大小"), ylabel=label("mean ‖Δ‖ of a text", "单条文本扰动范数"), ylim=(0, None)
    )
    axis.legend()
    return figure
