"""Paper B's tables hold what the contract says, and every number in them follows from the runs by other means."""

import math
import re
from collections import Counter
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import metrics

from paperkit.corpora.corpus import CORE, UNLABELLED
from paperkit.evaluate import statistics
from paperkit.exhibits import beyond_b, paper_b, style
from paperkit.exhibits.data import agreement, leakage
from paperkit.papers import ablations
from paperkit.papers import paper_b as models
from paperkit.runs import Run
from paperkit.study import Study
from tests.small import SETTINGS

METRICS = ["accuracy", "f1", "recall", "specificity"]
TRIPLES = [f"{metric}_{part}" for metric in METRICS for part in ("mean", "low", "high")]
MODELS = ["Bi-LSTM", "Bi-LSTM-Att", "Bi-LSTM-Att-Focal"]
REFERENCES = ["TF-IDF + SVM", "Majority"]
PAIRS = {
    "b_table_3": {("ctrip", "qunar"), ("qunar", "ctrip")},
    "b_table_4": {("ctrip", "ctrip"), ("qunar", "qunar")},
}


def read(study: Study, file: str) -> pd.DataFrame:
    """What stands on the disk, as anyone reads it."""
    return pd.read_csv(study.folder / file)


def run_of(study: Study, train_on: str, model: str, seed: int = 0) -> Run:
    method = next(method for method in study.models + study.references if method.name == model)
    return study.get([study.spec(method, train_on, seed)])[0]


def predictions(study: Study, run: Run, test_on: str) -> tuple[np.ndarray, np.ndarray]:
    """Labels and predictions of the texts that a protocol tests on, chosen here from the corpus alone."""
    table = study.corpus.table
    tested = (table.platform == test_on) & (table.status == CORE) & (table.label >= 0)
    if test_on == run.spec.train_on:
        tested &= table.split == "test"
    lengths = study.prepared(run.spec.train_on).texts.lengths
    rows = [row for row in table.index[tested] if lengths[row] > 0]
    place = {row: at for at, row in enumerate(run.outputs["rows"].tolist())}
    logits = run.outputs["logits"][[place[row] for row in rows]]
    return table.label.to_numpy()[rows], logits.argmax(axis=1)


# --- Tables 3 and 4 --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAIRS)
def test_columns_and_rows_of_tables_3_and_4(embedded, name):
    study, _ = embedded
    table, runs = read(study, f"{name}.csv"), read(study, f"{name}_runs.csv")
    assert list(table.columns) == ["train_on", "test_on", "model", "n_seeds", *TRIPLES]
    assert list(runs.columns[:6]) == ["data", "corpus", "train_on", "test_on", "model", "seed"]
    assert set(METRICS) <= set(runs.columns[6:])
    assert set(runs.data) == {"embedded"} and set(runs.corpus) == {"reviews"}
    assert set(zip(table.train_on, table.test_on, strict=True)) == PAIRS[name]
    for _, rows in table.groupby(["train_on", "test_on"]):
        assert rows.model.tolist() == MODELS + REFERENCES
        assert rows.n_seeds.tolist() == [2, 2, 2, 1, 1]
    seeds = runs.groupby("model").seed.agg(lambda s: s.dropna().astype(int).tolist())
    assert all(seeds[model] == [0, 1] * 2 for model in MODELS)
    assert all(seeds[model] == [] for model in REFERENCES), "a reference row has no seed"


@pytest.mark.parametrize("name", PAIRS)
def test_every_run_is_scored_as_sklearn_scores_it(embedded, name):
    study, _ = embedded
    for line in read(study, f"{name}_runs.csv").itertuples():
        seed = 0 if math.isnan(line.seed) else int(line.seed)
        truth, predicted = predictions(study, run_of(study, line.train_on, line.model, seed), line.test_on)
        assert line.n_test == len(truth) > 0
        assert line.accuracy == pytest.approx(metrics.accuracy_score(truth, predicted))
        assert line.f1 == pytest.approx(metrics.f1_score(truth, predicted))
        assert line.recall == pytest.approx(metrics.recall_score(truth, predicted))
        assert line.specificity == pytest.approx(metrics.recall_score(truth, predicted, pos_label=0))
        assert line.f1_macro == pytest.approx(metrics.f1_score(truth, predicted, average="macro"))
        assert line.f1_micro == pytest.approx(line.accuracy)


