"""A user's own table: what is accepted, and what is said about it."""

import csv
import datetime
import gzip

import pandas as pd
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from paperkit.corpora.corpus import leaks, normalise
from paperkit.corpora.pools import pools
from paperkit.corpora.sheet import _decoded
from paperkit.corpora.table import LONGEST, in_order, read
from paperkit.errors import InputError
from paperkit.training.execute import training_rows
from paperkit.training.methods import Method
from tests.corpora.tables import FRAME, GOOD, OBJECTS, lines, parquet, table, workbook, write


def load(tmp_path, content, name="t.csv", **columns):
    return read(write(tmp_path / name, content), **columns)


def notes(corpus) -> dict[str, tuple[int, str]]:
    return {note.reason: (note.count, note.detail) for note in corpus.notes}


def texts_of(corpus) -> list[str]:
    return corpus.table.text.tolist()


SAME = {
    "utf-8": ("t.csv", table().encode()),
    "utf-8-sig": ("t.csv", table().encode("utf-8-sig")),
    "utf-16": ("t.csv", table().encode("utf-16")),
    "utf-16-be": ("t.csv", b"\xfe\xff" + table().encode("utf-16-be")),
    "LF": ("t.csv", table().replace("\r\n", "\n").encode()),
    "CR": ("t.csv", table().replace("\r\n", "\r").encode()),
    "blank lines": ("t.csv", (table() + "\n\n,\n   \n").encode()),
    "semicolon": ("t.csv", table(delimiter=";").encode()),
    "tab in .csv": ("t.csv", table(delimiter="\t").encode()),
    "TSV": ("t.tsv", table(delimiter="\t").encode()),
    "upper case suffix": ("t.CSV", table().encode()),
    "gzip": ("t.csv.gz", gzip.compress(table().encode())),
    "JSONL": ("t.jsonl", lines(*OBJECTS, "").encode()),
    "JSONL with BOM and CR": ("t.ndjson", ("\ufeff" + lines(*OBJECTS).replace("\n", "\r")).encode()),
    "JSONL packed": ("t.jsonl.gz", gzip.compress(lines(*OBJECTS).encode())),
    "Parquet": ("t.parquet", parquet(FRAME)),
    "categorical Parquet": ("t.parquet", parquet(FRAME.astype({"label": "category"}))),
    "XLSX": ("t.xlsx", workbook([("text", "label"), *GOOD])),
    "blanks around names": ("t.csv", table(header=" text ,label\t").encode()),
    "blanks around labels": ("t.csv", table([(text, f"  {label}\t") for text, label in GOOD]).encode()),
    "blanks after commas": (
        "t.csv",
        "\n".join(f'"{text}", "{label}"' for text, label in [("text", "label"), *GOOD]).encode(),
    ),
    "mark in the middle": ("t.csv", table().replace("text number 7,", '\ufeff"text number 7",').encode()),
    "unnamed column": ("t.csv", table([(n, *row) for n, row in enumerate(GOOD)], ",text,label").encode()),
    "empty JSON key": ("t.jsonl", lines(*({"": 1, **each} for each in OBJECTS)).encode()),
    "other columns nested": ("t.jsonl", lines(*({**each, "meta": {"a": [1]}} for each in OBJECTS)).encode()),
}


@pytest.mark.parametrize("case", SAME)
def test_the_same_table_in_many_forms_is_the_same_corpus(case, tmp_path):
    name, content = SAME[case]
    corpus = load(tmp_path, content, name)
    plain = load(tmp_path, table(), "plain.csv")
    assert texts_of(corpus) == [text for text, _ in GOOD]
    assert corpus.label_names == ("a", "b")
    for column in ("label", "split", "status"):
        assert corpus.table[column].tolist() == plain.table[column].tolist()
    assert corpus.language == "en" and corpus.name == "t" and corpus.table.id.is_unique


def test_gb18030_is_tried_and_said(tmp_path):
    rows = [(f"房间很好，第{n}次来", "好评" if n % 3 else "差评") for n in range(40)]
    corpus = load(tmp_path, table(rows, "评论,情感").encode("gb18030"))
    assert corpus.language == "zh"
    assert corpus.label_names == ("差评", "好评")
    assert notes(corpus)["rows read"] == (40, "CSV, gb18030, comma")
    assert notes(corpus)["column used as text"][1].startswith("评论, guessed")


