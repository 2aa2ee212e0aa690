"""Notebook 03_uda: what its exhibits say follows from the runs by other means."""

import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from rapidfuzz.distance import Levenshtein
from sklearn import metrics

from paperkit.exhibits import uda
from paperkit.exhibits.exhibit import REGISTRY, find, show
from paperkit.study import Study
from tests.small import SETTINGS, reviews, tickets, write_csv

find("b_table_1")
NAMES = ["a_fig_1", "x_augmentations", "x_longer", "x_noise_curve", "x_pool_size", "x_share_curve", "x_table_3_uda", "x_tsa",
         "x_uda_family"]  # fmt: skip
TERMS = ["Baseline", "UDA", "Baseline+ESimCSE", "Baseline+FGM"]


def read(study: Study, file: str) -> pd.DataFrame:
    return pd.read_csv(study.folder / file, keep_default_na=False, na_values=[""])


def of(shown, name: str):
    return shown[name].content


def predicted(run) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, predictions and truth of a run's test texts, chosen here from the corpus alone."""
    table = run.spec.source.load().table
    place = {row: at for at, row in enumerate(run.outputs["rows"].tolist())}
    rows = [row for row in table.index[(table.split == "test") & (table.status == "core")]]
    logits = run.outputs["logits"][[place[row] for row in rows]]
    return table.label[rows].to_numpy(), logits.argmax(axis=1), table.truth[rows].to_numpy()


def test_every_exhibit_of_the_notebook_is_here():
    assert sorted(name for name, item in REGISTRY.items() if item.notebook == "03_uda") == NAMES


def test_the_family_is_scored_and_compared_with_baseline(embedded):
    study, shown = embedded
    table = read(study, "x_uda_family.csv").set_index("model")
    assert list(table.index) == list(study.relative_specs())
    truths = {}
    for name, specs in study.relative_specs().items():
        labels, classes, truth = predicted(study.get(specs)[0])
        assert table.accuracy_mean[name] == pytest.approx(metrics.accuracy_score(labels, classes))
        assert table.manual_accuracy_mean[name] == pytest.approx((classes == truth).mean())
        truths[name] = classes
    for name in table.index.drop("Baseline"):
        gain = table.accuracy_mean[name] - table.accuracy_mean["Baseline"]
        assert table.accuracy_difference[name] == pytest.approx(gain)
    assert np.isnan(table.accuracy_difference["Baseline"])
    same = (truths["UDA"] == truths["UDA, cross-entropy"]).mean()
    assert f"for {same:.1%} of the test texts" in of(shown, "x_uda_family").note
    assert same > 0.95, "equal gradients differ in rounding alone"


def test_the_rows_of_table_3_keep_its_contract(embedded):
    study, _ = embedded
    table = read(study, "x_table_3_uda.csv")
    ours = ["accuracy", "f1_macro", "f1_micro", "manual_accuracy", "any_topic_accuracy", "tail_f1", "sibling_confusion"]
    triples = [f"{metric}_{part}" for metric in ours for part in ("mean", "low", "high")]
    assert list(table.columns[: 3 + len(triples)]) == ["corpus", "model", "n_seeds", *triples]
    assert set(zip(table.corpus, table.model, strict=True)) == {
        (corpus, model) for corpus in ("newswire", "tickets") for model in ("Baseline", "UDA", "TF-IDF + SVM")
    }
    assert table.accuracy_difference.notna().tolist() == (table.model == "UDA").tolist()


