"""The generated newswire: the process, its reproducibility, and how hard it is."""

import hashlib
import re
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from paperkit import corpora, paths
from paperkit.corpora.corpus import leaks, normalise
from paperkit.corpora.newswire import Lexicon, generate, write
from paperkit.errors import InputError
from paperkit.models.linear import linear_svm

SIZE = 5000
# of 300 raw rows, and of the corpus from them: a change of the texts is told apart from one of what is done with them
RAW_300 = "6376786327e497f26a5da4d66c460e1ab2d17d63c03b91a13956f394c29a897f"
CHECKSUM_300 = "ef5566f6bdeba018fd4554d780004190ad0dd34eaeeb92f85c1dc79cbd834436"


@pytest.fixture(scope="module")
def lexicon():
    return Lexicon(paths.DATA / "newswire")


@pytest.fixture(scope="module")
def corpus():
    return generate(SIZE)


@pytest.fixture(scope="module")
def raw(lexicon):
    """Raw rows with their topics in the order of the text, before anything is dropped."""
    return pd.DataFrame([write(0, index, lexicon) for index in range(SIZE)])


@pytest.fixture(scope="module")
def labelled(corpus):
    return corpus.table[corpus.table.label >= 0]


@pytest.fixture
def folder(tmp_path):
    """A copy of the lexicon that a test may spoil."""
    return shutil.copytree(paths.DATA / "newswire", tmp_path / "newswire")


def edit(folder, name, change):
    tree = yaml.safe_load((folder / name).read_text(encoding="utf-8"))
    change(tree)
    (folder / name).write_text(yaml.safe_dump(tree, sort_keys=False, allow_unicode=True), encoding="utf-8")


def several(rows):
    return rows[rows.votes.str.contains("|", regex=False)]


# ---- reproducibility ----


def test_same_seed_same_bytes_on_every_machine(lexicon):
    texts = "\n".join("\t".join(map(str, write(0, index, lexicon).values())) for index in range(300))
    assert hashlib.sha256(texts.encode()).hexdigest() == RAW_300
    assert generate(300, 0).checksum == CHECKSUM_300


def test_an_item_does_not_depend_on_the_size_of_the_corpus(corpus):
    small, large = generate(300).table.set_index("id"), corpus.table.set_index("id")
    assert len(small) > 295
    columns = ["text", "label", "truth", "votes"]
    assert small[columns].equals(large.loc[small.index, columns])


def test_another_seed_gives_other_items(corpus):
    other = generate(300, seed=1)
    assert other.table.text.isin(corpus.table.text).mean() < 0.02
    assert other.label_names == corpus.label_names


def test_it_is_loaded_by_name():
    assert "newswire" in corpora.names()
    assert corpora.load("newswire", size=40, seed=3).checksum == generate(40, seed=3).checksum


def test_no_text_stands_in_two_splits(corpus):
    assert leaks(corpus).empty
    assert set(corpus.table.split) == {"train", "dev", "test", "unlabelled"}


@given(seed=st.integers(0, 2**31), index=st.integers(0, 10**6))
@settings(max_examples=80, deadline=None)
def test_every_row_is_well_formed(lexicon, seed, index):
    row = write(seed, index, lexicon)
    headline, body = row["text"].split("\n", 1)
    assert headline == headline.upper() and body
    assert not re.search(r"[<>@{}|]|\s\s|\.\.|^[a-z]", row["text"]) and row["text"] == row["text"].strip()
    topics = row["treated"].split("|")
    assert 1 <= len(topics) == len(set(topics)) <= 5 and set(topics) <= set(lexicon.names)
    assert lexicon.names[row["truth"]] == topics[0]
    if row["label"] < 0:
        assert row["votes"] == ""
    else:
        assert sorted(row["votes"].split("|")) == sorted(topics)
        assert lexicon.names[row["label"]] == row["votes"].split("|")[0]


# ---- what is stated about the corpus ----


def test_ninety_topics_with_flat_names(corpus):
    assert (corpus.name, corpus.language, corpus.n_classes) == ("newswire", "en", 90)
    assert all(re.fullmatch(r"[a-z-]+", name) for name in corpus.label_names)
    assert set(corpus.platforms) == {"newswire"} and set(corpus.table.status) == {"core"}


def test_two_topics_have_half_of_the_items_and_the_tail_falls_like_zipf(raw, lexicon):
    counts = raw.truth.value_counts()
    assert [lexicon.names[topic] for topic in counts.index[:2]] == ["earn", "acq"]
    assert 0.46 < counts.iloc[:2].sum() / SIZE < 0.56
    assert len(counts) > 80 and counts.iloc[60:].sum() < 0.05 * SIZE
    rank, weight = np.arange(3, 81), -np.sort(-np.array([*np.diff((0, *lexicon.weights.cumulative))]))[2:80]
    assert -1.7 < np.polyfit(np.log(rank), np.log(weight), 1)[0] < -1.1


