"""The generated travel reviews: the process, its reproducibility, and how hard they are."""

import hashlib
import re
import shutil
from itertools import pairwise

import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from paperkit import paths
from paperkit.corpora.corpus import leaks, normalise
from paperkit.corpora.lexicon import Pool
from paperkit.corpora.reviews import Lexicon, generate, write
from paperkit.errors import InputError
from paperkit.seeds import python_generator
from paperkit.text.words import cut

SIZE = 6000
# of 400 raw rows, and of the corpus from them: a change of the texts is told apart from one of what is done with them
RAW_400 = "263ab407cbf4e9140d92d36f08df506869d6543a5a689770cf44852533faa831"
CHECKSUM_400 = "48deffa7b49750ccc647ffdffa8629fcf49de9e8e867d182b8629152612d9387"


@pytest.fixture(scope="module")
def lexicon():
    return Lexicon(paths.DATA / "reviews")


@pytest.fixture(scope="module")
def aspects():
    return yaml.safe_load((paths.DATA / "reviews" / "aspects.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def corpus():
    return generate(SIZE)


@pytest.fixture(scope="module")
def raw(lexicon):
    """Raw rows with their form, before anything is dropped."""
    return pd.DataFrame([write(0, index, lexicon) for index in range(SIZE)])


@pytest.fixture(scope="module")
def core(corpus):
    table = corpus.table[corpus.table.status == "core"].copy()
    table["words"] = [cut(text, "zh") for text in table.text]
    return table


@pytest.fixture
def folder(tmp_path):
    """A copy of the lexicon that a test may spoil."""
    return shutil.copytree(paths.DATA / "reviews", tmp_path / "reviews")


def edit(folder, name, change):
    tree = yaml.safe_load((folder / name).read_text(encoding="utf-8"))
    change(tree)
    (folder / name).write_text(yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8")


def svm(analyzer, grams):
    return make_pipeline(
        TfidfVectorizer(analyzer=analyzer, ngram_range=grams, sublinear_tf=True, min_df=2), LinearSVC()
    )


def words_and_pairs(words):
    return [*words, *map(" ".join, pairwise(words))]


# ---- reproducibility ----


def test_same_seed_same_bytes_on_every_machine(lexicon):
    texts = "\n".join("\t".join(map(str, write(0, index, lexicon).values())) for index in range(400))
    assert hashlib.sha256(texts.encode()).hexdigest() == RAW_400
    assert generate(400, 0).checksum == CHECKSUM_400


def test_a_review_does_not_depend_on_the_size_of_the_corpus(corpus):
    small, large = generate(400).table.set_index("id"), corpus.table.set_index("id")
    assert len(small) > 350
    columns = ["text", "truth", "platform", "votes"]
    assert small[columns].equals(large.loc[small.index, columns])


def test_another_seed_gives_other_reviews(core):
    other = generate(400, seed=1).table
    other = other[other.status == "core"]
    assert other.text.isin(core.text).mean() < 0.02
    assert set(other.platform) == {"ctrip", "qunar"}


def test_no_text_stands_in_two_splits(corpus):
    assert leaks(corpus).empty
    assert set(corpus.table.split) == {"train", "dev", "test"}


@given(seed=st.integers(0, 2**31), index=st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_every_row_is_well_formed(lexicon, seed, index):
    row = write(seed, index, lexicon)
    assert not re.search(r"[<>@{}]", row["text"])
    assert len(row["text"]) <= lexicon.style["longest"]
    assert re.fullmatch("[01]{3}", row["votes"]) and row["label"] == int(row["votes"].count("1") > 1)
    assert row["truth"] in ((-1,) if row["form"] in lexicon.style["non_core"] else (0, 1))


# ---- what is stated about the corpus ----


def test_positives_are_about_three_times_the_negatives_on_both_sites(corpus, core):
    assert (corpus.name, corpus.language, corpus.label_names) == ("reviews", "zh", ("negative", "positive"))
    assert 2.7 < (core.label == 1).sum() / (core.label == 0).sum() < 3.3
    for _, rows in core.groupby("platform"):
        assert 2.5 < (rows.label == 1).sum() / (rows.label == 0).sum() < 3.6
    assert sorted(corpus.platforms) == ["ctrip", "qunar"]
    assert 0.48 < (core.platform == "ctrip").mean() < 0.56


def test_labels_are_wrong_in_three_to_five_of_a_hundred(core):
    assert 0.03 < (core.label != core.truth).mean() < 0.052


def test_reviews_without_sentiment_survive_in_a_known_share(corpus, raw, lexicon):
    assert abs((raw.truth < 0).mean() - lexicon.style["per_mille"]["non_core"] / 1000) < 0.015
    kinds = corpus.table.status.value_counts()
    assert 0.04 < 1 - kinds["core"] / len(corpus) < 0.07
    assert {"default praise", "no Han character", "too short", "only interjections", "placeholder"} <= set(kinds.index)
    empty, equal = (
        next(note.count for note in corpus.notes if note.reason.startswith(what))
        for what in ("no letter or digit in the text:", "duplicate text:")
    )
    assert empty > 30 and equal > 100
    assert (corpus.table[corpus.table.status == "default praise"].label == 0).any()  # both classes have some


def test_written_reviews_are_core_and_the_others_are_not(corpus):
    table = corpus.table[corpus.table.status != "contradicting"]
    assert ((table.truth >= 0) == (table.status == "core")).all()


def test_lengths_are_those_of_the_paper(core):
    lengths = core.words.map(len)
    assert 150 <= lengths.max() <= 169
    assert lengths.quantile(0.1) >= 10 and lengths.quantile(0.9) <= 50
    ctrip, qunar = (lengths[core.platform == site] for site in ("ctrip", "qunar"))
    assert ctrip.median() > 1.3 * qunar.median()


def test_the_vocabulary_is_rich_and_falls_like_zipf(core):
    counts = core.words.explode().value_counts()
    assert len(counts) > 2000
    assert counts.iloc[:100].sum() > 0.4 * counts.sum()
    assert (counts <= 5).mean() > 0.15


def test_each_site_has_words_of_its_own(core):
    words = {site: set(rows.words.explode()) for site, rows in core.groupby("platform")}
    assert {"颇为", "宜人", "然而"} <= words["ctrip"] - words["qunar"]
    assert {"超级", "讲真", "避雷"} <= words["qunar"] - words["ctrip"]


# ---- phenomena ----


def test_annotators_disagree_where_the_reading_is_hard(raw):
    split = ~raw.votes.isin(["000", "111"])
    rate = split.groupby(raw.form).mean()
    for form in ("contrast", "concession", "afterthought", "reported", "remark", "structured"):
        assert rate[form] > 1.7 * rate["plain"]
    assert rate["undecided"] > 0.5 > rate["implicit"] > rate["plain"]


def sides(raw, aspects, form, turns):
    """Polarity of the fixed phrases before and after a turn, for rows of a form that hold some on both sides."""
    phrases = {
        phrase.partition("@")[0]: 1 if side == "positive" else -1
        for aspect in aspects.values()
        for side in ("positive", "negative")
        for phrase in aspect[side]["phrases"]
        if "<" not in phrase
    }
    for row in raw[raw.form == form].itertuples():
        parts = re.split(turns, row.text, maxsplit=1)
        found = [{sign for phrase, sign in phrases.items() if phrase in part} for part in parts]
        if len(parts) == 2 and all(len(signs) == 1 for signs in found):
            yield *(signs.pop() for signs in found), 2 * row.truth - 1


def test_order_decides(raw, aspects):
    """Both forms put words of both polarities round a connective; what is ruled by the first and by the last differs."""
    contrast = list(sides(raw, aspects, "contrast", "但是|不过|可是|然而|，但"))
    assert {truth for *_, truth in contrast} == {-1, 1}
    obeyed = [before == -truth and after == truth for before, after, truth in contrast]
    assert len(obeyed) > 15 and sum(obeyed) > 0.9 * len(obeyed)  # a second sentence may report the opposite
    afterthought = list(sides(raw, aspects, "afterthought", "例外，|唯一|顺带|另外说|美中不足|吐槽|硬要|非要|勉强"))
    assert len(afterthought) > 3 and all(before == truth for before, _, truth in afterthought)


def test_a_concession_comes_first_or_last(raw):
    concession = raw[(raw.form == "concession") & raw.text.str.contains("虽然")]
    after = concession.text.str.contains("，虽然")
    assert 0.1 < after.mean() < 0.9
    for rows in (concession[after], concession[~after]):
        assert rows.truth.nunique() == 2


def test_a_negation_turns_words_round(raw):
    """不贵 praises, 很贵 blames, and so does 不是一般的贵, although it holds 不."""
    adjective = "(?:贵|脏|挤|陡|难吃|敷衍|单调|麻烦|无聊)"
    plain = raw[raw.form.isin(["plain", "negated"])]
    positive = {
        degree: plain[plain.text.str.contains(f"(?:{degree}){adjective}")].truth
        for degree in (
            "不|不算|没有想象中那么|谈不上",
            "很|非常|太|特别",
            "不是一般的|没见过这么|别提有多么|不能更",
        )
    }
    denied, asserted, emphatic = positive.values()
    assert min(map(len, (denied, asserted))) > 50 and len(emphatic) > 5
    assert denied.mean() > 0.95 and asserted.mean() < 0.15 and emphatic.mean() < 0.3


def test_irony_praises_what_is_bad(raw):
    praise = "不愧是五星景区|真是太|必须给个五星"
    ironic, sincere = (raw[(raw.form == form) & raw.text.str.contains(praise)] for form in ("remark", "sincere"))
    assert len(ironic) > 10 and (ironic.truth == 0).all()
    assert len(sincere) > 10 and (sincere.truth == 1).all()
    mock = raw[(raw.form == "remark") & raw.text.str.contains("差评|太过分了|千万别来")]
    assert len(mock) > 10 and (mock.truth == 1).all()


def test_implicit_reviews_are_made_of_facts(raw, aspects):
    pieces = {
        side: [
            re.compile(".+".join(map(re.escape, re.split(r"<\w+>", fact))))
            for aspect in aspects.values()
            for fact in aspect[side]["facts"]
        ]
        for side in ("negative", "positive")
    }
    for truth, side in enumerate(pieces):
        texts = raw[(raw.form == "implicit") & (raw.truth == truth)].text.head(60)
        stated = [any(piece.search(text) for piece in pieces[side]) for text in texts]
        assert len(stated) == 60 and sum(stated) >= 57  # a misspelling may hide one


# ---- how hard it is ----


@pytest.mark.parametrize(
    ("column", "analyzer", "grams"), [("words", words_and_pairs, (1, 1)), ("text", "char", (1, 3))]
)
def test_a_linear_model_stays_below_the_ceiling(core, column, analyzer, grams):
    small = core[core.id.isin([f"reviews:{index}" for index in range(3000)])]
    train, test = small[small.split == "train"], small[small.split == "test"]
    model = svm(analyzer, grams).fit(train[column], train.label)
    accuracy = (model.predict(test[column]) == test.label).mean()
    assert 0.80 < accuracy < 0.93
    assert accuracy > (test.label == 1).mean() + 0.03  # the majority class


def test_a_linear_model_loses_on_the_other_site(core):
    train, test = core[core.split != "test"], core[core.split == "test"]
    qunar = core[core.platform == "qunar"]
    ctrip = train[train.platform == "ctrip"]
    model = svm("char", (1, 3)).fit(ctrip.text, ctrip.label)
    same = test[test.platform == "ctrip"]
    drop = (model.predict(same.text) == same.label).mean() - (model.predict(qunar.text) == qunar.label).mean()
    assert 0.01 < drop < 0.10


# ---- the files that a teacher edits ----


def test_a_new_word_changes_the_corpus(folder):
    before = generate(300, folder=folder)
    edit(folder, "aspects.yaml", lambda tree: tree["scenery"]["positive"]["adjectives"].insert(0, "空灵"))
    after = generate(300, folder=folder)
    assert not before.table.text.str.contains("空灵").any()
    assert after.table.text.str.contains("空灵").any()
    assert after.checksum != before.checksum == generate(300).checksum


def test_a_word_may_belong_to_one_site(folder):
    edit(folder, "aspects.yaml", lambda tree: tree["scenery"]["positive"]["adjectives"].insert(0, "空灵@qunar"))
    table = generate(600, folder=folder).table
    assert set(table[table.text.str.contains("空灵")].platform) == {"qunar"}


def test_shares_follow_the_file(folder):
    edit(folder, "style.yaml", lambda tree: tree["per_mille"].update(non_core=0, ctrip=900, negative=500))
    table = generate(600, folder=folder).table
    assert (table.truth >= 0).all()
    assert (table.platform == "ctrip").mean() > 0.85
    assert 0.42 < (table.truth == 0).mean() < 0.58


SPOILED = {
    "missing key": ("aspects.yaml", lambda t: t["food"].pop("neutral"), r"food.*lacks the key neutral"),
    "missing section": ("style.yaml", lambda t: t.pop("turns"), r"lacks the key turns"),
    "unknown key": ("style.yaml", lambda t: t["turns"].update(sideways=["x"]), r"turns.*unknown key 'sideways'"),
    "unknown slot": ("aspects.yaml", lambda t: t["food"]["subjects"].append("<nothing>"), r"food.*subjects.*nothing"),
    "unknown site": (
        "aspects.yaml",
        lambda t: t["food"]["subjects"].append("菜@mafengwo"),
        r"subjects.*mafengwo.*ctrip",
    ),
    "one site only": ("style.yaml", lambda t: t.update(joiners=["，@ctrip"]), r"joiners.*ctrip"),
    "number for text": ("style.yaml", lambda t: t["joiners"].append(666), r"joiners.*666"),
    "text for number": ("style.yaml", lambda t: t.update(longest="long"), r"longest.*'long'.*number"),
    "negative number": ("style.yaml", lambda t: t["per_mille"].update(ctrip=-1), r"ctrip.*-1"),
    "truth value": ("style.yaml", lambda t: t.update(longest=True), r"longest.*True"),
    "empty list": ("aspects.yaml", lambda t: t["food"].update(subjects=[]), r"food.*subjects"),
    "word for list": ("aspects.yaml", lambda t: t["food"].update(subjects="菜"), r"food.*subjects.*list"),
    "unknown aspect": ("style.yaml", lambda t: t["remarks"]["about"].append("dragons"), r"about.*dragons.*scenery"),
    "name taken": ("style.yaml", lambda t: t["slots"].update(scenery=["山"]), r"slots.*scenery is also an aspect"),
    "unknown constant": ("style.yaml", lambda t: t["same_throughout"].append("dragon"), r"same_throughout.*dragon"),
}


@pytest.mark.parametrize("case", SPOILED)
def test_a_malformed_file_is_refused_with_file_and_key(folder, case):
    name, change, message = SPOILED[case]
    edit(folder, name, change)
    with pytest.raises(InputError, match=message) as caught:
        generate(10, folder=folder)
    assert name in str(caught.value)


@pytest.mark.parametrize("content", ["a: [1, 2", "", "- a\n- b\n", "\x00"])
def test_a_file_that_is_no_mapping_is_refused(folder, content):
    (folder / "style.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=r"style\.yaml"):
        generate(10, folder=folder)


def test_a_missing_file_is_named(folder):
    (folder / "aspects.yaml").unlink()
    with pytest.raises(InputError, match=r"aspects\.yaml"):
        generate(10, folder=folder)


def test_slots_that_fill_each_other_are_refused(folder):
    edit(folder, "style.yaml", lambda tree: tree["slots"].update(stem=["<kind>"], kind=["<stem>"]))
    with pytest.raises(InputError, match="slots fill each other in a circle"):
        generate(30, folder=folder)


def test_weights_that_are_all_zero_are_refused(folder):
    edit(folder, "style.yaml", lambda tree: tree["clauses"].update(dict.fromkeys(tree["clauses"], 0)))
    with pytest.raises(InputError, match=r"adjective, .*all 0"):
        generate(10, folder=folder)


@pytest.mark.parametrize("size", [0, -3])
def test_a_size_below_one_is_refused(size):
    with pytest.raises(InputError, match=rf"size is {size}"):
        generate(size)


def test_a_pool_draws_by_weight():
    rng, pool = python_generator(0, "pool"), Pool({"often": 9, "never": 0, "rarely": 1})
    drawn = [pool.draw(rng) for _ in range(4000)]
    assert "never" not in drawn
    assert 0.08 < drawn.count("rarely") / 4000 < 0.12


def test_a_single_review_is_a_corpus():
    corpus = generate(1)
    assert len(corpus) == 1 and normalise(corpus.table.text[0])