@pytest.mark.parametrize(
    "texts",
    [
        ["WiFi很好", "A座", "B座", "下次来", "T恤L码"],
        ["A座", "B座", "C座", "D座", "E座"],
        ["這間A棟很髒", "WiFi慢", "價錢貴", "服務態度差", "種類多"],
        ["a café", "naïveté", "a résumé", "touché", "Zoë"],  # gb18030 has accented letters of its own, for pinyin
        ["“good”", "good — bad", "good…", "5 °C", "fine"],
    ],
    ids=["mixed", "single characters in words", "traditional", "accented", "no letters"],
)
@pytest.mark.parametrize("times", [1, 40])
def test_gb18030_with_latin_letters_is_read(tmp_path, texts, times):
    read_back, encoding = _decoded(tmp_path, table([(text, "a") for text in texts] * times).encode("gb18030"))
    assert encoding == "gb18030" and all(text in read_back for text in texts)


def test_given_columns_are_said_without_guess(tmp_path):
    corpus = load(tmp_path, table(header="x,y"), text="x", label="y")
    assert notes(corpus)["column used as text"] == (40, "x")


@pytest.mark.parametrize("header", ["Review,Class", "评论内容,标签", "q1,q2", "Review_Text,STARS"])
def test_columns_are_guessed_by_name_or_content(tmp_path, header):
    rows = [(text, label, n) for n, (text, label) in enumerate(GOOD)]
    corpus = load(tmp_path, table(rows, header + ",number"))
    assert [notes(corpus)[f"column used as {role}"][1].split(",")[0] for role in ("text", "label")] == header.split(",")


def test_a_wanted_column_decides_the_delimiter(tmp_path):
    rows = [(f"{text}, and, so, on", label) for text, label in GOOD]
    content = table(rows, "my text,label", ";").replace("label", "label, of many, words", 1)
    assert texts_of(load(tmp_path, content, text="my text"))[0] == "text number 0, and, so, on"


@pytest.mark.parametrize(
    ("names", "order"),
    [
        ({"1", "0"}, ("0", "1")),
        ({"positive", "negative"}, ("negative", "positive")),
        ({"Neg", "POS"}, ("Neg", "POS")),
        ({"好评", "差评"}, ("差评", "好评")),
        ({"正面", "负面"}, ("负面", "正面")),
        ({"积极", "消极"}, ("消极", "积极")),
        ({"-1", "1"}, ("-1", "1")),
        ({"good", "bad", "fair"}, ("bad", "fair", "good")),
        ({"10", "9", "-2"}, ("-2", "9", "10")),
        ({"class 10", "class 9", "Class 1"}, ("Class 1", "class 9", "class 10")),
        ({"1", "a", "2b", "²", "9" * 5000}, ("1", "2b", "9" * 5000, "a", "²")),
    ],
)
def test_order_of_class_names(names, order):
    assert in_order(names) == order


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (("0", "1"), ("0", "1")),
        (("0.0", "1.0"), ("0", "1")),
        (("True", "false"), ("0", "1")),
        (("1.0", "2.5"), ("1.0", "2.5")),
        (("01", "02"), ("01", "02")),
    ],
)
def test_numeric_labels(tmp_path, labels, names):
    corpus = load(tmp_path, table([(text, labels[n % 2]) for n, (text, _) in enumerate(GOOD)]))
    assert corpus.label_names == names


def test_labels_that_look_equal_are_one_class(tmp_path):
    labels = ["café", "cafe\u0301", "tea", "tea\u200b", "\u2066te\u00ada\u2069", "caf\u0001é", "tea \u200b", "\u200b"]
    corpus = load(tmp_path, table([(f"text {n}", labels[n % 8]) for n in range(80)]))
    assert corpus.label_names == ("café", "tea")
    assert corpus.table.label.tolist() == [0, 0, 1, 1, 1, 0, 1, -1] * 10
    reason = "label with invisible or decomposed letters: taken as it looks"
    assert notes(corpus)[reason][0] == 60
    assert reason not in notes(load(tmp_path, table([(text, f" {label} é ") for text, label in GOOD])))


