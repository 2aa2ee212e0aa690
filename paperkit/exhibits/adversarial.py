"""Adversarial training seen from inside: the algorithm on one text, output vectors, losses over steps (05_adversarial)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase
from matplotlib.lines import Line2D

from paperkit import attacks
from paperkit.corpora.pools import pools
from paperkit.evaluate import projection
from paperkit.evaluate.metrics import within_item_spread
from paperkit.evaluate.robustness import Victim
from paperkit.exhibits import style
from paperkit.exhibits.data import shortened
from paperkit.exhibits.exhibit import Content, exhibit, nothing
from paperkit.exhibits.paper_a import NOTEBOOK
from paperkit.exhibits.style import drawable, label
from paperkit.exhibits.summary import summarise
from paperkit.papers import budget_of
from paperkit.runs import Run, Source
from paperkit.study import Study
from paperkit.terms import Attack
from paperkit.text.batches import collate

SAMPLE, MAP = 100, 300
"""Most test texts that t-SNE places into many components, by the exact method, whose cost grows with their square, and into
two."""
COMPONENTS = 64
MAPPED = ("Baseline", "UDA+ESimCSE+PGD")
"""Paper A's first and its final model."""
NAMED = ("Baseline", "Baseline+PGD", "UDA", "UDA+ESimCSE", "UDA+ESimCSE+PGD")
"""Whose losses are drawn large: claim A8 is about the first three and the last."""
FREQUENT = 6
MARKERS = "os^Dv<"


# --- Table 1 ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Example:
    """One test text and the trained Baseline that reads it."""

    run: Run
    row: int
    victim: Victim

    @property
    def id(self) -> str:
        return str(self.run.spec.source.load().table.id.iat[self.row])

    @property
    def text(self) -> str:
        return self.run.spec.source.load().table.text.iat[self.row]


