"""What the corpora are (notebook 01_data)."""

import textwrap

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from paperkit.corpora.corpus import CORE, Corpus, Note, leaks
from paperkit.evaluate.agreement import fleiss_kappa, single_votes
from paperkit.exhibits import style
from paperkit.exhibits.exhibit import Content, exhibit
from paperkit.exhibits.style import drawable, label
from paperkit.study import Study

NOTEBOOK = "01_data"
SHOWN_CLASSES, SHOWN_PLATFORMS = 30, 6
LONGEST_NAME, LONGEST_DETAIL = 24, 160
MEDIUM, SAMPLED_CLASSES = (8, 60), 12
"""Characters of a text that Table 1 shows first, and the most classes it shows."""


def platform_label(study: Study, platform: str) -> str:
    """A platform's name as a figure can draw it: shortened, and a number where its characters have no glyph."""
    return drawable(shortened(platform), f"platform {_every_platform(study).index(platform) + 1}")


def platform_key(study: Study) -> str:
    """Which platform is drawn as which number; empty where every name can be drawn."""
    numbered = (
        (platform_label(study, name), name) for name in _every_platform(study) if drawable(shortened(name)) is None
    )
    return ", ".join(f"{number}: {name}" for number, name in numbered)


def every_corpus(study: Study) -> tuple[Corpus, ...]:
    """Paper B's corpus, then paper A's; the same one, as of a table, once."""
    return (study.corpus, *(source.load() for source in study.large if source != study.source))


def _every_platform(study: Study) -> list[str]:
    return sorted(study.corpus.table.platform.unique())


def shortened(name: str) -> str:
    """A name of the data's own, cut to fit a figure or a sentence."""
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


