"""Paper B's learning curve: scored from the runs, its doubling recomputed; on tables of all kinds."""

import math
import re

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot
from scipy import stats

from paperkit.exhibits import learning_curve
from paperkit.exhibits.exhibit import Content
from paperkit.study import Study
from tests.exhibits.conftest import ROOMS
from tests.small import SETTINGS, reviews, tickets, write_csv

SHARES = {"b_label_shares": [0.5, 0.25]}


@pytest.fixture(scope="module")
def _made(tmp_path_factory) -> tuple[Study, Content]:
    root = tmp_path_factory.mktemp("curve")
    with pytest.MonkeyPatch.context() as patch:
        for room in ROOMS:
            patch.setenv(f"PAPERKIT_{room}", str(root / room.lower()))
        study = Study("embedded", "smoke", overrides=SETTINGS | SHARES | {"epochs": 4}, workers=1)
        assert study.store.root == root / "store"
        content = learning_curve.learning_curve(study)
        pyplot.close("all")
        return study, content


def test_every_point_is_scored_from_its_runs(_made):
    study, content = _made
    rows, table = content.per_seed, content.numbers
    assert table[["model", "labels"]].values.tolist() == [
        [model, share] for share in (0.25, 0.5, 1.0) for model in ("Bi-LSTM-Att", "Bi-LSTM-Att-Focal")
    ]
    corpus = study.corpus.table
    for (model, share), specs in study.learning_specs().items():
        for run in study.get(specs):
            inside = [(int(corpus.label[row]), int(logits.argmax()))
                      for row, logits in zip(run.outputs["rows"].tolist(), run.outputs["logits"], strict=True)
                      if corpus.split[row] == "test" and corpus.platform[row] == "ctrip"]  # fmt: skip
            line = rows[(rows.model == model) & (rows.labels == share) & (rows.seed == run.spec.seed)].iloc[0]
            assert line.n_test == len(inside) and line.accuracy == np.mean([a == b for a, b in inside])
            assert line.specificity == np.mean([b == 0 for a, b in inside if a == 0])
            assert len(run.steps) % (4 * math.ceil(line.n_train / 32)) == 0, "an epoch is whole passes"
    assert rows[rows.labels == 1].n_train.unique().tolist() == [len(study.corpus.rows("train", "ctrip"))]
    assert rows.groupby("labels").n_train.max().is_monotonic_increasing
    steps = {
        share: {len(run.steps) for run in study.get(study.learning_specs()["Bi-LSTM-Att", share])}
        for share in (0.25, 1.0)
    }
    assert min(steps[0.25]) >= max(steps[1.0]), "few labels do not mean few steps"


def test_the_note_tells_the_last_doubling(_made):
    _, content = _made
    draw = np.random.default_rng(0)
    rows = pd.DataFrame([{"model": model, "labels": share, "seed": seed, "n_train": round(1000 * share),
                          "accuracy": draw.random(), "specificity": draw.random()}
                         for model in ("A", "B") for share in (1.0, 0.3, 0.1) for seed in (2, 0, 1)])  # fmt: skip
    said = learning_curve.last_doubling(rows)
    assert said.startswith("From 30 to 100 % of the labels a doubling of them brought A ")
    found = re.findall(r"([+−][\d.]+) \[([+−][\d.]+), ([+−][\d.]+)\] points of (\w+)", said)
    numbers = [tuple(float(value.replace("−", "-")) for value in each[:3]) for each in found]
    assert [each[3] for each in found] == ["accuracy", "specificity"] * 2
    mine = rows[rows.model == "B"].set_index(["labels", "seed"]).specificity
    gaps = 100 * (mine[1.0].sort_index() - mine[0.3].sort_index()) / math.log2(1 / 0.3)
    low, high = stats.t.interval(0.95, 2, gaps.mean(), stats.sem(gaps))
    assert numbers[3] == pytest.approx((gaps.mean(), low, high), abs=0.051)
    assert "Bi-LSTM-Att-Focal" in content.note and "50 to 100 %" in content.note, "names keep their hyphens"
    assert "[" not in content.note[content.note.index("a doubling of them") :], "two seeds have no interval"


def test_all_of_the_labels_alone_are_no_curve_and_no_sentence_about_more():
    whole = Study("embedded", "smoke", overrides={"b_label_shares": [1.0]})
    assert {share for _, share in whole.learning_specs()} == {1.0}
    rows = pd.DataFrame(
        {"model": "A", "labels": [1.0], "seed": [0], "n_train": [9], "accuracy": [0.5], "specificity": [0.5]}
    )
    assert learning_curve.last_doubling(rows).startswith("Only one share")


def test_several_classes_one_seed_and_a_platform_without_test_texts(home):
    table = write_csv(home / "calls.csv", ("text", "label"), tickets({"billing": 30, "network": 24, "other": 20}))
    study = Study(str(table), "smoke", overrides=SETTINGS | {"ablation_seeds": 1}, workers=1)
    content = learning_curve.learning_curve(study)
    assert np.isfinite(content.numbers.specificity_mean).all() and "One seed" in content.note
    splits = {"blind": ("train", "dev"), "whole": ("train", "dev", "test")}
    parts = [(text, label, platform, splits[platform][n % len(splits[platform])])
             for n, (text, label, _) in enumerate(reviews(90, ("",)))
             for platform in ["whole" if n < 20 else "blind"]]  # fmt: skip
    table = write_csv(home / "blind.csv", ("text", "label", "platform", "split"), parts)
    blind = Study(str(table), "smoke", overrides=SETTINGS | {"ablation_seeds": 1}, workers=1)
    content = learning_curve.learning_curve(blind)
    assert content.numbers.accuracy_mean.isna().all() and "n/a of accuracy" in content.note
    pyplot.close("all")