@pytest.mark.parametrize("name", PAIRS)
def test_means_and_intervals_follow_from_the_rows_of_the_runs(embedded, name):
    study, _ = embedded
    runs = read(study, f"{name}_runs.csv").groupby(["train_on", "test_on", "model"])
    spread = 0
    for line in read(study, f"{name}.csv").to_dict("records"):
        mine = runs.get_group((line["train_on"], line["test_on"], line["model"]))
        assert line["n_seeds"] == len(mine)
        for metric in METRICS:
            values = mine[metric].to_numpy()
            got = [line[f"{metric}_{part}"] for part in ("mean", "low", "high")]
            if len(values) == 1:
                assert got[0] == values[0] and np.isnan(got[1:]).all()
                continue
            low, high = stats.t.interval(0.95, len(values) - 1, values.mean(), max(stats.sem(values), 1e-300))
            assert got == pytest.approx([values.mean(), low, high], abs=1e-8)
            spread += high > low
    assert spread > 0, "seeds make a difference somewhere, or this test compares constants"


@pytest.mark.parametrize("name", PAIRS)
def test_reference_rows_are_what_they_say(embedded, name):
    study, _ = embedded
    table = read(study, f"{name}.csv")
    references = table[table.model.isin(REFERENCES)]
    assert references[[column for column in TRIPLES if column.endswith(("low", "high"))]].isna().all(axis=None)
    train = study.corpus.rows("train")
    for line in references[references.model == "Majority"].itertuples():
        truth, _ = predictions(study, run_of(study, line.train_on, "Majority"), line.test_on)
        major = train[train.platform == line.train_on].label.mode()[0]
        assert line.accuracy_mean == pytest.approx((truth == major).mean())
        assert {line.recall_mean, line.specificity_mean} == {0.0, 1.0}


def test_the_readable_table_is_the_same_table(embedded):
    study, _ = embedded
    first = read(study, "b_table_4.csv").iloc[0]
    lines = (study.folder / "b_table_4.md").read_text(encoding="utf-8").splitlines()
    assert lines[3] == r"| train\_on | test\_on | model | n\_seeds | accuracy | f1 | recall | specificity |"
    shown = lines[5].replace("\\", "").strip("| ").split(" | ")
    assert shown[:4] == ["ctrip", "ctrip", "Bi-LSTM", "2"]
    assert shown[4:] == [f"{first[f'{m}_mean']:.3f}" for m in METRICS]
    assert "intervals are shown from 3 on, those of 2 stand in the CSV" in "".join(lines)
    assert first[[f"{m}_{part}" for m in METRICS for part in ("low", "high")]].notna().all()


@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_a_table_shows_intervals_from_three_seeds_on(seeds):
    rows = pd.DataFrame({"model": "M", "seed": range(seeds), "accuracy": [0.5, 0.52, 0.54][:seeds]})
    table = paper_b.summarise(rows, ["model"], ["accuracy"])
    (shown,) = paper_b.readable(table, ["model"], ["accuracy"]).accuracy
    line = table.iloc[0]
    assert shown == f"{line.accuracy_mean:.3f}" + seeds // 3 * f" [{line.accuracy_low:.3f}, {line.accuracy_high:.3f}]"
    assert ("shown from 3 on" in style.averaged(seeds), "One seed" in style.averaged(seeds)) == (seeds == 2, seeds == 1)