def test_a_quarter_of_the_rows_is_unlabelled_and_keeps_its_truth(corpus):
    unlabelled = corpus.table[corpus.table.split == "unlabelled"]
    assert 0.22 < len(unlabelled) / SIZE < 0.28
    assert (unlabelled.label == -1).all() and (unlabelled.truth >= 0).all() and (unlabelled.votes == "").all()
    assert (corpus.table[corpus.table.split != "unlabelled"].label >= 0).all()


def test_a_sixth_of_the_items_has_several_related_topics(labelled, lexicon):
    assert 0.14 < len(several(labelled)) / len(labelled) < 0.20
    numbers = several(labelled).votes.str.split("|").map(len).value_counts(normalize=True)
    assert numbers[2] > 0.5 and numbers[3] > numbers.get(4, 0) > 0 and numbers.index.max() <= 5
    together = several(labelled).votes.str.split("|")
    assert (together.map(set) >= {"grain", "wheat"}).sum() > 10


def test_the_first_topic_is_an_ambiguous_label_in_a_known_share(labelled):
    wrong = labelled.label != labelled.truth
    assert 0.18 < wrong[several(labelled).index].mean() < 0.28
    assert 0.025 < wrong.mean() < 0.05
    assert not wrong.drop(several(labelled).index).any()


def test_listings_come_in_several_orders(raw):
    rows = several(raw)
    as_treated, alphabetical = (
        rows.votes == rows.treated,
        rows.votes.str.split("|").map(lambda each: each == sorted(each)),
    )
    assert 0.5 < as_treated.mean() < 0.9
    assert 0.45 < alphabetical.mean() < 0.85
    assert (~as_treated & ~alphabetical).mean() > 0.01


def test_most_items_are_short_and_a_few_are_long(corpus):
    lengths = corpus.table.text.str.split().map(len)
    assert (lengths < 250).mean() > 0.95
    assert 60 <= lengths.median() <= 90
    assert 350 < lengths.max() <= 520


def test_half_of_the_earnings_are_tables(raw, lexicon):
    earnings = raw[(raw.treated == "earn")]
    assert 0.45 < earnings.text.str.contains("\n.*\n").mean() < 0.6
    takeovers = raw[raw.treated == "acq"]
    assert not takeovers.text.str.contains("\n.*\n").any()


# ---- phenomena ----


def test_names_of_topics_give_nothing_away(raw):
    """Many items that name a topic are about another, and many about a topic never use its plain name."""
    for topic, word in {"gold": "gold", "wheat": "wheat", "copper": "copper", "corn": "corn|maize"}.items():
        named = raw.text.str.contains(rf"\b(?:{word})\b", flags=re.IGNORECASE)
        about = raw.treated.str.contains(rf"\b{topic}\b")
        assert (named & ~about).sum() > 0.3 * named.sum()
        assert (about & ~named).sum() > 0.08 * about.sum()


def test_the_headline_is_about_the_truth(lexicon):
    """A plain name in a headline, other than in the name of a company, is one of the true topic."""
    seen = 0
    for index in range(1500):
        row = write(2, index, lexicon)
        if found := re.match(r"(?:HIGHER PRICES SEEN FOR|QUIET MARKET FOR|TRADERS WARY ON) (.+)\n", row["text"]):
            own = lexicon.topics[lexicon.names[row["truth"]]]
            assert found[1].lower() in own.names.items + own.aliases.items
            seen += 1
    assert seen > 20


# ---- how hard it is ----


def test_a_linear_model_is_neither_at_the_ceiling_nor_at_the_floor(corpus):
    train, test = corpus.rows("train"), corpus.rows("test")
    train, none = train[train.label >= 0], np.array([], dtype=np.int64)
    scores = linear_svm([*train.text], train.label.to_numpy(), [], none, [*test.text], corpus.n_classes, "en")
    predicted, labels = scores.argmax(axis=1), test.label.to_numpy()
    accuracy = (predicted == labels).mean()
    macro = f1_score(labels, predicted, average="macro", labels=np.unique(labels))
    assert 0.80 < accuracy < 0.93
    assert 0.40 < macro < accuracy - 0.15
    listed = [corpus.label_names[topic] in votes.split("|") for topic, votes in zip(predicted, test.votes, strict=True)]
    assert np.mean(listed) > accuracy + 0.01  # some of its errors are other topics of the same item


# ---- the files that a teacher edits ----


