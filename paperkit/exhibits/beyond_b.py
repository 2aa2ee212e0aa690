"""What paper B does not show and a reader needs (notebook 02_bilstm_focal): ablations, attention, confident errors."""

from html import escape

import numpy as np
import pandas as pd
import torch
from matplotlib import pyplot as plt
from scipy.special import log_softmax, softmax

from paperkit.corpora.corpus import UNLABELLED
from paperkit.evaluate import statistics
from paperkit.exhibits import compare, sentence, style
from paperkit.exhibits.exhibit import Content, exhibit
from paperkit.exhibits.paper_b import METRICS, NOTEBOOK, per_run, protocol
from paperkit.exhibits.style import label
from paperkit.exhibits.summary import summarise
from paperkit.losses import focal
from paperkit.study import Study
from paperkit.text.batches import collate

COMPARED = ("accuracy", "specificity")
"""What an ablation is compared in."""


@exhibit("x_b_attention", NOTEBOOK, "Attention weights over reviews: what the model looks at.", "句子上的注意力权重")
def attention(study: Study) -> Content:
    """Four dev texts: the most confidently right and wrong one of each of the first two classes, where there are such."""
    if not study.may_quote:
        title = "Texts of your table are not quoted; quote_texts = True shows them."
        return Content(sentence.message_svg(title), html=f"<p>{title}</p>", note=title)
    platform = study.corpus.platforms[0]
    run = study.get([study.spec(study.models[-1], platform)])[0]
    model, prepared = run.model(study.store)
    rows, truth, logits = run.on(platform, "dev")
    margin = log_softmax(logits, axis=1)[np.arange(len(truth)), truth]
    lengths = prepared.texts.lengths[rows]
    fitting = (lengths >= 6) & (lengths <= 30)
    parts = []
    for k in sorted(set(truth.tolist()))[:2]:
        mine = np.flatnonzero(fitting & (truth == k))
        for wrong, pick in ((False, mine[np.argsort(-margin[mine], kind="stable")[:1]]),
                            (True, mine[np.argsort(margin[mine], kind="stable")[:1]])):  # fmt: skip
            for i in pick:
                if wrong != (logits[i].argmax() != truth[i]):
                    continue
                batch = collate(prepared.texts, rows[[i]])
                batch = batch.to(model.output.weight.device)
                weights = model.attention_weights(batch.ids, batch.lengths)[0].cpu().numpy()
                words = prepared.words[rows[i]][: len(weights)]
                names = study.corpus.label_names
                title = f"label {names[truth[i]]}, predicted {names[logits[i].argmax()]}"
                parts.append((title, words, weights.astype(np.float64)))
    if not parts:
        note = f"n/a: no dev text of {platform} has 6 to 30 words."
        return Content(sentence.message_svg(note), [run], html=f"<p>{escape(note)}</p>", note=note)
    svg = sentence.attention_svg_list(parts)
    html = "".join(sentence.attention_html(words, weights, title) for title, words, weights in parts)
    note = "Dev texts, seed 0. Attention says where the representation comes from, not why the class was chosen."
    return Content(svg, [run], html=html, quotes=True, note=note)


@exhibit("x_b_ablations", NOTEBOOK, "What each part of the method does, on the same platform.", "消融实验（同一平台）")
def ablations(study: Study) -> Content:
    groups = {(name,): specs for name, specs in study.ablation_specs().items()}
    rows, used = per_run(study, groups, ["model"])
    table = summarise(rows, ["model"], METRICS)
    # under-sampling draws anew with each seed, and of some texts cleaning leaves nothing
    table.insert(1, "n_train", rows.groupby("model", sort=False).n_train.max().to_numpy())
    base, *others = table.model
    table = compare.add_differences(table, rows, ["model"], {(name,): (base,) for name in others}, COMPARED)
    shown = compare.readable_differences(table, ["model", "n_train"], METRICS, COMPARED)
    note = (f"{style.averaged(table.n_seeds.max())} Bi-LSTM-Att-Focal trained and tested on {rows.test_on[0]}, one thing "
            "changed per row; Δ is paired over seeds against the first row. The test texts are the same in every row and hold no "
            "non-core review.")  # fmt: skip
    return Content(table, used, shown, rows, note=note)


@exhibit("x_b_focal", NOTEBOOK, "The focal loss and its gradient, by γ.", "Focal 损失及其梯度")
def focal_curves(study: Study) -> Content:
    z = torch.linspace(-5, 5, 201, requires_grad=True)
    figure, axes = plt.subplots(1, 2, figsize=(style.PAGE, 2.6))
    p = torch.sigmoid(z).detach().numpy()
    for gamma, line in zip((0.0, 0.5, 1.0, 2.0, 5.0), style.LINES, strict=True):
        loss = focal(torch.stack([-z / 2, z / 2], dim=1), torch.ones(len(z), dtype=torch.long), gamma)
        (gradient,) = torch.autograd.grad(loss.sum(), z)
        axes[0].plot(p, loss.detach().numpy(), ls=line, label=f"γ = {gamma:g}")
        axes[1].plot(p, -gradient.numpy(), ls=line)
    axes[0].set(xlabel="$p_t$", ylabel=label("loss", "损失"), ylim=(0, 5))
    axes[1].set(xlabel="$p_t$", ylabel=label("−∂loss/∂z", "梯度"))
    axes[0].legend()
    return Content(figure, note="γ = 0 is cross-entropy. A larger γ takes weight from examples that are already right.")