def test_a_metric_that_few_seeds_have_has_no_interval():
    """That of two would pass for one over three."""
    rows = pd.DataFrame(
        {"model": "M", "seed": range(4), "recall": [0.5, 0.6, np.nan, np.nan], "f1": [0.5, 0.6, 0.7, np.nan]}
    )
    line = paper_b.summarise(rows, ["model"], ["recall", "f1"]).iloc[0]
    assert line.recall_mean == pytest.approx(0.55) and np.isnan(line.recall_low) and np.isnan(line.recall_high)
    assert line.f1_low < line.f1_mean < line.f1_high


@pytest.mark.parametrize(("figure", "table"), [("b_fig_4", "b_table_3"), ("b_fig_5", "b_table_4")])
def test_a_figure_draws_its_table(embedded, figure, table):
    study, _ = embedded
    assert (study.folder / f"{figure}.csv").read_bytes() == (study.folder / f"{table}.csv").read_bytes()


# --- Table 5 ---------------------------------------------------------------------------------------------------------


def naive_holm(p_values: list[float]) -> list[float]:
    """Step by step: the k-th smallest of m times (m − k + 1), never less than the one before, never above 1."""
    adjusted, last = {}, 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda place: p_values[place])):
        last = max(last, (len(p_values) - rank) * p_values[place])
        adjusted[place] = min(last, 1.0)
    return [adjusted[place] for place in range(len(p_values))]


def test_columns_and_rows_of_table_5(embedded):
    study, _ = embedded
    table = read(study, "b_table_5.csv")
    assert list(table.columns) == ["model_a", "model_b", "protocol", "test", "statistic", "p", "p_holm", "difference",
                                   "low", "high", "n_seeds"]  # fmt: skip
    assert set(table.model_a) == {MODELS[-1]} and set(table.model_b) == set(MODELS[:-1])
    places = {f"{'same' if a == b else 'cross'}: {a} → {b}" for a, b in PAIRS["b_table_3"] | PAIRS["b_table_4"]}
    assert set(table.protocol) == places
    tests = ["paired t", "Welch t", "bootstrap over test items"]
    assert Counter(zip(table.model_b, table.protocol, table.test, strict=True)) == Counter(
        product(MODELS[:-1], places, tests)
    )
    assert set(table.n_seeds) == {2}


def test_p_values_intervals_and_holms_correction_follow_from_the_rows_of_the_runs(embedded, monkeypatch):
    study, shown = embedded
    assert shown["b_table_5"].content.body.p.isna().all(), "two seeds are too few for a test"
    assert statistics.UNTESTED in shown["b_table_5"].content.note
    monkeypatch.setattr(statistics, "FEWEST", 2)
    table = paper_b.table_5(study).body
    runs = read(study, "b_table_5_runs.csv").set_index(["train_on", "test_on", "model"]).accuracy
    for test, compare in (
        ("paired t", lambda a, b: stats.ttest_rel(a, b)),
        ("Welch t", lambda a, b: stats.ttest_ind(a, b, equal_var=False)),
    ):
        lines = table[table.test == test]
        for line in lines.itertuples():
            place = tuple(line.protocol.partition(": ")[2].split(" → "))
            a, b = (runs.loc[(*place, model)].to_numpy() for model in (line.model_a, line.model_b))
            assert line.difference == pytest.approx(a.mean() - b.mean(), abs=1e-9)
            constant = np.ptp(a - b) < 1e-12 if test == "paired t" else np.ptp(a) + np.ptp(b) < 1e-12
            if constant:
                equal = abs(line.difference) < 1e-12
                assert line.p == (1 if equal else 0) and line.low == line.high == line.difference
                assert math.isnan(line.statistic) if equal else math.isinf(line.statistic)
                continue
            expected = compare(a, b)
            interval = expected.confidence_interval()
            assert (line.statistic, line.p) == pytest.approx((expected.statistic, expected.pvalue), rel=1e-6)
            assert (line.low, line.high) == pytest.approx((interval.low, interval.high), rel=1e-6)
        assert lines.p_holm.tolist() == pytest.approx(naive_holm(lines.p.tolist()))
    assert (table.p.dropna() != table.p_holm.dropna()).any(), "something is corrected, or this test says nothing"


