"""Calibration of paper B's models and the surface of their loss, recomputed from the runs; on tables of all kinds."""

import math

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot
from scipy import stats
from scipy.special import softmax

from paperkit.evaluate.calibration import BINS, TEMPERATURES
from paperkit.exhibits import beyond_b, calibration, paper_b
from paperkit.exhibits.exhibit import Content
from paperkit.papers import ALPHAS
from paperkit.runs import Run
from paperkit.study import Study
from tests.small import SETTINGS, reviews, tickets, write_csv

SMALL = {
    name: SETTINGS[name]
    for name in ("reviews", "epochs", "batch_size", "learning_rate", "vector_size", "vector_epochs")
}
LEARNING = {"epochs": 6, "vector_size": 16, "vector_epochs": 4}
GRID = {"gammas": [0.0, 2.0, 5.0], "n_alphas": 3}


@pytest.fixture(scope="module")
def _made(tmp_path_factory) -> tuple[Study, dict[str, Content]]:
    root = tmp_path_factory.mktemp("beyond")
    with pytest.MonkeyPatch.context() as patch:
        for room in ("STORE", "BUILD", "FIGURES"):
            patch.setenv(f"PAPERKIT_{room}", str(root / room.lower()))
        study = Study("embedded", "smoke", overrides=SMALL | LEARNING | GRID | {"seeds": 2}, workers=1)
        assert study.store.root == root / "store"
        made = {"table": calibration.table_b(study), "diagram": calibration.diagram(study),
                "surface": beyond_b.focal_surface(study)}  # fmt: skip
        pyplot.close("all")
        return study, made


def parts(run: Run, split: str) -> tuple[list[int], np.ndarray]:
    """Labels and logits of the texts of a split of the platform trained on, one by one."""
    table = run.spec.source.load().table
    place = [i for i, row in enumerate(run.outputs["rows"].tolist())
             if table.split[row] == split and table.platform[row] == run.spec.train_on]  # fmt: skip
    return [int(table.label[row]) for row in run.outputs["rows"][place]], run.outputs["logits"][place].astype(float)


def loss(truth, z, t):
    every = zip(truth, z, strict=True)
    return sum(math.log(sum(math.exp((other - row[y]) / t) for other in row)) for y, row in every) / len(z)


def test_calibration_of_every_run_follows_from_its_outputs(_made):
    study, made = _made
    rows, table = made["table"].per_seed, made["table"].body
    assert len(rows) == 2 * 2 * 2 * 2 and set(rows.model) == {"Bi-LSTM-Att", "Bi-LSTM-Att-Focal"}
    for method in study.models[1:]:
        for platform in study.corpus.platforms:
            for run in study.runs(method, platform):
                mine = rows[(rows.model == method.name) & (rows.test_on == platform) & (rows.seed == run.spec.seed)]
                mine = mine.set_index("temperature")
                truth, z = parts(run, "test")
                fitted = mine.t["temperature from dev"]
                dev = parts(run, "dev")
                others = np.clip([0.5 * fitted, 0.95 * fitted, 1.05 * fitted, 2 * fitted, 1], *TEMPERATURES)
                assert loss(*dev, fitted) <= min(loss(*dev, t) for t in others) + 1e-6
                for name, t in (("as trained", 1.0), ("temperature from dev", fitted)):
                    line, p = mine.loc[name], softmax(z / t, axis=1)
                    right = [int(row.argmax()) == y for y, row in zip(truth, p, strict=True)]
                    gaps = [0.0] * BINS
                    for row, hit in zip(p, right, strict=True):
                        gaps[max(0, math.ceil(max(row) * BINS) - 1)] += hit - max(row)
                    assert line.t == t and line.n_test == len(truth)
                    assert line.ece == pytest.approx(sum(map(abs, gaps)) / len(truth))
                    assert line.nll == pytest.approx(loss(truth, z, t))
                    squares = [((row - np.eye(2)[y]) ** 2).sum() for y, row in zip(truth, p, strict=True)]
                    assert line.brier == pytest.approx(np.mean(squares))
                    assert line.accuracy == pytest.approx(np.mean(right))
                    assert line.confidence == pytest.approx(np.mean([max(row) for row in p]))
    scores = paper_b.per_seed(study, [("ctrip", "ctrip")])[0]
    for model in ("Bi-LSTM-Att", "Bi-LSTM-Att-Focal"):
        of_model = table[(table.model == model) & (table.test_on == "ctrip")]
        assert (of_model.accuracy_mean == scores[scores.model == model].accuracy.mean()).all(), (
            "t changes no prediction"
        )
        values = rows[(rows.model == model) & (rows.test_on == "ctrip") & (rows.temperature == "as trained")].ece
        low, high = stats.t.interval(0.95, 1, values.mean(), stats.sem(values))
        line = of_model[of_model.temperature == "as trained"].iloc[0]
        assert (line.ece_mean, line.ece_low, line.ece_high) == pytest.approx((values.mean(), low, high))


