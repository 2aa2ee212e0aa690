"""Whole runs with paper A's terms: what they read beside the labels, that a kill changes nothing, and noisy labels."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from safetensors.numpy import load_file

from paperkit.corpora.corpus import assemble
from paperkit.corpora.pools import pools
from paperkit.errors import InputError
from paperkit.losses import tsa_threshold
from paperkit.papers import BASELINE, paper_a, relatives, sentence_encoders
from paperkit.store import Store
from paperkit.terms import Attack, Consistency, Contrast
from paperkit.text.augment import Augmentation, augmented
from paperkit.text.edits import edit_similarity
from paperkit.text.prepare import TextOptions
from paperkit.text.tokens import TokenOptions, tokenise
from paperkit.training import execute as execution
from paperkit.training import loop
from paperkit.training.execute import (
    execute,
    gather,
    load,
    noisy_labels,
    numbered,
    pool_share,
    training_labels,
    training_rows,
)
from paperkit.training.methods import Method, Schedule
from tests.small import tickets

TEXT = TokenOptions("tiny", max_length=24)
SCHEDULE = Schedule(epochs=2, batch_size=8, learning_rate=5e-3, head_learning_rate=2e-2, dropout=(0, 0, 0.1))
NAMES = ("care/billing", "care/network", "other")
FEW = replace(BASELINE, labelled=0.5)


@pytest.fixture(scope="module")
def corpus():
    """Tickets of three kinds under a tree; of every fifth the label is wrong, and some have none."""
    rows = tickets({"billing": 40, "network": 30, "other": 20})
    names = [name.rpartition("/")[2] for name in NAMES]
    table = pd.DataFrame([(text, names.index(label)) for text, label in rows], columns=["text", "truth"])
    wrong = np.arange(len(table)) % 5 == 0
    table["label"] = np.where(wrong, (table.truth + 1) % 3, table.truth)
    table.loc[np.arange(len(table)) % 9 == 4, "label"] = -1
    table["id"] = [f"t:{row}" for row in range(len(table))]
    return assemble("noisy", table, NAMES, "en")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


def gathered(corpus, store, method, schedule=SCHEDULE, seed=0):
    prepared = tokenise(corpus, TEXT, store)
    rows = training_rows(corpus, None, method, seed)
    dev = corpus.rows("dev").index.to_numpy()
    return (*gather(corpus, None, prepared, rows, dev, method, schedule, seed, store), prepared)


def test_what_accompanies_the_labelled_texts(corpus, store, monkeypatch):
    monkeypatch.setattr("paperkit.corpora.pools.FEWEST", 1)
    method = replace(FEW, consistency=Consistency(), contrast=Contrast(eda_negatives=True))
    data, sizes, prepared = gathered(corpus, store, method, seed=3)
    divided = pools(corpus, 0, data.train_rows)
    assert data.unlabelled.tolist() == divided.uda.tolist() and data.similar.tolist() == divided.esimcse.tolist()
    assert not {*data.unlabelled} & {*data.similar} and not {*data.unlabelled, *data.similar} & {*data.train_rows}
    assert set(corpus.table.split.iloc[[*data.unlabelled, *data.similar]]) <= {"train", "unlabelled"}
    assert (sizes["n_unlabelled"], sizes["n_similar"]) == (len(data.unlabelled), len(data.similar))
    assert len(data.augmented) == len(data.positives) == len(data.negatives) == SCHEDULE.views == 2
    for kind, versions, rows in (
        ("tfidf", data.augmented, data.unlabelled),
        ("repetition", data.positives, data.similar),
    ):
        for view, texts in enumerate(versions):
            assert len(texts) == len(corpus) and not texts.lengths[np.setdiff1d(np.arange(len(corpus)), rows)].any()
            made = prepared.encode(augmented(corpus, rows, Augmentation(kind), 3, view, store))
            for place, row in enumerate(rows):
                assert texts[row].tolist() == made[place].tolist()
        assert not np.array_equal(versions[0].flat, versions[1].flat), "versions differ"


def test_negatives_are_those_whose_similarity_rounds_to_nothing(corpus, store, monkeypatch):
    """Light edits give none, so the texts are replaced by ones that differ in part."""
    method = replace(FEW, contrast=Contrast(eda_negatives=True))
    data, sizes, _ = gathered(corpus, store, method)
    assert sizes["n_negatives"] == sum(int((each.lengths > 0).sum()) for each in data.negatives)

    def half_other(corpus, rows, augmentation, seed, view, store):
        if augmentation.kind != "eda-negative":
            return augmented(corpus, rows, augmentation, seed, view, store)
        texts = corpus.table.text.iloc[rows].tolist()
        return ["0123456789" if number % 2 else text for number, text in enumerate(texts)]

    monkeypatch.setattr("paperkit.training.execute.augmented", half_other)
    data, sizes, prepared = gathered(corpus, store, method)
    texts = corpus.table.text.tolist()
    unlike = [row for number, row in enumerate(data.similar)
              if number % 2 and edit_similarity(texts[row], "0123456789") < 0.5]  # fmt: skip
    assert len(unlike) > 5 and sizes["n_negatives"] == 2 * len(unlike)
    assert np.flatnonzero(data.negatives[0].lengths).tolist() == unlike
    assert data.negatives[0][unlike[0]].tolist() == prepared.encode(["0123456789"])[0].tolist()


def test_an_augmentation_of_which_nothing_is_left_is_the_text_itself(tiny, store, monkeypatch):
    """Paper B's cleaning may drop every word of it."""
    monkeypatch.setattr("paperkit.training.execute.augmented", lambda corpus, rows, *_: ["ok 666"] * len(rows))
    text = TextOptions(vector_size=8, vector_epochs=1)
    method = Method("Bi-LSTM + UDA", consistency=Consistency(), labelled=0.5)
    prepared = numbered(tiny, "ctrip", text, store)
    rows = training_rows(tiny, "ctrip", method, 0)
    data, _ = gather(tiny, "ctrip", prepared, rows, np.array([], int), method, SCHEDULE, 0, store)
    assert (tiny.table.platform.iloc[data.unlabelled] == "ctrip").all() and len(data.unlabelled) > 5
    for row in data.unlabelled:
        assert data.augmented[0][row].tolist() == prepared.texts[row].tolist()