def example(study: Study) -> Example:
    """The test text that Baseline, seed 0, gets right with the median margin: of the hard corpus, unless it gets none right."""
    for source in reversed(study.large):
        run = study.get(study.ten_specs()[source, "Baseline"])[0]
        rows, labels, logits = run.on(None)
        right = np.flatnonzero(logits.argmax(axis=1) == labels)
        if len(right):
            break
    chosen = right if len(right) else np.arange(len(labels))
    p = torch.from_numpy(logits).log_softmax(dim=1).numpy()[np.arange(len(labels)), labels]
    row = rows[chosen[np.argsort(p[chosen], kind="stable")[len(chosen) // 2]]]
    model, prepared = run.model(study.store)
    labels = torch.tensor([run.spec.source.load().table.label[row]])
    batch = collate(prepared.texts, np.array([row])).to(model.output.weight.device)
    return Example(run, int(row), Victim(model, batch, labels.to(model.output.weight.device)))


def settings(study: Study) -> dict[str, Attack]:
    """The attacks that Table 1 goes through: as models are trained with them, and PGD with FGM's budget."""
    fgm, pgd = (replace(each, scope="example") for each in (study.profile.fgm, study.profile.pgd))
    return {"FGM": fgm, "PGD": pgd, "PGD, equal budget": replace(pgd, **budget_of(fgm))}


def steps_of(victim: Victim, attack: Attack) -> list[dict]:
    """Every step of an attack on one text: length of Δ before and after the projection, loss there."""
    x, inside, unit = victim.embedded, victim.batch.inside, victim.unit(attack)
    radius, stride = attack.epsilon * unit, (attack.stride if attack.kind == "pgd" else attack.epsilon) * unit
    delta, lines = torch.zeros_like(x), []
    for step in range(attack.steps if attack.kind == "pgd" else 1):
        gradient = attacks.gradient_of(victim.network, victim.losses, x + delta)
        moved = delta + stride * attacks.direction(gradient, inside)
        delta = attacks.project(moved, radius)
        formula = f"Δ{step + 1} = Π(Δ{step} + α·g{step}/‖g{step}‖), ‖Δ‖ ≤ ε" if attack.kind == "pgd" else "Δ = ε·g/‖g‖"
        lines.append(_measured(victim, delta) | {
            "formula": formula, "gradient_norm": float(attacks.norms(gradient * inside[..., None])),
            "delta_before": float(attacks.norms(moved)),
            "projected": bool(attacks.norms(moved) > float(radius) * (1 + 1e-6)) if attack.kind == "pgd" else None,
        })  # fmt: skip
    return lines


@torch.no_grad()
def _measured(victim: Victim, delta: torch.Tensor) -> dict:
    z = victim.logits(victim.embedded + delta)
    clean = attacks.norms(victim.embedded * victim.batch.inside[..., None])
    return {"delta": float(attacks.norms(delta)), "delta_relative": float(attacks.norms(delta) / clean),
            "loss": float(F.cross_entropy(z, victim.labels)), "p_label": float(z.softmax(dim=1)[0, victim.labels]),
            "right": bool(z.argmax() == victim.labels)}  # fmt: skip


@exhibit(
    "a_table_1",
    NOTEBOOK,
    "Table 1. The adversarial training algorithm, run on one text.",
    "表1 对抗训练算法步骤：以一条文本为例",
)
def table_1(study: Study) -> Content:
    chosen = example(study)
    victim = chosen.victim
    clean = _measured(victim, torch.zeros_like(victim.embedded))
    norm = float(attacks.norms(victim.gradient * victim.batch.inside[..., None]))
    lines = [
        {"attack": "none", "step": 1, "formula": "L_sup = −log p(y|x);  g = ∇_emb L_sup", "gradient_norm": norm} | clean
    ]
    for name, attack in settings(study).items():
        found = steps_of(victim, attack)
        budget = f"ε = {attack.epsilon:g}" + (
            f", K = {attack.steps}, α = {attack.stride:.3g}" if attack.kind == "pgd" else ""
        )
        lines += [{"attack": f"{name} ({budget})", "step": 2 + n} | line for n, line in enumerate(found)]
        last = {
            "attack": f"{name} ({budget})",
            "step": 2 + len(found),
            "formula": "L_adv = −log p(y|x+Δ);  ∇_θ(L_sup + L_adv)",
        }
        lines.append(last | {key: found[-1][key] for key in ("delta", "delta_relative", "loss", "p_label", "right")})  # fmt: skip
    columns = ["attack", "step", "formula", "gradient_norm", "delta_before", "projected", "delta", "delta_relative", "loss",
               "p_label", "right"]  # fmt: skip
    table = pd.DataFrame(lines).reindex(columns=columns)
    table["projected"] = [
        "" if value is None or value != value else "yes" if value else "no" for value in table.projected
    ]
    table["right"] = ["yes" if value else "no" for value in table.right]
    shown = table.copy()
    for column in ("gradient_norm", "delta_before"):
        shown[column] = ["" if np.isnan(value) else f"{value:.3f}" for value in table[column]]
    unit = "norms of the text's embeddings" if study.profile.pgd.relative else "absolute"
    note = (f"Text {chosen.id} of {chosen.run.spec.source.load().name}, {len(victim.batch.inside[0])} tokens; Baseline, seed 0, "
            f"dropout off. ε and α are {unit}; delta_relative is ‖Δ‖ over ‖embeddings‖. The weights are never touched, so there "
            "is nothing to restore; g comes from the clean pass itself, so FGM costs one more pass and PGD K. "
            "projected says whether a step left the ball and was put back on it: where K·α < ε none can.")  # fmt: skip
    return Content(table, [chosen.run], shown, note=note)


# --- Fig. 3 ----------------------------------------------------------------------------------------------------------


def sample(run: Run, count: int) -> np.ndarray:
    """Test rows that t-SNE places: the same for every model of a corpus, drawn by their texts."""
    return np.intersect1d(pools(run.spec.source.load(), count).sa, run.on(None)[0])


def outputs(run: Run, rows: np.ndarray) -> np.ndarray:
    """Logits ``(len(rows), K)`` of test rows."""
    tested, _, logits = run.on(None)
    place = {row: i for i, row in enumerate(tested.tolist())}
    return logits[[place[row] for row in rows.tolist()]]


def spreads(study: Study) -> tuple[pd.DataFrame, dict[tuple[Source, str], list[Run]]]:
    """One row per run of the ten: how far the logits of one text lie apart."""
    every = study.get_each({key: specs for key, specs in study.ten_specs().items() if specs[0].method.network})
    rows = [{"data": study.name, "corpus": source.load().name, "model": model, "seed": run.spec.seed,
             "n_test": len(run.on(None)[0]), "spread": within_item_spread(run.on(None)[2])}
            for (source, model), found in every.items() for run in found]  # fmt: skip
    return pd.DataFrame(rows), every


@exhibit("a_fig_3", NOTEBOOK, "Fig. 3. Output vectors of one text, their spread, and a map of the test texts.",
         "图3 输出向量对比可视化图：同一输入、分散程度与测试集 t-SNE 图")  # fmt: skip
def fig_3(study: Study) -> Content:
    per_seed, every = spreads(study)
    table = summarise(per_seed, ["corpus", "model"], ["spread"])
    sources = list(dict.fromkeys(source for source, _ in every))
    samples, mapped = (
        {source: sample(every[source, MAPPED[0]][0], count) for source in sources} for count in (SAMPLE, MAP)
    )
    if min(map(len, samples.values())) < 8:
        used = [run for runs in every.values() for run in runs]
        return nothing("n/a: too few test texts for a map.", runs=used, per_seed=per_seed, numbers=table)
    firsts = {key: runs[0] for key, runs in every.items()}
    logits = {key: outputs(run, samples[key[0]]) for key, run in firsts.items()}
    wide = dict(zip(logits, projection.tsne([*logits.values()], COMPONENTS, study.store, study.at_once), strict=True))
    flat = {key: outputs(run, mapped[key[0]]) for key, run in firsts.items() if key[1] in MAPPED}
    maps = dict(zip(flat, projection.tsne([*flat.values()], 2, study.store, study.at_once), strict=True))
    figure = plt.figure(figsize=(style.PAGE, 2.1 * len(sources) + 2.2))
    strips, below = figure.subfigures(2, 1, height_ratios=[2.1 * len(sources), 2.2])
    for line, source in zip(
        strips.subplots(len(sources), 3, squeeze=False, width_ratios=[1.1, 1.1, 0.8]), sources, strict=True
    ):
        models = [model for where, model in firsts if where == source]
        values = [np.stack([each[source, model][0] for model in models]) for each in (wide, logits)]
        _strip(line, source, models, *values, table)
    for axis, ((source, model), places) in zip(
        below.subplots(1, len(maps), squeeze=False)[0], maps.items(), strict=True
    ):
        _map(axis, source, model, places, mapped[source])
    _class_legend(below, mapped)
    counts = "; ".join(
        f"{source.load().name}: {len(rows)} and {len(mapped[source])}" for source, rows in samples.items()
    )
    note = (f"Left: exact t-SNE of the test logits into {COMPONENTS} components, as the paper prints it; its axes mean nothing "
            "and are not comparable between models. Middle: the raw logits of the same text, classes from left to right. Right: "
            "mean over all test texts of the standard deviation of a text's logits, on which claim A7 is judged. "
            f"{style.drawn(table)} Below: 2-D t-SNE of the logits, the {FREQUENT} most frequent "
            f"classes coloured. Test texts that t-SNE places above and below: {counts}; seed 0.")  # fmt: skip
    return Content(
        figure, [run for runs in every.values() for run in runs], per_seed=per_seed, numbers=table, note=note
    )


def _strip(
    axes, source: Source, models: list[str], vectors: np.ndarray, logits: np.ndarray, table: pd.DataFrame
) -> None:
    """One corpus: a row per model, the same text in all of them."""
    corpus = source.load().name
    name = drawable(shortened(corpus), "corpus")
    titles = (
        label(f"t-SNE, {vectors.shape[1]} values", "t-SNE 降维"),
        label(f"raw logits, {logits.shape[1]} classes", "原始 logits"),
    )
    for axis, values, title in zip(axes[:2], (vectors, logits), titles, strict=True):
        limit = np.quantile(np.abs(values), 0.995) or 1.0
        image = axis.imshow(values, aspect="auto", cmap="PuOr", vmin=-limit, vmax=limit, interpolation="nearest")
        axis.figure.colorbar(image, ax=axis, pad=0.02, aspect=14)
        axis.set(title=title, xticks=[])
        axis.grid(False)
        axis.set_yticks([])
    axes[0].set_yticks(range(len(models)), models)
    axes[0].set_ylabel(name)
    mine = table[table.corpus == corpus].set_index("model")
    for place, model in enumerate(models):
        line, look = mine.loc[model], style.look(model)
        axes[2].plot(line.spread_mean, place, look.marker, color=look.color)
    low, high = style.bounds(mine.loc[models], "spread")
    axes[2].hlines(range(len(models)), low.clip(min=0), high, color=[style.look(model).color for model in models])
    axes[2].set(
        title=label("SD of a text's logits", "单条文本 logits 标准差"), yticks=[], ylim=(len(models) - 0.5, -0.5)
    )
    axes[2].grid(True, axis="x")


def _frequent(source: Source, rows: np.ndarray) -> list[int]:
    """The most frequent classes among these rows."""
    sizes = np.bincount(source.load().table.label.to_numpy()[rows])
    return [int(k) for k in np.argsort(-sizes, kind="stable")[:FREQUENT] if sizes[k]]


def _class_legend(figure: FigureBase, mapped: Mapping[Source, np.ndarray]) -> None:
    """What the maps' colours are: a line per corpus. (A legend is filled column by column.)"""
    empty = Line2D([], [], ls="none")
    lines = []
    for source, rows in mapped.items():
        corpus, frequent = source.load(), _frequent(source, rows)
        line = [(empty, drawable(shortened(corpus.name), "corpus"))]
        for number, k in enumerate(frequent):
            look = Line2D([], [], ls="none", color=f"C{number}", marker=MARKERS[number], ms=3)
            leaf = corpus.label_names[k].rsplit("/", 1)[-1]
            most = 16 if leaf.isascii() else 8
            line.append((look, drawable(leaf if len(leaf) <= most else f"{leaf[: most - 1]}…", f"class {k}")))
        lines.append(line + [(empty, "")] * (FREQUENT - len(frequent)))
    entries = [each for column in zip(*lines, strict=True) for each in column]
    figure.legend(*zip(*entries, strict=True), loc="outside lower center", ncols=1 + FREQUENT, fontsize=6, handletextpad=0.1,
                  columnspacing=0.8)  # fmt: skip


def _map(axis: Axes, source: Source, model: str, places: np.ndarray, rows: np.ndarray) -> None:
    corpus, frequent = source.load(), _frequent(source, rows)
    labels = corpus.table.label.to_numpy()[rows]
    rest = ~np.isin(labels, frequent)
    axis.scatter(*places[rest].T, s=4, color="#C8C8C8", linewidths=0)
    for number, k in enumerate(frequent):
        axis.scatter(*places[labels == k].T, s=9, color=f"C{number}", marker=MARKERS[number], linewidths=0)
    axis.set(title=f"{drawable(shortened(corpus.name), 'corpus')}\n{model}", xticks=[], yticks=[])
    axis.grid(False)


# --- Figs 4 and 5 ----------------------------------------------------------------------------------------------------

PANELS = {"loss": ("total loss, as trained", "总损失（论文画法）"), "sup": ("supervised part, $L_{sup}$", "监督损失"),
          "ce": ("cross-entropy of the same texts", "同一文本的交叉熵")}  # fmt: skip


def smooth(values: np.ndarray, window: int) -> np.ndarray:
    """Centred running mean over up to ``window`` steps, over fewer at the ends."""
    return pd.Series(values).rolling(window, center=True, min_periods=1).mean().to_numpy()


def steadiness(values: np.ndarray) -> dict[str, float]:
    """Of a loss over steps: standard deviation of its changes from step to step, whether it came down to half of where it began
    (1 or 0), and the steps that this took: all of them where it did not."""
    changes, start = np.diff(values), values[: max(1, len(values) // 20)].mean()
    below = np.flatnonzero(smooth(values, max(1, len(values) // 20)) <= start / 2)
    return {"step_sd": float(changes.std(ddof=1)) if len(changes) > 1 else np.nan,
            "steps_to_half": float(below[0] + 1 if len(below) else len(values)), "halved": float(len(below) > 0)}  # fmt: skip


def curves(study: Study, source: Source) -> Content:
    """Training loss of the ten models on one of paper A's corpora."""
    every = study.get_each({model: specs for (where, model), specs in study.ten_specs().items()
                            if where == source and specs[0].method.network})  # fmt: skip
    steps = min(len(run.steps) for runs in every.values() for run in runs)
    window = max(1, steps // 20)
    corpus, numbers = source.load().name, []
    per_seed = {(model, run.spec.seed): {"data": study.name, "corpus": corpus, "model": model, "seed": run.spec.seed}
                for model, runs in every.items() for run in runs}  # fmt: skip
    logs = [run.steps.iloc[:steps] for runs in every.values() for run in runs]
    alike = all(np.allclose(log.sup, log.ce, atol=1e-4) for log in logs)  # no text was left out of L_sup
    shown = {term: names for term, names in PANELS.items() if not (alike and term == "ce")}
    figure, axes = plt.subplots(2, len(shown), figsize=(style.PAGE, 4.4), sharex=True, sharey="col")
    for column, term in enumerate(PANELS):
        for model, runs in every.items():
            values = np.stack([run.steps[term].to_numpy()[:steps] for run in runs])
            smoothed = np.stack([smooth(each, window) for each in values])
            mean, look = smoothed.mean(axis=0), style.look(model)
            at = np.arange(1, steps + 1)
            if term in shown:
                often = (steps // 8, steps // 6 or 1)  # markers, and not all of them at the ends
                axes[1, column].plot(at, mean, color=look.color, ls=look.line, lw=1, marker=look.marker, ms=3, markevery=often,
                                     label=model)  # fmt: skip
            if term in shown and model in NAMED:
                axes[0, column].plot(at, values[0], color=look.color, lw=0.5, alpha=0.25)
                axes[0, column].plot(
                    at, mean, color=look.color, ls=look.line, marker=look.marker, ms=3, markevery=often
                )
                if len(runs) > 1:
                    axes[0, column].fill_between(
                        at, smoothed.min(axis=0), smoothed.max(axis=0), color=look.color, alpha=0.15, lw=0
                    )
            numbers.append(
                pd.DataFrame({"corpus": corpus, "model": model, "term": term, "step": at, "smoothed": mean})[::window]
            )
            for run, each in zip(runs, values, strict=True):
                found = {"first": each[:window].mean(), "last": each[-window:].mean(), **steadiness(each)}
                per_seed[model, run.spec.seed] |= {f"{term}_{name}": value for name, value in found.items()}
    cut = []
    for (above, below), names in zip(axes.T, shown.values(), strict=True):
        above.set_title(label(*names))
        below.set_xlabel(label("optimizer step", "训练步数"))
        if above.dataLim.y0 <= above.dataLim.y1 / 2:
            above.set_ylim(bottom=0)
        else:
            cut.append(names[0].replace("$L_{sup}$", "L_sup"))
    axes[0, 0].set_ylabel(label("five models, with raw steps", "五个模型与逐步损失"))
    axes[1, 0].set_ylabel(label("all ten", "全部十个模型"))
    figure.legend(*axes[1, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    seeds = max(map(len, every.values()))
    note = (f"{corpus}, {seeds} seed{'s' * (seeds > 1)}, {steps} steps. Lines: mean over seeds"
            + (f" of the running mean of {window} steps; " if window > 1 else "; ")
            + "bands: from the lowest to the highest seed; faint: every step of seed 0. The total losses have different "
            "terms and cannot be compared, which is how the paper draws them.")  # fmt: skip
    if cut:
        note += f" The vertical axis does not start at 0: {'; '.join(cut)}."
    if alike:
        note += (
            " No text was left out of L_sup, so the cross-entropy of the same texts is the same and is not drawn again."
        )
    elif study.profile.uda.tsa != "none":
        note += (" TSA takes from L_sup the texts that are surer than its threshold (x_tsa shows how many), so that of UDA cannot "
                 "be compared. The claims are judged on the cross-entropy, which counts all labelled texts of a step.")  # fmt: skip
    return Content(figure, [run for runs in every.values() for run in runs], per_seed=pd.DataFrame(list(per_seed.values())),
                   numbers=pd.concat(numbers), note=note)  # fmt: skip


@exhibit("a_fig_4", NOTEBOOK, "Fig. 4. Training loss on the first corpus.", "图4 第一个数据集上的损失下降图")
def fig_4(study: Study) -> Content:
    # a user's table stands for the second, the paper's business data
    return curves(study, study.large[0]) if len(study.large) > 1 else nothing("n/a: one corpus only.")


@exhibit("a_fig_5", NOTEBOOK, "Fig. 5. Training loss on the second corpus.", "图5 第二个数据集上的损失下降图")
def fig_5(study: Study) -> Content:
    return curves(study, study.hard)
