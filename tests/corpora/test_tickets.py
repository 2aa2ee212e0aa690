"""The generated complaint tickets: the tree, the process, its reproducibility, and how hard they are."""

import hashlib
import re
import shutil
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from paperkit import corpora, paths
from paperkit.corpora.corpus import leaks
from paperkit.corpora.tickets import Lexicon, generate, write
from paperkit.errors import InputError
from paperkit.models.linear import linear_svm
from paperkit.seeds import python_generator

SIZE = 6000
# of 400 raw rows, and of the corpus from them: a change of the texts is told apart from one of what is done with them
RAW_400 = "c7a9e6ff476a54d0b0a53c8d9c96fa9d9e44b83ddf4f3c7f7f07ad79ca879c80"
CHECKSUM_400 = "a987fa2471800dcee2feaac542fc9070c8c3457c159d8f58b8ef0fb4d1d8db41"


@pytest.fixture(scope="module")
def lexicon():
    return Lexicon(paths.DATA / "tickets")


@pytest.fixture(scope="module")
def corpus():
    return generate(SIZE)


@pytest.fixture(scope="module")
def labelled(corpus):
    return corpus.table[corpus.table.label >= 0]


@pytest.fixture(scope="module")
def raw(lexicon):
    """Raw rows with size, clue and annotator, before anything is dropped."""
    return pd.DataFrame([write(0, index, lexicon) for index in range(SIZE)])


@pytest.fixture
def folder(tmp_path):
    """A copy of the lexicon that a test may spoil."""
    return shutil.copytree(paths.DATA / "tickets", tmp_path / "tickets")


def edit(folder, name, change):
    tree = yaml.safe_load((folder / name).read_text(encoding="utf-8"))
    change(tree)
    (folder / name).write_text(yaml.safe_dump(tree, allow_unicode=True, sort_keys=False), encoding="utf-8")


def shared_depth(one, other):
    """How many steps two paths share before they part."""
    return next(depth for depth, (a, b) in enumerate(zip(one.split("/"), other.split("/"), strict=False)) if a != b)


def parent(name):
    return name.rpartition("/")[0]


# ---- reproducibility ----


def test_same_seed_same_bytes_on_every_machine(lexicon):
    texts = "\n".join("\t".join(map(str, write(0, index, lexicon).values())) for index in range(400))
    assert hashlib.sha256(texts.encode()).hexdigest() == RAW_400
    assert corpora.load("tickets", size=400).checksum == CHECKSUM_400


def test_a_ticket_does_not_depend_on_the_size_of_the_corpus(corpus):
    small, large = generate(400).table.set_index("id"), corpus.table.set_index("id")
    assert len(small) > 395
    columns = ["text", "label", "truth"]
    assert small[columns].equals(large.loc[small.index, columns])


def test_another_seed_gives_other_tickets(corpus):
    other = generate(400, seed=1)
    assert not other.table.text.isin(corpus.table.text).any()
    assert other.label_names == corpus.label_names


def test_no_text_stands_in_two_splits(corpus):
    assert leaks(corpus).empty
    assert set(corpus.table.split) == {"train", "dev", "test", "unlabelled"}


