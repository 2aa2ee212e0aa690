"""What a pretrained encoder is worth, and how ours was made (appendix notebook 08_encoder)."""

import pandas as pd
from matplotlib import pyplot as plt

from paperkit.evaluate import frozen
from paperkit.exhibits import compare, style
from paperkit.exhibits.data import shortened
from paperkit.exhibits.exhibit import Content, exhibit
from paperkit.exhibits.paper_a import per_run
from paperkit.exhibits.style import drawable, label
from paperkit.exhibits.summary import quietly, summarise
from paperkit.models import backbones
from paperkit.papers import SVM_CUT
from paperkit.runs import Run
from paperkit.study import Study

NOTEBOOK = "08_encoder"
METRICS = ("accuracy", "f1_macro")
KEYS = ["corpus", "model", "labels"]
RANDOM = "mini-random"


def per_seed(study: Study) -> tuple[pd.DataFrame, list[Run]]:
    """One row per run: every encoder, and the SVM, on every corpus with every share of the labels."""
    return per_run(study, study.encoder_specs(), KEYS, _score)


def _score(run: Run) -> dict[str, float]:
    _, truth, logits = run.on(None)
    scores = quietly(truth, logits, run.spec.source.load().n_classes)
    return {metric: scores[metric] for metric in METRICS}


@exhibit("x_encoder_table", NOTEBOOK, "What pretraining is worth: encoders by share of the labels, beside a linear SVM.",
         "预训练的价值：不同标注比例下的编码器与线性 SVM")  # fmt: skip
def table(study: Study) -> Content:
    rows, used = per_seed(study)
    rows["frozen"] = frozen.accuracies(used, study.store, study.at_once)
    metrics, compared = [*METRICS, "frozen"], ["accuracy", "frozen"]
    found = summarise(rows, KEYS, metrics)
    sizes = rows.groupby(KEYS, sort=False)
    found.insert(3, "n_train", sizes.n_train.max().to_numpy())
    twins = {(corpus, model, share): (corpus, RANDOM, share)
             for corpus, model, share in found[KEYS].itertuples(index=False) if model != RANDOM}  # fmt: skip
    found = compare.add_differences(found, rows, KEYS, twins, compared, "gain")
    found["seconds_mean"] = sizes.seconds.mean().to_numpy()
    shown = compare.readable_differences(found, KEYS, metrics, compared, {"gain": "Δ {} to random"})
    shown["labels"] = [f"{share:.0%}" for share in found.labels]
    shown.insert(3, "n_train", found.n_train)
    shown["seconds"] = [f"{seconds:.0f}" for seconds in found.seconds_mean]
    note = (f"{style.averaged(found.n_seeds.max())} Tested on each corpus' test texts. {RANDOM} has the shape of mini and starts "
            "from random weights; Δ is paired over seeds. frozen: accuracy of a logistic regression on the same labelled texts, "
            "the encoder as it began; what it knows before fine-tuning, and with all labels and given weights the same for every "
            "seed. Which labels are used differs from seed to seed, at least one of each class. Seconds of one run, evaluation "
            f"included. TF-IDF + SVM reads whole texts, {SVM_CUT} the {study.profile.tokens.max_length} tokens that the encoders "
            "read.")  # fmt: skip
    return Content(found, used, shown, rows, note=note)


@exhibit("x_encoder_curve", NOTEBOOK, "Accuracy over the share of the labels.", "准确率随标注比例的变化")
def curve(study: Study) -> Content:
    rows, used = per_seed(study)
    corpora = rows.corpus.unique()
    figure, axes = plt.subplots(1, len(corpora), figsize=(style.PAGE, 2.6), squeeze=False, sharey=True)
    models = list(dict.fromkeys(rows.model))
    places = {model: 1.02 ** (place - (len(models) - 1) / 2) for place, model in enumerate(models)}
    found = summarise(rows, KEYS, METRICS)
    for axis, corpus in zip(axes[0], corpora, strict=True):
        for model in models:
            mine = found[(found.corpus == corpus) & (found.model == model)].sort_values("labels")
            if mine.empty:
                continue
            # side by side, so that intervals do not hide each other
            compare.line(axis, mine.labels * 100 * places[model], mine, "accuracy", model)
        axis.set_xscale("log")
        shares = sorted(rows.labels.unique() * 100)
        axis.set_xticks(shares, [f"{share:g}" for share in shares])
        axis.minorticks_off()
        axis.set_title(drawable(shortened(corpus), "corpus"))
        axis.set_xlabel(label("labels used (%)", "使用的标注比例（%）"))
    axes[0, 0].set_ylabel(label("accuracy", "准确率"))
    axes[0, 0].set_ylim(0, 1)
    handles, names = axes[0, 0].get_legend_handles_labels()
    for axis in axes[0, 1:]:
        for handle, name in zip(*axis.get_legend_handles_labels(), strict=True):
            if name not in names:
                handles, names = [*handles, handle], [*names, name]
    figure.legend(handles, names, loc="outside lower center", ncols=len(names))
    return Content(figure, used, numbers=found, note=f"Test texts. {style.drawn(found, cut=', cut at 0 and 1')}")


@exhibit("x_pretraining", NOTEBOOK, "How mini was pretrained: loss, and held-out masked tokens guessed right.",
         "mini 的预训练：损失与留出文本上的掩码预测准确率")  # fmt: skip
def pretraining(study: Study) -> Content:
    numbers = pd.read_csv(backbones.MINI / "loss.csv")
    facts = backbones.card()
    figure, (left, right) = plt.subplots(1, 2, figsize=(style.PAGE, 2.6))
    left.plot(numbers.tokens / 1e6, numbers.loss, color="C0")
    read = label("million tokens read", "已读词元（百万）")
    left.set(xlabel=read, ylabel=label("cross-entropy of masked tokens", "掩码词元交叉熵"))
    scored = numbers.dropna(subset=["zh_accuracy"])
    for number, (language, name) in enumerate((("zh", label("Chinese", "中文")), ("en", label("English", "英文")))):
        right.plot(
            scored.tokens / 1e6, scored[f"{language}_accuracy"], marker="os"[number], color=f"C{number}", label=name
        )
    right.set(xlabel=read, ylabel=label("masked tokens right", "掩码预测准确率"))
    right.legend()
    last = scored.iloc[-1]
    note = (f"{facts['parameters'] / 1e6:.1f} million parameters, {facts['steps']:,} steps, {last.tokens / 1e6:.0f} million "
            f"tokens of a text of {facts['train_tokens'] / 1e6:.1f} million; on held-out text {last.zh_accuracy:.1%} of the "
            f"masked tokens of Chinese and {last.en_accuracy:.1%} of English are guessed right. "
            "The loss jumps where longer sequences begin, whose later positions are new to the model.")  # fmt: skip
    return Content(figure, numbers=numbers, note=note)
