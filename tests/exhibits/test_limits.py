"""Goals beside what was measured: read from files made here, so that every number of the table is known."""

import io
import json
import math
import tomllib
from types import SimpleNamespace

import pandas as pd
import pytest
from scipy import stats

from paperkit import paths
from paperkit.contract import to_csv
from paperkit.exhibits import limits
from paperkit.exhibits.exhibit import Content, find
from paperkit.papers import MAJORITY, SVM, SVM_CUT, WHOLE
from paperkit.study import Study

FOUND = ("reuters21578", "exam-tree", "r8", "r52", "travel")
ACCURACY = {"Baseline": (0.80, 0.82, 0.84), WHOLE: (0.93, 0.94, 0.95), SVM_CUT: (0.70,), SVM.name: (0.90,)}


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A stand-in for the study of public data, whose documents lie in an empty folder."""
    monkeypatch.setattr(limits, "DOCS", tmp_path / "docs")
    monkeypatch.setenv("PAPERKIT_FIGURES", str(tmp_path / "figures"))
    (tmp_path / "docs").mkdir()
    return SimpleNamespace(kind="public", name="public", folder=tmp_path / "build")


def put(folder, name: str, rows: list[dict], table: list[dict] = (), labelled: float = 0.1, tokens: int = 48) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(folder / f"{name}_runs.csv", index=False)
    pd.DataFrame(table).to_csv(folder / f"{name}.csv", index=False)
    profile = {"labelled": labelled, "backbone_en": "mini", "backbone_zh": "mini-zh", "tokens": {"max_length": tokens},
               "text": {"max_length": 169}}  # fmt: skip
    facts = {"profile": profile, "corpora": [{"name": "reuters21578", "sha256": "0", "texts": 9}]}
    (folder / f"{name}.provenance.json").write_text(json.dumps(facts))


def runs(corpus: str, values: dict[str, tuple[float, ...]], **columns) -> list[dict]:
    return [{"corpus": corpus, "model": model, "seed": seed if len(found) > 1 else "", "n_train": 700, "accuracy": value,
             "f1_macro": value / 2, **columns} for model, found in values.items() for seed, value in enumerate(found)]  # fmt: skip


def line(content: Content, what: str, reference: float) -> pd.Series:
    (found,) = content.body[(content.body.what == what) & (content.body.reference == reference)].index
    return content.body.loc[found]


def test_the_file_names_models_corpora_and_metrics_that_there_are():
    settings = limits.plan()
    study = Study("public", "cpu")
    models = {method.name for method in (*study.ten, *study.models, SVM, MAJORITY)} | {SVM_CUT}
    for row in settings["row"]:
        assert row["corpus"] in FOUND and row["language"] in ("en", "zh") and row["references"]
        assert ("exhibit" in row) != ("file" in row) and row.get("ceiling", "first topic") in limits.CAUSES
        assert "exhibit" not in row or (find(row["exhibit"]).name and row["where"]["model"] in models)
        assert all(0 < each["value"] < 1 and each["source"] for each in row["references"])
        assert {each["metric"] for each in row["references"]} <= {"accuracy", "f1_macro", "specificity"}
    text = (paths.ROOT / "paperkit" / "limits.toml").read_text(encoding="utf-8")
    assert tomllib.loads(text) == settings
    asked = {(row["corpus"], each["metric"], each["value"]) for row in settings["row"] for each in row["references"]}
    assert {("reuters21578", "accuracy", 0.935), ("r8", "accuracy", 0.978), ("travel", "specificity", 0.87)} <= asked


def test_the_committed_table_follows_from_the_committed_exhibits():
    folder = paths.ROOT / "figures" / "public"
    committed = pd.read_csv(folder / "x_limits.csv")
    body = limits.table(SimpleNamespace(kind="public", name="public", folder=folder)).body
    again = pd.read_csv(io.StringIO(to_csv(body)))
    pd.testing.assert_frame_equal(again, committed)


def test_where_nothing_was_measured_every_row_says_what_to_make(study):
    content = limits.table(study)
    assert content.body.measured_mean.isna().all() and content.body.gap.isna().all() and content.per_seed.empty
    assert set(content.body.limits) == {f"not measured: make {name}" for name in
                                        ("a_table_3", "x_encoder_table", "x_further_corpora", "b_table_4")} | {
        "not measured: no docs/minilm_reuters.csv"}  # fmt: skip
    assert "is not estimated" in content.note and len(content.body) == len(content.display)
    assert set(content.display.measured) == {"n/a"} and set(content.display["gap, points"]) == {""}


def test_a_row_is_the_mean_of_its_runs_beside_its_reference_and_what_they_were_trained_with(study):
    put(study.folder, "a_table_3", runs("reuters21578", ACCURACY))
    put(study.folder, "x_first_topic", [{"corpus": "reuters21578", "model": WHOLE, "seed": n, "ceiling": value}
                                        for n, value in enumerate((0.93, 0.95))])  # fmt: skip
    encoders = runs("reuters21578", {"mini": (0.90, 0.92), SVM.name: (0.97,), SVM_CUT: (0.96,)}, labels=1.0)
    put(study.folder, "x_encoder_table", encoders + runs("reuters21578", {"mini": (0.1,)}, labels=0.1))
    content = limits.table(study)
    base = line(content, "Baseline", 0.917)
    low, high = stats.t.interval(0.95, 2, 0.82, stats.sem(ACCURACY["Baseline"]))
    assert [base.measured_mean, base.measured_low, base.measured_high] == pytest.approx([0.82, low, high])
    assert (base.n_seeds, base.n_train, base.labels, base.reads, base.encoder) == (3, 700, 0.1, "48 tokens", "mini")
    assert base.gap == pytest.approx(0.82 - 0.917) and math.isnan(base.ceiling), "no such model in x_first_topic"
    assert (base.svm, base.svm_cut, base.all_labels) == pytest.approx((0.90, 0.70, 0.91))
    assert base.limits == ("10 % of the labels (with all of them below the reference too); first 48 tokens; mini; an SVM on whole "
                           "texts is better")  # fmt: skip
    assert line(content, "Baseline", 0.896).limits.startswith("10 % of the labels; first"), "all labels reach this one"
    final, paper = line(content, "final model", 0.935), line(content, "final model", 0.98)
    assert final.gap == pytest.approx(0.005) and final.limits == "reached" and final.ceiling == pytest.approx(0.94)
    assert "texts of several labels (ceiling below the reference)" in paper.limits and "SVM" not in paper.limits
    f1 = line(content, "final model", 0.7)
    assert f1.measured_mean == pytest.approx(0.47) and math.isnan(f1.ceiling), "the ceiling is one of accuracy"
    svm = line(content, SVM.name, 0.896)
    assert (svm.measured_mean, svm.n_seeds, svm.labels, svm.reads, svm.encoder) == (0.97, 1, 1.0, "whole texts", "none")
    assert line(content, SVM.name, 0.536).limits == "none that is known: all labels, whole texts"
    assert line(content, "MiniLM, plainly fine-tuned", 0.917).limits == "not measured: no docs/minilm_reuters.csv"
    seeds = content.per_seed[(content.per_seed.what == "Baseline") & (content.per_seed.metric == "accuracy")]
    assert seeds.value.tolist() == list(ACCURACY["Baseline"]) and seeds.seed.tolist() == [0, 1, 2]
    assert [each.name for each in content.corpora] == ["reuters21578"]
    shown = content.display.iloc[0]
    assert shown["gap, points"] == "−9.7" and shown.labels == "10 % (700)" and shown.SVM == "0.900"


def test_what_is_built_comes_before_what_is_committed_and_the_note_says_which(study):
    committed = paths.figures() / "public"
    put(committed, "a_table_3", runs("reuters21578", {"Baseline": (0.5, 0.6)}), labelled=1.0, tokens=160)
    found = line(limits.table(study), "Baseline", 0.917)
    assert found.measured_mean == pytest.approx(0.55) and (found.labels, found.reads) == (1.0, "160 tokens")
    assert "committed reference: a_table_3." in limits.table(study).note
    put(study.folder, "a_table_3", runs("reuters21578", {"Baseline": (0.7, 0.8)}))
    content = limits.table(study)
    assert line(content, "Baseline", 0.917).measured_mean == pytest.approx(0.75)
    assert (
        "committed" not in content.note
        and line(content, "final model", 0.98).limits == "not measured: no such run in a_table_3"
    )


def test_measurements_in_docs_are_taken_as_they_stand(study):
    row = {"corpus": "r8", "n_train": 4937, "n_test": 9, "n_seeds": 1, "accuracy_mean": 0.97, "accuracy_low": "",
           "accuracy_high": ""}  # fmt: skip
    pd.DataFrame([row]).to_csv(limits.DOCS / "minilm_reuters.csv", index=False)
    content = limits.table(study)
    found = content.body[(content.body.corpus == "r8") & (content.body.encoder == "minilm")]
    assert found.measured_mean.tolist() == [0.97] * 2 and found.measured_low.isna().all() and set(found.n_seeds) == {1}
    assert set(found.labels) == {1.0} and set(found.reads) == {"160 tokens"}
    assert set(found.limits) == {"first 160 tokens; minilm"}
    other = content.body[(content.body.corpus == "r52") & content.body.what.str.startswith("MiniLM")]
    assert set(other.limits) == {"not measured: docs/minilm_reuters.csv lacks it"}


@pytest.fixture
def read(study):
    """Eight texts of ctrip that every run gets wrong, of which five were read, and one of another platform."""
    ids = [f"ctrip-hotels:{n}" for n in range(8)]
    labels = ["positive"] * 6 + ["negative"] * 2
    listed = [{"id": each, "label": label} for each, label in zip(ids, labels, strict=True)]
    counts = [{"platform": "ctrip", "label": "positive", "n_test": 150, "wrong_in_every_run": 6},
              {"platform": "ctrip", "label": "negative", "n_test": 50, "wrong_in_every_run": 2},
              {"platform": "laojunshan", "label": "negative", "n_test": 9, "wrong_in_every_run": 1}]  # fmt: skip
    put(study.folder, "x_b_errors", [*listed, {"id": "laojunshan:1", "label": "negative"}], counts)
    judged = [(ids[0], "label wrong"), (ids[1], "label wrong"), (ids[2], "mixed"), (ids[3], "label wrong"), (ids[6], "model wrong"),
              ("laojunshan:1", "label wrong"), ("ctrip-hotels:99", "label wrong")]  # fmt: skip
    pd.DataFrame(judged, columns=["id", "judgement"]).to_csv(limits.DOCS / "reading_of_errors.csv", index=False)
    return study


def wilson(k: int, n: int) -> tuple[float, float]:
    z = stats.norm.ppf(0.975)
    middle, half = (k + z * z / 2) / (n + z * z), z / (n + z * z) * math.sqrt(k * (n - k) / n + z * z / 4)
    return middle - half, middle + half


def test_wrong_labels_leave_a_ceiling(read):
    put(read.folder, "b_table_4", [{"corpus": "travel", "train_on": "ctrip", "test_on": "ctrip", "model": model, "seed": n,
                                    "accuracy": 0.9, "specificity": 0.8} for model in ("Bi-LSTM-Att-Focal", "Bi-LSTM-Att")
                                   for n in range(3)])  # fmt: skip
    content = limits.table(read)
    low, high = wilson(3, 5)
    found = line(content, "focal model, ctrip", 0.95)
    assert (found.ceiling, found.ceiling_low, found.ceiling_high) == pytest.approx(
        (1 - 3 / 5 * 8 / 200, 1 - high * 8 / 200, 1 - low * 8 / 200)
    )
    assert found.limits == "first 169 words; word2vec; wrong labels (ceiling above the reference)"
    assert (found.labels, found.encoder) == (1.0, "word2vec") and math.isnan(found.n_train)
    negative = line(content, "focal model, ctrip", 0.87)
    assert negative.ceiling == 1 and negative.ceiling_low == pytest.approx(1 - wilson(0, 1)[1] * 2 / 50), "none of one"
    said = content.note
    assert "8 of 200 test texts are wrong in every run" in said and "We read 5 of them" in said
    assert "3 labels contradict their text, 1 texts are mixed" in said and "0.976 [" in said


def test_a_reading_of_other_texts_is_none(read):
    pd.DataFrame([("ctrip-hotels:50", "label wrong")], columns=["id", "judgement"]).to_csv(
        limits.DOCS / "reading_of_errors.csv", index=False
    )
    assert limits.reading(limits.Files(read), limits.plan()["reading"]) is None
    assert "is not estimated" in limits.table(read).note


def test_the_committed_reading_is_one_of_the_committed_errors():
    study = SimpleNamespace(folder=paths.ROOT / "nowhere", name="public")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PAPERKIT_FIGURES", str(paths.ROOT / "figures"))
        found = limits.reading(limits.Files(study), limits.plan()["reading"])
    assert 0 < found.wrong + found.mixed <= found.read <= found.always < found.n_test
    ceiling = found.ceiling
    assert 0.9 < ceiling.low < ceiling.mean < ceiling.high < 1


@pytest.mark.parametrize("kind", ["embedded", "table"])
def test_other_data_have_no_goals_in_one_sentence(kind):
    content = limits.table(SimpleNamespace(kind=kind, name=kind))
    assert content.body.empty and content.note.count(".") == 1 and content.note.startswith("n/a: ")
    assert content.display.result.tolist() == ["n/a"]