def run(corpus, store, folder, method, text=TEXT, train_on=None, schedule=SCHEDULE, **options):
    folder.mkdir(exist_ok=True)
    execute(corpus, train_on, method, text, schedule, 0, store, folder, **options)
    return json.loads((folder / "run.json").read_text()), load_file(folder / "steps.safetensors")


class Killed(Exception):
    pass


def killed(epoch):
    raise Killed


FINAL = paper_a(FEW)[-1]
REMEMBERING = {
    method.name: method for method in relatives(FEW) if method.name in ("Temporal Ensembling", "Mean Teacher", "VAT")
}
MIXED = replace(FINAL, name="mixed", mixup="embedding", contrast=Contrast(eda_negatives=True, start="random"))


@pytest.mark.parametrize("method", [FINAL, MIXED, *REMEMBERING.values()], ids=lambda method: method.name)
def test_a_killed_run_goes_on_with_all_that_it_remembered(corpus, store, tmp_path, method):
    """Queue, momentum encoder, teacher and earlier predictions are a part of the checkpoint."""
    schedule = replace(SCHEDULE, epochs=3)
    whole, steps = run(corpus, store, tmp_path / "whole", method, schedule=schedule)
    for _ in range(2):
        with pytest.raises(Killed):
            run(corpus, store, tmp_path / "parts", method, schedule=schedule, on_epoch=killed)
    resumed, _ = run(corpus, store, tmp_path / "parts", method, schedule=schedule)
    for file in ("outputs.safetensors", "weights.safetensors", "steps.safetensors"):
        assert (tmp_path / "parts" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes(), file
    assert resumed | {"seconds": 0} == whole | {"seconds": 0}
    assert {len(values) for values in steps.values()} == {3 * -(-whole["n_train"] // 8)}
    assert all(np.isfinite(values).all() for values in steps.values())


EVERY = {method.name: method for method in (*paper_a(FEW), *relatives(FEW), *sentence_encoders(FEW))}
ON = {"consistency": "cons", "contrast": "sim", "adversarial": "adv"}


@pytest.mark.parametrize("name", EVERY)
def test_every_model_trains_and_logs_its_own_terms(corpus, store, tmp_path, name):
    method = EVERY[name]
    result, steps = run(corpus, store, tmp_path / "run", method, schedule=replace(SCHEDULE, epochs=1))
    for switch, term in ON.items():
        assert (term in steps) == (getattr(method, switch) is not None)
        assert (f"train_{term}" in result["history"][0]) == (term in steps)
    assert ("sup" in steps) == (method.supervised > 0)
    model, prepared = load(corpus, None, method, TEXT, SCHEDULE, 0, store, tmp_path / "run")
    assert not model.training and prepared.texts.flat.size


def test_tsa_holds_back_training_texts_and_no_dev_text(corpus, store, tmp_path, monkeypatch):
    """A mask in the evaluation loss, as public code has it, would hide from dev whatever is already right."""
    seen, predict = [], loop.predict

    def spy(model, texts, rows, dtype):
        seen.append((rows, predict(model, texts, rows, dtype)))
        return seen[-1][1]

    monkeypatch.setattr(loop, "predict", spy)
    method, schedule = replace(FEW, consistency=Consistency(tsa="linear")), replace(SCHEDULE, epochs=3, head="probe")
    result, steps = run(corpus, store, tmp_path / "run", method, schedule=schedule)
    assert (steps["kept_sup"] < 1).any(), "TSA has something to do"
    masked = []
    for epoch, (row, (rows, logits)) in enumerate(zip(result["history"], seen[:3], strict=True), start=1):
        z, y = torch.tensor(logits), torch.tensor(corpus.table.label.to_numpy()[rows])
        assert row["dev_loss"] == pytest.approx(F.cross_entropy(z, y).item(), rel=1e-5)
        right = z.softmax(dim=1)[torch.arange(len(y)), y]
        masked.append(bool((right > tsa_threshold(epoch / 3, len(NAMES), "linear")).any()))
    assert any(masked), "a mask would have changed it"


def test_the_terms_are_for_the_bilstm_too(tiny, store, tmp_path):
    method = replace(
        Method("Bi-LSTM-Att"), labelled=0.5, consistency=Consistency(), contrast=Contrast(), adversarial=Attack("pgd")
    )
    text = TextOptions(vector_size=8, vector_epochs=1)
    result, steps = run(
        tiny, store, tmp_path / "run", method, text, "ctrip", replace(SCHEDULE, dropout=(0.1, 0.1, 0.1))
    )
    assert {"sup", "cons", "adv", "sim", "queue", "delta"} <= set(steps) and result["n_unlabelled"] > 0


def test_sentence_embeddings_take_the_last_epoch(corpus, store, tmp_path):
    """Without a trained classifier there is nothing to select an epoch by."""
    method = EVERY["ESimCSE"]
    result, steps = run(corpus, store, tmp_path / "run", method)
    assert "ce" not in steps and all(np.isnan(row["dev_accuracy"]) for row in result["history"])


def test_a_term_leaves_the_order_of_the_labelled_texts_alone(corpus, store, tmp_path, monkeypatch):
    seen = {}
    for name in ("Baseline", "UDA+ESimCSE+FGM"):
        rows = seen.setdefault(name, [])
        from paperkit.training.objective import Objective

        backward = Objective.backward

        def spy(self, model, step, rows=rows, backward=backward):
            rows.append(step.labelled.rows.tolist())
            return backward(self, model, step)

        with monkeypatch.context() as patch:
            patch.setattr(Objective, "backward", spy)
            run(corpus, store, tmp_path / name, EVERY[name])
    assert seen["Baseline"] == seen["UDA+ESimCSE+FGM"]


# labels


def test_noise_is_made_of_wrong_labels_and_grows(corpus):
    rows = training_rows(corpus, None, BASELINE, 0)
    truth, given = corpus.table.truth.to_numpy(), corpus.table.label.to_numpy()
    assert (noisy_labels(corpus, rows, 0.0, 0)[rows] == truth[rows]).all()
    assert np.array_equal(noisy_labels(corpus, rows, None, 0), given)
    before = set()
    for noise in (0.2, 0.5, 0.9):
        labels = noisy_labels(corpus, rows, noise, 0)
        wrong = set(rows[labels[rows] != truth[rows]].tolist())
        assert before <= wrong and abs(len(wrong) / len(rows) - noise) < 0.17
        kept = [row for row in wrong if given[row] != truth[row]]
        assert all(labels[row] == given[row] for row in kept), "where the annotator was wrong, his label is kept"
        others = np.setdiff1d(np.arange(len(labels)), rows)
        assert (labels[others] == given[others]).all(), "texts that are not trained on keep theirs"
        before = wrong
    siblings = [labels[row] for row in before if truth[row] == 0 and given[row] == 0]
    assert np.mean(np.array(siblings) == 1) > 0.6, "mostly the sibling"
    assert not np.array_equal(noisy_labels(corpus, rows, 0.5, 1), noisy_labels(corpus, rows, 0.5, 0))


def test_noise_needs_the_truth(tiny):
    rows = training_rows(tiny, None, BASELINE, 0)
    with pytest.raises(
        InputError, match=r"^noise is 0\.2, but the true labels of .* are not known; accepted is nothing$"
    ):
        noisy_labels(tiny, rows, 0.2, 0)


def test_branches_are_mixed_up_within_themselves(corpus):
    rows = training_rows(corpus, None, BASELINE, 0)
    given = corpus.table.label.to_numpy()
    parents = np.array([name.rpartition("/")[0] for name in corpus.label_names])
    branches = {p for p in parents.tolist() if p and (parents == p).sum() > 1}
    before = set()
    for share in (0.0, 0.5, 1.0):
        labels = training_labels(corpus, rows, replace(BASELINE, mixed_branches=share), 0)
        others = np.setdiff1d(np.arange(len(labels)), rows)
        assert (labels[others] == given[others]).all(), "texts that are not trained on keep theirs"
        assert (parents[labels] == parents[given]).all(), "a label stays in its branch"
        changed = set(rows[labels[rows] != given[rows]].tolist())
        touched = {parents[given[row]] for row in changed}
        assert touched <= branches and len(touched) <= round(share * len(branches))
        assert before <= changed, "what a smaller share mixes up, a larger one does"
        before = changed
    assert before, "something was mixed up"
    again = training_labels(corpus, rows, replace(BASELINE, mixed_branches=1.0), 0)
    assert np.array_equal(again, labels)
    assert not np.array_equal(training_labels(corpus, rows, replace(BASELINE, mixed_branches=1.0), 1), labels)


def test_branches_need_a_tree(corpus):
    rows = training_rows(corpus, None, BASELINE, 0)
    flat = replace(corpus, label_names=tuple(name.replace("/", " ") for name in corpus.label_names))
    with pytest.raises(
        InputError, match=r"^mixed_branches is 0\.5, but the labels of .* have no branches; accepted is 0$"
    ):
        training_labels(flat, rows, replace(BASELINE, mixed_branches=0.5), 0)


# the pool


def test_a_share_of_the_pool_grows_and_can_be_even(corpus):
    rows = np.flatnonzero(corpus.table.split.isin(["train", "unlabelled"]))
    labels = corpus.table.label.to_numpy()
    assert np.array_equal(pool_share(corpus, rows, 1.0, False, 0), rows)
    assert np.array_equal(pool_share(corpus, rows, 1.0, True, 0), rows)
    assert len(pool_share(corpus, rows, 1e-6, False, 0)) == 1
    for even in (False, True):
        before = set()
        for share in (0.1, 0.4, 0.8):
            chosen = pool_share(corpus, rows, share, even, 0)
            assert len(chosen) == round(share * len(rows)) and (np.diff(chosen) > 0).all()
            assert before <= set(chosen.tolist()) <= set(rows.tolist())
            before = set(chosen.tolist())
        assert not np.array_equal(pool_share(corpus, rows, 0.4, even, 1), pool_share(corpus, rows, 0.4, even, 0))
    sizes = pd.Series(labels[rows]).value_counts()
    for share in (0.3, 0.7):
        taken = (
            pd.Series(labels[pool_share(corpus, rows, share, True, 0)])
            .value_counts()
            .reindex(sizes.index, fill_value=0)
        )
        left = taken[taken < sizes]
        assert left.empty or taken.max() - left.min() <= 1, "a class with texts left lacks one at most"


def test_a_run_trains_on_its_share_of_the_pool(corpus, store):
    whole, _, _ = gathered(corpus, store, replace(FEW, consistency=Consistency()))
    data, sizes, _ = gathered(corpus, store, replace(FEW, consistency=Consistency(pool=0.25)))
    assert len(data.unlabelled) == sizes["n_unlabelled"] == round(len(whole.unlabelled) / 4)
    assert set(data.unlabelled.tolist()) < set(whole.unlabelled.tolist())
    assert all(
        not texts.lengths[np.setdiff1d(np.arange(len(corpus)), data.unlabelled)].any() for texts in data.augmented
    )


def test_a_run_hands_its_seed_and_its_unlabelled_texts_to_the_loss(corpus, store, tmp_path, monkeypatch):
    given = []

    def objective(*arguments, real=execution.Objective, **settings):
        given.append(settings)
        return real(*arguments, **settings)

    monkeypatch.setattr(execution, "Objective", objective)
    method = REMEMBERING["Temporal Ensembling"]
    execute(corpus, None, method, TEXT, replace(SCHEDULE, epochs=1), 7, store, tmp_path)
    data, _, _ = gathered(corpus, store, method, seed=7)
    assert given[0]["seed"] == 7
    assert given[0]["pool"].tolist() == data.unlabelled.tolist()