def test_a_label_that_may_stand_for_none_is_a_class_and_said(tmp_path):
    written = ["NaN", "None", "null", "N/A", "NA", "#N/A"]
    corpus = load(tmp_path, table([(f"text {n}", [*written, "nano", ""][n % 8]) for n in range(80)]))
    assert corpus.label_names == ("#N/A", "N/A", "NA", "NaN", "nano", "None", "null")
    reason = "label that may stand for none is taken as a class: leave the cell empty for unlabelled rows"
    assert notes(corpus)[reason] == (60, "#N/A, N/A, NA, NaN, None, null")
    assert reason not in notes(load(tmp_path, table()))


@pytest.mark.parametrize("labels", [[0, 1], [0.0, 1.0], [False, True]])
def test_numeric_labels_of_typed_formats(tmp_path, labels):
    values = [labels[n % 2] for n in range(40)]
    as_parquet = load(tmp_path, parquet(FRAME.assign(label=values)), "t.parquet")
    as_sheet = load(tmp_path, workbook([("text", "label"), *zip(FRAME.text, values, strict=True)]), "t.xlsx")
    as_json = load(tmp_path, lines(*({"text": f"t {n}", "label": v} for n, v in enumerate(values))), "t.jsonl")
    for corpus in (as_parquet, as_sheet, as_json):
        assert corpus.label_names == ("0", "1")
        assert corpus.table.label.tolist() == [0, 1] * 20


def test_missing_values_of_typed_formats_are_unlabelled(tmp_path):
    frame = FRAME.assign(label=[float("nan") if n < 4 else float(n % 2) for n in range(40)])
    corpus = load(tmp_path, parquet(frame), "t.parquet")
    assert (corpus.table.split == "unlabelled").sum() == 4
    assert notes(corpus)["row without a label: unlabelled"][0] == 4


def test_texts_that_are_not_strings(tmp_path):
    odd = [1, 2.5, None, True, datetime.datetime(2024, 5, 1), datetime.datetime(2024, 5, 1, 12, 30)]
    content = workbook([("text", "label"), *GOOD, *((value, "a") for value in odd)], [("another", "sheet")])
    corpus = load(tmp_path, content, "t.xlsx")
    assert texts_of(corpus)[40:] == ["1", "2.5", "2024-05-01", "2024-05-01 12:30:00"]
    assert notes(corpus)["rows read"][1] == "XLSX, sheet 'Sheet1', the first of 2"
    assert notes(corpus)["no letter or digit in the text: dropped"][0] == 1
    assert notes(corpus)["duplicate text: one kept"][0] == 1


def test_formulas_and_markup_stay_data(tmp_path):
    odd = ['=HYPERLINK("http://x","y")', "<script>alert(1)</script>", "=1+1", "| a | b |", "${x} $$ \\input{y}"]
    rows = [*GOOD, *((text, "a") for text in odd)]
    assert texts_of(load(tmp_path, table(rows)))[40:] == odd


def test_a_workbook_may_hold_anything_in_columns_that_are_not_used(tmp_path):
    rows = [("text", "label", "other"), *((*row, ["=1+1", "#N/A", "merged", ""][n % 4]) for n, row in enumerate(GOOD))]
    content = workbook(rows, merge=["C4:C5", "C40:D41", "E2:E9", "A43:A50", "C1:D1"])
    corpus = load(tmp_path, content, "t.xlsx", text="text", label="label")
    assert texts_of(corpus) == [text for text, _ in GOOD]
    assert corpus.label_names == ("a", "b") and (corpus.table.label >= 0).all()


def test_huge_quoted_and_many_line_texts(tmp_path):
    huge = "word " * 100_000
    before = csv.field_size_limit()
    corpus = load(tmp_path, table([*GOOD, (huge, "a"), ('two\nlines, "quoted"\r\nand more', "b")]))
    assert csv.field_size_limit() == before
    assert texts_of(corpus)[40:] == [huge[:LONGEST], 'two\nlines, "quoted"\r\nand more']
    assert notes(corpus)[f"text longer than {LONGEST:,} characters: cut"][0] == 1


def test_json_with_lone_surrogates_and_unusual_line_ends(tmp_path):
    content = lines(
        *OBJECTS, '{"text": "half \\ud83d a \u2028 line", "label": "a"}', '{"text": "x"}', '{"label": null}'
    )
    corpus = load(tmp_path, content, "t.jsonl")
    assert texts_of(corpus)[40:] == ["half \ufffd a \u2028 line", "x"]
    assert corpus.table.split.tolist()[-1] == "unlabelled"
    assert len(corpus.checksum) == 64