@exhibit(
    "x_b_errors",
    NOTEBOOK,
    "Confident errors: test texts that all seeds of all models get wrong.",
    "高置信错误（疑似标注错误）",
)
def confident_errors(study: Study) -> Content:
    """Per platform and label: how many test texts every run gets wrong, and with what mean probability."""
    lines, used = [], []
    listed = []
    study.get(study.paper_b_specs())
    for platform, _ in protocol(study, same=True):
        runs = [run for method in study.models for run in study.runs(method, platform)]
        used += runs
        rows, truth, _ = runs[0].on(platform)
        p = np.stack([softmax(run.on(platform)[2], axis=1) for run in runs]).mean(axis=0)
        wrong = np.stack([run.on(platform)[2].argmax(axis=1) != truth for run in runs])
        always, ever = wrong.all(axis=0), wrong.any(axis=0)
        true = study.corpus.table.truth.to_numpy()[rows]
        for k, name in enumerate(study.corpus.label_names):
            mine = truth == k
            known = mine & always & (true != UNLABELLED)
            lines.append({"platform": platform, "label": name, "n_test": int(mine.sum()),
                          "wrong_in_every_run": int((always & mine).sum()),
                          "wrong_in_some_run": int((ever & mine).sum()),
                          "share_in_every_run": float(always[mine].mean()) if mine.any() else np.nan,
                          "mean_p_of_label": float(p[mine & always, k].mean()) if (mine & always).any() else np.nan,
                          "label_truly_wrong": float((true[known] != k).mean()) if known.any() else np.nan})  # fmt: skip
        others = p.copy()  # where every run errs, each its own way, the label may have the largest mean
        others[np.arange(len(truth)), truth] = -1
        order = np.flatnonzero(always)[np.argsort(p[always, truth[always]], kind="stable")]
        listed += [{"id": study.corpus.table.id[rows[i]], "label": study.corpus.label_names[truth[i]],
                    "suggested": study.corpus.label_names[others[i].argmax()], "p_of_label": float(p[i, truth[i]])}
                   for i in order]  # fmt: skip
    note = ("label_truly_wrong: of the texts that every run gets wrong, the share whose label contradicts the known truth; "
            "n/a where no truth is known. Test texts alone: what a model was trained on, it gets right for that reason. The ids "
            "are in the file of runs, which has no seeds here, the least plausible label first.")  # fmt: skip
    suspects = pd.DataFrame(listed, columns=["id", "label", "suggested", "p_of_label"])
    return Content(pd.DataFrame(lines), used, per_seed=suspects.sort_values("p_of_label", kind="stable"), note=note)


@exhibit("x_b_focal_surface", NOTEBOOK, "Accuracy and specificity over γ and α, on the same platform.",
         "准确率与特异度随 γ、α 的变化（同一平台）")  # fmt: skip
def focal_surface(study: Study) -> Content:
    groups = {(gamma, weight_name(alpha)): specs for (gamma, alpha), specs in study.surface_specs().items()}
    rows, used = per_run(study, groups, ["gamma", "alpha"])
    table = summarise(rows, ["gamma", "alpha"], METRICS)
    gammas, alphas = list(dict.fromkeys(table.gamma)), list(dict.fromkeys(table.alpha))
    panels = {"accuracy": ("accuracy", "准确率"), "specificity": ("specificity", "特异度")}
    figure, axes = plt.subplots(1, 2, figsize=(style.PAGE, 0.45 * len(gammas) + 1.2), sharey=True)
    published = study.profile.gamma, weight_name(study.profile.alpha)
    cells = table.set_index(["gamma", "alpha"])
    framed = published in cells.index
    for axis, (metric, title) in zip(axes, panels.items(), strict=True):
        values = np.array(
            [[cells.loc[(gamma, alpha), f"{metric}_mean"] for alpha in alphas] for gamma in gammas], dtype=float
        )
        image = axis.imshow(values, aspect="auto")
        middle = np.nanmean([np.nanmin(values), np.nanmax(values)]) if np.isfinite(values).any() else 0
        for (y, x), value in np.ndenumerate(values):
            line = cells.loc[(gammas[y], alphas[x])]
            half = (line[f"{metric}_high"] - line[f"{metric}_low"]) / 2 if line.n_seeds >= statistics.FEWEST else np.nan
            axis.text(x, y, f"{value:.3f}" + ("" if np.isnan(half) else f"\n± {half:.3f}"), ha="center", va="center", fontsize=7,
                      color="white" if value < middle else style.INK)  # fmt: skip
        if framed:
            place = (alphas.index(published[1]) - 0.5, gammas.index(published[0]) - 0.5)
            axis.add_patch(plt.Rectangle(place, 1, 1, fill=False, edgecolor=style.RED, linewidth=1.5))
        axis.set_xticks(range(len(alphas)), alphas)
        axis.set_yticks(range(len(gammas)), [f"{gamma:g}" for gamma in gammas])
        axis.set(xlabel="α", title=label(*title, " "))
        axis.grid(False)
        axis.tick_params(length=0)
        figure.colorbar(image, ax=axis, pad=0.02)
    axes[0].set_ylabel("γ")
    frame = " Framed: Bi-LSTM-Att-Focal as in the tables." if framed else ""
    left_out = "" if study.corpus.n_classes == 2 else " A number as α weighs one of two classes; these data have more."
    note = (f"Trained and tested on {rows.test_on[0]}: {rows.n_test.max():,} texts. Mean over seeds. "
            f"{style.drawn(table, '± (half the width)')} γ = 0 without α is cross-entropy, Bi-LSTM-Att; a number as α is "
            f"the weight of class 1.{frame}{left_out} Each panel has its own colours: they compare cells, not panels.")  # fmt: skip
    return Content(figure, used, per_seed=rows, numbers=table, note=note)


def weight_name(alpha: str | float | None) -> str:
    """α as axes and tables show it."""
    return "none" if alpha is None else alpha if isinstance(alpha, str) else f"{alpha:g}"