def test_the_bootstrap_draws_test_items_not_seeds(embedded):
    study, _ = embedded
    table = read(study, "b_table_5.csv").set_index(["protocol", "model_b", "test"])
    line = table.loc[("cross: ctrip → qunar", "Bi-LSTM", "bootstrap over test items")]
    score = {}
    for model in ("Bi-LSTM", "Bi-LSTM-Att-Focal"):
        right = [
            np.equal(*predictions(study, run_of(study, "ctrip", model, seed), "qunar")).astype(float)
            for seed in range(SETTINGS["seeds"])
        ]
        score[model] = np.mean(right, axis=0)
    difference = score["Bi-LSTM-Att-Focal"] - score["Bi-LSTM"]
    draw = np.random.default_rng(1)
    means = [difference[draw.integers(len(difference), size=len(difference))].mean() for _ in range(4000)]
    assert line.difference == pytest.approx(difference.mean(), abs=1e-9)
    assert [line.low, line.high] == pytest.approx(np.quantile(means, [0.025, 0.975]).tolist(), abs=0.02)
    assert math.isnan(line.p) and math.isnan(line.p_holm)


def test_a_small_p_is_not_shown_as_zero(embedded, monkeypatch):
    study, _ = embedded
    tiny = pd.Series([0.0004, 0.5])
    monkeypatch.setattr(paper_b.statistics, "holm", lambda p: np.resize(tiny, len(p)))
    shown = paper_b.table_5(study).display
    assert {"< .001", "0.500"} <= set(shown.p_holm)


# --- the rest --------------------------------------------------------------------------------------------------------


def test_figure_6_holds_every_epoch_of_every_run(embedded):
    study, _ = embedded
    numbers = read(study, "b_fig_6.csv")
    assert list(numbers.columns) == ["model", "seed", "epoch", "train_loss", "dev_loss", "train_ce", "dev_ce",
                                     "dev_accuracy", "dev_f1_macro"]  # fmt: skip
    keys = list(zip(numbers.model, numbers.seed, numbers.epoch, strict=True))
    assert sorted(keys) == sorted(product(MODELS, range(2), range(1, SETTINGS["epochs"] + 1)))
    plain = numbers[numbers.model != MODELS[-1]]
    assert plain.train_loss.to_numpy() == pytest.approx(plain.train_ce.to_numpy(), abs=1e-5), "their loss is this one"
    focal = numbers[numbers.model == MODELS[-1]]
    assert (focal.train_loss < focal.train_ce).all(), "as the note says: lower by construction"


def test_table_2_shows_the_vectors_and_their_true_neighbours(embedded):
    study, shown = embedded
    table = shown["b_table_2"].content.body
    assert len(table) == 16 and set(table.algorithm) == {"cbow", "skip-gram"}
    for line in table[table.word == table.word[0]].itertuples():
        prepared = study.prepared("ctrip", algorithm=line.algorithm)
        vector = prepared.vectors[prepared.vocabulary.numbers[line.word]]
        assert [line.v1, line.v2, line.v3, line.v4] == pytest.approx(vector[:4].tolist())
        cosines = {
            word: float(other @ vector / np.linalg.norm(other) / np.linalg.norm(vector))
            for word, other in zip(prepared.vocabulary.words, prepared.vectors, strict=True)
            if word not in ("<pad>", "<unk>", line.word)
        }
        best = sorted(cosines.values(), reverse=True)[:5]
        near = line.nearest.split()
        assert [float(cosine) for cosine in near[1::2]] == pytest.approx(best, abs=0.006)
        assert [cosines[word] for word in near[::2]] == pytest.approx(best)
    counts = Counter(
        word
        for row in study.corpus.rows("train", "ctrip").index
        for word in study.prepared("ctrip").words[row]
        if len(word) > 1
    )
    assert {counts[word] for word in table.word} == {count for _, count in counts.most_common(8)}