@given(seed=st.integers(0, 2**31), index=st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_every_row_is_well_formed(lexicon, seed, index):
    row = write(seed, index, lexicon)
    assert not re.search(r"[<>@{}]|[，。；：]{2}", row["text"])
    assert 0 <= row["truth"] < 300 and -1 <= row["label"] < 300
    assert (row["label"] == -1) == (row["annotator"] == "")
    assert (60 if row["size"] == "short" else 260) < len(row["text"]) < (160 if row["size"] == "short" else 560)


# ---- the tree ----


def test_the_tree_has_300_leaves_of_depth_three_or_four(corpus):
    names = corpus.label_names
    assert len(names) == len(set(names)) == 300
    assert {name.count("/") + 1 for name in names} == {3, 4}
    assert "宽带/安装/超时未上门" in names and "宽带/使用/网速慢/晚高峰慢" in names


def test_no_branch_has_a_single_leaf_and_no_leaf_is_a_branch(corpus):
    parents = pd.Series([parent(name) for name in corpus.label_names])
    assert parents.value_counts().min() >= 2
    assert not {*parents} & {*corpus.label_names}


def test_problems_recur_but_the_tree_is_no_product(corpus):
    split = [name.split("/") for name in corpus.label_names]
    steps = pd.DataFrame([(path[0], path[1], path[-1]) for path in split], columns=["line", "stage", "problem"])
    assert steps.problem.nunique() < 0.4 * len(steps)
    stages = steps.groupby("line").stage.agg(frozenset)
    assert stages.nunique() == len(stages) == 12
    for _, rows in steps.groupby("stage"):
        if rows.line.nunique() > 2:
            assert rows.groupby("line").problem.agg(frozenset).nunique() > 1


def test_relatives_of_a_leaf(lexicon):
    for k, leaf in enumerate(lexicon.leaves):
        assert k not in {*leaf.siblings, *leaf.cousins, *leaf.elsewhere}
        assert leaf.siblings and {lexicon.leaves[j].parent for j in leaf.siblings} == {leaf.parent}
        assert not {*leaf.siblings} & {*leaf.cousins}
        cousins = [lexicon.leaves[j] for j in leaf.cousins]
        same = [each.problem == leaf.problem for each in cousins]
        assert all(same) or (not any(same) and {each.line for each in cousins} == {leaf.line})


# ---- what is stated about the corpus ----


def test_shares_follow_zipf_and_the_smallest_leaf_has_a_few_rows(lexicon, corpus):
    shares = np.diff([0, *lexicon.shares.cumulative]) / lexicon.shares.cumulative[-1]
    assert (np.diff(shares) <= 0).all() and 40 < shares[0] / shares[-1] < 60
    assert 16000 * 0.6 * shares[-1] > 5
    counts = corpus.table.truth.value_counts()
    assert len(counts) >= 295 and counts.iloc[:30].sum() > 0.4 * len(corpus)
    small = next(note for note in corpus.notes if note.reason.startswith("class too small"))
    assert small.count < 120  # at less than half of the default size


def test_the_order_of_the_leaves_in_the_tail_does_not_follow_the_tree(lexicon):
    first = [lexicon.names[k].split("/")[0] for k in lexicon.shares.items[:20]]
    assert len(set(first)) > 5


def test_two_tickets_in_five_are_unlabelled_and_their_truth_is_known(corpus):
    pool = corpus.rows("unlabelled")
    assert 0.37 < len(pool) / len(corpus) < 0.43
    assert (pool.label == -1).all() and (corpus.table.truth >= 0).all()
    assert set(corpus.table.status) <= {"core", "contradicting"} and set(corpus.table.platform) == {"tickets"}
    assert (corpus.table.votes == "").all()


def test_labels_are_wrong_at_the_business_error_rate_and_mostly_by_a_sibling(corpus, labelled, lexicon):
    wrong = labelled[labelled.label != labelled.truth]
    assert abs(len(wrong) / len(labelled) - lexicon.style["per_mille"]["business_error"] / 1000) < 0.015
    names = corpus.label_names
    kinds = {"sibling": 0, "cousin": 0, "other": 0}
    for label, truth in zip(wrong.label, wrong.truth, strict=True):
        leaf = lexicon.leaves[truth]
        kinds["sibling" if label in leaf.siblings else "cousin" if label in leaf.cousins else "other"] += 1
        assert shared_depth(names[label], names[truth]) > 0 or names[label].endswith(leaf.problem)
    assert kinds["other"] == 0
    assert 0.75 < kinds["sibling"] / len(wrong) < 0.85


def test_annotators_have_habits_of_their_own(lexicon):
    """The error that an annotator makes most often is made by habit, and two annotators share few habits."""
    truth = lexicon.names.index("宽带/安装/超时未上门")
    habits = {}
    for annotator in lexicon.annotators.items:
        rng = python_generator(0, "habits", annotator)
        labels = [lexicon.annotate(rng, truth, annotator) for _ in range(4000)]
        counts = pd.Series([k for k in labels if k in lexicon.leaves[truth].siblings]).value_counts()
        assert counts.iloc[0] > 2.5 * counts.iloc[1:].mean()
        habits[annotator] = counts.index[0]
    assert len(set(habits.values())) > 1


def test_lengths_have_two_modes(corpus, raw):
    lengths = corpus.table.text.str.len()
    short = lengths < 200
    assert abs(lengths[short].median() - 100) < 12 and abs(lengths[~short].median() - 400) < 25
    assert ((lengths > 160) & (lengths < 260)).mean() < 0.01
    assert 0.4 < short.mean() < 0.65
    assert set(raw["size"]) == {"short", "long"}


def test_a_ticket_tells_what_the_paper_lists(raw):
    """Time, cause, course, handling and reply: named in the labelled layout, present in every one."""
    sections = raw.text.str.contains("【处理结果】") & raw.text.str.contains("【客服回复】")
    assert sections.sum() > 200
    assert raw[sections].text.str.contains("^【时间】.+【起因】.+【经过】").all()
    assert raw.text.str.contains(r"\d月\d+日").all()


def test_siblings_share_most_words(corpus):
    """Paper A: the more steps of the path are equal, the more similar are the texts."""
    table = corpus.table
    x = TfidfVectorizer(analyzer="char", ngram_range=(3, 3), sublinear_tf=True, min_df=2).fit_transform(table.text)
    counts = table.truth.value_counts()
    leaves = sorted(counts[counts >= 6].index)
    centroids = np.vstack([np.asarray(x[np.flatnonzero(table.truth == k)].mean(axis=0)) for k in leaves])
    centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)
    cosines = centroids @ centroids.T
    by_depth: dict[int, list[float]] = {}
    for i, j in combinations(range(len(leaves)), 2):
        depth = shared_depth(corpus.label_names[leaves[i]], corpus.label_names[leaves[j]])
        by_depth.setdefault(depth, []).append(cosines[i, j])
    similarity = {depth: float(np.mean(values)) for depth, values in by_depth.items()}
    assert similarity[0] < similarity[1] < similarity[2] < similarity[3]
    assert similarity[2] > 1.5 * similarity[1]