def test_a_new_word_changes_the_corpus(folder):
    before = generate(300, folder=folder)
    edit(folder, "topics.yaml", lambda tree: tree["earn"]["tells"].insert(0, "<company> had a jolly year"))
    after = generate(300, folder=folder)
    assert not before.table.text.str.contains("had a jolly year").any()
    assert after.table.text.str.contains("had a jolly year").any()
    assert after.checksum != before.checksum == generate(300).checksum


def test_a_topic_may_be_added(folder):
    edit(
        folder, "topics.yaml", lambda tree: tree.update({"honey": {**tree["tea"], "weight": 9000, "names": ["honey"]}})
    )
    corpus = generate(300, folder=folder)
    assert corpus.n_classes == 91
    assert (corpus.table.truth == 90).mean() > 0.3


def test_shares_follow_the_file(folder):
    def change(tree):
        tree.update(unlabelled=0, order={"prominence": 1, "alphabetical": 0, "arbitrary": 0})

    edit(folder, "style.yaml", change)
    table = generate(400, folder=folder).table
    assert (table.label == table.truth).all()


SPOILED = {
    "missing key": ("topics.yaml", lambda t: t["tea"].pop("aliases"), r"tea.*lacks the key aliases"),
    "missing section": ("style.yaml", lambda t: t.pop("links"), r"lacks the key links"),
    "unknown key": ("kinds.yaml", lambda t: t["groups"]["softs"].update(size=1), r"softs.*unknown key 'size'"),
    "unknown slot": ("topics.yaml", lambda t: t["tea"]["tells"].append("<nobody> left"), r"tea.*tells.*nobody"),
    "slot in a name": ("topics.yaml", lambda t: t["tea"]["names"].append("<it>"), r"tea.*names.*found it.*no slot"),
    "unknown group": ("topics.yaml", lambda t: t["tea"].update(group="hot"), r"tea.*group.*hot.*softs"),
    "unknown kind": ("kinds.yaml", lambda t: t["groups"]["softs"].update(kind="odd"), r"softs.*kind.*odd.*commodity"),
    "unknown topic": ("topics.yaml", lambda t: t["tea"]["related"].append("mead"), r"tea.*related.*mead"),
    "related to itself": ("topics.yaml", lambda t: t["tea"]["related"].append("tea"), r"tea.*related.*found tea"),
    "number for text": ("kinds.yaml", lambda t: t["kinds"]["freight"]["leads"].append(7), r"freight.*leads.*7"),
    "text for number": ("topics.yaml", lambda t: t["tea"].update(weight="some"), r"tea.*weight.*'some'.*number"),
    "negative number": ("style.yaml", lambda t: t["chances"].update(link=-1), r"link.*-1"),
    "empty list": ("topics.yaml", lambda t: t["tea"].update(tells=[]), r"tea.*tells"),
    "word as size": ("kinds.yaml", lambda t: t["kinds"]["freight"]["sizes"].update(few=2), r"sizes.*few.*0 to"),
    "least above most": ("style.yaml", lambda t: t["numbers"]["day"].update(least=40), r"day.*least.*40.*0 to 28"),
    "flatness of 0": ("style.yaml", lambda t: t.update(flatness=0), r"flatness.*0.*1 to"),
    "slot in itself": ("style.yaml", lambda t: t["slots"]["firm"].append("<firm>"), r"slots.*firm.*found firm"),
    "slot round a circle": ("style.yaml", lambda t: t["slots"]["land"].append("<country>"), r"land.*found country"),
    "name taken": ("style.yaml", lambda t: t["slots"].update(it=["x"]), r"slots.*it is already"),
    "unknown constant": ("style.yaml", lambda t: t["same_throughout"].append("dragon"), r"same_throughout.*dragon"),
}


@pytest.mark.parametrize("case", SPOILED)
def test_a_malformed_file_is_refused_with_file_and_key(folder, case):
    name, change, message = SPOILED[case]
    edit(folder, name, change)
    with pytest.raises(InputError, match=message) as caught:
        generate(10, folder=folder)
    assert name in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["a: [1, 2", "", "- a\n- b\n", "\x00"])
def test_a_file_that_is_no_mapping_is_refused(folder, content):
    (folder / "kinds.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=r"kinds\.yaml"):
        generate(10, folder=folder)


def test_a_missing_file_is_named(folder):
    (folder / "topics.yaml").unlink()
    with pytest.raises(InputError, match=r"topics\.yaml"):
        generate(10, folder=folder)


@pytest.mark.parametrize("size", [0, -3])
def test_a_size_below_one_is_refused(size):
    with pytest.raises(InputError, match=rf"size is {size}"):
        generate(size)


def test_a_single_item_is_a_corpus():
    corpus = generate(1)
    assert len(corpus) == 1 and normalise(corpus.table.text[0])