def test_thresholds_and_kept_shares(embedded):
    study, shown = embedded
    numbers = read(study, "x_tsa.csv")
    for classes in (2, 300):
        linear = numbers[numbers.name == f"linear, K = {classes}"]
        assert linear["mean"].to_numpy() == pytest.approx(1 / classes + linear.progress.to_numpy() * (1 - 1 / classes))
    for source in study.large:
        kept = study.get(study.ten_specs()[source, "UDA"])[0].steps["kept_sup"]
        mine = numbers[(numbers.what == "kept share") & (numbers.name == source.name)]
        assert len(mine) == min(len(kept), uda.BINS)
        assert mine["mean"].iloc[0] == pytest.approx(kept[: len(kept) // len(mine)].mean())
    assert [axis.get_title().split(",")[0] for axis in of(shown, "x_tsa").body.axes] == [
        "threshold",
        "threshold",
        "kept",
    ]


def test_runs_of_unlike_bins_are_averaged():
    curve = uda.over_progress([np.arange(100.0), np.arange(100.0) + 2])
    assert len(curve) == uda.BINS and curve.n_seeds.eq(2).all()
    assert (curve["mean"] - (100 * curve.progress + 0.5)).abs().max() <= 1 and (curve.low < curve["mean"]).all()
    assert uda.over_progress([np.ones(3)]).low.isna().all()


def test_one_text_under_every_augmentation(embedded):
    study, shown = embedded
    content = of(shown, "x_augmentations")
    body, display = content.body, content.display
    assert content.quotes and content.text_columns == ("text",)
    for source in study.large:
        mine = body[body.corpus == source.name].set_index("augmentation")
        assert list(mine.index) == ["none", *uda.KINDS, "back-translation"]
        table = source.load().table.set_index("id")
        before = table.text[mine.example_id.iat[0]]
        assert mine.text["none"] == before and mine.text["back-translation"] == ""
        for kind in uda.KINDS:
            distance = Levenshtein.distance(before, mine.text[kind]) / max(len(before), len(mine.text[kind]))
            assert mine.example_similarity[kind] == pytest.approx(1 - distance)
            assert 0 <= mine.unchanged[kind] <= 1 and mine.similarity_low[kind] < mine.similarity_high[kind]
    texts = display.set_index(["corpus", "augmentation"]).text
    assert texts["tickets", "back-translation"].startswith("n/a: needs two translation models")
    kept = re.sub(r"\[−\]|[\[\]]", "", texts["tickets", "insert"])
    assert kept == " ".join(body.set_index(["corpus", "augmentation"]).text["tickets", "insert"].split())


@pytest.mark.parametrize(("before", "after", "language", "shown"), [
    ("good tea today", "good green tea today", "en", "good [green] tea today"),
    ("good tea today", "good today", "en", "good [−] today"),
    ("早餐很好", "早餐很好", "zh", "早餐很好"),
])  # fmt: skip
def test_changes_are_marked(before, after, language, shown):
    assert uda.marked(before, after, language) == shown


def test_curves_have_a_line_per_term(embedded):
    study, shown = embedded
    for name, places in (("x_share_curve", "labels"), ("x_noise_curve", "noise")):
        figure = of(shown, name).body
        assert [text.get_text() for text in figure.legends[0].get_texts()] == TERMS
        numbers = read(study, f"{name}.csv")
        assert set(numbers.model) == set(TERMS) and len(numbers) == len(TERMS) * numbers[places].nunique()
    assert of(shown, "x_share_curve").body.axes[0].get_ylabel().startswith("accuracy")


def test_longer_training_is_set_beside_baseline_as_long(embedded):
    study, _ = embedded
    table = read(study, "x_longer.csv").set_index(["times", "model"])
    assert list(table.index) == list(study.length_specs())
    plain, longest = 1.0, max(study.profile.lengths)
    for model in TERMS:
        usual = study.get(study.length_specs()[plain, model])[0]
        assert usual.folder == study.get(study.large_specs(study.hard, study.model(model), 1))[0].folder, "of Table 3"
        assert table.steps[longest, model] == longest * table.steps[plain, model] == longest * len(usual.steps)
    for (times, model), specs in study.length_specs().items():
        labels, classes, _ = predicted(study.get(specs)[0])
        assert table.accuracy_mean[times, model] == pytest.approx((labels == classes).mean())
        gain = table.accuracy_mean[times, model] - table.accuracy_mean[times, "Baseline"]
        assert table.accuracy_difference[times, model] == pytest.approx(gain) or model == "Baseline"
    run = study.get(study.length_specs()[longest, "UDA"])[0]
    read_texts = len(run.steps) * run.spec.schedule.batch_size * run.spec.method.consistency.ratio
    assert table.visits[longest, "UDA"] == pytest.approx(read_texts / len(uda.pool_of(run)))
    assert np.isnan(table.visits[longest, "Baseline"]) and np.isnan(table.visits[longest, "Baseline+FGM"])


def test_what_becomes_of_wrong_labels(embedded):
    study, shown = embedded
    numbers = read(study, "x_noise_curve.csv").set_index(["model", "noise"])
    for key, specs in study.noise_specs().items():
        labels, classes, truth = predicted(study.get(specs)[0])
        wrong = labels != truth
        assert numbers.corrected_mean[key] == pytest.approx((classes == truth)[wrong].mean())
        assert numbers.repeated_mean[key] == pytest.approx((classes == labels)[wrong].mean())
        assert f"of the {wrong.sum()} test texts whose label is wrong" in of(shown, "x_noise_curve").note


def test_the_pool_is_counted_and_compared_with_baseline(embedded):
    study, shown = embedded
    table = read(study, "x_pool_size.csv").set_index(["model", "pool", "balanced"])
    assert list(table.index) == [("Baseline", 0, 0), ("UDA", 0.3, 0), ("UDA", 1, 0)]
    whole = study.get(study.ten_specs()[study.hard, "UDA"])[0]
    assert study.get(study.pool_specs()["UDA", 1.0, 0])[0].folder == whole.folder, "the UDA of Table 3, trained once"
    scores = {}
    for key, specs in study.pool_specs().items():
        (run,) = study.get(specs)
        labels, classes, _ = predicted(run)
        scores[key] = metrics.accuracy_score(labels, classes)
        assert table.accuracy_mean[key] == pytest.approx(scores[key])
        assert table.n_unlabelled[key] == run.result.get("n_unlabelled", 0)
    for key in table.index[1:]:
        assert table.accuracy_difference[key] == pytest.approx(scores[key] - scores["Baseline", 0.0, 0])
    assert table.n_unlabelled["UDA", 0.3, 0] == round(0.3 * table.n_unlabelled["UDA", 1, 0])
    rows = uda.pool_of(whole)
    truth = study.hard.load().table.truth[rows].value_counts()
    assert table.classes["UDA", 1, 0] == len(truth)
    assert table.largest["UDA", 1, 0] == pytest.approx(truth.max() / len(rows))
    content = of(shown, "x_pool_size")
    assert "n/a for the balance" in content.note, "the labels of all training texts are used, others have none"
    assert set(content.per_seed.columns) >= {"model", "pool", "balanced", "seed", "accuracy", "n_unlabelled"}


def test_an_even_pool_has_as_much_of_every_class_as_there_is(home):
    rows = tickets({"it/billing": 60, "it/network": 24, "other": 16})
    study = Study(str(write_csv(home / "calls.csv", ("text", "label"), rows)), "smoke", text="text", label="label", workers=1,
                  overrides=SETTINGS | {"curve_seeds": 2, "pool_shares": [0.2, 0.5]})  # fmt: skip
    content = show(study, "x_pool_size").content
    table = content.body.set_index(["pool", "balanced"])
    assert list(table.index) == [(0.0, 0), (0.2, 0), (0.5, 0), (0.5, 1), (1.0, 0)], (
        "the largest share is drawn evenly too"
    )
    labels = study.corpus.table.label.to_numpy()
    of_all = np.bincount(labels[uda.pool_of(study.get(study.pool_specs()["UDA", 1.0, 0])[0])])
    gains = []
    for plain, even in zip(*(study.get(study.pool_specs()["UDA", 0.5, way]) for way in (0, 1)), strict=True):
        taken = np.bincount(labels[uda.pool_of(even)], minlength=3)
        assert taken.sum() == len(uda.pool_of(plain)) == table.n_unlabelled[0.5, 1]
        assert taken.max() - taken[taken < of_all].min(initial=99) <= 1
        gains.append(np.subtract(*(metrics.accuracy_score(*predicted(run)[:2]) for run in (even, plain))))
    assert table.accuracy_even[0.5, 1] == pytest.approx(np.mean(gains)) and np.isnan(table.accuracy_even[0.5, 0])
    assert table.largest[0.5, 1] < table.largest[0.5, 0] and table.n_seeds.eq(2).all()
    assert table.accuracy_even_low[0.5, 1] <= table.accuracy_even[0.5, 1] <= table.accuracy_even_high[0.5, 1]
    assert "50%, even" in set(content.display.pool) and "Δ accuracy, even − as it is" in content.display


def test_a_table_of_two_classes_without_unlabelled_texts(home):
    rows = [(f"{text}机密", str(label)) for text, label, _ in reviews(70, ("",))]
    table = write_csv(home / "mine.csv", ("text", "label"), rows)
    study = Study(str(table), "smoke", overrides=SETTINGS, workers=1)
    made = {name: show(study, name).content for name in NAMES}
    assert made["x_noise_curve"].note.startswith("n/a: the truth") and isinstance(made["x_noise_curve"].body, Figure)
    assert made["x_share_curve"].body.axes[0].get_ylabel().startswith("accuracy")
    accuracy, gain = made["x_share_curve"].body.axes  # no panel for a truth that is not known
    assert not accuracy.get_ylabel().startswith("accuracy against") and gain.get_ylabel().startswith(
        "points above Baseline"
    )
    assert "manual_accuracy" not in made["x_uda_family"].display.columns
    assert not made["x_augmentations"].quotes and "text" not in made["x_augmentations"].body.columns
    written = [file for file in study.folder.iterdir() if file.suffix in (".csv", ".md", ".tex", ".json")]
    assert written and not any("机密" in file.read_text(encoding="utf-8") for file in written)