def test_table_2_of_narrow_vectors_shows_what_they_have(embedded):
    study, _ = embedded
    narrow = replace(study, overrides=study.overrides | {"vector_size": 3})
    table = paper_b.table_2(narrow).body  # not shown: that would replace the files of the other study
    assert np.isfinite(table[["v1", "v2", "v3"]].to_numpy(dtype=float)).all() and table.v4.isna().all()


def test_ablations_change_one_thing_each_and_are_compared_seed_by_seed(embedded):
    study, _ = embedded
    table, runs = read(study, "x_b_ablations.csv"), read(study, "x_b_ablations_runs.csv")
    assert table.model.tolist() == list(ablations(models(2.0, "inverse")[-1]))
    assert runs.groupby("model", sort=False).seed.agg(list).tolist() == [[0, 1]] * len(table)
    base = runs[runs.model == "as published"]
    assert math.isnan(table.accuracy_difference[0]), "nothing is compared with itself"
    for line in table[1:].itertuples():
        mine = runs[runs.model == line.model]
        for metric in ("accuracy", "specificity"):
            gaps = mine[metric].to_numpy() - base[metric].to_numpy()
            half = stats.t.ppf(0.975, 1) * stats.sem(gaps)
            got = [getattr(line, f"{metric}_difference{part}") for part in ("", "_low", "_high")]
            assert got == pytest.approx([gaps.mean(), gaps.mean() - half, gaps.mean() + half], abs=1e-8)
    size = table.set_index("model").n_train
    train = study.corpus.rows("train", "ctrip")
    smallest = train.label.value_counts().min()
    assert size["under-sampling 欠采样, cross-entropy"] == 2 * smallest
    assert size["non-core reviews kept"] > size["as published"] == len(train)
    home = read(study, "b_table_4.csv").set_index(["train_on", "model"]).loc[("ctrip", MODELS[-1])]
    assert table.accuracy_mean[0] == home.accuracy_mean, "the same runs as in Table 4"


def test_confident_errors_are_those_of_every_run(embedded):
    study, _ = embedded
    table, listed = read(study, "x_b_errors.csv"), read(study, "x_b_errors_runs.csv")
    corpus = study.corpus.table.set_index("id")
    expected = {}
    for platform in study.corpus.platforms:
        always = None
        for model, seed in product(MODELS, range(2)):
            truth, predicted = predictions(study, run_of(study, platform, model, seed), platform)
            wrong = truth != predicted
            always = wrong if always is None else always & wrong
        for k, name in enumerate(study.corpus.label_names):
            expected[platform, name] = (int((truth == k).sum()), int((always & (truth == k)).sum()))
    assert {
        (line.platform, line.label): (line.n_test, line.wrong_in_every_run) for line in table.itertuples()
    } == expected
    assert list(listed.columns) == ["id", "label", "suggested", "p_of_label"]
    assert len(listed) == sum(wrong for _, wrong in expected.values()) > 0
    assert (corpus.split[listed.id] == "test").all() and listed.id.is_unique
    names = np.array(study.corpus.label_names)
    assert (names[corpus.label[listed.id]] == listed.label.to_numpy()).all()
    assert (listed.label != listed.suggested).all() and listed.p_of_label.between(0, 0.5).all()
    for (platform, label), lines in table.groupby(["platform", "label"]):
        mine = corpus.loc[listed.id]
        mine = mine[(mine.platform == platform) & (names[mine.label] == label) & (mine.truth != UNLABELLED)]
        share = (mine.truth != mine.label).mean() if len(mine) else math.nan
        assert lines.label_truly_wrong.item() == pytest.approx(share, nan_ok=True)


def test_attention_is_shown_as_words_with_weights_that_sum_to_one(embedded):
    study, shown = embedded
    content = shown["x_b_attention"].content
    blocks = content.html.split('<div style="font-weight:600">')[1:]
    assert 1 <= len(blocks) <= 4 and content.quotes
    known = {tuple(words) for words in study.prepared("ctrip").words}
    for block in blocks:
        weights, words = zip(*re.findall(r'<span title="([0-9.]+)"[^>]*>([^<]+)</span>', block), strict=True)
        assert sum(map(float, weights)) == pytest.approx(1, abs=0.0006 * len(weights))
        assert words in known and 6 <= len(words) <= 30
        label, predicted = re.match(r"label (\w+), predicted (\w+)</div>", block).groups()
        assert {label, predicted} <= set(study.corpus.label_names)