def test_long_tickets_quote_complaints_that_they_are_not_about(raw, lexicon):
    long, short = raw[raw["size"] == "long"], raw[raw["size"] == "short"]
    assert long.text.str.contains("“.+”").mean() > 0.7
    assert not short.text.str.contains("“").any()


def test_the_clue_says_where_the_problem_is_told(raw, lexicon):
    """A vague ticket holds none of the wordings of its problem, outside of quotes."""

    def holds(row, key):
        text = re.sub("“.+?”", "", row.text)
        templates = lexicon.problem[lexicon.leaves[row.truth].problem][key].items
        return any(re.search(".+?".join(map(re.escape, template[::2])), text) for template in templates)

    rows = raw[raw["size"] == "short"].groupby("clue").head(30)
    told = {
        key: pd.Series([holds(row, key) for row in rows.itertuples()], index=rows.clue) for key in ("says", "found")
    }
    for key, other in (("says", "found"), ("found", "says")):
        assert told[key][["both", key]].all()
        assert told[key][other].mean() < 0.2 and told[key]["neither"].mean() < 0.2


# ---- how hard it is ----


def test_a_linear_model_stays_far_below_the_ceiling(corpus):
    """It agrees more with the truth than with the labels of the annotators, whose errors it does not repeat."""
    train, test = corpus.rows("train").iloc[:1000], corpus.rows("test")
    scores = linear_svm(
        list(train.text), train.label.to_numpy(), [], np.array([], dtype=np.int64), list(test.text), 300, "zh"
    )
    predicted = scores.argmax(axis=1)
    truth, noisy = (predicted == test.truth).mean(), (predicted == test.label).mean()
    assert 0.35 < truth < 0.65
    assert noisy < truth - 0.03
    line = [corpus.label_names[k].split("/")[0] for k in range(300)]
    assert np.mean([line[a] == line[b] for a, b in zip(predicted, test.truth, strict=True)]) > truth + 0.1


# ---- the files that a teacher edits ----


def test_a_new_wording_changes_the_corpus(folder):
    before = generate(300, folder=folder)
    edit(
        folder,
        "problems.yaml",
        lambda tree: tree["上门"]["problems"]["超时未上门"]["says"].insert(0, "望眼欲穿也不见人"),
    )
    after = generate(300, folder=folder)
    assert not before.table.text.str.contains("望眼欲穿").any()
    assert after.table.text.str.contains("望眼欲穿").any()
    assert after.checksum != before.checksum == generate(300).checksum


def test_a_new_leaf_needs_one_line(folder):
    edit(folder, "tree.yaml", lambda tree: tree["lines"]["云盘"]["stages"]["使用"].append("卡顿"))
    names = generate(10, folder=folder).label_names
    assert len(names) == 301 and "云盘/使用/卡顿" in names


def test_shares_follow_the_file(folder):
    edit(folder, "style.yaml", lambda tree: tree["per_mille"].update(unlabelled=0, business_error=500, sibling=0))
    table = generate(600, folder=folder).table
    assert (table.label >= 0).all()
    assert 0.42 < (table.label != table.truth).mean() < 0.58


