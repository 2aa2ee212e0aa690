"""Paper A's Table 3: ten models on two corpora, as one method with its terms switched on."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from paperkit.corpora.corpus import Corpus
from paperkit.evaluate.metrics import evaluate_large
from paperkit.exhibits import style
from paperkit.exhibits.exhibit import Content, exhibit
from paperkit.exhibits.summary import readable, summarise
from paperkit.papers import SVM_CUT
from paperkit.runs import Run, RunSpec, Source
from paperkit.study import Study

NOTEBOOK = "05_adversarial"
KEYS = ["corpus", "model"]
METRICS = ("accuracy", "f1_macro", "f1_micro", "manual_accuracy", "any_topic_accuracy", "tail_f1", "sibling_confusion")
CORRECTION = ("corrected", "repeated", "neither")


def score(run: Run) -> dict[str, float]:
    """Every metric of paper A for one run on its corpus' test texts; nan where a corpus has no such thing."""
    corpus = run.spec.source.load()
    rows, labels, logits = run.on(None)
    return evaluate_large(labels, logits.argmax(axis=1), corpus.label_names, truth=corpus.table.truth.to_numpy()[rows],
                          votes=corpus.table.votes.to_numpy()[rows], train_sizes=trained_sizes(corpus))  # fmt: skip


def trained_sizes(corpus: Corpus) -> np.ndarray:
    """Labelled training texts of each class, ``(K,)``."""
    table = corpus.table
    return np.bincount(table.label[(table.split == "train") & (table.label >= 0)], minlength=corpus.n_classes)


def seed_of(run: Run) -> int | str:
    """The seed of a run; empty where another one gives the same result."""
    return run.spec.seed if run.spec.method.seeded else ""


def per_run(
    study: Study,
    groups: Mapping[tuple, Sequence[RunSpec]],
    keys: Sequence[str],
    metrics: Callable[[Run], dict[str, float]] = score,
) -> tuple[pd.DataFrame, list[Run]]:
    """One row per run with its ``metrics``, and the runs; missing ones are trained. ``keys`` name the parts of each key of
    ``groups``; where a part is a source, its corpus' name stands in the row."""
    rows, used = [], []
    for key, runs in study.get_each(groups).items():
        parts = [part.load().name if isinstance(part, Source) else part for part in key]
        for run in runs:
            used.append(run)
            rows.append({"data": study.name, "corpus": run.spec.source.load().name, **dict(zip(keys, parts, strict=True)),
                         "seed": seed_of(run), "n_train": run.result["n_train"], "n_test": len(run.on(None)[0]),
                         **metrics(run), "seconds": run.result["seconds"]})  # fmt: skip
    return pd.DataFrame(rows), used


def per_seed(study: Study, models: Sequence[str] | None = None) -> tuple[pd.DataFrame, list[Run]]:
    """:func:`per_run` of the ten models and the SVMs, or of those among them that are named."""
    chosen = {key: specs for key, specs in study.ten_specs().items() if models is None or key[1] in models}
    return per_run(study, chosen, KEYS)


def results(study: Study, models: Sequence[str] | None = None) -> Content:
    """Table 3, or some of its rows."""
    rows, used = per_seed(study, models)
    table = summarise(rows, KEYS, METRICS)
    sizes = "; ".join(f"{corpus}: {group.n_train.max():,} labelled, {group.n_test.max():,} tested"
                      for corpus, group in rows.groupby("corpus", sort=False))  # fmt: skip
    note = (f"{style.averaged(table.n_seeds.max())} {sizes}. Accuracy is against the corpus' labels, as is f1_micro, its equal "
            "where a text has one label; manual_accuracy is against the truth, any_topic_accuracy against any of a text's "
            "topics, both n/a where a corpus does not know them; tail_f1 is the macro F1 of classes smaller than the median one; "
            "sibling_confusion is the share of errors that fall under the right parent, n/a where labels are no tree. TF-IDF + "
            f"SVM reads whole texts, {SVM_CUT} the {study.profile.tokens.max_length} tokens that the networks read.")  # fmt: skip
    return Content(table, used, readable(table, KEYS, METRICS), rows, note=note)


@exhibit("a_table_3", NOTEBOOK, "Table 3. The ten models on both corpora.", "表3 十个模型在两个数据集上的结果")
def table_3(study: Study) -> Content:
    return results(study)