def test_without_a_fitting_text_there_is_nothing_to_attend_to(embedded, monkeypatch):
    study, _ = embedded
    nothing = np.array([], dtype=int), np.array([], dtype=int), np.zeros((0, 2))
    monkeypatch.setattr(Run, "on", lambda self, platform, split="test": nothing)
    content = beyond_b.attention(study)
    assert content.note.startswith("n/a: ") and "n/a" in content.html


# --- 01_data ---------------------------------------------------------------------------------------------------------


def test_the_corpus_table_counts_every_core_text_once(embedded):
    study, _ = embedded
    table = read(study, "x_corpus.csv")
    core = study.corpus.table[study.corpus.table.status == CORE]
    assert table["all"].sum() == len(core)
    for line in table.itertuples():
        mine = core[(core.platform == line.platform) & (core.label == study.corpus.label_names.index(line.label))]
        assert [line.train, line.dev, line.test] == [(mine.split == s).sum() for s in ("train", "dev", "test")]
        assert line.share == pytest.approx(len(mine) / (core.platform == line.platform).sum())


def test_sample_reviews_are_training_texts_with_their_labels(embedded):
    study, shown = embedded
    body = shown["b_table_1"].content.body
    corpus = study.corpus.table.set_index("id").loc[body.id]
    assert (corpus.split == "train").all() and (corpus.status == CORE).all()
    assert corpus.text.tolist() == body.text.tolist() and corpus.votes.tolist() == body.votes.tolist()
    assert [study.corpus.label_names[k] for k in corpus.label] == body.label.tolist()
    assert set(body.label.value_counts()) == {4}
    assert shown["b_table_1"].content.text_columns == ("text",)


def test_agreement_is_that_of_the_votes(embedded):
    study, _ = embedded
    table = read(study, "x_agreement.csv").set_index("platform")
    core = study.corpus.table[(study.corpus.table.status == CORE) & (study.corpus.table.votes != "")]
    for platform, rows in core.groupby("platform"):
        agreeing = [sum(a == b for at, a in enumerate(v) for b in v[at + 1 :]) / 3 for v in rows.votes]
        ones = "".join(rows.votes).count("1") / (3 * len(rows))
        chance = ones**2 + (1 - ones) ** 2
        line = table.loc[platform]
        assert line.fleiss_kappa == pytest.approx((np.mean(agreeing) - chance) / (1 - chance))
        assert line.unanimous == pytest.approx(np.mean([len(set(v)) == 1 for v in rows.votes]))
        assert line.label_differs_from_truth == pytest.approx((rows.label != rows.truth).mean())


def test_a_planted_leak_is_found(embedded, monkeypatch):
    study, shown = embedded
    assert shown["x_leakage"].content.body.empty
    table = study.corpus.table.copy()
    train, test = (table.index[table.split == split][0] for split in ("train", "test"))
    table.loc[test, "text"] = table.text[train] + "！"
    leaky = replace(study.corpus, table=table)
    monkeypatch.setattr(Study, "corpus", property(lambda self: leaky))
    found = leakage(study)
    assert len(found.body) == 1 and found.note.endswith("1 found.") and found.body.corpus[0] == "reviews"
    assert set(found.body.ids[0].split()) == {table.id[train], table.id[test]}


def test_topics_are_no_annotators_votes(embedded, monkeypatch):
    study, _ = embedded
    news = study.large[0].load()
    assert news.table.votes.str.contains("|", regex=False).any()
    monkeypatch.setattr(Study, "corpus", property(lambda self: news))
    content = agreement(study)
    assert content.body.empty and content.note == "n/a: no votes of single annotators are known for this corpus."
