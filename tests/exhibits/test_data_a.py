"""Notebook 01_data on paper A's corpora: every number recomputed the slow way, on the embedded corpora and on tables."""

import csv
import math
import random
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from sklearn.feature_extraction.text import TfidfVectorizer

from paperkit.corpora.corpus import CORE, Corpus, assemble, leaks
from paperkit.corpora.pools import pools
from paperkit.exhibits import data, data_a
from paperkit.exhibits.exhibit import REGISTRY, Content, find, show
from paperkit.study import Study
from tests.small import SETTINGS, reviews, tickets, write_csv

find("b_table_1")
OF_01_DATA = sorted(name for name, item in REGISTRY.items() if item.notebook == "01_data")
OF_PAPER_A = ["a_fig_2", "a_table_2", "x_class_sizes_a", "x_label_noise", "x_label_tree", "x_similarity_by_prefix"]


@pytest.fixture
def study(home) -> Study:
    return Study("embedded", "smoke", overrides=SETTINGS, workers=1)


def read(study: Study, name: str) -> list[dict[str, str]]:
    with (study.folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def core(corpus: Corpus, labelled: bool = True) -> list:
    return [row for row in corpus.table.itertuples() if row.status == CORE and (row.label >= 0 or not labelled)]


def corpora(study: Study) -> dict[str, Corpus]:
    return {source.name: source.load() for source in study.large}


def test_every_exhibit_of_paper_a_is_here():
    assert set(OF_PAPER_A) <= set(OF_01_DATA)


# --- Fig. 2 and Table 2 ----------------------------------------------------------------------------------------------


def test_lengths_are_counted_in_words_or_characters(study):
    content = show(study, "a_fig_2").content
    rows = read(study, "a_fig_2")
    for name, corpus in corpora(study).items():
        every = core(corpus, labelled=False)
        lengths = [len(row.text) if name == "tickets" else len(row.text.split()) for row in every]
        mine = [row for row in rows if row["corpus"] == name]
        assert {row["unit"] for row in mine} == {"characters" if name == "tickets" else "words"}
        assert sum(int(row["texts"]) for row in mine) == len(every)
        for row in mine:
            assert int(row["texts"]) == sum(int(row["from"]) <= length <= int(row["to"]) for length in lengths) > 0
        shares = [(0, 249)] if name == "newswire" else [(75, 125), (350, 450)]
        for low, high in shares:
            share = sum(low <= length <= high for length in lengths) / len(lengths)
            assert f"{share:.1%} have" in content.note
    assert [panel.get_title().split()[0] for panel in content.body.axes] == ["newswire", "tickets"]
    for corpus, panel, unit in zip(corpora(study).values(), content.body.axes, ("words", "characters"), strict=True):
        assert f"n = {len(core(corpus, labelled=False)):,}" in panel.get_title()
        assert panel.get_xlabel().startswith(f"length in {unit}") and panel.get_ylabel().startswith("texts")


def test_table_2_counts_the_parts(study):
    note = show(study, "a_table_2").content.note
    for row, corpus in zip(read(study, "a_table_2"), corpora(study).values(), strict=True):
        parts = pools(corpus, SETTINGS["robustness"])
        every = core(corpus, labelled=False)
        counts = {split: sum(each.split == split for each in every) for split in ("train", "dev", "test", "unlabelled")}
        assert row["corpus"] == corpus.name
        assert [int(row[name]) for name in ("labelled", "labels_there_are", "dev", "test", "sa", "ra", "classes")] == [
            counts["train"], counts["train"], counts["dev"], counts["test"], SETTINGS["robustness"], SETTINGS["robustness"],
            corpus.n_classes,
        ]  # fmt: skip
        assert int(row["unlabelled_uda"]) + int(row["unlabelled_esimcse"]) == counts["unlabelled"]
        assert parts.sentence in note
        for split, column in (("train", "classes_not_trained"), ("test", "classes_not_tested")):
            have = {each.label for each in every if each.split == split}
            assert int(row[column]) == corpus.n_classes - len(have)


def test_table_2_says_what_the_runs_of_table_3_use(home):
    study = Study("embedded", "smoke", overrides=SETTINGS | {"labelled": 0.3, "uda.pool": 0.5}, workers=1)
    content = show(study, "a_table_2").content
    for source, (_, row) in zip(study.large, content.body.iterrows(), strict=True):
        found = [study.get(study.ten_specs()[source, model])[0].result for model in ("Baseline", "UDA+ESimCSE")]
        assert row.labelled == found[0]["n_train"] == found[1]["n_train"] < row.labels_there_are
        assert (row.unlabelled_uda, row.unlabelled_esimcse) == (found[1]["n_unlabelled"], found[1]["n_similar"])
        assert f"{row.labels_there_are - row.labelled:,} training texts whose labels are not used" in content.note
    assert "30% of each class" in content.note and "UDA reads 50% of its half" in content.note


def test_table_2_names_the_classes_that_are_left_out_where_they_are_few():
    few, many = ("x", "y"), tuple("abcdefghijk")
    assert data_a._named(()) == "no classes" and data_a._named(("x",)) == "1 class (x)"
    assert data_a._named(few) == "2 classes (x, y)" and data_a._named(many) == "11 classes"


# --- tree and sizes --------------------------------------------------------------------------------------------------


def naive_gini(sizes: list[int]) -> float:
    """Half of the mean difference of two classes, over the mean."""
    differences = [abs(a - b) for a in sizes for b in sizes]
    return sum(differences) / len(sizes) ** 2 / 2 / (sum(sizes) / len(sizes))


@given(st.lists(st.integers(0, 50), min_size=1, max_size=30).filter(sum))
def test_gini_and_the_smaller_half(sizes):
    assert data_a.gini(sizes) == pytest.approx(naive_gini(sizes), abs=1e-12)
    assert data_a.smallest_half(sizes) == sum(sorted(sizes)[: len(sizes) // 2]) / sum(sizes)


def test_classes_without_texts_have_no_spread():
    assert math.isnan(data_a.gini([0, 0])) and math.isnan(data_a.smallest_half([0, 0]))
    assert (data_a.gini([5, 5, 5]), data_a.smallest_half([5, 5, 5])) == (0, 1 / 3)


def test_the_levels_of_a_tree_of_unequal_depth():
    """A class may stand above others: A/B holds texts of its own beside those of A/B/C."""
    names, sizes = ("A/B", "A/B/C", "A/D", "E"), [4, 3, 2, 1]
    first, second, third, every = data_a.levels(names, sizes)
    known = ("level", "nodes", "classes", "texts", "largest", "smallest")
    assert [first[key] for key in known] == ["1", 2, 1, 1, 9, 1]
    assert [second[key] for key in known] == ["2", 2, 2, 6, 7, 2]
    assert [third[key] for key in known] == ["3", 1, 1, 3, 3, 3]
    assert [every[key] for key in known] == ["all classes", 4, 4, 10, 4, 1]
    assert first["smallest_half"] == 0.1 and every["smallest_half"] == 0.3
    assert every["gini"] == pytest.approx(naive_gini(sizes))


def test_flat_classes_are_one_level():
    (only,) = data_a.levels(("x", "y"), [3, 1])
    assert (only["level"], only["nodes"], only["classes"], only["texts"]) == ("1", 2, 2, 4)


def test_the_trees_of_the_embedded_corpora(study):
    show(study, "x_label_tree")
    rows = read(study, "x_label_tree")
    assert [row["level"] for row in rows if row["corpus"] == "newswire"] == ["1"]
    corpus = corpora(study)["tickets"]
    mine = [row for row in rows if row["corpus"] == "tickets"]
    assert [row["level"] for row in mine] == ["1", "2", "3", "4", "all classes"]
    for row in mine[:-1]:
        depth = int(row["level"])
        steps = [name.split("/") for name in corpus.label_names]
        nodes = {tuple(path[:depth]) for path in steps if len(path) >= depth}
        of_texts = [tuple(steps[each.label][:depth]) for each in core(corpus)]
        sizes = [of_texts.count(node) for node in nodes]
        assert (int(row["nodes"]), int(row["classes"])) == (len(nodes), sum(len(path) == depth for path in steps))
        assert (int(row["largest"]), int(row["smallest"])) == (max(sizes), min(sizes))
        assert float(row["gini"]) == pytest.approx(naive_gini(sizes))
    assert sum(int(row["classes"]) for row in mine[:-1]) == int(mine[-1]["classes"]) == 300
    assert sum(int(row["texts"]) for row in mine[:-1]) == int(mine[-1]["texts"]) == len(core(corpus))


def test_class_sizes_by_rank(study):
    show(study, "x_class_sizes_a")
    rows = read(study, "x_class_sizes_a")
    for name, corpus in corpora(study).items():
        mine = [row for row in rows if row["corpus"] == name]
        labels = [corpus.label_names[each.label] for each in core(corpus)]
        assert {row["label"]: int(row["texts"]) for row in mine} == {each: labels.count(each) for each in set(labels)}
        assert [int(row["rank"]) for row in mine] == list(range(1, len(mine) + 1))
        sizes = [int(row["texts"]) for row in mine]
        assert sizes == sorted(sizes, reverse=True)


# --- similarity ------------------------------------------------------------------------------------------------------


def shared(a: str, b: str) -> int:
    one, other = a.split("/"), b.split("/")
    return next((k for k, (x, y) in enumerate(zip(one, other, strict=False)) if x != y), min(len(one), len(other)))


def made(names: tuple[str, ...], count: int, language: str) -> Corpus:
    """Texts whose words, or characters, follow from the steps of their labels."""
    draw = random.Random(0)
    rows = []
    for number in range(count):
        label = number % len(names)
        words = [word for step in names[label].split("/") for word in (f"{step}1", f"{step}2") if draw.random() < 0.7]
        words += [f"w{draw.randrange(40)}" for _ in range(4)] + [f"n{number}"]
        rows.append((" ".join(words), label if number % 7 else -1))
    table = pd.DataFrame(rows, columns=["text", "label"])
    table["id"] = [f"m:{number}" for number in range(count)]
    return assemble("made", table, names, language)


NAMES = ("A/B/C", "A/B/D", "A/B", "A/E", "F/G/H", "F/G/I", "J")


def test_shared_steps_of_two_labels():
    labels = np.arange(len(NAMES))
    found = data_a.shared_steps(NAMES, labels)
    assert found.tolist() == [[shared(a, b) for b in NAMES] for a in NAMES]
    assert found[0, 2] == 2 and found[0, 6] == 0, "a path that has ended shares nothing more"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_similarity_is_the_mean_over_all_pairs_of_a_group(language):
    corpus = made(NAMES, 120, language)
    table = corpus.table[corpus.table.label >= 0]
    options = {"en": {"token_pattern": r"\w+"}, "zh": {"analyzer": "char", "ngram_range": (1, 2)}}[language]
    vectors = TfidfVectorizer(sublinear_tf=True, **options).fit_transform(table.text).toarray()
    groups: dict[str, list[float]] = {}
    for i, j in combinations(range(len(table)), 2):
        a, b = (corpus.label_names[table.label.iat[k]] for k in (i, j))
        groups.setdefault("same class" if a == b else str(shared(a, b)), []).append(float(vectors[i] @ vectors[j]))
    found = data_a.similarity(corpus).set_index("shared")
    assert list(found.index) == ["0", "1", "2", "same class"] and set(groups) == set(found.index)
    for group, cosines in groups.items():
        line = found.loc[group]
        assert line.pairs == len(cosines) and line["mean"] == pytest.approx(np.mean(cosines))
        assert line.low < line["mean"] < line.high
    assert found["mean"].is_monotonic_increasing
    assert found.rise_low.isna().tolist() == [True, False, False, False]
    rises = found["mean"].diff()[1:]
    assert ((found.rise_low[1:] < rises) & (rises < found.rise_high[1:])).all()


def test_the_intervals_are_those_of_texts_drawn_again():
    """Texts drawn with replacement, one by one; a pair of copies of one text is no pair."""
    corpus = made(("A/B", "A/C", "D/E"), 45, "en")
    table = corpus.table[corpus.table.label >= 0]
    labels = [corpus.label_names[k] for k in table.label]
    vectors = TfidfVectorizer(sublinear_tf=True, token_pattern=r"\w+").fit_transform(table.text).toarray()
    cosines = vectors @ vectors.T
    draw = random.Random(1)
    means: dict[str, list[float]] = {"0": [], "1": [], "same class": []}
    for _ in range(400):
        groups: dict[str, list[float]] = {name: [] for name in means}
        for i, j in combinations([draw.randrange(len(table)) for _ in range(len(table))], 2):
            if i != j:
                same = labels[i] == labels[j]
                groups["same class" if same else str(shared(labels[i], labels[j]))].append(cosines[i, j])
        for name, values in groups.items():
            means[name].append(np.mean(values))
    found = data_a.similarity(corpus).set_index("shared")
    resampled = np.array([means[name] for name in found.index])
    for name, values, columns in (*zip(found.index, resampled, [("low", "high")] * 3, strict=True),
                                  *zip(found.index[1:], np.diff(resampled, axis=0), [("rise_low", "rise_high")] * 2,
                                       strict=True)):  # fmt: skip
        low, high = np.quantile(values, (0.025, 0.975))
        assert found.loc[name, list(columns)].tolist() == pytest.approx([low, high], abs=0.25 * (high - low))


def test_at_most_a_thousand_texts_are_compared_whatever_their_order(monkeypatch):
    monkeypatch.setattr(data_a, "SAMPLE", 50)
    corpus = made(NAMES, 200, "en")
    found = data_a.similarity(corpus)
    assert found.pairs.sum() == 50 * 49 / 2
    table = corpus.table.sample(frac=1, random_state=1).reset_index(drop=True)
    pd.testing.assert_frame_equal(found[["shared", "pairs", "mean"]],
                                  data_a.similarity(replace(corpus, table=table))[["shared", "pairs", "mean"]])  # fmt: skip


def test_the_figure_of_similarities_says_what_rises(study):
    content = show(study, "x_similarity_by_prefix").content
    rows = read(study, "x_similarity_by_prefix")
    for name in ("newswire", "tickets"):
        mine = [row for row in rows if row["corpus"] == name]
        means = " → ".join(f"{float(row['mean']):.3f}" for row in mine)
        up = sum(float(row["rise_low"] or 0) > 0 for row in mine)
        down = sum(float(row["rise_high"] or 0) < 0 for row in mine)
        assert f"{name}: {means}; {up} of {len(mine) - 1} steps up beyond doubt, {down} down." in content.note
    ticks = [tick.get_text().split("\n")[0] for tick in content.body.axes[0].get_xticklabels()]
    assert ticks == ["0", "1", "2", "3", "same class"]


# --- noise -----------------------------------------------------------------------------------------------------------


def test_noise_is_counted_over_labelled_texts(study):
    show(study, "x_label_noise")
    rows = read(study, "x_label_noise")
    for name, corpus in corpora(study).items():
        every = core(corpus)
        sizes = {k: sum(each.label == k for each in every) for k in {each.label for each in every}}
        ranked = sorted(sizes, key=lambda k: (-sizes[k], k))
        third = [len(part) for part in np.array_split(ranked, 3)]
        groups = {"all": ranked, "largest third": ranked[: third[0]], "smallest third": ranked[-third[2] :],
                  "middle third": ranked[third[0] : third[0] + third[1]]}  # fmt: skip
        mine = [row for row in rows if row["corpus"] == name]
        assert [row["classes"] for row in mine] == ["all", "largest third", "middle third", "smallest third"]
        for row in mine:
            texts = [each for each in every if each.label in groups[row["classes"]]]
            wrong = [each for each in texts if each.label != each.truth]
            assert (int(row["n_classes"]), int(row["texts"])) == (len(groups[row["classes"]]), len(texts))
            assert float(row["wrong"]) == pytest.approx(len(wrong) / len(texts))
            if name == "newswire":
                assert row["to_sibling"] == row["to_other"] == "", "topics without a tree have no siblings"
                several = sum("|" in each.votes for each in texts) / len(texts)
                assert float(row["several_labels"]) == pytest.approx(several)
            else:
                parents = [name.rpartition("/")[0] for name in corpus.label_names]
                siblings = sum(parents[each.label] == parents[each.truth] for each in wrong)
                assert float(row["to_sibling"]) == pytest.approx(siblings / len(texts))
                assert float(row["to_other"]) == pytest.approx((len(wrong) - siblings) / len(texts))
                assert row["several_labels"] == ""
    assert float(rows[0]["wrong"]) > 0 and 0.1 < float(rows[4]["wrong"]) < 0.25


def test_noise_is_unknowable_without_the_truth(study):
    news = replace(study.large[0].load(), name="made")
    table = news.table.assign(truth=-1)
    found = list(data_a.label_noise(replace(news, table=table)))
    assert all(math.isnan(row["wrong"]) and row["several_labels"] >= 0 for row in found)
    silent = list(data_a.label_noise(replace(news, table=table.assign(votes="012"))))
    assert all(math.isnan(row["several_labels"]) for row in silent), "digits are votes of annotators"


# --- every corpus of the study ---------------------------------------------------------------------------------------


def test_notes_and_leaks_cover_every_corpus(study, monkeypatch):
    shown = show(study, "x_notes").content.body
    assert list(dict.fromkeys(shown.corpus)) == ["reviews", "newswire", "tickets"]
    for corpus in (study.corpus, *corpora(study).values()):
        mine = shown[shown.corpus == corpus.name]
        own = [(note.reason, note.count, note.detail) for note in corpus.notes]
        assert list(zip(mine.what, mine["count"], mine.detail, strict=True))[: len(own)] == own
        assert len(mine) == len(own) + 2 * (corpus.name == "reviews")
    assert "Compared within reviews, newswire, tickets after " in show(study, "x_leakage").content.note

    news = study.large[0].load()
    table = news.table.copy()
    train, pool = (table.index[table.split == split][0] for split in ("train", "unlabelled"))
    table.loc[pool, "text"] = table.text[train].upper()
    leaky = replace(news, table=table)
    monkeypatch.setattr(data, "every_corpus", lambda study: (study.corpus, leaky))
    found = data.leakage(study)
    assert found.note.endswith("1 found.") and found.body.corpus.tolist() == ["newswire"]
    assert found.body.splits.tolist() == ["train unlabelled"] and len(leaks(leaky)) == 1


def test_a_long_list_of_names_is_cut_for_people_only(study):
    content = show(study, "x_notes").content
    assert content.body.detail.str.len().max() > 1000 >= 200 > content.display.detail.str.len().max()


# --- tables of a user's own ------------------------------------------------------------------------------------------


def singletons(count: int) -> list[tuple[str, str]]:
    return tickets({"net/network": 30, "billing": 12} | {f"rare {n}": 1 for n in range(count)})


TABLES = {
    "tree of unequal depth, unlabelled rows": tickets(
        {"a/b/billing": 30, "a/b/network": 25, "a/other": 20, "c/billing": 8, "d": 6, "e/f/g/h": 2, "": 120}
    ),
    "two classes, none unlabelled": [(text, str(label)) for text, label, _ in reviews(70, ("",))],
    "one row each of many classes": singletons(40),
    "odd names": tickets({"$x$ <b>/|y|": 20, "=1+1": 20, "标签/子类/超长" + "名" * 60: 20}),
}


@pytest.mark.parametrize("kind", TABLES)
def test_every_exhibit_works_on_a_table(home, kind):
    rows = [(f"{text} secret", label) for text, label in TABLES[kind]]
    table = write_csv(home / "mine.csv", ("text", "label"), rows)
    study = Study(str(table), "smoke", overrides=SETTINGS, workers=1)
    made = {name: show(study, name).content for name in OF_01_DATA}
    corpus = study.corpus
    assert all(set(made[name].corpora) == {corpus} for name in (*OF_PAPER_A, "x_leakage", "x_notes"))
    assert all(isinstance(content, Content) for content in made.values())

    row = made["a_table_2"].body.iloc[0]
    unlabelled = sum(not label for _, label in rows)
    assert row.labelled + row.dev + row.test == len(rows) - unlabelled and row.sa == row.ra <= row.test
    assert row.unlabelled_uda + row.unlabelled_esimcse == (unlabelled or row.labelled)
    assert ("are used again without their labels" in made["a_table_2"].note) == (not unlabelled)
    assert made["x_label_noise"].body[["wrong", "to_sibling", "to_other", "several_labels"]].isna().all(axis=None)
    assert made["x_leakage"].body.empty and "Compared within mine after " in made["x_leakage"].note
    assert set(made["x_notes"].body.corpus) == {"mine"} and not made["x_notes"].body.duplicated().any()
    levels = made["x_label_tree"].body
    depths = [label.count("/") + 1 for label in corpus.label_names]
    assert levels.level.tolist()[: max(depths)] == [str(depth) for depth in range(1, max(depths) + 1)]
    assert len(levels) == max(depths) + (len(set(depths)) > 1)
    assert made["x_similarity_by_prefix"].numbers["pairs"].sum() == math.comb(len(rows) - unlabelled, 2)
    assert "paper" not in made["a_fig_2"].note
    for name in ("a_fig_2", "x_class_sizes_a", "x_similarity_by_prefix"):
        assert isinstance(made[name].body, Figure)
    written = [file for file in study.folder.iterdir() if file.suffix not in (".png", ".json")]
    assert not any("secret" in file.read_text(encoding="utf-8") for file in written), "texts are never quoted"


def test_a_chinese_font_writes_both_languages(study, with_font):
    figure = show(study, "a_fig_2").content.body
    labels = [panel.get_xlabel() for panel in figure.axes]
    assert labels == [
        "length in words\n文本长度（词数）",
        "length in characters\n文本长度（字数）",
    ]


# --- paper B's Table 1 -----------------------------------------------------------------------------------------------


def test_table_1_shows_classes_whose_texts_are_short_and_ones_of_the_whole_range(home):
    rows = tickets({f"class {k:02}": 12 for k in range(1, 20)}) + [(f"no {i}", "class 00") for i in range(12)]
    table = write_csv(home / "calls.csv", ("text", "label"), rows)
    study = Study(str(table), "smoke", overrides=SETTINGS, workers=1)
    content = data.table_1(study)
    shown = content.body
    assert len(shown) == 12 and shown.label.is_unique and shown.label.is_monotonic_decreasing
    assert {"class 00", "class 19"} <= set(shown.label) and "12 of 20 classes" in content.note
    assert shown.characters[shown.label != "class 00"].between(8, 60).all()
    assert "text" not in shown and "not quoted" in content.note


@pytest.mark.parametrize("kind", ["embedded", "table"])
def test_only_paper_bs_corpora_are_held_against_its_ratio(home, kind):
    table = write_csv(home / "calls.csv", ("text", "label"), tickets({"good": 24, "bad": 12}))
    study = Study("embedded" if kind == "embedded" else str(table), "smoke", overrides=SETTINGS, workers=1)
    note = data.corpus(study).note
    assert " : 1." in note and ("The paper says" in note) == (kind == "embedded")