def test_without_errors_labels_are_true(folder):
    edit(folder, "style.yaml", lambda tree: tree["per_mille"].update(unlabelled=0, business_error=0))
    table = generate(200, folder=folder).table
    assert (table.label == table.truth).all()


SPOILED = {
    "missing key": ("problems.yaml", lambda t: t["上门"].pop("vague"), r"上门.*lacks the key vague"),
    "missing section": ("style.yaml", lambda t: t.pop("clues"), r"lacks the key clues"),
    "unknown key": ("style.yaml", lambda t: t["sizes"].update(huge=1), r"sizes.*unknown key 'huge'"),
    "unknown slot": ("problems.yaml", lambda t: t["上门"]["demands"].append("<nothing>"), r"上门.*demands.*nothing"),
    "text for number": ("style.yaml", lambda t: t.update(tail="long"), r"tail.*'long'.*number"),
    "negative number": ("style.yaml", lambda t: t["per_mille"].update(habit=-1), r"habit.*-1"),
    "number for text": ("style.yaml", lambda t: t["confirmed"].append(666), r"confirmed.*666"),
    "empty list": ("tree.yaml", lambda t: t["lines"]["云盘"].update(things=[]), r"云盘.*things"),
    "unknown problem": (
        "tree.yaml",
        lambda t: t["lines"]["云盘"]["stages"]["使用"].append("飞走了"),
        r"云盘.*使用.*飞走了.*problems\.yaml",
    ),
    "unknown stage": (
        "tree.yaml",
        lambda t: t["lines"]["云盘"]["stages"].update(做梦=["卡顿", "死机"]),
        r"做梦.*scenes has no entry",
    ),
    "unknown group": (
        "tree.yaml",
        lambda t: t["lines"]["云盘"]["stages"]["使用"].extend(["新组/卡顿", "新组/死机"]),
        r"云盘.*使用.*matters has no entry for 新组",
    ),
    "same leaf twice": (
        "tree.yaml",
        lambda t: t["lines"]["云盘"]["stages"]["使用"].append("登录失败"),
        r"登录失败 twice",
    ),
    "empty step": (
        "tree.yaml",
        lambda t: t["lines"]["云盘"]["stages"]["使用"].append("/卡顿"),
        r"empty step.*使用//卡顿",
    ),
    "only child": (
        "tree.yaml",
        lambda t: t["lines"]["云盘"]["stages"].update(退订=["不予办理"]),
        r"云盘/退订/不予办理 without siblings",
    ),
    "name taken": ("style.yaml", lambda t: t["slots"].update(thing=["物"]), r"slots.*thing is set by the program"),
    "unknown constant": ("style.yaml", lambda t: t["same_throughout"].append("dragon"), r"same_throughout.*dragon"),
    "unknown line": ("style.yaml", lambda t: t["owned"].append("飞机"), r"owned.*飞机.*宽带"),
    "part out of place": ("style.yaml", lambda t: t["confirmed"].append("<cause>"), r"<cause> outside of the layouts"),
    "circle": (
        "style.yaml",
        lambda t: t["slots"].update(hour=["<when>"], clock=["<hour>"], when=["<clock>"]),
        "circle",
    ),
}


@pytest.mark.parametrize("case", SPOILED)
def test_a_malformed_file_is_refused_with_file_and_key(folder, case):
    name, change, message = SPOILED[case]
    edit(folder, name, change)
    with pytest.raises(InputError, match=message) as caught:
        generate(30, folder=folder)
    assert str(folder) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["a: [1, 2", "", "- a\n- b\n", "\x00"])
def test_a_file_that_is_no_mapping_is_refused(folder, content):
    (folder / "tree.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=r"tree\.yaml"):
        generate(10, folder=folder)


def test_a_missing_file_is_named(folder):
    (folder / "problems.yaml").unlink()
    with pytest.raises(InputError, match=r"problems\.yaml"):
        generate(10, folder=folder)


def test_annotators_without_weight_are_refused(folder):
    edit(folder, "style.yaml", lambda tree: tree.update(annotators={"A": 0}))
    with pytest.raises(InputError, match=r"weights of A are all 0"):
        generate(10, folder=folder)


@pytest.mark.parametrize("size", [0, -3])
def test_a_size_below_one_is_refused(size):
    with pytest.raises(InputError, match=rf"size is {size}"):
        generate(size)


def test_a_single_ticket_is_a_corpus():
    assert len(generate(1)) == 1
