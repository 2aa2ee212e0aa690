"""What the first-topic rule costs, counted text by text; and tables whose texts have one label each."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperkit.corpora.corpus import assemble
from paperkit.evaluate.metrics import any_topic_accuracy
from paperkit.exhibits import first_topic
from paperkit.exhibits.exhibit import Content, show
from paperkit.papers import SVM, SVM_CUT, WHOLE
from paperkit.study import Study
from tests.exhibits.conftest import ROOMS
from tests.small import SETTINGS, tickets, write_csv

NAMES = ("corn", "grain", "wheat")
CASES = [  # label, topics given, predicted
    (1, "grain|wheat|corn", 2),
    (1, "grain|wheat", 1),
    (2, "corn|wheat", 2),  # in another order than that of the label
    (0, "corn|palladium", 0),  # a topic that is no class
    (0, "corn", 2),
    (2, "wheat|corn", 1),
]


def mean(hits) -> float:
    hits = list(hits)
    return sum(hits) / len(hits) if hits else math.nan


@given(
    st.lists(st.tuples(st.integers(0, 2), st.frozensets(st.integers(0, 2)), st.integers(0, 2)), min_size=1, max_size=30)
)
def test_every_share_is_counted_text_by_text(cases):
    cases = [(label, topics | {label}, k) for label, topics, k in cases]
    labels, given_, predicted = (list(column) for column in zip(*cases, strict=True))
    found = first_topic.first_topic(np.array(labels), np.array(predicted), given_)
    many = [(label, topics, k) for label, topics, k in cases if len(topics) > 1]
    picks = mean(k == label for label, topics, k in many if k in topics)
    expected = {
        "accuracy": mean(k == label for label, _, k in cases),
        "any_topic_accuracy": mean(k in topics for _, topics, k in cases),
        "accuracy_one": mean(k == label for label, topics, k in cases if len(topics) == 1),
        "accuracy_several": mean(k == label for label, _, k in many),
        "any_topic_several": mean(k in topics for _, topics, k in many),
        "picks_first": picks,
        "ceiling": 1 - len(many) / len(cases) * (1 - picks) if many else 1.0,
    }
    assert found == pytest.approx(expected, nan_ok=True)
    assert not found["ceiling"] < found["accuracy"] - 1e-12, "finding every right topic is no worse"
    listed = ["|".join(NAMES[k] for k in topics) for topics in given_]
    assert found["any_topic_accuracy"] == any_topic_accuracy(listed, predicted, NAMES)


def corpus_of(cases):
    rows = [(f"m:{n}", f"text number {n}", label, votes, "test") for n, (label, votes, _) in enumerate(cases)]
    return assemble("made", pd.DataFrame(rows, columns=["id", "text", "label", "votes", "split"]), NAMES, "en")


def test_the_topics_of_a_text_are_the_classes_it_was_given():
    corpus = corpus_of(CASES)
    given_ = first_topic.topics(corpus, range(len(CASES)))
    assert given_ == [{0, 1, 2}, {1, 2}, {0, 2}, {0}, {0}, {0, 2}]
    found = first_topic.first_topic(np.array([c[0] for c in CASES]), np.array([c[2] for c in CASES]), given_)
    assert found["accuracy_several"] == 2 / 4 and found["any_topic_several"] == 3 / 4
    assert found["picks_first"] == 2 / 3 and found["ceiling"] == pytest.approx(1 - 4 / 6 * 1 / 3)
    assert first_topic.has_several(corpus) and not first_topic.has_several(corpus_of(CASES[3:5]))


@pytest.fixture(scope="module")
def _made(tmp_path_factory) -> tuple[Study, Content]:
    root = tmp_path_factory.mktemp("topics")
    with pytest.MonkeyPatch.context() as patch:
        for room in ROOMS:
            patch.setenv(f"PAPERKIT_{room}", str(root / room.lower()))
        study = Study("embedded", "smoke", overrides=SETTINGS | {"labelled": 0.5, "large_seeds": 2}, workers=1)
        assert study.store.root == root / "store"
        return study, first_topic.table(study)


def test_every_run_of_the_corpus_with_several_topics_has_its_row(_made):
    study, content = _made
    rows, table = content.per_seed, content.body
    models = ["Baseline", WHOLE, SVM_CUT, SVM.name]
    assert list(dict.fromkeys(rows.model)) == table.model.tolist() == models
    assert set(rows.corpus) == {"newswire"} and rows.groupby("model").seed.agg(list).tolist() == [[0, 1]] * 4
    corpus = study.large[0].load()
    test = corpus.rows("test")
    given_ = [{corpus.label_names.index(name) for name in votes.split("|")} for votes in test.votes]
    assert (rows.n_several == sum(len(each) > 1 for each in given_)).all() and (rows.n_several > 0).all()
    assert (rows.n_one + rows.n_several == len(test)).all() and (rows.n_test == len(test)).all()
    assert rows.ceiling_random.to_numpy() == pytest.approx(mean(1 / len(each) for each in given_))
    for model in models:
        for run in study.get(study.ten_specs()[study.large[0], model]):
            places, labels, logits = run.on(None)
            assert places.tolist() == test.index.tolist()
            picked = [(k == label, len(each) > 1) for k, label, each in
                      zip(logits.argmax(axis=1).tolist(), labels.tolist(), given_, strict=True) if k in each]  # fmt: skip
            line = rows[(rows.model == model) & (rows.seed == run.spec.seed)].iloc[0]
            assert line.any_topic_accuracy == len(picked) / len(test)
            assert line.picks_first == pytest.approx(mean(first for first, several in picked if several), nan_ok=True)
            weighed = line.accuracy_one * line.n_one + line.accuracy_several * line.n_several
            assert weighed == pytest.approx(line.accuracy * line.n_test)
    assert "tickets: n/a" in content.note and f"newswire: {WHOLE} is" in content.note
    for line in table.itertuples():
        assert line.ceiling_mean == pytest.approx(rows[rows.model == line.model].ceiling.mean())


def test_a_table_of_one_label_each_has_no_such_cost_and_trains_nothing(home):
    table = write_csv(home / "calls.csv", ("text", "label"), tickets({"billing": 20, "network": 20, "other": 20}))
    study = Study(str(table), "smoke", overrides=SETTINGS, workers=1)
    shown = show(study, "x_first_topic")
    assert shown.content.body.empty and shown.content.note == "calls: n/a, no test text has more than one label."
    assert "| n/a |" in (study.folder / "x_first_topic.md").read_text()
    assert not (study.folder / "x_first_topic_runs.csv").exists() and not (study.store.root / "runs").exists()