@exhibit("b_table_1", NOTEBOOK, "Table 1. Sample reviews with their labels.", "表1 部分实验数据")
def table_1(study: Study) -> Content:
    """Training texts, as many of each class, of medium length where there are such; of a user's own table ids only."""
    table = study.corpus.rows("train").copy()
    table["characters"] = table.text.str.len()
    table["words"] = study.prepared(study.corpus.platforms[0]).texts.lengths[table.index]
    # how far a length lies from medium: texts of a class that has none of medium length are there as well
    table["off"] = table.characters - table.characters.clip(*MEDIUM)
    of_each = {k: group.sort_values("off", key=abs, kind="stable") for k, group in table.groupby("label")}
    classes = sorted(of_each, reverse=True)
    left = len(classes) - SAMPLED_CLASSES
    if left > 0:
        classes = [classes[place] for place in np.linspace(0, len(classes) - 1, SAMPLED_CLASSES).round().astype(int)]
    per_class = max(1, 8 // study.corpus.n_classes)
    chosen = pd.concat([of_each[k].head(per_class) for k in classes])
    note = f"Texts of {SAMPLED_CLASSES} of {len(of_each)} classes, from the first to the last." if left > 0 else ""
    names = np.array(study.corpus.label_names)
    shown = chosen.assign(label=names[chosen.label])[
        ["id", "platform", "label", "votes", "characters", "words", "text"]
    ]
    if not (shown.votes != "").any():
        shown = shown.drop(columns="votes")
    if not study.may_quote:
        note = f"{note} Texts of your table are not quoted; quote_texts = True shows them.".strip()
        return Content(shown.drop(columns="text"), note=note)
    return Content(shown, quotes=True, text_columns=("text",), note=note)


@exhibit("x_corpus", NOTEBOOK, "Texts by platform, label and split.", "各平台、类别、划分的文本数")
def corpus(study: Study) -> Content:
    data = study.corpus
    table = data.table[data.table.status == CORE]
    names = np.append(np.array(data.label_names), "(unlabelled)")
    counts = (
        table.assign(label=names[table.label])
        .groupby(["platform", "label", "split"], sort=False)
        .size()
        .unstack("split", fill_value=0)
        .reindex(columns=["train", "dev", "test", "unlabelled"], fill_value=0)
    )
    counts["all"] = counts.sum(axis=1)
    counts["share"] = counts["all"] / counts.groupby("platform")["all"].transform("sum")
    note = "Core texts only." + (f" {_ratio(table, data.label_names)}" if data.n_classes == 2 else "")
    if study.kind != "table":
        note += " The paper says about 3 : 1."
    counts = counts.reset_index().sort_values(["platform", "all"], ascending=[True, False], kind="stable")
    return Content(counts, note=note)


def _ratio(table: pd.DataFrame, names: tuple[str, ...]) -> str:
    counts = table[table.label >= 0].label.value_counts()
    major, minor = counts.index[0], counts.index[-1]
    return f"{names[major]} : {names[minor]} = {counts[major] / counts[minor]:.2f} : 1."


@exhibit("x_notes", NOTEBOOK, "What was done to the rows while the corpus was made.", "语料处理记录")
def notes(study: Study) -> Content:
    prepared = study.prepared(study.corpus.platforms[0])
    core = study.corpus.table.status == CORE
    empty = int(((prepared.texts.lengths == 0) & core.to_numpy()).sum())
    longest = study.profile.text.max_length
    cut = sum(len(words) > longest for words in prepared.words)
    cleaning = (Note("no word left after cleaning: dropped from training and testing (paper B)", empty),
                Note(f"longer than {longest} words: truncated (paper B)", cut))  # fmt: skip
    corpora = every_corpus(study)
    body = pd.DataFrame(
        {"corpus": corpus.name, "what": note.reason, "count": note.count, "detail": note.detail}
        for corpus in corpora
        for note in corpus.notes + (cleaning if corpus is corpora[0] else ())
    )
    shown = body.assign(detail=[textwrap.shorten(detail, LONGEST_DETAIL, placeholder=" …") for detail in body.detail])
    return Content(body, display=shown, corpora=corpora)


@exhibit("x_non_core", NOTEBOOK, "Non-core texts, which paper B removes: how many, of which kind, per class.",
         "非核心样本：类型与数量")  # fmt: skip
def non_core(study: Study) -> Content:
    data = study.corpus
    labelled = data.table[data.table.label >= 0]
    names = np.array(data.label_names)
    sizes = labelled.groupby(["platform", "label"]).size()
    kinds = labelled[labelled.status != CORE].groupby(["platform", "label", "status"]).size()
    rows = [{"platform": platform, "label": names[k], "kind": kind, "texts": int(count),
             "share_of_class": count / sizes[platform, k]} for (platform, k, kind), count in kinds.items()]  # fmt: skip
    total = len(labelled[labelled.status != CORE])
    share = total / max(len(labelled), 1)
    columns = ["platform", "label", "kind", "texts", "share_of_class"]
    return Content(pd.DataFrame(rows, columns=columns),
                   note=f"{total} of {len(labelled)} labelled texts ({share:.1%}) are non-core. Found by rule "
                        "(paperkit/corpora/noncore.py); they are kept apart, trained on only in an ablation.")  # fmt: skip


@exhibit("x_agreement", NOTEBOOK, "Agreement of the annotators.", "标注者一致性")
def agreement(study: Study) -> Content:
    """Fleiss' κ of the core texts that have votes; n/a for corpora without them."""
    data = study.corpus
    rows = []
    for platform, table in data.table[(data.table.status == CORE) & (data.table.votes != "")].groupby("platform"):
        votes = single_votes(table.votes, data.n_classes)
        if votes is None:
            continue
        known = (table.truth >= 0).to_numpy()
        wrong = (table.truth != table.label).to_numpy()[known]
        rows.append({"platform": platform, "texts": len(table), "annotators": votes.shape[1],
                     "fleiss_kappa": fleiss_kappa(votes, data.n_classes),
                     "unanimous": float((votes == votes[:, :1]).all(axis=1).mean()),
                     "label_differs_from_truth": float(wrong.mean()) if known.any() else np.nan})  # fmt: skip
    columns = ["platform", "texts", "annotators", "fleiss_kappa", "unanimous", "label_differs_from_truth"]
    note = "" if rows else "n/a: no votes of single annotators are known for this corpus."
    return Content(pd.DataFrame(rows, columns=columns), note=note)


@exhibit("x_leakage", NOTEBOOK, "Leakage check: texts that stand in two splits.", "划分之间的泄漏检查")
def leakage(study: Study) -> Content:
    corpora = every_corpus(study)
    found = pd.concat([leaks(corpus).assign(corpus=corpus.name) for corpus in corpora])[["corpus", "ids", "splits"]]
    note = (f"Compared within {', '.join(corpus.name for corpus in corpora)} after NFKC, lower-casing and removal of "
            f"non-word characters; {len(found)} found.")  # fmt: skip
    return Content(found.reset_index(drop=True), corpora=corpora, note=note)


@exhibit("x_lengths", NOTEBOOK, "Text lengths and class sizes.", "文本长度与类别规模")
def lengths(study: Study) -> Content:
    data = study.corpus
    table = data.table[data.table.status == CORE]
    words = pd.Series([len(words) for words in study.prepared(data.platforms[0]).words], index=data.table.index)
    sizes = table[table.label >= 0].label.value_counts()
    shown = sizes.head(SHOWN_CLASSES)
    height = max(2.8, 0.8 + 0.14 * len(shown))
    figure, (left, right) = plt.subplots(1, 2, figsize=(style.PAGE, height), width_ratios=(3, 2))
    limit = study.profile.text.max_length
    longest = min(limit, max(int(words[table.index].max()), 1))
    step = -(-longest // 40)  # whole numbers of words per bar
    bins = np.arange(0, longest + step + 1, step) - 0.5
    for number, platform in enumerate(table.platform.value_counts().index[:SHOWN_PLATFORMS]):
        mine = words[table.index[table.platform == platform]]
        left.hist(mine.clip(upper=limit), bins=bins, histtype="step", density=True, lw=1.4,
                  color=f"C{number}", ls=style.LINES[number % len(style.LINES)],
                  label=f"{platform_label(study, platform)}  (n = {len(mine):,}, "
                        f"{label('median', '中位数', ' ')} {mine.median():.0f})")  # fmt: skip
    left.set(xlabel=label("words after cleaning", "清洗后的词数"), ylabel=label("density", "密度"))
    platforms = min(table.platform.nunique(), SHOWN_PLATFORMS)
    figure.legend(loc="outside lower center", ncols=min(platforms, 3 if platforms > 4 else 2))
    leaves = [data.label_names[k].rpartition("/")[2] for k in shown.index]
    if len(set(leaves)) < len(leaves):
        leaves = [data.label_names[k] for k in shown.index]
    names = [drawable(shortened(leaf), f"class {k}") for leaf, k in zip(leaves, shown.index, strict=True)]
    right.barh(range(len(shown)), shown.to_numpy(), color="C0")
    right.set_yticks(range(len(shown)), names)
    right.invert_yaxis()
    right.grid(axis="y", visible=False)
    right.grid(axis="x", visible=True)
    right.set_xlabel(label("texts", "文本数"))
    numbers = words[table.index].groupby(table.platform).describe().reset_index()
    notes = [f"The {SHOWN_CLASSES} largest of {len(sizes)} classes."] if len(sizes) > SHOWN_CLASSES else []
    if (words[table.index] > limit).any():
        notes.append(f"A text of more than {limit} words is drawn at {limit}, where training cuts it.")
    notes.append(platform_key(study))
    return Content(figure, numbers=numbers, note=" ".join(filter(None, notes)))