def test_trees_of_unequal_depth(tmp_path):
    labels = ["a/b/c", "a / b/d", "e", "a/b"]
    corpus = load(tmp_path, table([(text, labels[n % 4]) for n, (text, _) in enumerate(GOOD)]))
    assert corpus.label_names == ("a/b", "a/b/c", "a/b/d", "e")


def test_small_class_is_trained_on_not_tested(tmp_path):
    corpus = load(tmp_path, table([*GOOD, ("only one", "rare")]))
    assert corpus.table[corpus.table.text == "only one"].split.tolist() == ["train"]
    assert notes(corpus)["class too small to split: trained on, not tested"] == (1, "rare")


def test_a_class_whose_rows_are_all_dropped_is_no_class(tmp_path):
    corpus = load(tmp_path, table([*GOOD, ("...", "a ghost")]))
    assert corpus.label_names == ("a", "b")
    assert corpus.table.label.tolist() == [0, 1] * 20


def test_default_praise_is_not_core_but_everything_else_is(tmp_path):
    rows = [(f"第{n}次来，很好", "ab"[n % 2]) for n in range(40)]
    corpus = load(tmp_path, table([*rows, ("该用户默认好评", "a"), ("E404", "a"), ("好", "b")]))
    assert corpus.table.status.tolist()[40:] == ["default praise", "core", "core"]


def test_platforms(tmp_path):
    rows = [(text, label, ["x", " y ", ""][n % 3]) for n, (text, label) in enumerate(GOOD * 2)]
    rows = [(f"{text} {n}", label, platform) for n, (text, label, platform) in enumerate(rows)]
    corpus = load(tmp_path, table(rows, "text,label,Platform"))
    assert set(corpus.table.platform) == {"x", "y", "unknown"}
    assert notes(corpus)["row without a platform: unknown"][0] == 26
    many = [(text, label, f"site {n}") for n, (text, label) in enumerate(GOOD)]
    assert load(tmp_path, table(many, "text,label,platform")).platforms == ("t",)


def test_no_platform_means_the_name_of_the_corpus(tmp_path):
    assert load(tmp_path, table(), "我的 表.csv").platforms == ("我的-表",)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("My table (2).csv", "My-table-2"),
        ("工单.csv.gz", "工单"),
        ("...csv", "table"),
        ("!!!.csv", "table"),
        ("a.b.csv", "a-b"),
        ("reviews.csv", "reviews-table"),
        ("travel.csv", "travel-table"),
        ("x" * 200 + ".csv", "x" * 60),
    ],
)
def test_names_are_safe_for_a_folder(tmp_path, file, name):
    content = gzip.compress(table().encode()) if file.endswith("gz") else table()
    assert load(tmp_path, content, file).name == name


def split_table(*rows) -> str:
    base = [(f"{part} text {n}", "ab"[n % 2], part) for part in ("train", "dev", "test") for n in range(20)]
    return table([*base, *rows], "text,label,split")


def test_given_splits_are_kept(tmp_path):
    corpus = load(tmp_path, split_table(("more", "", "unlabeled")))
    assert corpus.table.split.value_counts().to_dict() == {"train": 20, "dev": 20, "test": 20, "unlabelled": 1}
    assert all(
        text.startswith(split)
        for text, split in zip(corpus.table.text, corpus.table.split, strict=True)
        if text != "more"
    )


@pytest.mark.parametrize(
    "words",
    [
        ("Training", "VALID", "Test"),
        ("训练", "验证", "测试"),
        ("train", "val", "test"),
        ("训练集", "Validation", "测试集"),
    ],
)
def test_names_of_splits(tmp_path, words):
    rows = [(f"text {n}", "ab"[n % 2], words[n % 3]) for n in range(60)]
    corpus = load(tmp_path, table(rows, "text,label,split"))
    assert corpus.table.split.tolist() == ["train", "dev", "test"] * 20


