"""A user's own table: what is refused, and in which words."""

import gzip

import pytest

from paperkit import corpora
from paperkit.errors import InputError
from tests.corpora.tables import FRAME, GOOD, OBJECTS, lines, parquet, table, with_row, workbook, write

# name of the case: (file name, content, columns given, what the sentence must say)
BROKEN = {
    "no such file": ("none.csv", None, {}, ["does not exist"]),
    "folder": ("folder.csv/", None, {}, ["this is a folder", ".parquet"]),
    "unknown suffix": ("t.docx", "x", {}, ["'.docx'", "accepted are .csv"]),
    "old Excel": ("t.xls", b"\xd0\xcf\x11\xe0", {}, ["'.xls'", ".xlsx"]),
    "no suffix": ("./t", "x", {}, ["''", "accepted are .csv"]),
    "packed Parquet": ("t.parquet.gz", gzip.compress(b"x"), {}, ["'.gz'", "accepted are"]),
    "empty file": ("t.csv", "", {}, ["has no rows"]),
    "only blank lines": ("t.csv", "\n\n  \n", {}, ["has no rows"]),
    "header only": ("t.csv", "text,label\n\n", {}, ["has no rows below"]),
    "empty JSONL": ("t.jsonl", "\n", {}, ["has no rows"]),
    "empty objects": ("t.jsonl", "{}\n{}\n", {}, ["no column names"]),
    "empty workbook": ("t.xlsx", workbook([]), {}, ["has no rows"]),
    "Latin-1": ("t.csv", table([("café\xff\xff", "a")]).encode("latin-1"), {}, ["encoding", "gb18030"]),
    "German of Windows-1252": (
        "t.csv",
        table([("Schön gemütlich", "a"), ("übel, größer und süß", "b")] * 9, delimiter=";").encode("cp1252"),
        {},
        ["looks like Windows-1252 or Latin-1", "save the file as UTF-8"],
    ),
    "one Latin-1 word": ("t.csv", with_row("el niño", "a").encode("latin-1"), {}, ["Windows-1252", "UTF-8"]),
    "Latin-1 in JSON": (
        "t.jsonl",
        lines(*OBJECTS, {"text": "für günstig", "label": "a"}).encode("latin-1"),
        {},
        ["Windows-1252", "UTF-8"],
    ),
    "UTF-32": ("t.csv", table().encode("utf-32"), {}, ["encoding", "utf-16"]),
    "half a UTF-16 character": ("t.csv", table().encode("utf-16") + b"\x00", {}, ["encoding"]),
    "lone surrogate in UTF-16": (
        "t.csv",
        b"\xff\xfe" + table(with_row("\ud800", "a")).encode("utf-16-le", "surrogatepass"),
        {},
        ["encoding"],
    ),
    "UTF-16 without mark": (
        "t.csv",
        table().encode("utf-16-le"),
        {},
        ["encoding", "byte order mark"],
    ),
    "picture": ("t.csv", b"\x89PNG\r\n\x1a\n" + bytes(range(256)), {}, ["encoding"]),
    "NUL byte in text": ("t.csv", with_row("a\0b", "a", at=7), {}, ["row 7", "column 'text'", "NUL"]),
    "NUL byte in label": (
        "t.csv",
        with_row("fine", "a\0", at=3),
        {"label": "label"},
        ["row 3", "column 'label'", "NUL"],
    ),
    "NUL in JSON": ("t.jsonl", lines(*OBJECTS, {"text": "\0", "label": "a"}), {}, ["row 41", "column 'text'", "NUL"]),
    "missing column": ("t.csv", table(), {"text": "review"}, ["column 'review'", "'text', 'label'"]),
    "missing split column": ("t.csv", table(), {"split": "fold"}, ["column 'fold'", "no such column"]),
    "one column for two roles": ("t.csv", table(), {"text": "text", "label": "text"}, ["column 'text'", "different"]),
    "repeated column": ("t.csv", table(header="text,text"), {}, ["column 'text'", "2 columns have this name"]),
    "repeated but for blanks": ("t.csv", table(header="text, text"), {}, ["column 'text'", "2 columns"]),
    "repeated column in XLSX": ("t.xlsx", workbook([("a", "a"), *GOOD]), {}, ["column 'a'", "2 columns"]),
    "repeated JSON key": (
        "t.jsonl",
        lines(*OBJECTS, '{"text":"x","text":"y"}'),
        {},
        ["row 41", "column 'text'", "twice"],
    ),
    "one column": ("t.csv", "text\n" + "\n".join(text for text, _ in GOOD), {}, ["LABEL=column", "'text'"]),
    "too many cells": ("t.csv", with_row("x", "a", "extra", at=9), {}, ["row 9", "3 cells", "header has 2"]),
    "too few cells": ("t.csv", with_row("x", at=9), {}, ["row 9", "1 cells", "header has 2"]),
    "too many cells in XLSX": ("t.xlsx", workbook([("text", "label"), *GOOD, "abc"]), {}, ["row 42", "3 cells"]),
    "quote never closed": ("t.csv", table() + '"open,a\nmore,b\n', {}, ["row 42", "never closed"]),
    "quote closed early": ("t.csv", 'text,label\n"a" b,x\n', {}, ["row 2", "quotation mark", "doubled"]),
    "invalid JSON": ("t.jsonl", lines(*OBJECTS[:4], "{'text': 1}"), {}, ["row 5", "invalid JSON", "character 2"]),
    "JSON array in a line": ("t.jsonl", lines(*OBJECTS[:4], [1, 2]), {}, ["row 5", "a list", "JSON object"]),
    "JSON string in a line": ("t.jsonl", '"just text"', {}, ["row 1", "a string"]),
    "deep JSON": ("t.jsonl", lines(OBJECTS[0], "[" * 200_000), {}, ["row 2", "nesting too deep"]),
    "endless JSON number": ("t.jsonl", '{"text": ' + "1" * 5000 + "}", {}, ["row 1", "too long"]),
    "nested text": (
        "t.jsonl",
        lines(*OBJECTS, {"text": ["x"], "label": "a"}),
        {},
        ["row 41", "column 'text'", "a list"],
    ),
    "nested label": ("t.jsonl", lines({"text": "x", "label": {"k": 1}}, *OBJECTS), {}, ["row 1", "column 'label'"]),
    "bytes in Parquet": (
        "t.parquet",
        parquet(FRAME.assign(text=[b"\xff\xfe"] * 40)),
        {"text": "text"},
        ["row 1", "column 'text'", "bytes"],
    ),
    "fake Parquet": ("t.parquet", table(), {}, ["not a Parquet file"]),
    "cut Parquet": ("t.parquet", parquet(FRAME)[:-9], {}, ["not a Parquet file"]),
    "fake XLSX": ("t.xlsx", table(), {}, ["not an XLSX workbook"]),
    "zip that is no XLSX": ("t.xlsx", b"PK\x05\x06" + bytes(18), {}, ["not an XLSX workbook"]),
    "formula as a text": (
        "t.xlsx",
        workbook([("text", "label"), *GOOD, ('="text "&ROW()', "a")]),
        {},
        ["row 42", "column 'text'", "a formula", "paste values"],
    ),
    "formula as a label": (
        "t.xlsx",
        workbook([("text", "label"), *GOOD[:7], ("text", '=IF(A9="","a","b")'), *GOOD[7:]]),
        {},
        ["row 9", "column 'label'", "a formula", "CSV"],
    ),
    "formula as a column name": ("t.xlsx", workbook([("text", "=A1"), *GOOD]), {}, ["row 1", "a formula"]),
    "error as a label": (
        "t.xlsx",
        workbook([("text", "label"), *GOOD, ("some text", "#N/A")]),
        {},
        ["row 42", "column 'label'", "the error #N/A"],
    ),
    "merged labels": (
        "t.xlsx",
        workbook([("text", "label"), *GOOD], merge=["B3:B7"]),
        {},
        ["row 3", "column 'label'", "merged cells B3:B7", "unmerge"],
    ),
    "text and label merged": (
        "t.xlsx",
        workbook([("text", "label"), *GOOD], merge=["A5:B5"]),
        {},
        ["row 5", "merged cells A5:B5"],
    ),
    "fake gzip": ("t.csv.gz", table(), {}, ["gzip"]),
    "cut gzip": ("t.csv.gz", gzip.compress(table().encode())[:-12], {}, ["gzip"]),
    "no labels": ("t.csv", table([(text, " ") for text, _ in GOOD]), {}, ["column 'label'", "no labels"]),
    "one class": ("t.csv", table([(text, "a") for text, _ in GOOD]), {}, ["column 'label'", "one class only ('a')"]),
    "one class after empty texts": (
        "t.csv",
        table([(text if label == "a" else "!", label) for text, label in GOOD]),
        {},
        ["column 'label'", "one class only ('a')"],
    ),
    "labels of empty texts only": (
        "t.csv",
        table([("", "a"), ("?", "b"), ("x", ""), ("y", "")]),
        {},
        ["column 'label'", "no labels of usable texts (2 labelled ones hold no letter or digit)"],
    ),
    "emoji only": (
        "t.csv",
        table([("👍" * (n + 1), label) for n, (_, label) in enumerate(GOOD)]),
        {},
        ["column 'label'", "no labels of usable texts (40 labelled ones hold no letter or digit)"],
    ),
    "labels in the unlabelled split only": (
        "t.csv",
        table([(*row, "unlabelled") for row in GOOD], "text,label,split"),
        {},
        ["column 'label'", "no labels of usable texts (all labels are in the unlabelled split)"],
    ),
    "every label is different": (
        "t.csv",
        table([(text, f"id{n}") for n, (text, _) in enumerate(GOOD)]),
        {"label": "label"},
        ["column 'label'", "no class has 5", "test"],
    ),
    "empty step in front": ("t.csv", with_row("x", "/a", at=4), {}, ["row 4", "column 'label'", "empty step"]),
    "empty step inside": ("t.csv", with_row("x", "a//b", at=5), {}, ["row 5", "column 'label'", "'a//b'"]),
    "empty step at the end": ("t.csv", with_row("x", "a/ ", at=6), {}, ["row 6", "column 'label'", "A/B/C"]),
    "unknown split": (
        "t.csv",
        table([(*row, "train") for row in GOOD[:-1]] + [(*GOOD[-1], "fold3")], "text,label,part"),
        {"split": "part"},
        ["row 41", "column 'part'", "'fold3'", "accepted are train, dev, test"],
    ),
    "unknown split in a guessed column": (
        "t.csv",
        table([(*row, ["train", "test", "holdout"][n % 3]) for n, row in enumerate(GOOD)], "text,label,Subset"),
        {},
        ["row 4", "column 'Subset'", "'holdout'", "accepted are train, dev, test"],
    ),
    "empty split": (
        "t.csv",
        table([(*row, "") for row in GOOD], "text,label,split"),
        {"split": "split"},
        ["row 2", "column 'split'"],
    ),
    "split without training rows": (
        "t.csv",
        table([(*row, "test") for row in GOOD], "text,label,split"),
        {},
        ["column 'label'", "training rows"],
    ),
    "one class in training rows": (
        "t.csv",
        table([(text, label, "train" if label == "a" else "test") for text, label in GOOD], "text,label,split"),
        {},
        ["column 'label'", "training rows"],
    ),
    "training rows that are all in the test split": (
        "t.csv",
        table([(*row, split) for row in GOOD for split in ("train", "test")], "text,label,split"),
        {},
        ["column 'label'", "training rows hold fewer than two classes", "40 from train also in test"],
    ),
    "name of a file on two lines": ("two\nlines.csv", "text\n", {}, ["two lines.csv", "no rows"]),
}


@pytest.mark.parametrize("case", BROKEN)
def test_refused_in_one_sentence_with_nothing_written(case, tmp_path, watch):
    name, content, columns, said = BROKEN[case]
    path = tmp_path / name
    if name.endswith("/"):
        path.mkdir()
    elif content is not None:
        write(path, content)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError) as refusal:
        corpora.load(path, **columns)
    sentence = str(refusal.value)
    assert len(sentence.splitlines()) == 1 and len(sentence) < 600
    for words in (path.name.replace("\n", " "), *said):
        assert words in sentence
    assert sorted(tmp_path.rglob("*")) == before
    assert not list(watch.iterdir())


def test_the_table_of_broken_tables_is_long_enough():
    assert len(BROKEN) >= 30
