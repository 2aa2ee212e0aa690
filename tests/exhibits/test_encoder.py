"""Notebook 08_encoder: what its table says follows from the runs by other means."""

import math
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from paperkit.evaluate import frozen
from paperkit.evaluate.embeddings import network
from paperkit.runs import Run
from paperkit.study import Study
from paperkit.training.execute import training_rows


def one_run(study: Study, name: str) -> Run:
    return study.get(study.encoder_specs()[study.hard, name, 1.0])[0]


def test_what_an_encoder_knows_before_fine_tuning_by_hand(embedded):
    """A regression on the states of each text on its own, centred and of mean length 1."""
    import torch

    study, _ = embedded
    run = one_run(study, study.encoders(study.hard)[0])
    corpus, (model, prepared) = run.spec.source.load(), network(run, "untrained", study.store)
    train = training_rows(corpus, None, run.spec.method, run.spec.seed)
    test, truth, _ = run.on(None)

    def states(rows) -> np.ndarray:
        with torch.no_grad():
            return np.array([
                model.body(input_ids=torch.tensor(prepared.texts[row])[None].long()).last_hidden_state[0].mean(dim=0).numpy()
                for row in rows
            ])  # fmt: skip

    x = states(train)
    mean = x.mean(axis=0)
    scale = np.linalg.norm(x - mean, axis=1).mean()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that there are nearly as many classes as texts
        fitted = LogisticRegression(C=1.0, tol=1e-3).fit((x - mean) / scale, corpus.table.label.to_numpy()[train])
    expected = fitted.score((states(test) - mean) / scale, truth)
    assert frozen.accuracy(run, study.store) == pytest.approx(expected, abs=2 / len(test))


def test_it_is_the_accuracy_of_a_run_that_learns_nothing(embedded):
    study, _ = embedded
    spec = one_run(study, study.encoders(study.hard)[0]).spec
    still = replace(spec, schedule=replace(spec.schedule, learning_rate=1e-12, head_learning_rate=1e-12, head="probe"))
    run = study.get([still])[0]
    _, truth, logits = run.on(None)
    assert frozen.accuracies([run], study.store, 1) == [
        pytest.approx((logits.argmax(axis=1) == truth).mean(), abs=1e-9)
    ]


def test_a_model_without_an_encoder_has_nothing_frozen(embedded, monkeypatch):
    study, _ = embedded
    encoder, svm = (one_run(study, name) for name in (study.encoders(study.hard)[0], "TF-IDF + SVM"))
    found = frozen.accuracies([svm, encoder, svm], study.store, 1)
    assert [math.isnan(value) for value in found] == [True, False, True]
    monkeypatch.setattr(frozen, "accuracy", lambda *_: pytest.fail("computed twice"))
    assert frozen.accuracies([encoder], study.store, 1) == found[1:2]


def test_a_run_without_test_texts_has_no_accuracy(embedded, monkeypatch):
    study, _ = embedded
    run = one_run(study, study.encoders(study.hard)[0])
    nothing = np.zeros(0, dtype=np.int64)
    monkeypatch.setattr(Run, "on", lambda self, platform: (nothing, nothing, np.zeros((0, 2))))
    assert math.isnan(frozen.accuracy(run, study.store))


def test_the_table_compares_with_the_random_twin_before_and_after(embedded):
    study, _ = embedded
    table = pd.read_csv(study.folder / "x_encoder_table.csv").set_index(["corpus", "labels", "model"])
    runs = pd.read_csv(study.folder / "x_encoder_table_runs.csv")
    assert set(zip(runs.model, runs.frozen.notna(), strict=True)) == {
        ("tiny", True), ("mini-random", True), ("TF-IDF + SVM", False), ("TF-IDF + SVM (cut)", False)
    }  # fmt: skip
    means = runs.groupby(["corpus", "labels", "model"])[["accuracy", "frozen"]].mean()
    for metric in ("accuracy", "frozen"):
        pd.testing.assert_series_equal(table[f"{metric}_mean"].sort_index(), means[metric], check_names=False)
        for corpus in ("newswire", "tickets"):
            mine, twin = (means[metric][corpus, 1.0, model] for model in ("tiny", "mini-random"))
            assert table[f"{metric}_gain"][corpus, 1.0, "tiny"] == pytest.approx(mine - twin)
        assert table[f"{metric}_gain"].xs("mini-random", level="model").isna().all()
