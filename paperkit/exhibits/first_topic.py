"""What it costs that the label of a text is the first of its topics (notebook 05_adversarial)."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from paperkit.corpora.corpus import Corpus
from paperkit.exhibits.exhibit import Content, exhibit, nothing
from paperkit.exhibits.paper_a import NOTEBOOK, per_run
from paperkit.exhibits.summary import readable, summarise, summary_columns
from paperkit.papers import SVM, SVM_CUT, WHOLE
from paperkit.runs import Run
from paperkit.study import Study

MODELS = ("Baseline", WHOLE, SVM_CUT, SVM.name)
KEYS = ["corpus", "model", "n_one", "n_several", "ceiling_random"]
METRICS = (
    "accuracy",
    "any_topic_accuracy",
    "accuracy_one",
    "accuracy_several",
    "any_topic_several",
    "picks_first",
    "ceiling",
)


def topics(corpus: Corpus, rows: Sequence[int]) -> list[frozenset[int]]:
    """The classes that each text was given, its label among them; what is listed and is no class cannot be predicted."""
    number = {name: k for k, name in enumerate(corpus.label_names)}
    table = corpus.table.iloc[list(rows)]
    return [frozenset({int(label), *(number[name] for name in votes.split("|") if name in number)})
            for label, votes in zip(table.label, table.votes, strict=True)]  # fmt: skip


def first_topic(
    labels: NDArray[np.int64], predicted: NDArray[np.int64], given: Sequence[frozenset[int]]
) -> dict[str, float]:
    """What one set of predictions loses to the rule that the first topic is the label; shares in [0, 1], nan where 0/0.

    ==================  =====================================================================================
    accuracy_one        accuracy on the texts of one topic
    accuracy_several    on the texts of several
    any_topic_several   on these, share predicted as any of their topics
    picks_first         of the latter, share predicted as the first
    ceiling             1 − share of texts of several topics · (1 − ``picks_first``): the accuracy of a model that always
                        finds a right topic, and of several picks the first as often as this one
    ==================  =====================================================================================

    ``labels`` and ``predicted`` (N,), ``given`` (N,) the topics of each text.
    """
    right = predicted == labels
    found = np.array([k in each for k, each in zip(predicted.tolist(), given, strict=True)], dtype=bool)
    several = np.array([len(each) > 1 for each in given], dtype=bool)
    picks = _share(right[several & found])
    return {
        "accuracy": _share(right),
        "any_topic_accuracy": _share(found),
        "accuracy_one": _share(right[~several]),
        "accuracy_several": _share(right[several]),
        "any_topic_several": _share(found[several]),
        "picks_first": picks,
        "ceiling": 1 - _share(several) * (1 - picks) if several.any() else 1.0,
    }


def _share(hits: NDArray[np.bool_]) -> float:
    return float(hits.mean()) if len(hits) else math.nan


def score(run: Run) -> dict[str, float]:
    """:func:`first_topic` of one run, with how many test texts there are of each kind and what picking at random reaches."""
    rows, labels, logits = run.on(None)
    given = topics(run.spec.source.load(), rows)
    several = sum(len(each) > 1 for each in given)
    return {
        "n_one": len(given) - several,
        "n_several": several,
        "ceiling_random": float(np.mean([1 / len(each) for each in given])),
        **first_topic(labels, logits.argmax(axis=1), given),
    }


def has_several(corpus: Corpus) -> bool:
    """Whether a test text of the corpus has more than one topic."""
    return any(len(each) > 1 for each in topics(corpus, corpus.rows("test").index))


@exhibit("x_first_topic", NOTEBOOK, "What it costs that the first of several topics is the label.",
         "多主题文本只取第一个主题作标签的代价")  # fmt: skip
def table(study: Study) -> Content:
    several = [source for source in study.large if has_several(source.load())]
    left = [source.load().name for source in study.large if source not in several]
    unknown = [f"{name}: n/a, no test text has more than one label." for name in left]
    if not several:
        return nothing(
            " ".join(unknown), summary_columns(KEYS, METRICS), corpora=[source.load() for source in study.large]
        )
    chosen = {key: specs for key, specs in study.ten_specs().items() if key[0] in several and key[1] in MODELS}
    rows, used = per_run(study, chosen, ("corpus", "model"), score)
    found = summarise(rows, KEYS, METRICS)
    lost = [f"{line.corpus}: {line.model} is {100 * (1 - line.accuracy_mean):.1f} points below 1; for "
            f"{100 * (line.any_topic_accuracy_mean - line.accuracy_mean):.1f} of them it names a topic of the text that is not the "
            "first." for line in found[found.model == WHOLE].itertuples()]  # fmt: skip
    note = " ".join([
        "n_one, n_several: test texts to which the corpus gives one class, or several; the first is the label. any_topic: any of "
        "them will do. picks_first: of the answers any_topic counts as right on texts of several, the share that is the first.",
        "ceiling = 1 − share of texts of several · (1 − picks_first): a model that always finds a right topic, and of several "
        "picks the first as often as this one. If it always picked the first, that would be 1; one of them at random, "
        "ceiling_random. Intervals are over seeds, on the same test texts.",
        *lost,
        "What follows: a model that picks as these do cannot pass its ceiling, however well it reads. What does not: that no "
        "model can, since which topic stands first may be learnable; nor that labels of texts of one topic are right.",
        *unknown,
    ])  # fmt: skip
    return Content(found, used, readable(found, KEYS, METRICS), rows, note=note)