@pytest.mark.parametrize(("given", "carved"), [({"train", "test"}, "dev"), ({"train", "dev"}, "test")])
def test_a_missing_split_is_taken_from_train(tmp_path, given, carved):
    parts = sorted(given)
    rows = [(f"text {n}", "ab"[n // 2 % 2], parts[n % 2]) for n in range(200)]
    corpus = load(tmp_path, table(rows, "text,label,split"))
    was = pd.Series([row[2] for row in rows])
    assert set(corpus.table.split) == {"train", "dev", "test"}
    assert set(was[corpus.table.split == carved]) == {"train"}
    (other,) = given - {"train"}
    assert (corpus.table.split == other).equals(was == other)
    assert notes(corpus)[f"no rows for {carved} given: taken from train"][0] > 0


def test_only_training_rows_are_split_by_the_standard_rule(tmp_path):
    with_column = load(tmp_path, table([(*row, "train") for row in GOOD], "text,label,split"))
    assert with_column.table.split.tolist() == load(tmp_path, table()).table.split.tolist()


def test_texts_of_the_test_split_are_taken_out_of_the_others(tmp_path):
    corpus = load(
        tmp_path,
        split_table(
            ("Test text 0!", "a", "train"),
            ("dev TEXT 1", "b", "train"),
            ("test text 2", "", "unlabelled"),
            ("train text 0", "", ""),
        ).replace("train text 0,,", "train text 0,,unlabelled"),
    )
    assert leaks(corpus).empty and len(corpus) == 60
    assert notes(corpus)["text in two of the given splits: kept in one"] == (
        4,
        "1 from train also in dev, 1 from train also in test, 1 from unlabelled also in test, "
        "1 from unlabelled also in train",
    )
    assert "duplicate text: one kept" not in notes(corpus)


def test_contradicting_copies_leave_the_test_split(tmp_path):
    corpus = load(tmp_path, split_table(("test text 0", "b", "train"), ("test text 1", "a", "test")))
    contradicting = corpus.table[corpus.table.text.isin(["test text 0", "test text 1"])]
    assert contradicting.split.tolist() == ["train", "train"]
    assert leaks(corpus).empty
    _learned_from(corpus, without=contradicting.index)


def test_contradicting_texts_are_not_learned_from(tmp_path):
    corpus = load(tmp_path, table([*GOOD, ("which is it", "a"), ("Which is it?", "b"), ("which is it!", "b")]))
    kept = corpus.table[corpus.table.text.str.lower().str.startswith("which")]
    assert len(kept) == 1
    reason = "same text under different labels: majority label, kept out of training and tests"
    assert notes(corpus)[reason][0] == 1
    _learned_from(corpus, without=kept.index)


def _learned_from(corpus, without) -> None:
    everything = [training_rows(corpus, None, Method("any", classifier="encoder"), 0)]
    divided = pools(corpus, 10)
    everything += [divided.labelled, divided.uda, divided.esimcse, divided.dev, divided.test]
    assert not set(without) & {row for rows in everything for row in rows.tolist()}


def test_a_date_beyond_the_calendar_is_refused_only_where_its_column_is_used(tmp_path):
    import pyarrow
    import pyarrow.parquet

    texts, labels = zip(*GOOD, strict=True)
    columns = {"text": list(texts), "label": list(labels), "day": pyarrow.array([10**9] * len(texts), pyarrow.int32())}
    columns["day"] = columns["day"].cast(pyarrow.date32())
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "t.parquet")
    assert len(read(tmp_path / "t.parquet", "text", "label").table) == len(GOOD)
    with pytest.raises(InputError, match=r"column 'day'.* a value that cannot be read"):
        read(tmp_path / "t.parquet", "text", "day")


def test_a_platform_in_another_script_is_refused(tmp_path):
    """On it no word would be left to train on."""
    russian = [
        ("".join("абвгдежз"[int(digit) % 8] for digit in f"{7919 * n:06d}"), label) for n, (_, label) in enumerate(GOOD)
    ]
    rows = [(*row, "eng") for row in [*GOOD, *((f"{text} again", label) for text, label in GOOD)]]
    rows += [(*row, "rus") for row in russian]
    with pytest.raises(InputError, match="of platform 'rus' of fewer than two classes hold Latin letters"):
        load(tmp_path, table(rows, "text,label,platform"))


def test_a_platform_of_default_praise_alone_is_refused(tmp_path):
    rows = [(f"房间很干净服务不错{n}", "好", "p") for n in range(30)] + [
        (f"房间很脏服务太差{n}", "差", "p") for n in range(30)
    ]
    rows += [(f"该用户默认好评 {n}", "好" if n % 3 else "差", "q") for n in range(24)]
    with pytest.raises(InputError, match="no row of platform 'q' can be trained on, since all are default praise"):
        load(tmp_path, table(rows, "text,label,platform"))


@pytest.mark.parametrize("alphabet", ["абвгдежз", "0123456789"])
def test_texts_of_which_no_words_are_made_are_refused(tmp_path, alphabet):
    rows = [("".join(alphabet[int(digit) % len(alphabet)] for digit in f"{7919 * n:06d}"), label)
            for n, (_, label) in enumerate(GOOD)]  # fmt: skip
    with pytest.raises(InputError, match="fewer than two classes hold Latin letters"):
        load(tmp_path, table(rows))


@pytest.mark.parametrize("mixed", [0, 4])
def test_a_platform_that_says_the_label_is_no_platform(tmp_path, mixed):
    """Nor is one of a few rows beside it, which is too small to be trained on."""
    shops = [f"shop {label}" if number >= mixed else "corner" for number, (_, label) in enumerate(GOOD)]
    content = table([(*row, shop) for row, shop in zip(GOOD, shops, strict=True)], "text,label,platform")
    corpus = load(tmp_path, content)
    assert set(corpus.table.platform) == {corpus.name} and corpus.platforms == (corpus.name,)
    why = "no platform that is large enough has training rows of two classes"
    assert notes(corpus)[f"column not used as platform: {why}"][1] == "platform"
    assert "column used as platform" not in notes(corpus)
    with pytest.raises(InputError, match=f"column 'platform': {why}"):
        load(tmp_path, content, platform="platform")


def test_labels_in_the_unlabelled_split_are_not_used(tmp_path):
    corpus = load(tmp_path, split_table(("hidden", "a", "unlabelled"), ("homeless", "", "test")))
    assert corpus.table.tail(2).label.tolist() == [-1, -1]
    assert corpus.table.tail(2).split.tolist() == ["unlabelled"] * 2
    assert notes(corpus)["label of a row in the unlabelled split: not used"][0] == 1


def test_a_column_named_split_that_holds_something_else_is_left_alone(tmp_path):
    corpus = load(tmp_path, table([(*row, n) for n, row in enumerate(GOOD)], "text,label,split"))
    assert "column used as split" not in notes(corpus)
    reason = "column not used as split: none of its values is train, dev, test or unlabelled"
    assert notes(corpus)[reason] == (40, "split")


def test_25_000_rows_take_seconds(tmp_path):
    rows = [(f"房间 不错，位置好，早餐也不错，下次还来 {n}", f"c{n % 7}") for n in range(25_000)]
    assert len(load(tmp_path, table(rows))) == 25_000


TEXTS = st.one_of(
    st.text("ab12 !，好\n\r\t\";,'|\\\ufeff", max_size=6),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
    st.integers(0, 200).map("text {}".format),
)
LABELS = st.sampled_from(["", "a", "b", "a", "b", "b", " a ", "A/B", "0", "1.0", '"', "c\nd", "好"])


@given(
    rows=st.lists(st.tuples(TEXTS, LABELS), max_size=4) | st.lists(st.tuples(TEXTS, LABELS), min_size=25, max_size=80),
    delimiter=st.sampled_from(",;\t"),
)
@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_rows_load_without_leak_or_are_refused(rows, delimiter, tmp_path):
    path = write(tmp_path / "any.csv", table(rows, delimiter=delimiter))
    try:
        corpus = read(path, text="text", label="label")
    except InputError as refusal:
        assert "any.csv" in str(refusal) and len(str(refusal).splitlines()) == 1
        event("refused")
        return
    event("loaded")
    keys = corpus.table.text.map(normalise)
    assert leaks(corpus).empty and keys.is_unique
    assert set(keys) == {normalise(text) for text, _ in rows} - {""}
    assert set(corpus.table.label) - {-1} == set(range(corpus.n_classes)) and corpus.n_classes > 1
    assert ((corpus.table.split == "unlabelled") == (corpus.table.label < 0)).all()