def test_the_diagram_draws_bins_that_add_up_to_the_table(_made):
    _, made = _made
    rows, table = made["diagram"].per_seed, made["diagram"].numbers
    assert len(rows) == 2 * 2 * 2 * BINS and len(table) == 2 * 2 * BINS
    scores = made["table"].per_seed.set_index(["test_on", "model", "temperature", "seed"])
    for key, mine in rows.groupby(["model", "temperature", "seed"]):
        line = scores.loc[("ctrip", *key)]
        filled = mine[mine.n_test > 0]
        assert mine.n_test.sum() == line.n_test and mine.share.sum() == pytest.approx(1)
        assert (filled.share * (filled.accuracy - filled.confidence).abs()).sum() == pytest.approx(line.ece)
        assert mine[mine.n_test == 0][["accuracy", "confidence"]].isna().all(axis=None)
    seeds = rows[rows.n_test > 0].groupby(["model", "temperature", "bin"]).size()
    assert all(line.n_seeds == seeds.get((line.model, line.temperature, line.bin), 0) for line in table.itertuples())


def test_the_surface_holds_the_models_of_the_tables_where_it_meets_them(_made):
    study, made = _made
    table, rows = made["surface"].numbers.set_index(["gamma", "alpha"]), made["surface"].per_seed
    assert list(table.index) == [(g, a) for g in (0.0, 2.0, 5.0) for a in ("inverse", "none", "0.25")]
    known = paper_b.per_seed(study, [("ctrip", "ctrip")])[0].set_index(["model", "seed"])
    for (gamma, alpha), model in (((2.0, "inverse"), "Bi-LSTM-Att-Focal"), ((0.0, "none"), "Bi-LSTM-Att")):
        mine = rows[(rows.gamma == gamma) & (rows.alpha == alpha)]
        assert mine.model.tolist() == [model] * 2 and mine.seed.tolist() == [0, 1]
        for metric in ("accuracy", "specificity"):
            assert mine[metric].tolist() == [known.loc[(model, seed), metric] for seed in (0, 1)]
    heavy = next(specs for (gamma, alpha), specs in study.surface_specs().items() if (gamma, alpha) == (5.0, 0.25))
    for run in study.get(heavy):
        truth, z = parts(run, "test")
        negative = [int(row.argmax() == 0) for y, row in zip(truth, z, strict=True) if y == 0]
        line = rows[(rows.gamma == 5) & (rows.alpha == "0.25") & (rows.seed == run.spec.seed)].iloc[0]
        assert line.specificity == pytest.approx(np.mean(negative))
    assert "Framed" in made["surface"].note
    every = {spec for specs in study.surface_specs().values() for spec in specs}
    assert every <= set(study.plan()) and len(every) == 9 * 2
    ours = {spec for specs in study.ablation_specs().values() for spec in specs} | set(study.paper_b_specs())
    assert len(every - ours) == 5 * 2, "a 2 × 2 grid needs no run of its own"


def test_three_classes_and_one_seed(home):
    table = write_csv(home / "calls.csv", ("text", "label"), tickets({"billing": 30, "network": 24, "other": 20}))
    overrides = SMALL | {"seeds": 1, "ablation_seeds": 1, "gammas": [2.0, 0.0, 2.0], "n_alphas": 4, "gamma": 1.0}
    study = Study(str(table), "smoke", overrides=overrides, workers=1)
    found = calibration.table_b(study).body
    assert np.isfinite(found[["ece_mean", "t_mean"]]).all(axis=None) and found.ece_low.isna().all()
    assert isinstance(calibration.diagram(study).numbers, pd.DataFrame)
    surface = beyond_b.focal_surface(study)
    assert surface.numbers.alpha.tolist() == ["inverse", "none"] * 2 and surface.numbers.gamma.tolist() == [0, 0, 2, 2]
    assert "more" in surface.note and "Framed" not in surface.note
    pyplot.close("all")


def test_platforms_without_dev_or_test_texts(home):
    parts = {"whole": ("train", "test", "dev", "train"), "no test": ("train", "dev"), "no dev": ("train", "test")}
    rows = [(text, label, platform, parts[platform][number // 3 % len(parts[platform])])
            for number, (text, label, platform) in enumerate(reviews(150, tuple(parts)))]  # fmt: skip
    table = write_csv(home / "three.csv", ("text", "label", "platform", "split"), rows)
    study = Study(str(table), "smoke", overrides=SMALL | {"seeds": 1, "ablation_seeds": 1}, workers=1)
    found = calibration.table_b(study).body.set_index(["test_on", "temperature"]).ece_mean
    as_trained, fitted = calibration.FITTED.values()
    for place, known in ((("whole", as_trained), True), (("whole", fitted), True), (("no test", as_trained), False),
                         (("no dev", as_trained), True), (("no dev", fitted), False)):  # fmt: skip
        assert (np.isfinite(found[place]) == known).all(), place


def test_alpha_is_named_as_the_papers_name_it():
    assert [beyond_b.weight_name(alpha) for alpha in ALPHAS] == ["inverse", "none", "0.25", "0.75"]
